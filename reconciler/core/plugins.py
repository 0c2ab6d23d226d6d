"""Parts that the core uses and does not import: the targets.

Built-in targets are in the table of `reconciler.targets`. Other distributions add targets by the entry points
`cxroute.targets`, which are read only for a name that is not built in.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final, NamedTuple

GROUP: Final = "cxroute.targets"
_TABLE: Final = "reconciler.targets"


class QueueSources(NamedTuple):
    """The values that `api.queues` may have beside a target's settings; without any, all are allowed."""

    allowed: tuple[str, ...] = ()
    # why, as the end of the sentence `"rules: X" requires "queues: Y"`
    reason: str = ""


def built_in_names() -> tuple[str, ...]:
    """Return the names of the built-in targets, the default one first."""
    return tuple(_built_in())


def load_plugin(name: str) -> Any | None:  # noqa: ANN401 - `core.target` names the type
    """Return the target with a name, or None if neither cxroute nor another distribution has it."""
    if name in _built_in():
        return import_module(_built_in()[name]).TARGET
    return _foreign_target(name)


def _built_in() -> Mapping[str, str]:
    table: Mapping[str, str] = import_module(_TABLE).BUILT_IN
    return table


@cache
def _foreign_target(name: str) -> object:
    found = [entry.load() for entry in entry_points(group=GROUP, name=name)]
    return found[0] if found else None
