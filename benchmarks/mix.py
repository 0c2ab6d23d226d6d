"""Lists of rules for the analysis: a mix that is harder than most tenants, edits of it, and lists
meant to be hard.

All of it in memory, seeded, and the same on every machine. Of N rules 80 % ask for one intent, 12 %
for an intent and a range of the confidence, 4 % for a pattern, and the rest are sets, negations and
other attributes. Every kind stands at every height of the list, so wide rules lie above thousands
of narrow ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Final

from reconciler.core.behaviour.diff.promises import Promise
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.model.rule import (
    Address,
    Condition,
    Rule,
    Target,
    make_condition,
    normalized_conditions,
    sorted_targets,
)

Entries = Sequence[RoutingEntry]
Conditions = list[Condition]

INTENT: Final = "cognigyDetectedIntent"
CONFIDENCE: Final = "cognigyConfidence"
OTHERS: Final = {
    "channel": ("voice", "chat", "email", "sms", "social"),
    "language": ("en", "de", "fr", "it", "nl", "es"),
    "customerTier": ("basic", "silver", "gold", "platinum"),
}
QUEUES: Final = tuple(f"queue-{n:02d}" for n in range(12))
STEP: Final = 10
"""Between two priorities, so that an edited rule finds a place of its own."""


def mix(count: int, seed: int = 1) -> list[RoutingEntry]:
    """Return `count` rules of the mix, first-evaluated first, with distinct priorities."""
    random = _seeded(seed)
    singles = count * 80 // 100
    ranges = count * 12 // 100
    patterns = count * 4 // 100
    parts = [[intent_is(n)] for n in range(singles)]
    parts += [_range(random, singles) for _ in range(ranges)]
    parts += _patterns(random, patterns, singles)
    while len(parts) < count:
        parts.append(random.choice(_WIDE)(random, singles))
    random.shuffle(parts)
    return [
        entry(n, (n + 1) * STEP, requested, random.choice(QUEUES))
        for n, requested in enumerate(parts)
    ]


def edited(entries: Entries, count: int, seed: int = 2) -> list[RoutingEntry]:
    """Return the list after `count` edits: queues, priorities, conditions, rules gone, rules added,
    in equal parts.
    """
    random = _seeded(seed)
    edits: list[Callable[[Random, RoutingEntry, int], RoutingEntry | None]] = [
        _other_queue,
        _elsewhere,
        _other_intent,
        _gone,
    ]
    changed: dict[str, RoutingEntry | None] = {}
    added = []
    places = random.sample(range(len(entries)), count)
    for n, element in enumerate(random.sample(list(entries), count)):
        if n % 5 == 4:
            requested = _range(random, len(entries))
            added.append(
                entry(
                    len(entries) + n,
                    element.rule.priority + 1,
                    requested,
                    random.choice(QUEUES),
                )
            )
        else:
            changed[element.name] = edits[n % 5](random, element, places[n])
    after = [changed.get(entry.name, entry) for entry in entries]
    return [item for item in after if item is not None] + added


def retargeted(entries: Entries) -> list[RoutingEntry]:
    """Return the list with every rule's queue the next one: all that anybody wins moves."""
    return [
        _to(entry, QUEUES[(QUEUES.index(queue_of(entry)) + 1) % len(QUEUES)])
        for entry in entries
    ]


def renumbered(entries: Entries) -> list[RoutingEntry]:
    """Return the list with every priority ten times as large: nothing moves."""
    return [
        replace(entry, rule=replace(entry.rule, priority=entry.rule.priority * 10))
        for entry in entries
    ]


def boxes(count: int, seed: int = 3) -> list[RoutingEntry]:
    """Return a list meant to be hard: random boxes over three numeric attributes, each overlapping
    many others.
    """
    random = _seeded(seed)
    return [entry(n, n + 1, _box(random), random.choice(QUEUES)) for n in range(count)]


def boxes_and_patterns(count: int, seed: int = 4) -> list[RoutingEntry]:
    """Return the same with one pattern of few letters in each rule, so that patterns overlap as
    well.
    """
    random = _seeded(seed)
    return [
        entry(n, n + 1, [*_box(random)[:2], _letters(random)], random.choice(QUEUES))
        for n in range(count)
    ]


