"""A hand-written snippet as rules: they route as the snippet does, or each line that rules cannot
say is named.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from reconciler.core.behaviour.evaluate import route_conversation
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.errors import CxrouteError
from reconciler.core.model.rule import Condition, Target
from reconciler.targets.studio.build import build_block
from reconciler.targets.studio.evaluate import possible_dialects, run_snippet
from reconciler.targets.studio.imported import ImportedSnippet
from reconciler.targets.studio.language import parse_snippet
from reconciler.targets.studio.layout import BlockLayout
from tests.support import studio_rules
from tests.support.cases import each_case
from tests.tiers import FULL

LAYOUT = BlockLayout(
    owner="acme", block="main", variables={"cognigyDetectedIntent": "intent"}, skill="s"
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


def test_contacts_without_a_skill_are_refused_if_a_later_rule_takes_them() -> None:
    """Without such a rule they have the default routing, as in the snippet."""
    gold = 'SELECT {\nCASE tier = "g" { s = 2 }'
    for rest in (
        "DEFAULT { x = 1 }",
        'CASE lang = "p" { x = "1" }',
        'CASE tier = "h" { x = "1" }\nCASE tier = "i" { x = "1" }',
    ):
        assert [({"tier equals": "g"}, {"2": 1})] == converted(f"{gold}\n{rest}\n}}")
    disjoint = f'{gold}\nCASE tier = "h" {{ x = "1" }}\nCASE tier = "i" {{ s = 3 }}\n}}'
    assert 2 == len(converted(disjoint))
    ((line, message),) = problems(
        f'{gold}\nCASE lang = "p" {{ x = "1" }}\nCASE tier = "i" {{ s = 3 }}\n}}'
    )
    assert 3 == line
    assert "a rule cannot keep them from line 4: write `ASSIGN s = ...`" in message


def test_a_later_statement_counts_before_an_earlier_one() -> None:
    """The last assignment of the skill decides; a contact that a later decision leaves alone keeps
    the skill of the earlier one.
    """
    text = 's = 9\nSELECT {\nCASE tier = "g" { s = 2 }\n}\nSWITCH lang { CASE "p" { s = 3 } }'
    assert [
        ({"lang equals": "p"}, {"3": 1}),
        ({"tier equals": "g"}, {"2": 1}),
        ({}, {"9": 1}),
    ] == converted(text)
    assert [({}, {"4": 1})] == converted(f"{text}\ns = 4")
    kept = 's = 9\nIF tier = "g" { IF lang = "p" { s = 2 } } ELSE { s = 3 }'
    assert [
        ({"tier equals": "g", "lang equals": "p"}, {"2": 1}),
        ({"tier equals": "g"}, {"9": 1}),
        ({}, {"3": 1}),
    ] == converted(kept)


@each_case(
    "statement, skill, form",
    [
        ('"Billing Team"', "Billing Team", "name"),
        ('"4001"', "4001", "id"),
        ("4001", "4001", "id"),
        (
            '"43dba2dc-d05c-5c74-bf32-aad2ef367801"',
            "43dba2dc-d05c-5c74-bf32-aad2ef367801",
            "routing-queue",
        ),
    ],
)
def test_a_skill_is_an_id_a_name_or_the_id_of_a_digital_queue(
    statement: str, skill: str, form: str
) -> None:
    """Digits in quotes are an id, too."""
    text = f'IF tier = "g" {{ skill = {statement}\npriority = 3\nskillPriority = 4 }}'
    assert [({"tier equals": "g"}, {skill: 1})] == converted(text)
    assert (form, "skill") == (imported(text).skill_as, imported(text).skill)


def test_names_and_ids_are_imported_together_but_no_digital_queue() -> None:
    """One block assigns one kind: ids by default; a digital queue beside a skill is an error with
    both lines.
    """
    text = 'IF tier = "g" { skill = 4001 } ELSE {\nskill = "Cards" }'
    assert "id" == imported(text).skill_as
    assert imported(text).notes[0].startswith("line 2: the snippet assigns names here")
    queue = "43dba2dc-d05c-5c74-bf32-aad2ef367801"
    ((line, message),) = problems(text.replace("Cards", queue))
    assert (2, True) == (line, "and line 1 the id of a skill" in message)


@each_case(
    "text, rules",
    [
        ('x.left(3) = "abc"', [{"x startsWith": "abc"}]),
        ('"abc" = x.left(3)', [{"x startsWith": "abc"}]),
        ('x.left(3) != "abc"', [{"x notStartsWith": "abc"}, {"x notExists": None}]),
        ('"a" = tier', [{"tier equals": "a"}]),
        ("5 > score", [{"score lessThan": 5}, {"score notExists": None}]),
        (
            '( ( tier = "a" ) & ( score > 5 ) ) = 0',
            [
                {"tier notEquals": "a"},
                {"tier notExists": None},
                {"score lessThanOrEqual": 5},
                {"score notExists": None},
            ],
        ),
        (
            '( ( tier = "a" ) | ( lang = "b" ) ) = 0',
            [
                {"tier notEquals": "a", "lang notEquals": "b"},
                {"tier notEquals": "a", "lang notExists": None},
                {"tier notExists": None, "lang notEquals": "b"},
                {"tier notExists": None, "lang notExists": None},
            ],
        ),
    ],
)
def test_more_conditions_that_have_a_meaning(
    text: str, rules: list[dict[str, Any]]
) -> None:
    """First letters, a literal on the left, and the opposite of several conditions."""
    actual = converted(f"IF {text} {{ skill = 4001 }}")
    assert [(each, {"4001": 1}) for each in rules] == actual


def test_objects_beside_the_decision_do_no_harm() -> None:
    """Rules do not hold them, also inside of a branch; one named as the skill is refused."""
    text = 'DYNAMIC o FROM text\no.member = 1\nIF tier = "g" { skill = 4\no.x = 2 }'
    assert [({"tier equals": "g"}, {"4": 1})] == converted(text)
    assert [1] == [line for line, _ in problems(f"DYNAMIC skill FROM x\n{text[20:]}")]


def test_a_copy_of_a_variable_stands_for_it() -> None:
    """With and without `$`, also a copy of a copy; an assignment of the source after it is not
    followed.
    """
    text = 'a = Intent\nb = a\nc = "{b}"\nIF c = "x" { skill = 4001 }'
    assert [({f"{INTENT} equals": "x"}, {"4001": 1})] == converted(text)
    changed = text.replace("IF", "intent = 5\nIF")
    ((line, message),) = problems(changed)
    assert (5, True) == (line, "line 4 assigns intent before: `c`" in message)


@each_case(
    "statement, line, part",
    [
        ('} FOR i = 1 TO 3 { s = 4 } IF a = "1" {', 2, "FOR i = 1 TO 3"),
        ("}\nGOSUB other\nIF a = 1 {", 3, "GOSUB other"),
        ('CASE intent.endswith("x") { s = 4 }', 2, "intent.endswith"),
        ("CASE intent.length() > 3 { s = 4 }", 2, "intent . length"),
        ('CASE intent.left(2) = "abc" { s = 4 }', 2, "intent.left"),
        ('CASE intent.left(2) = "80" { s = 4 }', 2, ".beginswith"),
        ("CASE ( score * 2 ) > 3 { s = 4 }", 2, "score * 2"),
        ("CASE score + 2 { s = 4 }", 2, "score + 2"),
        ("CASE ( score > 2 ) ~ ( score < 1 ) { s = 4 }", 2, "~"),
        ('} IF tier = "a" { s = 4 }\nELSE IF tier = "b" { s = 5', 3, "no ELSE IF"),
        ('CASE intent > "m" { s = 4 }', 2, "rules do not order texts: `intent >"),
        ('CASE x$ != "m" { s = 4 }', 2, "no document names != "),
        ("CASE part < 30 { s = 4 }", 2, "a split by ContactID is an IF"),
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
        ('CASE lang = "x" { s = "a{b}" }', 2, "s = "),
        ('CASE lang = "x" { s = 04 }', 2, "s = 04"),
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
    before += 'x$ = "{lang}"\npart = ContactID % 100\n'
    actual = problems(f"{before}{head}\n{statement}\n}}")
    assert [line + 4] == [each for each, _ in actual], actual
    assert part in actual[0][1].replace('\\"', '"')


@pytest.mark.parametrize("empty", ['""', "0"])
def test_a_skill_that_is_emptied_after_the_decision_is_refused(empty: str) -> None:
    """The snippet sends every conversation to the default routing; rules with these queues would
    send it elsewhere.
    """
    decision = 'SELECT { CASE tier = "g" { skill = 4001 } DEFAULT { skill = 4002 } }'
    before = f"skill = {empty}\n{decision}"
    assert 2 == len(converted(before))
    ((line, message),) = problems(f"{decision}\nskill = {empty}")
    assert (2, "no contact gets a skill") == (line, message)
    (problem,) = problems(f'{decision}\nIF tier = "x" {{ skill = {empty} }}')
    assert 2 == problem[0]
    assert 'contacts such as {"tier": "x"} get no skill' in problem[1]


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


def _without_zero(target: Any) -> Any:
    return replace(target, queue_id="70") if target.queue_id == "0" else target


@pytest.mark.parametrize("seed", range(60 if FULL else 4))
def test_a_block_without_comment_lines_has_the_rules_in_order(seed: int) -> None:
    """A copy of a block without its comments is a hand-written snippet: its rules have equal
    conditions and shares.
    """
    draw = random.Random(seed)
    layout = studio_rules.LAYOUT
    # a snippet that assigns 0 assigns no skill
    odd_rules = [
        replace(rule, targets=tuple(map(_without_zero, rule.targets)))
        for rule in [studio_rules.odd_rule(draw) for _ in range(8)]
    ]
    entries = studio_rules.entries_of(odd_rules, layout)
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


def test_a_long_chain_of_ifs_is_one_rule_for_each() -> None:
    """Each further IF is one block deeper; beyond a hundred, the error names the line."""
    for count in (99, 101):
        links = [
            f'IF intent = "i{at}" {{\ns = {at + 1} }}\nELSE {{' for at in range(count)
        ]
        text = "\n".join([*links, "s = 9999", "}" * count])
        if count < 100:
            assert count + 1 == len(converted(text))
        else:
            with pytest.raises(CxrouteError, match=r"^line 301: blocks are nested"):
                imported(text)


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
    kept = "".join(
        f'IF score > {at} {{\nIF a = "x{at}" {{ s = {at} }} }}\nELSE {{ IF b = "g{at}" {{ s = 3 }} }}\n'
        for at in range(40)
    )
    assert "more than 10,000" in dict(problems(f"s = 1\n{kept}")).popitem()[1]
    values = " | ".join(f'( a = "x{at}" )' for at in range(5_000))
    assert 1 == len(converted(f"SELECT {{\nCASE {values} {{ s = 1 }}\n}}"))


def test_no_variable_is_guessed_to_hold_the_skill() -> None:
    """A number without a name for a skill may be a priority."""
    text = 'IF intent = "a"\n{\nASSIGN priority = 5\n}'
    layout = BlockLayout(owner="acme", block="main", variables={})
    with pytest.raises(
        CxrouteError, match=r"priority.*holds the skill.*api\.studio\.result"
    ):
        ImportedSnippet(text, layout)
    named = ImportedSnippet(text.replace("priority", "bot_queue"), layout)
    assert named.skill == "bot_queue"
