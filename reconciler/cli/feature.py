"""What a feature adds to the command line: its commands, and its part of the commands of the core.

Each folder of `reconciler.features` has one `FEATURE` in its `__init__.py`; nothing else lists it.
Deleting the folder deletes the feature.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

_FEATURES: Final = "reconciler.features"
_NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})

GROUPS: Final = ("every day", "operate", "context endpoint", "set up", "try it")
"""The groups of commands in `--help`, in their order."""

HookName = Literal[
    "after_apply",
    "explain_parts",
    "init_files",
    "journal",
    "journal_copies",
    "pair_checks",
    "report_page",
    "sandbox",
    "sandbox_tables",
]
"""The functions of `reconciler.cli.hooks`; each returns what the features have for that hook."""


class Command(NamedTuple):
    """A command's group and line in `--help`, and the module that holds it."""

    group: str  # one of GROUPS
    order: int  # its place in the group: a smaller number stands first
    help: str
    module: str


class Feature(NamedTuple):
    """What a folder of `reconciler.features` adds to the command line.

    `hooks` and `documents` name objects as "package.module:name". Such a module is imported when a
    command needs the object: `--help` imports none.
    """

    commands: Mapping[str, Command]
    hooks: Mapping[HookName, str] = _NOTHING
    documents: Mapping[str, str] = _NOTHING
    """A command with `--format json` -> the type of its document."""


@cache
def load_features() -> tuple[Feature, ...]:
    """Return the features of this installation, in the order of their folders' names."""
    folder = import_module(_FEATURES)
    names = sorted(module.name for module in iter_modules(folder.__path__))
    modules = [import_module(f"{_FEATURES}.{name}") for name in names]
    return tuple(module.FEATURE for module in modules)


def load_hooks(name: HookName) -> Iterator[Any]:
    """Yield the object of each feature that has one for a hook."""
    for feature in load_features():
        if name in feature.hooks:
            yield load_object(feature.hooks[name])


def load_object(path: str) -> Any:  # noqa: ANN401 - the caller knows its type
    """Import the object that a text names as "package.module:name"."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
