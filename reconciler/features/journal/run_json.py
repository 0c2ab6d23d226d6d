"""The JSON that `cxroute history` prints."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from reconciler.core.plan.plan_json import ClosedPart

_Entry = Annotated[
    Mapping[str, Any], Field(description="an entry of the journal, as it was written")
]


class RunJson(ClosedPart):
    """A run of the journal."""

    run: str
    start: _Entry
    changes: list[_Entry]
    end: _Entry | None


class RunsJson(ClosedPart):
    """The runs of the journal."""

    runs: list[RunJson]


HISTORY: Final[Any] = RunJson | RunsJson
"""The document of the command: one run, or all."""
