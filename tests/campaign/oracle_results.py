"""Compares a run's report with the server: R8, R13, R16 and R18; and the final tenant: R5, R15."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

from reconciler.core.model.change import (
    Adopt,
    Applied,
    Create,
    Delete,
    Failed,
    Skipped,
    UnknownOutcome,
    is_copy_removal,
)
from tests.campaign.oracle_facts import as_json, mark, plain
from tests.campaign.world import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.core.apply.progress import ApplyReport
    from reconciler.core.model.change import Change, Outcome
    from tests.campaign.oracle_desired import Wish
    from tests.campaign.oracle_process import Process
    from tests.campaign.oracle_tenant import Tenant
    from tests.campaign.oracle_verdict import Verdicts
    from tests.campaign.world import ApplierResult, ObservedTenant

Rule = dict[str, Any]
REFUSED: Final = 4
PARTLY: Final = 5


class Ends:
    """Checks runs that ended."""

    def __init__(
        self, world: ObservedTenant, tenant: Tenant, verdicts: Verdicts
    ) -> None:
        self.world, self.tenant, self.verdicts = world, tenant, verdicts
        self._looked_through = 0

    def look(self, process: Process, ended: ApplierResult, wish: Wish) -> None:
        """Check a run that ended normally."""
        text = f"{process.actor} ended with {ended.exit_code}"
        if ended.exit_code == REFUSED:
            self.verdicts.check(
                "R8",
                not process.writes,
                f"{text}, having sent {len(process.writes)} writes",
            )
        self.adopted(process, ended)
        self._lost(process, ended, text)
        if (
            process.converged_at_birth
            and self.tenant.foreign_to(process.actor) < process.born
        ):
            self._idle(process, wish, text)
        if self.tenant.foreign_to(process.actor) > (
            process.born if self._fired("stale") else process.knows
        ):
            return  # another user wrote after its last read, or a read was stale: it cannot know
        if self._fired("empty-list") > 1:
            return  # two in a row, before anything was seen, say that there is nothing
        rules = [
            rule
            for rule in self.tenant.rules.values()
            if not self.tenant.is_hidden(rule["id"], process)
        ]
        if ended.exit_code == 0 and wish.whole:
            named = _edits_beside_the_review(ended)
            missing = [
                item for item in wish.missing(rules) if item.split(" ")[0] not in named
            ]
            self.verdicts.check("R18", not missing, f"{text}, but {missing}")
            joined = (
                [] if process.writes or ended.planned is None else wish.joined(rules)
            )
            output = ended.planned is not None and any(
                finding.code == "CXR340" for finding in ended.planned.findings
            )
            self.verdicts.check(
                "R18",
                output or not joined,
                f"{text}, and no finding names the texts of {joined}",
            )
        if ended.report is not None:
            self._outcomes(ended, wish, text, rules)
            self._doubts(process, ended.report, text)

    def _fired(self, kind: str) -> int:
        fired = self.world.faults.fired_faults if self.world.faults else []
        return sum(kind in text for text, _ in fired)

    def secrets(self, ended: ApplierResult | None, tokens: Iterable[str]) -> None:
        """R13: no secret in any encoding is in any output."""
        fresh = self.world.said[self._looked_through :]
        self._looked_through = len(self.world.said)
        text = "\n".join(
            [*fresh, repr(ended and (ended.error, ended.report and ended.report.error))]
        )
        for secret in (SECRET, *tokens):
            printed = [form for form in _encoded(secret) if form in text]
            self.verdicts.check(
                "R13", not printed, f"a secret was in the output: {printed}"
            )

    def quiet(self, wish: Wish) -> None:
        """R15 and R5: after the heal phase the tenant is as desired, and has no duplicates."""
        if wish.whole:
            missing = wish.missing(self.tenant.rules.values())
            self.verdicts.check("R15", not missing, f"healed, but {missing}")
        twice = self.tenant.twice()
        self.verdicts.check("R5", not twice, f"at quiescence there twice: {twice}")

    def _idle(self, process: Process, wish: Wish, said: str) -> None:
        """R16: a run on a converged tenant writes nothing, and reads no more than necessary."""
        if not wish.whole:
            return
        self.verdicts.check(
            "R16",
            not process.writes,
            f"{said}: wrote {len(process.writes)} times without need",
        )
        if self.world.faults is None and not self.world.jump:
            size = self.world.profile.tenant.page_size
            pages, queues = (
                max(1, -(-len(item) // size))
                for item in (self.tenant.rules, self.world.state.queues)
            )
            most = 2 * pages + queues + 1
            self.verdicts.check(
                "R16",
                process.requests <= most,
                f"{said}: {process.requests} requests, not {most}",
            )

    def _outcomes(
        self, ended: ApplierResult, wish: Wish, said: str, shown: list[Rule]
    ) -> None:
        """R18: every planned change has an outcome, and each one is true.

        `shown` are the rules in lists.
        """
        outcomes: tuple[Outcome, ...] = ended.report.outcomes if ended.report else ()
        changes = ended.planned.changes if ended.planned else ()
        planned = {_name(change) for change in changes if not is_copy_removal(change)}
        reported = {_name(outcome.change) for outcome in outcomes}
        self.verdicts.check(
            "R18", planned == reported, f"{said}: of {planned} it reports {reported}"
        )
        for item in outcomes:
            done = self._is_done(item.change, wish)
            if isinstance(item, Applied):
                self.verdicts.check(
                    "R18",
                    done,
                    f"{said}: {_name(item.change)} is called applied, and is not",
                )
            elif isinstance(item, Failed) or (
                isinstance(item, Skipped) and ended.report and ended.report.remaining
            ):
                kind = type(item).__name__.lower()
                complete = done and self._is_alone(item.change, wish, shown)
                self.verdicts.check(
                    "R18",
                    not complete,
                    f"{said}: {_name(item.change)} is called {kind}, and is done",
                )

    def _doubts(self, process: Process, report: ApplyReport, said: str) -> None:
        """R18: "unknown" is reported if it is so, and the exit code says whether anything may have
        been done.
        """
        unread = report.remaining is None or (
            bool(process.writes) and process.knows < process.writes[-1].at
        )
        for item in report.outcomes:
            if isinstance(item, UnknownOutcome):
                open_ = any(
                    str(item.change.address) in write.keys
                    for write in (*process.unclear, *process.unsaid)
                )
                self.verdicts.check(
                    "R18",
                    open_ or unread,
                    f"{said}: {_name(item.change)} is called unknown, and is not",
                )
        if not report.converged and not report.interrupted:
            done = any(
                isinstance(outcome, Applied | UnknownOutcome) or outcome.left_partial
                for outcome in report.outcomes
            )
            code = PARTLY if done else 1
            self.verdicts.check(
                "R18", said.endswith(f" {code}"), f"{said}, and not with {code}"
            )

    def adopted(self, process: Process, ended: ApplierResult) -> None:
        """R1: a rule without a marker is written only if the adoption of exactly that rule was
        planned.
        """
        changes = ended.planned.changes if ended.planned else ()
        planned = {change.live.id for change in changes if isinstance(change, Adopt)}
        for write in process.writes:
            rule_id = write.request.segments[-1]
            claimed = (
                write.call == "update"
                and mark(process.shown[rule_id][0]) is None
                and rule_id not in planned
            )
            self.verdicts.check(
                "R1",
                not claimed,
                f"{process.actor} took over {rule_id}, which no plan showed",
            )

    def _lost(self, process: Process, ended: ApplierResult, said: str) -> None:
        """R1: of a first contact the first rule is found again, undone or named; then one more may
        be lost.
        """
        if not process.first_contact:
            return
        remaining = self.tenant.left_without_marker(process)
        error = ended.report.error if ended.report else ""
        first = next(
            (write.request for write in process.writes if write.request.changed_state),
            None,
        )
        was_first = [
            item
            for item in remaining
            if first is not None
            and (process.made.get(item) is first or item in first.path)
        ]
        tried = any(
            remaining and remaining[0] in write.keys
            for write in process.writes
            if write.request is not first
        )
        named = (
            bool(remaining)
            and remaining[0] in error
            and (tried or "it still exists" not in error)
        )
        fine = not remaining or (len(remaining) == 1 and (named or not was_first))
        self.verdicts.check(
            "R1", fine, f"{said}, and leaves {remaining} without a marker"
        )

    def _is_done(self, change: Change, wish: Wish) -> bool:
        rules = self.tenant.rules
        if isinstance(change, Delete):
            return change.live.id not in rules
        expected = plain(as_json(change.after, ""))
        return any(
            wish.ours(rule)
            and _is_at(rule, str(change.address))
            and plain(rule) == expected
            for rule in rules.values()
        )

    def _is_alone(self, change: Change, wish: Wish, shown: list[Rule]) -> bool:
        """Return whether lists show exactly one managed rule at an address; with a duplicate it is
        half done.
        """
        present = [
            item
            for item in shown
            if wish.ours(item) and _is_at(item, str(change.address))
        ]
        return isinstance(change, Delete) or len(present) == 1


def _is_at(rule: Rule, address: str) -> bool:
    actual = mark(rule)
    return actual is not None and actual.address == address and not actual.copy


def _name(change: Change) -> tuple[str, ...]:
    rule_id = "" if isinstance(change, Create) else change.live.id
    return (type(change).__name__, str(change.address), rule_id)


def _encoded(secret: str) -> Iterator[str]:
    """Yield the encodings in which a secret could appear."""
    yield from {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
    }
    text = secret.encode()
    for lead in range(3):  # wherever in a longer text it begins
        yield (
            base64.b64encode(b"x" * lead + text)
            .decode()[4 if lead else 0 :]
            .rstrip("=")[:-1]
        )
    yield repr(secret)[1:-1]


def _edits_beside_the_review(ended: ApplierResult) -> set[str]:
    """Return the addresses that a run with a reviewed plan leaves edited, and names in its report:
    the edits are not part of the plan, and move no conversation.
    """
    if ended.report is None or ended.report.remaining is None:
        return set()
    return {
        str(held.change.address)
        for held in ended.report.remaining.held
        if "not part of the reviewed plan" in held.reason
    }
