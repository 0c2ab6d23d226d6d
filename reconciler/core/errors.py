"""The errors that cxroute raises, as a tree of classes, each with its exit code and its word in
JSON.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # loads dataclasses, which --version does not need
    from reconciler.core.model.finding import Finding


class CxrouteError(Exception):
    """Root of the tree.

    `str(error)` is a message for the user: the problem, its position, and the remedy.
    """

    kind: ClassVar[str] = (
        "Cxroute"  # the error's word in JSON. It stays when a class gets another name.
    )
    exit_code: ClassVar[int] = 1

    def __init_subclass__(cls, *, kind: str = "", exit_code: int = 0) -> None:
        """Set the class's own word and exit code; without them, those of its base apply."""
        cls.kind, cls.exit_code = kind or cls.kind, exit_code or cls.exit_code


class UsageError(CxrouteError, kind="Usage", exit_code=64):
    """The command line, or the environment variables that it reads, are invalid."""


class ManifestError(CxrouteError, kind="Manifest", exit_code=3):
    """The manifests, or another file that they are used with, are invalid.

    `findings` holds every error.
    """

    def __init__(
        self, findings: "Sequence[Finding]", place: str = "the manifests"
    ) -> None:
        self.findings = tuple(findings)
        count = sum(finding.severity == "error" for finding in self.findings)
        super().__init__(f"{count} error{'' if count == 1 else 's'} in {place}")


class RefusedError(CxrouteError, kind="Refused", exit_code=4):
    """A guard, a conflict, an outdated plan, or a missing confirmation stopped the run."""


class InterruptedRunError(CxrouteError, kind="InterruptedRun", exit_code=130):
    """SIGINT or SIGTERM arrived before anything was written."""


class ApiError(CxrouteError, kind="Api"):
    """The tenant's API did not execute the call."""


class UnreachableError(ApiError, kind="Unreachable"):
    """No connection was made, so it is certain that the server did nothing."""


class CredentialsError(ApiError, kind="Credentials"):
    """The id or secret is wrong, missing or must not be sent to this host; or a token was refused
    twice.
    """


class ScopeError(ApiError, kind="Scope"):
    """403: the message names the scope that the call needs."""


class UnexpectedResponseError(ApiError, kind="UnexpectedAnswer"):
    """The response is not from a CXone API: HTML, a redirect, a wrong shape, too large, not
    JSON.
    """


class UnsupportedCallError(ApiError, kind="NotOffered"):
    """The server does not offer the call: a redirect, 405, 501, or a 4xx not about one rule.

    It did nothing.
    """


class LockedError(ApiError, kind="Locked"):
    """The script with the rules cannot be locked; the message names its holder.

    Nothing was written.
    """


class IncompleteReadError(ApiError, kind="IncompleteRead"):
    """A listing is not proven complete, so a plan must not be based on it."""


class OverloadedError(ApiError, kind="Overloaded"):
    """429 or 5xx on a read, after every retry that the budget allows."""


class RetryLaterError(OverloadedError, kind="Later"):
    """The server is unavailable, so nothing was sent. `retry_after` is the wait in seconds."""

    def __init__(self, message: str, seconds: float) -> None:
        self.retry_after = seconds
        super().__init__(message)


class RateLimitedError(RetryLaterError, kind="TooFast"):
    """The server limits the rate, or the rate leaves no time for one more call: nothing was
    done.
    """


class RejectedError(ApiError, kind="Rejected"):
    """A 4xx that concerns this write: the server did nothing, and a retry does not help."""

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)


class RuleNotFoundError(RejectedError, kind="Gone"):
    """404, or 410 for a read or a delete: the rule does not exist."""


class NameTakenError(RejectedError, kind="NameTaken"):
    """409: another rule has that name, or the rule changed since it was read."""


class ConcurrentChangeError(RejectedError, kind="ChangedMeanwhile"):
    """412, or the read before a write shows that the rule is not in the planned state."""


class UndefinedFieldsError(RejectedError, kind="UndefinedFields"):
    """The tenant does not accept the custom fields; the message says how to define them."""


class AmbiguousWriteError(ApiError, kind="AmbiguousWrite"):
    """A write with an unknown outcome, for example after a time-out; only a complete read shows it
    (invariants R6).
    """
