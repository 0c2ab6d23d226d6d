"""Odd live rules stop no command: no exception, and only the rule that cannot be written is left
out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.cli.output import Output
from reconciler.core.errors import CxrouteError
from tests.support.odd_rules import UNKNOWN, UNKNOWN_TEXT, asks, odd_rules, rule
from tests.support.program import Program, write

MANIFESTS = """\
apiVersion: routing/v1
kind: RuleSet
name: r
rules:
- {key: a, intent: x, queue: Q1, priority: 5}
- {key: b, intent: y, minConfidence: 0.5, targets: [{queue: Q1, weight: 2}, {queue: Q2, weight: 1}]}
---
apiVersion: routing/v1
kind: Queues
name: q
queues: {Q1: One, Q2: Two}
---
apiVersion: routing/v1
kind: RouteTests
name: t
tests:
- {given: {intent: x}, expect: {queue: Q1}}
"""
QUEUES = [{"id": "q1", "name": "One"}, {"id": "q2", "name": "Two"}]
OFFLINE = (
    ("plan", "-e", "sandbox", "--live", "live.json"),
    ("plan", "-e", "sandbox", "--live", "live.json", "--format", "json"),
    ("plan", "-e", "sandbox", "--live", "live.json", "--format", "markdown"),
    ("plan", "-e", "sandbox", "--live", "live.json", "--report", "report"),
    ("plan", "-e", "sandbox", "--live", "live.json", "--adopt"),
    ("export", "-e", "sandbox", "--live", "live.json", "--all"),
    ("diff", "live.json", "none.json"),
    ("diff", "none.json", "live.json", "--format", "json"),
)
SANDBOX = (
    ("plan", "-e", "sandbox", "--format", "html"),
    ("drift", "-e", "sandbox"),
    ("drift", "-e", "sandbox", "--format", "json"),
    ("drift", "-e", "sandbox", "--format", "markdown"),
    ("explain", "-e", "sandbox", "--live", "--intent", "x", "--confidence", "0.7"),
    ("explain", "-e", "sandbox", "--live", "--intent", "x", "--format", "json"),
    ("test", "-e", "sandbox", "--live"),
    ("test", "-e", "sandbox", "--live", "--format", "json"),
    ("diff", "live:sandbox", "manifests:sandbox"),
    ("export", "-e", "sandbox", "--all", "--into", "out/"),
)
EXPECTED = {0, 2, 3, 4}
"""Success, changes, a failed route test, a refusal by a guard: each is a result, not an error."""
RULES = dict(odd_rules())
SMALL = {subject: form for subject, form in RULES.items() if "longest" not in subject}
GROUP = 120


@pytest.fixture
def program(cxroute: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the program with these manifests; an internal error is raised."""

    def raised(_output: Output, bug: Exception) -> CxrouteError:
        raise AssertionError(type(bug).__name__) from bug

    monkeypatch.setattr(Output, "bug", raised)
    write("a.yaml", MANIFESTS)
    Path("none.json").write_text("[]", encoding="utf-8")
    Path(".cxroute").mkdir()
    return cxroute


def live(rules: Iterable[dict[str, Any]]) -> None:
    """Put rules into a file and into the sandbox, which accepts no half surrogate pairs."""
    actual = list(rules)
    document = {"queues": QUEUES, "rules": actual}
    Path("live.json").write_text(json.dumps(document), encoding="utf-8")
    complete = [
        form
        for form in actual
        if r"\ud" not in json.dumps(form).replace(r"\ud83d\ud", "")
    ]
    Path(".cxroute/sandbox.json").write_text(
        json.dumps({**document, "rules": complete, "contexts": {}}), encoding="utf-8"
    )
    for path in Path().glob("out/*"):
        path.unlink()


