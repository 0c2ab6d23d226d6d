"""Runs a case: the faults occur, and then the tool repairs the tenant."""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Final

from reconciler.core.desired.desired import DesiredState
from reconciler.core.plan.review import ReviewedPlan
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.messages import SimRequest
from tests.campaign.case import Case, CaseResult
from tests.campaign.faults import Accidents, accident, mend
from tests.campaign.oracle import Oracle, Violation, fingerprint
from tests.campaign.profiles import PROFILES
from tests.campaign.scenarios import is_refused, with_names_apart
from tests.campaign.schedules import Scheduler, manifests
from tests.campaign.world import Applier, ApplierResult, Killed, ObservedTenant

__all__ = ["Case", "CaseResult", "Running", "repeated", "run_case"]

HEALING: Final = 2
"""Runs without faults that must suffice (R15)."""

_HEALERS: Final = ("at-once", "heal-1", "heal-2", "heal-3")


def run_case(case: Case) -> CaseResult:
    """Run a case, first with faults, then without any until it is repaired."""
    try:
        return Running(case).result()
    except Exception:  # noqa: BLE001 - any escaped exception is a finding, and the campaign continues
        text = traceback.format_exc(limit=-4)
        return CaseResult(case, [Violation("crash", text)], Counter(), [None], 0, 0)


def repeated(case: Case) -> CaseResult:
    """Run a case twice; a difference between the two breaks R22."""
    first = run_case(case)
    second = run_case(case)
    first.counts["R22"] += 1
    if first.prints != second.prints:
        first.violations.append(
            Violation("R22", f"the same case ran otherwise the second time: {case}")
        )
    return first


