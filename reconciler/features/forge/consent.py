"""The consent of those whose callers move: whose approval a plan needs, who gave it, and the status
that tells so.

One approval of one owner of each queue is enough. `Forge.fetch_approvals` returns those of the head
commit alone.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, Literal, NamedTuple

from reconciler.core.errors import RefusedError
from reconciler.core.plan.consent import Consent, describe_consent, parse_consent
from reconciler.core.text.escape import sanitize
from reconciler.core.text.json_values import parse_object
from reconciler.features.forge.forge import CommitStatus, Forge
from reconciler.rest.client import RestError

MEMBERS_TOKEN: Final = "CXROUTE_MEMBERS_TOKEN"  # noqa: S105 - the name of a variable
_MAX_TEXT: Final = 140  # characters of a status


class Voters(NamedTuple):
    """A pull request, the commit that was planned, and where approvals and members of groups are
    read.
    """

    forge: Forge
    directory: Forge  # through a token that can read the members
    number: int
    head: str


def list_needed(plan: Mapping[str, Any], environment: str) -> list[Consent]:
    """Return the consent that a plan lists, none if no queue has owners.

    Raises RefusedError for an unreadable list.
    """
    if plan.get("environment") != environment or "planId" not in plan:
        raise RefusedError(
            f"there is no plan for {environment}, so the consent that it needs is not known"
        )
    try:
        return [parse_consent(entry) for entry in plan.get("consent", [])]
    except (LookupError, TypeError):
        raise RefusedError(
            f"the plan for {environment} has an unreadable list of consent; plan again"
        ) from None


def find_missing(voters: Voters, needed: Sequence[Consent]) -> list[Consent]:
    """Return the consent that is not given. Raises RefusedError for another head, and RestError."""
    forge, directory, number, head = voters
    approvals = forge.fetch_approvals(number)
    if approvals.head != head:
        where = (
            f"{head[:8]}, which is not the head of {forge.request} {number} "
            f"({sanitize(approvals.head[:8])})"
        )
        raise RefusedError(
            f"the plan is for {where}: approvals of another commit do not count"
        )

    @cache
    def members(owner: str) -> frozenset[str]:
        try:
            return directory.fetch_members(owner)
        except RestError as error:
            advice = f"{MEMBERS_TOKEN} can hold a token that may read the members"
            raise RestError(f"{error}; {advice}", error.status) from None

    approvers = approvals.approvers
    return [
        item
        for item in needed
        if not any(
            approvers and approvers & members(owner) for owner in item.queue.owners
        )
    ]


def refuse_missing(voters: Voters, plan: str, environment: str) -> None:
    """Raise RefusedError if a reviewed plan lacks consent."""
    needed = list_needed(parse_object(plan), environment)
    if missing := find_missing(voters, needed) if needed else []:
        where = (
            f"{voters.forge.request} {voters.number} was merged without the consent of its head "
            f"commit"
        )
        raise RefusedError(
            f"{where}: {describe_consent(missing)}. {voters.forge.manual_advice}"
        )


def make_status(
    environment: str,
    state: Literal["pending", "success", "failure"],
    text: str,
) -> CommitStatus:
    """Return the status of an environment, with a text that fits."""
    fitting = text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 3]}..."
    return CommitStatus(f"cxroute/consent ({environment})", state, fitting)
