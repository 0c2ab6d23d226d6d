"""An edit of a block by hand is read as it is: as another rule, an opaque part, or an unmanaged
rule.
"""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import pairwise
from random import Random

import pytest

from reconciler.core.behaviour.evaluate import route_conversation
from reconciler.core.behaviour.routing_entry import RoutingEntry, order_entries
from reconciler.core.model.rule import (
    Condition,
    Opaque,
    Rule,
    Target,
    make_condition,
    make_opaque,
)
from reconciler.targets.studio.evaluate import run_snippet
from reconciler.targets.studio.language import SnippetError, parse_snippet
from reconciler.targets.studio.layout import BlockLayout
from reconciler.targets.studio.read import BlockRule, read_block
from tests.support.cases import each_case
from tests.support.studio_rules import (
    LAYOUT,
    STRICT,
    block_of,
    conversation,
    domain_rule,
    odd_rule,
    plain_rule,
    rebuilt,
)
from tests.tiers import size

LOST = make_condition("intent", "equals", "lost")
CARD = make_condition("intent", "equals", "card")
SURE = make_condition("sure", "greaterThanOrEqual", 0.7)
RULES = [
    plain_rule(10, [LOST], "4001"),
    plain_rule(20, [CARD, SURE], "4002"),
    plain_rule(30, [make_condition("intent", "notIn", ["x", "y"])], "12"),
]
TEXT = block_of(RULES)
HELPERS = TEXT[: TEXT.index("SELECT")]
AFTER_CHECK = {  # a helper's assignment moves behind the lines that use it
    line: (HELPERS, f"{HELPERS.replace(f'ASSIGN {line}' + chr(10), '')}ASSIGN {line}\n")
    for line in (
        "cxr_isnum_bot_sure = 0",
        "cxr_num_bot_sure = ( bot_sure + 0 )",
        'cxr_text_bot_sure$ = "{bot_sure}"',
    )
}
HIGHEST = BlockLayout(owner="a", block="b", variables={}, highest_first=True)


def opaque(text: str) -> Opaque:
    return make_opaque({"type": "studio", "text": text})


def edited(old: str, new: str, text: str = TEXT) -> tuple[BlockRule, ...]:
    """Return the reading of the block after one edit."""
    assert text.count(old) == 1, (text.count(old), text)
    return read_block(text.replace(old, new), LAYOUT)


def by_id(block: tuple[BlockRule, ...]) -> dict[str, Rule]:
    return {rule.id: rule.rule for rule in block}


def case_lines(key: str, text: str = TEXT) -> str:
    actual = re.search(rf"  // cxroute:rule cards/{key}#.*?\n  \}}\n", text, re.DOTALL)
    assert actual is not None
    return actual[0]


def test_an_edited_literal_is_another_value() -> None:
    """A changed text, number, operator, skill and attribute are read; the digest shows that they
    were edited.
    """
    for old, new, condition in [
        ('= "lost" )', '= "stolen" )', make_condition("intent", "equals", "stolen")),
        (
            'cxr_text_intent$ = "lost" )',
            'cxr_text_intent$ > "" )',
            make_condition("intent", "exists", None),
        ),
        (
            'cxr_text_intent$ = "lost" )',
            'INTENT.Contains("lo") )',
            make_condition("intent", "contains", "lo"),
        ),
        ('( cxr_text_intent$ = "lost" )', 'CXR_Text_Intent$ = "lost"', LOST),
    ]:
        assert by_id(edited(old, new))["cards/r0"].conditions == (condition,)
    number = by_id(edited(">= 0.7", "< 0.25"))["cards/r1"]
    assert number.conditions == (CARD, make_condition("sure", "lessThan", 0.25))
    assert by_id(edited("cxr_skill = 4001", "cxr_skill = 4003"))[
        "cards/r0"
    ].targets == (Target("4003", 1),)
    values = by_id(
        edited('"x" ) | ( cxr_text_intent$ = "y"', '"z" ) | ( cxr_text_intent$ = "b"')
    )["cards/r2"]
    assert values.conditions == (make_condition("intent", "notIn", ["z", "b"]),)
    assert (
        edited('= "lost" )', '= "stolen" )')[0].digest
        == read_block(TEXT, LAYOUT)[0].digest
    )


