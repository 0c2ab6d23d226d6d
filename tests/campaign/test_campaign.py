"""The campaign's share of `make test-all`: the same cases each time, every kind of fault and every
scenario among them.

`make campaign` runs all of them (docs/internals/campaign.md); the budget here is a minute on one core.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.campaign.cases import Case, CaseResult, Running, repeated, run_case
from tests.campaign.exhaustive import (
    chances,
    doubles,
    interleavings,
    is_transient,
    kind,
    requests,
    sampled,
    single_faults,
    turns,
)
from tests.campaign.scenarios import SCENARIOS, is_refused, scenario
from tests.campaign.scenarios_generated import KINDS, generated
from tests.campaign.shrink import REGRESSIONS, kept, pinned
from tests.tiers import FULL

PARTS: Final = 8
"""Tests that share the cases, for several cores."""

LISTED: Final = frozenset(
    {
        *(
            "rename",
            "queue",
            "swap of two",
            "swap of three",
            "intents swapped",
            "temporary copy",
            "fallback",
            "delete",
        ),
        *(
            "emptied",
            "refused",
            "split",
            "merge",
            "other ruleset",
            "names exchanged",
            "foreign name style",
            "clone",
        ),
        *(
            "foreign marker prefix",
            "other environment's marker",
            "marker in free text",
            "malformed marker",
        ),
        *(
            "duplicates",
            "leftover copy",
            "unknown fields",
            "opaque",
            "sizes",
            "unicode",
            "long names",
            "disabled",
        ),
        *("drift", "adopt", "weights", "thresholds", "ties", "create", "unchanged"),
    }
)
"""The required kinds of scenarios."""


def faults_of(place: int) -> list[Case]:
    """Return the single faults of a scenario, on one profile."""
    return [*single_faults([*SCENARIOS][place], "ABCDE"[place % 5])]


def broken(result: CaseResult) -> list[str]:
    return [
        f"{violation.invariant}: {violation.message}\n  {result.case}"
        for violation in result.violations
    ]


def all_broken(cases: Iterable[Case]) -> list[str]:
    return [text for case in cases for text in broken(run_case(case))]


@pytest.mark.fast_cases(6)
@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("profile", "ABCDE")
def test_a_run_without_faults_succeeds_on_every_profile(
    profile: str, name: str
) -> None:
    """A run without faults ends with 0, and with 4 if a guard refuses; a further one writes
    nothing.
    """
    result = run_case(Case(name, profile))
    assert [] == broken(result)
    assert [4 if is_refused(SCENARIOS[name]) else 0] == [
        item.exit_code if item else None for item in result.ended
    ]


@pytest.mark.slow
@pytest.mark.parametrize("profile", "ABCDE")
def test_a_reviewed_plan_continues_after_edits_without_effect_on_routes(
    profile: str,
) -> None:
    """Another user edits the description of a rule before any request: each run ends with 0."""
    requested = range(1, len(requests("reviewed", profile)) + 1)
    results = [
        run_case(Case("reviewed", profile, f"human-describe@#{number}"))
        for number in requested
    ]
    assert [] == [text for result in results for text in broken(result)]
    assert [] == [
        str(result.case) for result in results if not result.same_run_converged
    ]


@pytest.mark.slow
@pytest.mark.parametrize("profile", "ABCDE")
def test_teams_apply_reviewed_plans_in_parallel(profile: str) -> None:
    """Three owners with disjoint intents, request by request in random order: every run of every
    team ends with 0.
    """
    results = [
        run_case(Case("reviewed-teams", profile, schedule=f"teams:{seed}"))
        for seed in range(4)
    ]
    assert [] == [text for result in results for text in broken(result)]
    assert [0] * 12 == [
        ended.exit_code if ended else None
        for result in results
        for ended in result.ended
    ]


@pytest.mark.slow
@pytest.mark.parametrize("profile", "ABCDE")
def test_a_reviewed_plan_stops_if_it_would_move_more(profile: str) -> None:
    """A rule that hid a planned one is moved behind it: after the read that shows it nothing is
    written (R9).
    """
    requested = range(1, len(requests("reviewed-hidden", profile)) + 1)
    results = [
        run_case(Case("reviewed-hidden", profile, f"human-foreign@#{number}"))
        for number in requested
    ]
    assert [] == [text for result in results for text in broken(result)]
    codes = [
        ended.exit_code if ended else None
        for result in results
        for ended in result.ended
    ]
    # where lists lag, it is seen before the first write, and after the first read
    assert {0, 4, 5} == {*codes} - {1}
    assert all(result.counts["R9"] for result in results)


def test_named_scenarios_are_of_every_kind() -> None:
    """There are at least 40 scenarios, with each kind among them."""
    assert len(SCENARIOS) >= 40
    assert set() == LISTED - {
        kind for scenario in SCENARIOS.values() for kind in scenario.kinds
    }


@pytest.mark.slow
def test_generated_scenarios_are_of_every_kind() -> None:
    """Of a thousand generated scenarios each kind is in at least 5 %; few conversations are
    watched.
    """
    actual = [generated(seed) for seed in range(1000)]
    counts = Counter(kind for item in actual for kind in item.kinds)
    assert {} == {kind: counts[kind] for kind in KINDS if counts[kind] < 50}
    assert max(len(item.conversations) for item in (*actual, *SCENARIOS.values())) <= 40


def test_a_seed_repeats_its_generated_scenario() -> None:
    """Only the seed decides."""
    assert [generated(seed) for seed in range(20)] == [
        generated(seed) for seed in range(20)
    ]


@pytest.mark.slow
def test_generated_scenarios_succeed_without_faults() -> None:
    """A run of a generated scenario ends with 0, on each profile in turn."""
    results = [
        run_case(Case(f"generated-{seed}", "ABCDE"[seed % 5])) for seed in range(40)
    ]
    assert [] == [text for result in results for text in broken(result)]
    assert [] == [
        str(result.case) for result in results if not result.same_run_converged
    ]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_single_faults(part: int) -> None:
    """Any one fault at any request: no promise is broken; a transient one does not stop the run."""
    places = range(part, len(SCENARIOS), PARTS)
    results = [
        run_case(case)
        for place in places
        for case in Random(place).sample(faults_of(place), 3)
    ]
    assert [] == [text for result in results for text in broken(result)]
    missed = [
        str(result.case)
        for result in results
        if is_transient(result.case)
        and not is_refused(scenario(result.case.scenario))
        and not result.same_run_converged
    ]
    assert [] == missed


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_two_interleaved_appliers(part: int) -> None:
    """A second applier, of this or another manifest, runs completely before or after any request
    (R19).
    """
    assert [] == all_broken(islice(sampled(interleavings(), 125), part, None, PARTS))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_appliers_in_random_turns(part: int) -> None:
    """Two and three parallel appliers, request by request in random order (R19)."""
    assert [] == all_broken(islice(turns(7), 25 * part, 25 * part + 8))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_two_faults_in_one_run(part: int) -> None:
    """Two accidents at any two requests."""
    assert [] == all_broken(islice(doubles(7), 25 * part, 25 * part + 10))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_random_faults(part: int) -> None:
    """Generated scenarios with random faults, on every profile."""
    # A seed for each: to pass over cases takes as long as to run them.
    assert [] == all_broken(islice(chances(7 + part), 8))


@pytest.mark.slow
def test_a_case_repeats_its_run() -> None:
    """The same case has the same requests and responses, with any random faults (R22)."""
    cases = [*islice(chances(3), 6), *islice(turns(3), 6)]
    assert [] == [
        text
        for case in cases
        for text in broken(repeated(case))
        if text.startswith("R22")
    ]


@pytest.mark.parametrize(
    "path", sorted(REGRESSIONS.glob("*.json")), ids=lambda path: path.stem
)
def test_a_case_that_failed_once_is_kept(path: Path) -> None:
    """A case that once broke a promise breaks none."""
    assert [] == broken(run_case(kept(path)))


@pytest.mark.slow
def test_a_case_is_one_line() -> None:
    """A case is written as a line, and read back equal."""
    cases = [
        *islice(single_faults("intents-swapped", "C"), 900),
        *islice(doubles(1), 50),
        *islice(turns(1), 50),
    ]
    cases.append(Case("as-it-is", "A", "", 2, "", ("id-x", "cards/x")))
    assert cases == [Case.parse(str(case)) for case in cases]


@pytest.mark.campaign
def test_every_kind_of_fault_occurs() -> None:
    """Each kind of single fault occurs somewhere, and a run with one breaks no promise (every third
    in this test).
    """
    cases = {
        kind(case): case for place in range(len(SCENARIOS)) for case in faults_of(place)
    }
    assert len(cases) > 80
    assert [] == [name for name, case in cases.items() if not _falls(name, case)]
    assert [] == all_broken(list(cases.values())[:: 1 if FULL else 3])


def _falls(name: str, first: Case) -> bool:
    """Return whether the fault occurs in some case of its kind; not every case has a request for
    it.
    """
    if Running(first).inject():
        return True
    return any(
        Running(case).inject()
        for case in single_faults("all-at-once", "C")
        if kind(case) == name
    )


@pytest.mark.slow
def test_random_faults_can_be_pinned() -> None:
    """Random faults occur again if their places are named, and the rest is the same.

    The rule that a user edits may differ: it is also random, and fewer random numbers are drawn.
    """
    lots = ("edit", "remove", "clone", "human")
    cases = [
        case
        for case in islice(chances(5), 20)
        if not any(lot in case.faults for lot in lots)
    ]
    assert len(cases) > 5
    for case in cases:
        first = Running(case)
        second = Running(pinned(case))
        first.inject()
        second.inject()
        assert "@0." not in second.case.faults
        assert [event.request.path for event in first.world.events] == [
            event.request.path for event in second.world.events
        ]