def ours(rules: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add markers to the rules: the first is a rule of the manifests, the others will be
    deleted.
    """
    return [
        {
            **form,
            "description": f"{form.get('description') or ''}\n[cxroute:sandbox/r/{key}#01234567]",
        }
        for key, form in zip(
            ["a", "b", *(f"gone{number}" for number in range(len(SMALL)))],
            rules,
            strict=False,
        )
    ]


def endure(
    program: Program, commands: Iterable[tuple[str, ...]] = (*OFFLINE, *SANDBOX)
) -> None:
    for command in commands:
        assert program(*command) in EXPECTED, (command, program.err[-500:])


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, len(SMALL), GROUP))
@pytest.mark.parametrize("whose", [list, ours])
def test_no_command_raises_for_any_odd_rule(
    start: int, whose: Any, program: Program
) -> None:
    """Numbers, texts and parts of every odd kind, as unmanaged and managed rules: each command
    returns a result.
    """
    live(whose(list(SMALL.values())[start : start + GROUP]))
    endure(program)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**450), 10**450)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["__proto__", "", UNKNOWN_TEXT, "0.5", "true"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
ATTRIBUTES = VALUES | st.sampled_from(
    ["intent", "confidence", UNKNOWN_TEXT, "__proto__"]
)
OPERATORS = VALUES | st.sampled_from(
    ["equals", "in", "notIn", "between", "contains", "exists", "lessThan", "notEquals"]
)
PARTS = st.lists(
    st.builds(asks, ATTRIBUTES, OPERATORS, VALUES)
    | st.just(UNKNOWN)
    | st.dictionaries(st.text(max_size=4), VALUES),
    max_size=4,
)
ODD = st.builds(
    lambda number, text, priority, conditions, targets, further: rule(
        f"{text}{number}",
        priority=priority,
        conditions=conditions,
        targets=targets,
        **{f"x{key}": further for key in text},
    ),
    st.integers(0, 10**6),
    st.text(max_size=5),
    st.integers(-(10**450), 10**450) | st.floats(allow_nan=False, allow_infinity=False),
    PARTS,
    st.lists(
        st.fixed_dictionaries(
            {
                "type": st.just("queue"),
                "queueId": VALUES | st.sampled_from(["q1", "q2"]),
            },
            optional={"weight": VALUES},
        )
        | st.dictionaries(st.text(max_size=4), VALUES),
        max_size=4,
    ),
    VALUES,
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(ODD, min_size=1, max_size=6, unique_by=lambda form: form["name"]))
def test_no_command_raises_for_any_mixture(
    program: Program, rules: list[dict[str, Any]]
) -> None:
    """Rules of random parts, some of them managed: each offline command returns a result."""
    live(
        [
            {**form, "id": str(number)}
            for number, form in enumerate([*ours(rules[:1]), *rules[1:]])
        ]
    )
    endure(program, OFFLINE)


def test_only_a_rule_that_cannot_be_written_is_left_out(program: Program) -> None:
    """Long numbers and texts, half a surrogate pair: `export --all` writes the other rule, and
    names each of these.
    """
    odd = {
        "number": rule(
            "number", conditions=[asks("confidence", "equals", int("7" * 500))]
        ),
        "weight": rule(
            "weight",
            targets=[{"type": "queue", "queueId": "q1", "weight": int("7" * 500)}],
        ),
        "priority": rule("priority", priority=10**400),
        "text": rule("text", conditions=[asks("intent", "equals", "x" * 6_000_000)]),
        "description": rule("description", description="x" * 6_000_000),
        "half": rule("half", description="\ud800"),
    }
    live([*odd.values(), rule("fine", conditions=[asks("intent", "equals", "fine")])])
    assert 0 == program("export", "-e", "sandbox", "--live", "live.json", "--all")
    assert "name: fine" in program.out
    assert [f'"{name}"' for name in sorted(odd)] == sorted(
        line.split()[2]
        for line in program.err.splitlines()
        if line.startswith("warning: skipped: ")
    )


def test_an_attribute_named_like_an_unknown_condition_is_separate(
    program: Program,
) -> None:
    """A condition that is not understood, and an attribute whose name is the JSON of that
    condition.
    """
    live(
        [rule("both", conditions=[UNKNOWN, asks(UNKNOWN_TEXT, "equals", "x"), asks()])]
    )
    endure(program)
