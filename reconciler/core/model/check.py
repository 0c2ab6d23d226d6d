"""The result of one check of a tenant, as `cxroute doctor` prints it."""

from dataclasses import dataclass
from typing import Final, Literal

CheckStatus = Literal["ok", "warn", "fail"]
UNCHECKED: Final = "writing"
"""The name of the line that says what no check can try."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of one check; all its text can be shown.

    `advice` is empty if there is nothing to do.
    """

    name: str
    status: CheckStatus
    message: str
    advice: str = ""

    @property
    def is_checked(self) -> bool:
        """Return whether anything was checked; a check of writing would write.

        In text, the line has no status.
        """
        return self.name != UNCHECKED