@each_case(
    "old, new, text",
    [
        ('( cxr_text_intent$ = "lost" )', '( intent = "lost" )', '( intent = "lost" )'),
        ('= "lost" )', '= "lo{b}st" )', '( cxr_text_intent$ = "lo{b}st" )'),
        (
            '( cxr_text_intent$ = "lost" )',
            '( a$ = "x" ) | ( b$ = "y" )',
            '( a$ = "x" ) | ( b$ = "y" )',
        ),
        (
            '( cxr_text_intent$ = "lost" )',
            '( a$ = "x" ) & ( b$ = "y" ) = 0',
            '( a$ = "x" ) & ( b$ = "y" ) = 0',
        ),
        (
            '( cxr_text_intent$ = "lost" )',
            '( cxr_skill.contains("4") )',
            '( cxr_skill.contains("4") )',
        ),
        (
            '( cxr_text_intent$ = "lost" )',
            "( cxr_num_other = 1 )",
            "( cxr_num_other = 1 )",
        ),
        ('( cxr_text_intent$ = "lost" )', '( x[1] = "lost', '( x [ 1 ] = " lost'),
        ('( cxr_text_intent$ = "lost" )', '"&"', '"&"'),
        (
            'CASE ( cxr_text_intent$ = "lost" )',
            "CASE a = 1\nCASE b = 2",
            "( a = 1 ) | ( b = 2 )",
        ),
        ('( cxr_text_intent$ = "lost" )', "", ""),
    ],
)
def test_an_expression_that_is_not_understood_is_opaque(
    old: str, new: str, text: str
) -> None:
    """Its text is shown. The rule keeps its name, place and target."""
    rule = by_id(edited(old, new))["cards/r0"]
    assert rule.conditions == (opaque(text),)
    assert (rule.name, rule.priority, rule.targets) == (
        RULES[0].name,
        10,
        RULES[0].targets,
    )


def test_understood_conditions_beside_an_opaque_one_stay() -> None:
    """Only the part in parentheses that was edited is opaque."""
    rule = by_id(
        edited("( cxr_num_bot_sure >= 0.7 ) )", "( cxr_num_bot_sure >= other ) )")
    )["cards/r1"]
    text = "( ( cxr_isnum_bot_sure = 1 ) & ( cxr_num_bot_sure >= other ) )"
    assert set(rule.conditions) == {CARD, opaque(text)}


def test_a_number_that_no_rule_holds_exactly_is_opaque() -> None:
    """0.1234567890123456789 is not rounded to a number that the text does not have, and 007 is not 7."""
    for number in ("0.1234567890123456789", "007", "9" * 500):
        rule = by_id(edited(">= 0.7", f">= {number}"))["cards/r1"]
        assert [type(part) for part in rule.conditions] == [Condition, Opaque]


def test_reordered_cases_change_the_fewest_priorities() -> None:
    """The rule that was moved gets a priority between its neighbours; the order is that of the
    text.
    """
    first = case_lines("r0")
    last = case_lines("r2")
    block = read_block(TEXT.replace(first, "").replace(last, last + first), LAYOUT)
    assert [(rule.id, rule.rule.priority) for rule in block] == [
        ("cards/r1", 20),
        ("cards/r2", 30),
        ("cards/r0", 31),
    ]
    block = read_block(TEXT.replace(last, "").replace(first, first + last), LAYOUT)
    assert [(rule.id, rule.rule.priority) for rule in block] == [
        ("cards/r0", 10),
        ("cards/r2", 15),
        ("cards/r1", 20),
    ]


@pytest.mark.generated
@pytest.mark.parametrize(
    "layout", [LAYOUT, HIGHEST], ids=["lowest-first", "highest-first"]
)
def test_any_order_of_cases_is_read_in_that_order(layout: BlockLayout) -> None:
    """After any permutation, also with ties and CASEs without a comment, evaluation order is the
    text's order.
    """
    for seed in range(size(fast=12, slow=60)):
        random = Random(f"order {seed}")
        rules = [
            plain_rule(
                random.choice((1, 2, 2, 2.5, 3)), [LOST], name=random.choice("abc")
            )
            for _ in range(6)
        ]
        text = block_of(rules, layout)
        cases = [case_lines(f"r{i}", text) for i in range(6)]
        start = min(map(text.index, cases))
        random.shuffle(cases)
        cases = [
            case.partition("\n")[2] if random.random() < 0.2 else case for case in cases
        ]
        block = read_block(
            text[:start]
            + "".join(cases)
            + text[start + len("".join(cases)) :].partition("}\n//")[1],
            layout,
        )
        sources = [case.rstrip("\n") for case in cases]
        assert sources == [
            rule.text if rule.address else f"  // 4001 Fraud Desk\n{rule.text}"
            for rule in block
        ]
        keys = [layout.order_key(rule.rule, rule.id) for rule in block]
        assert all(before < after for before, after in pairwise(keys)), keys


