"""A hand-written snippet as rules: they route as the snippet does, or each line that rules cannot
say is named.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from itertools import product
from typing import Any

import pytest

from reconciler.core.behaviour.evaluate import route_conversation
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.errors import CxrouteError
from reconciler.core.model.rule import Condition, Target
from reconciler.targets.studio.build import build_block
from reconciler.targets.studio.evaluate import possible_dialects, run_snippet
from reconciler.targets.studio.language import parse_snippet
from reconciler.targets.studio.layout import BlockLayout
from reconciler.targets.studio.read import ImportedSnippet
from tests.support import studio_rules
from tests.support.cases import each_case
from tests.tiers import FULL

LAYOUT = BlockLayout(
    owner="acme", block="main", variables={"cognigyDetectedIntent": "intent"}
)
INTENT = "cognigyDetectedIntent"


def imported(text: str) -> ImportedSnippet:
    return ImportedSnippet(text, LAYOUT)


def converted(text: str) -> list[tuple[dict[str, Any], dict[str, int]]]:
    """Return each rule: its conditions by attribute and operator, and its shares."""
    actual: list[tuple[dict[str, Any], dict[str, int]]] = []
    for rule in imported(text).rules:
        parts = [part for part in rule.conditions if isinstance(part, Condition)]
        tests = {f"{part.attribute} {part.operator}": part.value for part in parts}
        targets = [part for part in rule.targets if isinstance(part, Target)]
        actual.append((tests, {part.queue_id: int(part.weight) for part in targets}))
    return actual


def problems(text: str) -> list[tuple[int, str]]:
    with pytest.raises(CxrouteError) as error:
        imported(text)
    return [
        (int(line), message)
        for line, message in re.findall(r"\n  line ([0-9]+): (.*)", str(error.value))
    ]


@each_case(
    "condition, rules",
    [
        ('intent = "a"', [{f"{INTENT} equals": "a"}]),
        (
            '( INTENT = "a" ) | ( intent = "b" ) | ( intent = "a" )',
            [{f"{INTENT} in": ("a", "b")}],
        ),
        ('intent = "a"\nCASE intent = "b"', [{f"{INTENT} in": ("a", "b")}]),
        (
            '( intent = "a" ) & ( tier = "g" )',
            [{f"{INTENT} equals": "a", "tier equals": "g"}],
        ),
        (
            '( intent = "a" ) | ( tier = "g" )',
            [{f"{INTENT} equals": "a"}, {"tier equals": "g"}],
        ),
        ('tier != "g"', [{"tier notEquals": "g"}, {"tier notExists": None}]),
        ('( tier = "g" ) = 0', [{"tier notEquals": "g"}, {"tier notExists": None}]),
        ('( tier > "" ) & ( ( tier = "g" ) = 0 )', [{"tier notEquals": "g"}]),
        ('tier = ""', [{"tier notExists": None}]),
        ('tier != ""', [{"tier exists": None}]),
        ('tier.contains("g")', [{"tier contains": "g"}]),
        ('( tier > "" ) & ( tier.BeginsWith("g") = 0 )', [{"tier notStartsWith": "g"}]),
        ("score >= 0.7", [{"score greaterThanOrEqual": 0.7}]),
        ("score > ( 0 - 5 )", [{"score greaterThan": -5}, {"score notExists": None}]),
        ("score < 0.7", [{"score lessThan": 0.7}, {"score notExists": None}]),
        (
            "( score > 0 ) & ( score < 5 )",
            [{"score greaterThan": 0, "score lessThan": 5}],
        ),
        ("1 = 1", [{}]),
    ],
)
def test_a_condition_becomes_the_rules_that_say_the_same(
    condition: str, rules: list[dict[str, Any]]
) -> None:
    """OR over one variable is a list, over several it is several rules; what holds without a value
    is a rule, too.
    """
    text = f"SELECT {{ CASE {condition} {{ skill = 4001 }} }}"
    assert [(each, {"4001": 1}) for each in rules] == converted(text)


def test_helper_variables_are_followed_and_switch_compares_with_literals() -> None:
    """The text of a variable stands for it; names are not case-sensitive; DEFAULT is last, wherever
    it stands.
    """
    head = 'ASSIGN x$ = "{Intent}"\nskill = ""\n'
    text = (
        head + 'SWITCH X$ { DEFAULT { skill = 1 } CASE "a"\nCASE "b" { SKILL = 4002 } }'
    )
    assert [({f"{INTENT} in": ("a", "b")}, {"4002": 1}), ({}, {"1": 1})] == converted(
        text
    )


def test_a_split_by_contact_becomes_weights() -> None:
    """Remainders of ContactID become percents; a part without a skill is an error."""
    head = 'p = ContactID % 100\nSELECT { CASE tier = "g" { IF p < 30 { s = 6 } '
    nested = f"{head} ELSE {{ IF p < 80 {{ s = 7 }} ELSE {{ s = 8 }} }} }} }}"
    assert [({"tier equals": "g"}, {"6": 30, "7": 50, "8": 20})] == converted(nested)
    assert [2] == [line for line, _ in problems(f"{head} }} }}")]


def test_a_branch_without_a_skill_is_an_error_but_at_the_end() -> None:
    """DEFAULT without a skill is the default routing; a CASE would lose its conversations to the
    rules behind it.
    """
    last = 'SELECT {\nCASE tier = "g" { s = 2 }\nDEFAULT { x = 1 }\n}'
    assert [({"tier equals": "g"}, {"2": 1})] == converted(last)
    ((line, message),) = problems(
        'SELECT {\nCASE tier = "g" { s = 2 }\nCASE lang = "p" { x = "1" }\n}'
    )
    needed = "write `ASSIGN s = NUMBER`, the number of the skill of its conversations"
    assert (line, message) == (
        3,
        f"this CASE lacks an assignment of the skill: {needed}",
    )


def test_a_second_decision_is_named_with_the_line_of_the_first() -> None:
    """Another statement that assigns the skill is shown as it is."""
    second = 'SELECT {\nCASE tier = "g" { s = 2 }\n}\nSWITCH lang { CASE "p" { s = 3 } }\ns = 4'
    expected = [
        (4, "a second SWITCH, beside the SELECT of line 1: write both as one"),
        (5, "cannot be a rule: s = 4"),
    ]
    assert expected == problems(second)


@each_case(
    "statement, line, part",
    [
        ('} FOR i = 1 TO 3 { s = 4 } IF a = "1" {', 2, "FOR i = 1 TO 3"),
        ("}\nGOSUB other\nIF a = 1 {", 3, "GOSUB other"),
        ('}\nIF intent = "x" { s = 4 } IF a = 1 {', 3, "IF intent"),
        ("} s = 5\nIF a = 1 {", 2, "s = 5"),
        ('} SELECT { CASE intent = "x" { s = 4 } ', 2, "SELECT"),
        ('CASE intent.endswith("x") { s = 4 }', 2, "intent.endswith"),
        ("CASE intent.length() > 3 { s = 4 }", 2, "intent . length"),
        ("CASE ( score * 2 ) > 3 { s = 4 }", 2, "score * 2"),
        ("CASE score + 2 { s = 4 }", 2, "score + 2"),
        ("CASE ( score > 2 ) ~ ( score < 1 ) { s = 4 }", 2, "~"),
        ('CASE intent > "m" { s = 4 }', 2, "intent >"),
        ('CASE intent = "5" { s = 4 }', 2, 'intent = "5"'),
        ("CASE score$ > 3 { s = 4 }", 2, "score$"),
        ("CASE flag { s = 4 }", 2, "flag"),
        (
            'CASE lang = "x" & intent = "y" | intent = "z" { s = 4 }',
            2,
            '& intent = "y" |',
        ),
        (f"CASE 1 < {'9' * 5000} {{ s = 4 }}", 2, "1 < 9"),
        ("CASE o.member = 1 { s = 4 }", 2, "o . member"),
        ("CASE s = 4001 { s = 4 }", 2, "s"),
        ("CASE ContactID > 4 { s = 4 }", 2, "ContactID"),
        ('CASE lang = "x" { s = other }', 2, "s = other"),
        ('CASE lang = "x" {\ns = s + 1 }', 3, "s = s + 1"),
        ('CASE lang = "x" {\ns = 1\ns = 2 }', 4, "s = 2"),
        ('CASE lang = "x" { IF lang = "y" { s = 1 } ELSE { s = 3 } }', 2, "IF lang"),
        ('CASE $"a" = lang { s = 1 }', 2, "$"),
        ("DEFAULT { s = 4 }\nDEFAULT { s = 5 }", 3, "DEFAULT"),
        ('CASE lang = "a b{x}" { s = 1 }', 2, "{x}"),
        ('CASE changed = "en" { s = 5 }', 2, "changed"),
        ('CASE changed.contains("en") { s = 5 }', 2, "changed"),
        ('CASE copy$ = "en" { s = 5 }', 2, "changed"),
        ('CASE later$ = "en" { s = 5 }\n}\nlater$ = "{lang}"\nIF a = 1 {', 2, "later$"),
    ],
)
def test_what_rules_cannot_say_is_named_with_its_line(
    statement: str, line: int, part: str
) -> None:
    """Loops, calls, arithmetic, unknown methods, and variables that the snippet assigns are never
    left out.
    """
    head = 'SELECT { CASE tier = "g" { s = 4001 }'
    before = 'changed = "x{lang}"\ncopy$ = "{changed}"\n'
    actual = problems(f"{before}{head}\n{statement}\n}}")
    assert [line + 2] == [each for each, _ in actual], actual
    assert part in actual[0][1].replace('\\"', '"')


@pytest.mark.parametrize("empty", ['""', "0"])
def test_a_skill_that_is_emptied_after_the_decision_is_refused(empty: str) -> None:
    """The snippet sends every conversation to the default routing; rules with these queues would
    send it elsewhere.
    """
    decision = 'SELECT { CASE tier = "g" { skill = 4001 } DEFAULT { skill = 4002 } }'
    before = f"skill = {empty}\n{decision}"
    assert 2 == len(converted(before))
    for after in (
        f"{decision}\nskill = {empty}",
        f'{decision}\nIF tier = "x" {{ skill = {empty} }}',
    ):
        ((line, message),) = problems(after)
        assert 2 == line, message
        assert f"skill = {empty}" in message


def test_all_problems_are_named_at_once() -> None:
    """Each line is listed, in order; both of a branch's, too."""
    text = "\n".join(
        [
            "SELECT {",
            *(f"CASE x.f{n}() {{ s = {n} }}" for n in range(3)),
            "CASE a { s = b }",
            "}",
            "GOSUB a",
        ]
    )
    assert [2, 3, 4, 5, 5, 7] == [line for line, _ in problems(text)]


