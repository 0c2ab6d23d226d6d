"""Effects in words: the examples of the text for a terminal, shares, the queues, and the first
sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from reconciler.core.behaviour.diff.effects import EffectRow
from reconciler.core.behaviour.routing_entry import RoutingEntry, order_entries
from reconciler.core.model.rule import Address
from reconciler.core.plan.headline import MAX_WORDS, headline
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.traffic_shares import ShareRange, measure_traffic
from reconciler.core.plan.words import (
    NO_IMPACT,
    NO_KNOWN_IMPACT,
    listed_intents,
    share_phrase,
)
from reconciler.core.text.phrases import Labels
from reconciler.core.traffic.sample import SampleRow, TrafficSample
from reconciler.render.colour import ansi_style, no_style
from reconciler.render.effects import (
    FIRST_FITS,
    OTHERS_UNCHANGED,
    EffectsSummary,
    summarize_effects,
)
from reconciler.render.row_order import row_blocks
from reconciler.render.text.effects import effects_lines
from tests.support.brute_force import Json
from tests.support.brute_force_checks import QUEUES
from tests.support.cases import each_case
from tests.support.grown_pairs import generate_pair
from tests.support.impacts import compare_lists
from tests.support.plan_formats import as_github, as_html, as_markdown, as_text
from tests.support.plans import large_plan
from tests.support.random_rules import attribute, entries, queue, rule

LABELS = Labels(
    {"intent": "intent", "conf": "confidence"},
    {("intent", "pin"): "PIN blocked", ("intent", "apple"): "Apple Pay or Google Pay"},
)
NAMES = {"A": "Card Services", "B": "Fraud Desk", "C": "General Service"}


def addressed(forms: Sequence[Json]) -> list[RoutingEntry]:
    """Rules of RuleSets: the id of a form is its address."""
    created = []
    for entry in entries(forms):
        ruleset, _, key = entry.id.partition("/")
        created.append(replace(entry, name=entry.id, address=Address(ruleset, key)))
    return created


def compared(
    old: Sequence[Json], new: Sequence[Json], *, sample: TrafficSample | None = None
) -> Impact:
    before = addressed(old)
    after = addressed(new)
    impact = compare_lists(before, after)
    if sample is None:
        return impact
    return replace(
        impact,
        traffic=measure_traffic(
            impact.behaviour, order_entries(before), order_entries(after), sample
        ),
    )


def summarized(
    old: Sequence[Json], new: Sequence[Json], *, sample: TrafficSample | None = None
) -> EffectsSummary:
    return summarize_effects(compared(old, new, sample=sample), NAMES, LABELS)


def told(
    old: Sequence[Json], new: Sequence[Json], *, sample: TrafficSample | None = None
) -> str:
    return (
        "\n".join(effects_lines(summarized(old, new, sample=sample), no_style)) + "\n"
    )


def sample_of(*rows: tuple[dict[str, Any], float]) -> TrafficSample:
    created = tuple(
        SampleRow(attributes, count, line)
        for line, (attributes, count) in enumerate(rows, 2)
    )
    return TrafficSample(
        name="t.csv",
        digest="",
        period="June",
        rows=created,
        total=sum(count for _, count in rows),
    )


def asks(
    name: str,
    intent: str | list[str],
    least: float,
    place: str,
    priority: int = 100,
    *more: Json,
) -> Json:
    intents = attribute("intent", "equals" if isinstance(intent, str) else "in", intent)
    return rule(
        name,
        priority,
        [intents, attribute("conf", "greaterThanOrEqual", least), *more],
        place,
    )


GERMAN = rule("languages/german", 10, [attribute("language", "equals", "de")], "C")
FRENCH = [
    rule(
        f"languages/french-{word}",
        11 + place,
        [attribute("language", "equals", "fr"), attribute("menu", "equals", word)],
        "C",
    )
    for place, word in enumerate(("cards", "cash"))
]
REST = rule("general/catch-all", 900, [], "C")
CALLERS = [
    (
        {"intent": "pin", "conf": 0.9, "language": "en", "menu": "x", "tier": "basic"},
        19,
    ),
    (
        {"intent": "pin", "conf": 0.72, "language": "en", "menu": "x", "tier": "basic"},
        0.5,
    ),
    (
        {
            "intent": "other",
            "conf": 0.9,
            "language": "en",
            "menu": "x",
            "tier": "basic",
        },
        980.5,
    ),
]


def test_one_edit_reads_like_this() -> None:
    """Cause and consequence stand together; the earlier rules are named once, those with one
    beginning together.
    """
    before = [GERMAN, *FRENCH, asks("cards/pin-blocked", "pin", 0.7, "A"), REST]
    after = [GERMAN, *FRENCH, asks("cards/pin-blocked", "pin", 0.75, "B"), REST]
    expected = """\