def test_a_deleted_case_is_a_deleted_rule() -> None:
    """The others stay as they are; a comment without a CASE is not a rule, and not that of the next
    CASE.
    """
    assert [*by_id(edited(case_lines("r1"), ""))] == ["cards/r0", "cards/r2"]
    comment, _, case = case_lines("r1").partition("\n")
    block = edited(case, "")
    assert [*by_id(block)] == ["cards/r0", "cards/r2"]
    commented = "".join(f"  // {line}\n" for line in case.splitlines())
    block = edited(case, commented)
    assert [*by_id(block)] == ["cards/r0", "cards/r2"]
    assert comment.strip().startswith("// cxroute:rule cards/r1#")


def test_a_hand_commented_case_gives_its_comment_to_no_other() -> None:
    """A CASE without a comment line below a CASE that is commented out is not managed."""
    case = case_lines("r1").partition("\n")[2]
    block = edited(
        case,
        "".join(f"  // {line}\n" for line in case.splitlines())
        + "  CASE ( 1 = 1 ) { cxr_skill = 7 }\n",
    )
    number = next(rule for rule in block if not rule.address)
    assert (number.rule.conditions, number.rule.targets) == ((), (Target("7", 1),))
    assert [rule.id for rule in block] == ["cards/r0", number.id, "cards/r2"]


def test_an_added_case_without_a_comment_is_not_managed() -> None:
    """It is read at its place, with its line in the name, and keeps its text."""
    added = (
        '  CASE ( cxr_text_intent$ = "new" )\n  {\n    ASSIGN cxr_skill = 4009\n  }\n'
    )
    block = edited(case_lines("r1"), added + case_lines("r1"))
    rule = block[1]
    line = TEXT[: TEXT.index(case_lines("r1"))].count("\n") + 1
    assert (rule.id, rule.rule.name, rule.address, rule.digest) == (
        f"line {line}",
        f"CASE in line {line}",
        None,
        "",
    )
    assert rule.rule.conditions == (make_condition("intent", "equals", "new"),)
    assert rule.rule.targets == (Target("4009", 1),)
    assert (rule.rule.priority, rule.text) == (15, added.rstrip("\n"))


STATEMENTS = [
    ("SELECT\n", 'intent = "x"\nSELECT\n'),
    ("SELECT\n", "ASSIGN cxr_skill = 5\nSELECT\n"),
    ("SELECT\n", "FOREACH a IN b\n{\n  c = 1\n}\nSELECT\n"),
    ("SELECT\n", "IF ( a = 1 )\n{\n  cxr_skill = 1\n}\nSELECT\n"),
    ("SELECT\n", 'SWITCH a { CASE "x" { cxr_skill = 1 } }\nSELECT\n'),
    ("\n}\n// cxroute:end", "\n}\nASSIGN cxr_skill = 5\n// cxroute:end"),
    ("\n}\n// cxroute:end", "\n}\nSELECT { CASE ( 1 = 1 ) { cxr_skill = 5 } }\n// cxroute:end"),
    ("  // cxroute:rule cards/r1", "  ASSIGN cxr_skill = 5\n  // cxroute:rule cards/r1"),
    ("SELECT\n", "SELECT { }\nSELECT\n"),
]  # fmt: skip


@each_case("old, new", STATEMENTS)
def test_a_stray_statement_may_override_every_rule(old: str, new: str) -> None:
    """It is an unmanaged rule before all others, with an opaque condition and an opaque target."""
    stray = edited(old, new)[0]
    assert stray.address is None
    assert stray.rule.name == f"statement in line {stray.line}"
    assert [type(part) for part in (*stray.rule.conditions, *stray.rule.targets)] == [
        Opaque,
        Opaque,
    ]
    for layout in (LAYOUT, HIGHEST):
        rules = read_block(TEXT.replace(old, new), layout)
        assert (
            min(rules, key=lambda rule: layout.order_key(rule.rule, rule.id))
            is rules[0]
        )


