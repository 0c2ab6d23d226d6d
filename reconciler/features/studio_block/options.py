"""The options of `cxroute studio`."""

from dataclasses import dataclass

from reconciler.cli.options import SessionOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioOptions(SessionOptions):
    """The options of `cxroute studio`."""

    task: str
    file: str | None
    out: str | None
    into: str | None
    action: str | None
    result: str | None
    recipe_of: str | None