def test_what_is_not_in_the_rules_is_noted() -> None:
    """Other variables are noted with their lines, and so is a CASE that nothing reaches; helpers
    are not.
    """
    text = 'x$ = "{lang}"\nSELECT {\nCASE x$ = "a" { skill = 4001\nprio = 5\ncxr_rule = "a/b" }\n'
    text += 'CASE ( tier = "a" ) & ( tier = "" ) { skill = 4002 }\n}\nmusic = "jazz"'
    actual = imported(text)
    assert ("skill", 1) == (actual.skill, len(actual.rules))
    assert [
        "line 4: rules do not assign prio",
        "line 6: no conversation meets",
        "line 8: rules do not assign music",
    ] == [note.split(" this")[0].split(": keep")[0] for note in actual.notes]


def test_comments_beside_skills_and_above_cases_are_names_of_queues() -> None:
    """The comment beside the skill comes before the one above the CASE; the first of a queue
    stays.
    """
    text = 'SELECT {\n// Lost\nCASE a = "x"\n{\ns = 1 // Fraud desk\n}\n// Cards\nCASE a = "y" { s = 2 }\n'
    text += '// Other\nCASE a = "z" { s = 2 }\n}'
    assert {"1": "Fraud desk", "2": "Cards"} == imported(text).queue_names


