"""One thing that was looked at: whether it is in order, what was seen, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


CheckStatus = Literal["ok", "warn", "fail"]

ReplyKind = Literal[
    "json",
    "page",
    "nothing",
    "garbled",
    "strange",
    "denied",
    "redirect",
    "too-large",
    "silent",
    "broken",
    "unreachable",
    "untrusted",
]
"""json: any JSON. page: HTML. strange: JSON, and no list. denied: a success that says it is none. silent: no answer in
time. broken: the connection broke. unreachable: there was none."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What is said of one thing; all its text is fit to be shown. `advice` is empty where there is nothing to do."""

    name: str
    status: CheckStatus
    message: str
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReply:
    """What one call came to. `status` is 0 where no answer came; `error_text` is what the server says of an error."""

    call: str
    kind: ReplyKind
    status: int = 0
    error_text: str = ""
    payload: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    clock_skew: float | None = None
    """Seconds by which the server's clock is ahead of ours, where it says its time; known to a second."""
    attempts: int = 1

    @property
    def is_good(self) -> bool:
        """Say whether it is a success, with JSON that is what was asked for."""
        return self.kind == "json" and 200 <= self.status < 300  # noqa: PLR2004 - HTTP's successes
