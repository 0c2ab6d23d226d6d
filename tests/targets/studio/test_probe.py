"""The probe finds the dialect that runs it, and the recipe has every part of the set-up."""

from __future__ import annotations

import pytest

from reconciler.core.target import NotStorableError
from reconciler.targets.studio.evaluate import FACTS, possible_dialects
from reconciler.targets.studio.language import parse_snippet
from reconciler.targets.studio.probe import format_recipe, parse_probe, probe_snippet
from tests.support.cases import each_case
from tests.support.studio_rules import LAYOUT, last_trace


def test_the_probe_finds_each_dialect() -> None:
    """Its last TRACE line, under each of the 16, rules the 15 others out."""
    for dialect in possible_dialects({}):
        facts = parse_probe(f"12:00 TRACE {last_trace(probe_snippet(), dialect)} ")
        assert set(facts) == set(FACTS)
        assert possible_dialects(facts) == (dialect,)


def test_a_fact_whose_tests_disagree_stays_unknown() -> None:
    """If `=` and `contains` differ, nothing is assumed."""
    assert parse_probe("cxr-probe:1111") == {
        "digitTextIsNumber": True,
        "mixedIsZero": True,
    }
    assert parse_probe("cxr-probe:3211") == {
        "caseSensitive": False,
        "trimsBlanks": True,
        "digitTextIsNumber": True,
        "mixedIsZero": True,
    }


@each_case(
    "line",
    [
        "",
        "cxr-probe:",
        "cxr-probe:000",
        "cxr-probe:00000",
        "0000",
        "cxr-probe:{cxr_case}",
        "cxr-probe:4000",
        "cxr-probe:0300",
        "cxr-probe:0020",
        "cxr-probe:0002",
    ],
)
def test_another_line_is_refused(line: str) -> None:
    """Also one with counts that the tests cannot have; the error says what to copy."""
    with pytest.raises(ValueError, match=r"copy (?:its last|the) line"):
        parse_probe(line)


def test_the_probe_uses_helper_variables_only() -> None:
    """It assigns nothing but variables of cxroute, and has about 30 lines."""
    text = probe_snippet()
    assert all(
        statement.text.startswith("cxr_")
        for statement in parse_snippet(text)
        if statement.kind == "assign"
    )
    assert text.count("\n") < 50
    assert not [
        statement for statement in parse_snippet(text) if statement.kind == "unknown"
    ]


def test_the_recipe_has_every_part_of_the_set_up() -> None:
    """A preset for each variable once, both marker lines, the skill's variable, and the probe."""
    text = format_recipe(LAYOUT, ["intent", "sure", "intent"])
    assert (
        text.count('ASSIGN intent = ""\n') == text.count('ASSIGN bot_sure = ""\n') == 1
    )
    for part in (
        f"{LAYOUT.begin}\n{LAYOUT.end}\n",
        "{cxr_skill}",
        "REQAGENT",
        probe_snippet(),
    ):
        assert part in text
    with pytest.raises(NotStorableError):
        format_recipe(LAYOUT, ["no variable"])
