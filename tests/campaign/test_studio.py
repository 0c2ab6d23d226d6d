"""Rules in a Studio script under faults: the share of `make test-all`, and the deliberate bugs.

`make campaign` runs all cases (docs/internals/campaign.md); the budget here is half a minute on one core.
"""

from __future__ import annotations

from itertools import islice
from random import Random
from typing import Final

import pytest

from tests.campaign.studio_cases import (
    APPLIED,
    LASTING,
    LATE,
    PEOPLE,
    PROCESSES,
    RESPONSES,
    TRANSIENT,
    StudioCase,
    accidents,
    fault_free,
    is_transient,
    lasting,
    pairs,
    run_case,
    single_faults,
)
from tests.campaign.studio_figures import broken_by
from tests.campaign.studio_mutants import BUGS
from tests.campaign.studio_scenarios import SCENARIOS

CAUGHT: Final = {
    "saves what it read first": {"studio changes | outside@#9 | open": "S1"},
    "block not compared": {"studio drift | other@#11 | open": "S7"},
    "a conflict is overwritten": {"studio changes | other@#11 | open": "S7"},
    "no unlock after an error": {"studio first | cancel@#10 | open": "S4"},
    "no lock": {"studio drift | outside@#11 | binds": "S2"},
    "kicks another user": {"studio first | lock@#9 | open": "S6"},
    "a lost unlock is not reported": {"studio first | :403@#14 | open": "S4"},
    "the script is encoded again": {"studio first | | open": "S1"},
    "line feeds in a CRLF script": {"studio first | | open": "S1"},
    "a save waits and is repeated": {"studio first | :429=60@#12 | open": "S2"},
    "a lost save is repeated without a read": {
        "studio first | :reset-applied@#12 | open": "S2"
    },
    "a CASE of a person is dropped": {"studio changes | case@#2 | open": "S7"},
    "rules in the order of their names": {"studio changes | | open": "S3"},
    "each rule is written again": {"studio changes | | open": "S5"},
    "nothing is recorded": {"studio changes | | open": "S7"},
    "everything is reported as applied": {"studio changes | signal@#10 | open": "S8"},
    "always converged": {"studio changes | signal@#10 | open": "S8"},
    "no read after the save": {"studio changes | :reset@#12 | open": "S8"},
    "one save for each change": {"studio changes | | open": "S6"},
    "saves without a limit": {"studio drift | POST script:html | open": "S6"},
    "texts of the tenant as they are": {"studio changes | unlike@#12 | open": "S9"},
}
"""Each bug, the case that catches it, and the promise that it finds broken."""
PARTS: Final = 4
REGRESSIONS: Final = (
    # the second save was made over a CASE of a person
    "studio odd-script | case@#12,:500@#12 | open",
    # a lock remained, and the run did not say so
    "studio reviewed | :timeout-applied@#9,:405@#10,:405@#17 | open",
    "studio first | :429=60@#12 | open",  # the save was repeated without a read
    "studio first | :403@#14 | open",  # the lock remained, and the run did not say so
)


def all_broken(*cases: StudioCase) -> list[str]:
    """Return what is broken; a single transient fault must not stop a run either."""
    texts: list[str] = []
    for case in cases:
        result = run_case(case)
        texts += [
            f"{promise}: {message}\n  {case}" for promise, message in result.broken
        ]
        if is_transient(case) and result.happened and not result.is_same_run:
            texts.append(f"not converged\n  {case}")
    return texts


