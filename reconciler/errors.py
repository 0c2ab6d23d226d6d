"""Every error that cxroute raises on purpose, with the exit code that it ends a run with.

CxrouteError                     1
├── UsageError                  64  the command line does not make sense
├── ManifestError                3  manifests are invalid; carries every finding
├── RefusedError                 4  a guard, a stale plan, a conflict, no confirmation
├── InterruptedRunError        130  SIGINT or SIGTERM
└── ApiError                     1  the tenant's API did not do what was asked
    ├── UnreachableError            no answer: DNS, refused, TLS, time-out; certain that nothing was done
    ├── CredentialsError            401: bad id or secret, or a token refused twice
    ├── ScopeError                  403: the scope that the call needs is missing
    ├── UnexpectedAnswerError       HTML, wrong shape, redirect, too large, not JSON
    ├── NotOfferedError             405, 501, and other 4xx that say: this is not the API that was expected
    ├── IncompleteReadError         a listing that could not be proven complete
    ├── RejectedError               any other 4xx on a write: that change is wrong, nothing was done
    │   ├── GoneError               404, or 410, of one rule
    │   ├── NameTakenError          409
    │   ├── ChangedMeanwhileError   412, or a rule that differs from what was planned on
    │   └── UndefinedFieldsError    400 or 422 of custom fields: most likely nobody has defined them
    ├── OverloadedError             429 or 5xx on reads, after every retry
    │   └── LaterError              nothing was sent or done, and it is known when to come again: the server is away
    │       └── TooFastError        likewise, because of a 429 or of the pace
    └── AmbiguousWriteError         a write whose outcome nobody knows: time-out, reset, 5xx, unusable answer
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.model.finding import Finding


class CxrouteError(Exception):
    """Root of the tree. `str(error)` is one sentence for a person: what, where, why, what to do."""

    kind: ClassVar[str] = "Cxroute"
    """The error's word in JSON. It stays when a class gets another name."""
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
        """Keep all findings; the message counts the errors among them."""
        self.findings = tuple(findings)
        count = sum(finding.severity == "error" for finding in self.findings)
        super().__init__(f"{count} error{'' if count == 1 else 's'} in the manifests")


class RefusedError(CxrouteError):
    """A run that was not allowed to go on: guard, conflict, stale plan, no confirmation."""

    kind = "Refused"
    exit_code = 4


class InterruptedRunError(CxrouteError):
    """SIGINT or SIGTERM arrived before anything was written."""

    kind = "InterruptedRun"
    exit_code = 130


class ApiError(CxrouteError):
    """The tenant's API did not do what was asked."""

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
    """An answer that no CXone API gives: HTML, a redirect, a wrong shape, too large, not JSON."""

    kind = "UnexpectedAnswer"


class UnsupportedCallError(ApiError):
    """The server does not do such a thing at all, or not there: it did nothing, and every other call will end alike.

    A redirect, 405 and 501 of anything; 404 and 410 of the list; 404 and 410 of a create, 410 of an update; 413, 414
    and 431 of a delete; and of a read whatever else says that it is wrong, for a read says nothing of its own.
    """

    kind = "NotOffered"


class IncompleteReadError(ApiError):
    """A listing that could not be proven complete, so no plan may be made from it."""

    kind = "IncompleteRead"


class OverloadedError(ApiError):
    """429 or 5xx on a read, after every retry that the budget allows."""

    kind = "Overloaded"


class RetryLaterError(OverloadedError):
    """The server is away, so nothing was sent. `seconds` says when it will be asked again."""

    kind = "Later"

    def __init__(self, message: str, seconds: float) -> None:
        """Keep the wait beside the message."""
        self.retry_after = seconds
        super().__init__(message)


class RateLimitedError(RetryLaterError):
    """The server says that this is too fast, or the pace leaves no time for one more call: nothing was done."""

    kind = "TooFast"


class RejectedError(ApiError):
    """A 4xx that is about this one write: the server did nothing, and asking again will not help."""

    kind = "Rejected"

    def __init__(self, message: str, status: int) -> None:
        """Keep the HTTP status beside the message."""
        self.status = status
        super().__init__(message)


class RuleNotFoundError(RejectedError):
    """404, or 410 where it is asked for or deleted: the rule does not exist (any more)."""

    kind = "Gone"


class NameTakenError(RejectedError):
    """409: another rule has that name, or the rule changed under us."""

    kind = "NameTaken"


class ConcurrentChangeError(RejectedError):
    """412, or a rule that was read again just before its write and differs from what was planned on."""

    kind = "ChangedMeanwhile"


class UndefinedFieldsError(RejectedError):
    """The tenant does not take the custom fields that it was given; the message says how to define them."""

    kind = "UndefinedFields"


class AmbiguousWriteError(ApiError):
    """A write whose outcome nobody knows; only a fresh complete read can tell (invariants R6)."""

    kind = "AmbiguousWrite"
