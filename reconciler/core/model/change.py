"""Changes, their causes, their steps, and their outcomes."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from reconciler.core.model.live import LiveRule, Marker, WritePayload, marker_digest
from reconciler.core.model.rule import Address, Rule, Source

Action = Literal["create", "update", "adopt", "delete"]
Cause = Literal["manifest", "drift", "both", "duplicate"]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One changed field. `path` is that of the API: `priority`, `targets[0].queueId`."""

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
    """A managed rule that differs from the desired one."""

    action: ClassVar[Literal["update"]] = "update"
    address: Address
    live: LiveRule
    after: Rule
    fields: tuple[FieldChange, ...]
    source: Source | None
    cause: Cause
    unadopts: bool = (
        False  # the rule is written without a marker, as before its adoption
    )


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
    # the rule that a duplicate copies; it stays
    original: LiveRule | None = field(default=None, compare=False)


Change = Create | Update | Adopt | Delete

StepKind = Literal["whole", "copy", "aside", "drop", "back"]
# whole: the change's own call. copy: creates a temporary copy of the new rule. drop: deletes the
# copy. aside: writes all but the name, which another rule still has; `whole` then writes the name.
# back: undoes the first write of a run, because the tenant stored it differently; no plan has this
# step.


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One call of a change; most changes have one step, `whole`."""

    change: Change
    kind: StepKind = "whole"
    name: str = ""  # the temporary name of a copy, or of a rule that is set aside

    @property
    def call(self) -> Literal["create", "update", "delete"]:
        """Return the kind of the request."""
        if self.kind == "copy":
            return "create"
        if self.kind == "drop" or isinstance(self.change, Delete):
            return "delete"
        return "create" if isinstance(self.change, Create) else "update"


def is_copy_removal(change: Change) -> bool:
    """Return whether a change only removes a temporary copy: summaries and guards do not count
    it.
    """
    return (
        isinstance(change, Delete)
        and change.live.marker is not None
        and change.live.marker.copy
    )


def is_unadoption(change: Change) -> bool:
    """Return whether a change undoes an adoption."""
    return isinstance(change, Update) and change.unadopts


def write_payload(step: PlanStep, owner: str) -> WritePayload | None:
    """Return the payload of a step; None for a delete."""
    change = step.change
    if isinstance(change, Delete):
        return None
    rule = replace(change.after, name=step.name) if step.name else change.after
    if is_unadoption(change) and step.kind == "whole":
        return WritePayload(rule, None)
    is_copy = step.kind == "copy"
    marker = Marker(owner, change.address, marker_digest(rule), copy=is_copy)
    return WritePayload(rule, marker)


@dataclass(frozen=True, slots=True)
class HeldChange:
    """A change that is not made now, and the reason."""

    change: Change
    reason: str


@dataclass(frozen=True, slots=True)
class Applied:
    """The change was made, and a later read confirms it."""

    status: ClassVar[str] = "applied"
    change: Change
    attempts: int
    id: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The change was refused, or failed at each attempt; the rule is as before, unless
    `left_partial`.
    """

    status: ClassVar[str] = "failed"
    change: Change
    attempts: int
    error: str
    left_partial: bool = False  # the rule is not as before and not as desired


@dataclass(frozen=True, slots=True)
class Skipped:
    """The change was not tried, or, where `left_partial`, not completed."""

    status: ClassVar[str] = "skipped"
    change: Change
    error: str
    attempts: int = 0
    left_partial: bool = False


@dataclass(frozen=True, slots=True)
class UnknownOutcome:
    """A write was sent and its outcome is unknown; the next run reads it."""

    status: ClassVar[str] = "unknown"
    change: Change
    attempts: int
    error: str


Outcome = Applied | Failed | Skipped | UnknownOutcome
