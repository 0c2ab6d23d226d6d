"""Loads one mutated module in place of the real one; PYTHONPATH names this folder in the process of a mutant.

Python imports `sitecustomize` at each start, so that the commands which a test starts run the mutant, too.
"""

from __future__ import annotations

import marshal
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        del fullname
        code: CodeType = marshal.loads(Path(os.environ["CXROUTE_MUTANT_CODE"]).read_bytes())  # noqa: S302, the runner wrote it
        return code


class _Finder:
    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        del target
        spec = PathFinder.find_spec(name, path) if name == os.environ.get("CXROUTE_MUTANT_MODULE") else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin)
        return spec


sys.meta_path.insert(0, _Finder())