class Running:
    """A running case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        names_unique = PROFILES[case.profile].settings.names_unique
        self.scenario = with_names_apart(case.built()) if names_unique else case.built()
        self.refused = is_refused(self.scenario)
        self.world = ObservedTenant(self.scenario, case.profile, case.seed)
        accidents = [accident(text) for text in case.faults.split(",") if text.strip()]
        self.spec = ",".join(
            text
            for text, own in zip(case.faults.split(","), accidents, strict=False)
            if own is None and text.strip()
        )
        self.wishes = manifests(self.scenario, case.schedule)
        self.oracle = Oracle(self.world, self.scenario, self._by_applier())
        own = tuple(accident for accident in accidents if accident is not None)
        self.accidents = Accidents(
            self.world, own, Random(f"{case.seed}/accidents"), self.another
        )
        self.saved: dict[str, ReviewedPlan] = {}
        self.ended: list[ApplierResult | None] = []
        self.further = 0
        self.fired: list[tuple[str, SimRequest]] = []
        self.violations: list[Violation] = []
        self.counts: Counter[str] = Counter()

    def result(self) -> CaseResult:
        """Run all phases."""
        fired = self.inject()
        self.heal()
        self.oracle.quiet()
        actual = [*filter(self._counts, self.oracle.violations), *self.violations]
        counts = self.oracle.counts + self.counts
        return CaseResult(
            self.case,
            actual,
            counts,
            self.ended,
            len(self.world.events),
            fired,
            fingerprint(self.world),
        )

    def inject(self) -> int:
        """Run the appliers with the faults; return how many of those occurred."""
        for name in self.wishes if self.scenario.reviewed else ():
            asyncio.run(self.review(name))
        faults = self.world.faults = (
            FaultInjector(self.spec, self.case.seed) if self.spec else None
        )
        asyncio.run(self._together())
        if faults is not None:
            faults.run_delayed(self.world.api)
            self.world.faults = None
            self.fired = faults.fired_faults
        return self.accidents.happened + len(self.fired)

    async def review(self, name: str) -> None:
        """Save the plan that an applier will apply, for the oracle."""
        reviewer = self._applier(f"review-{name}")
        self.saved[name] = await reviewer.saved()
        self.oracle.planned(reviewer)
        self.oracle.reviewed(name)

    async def _together(self) -> None:
        scheduler = Scheduler(self.case.schedule, self.accidents)
        names = list(self.wishes)
        runs = [self.one(self.applier(name, scheduler)) for name in names]
        self.ended.extend(await scheduler.run(dict(zip(names, runs, strict=True))))

    async def one(self, applier: Applier) -> ApplierResult | None:
        """Run an applier to its end, and report it to the oracle."""
        try:
            ended = await applier.run()
        except Killed:
            ended = None
        self.oracle.ended(applier, ended)
        return ended

    async def another(self, manifest: str) -> None:
        """Run another applier completely: of the `other` manifest, or of the same."""
        self.further += 1
        await self.one(
            self._applier(f"{'other' if manifest == 'other' else 'b'}-{self.further}")
        )

    def applier(self, name: str, scheduler: Scheduler) -> Applier:
        """Return an applier of the first phase."""
        actual = self._applier(name)
        actual.before, actual.after = scheduler.hooks(name)
        actual.reviewed = self.saved.get(name)
        return actual

    def _applier(self, name: str) -> Applier:
        wish = self._by_applier()[name]
        return Applier(
            self.world,
            wish,
            self.scenario.environment,
            name,
            self.scenario.options,
            allow=self.scenario.allow,
        )

    def _by_applier(self) -> Mapping[str, DesiredState]:
        """Return the desired rules by applier: those of the schedule, those of accidents, and the
        repairing one.
        """
        own = self.scenario.wish
        remaining_items = manifests(self.scenario, "other")
        further = {f"b-{number}": own for number in range(1, 10)}
        strangers = {f"other-{number}": remaining_items["b"] for number in range(1, 10)}
        reviewers = {f"review-{name}": wish for name, wish in self.wishes.items()}
        return {
            **self.wishes,
            **reviewers,
            **further,
            **strangers,
            **dict.fromkeys(_HEALERS, own),
        }

    def heal(self) -> None:
        """Run without faults: at most twice until the state is correct (R15), and once more without
        effect (R16).
        """
        if self.refused:
            return self._refuse()
        mend(
            self.world,
            self.scenario.rules,
            {rule.rule.name for rule in self.scenario.wish.rules.values()},
        )
        self._wait_for_lists()
        codes = []
        for number in range(1, HEALING + 1):
            ended = self._run(f"heal-{number}")
            codes.append((ended.exit_code, ended.error) if ended else None)
            if ended is not None and ended.exit_code == 0:
                break
        healed = ended is not None and ended.exit_code == 0
        self._check("R15", healed, f"not healed in {HEALING} runs: {codes}")
        return self._once_more() if healed else None

    def _once_more(self) -> None:
        """Run on a repaired tenant (R16)."""
        self._wait_for_lists()
        before = len(self.world.events)
        self._run("heal-3")
        requested = [
            event.request.method
            for event in self.world.events[before:]
            if "token" not in event.request.path
        ]
        pages = (
            -(
                -len(self.world.state.stored_rules)
                // self.world.profile.tenant.page_size
            )
            or 1
        )
        most = pages * 2 + 1
        self._check(
            "R16",
            set(requested) <= {"GET"},
            f"writes although all was well: {requested}",
        )
        self._check(
            "R16", len(requested) <= most, f"{len(requested)} reads, {most} are enough"
        )

    def _wait_for_lists(self) -> None:
        """If lists lag, run once more immediately, which must do no harm, and then let the lists
        catch up.

        If a user copied a rule that no list contains, the tool cannot know which one is the copy.
        """
        lag = self.world.profile.list_lag_seconds
        if lag and "clone" not in self.case.faults:
            self._run("at-once")
        self.world.fake_clock.seconds += lag

    def _run(self, name: str) -> ApplierResult | None:
        applier = self._applier(name)
        return asyncio.run(self.one(applier))

    def _refuse(self) -> None:
        """Check that a guard still refuses, and that nothing was written at any time (R8)."""
        ended = self._run("heal-1")
        self._check(
            "R8",
            ended is not None and ended.exit_code == 4,
            f"a guard should have refused: {ended}",
        )
        writes = [
            event
            for event in self.world.events
            if event.request.method != "GET" and "token" not in event.request.path
        ]
        self._check("R8", not writes, f"{len(writes)} writes although a guard refuses")

    def _counts(self, found: Violation) -> bool:
        """Return whether the run could know: it could not if others also write, or if lists are
        behind.

        While lists lag, more than two reads are needed to verify the result, and writes of another
        applier (or delayed requests) are invisible. An error of a list looks like a change by
        another sender.
        """
        lags = self.world.profile.list_lag_seconds > 0 and not found.message.startswith(
            "heal-"
        )
        remaining_items = len(self.wishes) > 1 or self.further > 0
        if found.invariant == "R18" and found.message.endswith("and is done"):
            return not (
                lags
                or remaining_items
                or any(lie in self.case.faults for lie in (":other", ":empty-list"))
            )
        if found.invariant == "R18" and "ended with 0, but" in found.message:
            if ":other" in self.case.faults and "is there twice" in found.message:
                return (
                    False  # the list showed an edited copy in the place of a duplicate
                )
            return not (
                lags
                and (
                    remaining_items
                    or any(unseen in self.case.faults for unseen in ("late", "clone"))
                )
            )
        return not (
            lags and found.invariant == "R16" and "requests, not" in found.message
        )

    def _check(self, invariant: str, holds: object, message: str) -> None:
        self.counts[invariant] += 1
        if not holds:
            self.violations.append(Violation(invariant, message))