~ cards/pin-blocked   queue "Card Services" -> "Fraud Desk", confidence 0.7 -> 0.75
    PIN blocked, confidence 0.75 or more   "Card Services" -> "Fraud Desk"        1.9 %
    PIN blocked, confidence 0.7 to 0.75    "Card Services" -> "General Service"   under 0.1 %   by general/catch-all
    Earlier rules keep theirs: languages/german, languages/french-* (2)
Everyone else: no change (proven).
"""
    assert expected == told(before, after, sample=sample_of(*CALLERS))
    assert (
        'PIN blocked moves from "Card Services" to "Fraud Desk" (1.9 % of callers); 1 more move.'
        == (summarized(before, after, sample=sample_of(*CALLERS)).headline)
    )


def test_equal_edits_read_like_this() -> None:
    """Their intents are counted, equal conditions stand once, and the row of a catch-all is all
    others.
    """
    gold = rule(
        "priority/gold-unsure",
        500,
        [attribute("tier", "in", ["gold", "platinum"])],
        "B",
    )
    french = rule(
        "languages/french-everything-else",
        600,
        [attribute("language", "equals", "fr")],
        "B",
    )
    least = {"before": 0.6, "after": 0.7}
    lists = {
        side: [
            *(asks(f"cards/r{n}", f"intent {n}", least[side], "A") for n in range(5)),
            gold,
            french,
            REST,
        ]
        for side in least
    }
    cells = [
        re.split("  +", line.strip())
        for line in told(lists["before"], lists["after"]).splitlines()
    ]
    fraud = '"Card Services" -> "Fraud Desk"'
    general = '"Card Services" -> "General Service"'
    assert [
        ["~ 5 rules of cards/", "confidence 0.6 -> 0.7"],
        [
            "their 5 intents, confidence 0.6 to 0.7, tier gold or platinum",
            fraud,
            "by priority/gold-unsure",
        ],
        ["..., language fr", fraud, "by languages/french-everything-else"],
        ["..., all others", general, "by general/catch-all"],
        [f"{FIRST_FITS} {OTHERS_UNCHANGED}"],
    ] == cells
    full = summarize_effects(
        compared(lists["before"], lists["after"]), NAMES, LABELS, values=10**9
    )
    assert (
        '"intent 0", "intent 1", "intent 2", "intent 3" or "intent 4", '
        in full.rows[0].callers
    )


def test_intents_that_an_edit_changes_are_listed() -> None:
    """Not as "their intents": that would not say whether the new one is among them."""
    before = [
        *(asks(f"cards/r{n}", [f"i{n}", "x"], 0.6, "A", 100 + n) for n in range(4)),
        REST,
    ]
    after = [
        *(asks(f"cards/r{n}", [f"i{n}", "y"], 0.6, "A", 100 + n) for n in range(4)),
        REST,
    ]
    assert "their" not in told(before, after)


def named(forms: Sequence[Json], **names: str) -> list[Json]:
    """Return rules, some with another name, by the word after the slash."""
    return [
        {**form, "name": names.get(form["id"].partition("/")[2], form["name"])}
        for form in forms
    ]


def test_equal_edits_with_other_names_are_one() -> None:
    """A new name says nothing about who moves: it may come with each edit, or with some."""
    before = [*(asks(f"cards/r{n}", f"i{n}", 0.6, "A") for n in range(4)), REST]
    after = [*(asks(f"cards/r{n}", f"i{n}", 0.6, "B") for n in range(4)), REST]
    head = '~ 4 rules of cards/   queue "Card Services" -> "Fraud Desk"'
    for names, words in (
        ({}, ""),
        ({f"r{n}": f"Name {n}" for n in range(4)}, ", another name"),
        ({"r1": "Name", "r2": "Other"}, ", some with another name"),
    ):
        assert [
            f"{head}{words}",
            "    their 4 intents, confidence 0.6 or more",
            OTHERS_UNCHANGED,
        ] == told(before, named(after, **names)).splitlines()


def test_new_rules_to_one_queue_are_one_edit() -> None:
    """With another queue or priority they are not."""
    new = [asks(f"cards/r{n}", f"i{n}", 0.6, "A") for n in range(4)]
    assert [
        "+ 4 rules of cards/   new, priority 100",
        (
            "    their 4 intents, confidence 0.6 or more   "
            '"General Service" -> "Card Services"   from general/catch-all'
        ),
        OTHERS_UNCHANGED,
    ] == told([REST], [*new, REST]).splitlines()
    others = [{**new[0], "priority": 90}, asks("cards/r1", "i1", 0.6, "B"), *new[2:]]
    assert 3 == len(summarized([REST], [*others, REST]).effects)


def test_rows_leave_their_queues_to_the_edit_that_says_them() -> None:
    """Only if all rows have them."""
    before = [
        asks("cards/a", "a", 0.6, "A"),
        asks("cards/b", "b", 0.7, "A"),
        REST,
    ]
    after = [
        asks("cards/a", "a", 0.6, "B"),
        asks("cards/b", "b", 0.7, "B"),
        REST,
    ]
    assert [
        '~ cards/a, cards/b   queue "Card Services" -> "Fraud Desk"',
        "    a, confidence 0.6 or more",
        "    b, confidence 0.7 or more",
        OTHERS_UNCHANGED,
    ] == told(before, after).splitlines()
    higher = [asks("cards/a", "a", 0.8, "B"), *after[1:]]
    assert 3 == told(before, higher).count('"Card Services" -> "Fraud Desk"')


def test_what_earlier_rules_keep_stands_once_for_all_edits() -> None:
    """Only if it is the same for all of them."""
    rules = [asks("cards/a", "a", 0.6, "A"), asks("cards/b", "b", 0.6, "B")]
    note = "Earlier rules keep theirs: languages/german"
    before = [GERMAN, *rules, REST]
    after = [GERMAN, *({**item, "targets": [queue("C")]} for item in rules), REST]
    assert [note, OTHERS_UNCHANGED] == told(before, after).splitlines()[-2:]
    only_a = {**GERMAN, "conditions": [*GERMAN["conditions"], *rules[0]["conditions"]]}
    texts = told([only_a, *before[1:]], [only_a, *after[1:]]).splitlines()
    assert f"    {note}" in texts
    assert note not in texts


def test_two_rules_that_swap_names_are_one_sentence() -> None:
    """Without a move, and where equal priorities make another order of them."""
    rules = [rule("cards/a", 1, [attribute("tier", "equals", "gold")], "A")]
    rules += [asks("cards/b", "pin", 0.7, "B", 2), REST]
    swapped = named(rules, a="cards/b", b="cards/a")
    assert "Edited: cards/a and cards/b swap names." == summarized(rules, swapped).quiet
    other = [{**rules[0], "id": "cards/b"}, {**rules[1], "id": "cards/a"}, REST]
    text = summarized(rules, other).quiet
    assert "Edited: cards/a and cards/b swap addresses." == text
    exchanged = named(other, a="cards/a", b="cards/b")
    text = summarized(rules, exchanged).quiet
    assert "Edited: cards/a and cards/b exchange all but their names." == text

    tied = [{**item, "priority": 1} for item in rules]
    after = named(tied, a="cards/b", b="cards/a")
    assert [
        "~ cards/b swaps names with cards/a",
        (
            "PIN blocked, confidence 0.7 or more, tier gold "
            '"Card Services" -> "Fraud Desk" from cards/a'
        ),
        OTHERS_UNCHANGED,
    ] == [" ".join(line.split()) for line in lines_of(tied, after)]
    assert "" == summarized(tied, after).quiet


def lines_of(old: Sequence[Json], new: Sequence[Json]) -> list[str]:
    return told(old, new).splitlines()


def test_a_new_address_does_not_cause_what_another_edit_moves() -> None:
    """Neither where the rule takes what another one loses, nor beside a deleted rule."""
    rest = rule("cards/all", 100, [attribute("conf", "exists", None)], "B")
    moved = {**rest, "id": "cards/rest", "name": "cards/rest"}
    before = asks("cards/a", "pin", 0.6, "A")
    for after in ([asks("cards/a", "pin", 0.7, "A")], []):
        summary = summarized([before, rest], [*after, moved])
        assert ["cards/a"] == [
            member.name for effect in summary.effects for member in effect.members
        ]
        assert "cards/all (renamed: cards/rest)" in summary.quiet


def test_rules_that_exchange_one_field_are_edited_in_it() -> None:
    """Two rules of which one is switched off and the other on do not swap names."""
    day = asks("cards/day", "pin", 0.7, "A")
    night = {**day, "id": "cards/night", "name": "cards/night", "enabled": False}
    after = [{**day, "enabled": False}, {**night, "enabled": True}]
    text = "\n".join(lines_of([day, night, REST], [*after, REST]))
    text += summarized([day, night, REST], [*after, REST]).quiet
    assert "swap" not in text
    assert "exchange" not in text


def test_a_renamed_rule_is_one_edit() -> None:
    """At its address, with the old name and the new one; at another address, with both."""
    rules = [asks("cards/a", "pin", 0.7, "A"), REST]
    summary = summarized(rules, named(rules, a="Cards"))
    assert 'Edited: cards/a (renamed: "cards/a" -> "Cards").' == summary.quiet
    moved = [asks("cards/pin", "pin", 0.7, "A"), REST]
    summary = summarized(rules, moved)
    assert "Edited: cards/a (renamed: cards/pin)." == summary.quiet
    assert summary.headline.endswith(" 1 edit.")

    general = rule("cards/b", 100, [attribute("conf", "exists", None)], "B")
    assert [
        "~ cards/pin   renamed: cards/a -> cards/pin",
        (
            "    PIN blocked, confidence 0.7 or more   "
            '"Card Services" -> "Fraud Desk"   by cards/b'
        ),
        OTHERS_UNCHANGED,
    ] == lines_of([*rules, general], [*moved, general])


def test_a_split_stands_once() -> None:
    """Rows below have three dots, on each side where the row above has the same long text."""
    split = [queue("A", 3), queue("B", 1)]
    rules = [rule("a/x", 1, [attribute("intent", "in", ["p", "q"])], split)]
    ends = [rule("b/y", 5, [attribute("intent", "equals", "p")], "B"), REST]
    assert """\
