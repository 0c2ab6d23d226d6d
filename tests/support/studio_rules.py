"""Random lists of rules that a Studio script can hold, and conversations in Studio's domain."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final

from reconciler.core.model.live import marker_digest
from reconciler.core.model.rule import (
    Address,
    Condition,
    Rule,
    Target,
    make_condition,
    normalized_conditions,
)
from reconciler.targets.studio.build import BlockEntry, build_block, number_text
from reconciler.targets.studio.evaluate import Dialect, run_snippet
from reconciler.targets.studio.language import parse_snippet
from reconciler.targets.studio.layout import BlockLayout, storable_rule
from reconciler.targets.studio.read import BlockRule

LAYOUT: Final = BlockLayout(
    owner="acme-routing",
    block="main",
    variables={"sure": "bot_sure", "näme": "name_of"},
)
HIGHEST_FIRST: Final = BlockLayout(
    owner="acme", block="b", variables=dict(LAYOUT.variables), highest_first=True
)
STRICT: Final = Dialect(
    case_sensitive=True,
    trims_blanks=False,
    digit_text_is_number=True,
    mixed_is_zero=False,
)
TEXTS: Final = (
    "lost",
    "card",
    "cards",
    "stolen",
    "é",
    "日本",
    "true",
    "12",
    "a//b",
    "x' or 1=1",
    "0.50",
    "$",
    "a = b",
)
TEXT_OPERATORS: Final = (
    "equals",
    "in",
    "contains",
    "startsWith",
    "notEquals",
    "notIn",
    "notContains",
    "notStartsWith",
)
ORDERS: Final = ("greaterThan", "greaterThanOrEqual", "lessThan", "lessThanOrEqual")
NUMBERS: Final = (
    0,
    0.7,
    1,
    2,
    -1,
    0.95,
    0.9500000000000001,
    5e-7,
    -0.5,
    1e15,
    2**53 + 1,
    12,
)
ODD_NUMBERS: Final = (
    *NUMBERS,
    5e-324,
    1e22,
    1e23,
    10**40,
    -1.0,
    1.0,
    -0.0,
    "7e-1",
    "12",
    "1e3",
)
ODD_NAMES: Final = (
    "Lost card",
    "a\n// cxroute:end",
    '"quotes" \\ {braces} ${x}',
    "\u202egnp.exe \u2028 \x00 \x1b[31m",
    "\ud800",
    "// cxroute:rule a/b#01234567 priority=1",
    "ü" * 300,
    "",
)
QUEUES: Final = ("4001", "4002", "12", "0", "999999999999999999")
SPLITS: Final = (
    (1,),
    (1, 1),
    (80, 20),
    (1, 99),
    (50, 30, 20),
    (1, 1, 2, 0),
    (2.5, 7.5),
    (0, 3),
    (25, 25, 25, 25),
)


def text_condition(random: Random, attribute: str) -> Condition:
    operator = random.choice(TEXT_OPERATORS)
    values: Any = random.choices(TEXTS, k=random.randint(1, 4))
    return make_condition(
        attribute, operator, values if operator in ("in", "notIn") else values[0]
    )


def number_condition(
    random: Random, attribute: str, numbers: Sequence[Any] = NUMBERS
) -> Condition:
    operator = random.choice((*ORDERS, "between", "equals", "notEquals", "in", "notIn"))
    plain = [number for number in numbers if not isinstance(number, str)]
    if operator in ORDERS:
        return make_condition(attribute, operator, random.choice(numbers))
    if operator == "between":
        return make_condition(attribute, operator, random.choices(numbers, k=2))
    values: Any = random.choices(plain, k=random.randint(1, 3))
    return make_condition(
        attribute, operator, values if operator in ("in", "notIn") else values[0]
    )


def conditions(random: Random, numbers: Sequence[Any] = NUMBERS) -> tuple[Any, ...]:
    parts = []
    for attribute in random.sample(
        ["intent", "channel", "näme"], random.choice((0, 1, 1, 2))
    ):
        exists = random.random() < 0.2
        operator = random.choice(("exists", "notExists"))
        parts.append(
            make_condition(attribute, operator, None)
            if exists
            else text_condition(random, attribute)
        )
    for attribute in random.sample(["sure", "Score"], random.choice((0, 0, 1, 2))):
        exists = random.random() < 0.2
        operator = random.choice(("exists", "notExists"))
        number = number_condition(random, attribute, numbers)
        parts.append(make_condition(attribute, operator, None) if exists else number)
    return normalized_conditions(parts)


def odd_rule(random: Random) -> Rule:
    """Return a rule with an odd name, odd numbers, perhaps disabled, perhaps with a split."""
    weights = random.choice(SPLITS)
    queues = random.sample(QUEUES, min(len(weights), len(QUEUES)))
    return Rule(
        name=random.choice(ODD_NAMES),
        description=random.choice(ODD_NAMES),
        priority=random.choice((10, 10, 20, 1.0, 0.5, -3, 1e14, 100)),
        enabled=random.random() < 0.8,
        conditions=conditions(random, ODD_NUMBERS),
        targets=tuple(
            Target(queue, weight)
            for queue, weight in zip(queues, weights, strict=False)
        ),
    )


def entries_of(rules: Sequence[Rule], layout: BlockLayout) -> list[BlockEntry]:
    """Return the entries of storable rules with addresses."""
    stored = [storable_rule(rule, layout) for rule in rules]
    return [
        BlockEntry(rule, Address("cards", f"r{i}"), marker_digest(rule), "")
        for i, rule in enumerate(stored)
    ]


def block_of(rules: Sequence[Rule], layout: BlockLayout = LAYOUT) -> str:
    return build_block(
        entries_of(rules, layout), layout, {"4001": "Fraud Desk", "12": "{Ü} \n Desk"}
    )


def rebuilt(rules: Sequence[BlockRule], layout: BlockLayout = LAYOUT) -> str:
    """Return the block that is built of rules as they were read."""
    entries = [BlockEntry(each.rule, each.address, each.digest, "") for each in rules]
    return build_block(
        entries,
        layout,
        {queue: name for each in rules for queue, name in each.queue_names.items()},
    )


def plain_rule(
    priority: float, parts: Sequence[Condition], queue: str = "4001", name: str = ""
) -> Rule:
    return Rule(
        name=name or f"rule {priority}",
        description="",
        priority=priority,
        enabled=True,
        conditions=normalized_conditions(parts),
        targets=(Target(queue, 1),),
    )


def domain_rule(random: Random, priority: int) -> Rule:
    """Return a rule with numbers that Studio can compare, perhaps with a split."""
    rule = odd_rule(random)
    plain = plain_rule(priority, conditions(random), name=rule.name)
    return Rule(
        name=rule.name,
        description="",
        priority=priority,
        enabled=rule.enabled,
        conditions=plain.conditions,
        targets=rule.targets,
    )


def conversation(
    random: Random, dialect: Dialect
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a conversation as the rules see it, and the same as variables of the script."""
    attributes: dict[str, Any] = {}
    variables: dict[str, Any] = {}
    for attribute in ("intent", "channel", "näme"):
        if random.random() < 0.8:
            attributes[attribute] = random.choice(
                (*TEXTS, "other", "my card", "lostcards")
            )
            variables[LAYOUT.variables.get(attribute, attribute)] = attributes[
                attribute
            ]
    for attribute in ("sure", "Score"):
        variable = LAYOUT.variables.get(attribute, attribute)
        chance = random.random()
        if chance < 0.7:
            number = attributes[attribute] = random.choice(
                (*NUMBERS, random.randint(-3, 13), round(random.random(), 2))
            )
            as_text = dialect.digit_text_is_number and random.random() < 0.5
            variables[variable] = number_text(number) if as_text else number
        elif chance < 0.8:
            attributes[attribute] = variables[variable] = random.choice(
                ("n/a", "-", "abc", "zero", "1 2", "1.2.3")
            )
        elif chance < 0.9:
            variables[variable] = ""  # to Studio, a missing value
    return attributes, variables


def last_trace(snippet: str, dialect: Dialect) -> str:
    """Return the text of a snippet's last TRACE: a run does not keep it, so it is assigned
    instead.
    """
    return str(
        run_snippet(
            parse_snippet(snippet.replace("TRACE", "ASSIGN trace =")), {}, dialect
        )["trace"]
    )
