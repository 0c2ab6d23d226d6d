"""Result of one check: its status, a message, and advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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
"""page: HTML. strange: JSON, but not a list. denied: a success status with a refusal. silent: a time-out."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of one check; all its text can be shown. `advice` is empty if there is nothing to do."""

    name: str
    status: CheckStatus
    message: str
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReply:
    """Result of one call. `status` is 0 without a response; `error_text` is the server's."""

    call: str
    kind: ReplyKind
    status: int = 0
    error_text: str = ""
    payload: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    clock_skew: float | None = None  # seconds by which the server's clock is ahead, if it sends its time
    attempts: int = 1

    @property
    def is_good(self) -> bool:
        """Return whether it is a success with the expected JSON."""
        return self.kind == "json" and 200 <= self.status < 300  # noqa: PLR2004 - HTTP's successes
