"""Every error that cxroute raises on purpose: its exit code, and its word in JSON. The classes form a tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from reconciler.model.finding import Finding


class CxrouteError(Exception):
    """Root of the tree. `str(error)` is one sentence for a person: the problem, its place, and what to do."""

    kind: ClassVar[str] = "Cxroute"  # the error's word in JSON. It stays when a class gets another name.
    exit_code = 1


class UsageError(CxrouteError):
    """The command line, or the environment variables that it reads, do not make sense."""

    kind = "Usage"
    exit_code = 64


class ManifestError(CxrouteError):
    """The manifests are invalid. `findings` holds every error of every file."""

    kind = "Manifest"
    exit_code = 3

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        count = sum(finding.severity == "error" for finding in self.findings)
        super().__init__(f"{count} error{'' if count == 1 else 's'} in the manifests")


class RefusedError(CxrouteError):
    """A run that was stopped by a guard, a conflict, a stale plan, or a missing confirmation."""

    kind = "Refused"
    exit_code = 4


class InterruptedRunError(CxrouteError):
    """SIGINT or SIGTERM arrived before anything was written."""

    kind = "InterruptedRun"
    exit_code = 130


class ApiError(CxrouteError):
    """The tenant's API did not carry out the call."""

    kind = "Api"


class UnreachableError(ApiError):
    """No connection was made, so it is certain that the server did nothing."""

    kind = "Unreachable"


class CredentialsError(ApiError):
    """The id or secret is wrong, missing or not allowed to be sent there; or a token was refused twice."""

    kind = "Credentials"


class ScopeError(ApiError):
    """403: the message names the scope that the call needs."""

    kind = "Scope"


class UnexpectedResponseError(ApiError):
    """A response that no CXone API gives: HTML, a redirect, a wrong shape, too large, not JSON."""

    kind = "UnexpectedAnswer"


class UnsupportedCallError(ApiError):
    """The server does not offer the call: a redirect, 405, 501, or a 4xx that is not about one rule. It did nothing."""

    kind = "NotOffered"


class IncompleteReadError(ApiError):
    """A listing that could not be proven complete, so no plan may be made from it."""

    kind = "IncompleteRead"


class OverloadedError(ApiError):
    """429 or 5xx on a read, after every retry that the budget allows."""

    kind = "Overloaded"


class RetryLaterError(OverloadedError):
    """The server is unavailable, so nothing was sent. `retry_after` is the wait in seconds."""

    kind = "Later"

    def __init__(self, message: str, seconds: float) -> None:
        self.retry_after = seconds
        super().__init__(message)


class RateLimitedError(RetryLaterError):
    """The server says that this is too fast, or the pace leaves no time for one more call: nothing was done."""

    kind = "TooFast"


class RejectedError(ApiError):
    """A 4xx that is about this one write: the server did nothing, and asking again will not help."""

    kind = "Rejected"

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)


class RuleNotFoundError(RejectedError):
    """404, or 410 where it is asked for or deleted: the rule does not exist (any more)."""

    kind = "Gone"


class NameTakenError(RejectedError):
    """409: another rule has that name, or the rule changed meanwhile."""

    kind = "NameTaken"


class ConcurrentChangeError(RejectedError):
    """412, or a rule that was read again just before its write and differs from what was planned on."""

    kind = "ChangedMeanwhile"


class UndefinedFieldsError(RejectedError):
    """The tenant does not take the custom fields that it was given; the message says how to define them."""

    kind = "UndefinedFields"


class AmbiguousWriteError(ApiError):
    """A write with an unknown outcome, for example after a time-out; only a complete read can tell (invariants R6)."""

    kind = "AmbiguousWrite"