@each_case(
    "old, new, ids",
    [
        (
            'ASSIGN cxr_text_intent$ = "{intent}"',
            'ASSIGN cxr_text_intent$ = "{other}"',
            {"r0", "r1", "r2"},
        ),
        (
            'ASSIGN cxr_text_intent$ = "{intent}"',
            'ASSIGN cxr_text_intent$ = "}{a b"',
            {"r0", "r1", "r2"},
        ),
        ('ASSIGN cxr_text_intent$ = "{intent}"', "", {"r0", "r1", "r2"}),
        (
            "ASSIGN cxr_num_bot_sure = ( bot_sure + 0 )",
            "ASSIGN cxr_num_bot_sure = 1",
            {"r1"},
        ),
        (
            "  ASSIGN cxr_isnum_bot_sure = 1\n",
            "  ASSIGN cxr_isnum_bot_sure = 1\n  cxr_num_bot_sure = 7\n",
            {"r1"},
        ),
        ("ASSIGN cxr_isnum_bot_sure = 0", "ASSIGN cxr_isnum_bot_sure = 1", {"r1"}),
        ("ASSIGN cxr_isnum_bot_sure = 0\n", "", {"r1"}),
        (*AFTER_CHECK["cxr_isnum_bot_sure = 0"], {"r1"}),
        (*AFTER_CHECK["cxr_num_bot_sure = ( bot_sure + 0 )"], {"r1"}),
        (*AFTER_CHECK['cxr_text_bot_sure$ = "{bot_sure}"'], {"r1"}),
    ],
)
def test_an_edited_helper_variable_makes_its_conditions_opaque(
    old: str, new: str, ids: set[str]
) -> None:
    """The conditions that use it, and no others."""
    rules = by_id(edited(old, new))
    opaque_ids = {
        name
        for name, rule in rules.items()
        if any(isinstance(part, Opaque) for part in rule.conditions)
    }
    assert opaque_ids == {f"cards/{name}" for name in ids}
    assert [*rules] == ["cards/r0", "cards/r1", "cards/r2"]


def test_default_is_an_unmanaged_rule_without_conditions_behind_all_others() -> None:
    """Wherever DEFAULT stands."""
    for layout in (LAYOUT, HIGHEST):
        text = TEXT.replace(
            "SELECT\n{\n", "SELECT\n{\n  DEFAULT\n  {\n    ASSIGN cxr_skill = 3\n  }\n"
        )
        rules = read_block(text, layout)
        last = max(rules, key=lambda rule: layout.order_key(rule.rule, rule.id))
        assert last is rules[-1]
        assert (last.rule.name, last.rule.conditions) == (
            f"DEFAULT in line {last.line}",
            (),
        )
        assert last.rule.targets == (Target("3", 1),)


@each_case(
    "old, new",
    [
        ("#", "#x"),
        ("priority=20", "priority=2 0"),
        ("priority=20", "priority=NaN"),
        ("priority=20", "priority=007"),
        ('name="rule 20"', 'name="rule 20'),
        ('name="rule 20"', 'name="\\x"'),
        ("// cxroute:rule", "// cxroute:rul"),
        ("cards/r1", "cards/R1"),
    ],
)
def test_a_damaged_comment_line_makes_the_rule_unmanaged(old: str, new: str) -> None:
    """The CASE is read as it is, at its place."""
    comment = case_lines("r1").partition("\n")[0]
    block = edited(comment, comment.replace(old, new, 1))
    rule = block[1]
    assert rule.address is None
    assert (rule.rule.conditions, rule.rule.targets) == (
        RULES[1].conditions,
        RULES[1].targets,
    )
    assert [candidate.id for candidate in block] == ["cards/r0", rule.id, "cards/r2"]


