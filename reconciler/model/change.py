"""Reconciling words: what differs, who made the difference, and what became of each step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from reconciler.model.live import LiveRule
    from reconciler.model.rule import Address, Rule, Source

Action = Literal["create", "update", "adopt", "delete"]
Cause = Literal["manifest", "drift", "both", "duplicate"]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs. `path` is in the API's words: `priority`, `targets[0].queueId`."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Create:
    """A desired rule that is not live."""

    action: ClassVar[Literal["create"]] = "create"
    address: Address
    after: Rule
    source: Source | None
    cause: Cause = "manifest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """A managed rule that differs from what is desired."""

    action: ClassVar[Literal["update"]] = "update"
    address: Address
    live: LiveRule
    after: Rule
    fields: tuple[FieldChange, ...]
    source: Source | None
    cause: Cause
    unadopts: bool = False
    """The rule is ours no longer: it is written without a marker, as it was before it was adopted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """An unmanaged rule that a manifest takes over."""

    action: ClassVar[Literal["adopt"]] = "adopt"
    address: Address
    live: LiveRule
    after: Rule
    fields: tuple[FieldChange, ...]
    source: Source | None
    cause: Cause = "manifest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """A managed rule that no manifest names, or a duplicate of one."""

    action: ClassVar[Literal["delete"]] = "delete"
    address: Address
    live: LiveRule
    cause: Cause
    source: Source | None = None
    original: LiveRule | None = field(default=None, compare=False)  # the rule that a duplicate is one of: it stays


Change = Create | Update | Adopt | Delete

StepKind = Literal["whole", "copy", "aside", "drop", "back"]
"""whole: the change's own call. copy: a temporary copy of its new rule is created. aside: the rule becomes all that it
is to be but for its name, which another one still has; `whole` then gives it its name. drop: the copy is deleted.
back: what a run's first write made is undone, since the tenant did not keep it; no plan has such a step."""


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One call of a change; most changes have just one, `whole`."""

    change: Change
    kind: StepKind = "whole"
    name: str = ""  # the temporary name that a copy, or a rule set aside, has until it goes or gets its own

    @property
    def call(self) -> Literal["create", "update", "delete"]:
        """Return what is sent to the server."""
        if self.kind == "copy":
            return "create"
        if self.kind == "drop" or isinstance(self.change, Delete):
            return "delete"
        return "create" if isinstance(self.change, Create) else "update"


def is_copy_removal(change: Change) -> bool:
    """Say whether a change only removes a temporary copy that a run left: it counts in no summary and no guard."""
    return isinstance(change, Delete) and change.live.marker is not None and change.live.marker.copy


def is_unadoption(change: Change) -> bool:
    """Say whether a change gives a rule back: that its adoption is undone."""
    return isinstance(change, Update) and change.unadopts


@dataclass(frozen=True, slots=True)
class HeldChange:
    """A change that is left alone for now, and why."""

    change: Change
    reason: str


@dataclass(frozen=True, slots=True)
class Applied:
    """The change was made, and a read after it showed it."""

    status: ClassVar[str] = "applied"
    change: Change
    attempts: int
    id: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The change was refused, or was tried as often as allowed; the rule is as it was, unless `left_partial`."""

    status: ClassVar[str] = "failed"
    change: Change
    attempts: int
    error: str
    left_partial: bool = False
    """This run left the rule neither as it was nor as desired: a call was done otherwise than asked, or one of two."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """The change was not tried, or, where `left_partial`, not to its end."""

    status: ClassVar[str] = "skipped"
    change: Change
    error: str
    attempts: int = 0
    left_partial: bool = False


@dataclass(frozen=True, slots=True)
class UnknownOutcome:
    """A write was sent and nobody knows what became of it; the next run finds out."""

    status: ClassVar[str] = "unknown"
    change: Change
    attempts: int
    error: str


Outcome = Applied | Failed | Skipped | UnknownOutcome
