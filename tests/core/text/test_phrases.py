"""Values, conditions, queues and ranges as phrases, and the escaping of text from outside."""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import Any

from reconciler.core.manifest.kinds.profile import Errors
from reconciler.core.model.rule import Target, make_condition, make_opaque
from reconciler.core.text.escape import (
    escape_invisible,
    is_visible,
    join_first,
    pluralize,
    quote,
    quote_name,
    sanitize,
)
from reconciler.core.text.phrases import (
    acknowledged_phrase,
    condition_phrase,
    conversation_phrase,
    failing_tests_phrase,
    queue_phrase,
    queues_phrase,
    range_phrase,
    rule_phrase,
)
from reconciler.core.text.suggest import suggest
from reconciler.targets.platform.transport.request import ApiResponse
from reconciler.targets.platform.transport.request import describe_failure as no_answer
from tests.support.builders import LABELS, at_least, intent_is, rule
from tests.support.cases import each_case

NAMES = {"q-cards": "Cards", "q-fraud": "Fraud"}
CARDS = Target("q-cards", 1)
FRAUD = Target("q-fraud", 3)
NIGHTS = make_opaque({"type": "schedule", "name": "nights"})
NIGHTS_SHOWN = (
    'a part that cxroute does not understand: {"name":"nights","type":"schedule"}'
)


@each_case(
    "item, shown",
    [
        ("10", '"10"'),
        (10, "10"),
        (10.0, "10"),
        (0.5, "0.5"),
        (1e16, "1e+16"),
        (None, "null"),
        (True, "true"),
        ("é\x1b\u202e", '"é\\u001b\\u202e"'),
        ("x" * 400, '"' + "x" * 299 + '..."'),
        ([1, "a"], '[1, "a"]'),
        (list(range(8)), "[0, 1, 2, 3, 4, 5, 6, 7]"),
        (tuple(range(10)), "[0, 1, 2, 3, 4, 5, 6, 7 and 2 more]"),
    ],
)
def test_a_value_is_shown_as_json(item: Any, shown: str) -> None:
    """A text differs from a number; a long value is cut, and still ends in a quote."""
    assert shown == quote(item)


def test_text_from_outside_is_escaped_and_cut() -> None:
    """Invisible characters are escapes, and at most 300 characters remain."""
    assert "a\\u200bb\\U000e0001" == escape_invisible("a\u200bb\U000e0001")
    assert "x" * 300 == sanitize("x" * 300)
    assert "x" * 300 + "..." == sanitize("x" * 301)
    assert '"' + "x" * 60 + '"' == quote_name("x" * 60)
    assert '"' + "x" * 60 + '..."' == quote_name("x" * 61)


FORMERLY_PASSED = "\u115f\u1160\u17b4\u3164\ufe0f\uffa0\U000e0100\ufffd\xa0\u2003\u3000\u00ad\u202e\ue000\n\x85\ud800"
"""Invisible characters that earlier functions treated differently: one escaped or replaced them,
another did not."""


@each_case("character", FORMERLY_PASSED)
def test_every_function_escapes_the_same_invisible_characters(character: str) -> None:
    """Messages about rules, manifests, and responses of the tenant, an identity provider and a
    webhook agree.
    """
    escape = (
        f"\\u{ord(character):04x}"
        if ord(character) < 0x10000
        else f"\\U{ord(character):08x}"
    )
    in_json = {"\n": "\\n"}.get(character, escape)
    text = f"a{character}b"
    answer = {"message": f"a{character}b"}
    error = OSError(1, text)
    assert not is_visible(text)
    assert f"a{escape}b" == escape_invisible(text) == sanitize(text) == no_answer(error)
    assert (
        f'"a{in_json}b"'
        == quote(text)
        == quote_name(text)
        == suggest("ab", [text])[len("did you mean ") : -1]
    )
    reply = ApiResponse("GET /", 500, {}, json.dumps(answer).encode())
    assert (f"a{escape}b" if character != "\n" else "a b") == reply.error_text(
        (), Errors()
    )


def test_every_invisible_character_is_escaped() -> None:
    """Unprintable characters, fillers, variation selectors and specials are escaped, and no
    others.
    """
    blank = re.compile(
        "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
        "\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fff]"
    )
    # The planes 3 to 13 and the last two have no such character, and cost most of the time.
    codes = chain(range(0x30000), range(0xE0000, 0xF0000))
    characters = map(chr, codes)
    assert [] == [
        character
        for character in characters
        if is_visible(character)
        == (not character.isprintable() or bool(blank.match(character)))
    ]


