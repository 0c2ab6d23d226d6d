"""Loads one mutated module in this process; commands that a test starts as processes run the real
module.
"""

from __future__ import annotations

import marshal
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType


class _Loader(SourceFileLoader):
    code: CodeType

    def get_code(self, fullname: str) -> CodeType:
        del fullname
        return self.code


class _Finder:
    def __init__(self, module: str, code: CodeType) -> None:
        self.module, self.code = module, code

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: object = None
    ) -> ModuleSpec | None:
        del target
        spec = PathFinder.find_spec(name, path) if name == self.module else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin)
            spec.loader.code = self.code
        return spec


def install(module: str, code: bytes) -> None:
    """Let the next import of a module run this code, in the form of `marshal.dumps`."""
    sys.meta_path.insert(0, _Finder(module, marshal.loads(code)))  # noqa: S302, the runner made it