def _expression(draw: random.Random, depth: int) -> str:
    """Return a condition on two variables that hold texts, and on two that hold numbers."""
    if depth and draw.random() < 0.5:
        symbol = draw.choice("&|")
        return f" {symbol} ".join(
            f"( {_expression(draw, depth - 1)} )" for _ in range(draw.randint(2, 3))
        )
    if draw.random() < 0.3:
        return (
            f"{draw.choice(('score', 'age'))} {draw.choice(('<', '<=', '>', '>=', '=', '!='))} "
            f"{draw.choice((1, 2.5))}"
        )
    name = draw.choice(("lang", "tier", "tier$"))
    kinds = [
        f'{name} = "{draw.choice(("a", "b", "ab", ""))}"',
        f'{name} > ""',
        f'( {name} = "b" ) = 0',
    ]
    kinds += (
        []
        if name == "tier$"
        else [f'{name}.contains("b")', f'{name}.beginswith("a") = 0', f'{name} != "a"']
    )
    return draw.choice(kinds)


def _snippet(draw: random.Random) -> str:
    skills = [f"skill = {number}" for number in range(4001, 4005)]
    bodies = [*skills, "IF p < 40 { skill = 4001 } ELSE { skill = 4002 }"]
    cases = [
        f"CASE {_expression(draw, 2)}\n{{ {draw.choice(bodies)} }}\n"
        for _ in range(draw.randint(1, 4))
    ]
    ending = f"DEFAULT {{ {draw.choice(bodies)} }}\n" if draw.random() < 0.5 else ""
    return f'tier$ = "{{tier}}"\np = ContactID % 100\nSELECT\n{{\n{"".join(cases)}{ending}}}\n'