- a/x   deleted
    p   75 % "Card Services", 25 % "Fraud Desk" -> "Fraud Desk"   by b/y
    q   ... -> "General Service"                                  by general/catch-all
Everyone else: no change (proven).
""" == told([*rules, *ends], ends)


def test_a_rule_that_only_one_row_is_without_is_named_there() -> None:
    """It takes callers of the other row: a note for all rows would be wrong."""
    candidate = rule("b/other", 5, [attribute("tier", "equals", "gold")], "A")
    before = [
        rule("a/x", 1, [attribute("intent", "equals", "p")], "A"),
        rule("a/y", 1, [attribute("intent", "equals", "q")], "B"),
    ]
    text = told([*before, candidate, REST], [candidate, REST])
    assert "    p, except those of b/other" in text, text
    assert "    q, tier gold" in text, text


def test_many_earlier_rules_are_folded_by_rule_set_and_counted() -> None:
    """Six by name; more by RuleSet; -v names each."""

    def earlier(sets: int, each: int) -> list[Json]:
        return [
            rule(
                f"s{number}/k{key}",
                1 + number,
                [attribute(f"a{number}{key}", "equals", "x")],
                "C",
            )
            for number in range(sets)
            for key in range(each)
        ]

    def note(rules: list[Json]) -> str:
        edits = [[*rules, rule("z/z", 500, [], place)] for place in "AB"]
        return told(*edits).splitlines()[2].strip()

    assert (
        "Earlier rules keep theirs: s0/k0, s0/k1, s0/k2, s1/k0, s1/k1, s1/k2"
        == note(earlier(2, 3))
    )
    assert "Earlier rules keep theirs: s0/* (4), s1/* (4)" == note(earlier(2, 4))
    assert (
        "Earlier rules keep theirs: s0/* (2), s1/* (2), s2/* (2), s3/* (2), s4/* (2), s5/* (2) and "
        "4 more" == note(earlier(8, 2))
    )
    edits = [[*earlier(2, 4), rule("z/z", 500, [], place)] for place in "AB"]
    (effect,) = summarize_effects(compared(*edits), NAMES, LABELS, values=10**9).effects
    assert (
        "Earlier rules keep theirs: s0/k0, s0/k1, s0/k2, s0/k3, s1/k0, s1/k1, s1/k2, s1/k3",
    ) == effect.notes


def test_a_beginning_stands_only_for_all_rules_that_have_it() -> None:
    """Another French rule is not named: both names are written."""
    candidate = rule(
        "languages/french-other", 700, [attribute("menu", "equals", "z")], "C"
    )
    for further, expected in (
        ([], "languages/french-* (2)"),
        ([candidate], "languages/french-cards, languages/french-cash"),
    ):
        edits = [
            [
                *FRENCH,
                rule("z/z", 500, [attribute("language", "equals", "fr")], place),
                *further,
            ]
            for place in "AB"
        ]
        assert f"Earlier rules keep theirs: {expected}\n" in told(*edits)


def test_edits_that_move_nobody_are_one_line() -> None:
    """With their fields; without a move the headline has their number."""
    same = asks("cards/a", "pin", 0.7, "A")
    before = [same, asks("cards/b", "b", 0.7, "A"), REST]
    renamed = {**same, "priority": 90}
    assert "1 further edit moves nobody (proven): cards/a (priority).\n" in told(
        before, [renamed, asks("cards/b", "b", 0.7, "B"), REST]
    )
    summary = summarized(before, [renamed, *before[1:]])
    assert f"{NO_IMPACT} 1 edit." == summary.headline
    assert "Edited: cards/a (priority)." == summary.quiet


def test_flows_are_the_first_part_of_a_large_change() -> None:
    """With more than 12 rows: at most eight flows, the largest first; -v has the effects, too."""
    menus = [attribute("menu", "equals", f"m{n}") for n in range(14)]
    names = {f"Q{n}": f"Queue {n}" for n in range(14)}
    lists = [
        [rule(f"r/k{n}", n, [menus[n]], f"{side}{n}") for n in range(14)]
        for side in "QR"
    ]
    impact = compared(*lists)
    summary = summarize_effects(impact, names, LABELS)
    assert (8, "and 6 more flows") == (len(summary.flows), summary.more_flows)
    text = "\n".join(effects_lines(summary, no_style))
    assert "~ r/k" not in text
    assert OTHERS_UNCHANGED in text
    assert "~ r/k13" in "\n".join(effects_lines(summary, no_style, verbose=True))
    assert summary.headline.startswith("Conversations move from ")
    assert summary.headline.endswith("; 13 more moves.")


def test_colours_do_not_change_the_text() -> None:
    """A route is yellow, an edit has the colour of its action."""
    edits = [[rule("a/x", 1, [], place)] for place in "AB"]
    painted = list(effects_lines(summarized(*edits), ansi_style))
    assert '\x1b[33m~ a/x\x1b[0m   queue "Card Services" -> "Fraud Desk"' == painted[0]
    assert "    every conversation" == painted[1]
    moved = [[rule("a/x", 1, [], "A"), rule("a/y", 2, [], "B")], []]
    assert any(
        '\x1b[33m"Card Services" -> the tenant\'s default routing\x1b[0m' in line
        for line in effects_lines(summarized(*moved), ansi_style)
    )


@each_case(
    "share, phrase",
    [
        ((1.94, 1.94), "1.9 %"),
        ((0.0, 0.0), "0.0 %"),
        ((0.04, 0.04), "under 0.1 %"),
        ((0.0, 0.04), "under 0.1 %"),
        ((0.0, 14.2), "at most 14.2 %"),
    ],
)
def test_a_share_is_one_figure(share: tuple[float, float], phrase: str) -> None:
    """Never a range."""
    assert phrase == share_phrase(ShareRange(*share))


def test_the_total_is_a_minimum_with_unknown_cases() -> None:
    """Callers of unknown cases may move, too: neither a share nor "at most" holds for all."""
    pair = generate_pair(Random(0))
    before = order_entries(entries(pair.old))
    after = order_entries(entries(pair.new))
    sample = sample_of(({"intent": "intent_0"}, 4), ({}, 6))
    totals = {}
    for work in (1_000, None):
        impact = compare_lists(before, after, work=work)
        traffic = measure_traffic(impact.behaviour, before, after, sample)
        assert impact.behaviour.effects
        totals[impact.behaviour.complete] = summarize_effects(
            replace(impact, traffic=traffic), QUEUES, LABELS
        ).share
    assert totals[False].startswith("at least ")
    assert not totals[True].startswith("at least ")


@each_case(
    "old, new, way",
    [
        ("A", "B", '"General" (A) -> "General" (B)'),
        (
            [queue("A", 1), queue("C", 1)],
            [queue("A", 1000), queue("C", 1001)],
            '50 % "General", 50 % "Other" -> 50.024988 % "Other", 49.975012 % "General"',
        ),
        (
            [queue("A", 1), queue("C", 1)],
            [queue("A", 2 * 10**8), queue("C", 2 * 10**8 + 1)],
            '50 % "General" (A), 50 % "Other" (C) -> 49.999999875 % "General" (A), 50.000000125 % "Other" (C)',
        ),
        (
            [queue("A", 1), queue("C", 1)],
            "A",
            '50 % "General", 50 % "Other" -> "General"',
        ),
    ],
)
def test_no_row_has_equal_texts_for_origin_and_destination(
    old: Any, new: Any, way: str
) -> None:
    """Two queues of one name, and splits that are equal in eight digits, have ids and all
    digits.
    """
    impact = compare_lists(
        entries([rule("a", 1, [], old)]), entries([rule("a", 1, [], new)])
    )
    (row,) = summarize_effects(
        impact, {"A": "General", "B": "General", "C": "Other"}, LABELS
    ).rows
    assert way == row.route


def test_two_queues_of_one_name_are_two_in_the_balance() -> None:
    """Otherwise one name would have two different shares."""
    impact = compared(
        *([rule("a/a", 1, [], place)] for place in "AB"), sample=sample_of(({}, 1))
    )
    balance = summarize_effects(
        impact, {"A": "General", "B": "General"}, LABELS
    ).balance
    assert {'"General" (A)', '"General" (B)'} == {item.queue for item in balance}


def test_a_queue_whose_change_is_not_known_is_counted() -> None:
    """The sample does not have the attribute: both queues may gain or lose nothing, or one may gain
    all.
    """
    old = [
        rule("a/a", 1, [attribute("tier", "equals", "x")], "A"),
        rule("a/b", 2, [attribute("tier", "equals", "y")], "B"),
    ]
    new = [
        {**old[0], "targets": old[1]["targets"]},
        {**old[1], "targets": old[0]["targets"]},
    ]
    summary = summarize_effects(
        compared(old, new, sample=sample_of(({"intent": "p"}, 1))), NAMES, LABELS
    )
    assert ((), "2 queues: the sample does not say") == (
        summary.balance,
        summary.balance_note,
    )


def test_conditions_that_are_not_understood_are_distinguished() -> None:
    """Text besides the attribute, the operator and the value is shown, too: they are two
    conditions.
    """
    plainly = {
        "type": "attribute",
        "attributeName": "x",
        "operator": "matches",
        "value": "a",
    }
    old = [
        rule("a", 1, [plainly], "A"),
        rule("b", 2, [{**plainly, "ignoreCase": True}], "C"),
    ]
    new = [{**item, "targets": [queue("B")]} for item in old]
    callers = [
        row.callers
        for row in summarize_effects(
            compare_lists(entries(old), entries(new)), QUEUES, LABELS
        ).rows
    ]
    assert any('if x matches "a" (not understood here)' in each for each in callers)
    assert any('"ignoreCase":true' in each for each in callers)


def test_a_stopped_analysis_is_never_called_proven() -> None:
    """The bound ended the analysis before its first row: no sentence says that no conversation
    moves.
    """
    impact = compare_lists(
        entries([rule("a", 1, [], "A")]), entries([rule("a", 1, [], "B")]), work=0
    )
    assert (False, ()) == (impact.behaviour.complete, impact.behaviour.effects)
    summary = summarize_effects(impact, QUEUES, LABELS)
    assert summary.headline.startswith(NO_KNOWN_IMPACT)
    assert summary.unknown
    assert "" == summary.quiet
    plan = replace(large_plan(1), impact=impact)
    for render in (as_text, as_github, as_markdown, as_html):
        page = render(plan)
        assert NO_KNOWN_IMPACT.removesuffix(".") in page, page
        assert "goes elsewhere (proven)" not in page, page
        assert OTHERS_UNCHANGED not in page, page


# The headline


def test_callers_that_lose_their_queue_come_first() -> None:
    """No queue before the default routing, and both before a larger move."""
    menus = [attribute("menu", "equals", f"m{n}") for n in range(3)]
    rules = [rule(f"r/k{n}", n, [menus[n]], "A") for n in range(3)]
    sample = sample_of(({"menu": "m0"}, 90), ({"menu": "m1"}, 6), ({"menu": "m2"}, 4))
    moved = {**rules[0], "targets": [queue("B")]}
    nowhere = {**rules[2], "targets": [queue("A", 0)]}
    assert (
        'Callers with menu m2 go from "Card Services" to no queue (4.0 % of callers); 2 more moves.'
        == (summarized(rules, [moved, nowhere], sample=sample).headline)
    )
    assert summarized(rules, [moved, rules[2]], sample=sample).headline.startswith(
        'Callers with menu m1 go from "Card Services" to the tenant\'s default routing (6.0 % of callers); 1 more'
    )


@pytest.mark.parametrize("words", [1, 8, 40])
def test_a_headline_has_at_most_30_words(words: int) -> None:
    """With any names: the text has less detail, but the share and the number of moves stay."""
    name = " ".join(["long"] * words)
    requested = [
        attribute("intent", "in", [f"{name} {n}" for n in range(3)]),
        attribute("tier", "equals", name),
    ]
    lists = [[rule("a/x", 1, requested, place)] for place in "AB"]
    impact = compared(
        *lists, sample=sample_of(({"intent": f"{name} 1", "tier": name}, 1))
    )
    sentence = headline(impact, {"A": f"{name} a", "B": f"{name} b"}, LABELS)
    assert len(sentence.split()) <= MAX_WORDS
    assert sentence.endswith("(100.0 % of callers).")


def test_a_value_is_in_quotes_only_where_it_could_be_read_as_other_words() -> None:
    """Plain labels and single words stand alone; words of the grammar, names of attributes and odd
    signs do not.
    """
    texts = {
        "Gold": "Gold",
        "German (Austria)": "German (Austria)",
        "O'Brien & Sons": "O'Brien & Sons",
        "Apple Pay or Google Pay": '"Apple Pay or Google Pay"',
        "not known": '"not known"',
        "confidence": '"confidence"',
        "confidence high": '"confidence high"',
        "a, b": '"a, b"',
        "x" * 41: f'"{"x" * 41}"',
        "7 days": '"7 days"',
        "": '""',
        "two  spaces": '"two  spaces"',
        "a\u202eb": '"a\\u202eb"',
    }
    for text, expected in texts.items():
        labels = Labels({"conf": "confidence"}, {("tier", "v"): text} if text else {})
        assert expected == labels.plain_value("tier", "v" if text else ""), text
    labels = Labels({"conf": "confidence"}, {("tier", "v"): "Gold"})
    assert '"Gold" (undeclared)' == labels.plain_value("tier", "Gold")
    assert '"two words"' == labels.plain_value("tier", "two words")
    assert ["word", "true", '"true"', "0.5", '"0.5"'] == [
        labels.plain_value("tier", value)
        for value in ("word", True, "true", 0.5, "0.5")
    ]


def test_a_long_list_that_a_row_above_has_is_not_written_again() -> None:
    """Only if no other list of the effect is as long; the reader then knows which intents are
    meant.
    """
    many = [f"i{number}" for number in range(5)]
    gold = rule(
        "tiers/gold", 1, [attribute("tier", "equals", "gold")], "B", enabled=False
    )
    claimed = rule("cards/many", 2, [attribute("intent", "in", many)], "A")
    rest = rule("rest/all", 9, [], "C")
    before = [gold, claimed, rest]
    after = [gold, {**claimed, "enabled": False}, rest]
    vip = rule("tiers/vip", 3, [attribute("tier", "equals", "vip")], "B")
    rows = summarized([*before, vip], [*after, vip]).effects[0].rows
    assert ["i0, i1 and 3 more intents, tier vip", "the same 5 intents"] == [
        row.callers for row in rows
    ]

    candidate = rule(
        "cards/other",
        2.5,
        [attribute("intent", "in", [f"j{number}" for number in range(5)])],
        "A",
    )
    edited = [{**each, "enabled": False} for each in (claimed, candidate)]
    texts = [
        row.callers
        for row in summarized(
            [gold, claimed, candidate, vip, rest], [gold, *edited, vip, rest]
        ).rows
    ]
    assert not any(text.startswith("the same") for text in texts), texts


def test_a_move_between_the_same_queues_names_them_once() -> None:
    """A headline leaves the shares of splits to the row, unless the same queue is on both sides."""
    split = [queue("A", 3), queue("B", 1)]
    listed = {
        **rule("a/x", 1, [attribute("intent", "equals", "pin")], "A"),
        "targets": split,
    }
    for targets, headline_text in (
        (
            [queue("A", 1), queue("B", 1)],
            'PIN blocked is split differently between "Card Services" and "Fraud Desk".',
        ),
        (
            [queue("C")],
            'PIN blocked moves from "Card Services" and "Fraud Desk" to "General Service".',
        ),
        (
            [queue("A")],
            'PIN blocked moves from 75 % "Card Services", 25 % "Fraud Desk" to "Card Services".',
        ),
    ):
        summary = summarized([listed], [{**listed, "targets": targets}])
        assert headline_text == summary.headline
    (effect,) = summary.effects
    assert ("other queues",) == effect.short_edits
    assert ('queue 75 % "Card Services", 25 % "Fraud Desk" -> "Card Services"',) == (
        effect.line_edits
    )


def test_a_new_rule_leaves_its_queue_to_its_row() -> None:
    """The row says it; a new rule that moves nobody has no row, and is named in one line."""
    (effect,) = summarized(
        [], [rule("a/x", 1, [attribute("intent", "equals", "pin")], "A")]
    ).effects
    assert (('new: to "Card Services", priority 1',), ("new, priority 1",)) == (
        effect.edits,
        effect.short_edits,
    )


_GOLD = rule("priority/gold", 500, [attribute("tier", "in", ["gold", "platinum"])], "B")


def with_bound(least: float) -> list[Json]:
    """Rules with equal bounds: those of one RuleSet send two kinds of intents to two queues."""
    cards = [
        asks(f"cards/r{number}", f"card {number}", least, "A") for number in range(2)
    ]
    cash = [asks("cards/cash", "cash", least, "B")]
    late = rule("languages/french", 600, [attribute("language", "equals", "fr")], "D")
    return [*cards, *cash, late, REST]


def test_rows_about_the_same_intents_stand_together() -> None:
    """The queue and the conditions that they share are written once."""
    cells = [
        re.split("  +", line.strip())
        for line in told(with_bound(0.6), with_bound(0.7)).splitlines()
    ]
    callers = [row[0] for row in cells[1:5]]
    routes = [row[1] for row in cells[1:5]]
    shared = "..., all others"
    bound = "confidence 0.6 to 0.7, language fr"
    assert [
        f"cash, {bound}",
        shared,
        f'"card 0" or "card 1", {bound}',
        shared,
    ] == callers
    before = [route.partition(" -> ")[0] for route in routes]
    assert ['"Fraud Desk"', "...", '"Card Services"', "..."] == before


def test_three_rows_or_fewer_name_their_queues_in_full() -> None:
    """Only with more rows does `...` stand for a single queue."""
    old, new = (
        [asks("cards/cash", "cash", least, "B"), with_bound(least)[3], REST]
        for least in (0.6, 0.7)
    )
    (effect,) = summarized(old, new).effects
    assert ['"Fraud Desk"', '"Fraud Desk"'] == [
        row.short_route.partition(" -> ")[0] for row in effect.rows
    ]


@each_case("seed", range(40))
def test_blocks_keep_every_row_and_the_order_of_rows_with_a_common_intent(
    seed: int,
) -> None:
    """Random lists of intents; a row without a list fits every intent, so nothing changes
    places.
    """
    rows = random_rows(Random(seed))
    ordered = [row for block in row_blocks(rows, LABELS) for row in block]
    assert sorted(map(id, rows)) == sorted(map(id, ordered))
    for place, row in enumerate(rows):
        for later in rows[place + 1 :]:
            lists = [set(listed_intents(each, LABELS)) for each in (row, later)]
            if not all(lists) or lists[0] & lists[1]:
                assert index_of(row, ordered) < index_of(later, ordered)


def index_of(row: EffectRow, rows: Sequence[EffectRow]) -> int:
    return next(place for place, each in enumerate(rows) if each is row)


def random_rows(random: Random) -> list[EffectRow]:
    """Return the rows of all effects of a random edit of rules about few intents, mixed."""
    intents = ["a", "b", "c", "d", "e"]
    before = []
    for number in range(6):
        listed = random.sample(intents, random.randint(1, 3))
        before.append(
            asks(
                f"s/r{number}",
                listed,
                random.choice((0.5, 0.6)),
                random.choice("ABC"),
                100 + number,
            )
        )
    after = [form for form in before if random.random() < 0.6]
    rows = [
        row
        for effect in compared([*before, _GOLD, REST], [*after, REST]).behaviour.effects
        for row in effect.rows
    ]
    return random.sample(rows, len(rows))