@each_case(
    "old, new",
    [
        ("    ASSIGN cxr_skill = 4001\n", ""),
        ('    ASSIGN cxr_rule = "cards/r0"\n', ""),
        ('cxr_rule = "cards/r0"', 'cxr_rule = "cards/r9"'),
        (
            "ASSIGN cxr_skill = 4001\n",
            "ASSIGN cxr_skill = 4001\n    ASSIGN cxr_skill = 4002\n",
        ),
        ("cxr_skill = 4001", "cxr_skill = 0042"),
        ("cxr_skill = 4001", "cxr_skill = ( 4001 )"),
        ("cxr_skill = 4001", "other = 4001"),
        (
            "ASSIGN cxr_skill = 4001",
            "IF ( cxr_split < 10 )\n    {\n      cxr_skill = 1\n    }",
        ),
        ("ASSIGN cxr_skill = 4001", "CASE 1\n    CASE 2 {\n    }"),
    ],
)
def test_a_body_that_is_not_understood_is_an_opaque_target(old: str, new: str) -> None:
    """The lines of the body are shown; the conditions stay."""
    rule = by_id(edited(old, new))["cards/r0"]
    assert rule.conditions == (LOST,)
    assert [type(part) for part in rule.targets] == [Opaque]
    assert by_id(edited(old, new))["cards/r1"] == RULES[1]


SPLIT = Rule(
    name="split",
    description="",
    priority=5,
    enabled=True,
    conditions=(),
    targets=(Target("12", 50), Target("4001", 30), Target("4002", 20)),
)
SPLIT_TEXT = block_of([SPLIT])


@each_case(
    "old, new, weights",
    [
        ("cxr_split < 80", "cxr_split < 90", {"12": 50, "4001": 40, "4002": 10}),
        ("cxr_skill = 4001", "cxr_skill = 12", {"12": 80, "4002": 20}),
        ("cxr_split < 80", "cxr_split < 50", None),
        ("cxr_split < 80", "cxr_split < 100", None),
        ("cxr_split < 80", "other < 80", None),
        ("ContactID % 100", "ContactID % 10", None),
        ("cxr_split < 50", "cxr_split <= 50", None),
    ],
)
def test_an_edited_split_is_read(
    old: str, new: str, weights: dict[str, int] | None
) -> None:
    """Percents that a person changed are read; other forms are opaque."""
    targets = by_id(edited(old, new, SPLIT_TEXT))["cards/r0"].targets
    if weights is None:
        assert [type(part) for part in targets] == [Opaque]
    else:
        assert targets == tuple(
            Target(queue, weight) for queue, weight in sorted(weights.items())
        )


def test_a_disabled_rule_that_was_edited_is_read() -> None:
    """Without its prefix it is enabled; a literal is another value; a broken line makes it opaque,
    and disabled.
    """
    off = Rule(
        **{
            **{name: getattr(RULES[0], name) for name in Rule.__slots__},
            "enabled": False,
        }
    )
    text = block_of([off, RULES[1]])
    assert by_id(read_block(text, LAYOUT))["cards/r0"] == off
    rule = by_id(edited('"lost"', '"stolen"', text))["cards/r0"]
    assert (rule.enabled, rule.conditions) == (
        False,
        (make_condition("intent", "equals", "stolen"),),
    )
    on = by_id(read_block(text.replace("//- ", ""), LAYOUT))["cards/r0"]
    assert (on.enabled, on.conditions) == (True, off.conditions)
    by_hand = by_id(read_block(text.replace(" enabled=false", ""), LAYOUT))["cards/r0"]
    assert by_hand == off
    for broken in ('CASE ( cxr_text_intent$ = "lost" )', "{\n"):
        rule = by_id(
            read_block(text.replace(f"//- {broken}", f"//- }} {broken}"), LAYOUT)
        )["cards/r0"]
        assert rule.enabled is False
        assert [type(part) for part in (*rule.conditions, *rule.targets)] == [
            Opaque,
            Opaque,
        ]
    body = by_id(
        edited("//-   ASSIGN cxr_skill = 4001", "//-   ASSIGN cxr_skill = x", text)
    )["cards/r0"]
    assert body.targets == (
        opaque('ASSIGN cxr_skill = x\nASSIGN cxr_rule = "cards/r0"'),
    )


def test_a_rule_of_one_address_twice_has_two_ids() -> None:
    """The second one is shown beside the first."""
    lines = case_lines("r1")
    block = edited(lines, lines + lines)
    assert [rule.id for rule in block] == [
        "cards/r0",
        "cards/r1",
        "cards/r1 (2)",
        "cards/r2",
    ]
    assert block[1].rule.conditions == block[2].rule.conditions


def test_white_space_and_comments_are_not_drift() -> None:
    """Indentation, blank lines and further comments change no rule; a save repairs them."""
    for old, new in [
        ("SELECT\n", "\n\nSELECT // choose\n"),
        ("  CASE", "\t CASE "),
        ("ASSIGN cxr_skill", "cxr_skill"),
    ]:
        block = read_block(TEXT.replace(old, new), LAYOUT)
        assert list(by_id(block).values()) == RULES
        assert rebuilt(block) == TEXT
    assert list(by_id(read_block(TEXT.replace("\n", "\r\n"), LAYOUT)).values()) == RULES