def _conversation(draw: random.Random) -> dict[str, Any]:
    texts = {
        name: draw.choice(("a", "b", "ab", "c", None)) for name in ("lang", "tier")
    }
    numbers = {
        name: draw.choice((0.5, 1, 2, 2.5, 3, None)) for name in ("score", "age")
    }
    return {
        name: value for name, value in {**texts, **numbers}.items() if value is not None
    }


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("seed", range(100 if FULL else 4))
def test_rules_of_random_snippets_decide_as_the_snippets(seed: int) -> None:
    """In every dialect, every conversation gets the skill of the snippet; its values have the types
    of the tests.
    """
    draw = random.Random(seed)
    count = 0
    for _ in range(8):
        text = _snippet(draw)
        statements = parse_snippet(text)
        try:
            rules = imported(text).rules
        except (
            CxrouteError
        ):  # a negation of several conditions; most snippets have none
            continue
        count += 1
        entries = [
            RoutingEntry(name=str(at), rule=rule) for at, rule in enumerate(rules)
        ]
        for conversation in [_conversation(draw) for _ in range(5)]:
            winner = route_conversation(entries, conversation).winner
            targets = (
                [part for part in winner.rule.targets if isinstance(part, Target)]
                if winner
                else []
            )
            expected = {part.queue_id: part.weight for part in targets}
            if len(targets) == 1:
                expected = {targets[0].queue_id: 100}
            for dialect in possible_dialects({}):
                runs = [
                    run_snippet(statements, conversation, dialect, contact)
                    for contact in range(0, 100, 20)
                ]
                skills = Counter(str(run.get("skill", "")) for run in runs)
                assert (expected or {"": 100}) == {
                    each: 20 * n for each, n in skills.items()
                }, (text, conversation)
    assert count >= 5


def test_a_case_line_with_and_beside_another_case_line() -> None:
    """Two CASE lines before one block, of which one contains `&`, become two rules that decide as
    the snippet.
    """
    text = (
        'SELECT { CASE ( lang = "x" ) & ( tier = "g" )\nCASE age = 2 { skill = 4001 } }'
    )
    entries = [
        RoutingEntry(name=str(at), rule=rule)
        for at, rule in enumerate(imported(text).rules)
    ]
    assert [{"age equals": 2}, {"lang equals": "x", "tier equals": "g"}] == [
        tests for tests, _ in converted(text)
    ]
    for values in product(("x", "y"), ("g", "h"), (1, 2)):
        conversation: dict[str, Any] = dict(
            zip(("lang", "tier", "age"), values, strict=True)
        )
        for dialect in possible_dialects({}):
            skill = run_snippet(parse_snippet(text), conversation, dialect).get("skill")
            assert (route_conversation(entries, conversation).winner is not None) == (
                skill == 4001
            ), conversation


@pytest.mark.parametrize("seed", range(60 if FULL else 4))
def test_a_block_without_comment_lines_has_the_rules_in_order(seed: int) -> None:
    """A copy of a block without its comments is a hand-written snippet: its rules have equal
    conditions and shares.
    """
    draw = random.Random(seed)
    layout = studio_rules.LAYOUT
    entries = studio_rules.entries_of(
        [studio_rules.odd_rule(draw) for _ in range(8)], layout
    )
    bare = re.sub(r"(?m)^ *//.*\n?", "", build_block(entries, layout, {}))
    enabled = [
        (entry.rule, str(entry.address)) for entry in entries if entry.rule.enabled
    ]
    expected = [
        rule for rule, _ in sorted(enabled, key=lambda pair: layout.order_key(*pair))
    ]
    actual = ImportedSnippet(bare, layout).rules
    assert [(rule.conditions, rule.targets) for rule in expected] == [
        (rule.conditions, rule.targets) for rule in actual
    ]


def test_an_expression_of_many_alternatives_is_refused_soon() -> None:
    """The alternatives of 40 parts with two each are not written out; a list of many values is one
    condition.
    """
    wide = " & ".join(f'( ( a{at} = "x" ) | ( b{at} = "y" ) )' for at in range(40))
    assert [2] == [
        line for line, _ in problems(f"SELECT {{\nCASE {wide} {{ s = 1 }}\n}}")
    ]
    several = " | ".join(f'( ( a{at} = "x" ) & ( b = "y" ) )' for at in range(2_000))
    assert [2] == [
        line for line, _ in problems(f"SELECT {{\nCASE {several} {{ s = 1 }}\n}}")
    ]
    values = " | ".join(f'( a = "x{at}" )' for at in range(5_000))
    assert 1 == len(converted(f"SELECT {{\nCASE {values} {{ s = 1 }}\n}}"))
