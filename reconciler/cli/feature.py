"""What a feature adds to the command line: its commands.

Each folder of `reconciler.features` has one `FEATURE` in its `__init__.py`; nothing else lists it.
Deleting the folder deletes the feature.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Final, NamedTuple

_FEATURES: Final = "reconciler.features"

GROUPS: Final = ("every day", "operate", "context endpoint", "set up", "try it")
"""The groups of commands in `--help`, in their order."""


class Command(NamedTuple):
    """A command's group and line in `--help`, and the module that holds it."""

    group: str  # one of GROUPS
    order: int  # its place in the group: a smaller number stands first
    help: str
    module: str


class Feature(NamedTuple):
    """What a folder of `reconciler.features` adds to the command line."""

    commands: Mapping[str, Command]


@cache
def load_features() -> tuple[Feature, ...]:
    """Return the features of this installation, in the order of their folders' names."""
    folder = import_module(_FEATURES)
    names = sorted(found.name for found in iter_modules(folder.__path__))
    modules = [import_module(f"{_FEATURES}.{name}") for name in names]
    return tuple(module.FEATURE for module in modules)