@each_case(
    "what, said",
    [
        (intent_is("lost"), 'intent is "lost"'),
        (at_least(0.7), "confidence >= 0.7"),
        (make_condition("tier", "exists", None), "tier exists"),
        (make_condition("tier", "notExists", None), "tier is missing"),
        (make_condition("age", "between", [1, 5]), "age is between 1 and 5"),
        (make_condition("tier", "in", ["a", "b"]), 'tier is one of "a", "b"'),
        (
            make_condition("n", "in", [f"v{n}" for n in range(9)]),
            'n is one of "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7" and 1 more',
        ),
        (NIGHTS, NIGHTS_SHOWN),
    ],
)
def test_a_condition_is_a_phrase(what: Any, said: str) -> None:
    """The phrase has the display names of attributes."""
    assert said == condition_phrase(what, LABELS)


@each_case(
    "targets, said",
    [
        ([], "no queue"),
        ([CARDS], '"Cards"'),
        ([CARDS, FRAUD], '75 % "Fraud", 25 % "Cards"'),
        ([CARDS, Target("q-fraud", 2)], '66.666667 % "Fraud", 33.333333 % "Cards"'),
        (
            [Target("q-cards", 33.3), Target("q-fraud", 66.7)],
            '66.7 % "Fraud", 33.3 % "Cards"',
        ),
        ([CARDS, Target("q-fraud", 100_000)], '99.999 % "Fraud", 0.00099999 % "Cards"'),
        ([CARDS, Target("q-fraud", 0)], '100 % "Cards", 0 % "Fraud"'),
        ([Target("q-cards", 0)], 'no queue ("Cards" with weight 0)'),
        ([CARDS, NIGHTS], f'"Cards" with weight 1, {NIGHTS_SHOWN}'),
    ],
)
def test_the_destination_of_a_rule_is_a_phrase(targets: list[Any], said: str) -> None:
    """Several queues have shares; if a target is not understood, each target is named."""
    assert said == queues_phrase(targets, NAMES)


def test_an_unknown_queue_is_named_by_its_id() -> None:
    """The id comes from the tenant, so it is escaped."""
    assert "an unknown queue (q\\u001b)" == queue_phrase("q\x1b", NAMES)


def test_a_rule_is_one_sentence() -> None:
    """The intent first, then the confidence, then other attributes."""
    subject = rule(
        conditions=[
            make_condition("a", "equals", "b"),
            at_least(0.7),
            intent_is("lost"),
        ],
        enabled=False,
    )
    text = 'intent is "lost" and confidence >= 0.7 and a is "b": to "Cards", priority 100, switched off'
    assert text == rule_phrase(subject, NAMES, LABELS)
    assert 'every conversation: to "Cards", priority 100' == rule_phrase(
        rule(conditions=[]), NAMES, LABELS
    )


def test_a_conversation_is_its_attributes() -> None:
    """The order of attributes is that of a rule."""
    source_values = {
        "tier": "gold",
        "cognigyConfidence": 0.7,
        "cognigyDetectedIntent": "lost",
    }
    assert 'intent "lost", confidence 0.7, tier "gold"' == conversation_phrase(
        source_values, LABELS
    )
    assert "no attributes" == conversation_phrase({}, LABELS)


@each_case(
    "low, over, high, under, said",
    [
        (None, ">=", 0.7, "<", "below 0.7"),
        (None, ">=", 0.7, "<=", "0.7 or less"),
        (0.7, ">=", None, "<", "0.7 or more"),
        (0.7, ">", None, "<", "above 0.7"),
        (None, ">=", None, "<", "of any value"),
        (0.6, ">=", 0.7, "<", "0.6 to 0.7"),
        (0.6, ">=", 0.7, "<=", "0.6 to 0.7 included"),
        (0.6, ">", 0.7, "<", "above 0.6 to 0.7"),
    ],
)
def test_a_range_is_a_phrase(
    low: float | None, over: str, high: float | None, under: str, said: str
) -> None:
    """The words show whether an end is included."""
    assert said == range_phrase(low, over, high, under)


def test_counts_are_phrases() -> None:
    """One, several, and thousands."""
    assert ["1 rule", "2 rules", "1,000 rules"] == [
        pluralize(n, "rule") for n in (1, 2, 1000)
    ]
    assert "1 acknowledged finding is not shown." == acknowledged_phrase(1)
    assert "2 acknowledged findings are not shown." == acknowledged_phrase(2)
    assert ["1 route test fails", "2 route tests fail"] == [
        failing_tests_phrase(n) for n in (1, 2)
    ]
    assert ["a, b", "a and 1 more"] == [join_first(["a", "b"], most) for most in (2, 1)]