def one_changed(entries: Entries) -> list[RoutingEntry]:
    """Return the list with another queue for one rule, which is high enough in it to win
    something.
    """
    high = len(entries) // 20
    return [
        *entries[:high],
        *retargeted(entries[high : high + 1]),
        *entries[high + 1 :],
    ]


def conversations(
    count: int, intents: int, seed: int = 5
) -> Sequence[Mapping[str, str | float]]:
    """Return conversations as callers have them: an intent, a confidence, and the other attributes
    of most.
    """
    random = _seeded(seed)
    actual = []
    for _ in range(count):
        item: dict[str, str | float] = {
            INTENT: _intent(random.randrange(intents)),
            CONFIDENCE: random.randrange(101) / 100,
        }
        item |= {
            name: random.choice(values)
            for name, values in OTHERS.items()
            if random.random() < 0.8
        }
        actual.append(item)
    return actual


def entry(
    number: int, priority: float, asked: Iterable[Condition], queue: str
) -> RoutingEntry:
    """Return a rule of a list; its number is its name, address and id."""
    key = f"rule-{number:06d}"
    targets = sorted_targets([Target(queue, 1)])
    rule = Rule(
        name=f"Rule {number:06d}",
        description="",
        priority=priority,
        enabled=True,
        conditions=normalized_conditions(asked),
        targets=targets,
    )
    return RoutingEntry(
        name=f"mix/{key}", rule=rule, id=key, address=Address("mix", key)
    )


def _seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - lists that are the same every time


def queue_of(one: RoutingEntry) -> str:
    """Return the one queue that a rule of these lists has."""
    (target,) = one.rule.targets
    assert isinstance(target, Target)
    return target.queue_id


def intent_is(number: int) -> Condition:
    """Return the condition of a single intent."""
    return make_condition(INTENT, "equals", _intent(number))


def _intent(number: int) -> str:
    return f"intent_{number:06d}"


def _range(random: Random, intents: int) -> Conditions:
    """Ask for an intent that most likely has a rule of its own, and for some of the confidence."""
    low = random.randrange(30, 90)
    ranges = [
        [make_condition(CONFIDENCE, "greaterThanOrEqual", low / 100)],
        [make_condition(CONFIDENCE, "lessThan", low / 100)],
        [make_condition(CONFIDENCE, "between", [low / 100, (low + 10) / 100])],
    ]
    return [intent_is(random.randrange(intents)), *random.choice(ranges)]


def _patterns(random: Random, count: int, intents: int) -> list[Conditions]:
    """Ask for patterns, each another text, that a few intents match; two of three ask for something
    else as well.
    """
    texts: dict[str, str] = {}
    while len(texts) < count:
        name = _intent(random.randrange(intents))
        how, text = random.choice(
            [
                ("startsWith", name[:-1]),
                ("endsWith", name[-4:]),
                ("contains", name[-5:-1]),
            ]
        )
        texts[text] = how
    further: list[Callable[[], Conditions]] = [
        list,
        lambda: [_other(random)],
        lambda: [make_condition(CONFIDENCE, "greaterThanOrEqual", 0.7)],
    ]
    return [
        [make_condition(INTENT, how, text), *further[n % 3]()]
        for n, (text, how) in enumerate(texts.items())
    ]


def _some_intents(random: Random, intents: int) -> Conditions:
    """Ask for a set of intents."""
    return [
        make_condition(
            INTENT,
            "in",
            [_intent(random.randrange(intents)) for _ in range(random.randrange(2, 9))],
        )
    ]


def _negation(random: Random, intents: int) -> Conditions:
    """Ask for all but an intent or a few, of one kind of caller."""
    names = [_intent(random.randrange(intents)) for _ in range(3)]
    denied = random.choice(
        [
            make_condition(INTENT, "notEquals", names[0]),
            make_condition(INTENT, "notIn", names),
        ]
    )
    return [denied, _equal(random, "channel"), _equal(random, "language")]


def _callers(random: Random, _intents: int) -> Conditions:
    """Ask for a kind of caller, whatever the intent."""
    return [
        _equal(random, "channel"),
        _equal(random, "language"),
        _equal(random, "customerTier"),
    ]