def test_an_attribute_under_another_variable_is_not_its_own_variable() -> None:
    """`sure` is the script's variable bot_sure: a CASE on the script's variable sure is opaque."""
    rule = by_id(edited('( cxr_text_intent$ = "lost" )', '( sure.contains("x") )'))[
        "cards/r0"
    ]
    assert rule.conditions == (opaque('( sure.contains("x") )'),)


@pytest.mark.generated
def test_random_damage_is_an_error_or_read() -> None:
    """After deleted and doubled lines, a block is refused with a line, or every CASE in it is read
    as one rule.
    """
    for seed in range(size(fast=40, slow=200)):
        random = Random(f"damage {seed}")
        lines = block_of([odd_rule(random) for _ in range(4)]).split("\n")
        for _ in range(random.randint(1, 3)):
            at = random.randrange(len(lines))
            lines[at : at + 1] = random.choice(
                ([], [lines[at]] * 2, [random.choice(lines)])
            )
        with suppress(SnippetError):
            rules = read_block("\n".join(lines), LAYOUT)
            assert len({rule.id for rule in rules}) == len(rules)
            keys = [
                LAYOUT.order_key(rule.rule, rule.id)
                for rule in rules
                if rule.rule.enabled
            ]
            assert keys == sorted(keys)


TOKENS = (
    *(
        '"lost"',
        '"card"',
        '"cards"',
        '""',
        "=",
        ">",
        "<",
        ">=",
        "!=",
        "&",
        "|",
        "~",
        "(",
        ")",
        "0",
        "1",
        "0.7",
        "- 1",
    ),
    *(
        "intent",
        "channel",
        "cxr_text_intent$",
        "cxr_text_channel$",
        "cxr_num_Score",
        "cxr_isnum_Score",
        "cxr_split",
    ),
    *(
        "CASE ( 1 = 1 )",
        "DEFAULT",
        "{",
        "}",
        "ASSIGN",
        "cxr_skill",
        "cxr_rule",
        "4002",
        "50",
        ".contains(",
        "// x\n",
    ),
    *("IF ( 1 = 1 )", "ELSE", "\n", "name_of", "bot_sure", "TRACE", "//- ", "x"),
)


@pytest.mark.generated
def test_an_edited_block_without_opaque_parts_decides_as_it_is_read() -> None:
    """After any exchange, loss or doubling of words: where all of it is understood, it does what
    the rules say.
    """
    compared = 0
    blocks = size(fast=50, slow=700, full=30000)
    for seed in range(blocks):
        random = Random(f"truth {seed}")
        text = block_of(
            [
                domain_rule(random, random.choice((1, 2, 3)))
                for _ in range(random.choice((1, 2, 4)))
            ]
        )
        words = re.split(r"(?<=[ \n])", text)
        for _ in range(random.choice((1, 1, 2, 3))):
            at = random.randrange(len(words))
            new = random.choice(
                (f"{random.choice(TOKENS)} ", "", words[at] * 2, random.choice(words))
            )
            words[at] = new if random.random() < 0.8 else f"{new}\n"
        text = "".join(words)
        with suppress(SnippetError):
            rules = read_block(text, LAYOUT)
            parts = [
                part
                for rule in rules
                for part in (*rule.rule.conditions, *rule.rule.targets)
            ]
            if any(isinstance(part, Opaque) for part in parts):
                continue
            ordered = order_entries(
                [
                    RoutingEntry(name=rule.id, id=rule.id, rule=rule.rule)
                    for rule in rules
                ]
            )
            statements = parse_snippet(text)
            for _ in range(20):
                attributes, variables = conversation(random, STRICT)
                winner = route_conversation(ordered, attributes).winner
                contact_id = random.randrange(100)
                skill = run_snippet(
                    statements, {"cxr_skill": 77, **variables}, STRICT, contact_id
                )["cxr_skill"]
                targets = winner.rule.targets if winner else (Target("77", 1),)
                assert str(skill) in {
                    part.queue_id for part in targets if isinstance(part, Target)
                }, (text, variables)
            compared += 1
    assert compared > blocks / 7