def sampled(cases: list[StudioCase], part: int, count: int) -> list[StudioCase]:
    return Random(part).sample(cases[part::PARTS], count)


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("case", [*fault_free()], ids=str)
def test_a_run_without_faults_is_one_save(case: StudioCase) -> None:
    """It ends with 0, saves once if there is a change, and the next run saves nothing."""
    result = run_case(case)
    assert [] == result.broken
    assert [0] == [ended and ended.exit_code for ended in result.results]
    saves = sum(call.is_save for call in result.calls)
    assert (case.scenario != "no-change") == saves


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("number", range(1, 15))
def test_a_killed_or_disturbed_run_keeps_every_promise(number: int) -> None:
    """At each request of a run in turn: it dies, a person saves, another run comes."""
    names = (*PEOPLE, *PROCESSES)
    picked = [names[(number * 3 + step) % len(names)] for step in range(3)]
    locks = ("open", "binds")
    cases = [
        StudioCase("changes", f"{name}@#{number}", locks[number % 2]) for name in picked
    ]
    assert [] == all_broken(*cases)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_single_faults(part: int) -> None:
    """Any one fault at any request breaks no promise, and a transient one does not stop the run."""
    assert [] == all_broken(*sampled([*single_faults()], part, 30))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_accidents_at_any_request(part: int) -> None:
    """Persons, other runs, signals and the death of the process, where locks bind and where they do
    not.
    """
    assert [] == all_broken(*sampled([*accidents()], part, 30))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_outages_and_pairs_of_faults(part: int) -> None:
    """A fault that lasts, and two or three at random requests."""
    assert [] == all_broken(
        *sampled([*lasting()], part, 10), *islice(pairs(part + 7, 30), 15)
    )


@pytest.mark.parametrize("line", REGRESSIONS)
def test_a_case_that_failed_once_is_kept(line: str) -> None:
    """A case that once broke a promise breaks none."""
    assert [] == all_broken(StudioCase.parse(line))


@pytest.mark.campaign
def test_every_kind_of_fault_happens() -> None:
    """At the save, or for a person's lock at that of the run; or else no promise is tested with
    it.
    """
    kinds = [f":{fault}" for fault in (*TRANSIENT, *LASTING, *APPLIED, *LATE)] + [
        *PEOPLE,
        *PROCESSES,
        *RESPONSES,
    ]
    cases = {
        kind: StudioCase("changes", f"{kind}@#{9 if kind == 'lock' else 12}")
        for kind in kinds
    }
    assert [] == [kind for kind, case in cases.items() if not run_case(case).happened]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bug", "line"), [(bug, line) for bug, lines in CAUGHT.items() for line in lines]
)
def test_a_bug_is_caught_and_the_tool_passes(bug: str, line: str) -> None:
    """By the promise that it breaks; without the bug the same case breaks none."""
    case = StudioCase.parse(line)
    assert frozenset() == broken_by("", case)
    assert CAUGHT[bug][line] in broken_by(bug, case)


def test_each_bug_has_its_case() -> None:
    """None is left out."""
    assert {*BUGS} == {*CAUGHT}


@pytest.mark.slow
def test_a_case_is_one_line() -> None:
    """It is written as a line, and read back equal."""
    cases = [*islice(accidents(), 100), *pairs(1, 50)]
    assert cases == [StudioCase.parse(str(case)) for case in cases]


@pytest.mark.slow
def test_a_case_repeats_its_run() -> None:
    """The same case gives the same requests."""
    for case in pairs(3, 10):
        first = run_case(case)
        second = run_case(case)
        assert [call.request for call in first.calls] == [
            call.request for call in second.calls
        ]
        assert first.outputs == second.outputs


@pytest.mark.slow
def test_the_scenarios_cover_what_a_script_can_be() -> None:
    """Line ends of both kinds, a script of many actions, a block of more than 32 KB, a reviewed
    plan, an edit.
    """
    scenarios = SCENARIOS.values()
    assert {"\n", "\r\n"} == {scenario.newline for scenario in scenarios}
    assert any(scenario.is_reviewed for scenario in scenarios)
    assert any(scenario.drift for scenario in scenarios)
    assert max(scenario.actions for scenario in scenarios) >= 50
    sizes = [
        len(call.request.body)
        for call in run_case(StudioCase("big")).calls
        if call.is_save
    ]
    assert [True] == [size > 32_768 for size in sizes]