def _intent_of_some(random: Random, intents: int) -> Conditions:
    """Ask for an intent, of some callers."""
    return [intent_is(random.randrange(intents)), _other(random)]


_WIDE: Final = (_some_intents, _negation, _callers, _intent_of_some)


def _equal(random: Random, name: str) -> Condition:
    return make_condition(name, "equals", random.choice(OTHERS[name]))


def _other(random: Random) -> Condition:
    """Ask for one or two values of another attribute."""
    name = random.choice(tuple(OTHERS))
    return random.choice(
        [
            _equal(random, name),
            make_condition(name, "in", random.sample(OTHERS[name], 2)),
        ]
    )


def _box(random: Random) -> Conditions:
    """Ask for a range of each of three attributes, a tenth to a half of what there is."""
    actual = []
    for name in ("x", "y", "z"):
        low = random.random()
        width = random.uniform(0.1, 0.5)
        actual.append(
            make_condition(name, "between", [round(low, 4), round(low + width, 4)])
        )
    return actual


def _letters(random: Random) -> Condition:
    text = "".join(random.choice("abc") for _ in range(random.randrange(1, 4)))
    return make_condition(
        "text",
        random.choice(["contains", "startsWith", "endsWith", "notContains"]),
        text,
    )


def _to(one: RoutingEntry, queue: str) -> RoutingEntry:
    return replace(one, rule=replace(one.rule, targets=(Target(queue, 1),)))


def _other_queue(random: Random, one: RoutingEntry, _place: int) -> RoutingEntry:
    return _to(
        one, random.choice([queue for queue in QUEUES if queue != queue_of(one)])
    )


def _elsewhere(_random: Random, one: RoutingEntry, place: int) -> RoutingEntry:
    """Put a rule at another height, half way between two others; one that is added comes just after
    another.
    """
    return replace(one, rule=replace(one.rule, priority=place * STEP + STEP // 2))


def _other_intent(random: Random, one: RoutingEntry, place: int) -> RoutingEntry:
    requested = [
        intent_is(place),
        make_condition(
            CONFIDENCE, "greaterThanOrEqual", random.randrange(30, 90) / 100
        ),
    ]
    return replace(
        one, rule=replace(one.rule, conditions=normalized_conditions(requested))
    )


def _gone(_random: Random, _one: RoutingEntry, _place: int) -> None:
    """Delete a rule."""


def promises(count: int, rules: int, seed: int = 6) -> list[Promise]:
    """Return promises as teams write them: of ten, six about an intent, two about callers, two
    about everybody.
    """
    random = _seeded(seed)
    intents = rules * 80 // 100
    every = frozenset(QUEUES)
    overflow = "overflow"
    kinds: list[Callable[[], Promise]] = [
        lambda: Promise(conditions=(), always=frozenset(random.sample(QUEUES, 11))),
        lambda: Promise(
            conditions=(), shares=((random.choice(QUEUES), Fraction(0), Fraction(0)),)
        ),
        lambda: Promise(conditions=(), never_default=True),
        lambda: Promise(
            conditions=(),
            shares=((random.choice(QUEUES), Fraction(0), Fraction(1, 2)),),
        ),
        lambda: Promise(conditions=(), decided_by=f"mix/rule-{random.randrange(10)}*"),
    ]
    wide: list[Callable[[], Promise]] = [
        lambda: Promise(conditions=(), always=every),
        lambda: Promise(conditions=(), shares=((overflow, Fraction(0), Fraction(0)),)),
        lambda: Promise(conditions=(), never_default=True),
        lambda: Promise(
            conditions=(), shares=((overflow, Fraction(0), Fraction(1, 2)),)
        ),
    ]
    actual = []
    for number in range(count):
        place = number % 10
        kind = number // 10 + number
        requested: Conditions = []
        if place < 6:
            requested = [
                intent_is(random.randrange(intents)),
                make_condition(CONFIDENCE, "greaterThanOrEqual", 0.4),
            ]
        elif place < 8:
            requested = [_equal(random, "customerTier"), _equal(random, "language")]
        item = (kinds[kind % 5] if place < 6 else wide[kind % 4])()
        actual.append(replace(item, conditions=normalized_conditions(requested)))
    return actual
