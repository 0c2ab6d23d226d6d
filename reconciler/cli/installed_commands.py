"""Commands of other distributions: entry points of the group `cxroute.commands`, each a module with
`options` and `run`.

They are read only for a name that is not built in: to look through all installed distributions
takes longer than `--help`.
"""

from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Final

from reconciler.core.errors import CxrouteError

_GROUP: Final = "cxroute.commands"
_PARTS: Final = ("options", "run")


def is_installed(name: str) -> bool:
    """Return whether another distribution has a command of this name."""
    return bool(entry_points(group=_GROUP, name=name))


def load_installed(name: str) -> ModuleType:
    """Import the module of a command of another distribution.

    Raises CxrouteError for a module that cannot be imported, and for a name that two distributions
    have.
    """
    points = sorted(entry_points(group=_GROUP, name=name), key=_distribution)
    if len(points) > 1:
        names = " and ".join(map(_distribution, points))
        raise CxrouteError(
            f"{names} each have a command {name}: uninstall one of these distributions"
        )
    owner = _distribution(points[0])
    try:
        module: ModuleType = points[0].load()
    except Exception as error:
        raise CxrouteError(
            f"the command {name} of {owner} cannot be imported: {error}"
        ) from error
    missing = [part for part in _PARTS if not callable(getattr(module, part, None))]
    if missing:
        raise CxrouteError(
            f"the command {name} of {owner} cannot run: {points[0].value} has no function "
            f"`{missing[0]}`"
        )
    return module


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value
