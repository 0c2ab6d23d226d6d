"""The options of `cxroute cognigy`, which its two tasks read."""

from dataclasses import dataclass

from reconciler.cli.options import CommonOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class CognigyOptions(CommonOptions):
    """The options of `cxroute cognigy`."""

    task: str
    url: str | None
    conversation: str | None
    none: str
    code: bool | None
    handover: str | None
    source: str | None
    project: str | None
    into: str | None
    check: bool | None
