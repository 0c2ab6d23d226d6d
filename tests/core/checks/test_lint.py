"""Likely mistakes in rules: where each code is found, and where it must not be."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.checks.lint import lint
from reconciler.core.checks.lint_names import is_typo
from reconciler.core.checks.lint_view import LintView
from reconciler.core.desired.desired import DesiredState, expand_manifests
from reconciler.core.desired.queues import OfflineQueueResolver
from reconciler.core.manifest.kinds.environment import BotAttributes, Environment
from reconciler.core.manifest.load import Manifests, load_manifests
from reconciler.core.model.finding import Finding, group_findings
from reconciler.core.model.rule import Target, make_condition
from reconciler.core.text.phrases import Labels
from tests.support.builders import QUEUES, address, intent_is, rule, wanted
from tests.support.cases import each_case
from tests.support.hostile_names import CONTROL_CHARACTERS, HOSTILE_TEXTS
from tests.support.program import Program, name_tenant, write
from tests.support.random_rules import a_list, entries
from tests.tiers import size

HEAD = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
tenant: acme
"""
CATCH_ALL = "{key: rest, when: [], queue: General, priority: 900}"


class Desk:
    """Manifests in a separate folder, linted with some live rules."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self,
        *rules: str,
        live: Iterable[RoutingEntry] = (),
        intents: Iterable[str] = (),
        more: str = "",
        work: int | None = None,
    ) -> list[Finding]:
        """Lint rules, each in one line of YAML: the first is on line 5 of rules.yaml."""
        listed = "".join(
            f"  - {rule[:-1]}, name: rule {place:02}}}\n"
            for place, rule in enumerate(rules)
        )
        (self.folder / "prod.yaml").write_text(HEAD + more, encoding="utf-8")
        text = f"apiVersion: routing/v1\nkind: RuleSet\nname: set\nrules:\n{listed}"
        (self.folder / "rules.yaml").write_text(text, encoding="utf-8")
        (self.folder / "intents.yaml").unlink(missing_ok=True)
        if intents:
            text = "".join(f"  - {intent}\n" for intent in intents)
            text = f"apiVersion: routing/v1\nkind: Intents\nname: bot\nintents:\n{text}"
            (self.folder / "intents.yaml").write_text(text, encoding="utf-8")
        manifests = load_manifests(self.folder)
        environment = manifests.environments["prod"].document
        desired = expand_manifests(
            manifests, environment, OfflineQueueResolver("prod", {})
        )
        names = {target: target for target in ("General", "Cards", "Fraud")} | {
            queue.id: queue.name for queue in QUEUES
        }
        return list(lint(LintView(desired, live, manifests, environment, names), work))


@pytest.fixture
def linted(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def by_hand(name: str, **said: Any) -> RoutingEntry:
    """Return an unmanaged live rule."""
    return RoutingEntry(name=name, rule=rule(name, **said), id=name)


def said(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """Return code and rule of each finding, except infos."""
    return [
        (finding.code, str(finding.address or ""))
        for finding in findings
        if finding.severity != "info"
    ]


def test_correct_rules_have_no_finding(linted: Desk) -> None:
    """Ranges that meet, a catch-all, an attribute that the endpoint writes."""
    assert [] == linted(
        "{intent: pin, queue: Cards, minConfidence: 0.7, priority: 10}",
        "{key: unsure, intent: pin, queue: Fraud, belowConfidence: 0.7, priority: 10}",
        CATCH_ALL,
        intents=["pin"],
    )


def test_a_rule_that_never_matches(linted: Desk) -> None:
    """With the contradicting conditions only."""
    (actual,) = linted(
        "{intent: pin, minConfidence: 0.9, belowConfidence: 0.5, queue: Cards,"
        " when: [{attribute: routedAt, exists: true}]}"
    )
    assert ("CXR201", "warning", "set/pin") == (
        actual.code,
        actual.severity,
        str(actual.address),
    )
    assert (
        "no conversation can match: confidence >= 0.9 and confidence < 0.5 contradict each other"
        == actual.message
    )
    assert 5 == getattr(actual.source, "line", 0)
    (actual,) = linted("{key: k, queue: Cards, when: [{attribute: routedAt, in: []}]}")
    assert actual.message.startswith(
        "no conversation can match: nothing satisfies routedAt is one of"
    )


def test_a_rule_that_another_one_shadows(linted: Desk) -> None:
    """The message names the other one; a disabled rule shadows no rule, and is not shadowed."""
    wide = "{key: wide, intents: [pin, fax], queue: Cards, priority: 1%s}"
    (actual,) = linted(
        wide % "", "{intent: pin, minConfidence: 0.5, queue: Fraud, priority: 2}"
    )
    message = "never reached: set/wide takes all of its conversations first"
    assert ("CXR202", "set/pin", message) == (
        actual.code,
        str(actual.address),
        actual.message,
    )
    assert "CXR202" not in dict(
        said(
            linted(
                wide % ", enabled: false", "{intent: pin, queue: Fraud, priority: 2}"
            )
        )
    )
    assert [] == said(
        linted(wide % "", "{intent: pin, queue: Fraud, priority: 2, enabled: false}")
    )


def test_a_rule_that_several_rules_shadow_together(linted: Desk) -> None:
    """Not one of them alone; a third rule that is not needed is not named."""
    actual = linted(
        "{intent: pin, minConfidence: 0.5, queue: Cards, priority: 1, key: high}",
        "{intent: pin, belowConfidence: 0.5, queue: Cards, priority: 2, key: low}",
        "{intent: pin, minConfidence: 0.9, queue: General, priority: 3, key: hidden}",
        "{intent: pin, minConfidence: 0, queue: Fraud, priority: 4, key: last}",
    )
    messages = {
        str(item.address): item.message for item in actual if item.code == "CXR202"
    }
    assert (
        "set/high and set/low together take all of its conversations first"
        in messages["set/last"]
    )
    assert "set/high takes all of its" in messages["set/hidden"]


def test_an_unmanaged_live_rule_shadows_a_managed_one(linted: Desk) -> None:
    """The message has its live name; problems of that rule itself are not reported."""
    live = [
        by_hand("All by hand", conditions=[], priority=1),
        by_hand("Never", conditions=[make_condition("a", "in", [])]),
        by_hand("Hidden", priority=50),
    ]
    actual = linted("{intent: pin, queue: Fraud}", live=live)
    assert [("CXR202", "set/pin")] == said(actual)
    assert (
        'the live rule "All by hand" (not managed) takes all of its conversations first'
        in actual[0].message
    )
    assert "`adopt:`" in actual[0].hint


def test_a_rule_without_an_effect(linted: Desk) -> None:
    """Without it, another rule would have the same effect; a rule with another destination is
    needed.
    """
    (actual,) = linted("{key: both, intents: [pin, fax], queue: General}", CATCH_ALL)
    assert ("CXR203", "set/both") == (actual.code, str(actual.address))
    assert (
        'no effect: set/rest would send the same conversations to "General", too'
        == actual.message
    )
    assert "two may need each other" in actual.hint
    assert [] == said(
        linted("{key: both, intents: [pin, fax], queue: Cards}", CATCH_ALL)
    )


@each_case("confidence", ["", ", minConfidence: 0.6", ", belowConfidence: 0.6"])
@each_case("said_of_it", ["{intent: pin", "{intents: [pin]"])
def test_an_explicit_rule_with_the_destination_of_the_catch_all_is_ok(
    linted: Desk, said_of_it: str, confidence: str
) -> None:
    """It has no finding; without it, the catch-all takes the intent, which has no finding
    either.
    """
    explicit = f"{said_of_it}{confidence}, queue: General}}"
    assert [] == linted(explicit, CATCH_ALL, intents=["pin"])
    assert [] == linted(
        "{intent: fax, queue: Cards}", CATCH_ALL, intents=["pin", "fax"]
    )
    unsure = "{key: unsure, belowConfidence: 0.6, queue: General, priority: 800}"
    assert [("CXR203", "set/unsure")] == said(
        linted(explicit, unsure, CATCH_ALL, intents=["pin"])
    )


@pytest.mark.parametrize(
    "other",
    ["{key: gold, when: [{attribute: routedAt, exists: true}], queue: General}"],
)
def test_a_rule_with_the_destination_of_another_rule_is_a_finding(
    linted: Desk, other: str
) -> None:
    """Not if it has more conditions than the catch-all; not a second rule for the intent."""
    gold = "when: [{attribute: routedAt, exists: true}], queue: General"
    actual = linted(
        f"{{intent: pin, {gold}, priority: 1}}",
        other,
        CATCH_ALL.replace("General", "Cards"),
    )
    assert [("CXR203", "set/pin")] == said(actual)
    actual = linted(
        "{intent: pin, queue: General, priority: 1}",
        f"{{key: again, intent: pin, {gold}, priority: 2}}",
    )
    assert ("CXR202", "set/again") in said(actual)


def test_equal_priorities_with_different_destinations(linted: Desk) -> None:
    """With an example; the same queue, or no common conversation, is not a finding."""
    gold = "{key: gold, when: [{attribute: routedAt, equals: x}], queue: %s, priority: 100}"
    (actual,) = linted("{intent: pin, queue: Cards}", gold % "Fraud")
    assert ("CXR204", "set/pin") == (actual.code, str(actual.address))
    assert 'intent "pin", routedAt "x"' in actual.message
    assert '"Fraud"' in actual.message
    assert '"Cards"' in actual.message
    assert "CXR204" not in dict(
        said(linted("{intent: pin, queue: Cards}", gold % "Cards"))
    )
    assert [] == said(
        linted("{intent: pin, queue: Cards}", "{intent: fax, queue: Fraud}")
    )


def test_a_tied_rule_is_never_called_unreachable(linted: Desk) -> None:
    """Also with more ties than listed: the platform may give conversations to each of these
    rules.
    """
    rules = [
        f"{{key: k{n}, queue: Cards, when: [{{attribute: intent, startsWith: i{n}x}}]}}"
        for n in range(30)
    ]
    actual = linted(
        "{key: wide, when: [{attribute: intent, exists: true}], queue: Fraud}", *rules
    )
    assert ["CXR204"] == [
        item.code for item in actual if item.code in ("CXR202", "CXR204")
    ]
    assert "set/k2 and at least 17 more, which send elsewhere" in next(
        item.message for item in actual
    )


def test_many_ties_of_one_rule_are_one_finding(linted: Desk) -> None:
    """It counts the others, including a tie with an unmanaged live rule.

    The winner is not defined, so neither of the two is called shadowed.
    """
    rules = [f"{{intent: i{number}, queue: Cards}}" for number in range(12)]
    actual = [
        item
        for item in linted("{key: wide, when: [], queue: Fraud}", *rules)
        if item.code == "CXR204"
    ]
    assert 1 == len(group_findings(actual))
    tied = linted(
        "{intent: pin, queue: Cards}",
        live=[by_hand("Mine", conditions=[intent_is("pin")])],
    )
    assert [("CXR204", "set/pin")] == said(tied)
    assert (
        'as the live rule "Mine" (not managed), which sends elsewhere'
        in tied[0].message
    )


def test_rules_that_are_tied_with_one_other_rule_are_one_finding(linted: Desk) -> None:
    """Wherever that rule stands in the order: its priority is the cause.

    Other ties are another finding.
    """
    rules = [f"{{intent: i{number}, queue: Cards}}" for number in range(12)]
    french = "when: [{attribute: language, equals: fr}]"
    gold = "when: [{attribute: customerTier, equals: gold}]"
    remaining_items = [
        f"{{key: o{n}, {gold}, queue: {queue}, priority: 7}}"
        for n, queue in enumerate(("Cards", "Fraud"))
    ]
    ties = [
        item
        for item in linted(
            *rules, f"{{key: z, {french}, queue: Fraud}}", *remaining_items
        )
        if item.code == "CXR204"
    ]
    candidate, common = sorted(
        group_findings(ties), key=lambda item: len(item.addresses)
    )
    assert {f"set/i{number}" for number in range(12)} == set(map(str, common.addresses))
    assert common.message.startswith(
        "same priority (100): set/i0, set/z, set/i1 and 10 more send the same "
    )
    assert "same priority (7) as set/o1, which sends elsewhere" in candidate.message


def test_intents_that_no_rule_takes(linted: Desk) -> None:
    """All in one finding, at the position of the first.

    A catch-all takes them; CXR202 reports a shadowed rule.
    """
    intents = ["pin", *(f"i{number}" for number in range(11)), "hidden"]
    rules = [
        "{intent: pin, queue: Cards}",
        "{intent: hidden, queue: Cards, priority: 950}",
    ]
    (alone,) = linted(*rules, intents=intents)
    assert ("CXR205", "warning", None) == (alone.code, alone.severity, alone.address)
    assert 6 == getattr(alone.source, "line", 0)
    assert alone.message.startswith('11 intents of the bot have no rule: "i0", "i1", ')
    assert (
        'and 3 more. intent "i0", confidence 0.99 goes to the tenant\'s default routing'
        in alone.message
    )
    assert [("CXR202", "set/hidden")] == said(
        linted(*rules, CATCH_ALL, intents=intents)
    )


def test_an_unmanaged_catch_all_leaves_an_intent_without_a_rule(linted: Desk) -> None:
    """The manifests do not define it as intended; the message names the live rule."""
    live = [by_hand("Rest", conditions=[], priority=900)]
    (alone,) = linted("{intent: pin, queue: Cards}", intents=["pin", "fax"], live=live)
    assert "CXR205" == alone.code
    assert (
        'goes to "Card Services" by the live rule "Rest" (not managed)' in alone.message
    )
    off = CATCH_ALL.replace("}", ", enabled: false}")
    assert ["CXR205"] == [
        item.code
        for item in linted("{intent: pin, queue: Cards}", off, intents=["pin", "fax"])
    ]


@pytest.mark.parametrize(
    "operator", ["equals: fax", "in: [fax, fox]", "startsWith: fa", "contains: a"]
)
def test_an_intent_that_a_rule_names_is_routed(linted: Desk, operator: str) -> None:
    """By any operator that holds for it; the fallback of the context endpoint is not an intent of
    the bot.
    """
    rules = f"{{key: k, queue: Cards, when: [{{attribute: cognigyDetectedIntent, {operator}}}]}}"
    actual = linted(
        rules,
        CATCH_ALL,
        intents=["fax", "none"],
        more="context: {below: {intent: none}}\n",
    )
    assert "CXR205" not in dict(said(actual))


def test_intents_that_the_bot_does_not_have(linted: Desk) -> None:
    """At the position of the value, with the nearest name; without an Intents document there is no
    finding.
    """
    rules = [
        "{intent: pin, queue: Cards}",
        "{key: k, intents: [card_lost, card_stollen], queue: Cards}",
    ]
    rules.append(
        "{key: no, queue: Fraud, when: [{attribute: cognigyDetectedIntent, notIn: [card_stollen, "
        "pin]}]}"
    )
    (actual,) = (
        item
        for item in linted(*rules, intents=["pin", "card_lost", "card_stolen"])
        if item.code == "CXR206"
    )
    assert (
        'intent "card_stollen" is used here, and in 1 further place, but it is in no Intents document'
        in actual.message
    )
    assert ('did you mean "card_stolen"?', 6, 35) == (
        actual.hint,
        *(actual.source or ("", 0, 0))[1:],
    )
    assert [] == said(linted("{intent: anything, queue: Cards}"))


def test_very_many_unknown_intents_are_few_findings(linted: Desk) -> None:
    """Twenty by name, all others counted."""
    rules = [f"{{intent: wrong{number}, queue: Cards}}" for number in range(50)]
    actual = [
        item
        for item in linted(*rules, CATCH_ALL, intents=["pin"])
        if item.code == "CXR206"
    ]
    assert 21 == len(actual)
    assert any(
        item.message.startswith("30 further intents in no Intents document: ")
        for item in actual
    )


def test_attributes_that_no_known_source_writes(linted: Desk) -> None:
    """A name that looks misspelt is a warning, any other an info; one finding for each
    attribute.
    """
    rules = [
        (
            "{key: a, queue: Cards, intent: pin, when: [{attribute: cognigyConfidense, greaterThan: "
            "0.5}]}"
        ),
        "{key: b, queue: Cards, intent: fax, when: [{attribute: tier, equals: gold}]}",
        "{key: c, queue: Cards, intent: fox, when: [{attribute: tier, equals: gold}]}",
    ]
    tier, typo = sorted(
        (item for item in linted(*rules) if item.code == "CXR207"),
        key=lambda item: item.severity,
    )
    assert ("info", 6) == (tier.severity, getattr(tier.source, "line", 0))
    assert (
        'attribute "tier" is used by 2 rules; the context endpoint does not write it'
        == tier.message
    )
    assert ("warning", 'did you mean "cognigyConfidence"?') == (
        typo.severity,
        typo.hint,
    )
    live = [by_hand("theirs", conditions=[make_condition("tier", "exists", None)])]
    assert ["warning"] == [
        item.severity for item in linted(*rules, live=live) if item.code == "CXR207"
    ]


def test_a_rare_name_similar_to_a_common_one_is_a_typo(linted: Desk) -> None:
    """Of two attributes that differ in one letter, the one that fewer rules use is the misspelt
    one.
    """
    rules = [
        f"{{key: k{n}, intent: i{n}, queue: Cards, when: [{{attribute: language, equals: de}}]}}"
        for n in (1, 2)
    ]
    rules.append(
        "{key: k3, intent: i3, queue: Cards, when: [{attribute: langauge, equals: de}]}"
    )
    actual = [
        item
        for item in linted(*rules)
        if item.code == "CXR207" and item.severity == "warning"
    ]
    assert ['did you mean "language"?'] == [item.hint for item in actual]


@each_case(
    "name, known, expected",
    [
        ("langauge", "language", True),
        ("languge", "language", True),
        ("languages", "language", True),
        ("lanquage", "language", True),
        ("LANGUAGE", "language", True),
        ("customer_tier", "customerTier", True),
        ("language", "language", False),
        ("customerType", "customerTier", False),
        ("line_1", "line_2", False),
        ("line12", "line1", False),
        ("tier", "tie", False),
        ("", "language", False),
    ],
)
def test_typos(name: str, known: str, expected: bool) -> None:  # noqa: FBT001 - what is expected
    """One letter more, less, other or swapped, or another case; never a digit."""
    assert expected is is_typo(name, known)
    assert expected is is_typo(known, name)


GAP = [
    "{key: %s-sure, intent: %s, minConfidence: 0.75, queue: Cards}",
    "{key: %s-unsure, intent: %s, belowConfidence: 0.6, queue: Fraud}",
]


def test_gaps_are_merged_over_intents(linted: Desk) -> None:
    """One finding for a range, with all intents that have it, and the destination of these
    conversations.
    """
    rules = [item % (intent, intent) for intent in ("pin", "fax") for item in GAP]
    (actual,) = linted(*rules, CATCH_ALL)
    assert ("CXR208", "warning", None) == (actual.code, actual.severity, actual.address)
    expected = 'no rule for "pin" or "fax" takes a confidence of 0.6 to 0.75, though rules take more and less: '
    assert actual.message.startswith(expected) or actual.message.startswith(
        expected.replace('"pin" or "fax"', '"fax" or "pin"')
    )
    assert 'goes to "General" by set/rest' in actual.message


def test_a_gap_for_some_conversations_only(linted: Desk) -> None:
    """A rule that takes the range from gold customers leaves it open for all others; one that takes
    all closes it.
    """
    rules = [item % ("pin", "pin") for item in GAP]
    gold = "{key: gold, intent: pin, queue: General, when: [{attribute: routedAt, equals: gold}]}"
    actual = [
        item
        for item in linted(
            *rules, gold, "{key: z, when: [], queue: Cards, priority: 999}"
        )
        if item.code == "CXR208"
    ]
    assert 1 == len(actual)
    assert 'intent "pin", confidence ' in actual[0].message
    closed = "{key: wide, intent: pin, queue: General, priority: 200}"
    assert "CXR208" not in dict(said(linted(*rules, closed)))


def test_a_single_number_is_a_gap(linted: Desk) -> None:
    """`> 0.7` and `< 0.7` leave 0.7."""
    when = "when: [{attribute: cognigyConfidence, %s: 0.7}]"
    actual = linted(
        f"{{key: a, intent: pin, queue: Cards, {when % 'greaterThan'}}}",
        f"{{key: b, intent: pin, queue: Fraud, {when % 'lessThan'}}}",
        CATCH_ALL,
    )
    assert ['no rule for "pin" takes a confidence of exactly 0.7'] == [
        item.message.split(",")[0] for item in actual if item.code == "CXR208"
    ]


@pytest.mark.parametrize(
    ("bound", "more"),
    [(0.35, "context: {minConfidence: 0.35, below: {intent: none}}\n"), (1, "")],
)
def test_a_gap_at_exactly_a_bound_of_the_confidence(
    linted: Desk, bound: float, more: str
) -> None:
    """The endpoint writes the intent from its minimum confidence on, and 1 is a confidence: both
    are gaps, too.
    """
    when = f"when: [{{attribute: cognigyConfidence, %s: {bound}}}]"
    actual = linted(
        f"{{key: a, intent: pin, queue: Cards, {when % 'greaterThan'}}}",
        f"{{key: b, intent: pin, queue: Fraud, {when % 'lessThan'}}}",
        CATCH_ALL,
        more=more,
    )
    (gap,) = (
        item for item in actual if item.code == "CXR208" and item.severity == "warning"
    )
    assert gap.message.startswith(
        f'no rule for "pin" takes a confidence of exactly {bound:g}, '
    )
    below = f"when: [{{attribute: cognigyConfidence, %s: {bound - 0.1:g}}}]"
    actual = linted(
        f"{{key: a, intent: pin, queue: Cards, {below % 'greaterThan'}}}",
        f"{{key: b, intent: pin, queue: Fraud, {below % 'lessThan'}}}",
        CATCH_ALL,
        more=more,
    )
    assert (more == "") is (
        "CXR208" in [item.code for item in actual if item.severity == "warning"]
    )


def test_gaps_among_conversations_with_another_condition(linted: Desk) -> None:
    """Two rules for German conversations leave a range between them, independent of other
    conversations.
    """
    german = "when: [{attribute: routedAt, equals: de}]"
    actual = linted(
        f"{{key: a, intent: pin, minConfidence: 0.8, queue: Cards, {german}}}",
        f"{{key: b, intent: pin, belowConfidence: 0.5, queue: Fraud, {german}}}",
        CATCH_ALL,
    )
    (gap,) = (item for item in actual if item.code == "CXR208")
    assert 'of 0.5 to 0.8, routedAt is "de", though' in gap.message


def test_an_open_end_below_is_an_info_without_a_catch_all(linted: Desk) -> None:
    """One info for all intents; with a catch-all, it is by design."""
    rules = [
        "{intent: pin, minConfidence: 0.6, queue: Cards}",
        "{intent: fax, minConfidence: 0.7, queue: Cards}",
    ]
    (actual,) = linted(*rules)
    assert ("CXR208", "info") == (actual.code, actual.severity)
    assert actual.message.startswith(
        "2 intents go to the tenant's default routing where the confidence is lower than their "
        "rules"
    )
    assert [] == linted(*rules, CATCH_ALL)
    low = (
        "{key: low, queue: General, belowConfidence: 0.7, when: [{attribute: "
        "cognigyDetectedIntent, exists: true}]}"
    )
    assert [] == [item for item in linted(*rules, low) if item.code == "CXR208"]


def ranged(random: Random, key: str) -> str:
    """Return a rule for one intent, a range of the confidence in tenths, and perhaps only for gold
    customers.
    """
    operator = random.choice(["lessThan", "greaterThanOrEqual"])
    bound = random.randint(1, 9) / 10
    gold = ", {attribute: routedAt, equals: gold}" if random.random() < 0.4 else ""
    return (
        f"{{key: {key}, queue: Cards, priority: {random.randint(1, 9)}, when: [{{attribute: "
        f"cognigyDetectedIntent,"
        f" equals: pin}}, {{attribute: cognigyConfidence, {operator}: {bound}}}{gold}]}}"
    )


def has_gap(rules: list[str]) -> bool:
    """Return whether rules of one kind leave a gap, by trying every tenth and the values
    between.
    """
    read = [
        (re.search(r"(lessThan|OrEqual): (\d\.\d)", rule), "gold" in rule)
        for rule in rules
    ]
    claimed = [(actual[1], float(actual[2]), gold) for actual, gold in read if actual]

    def takes(at: float, whose: bool) -> bool:  # noqa: FBT001 - gold callers, or all others
        return any(
            (at < bound if low == "lessThan" else at >= bound) and (whose or not gold)
            for low, bound, gold in claimed
        )

    points = [step / 20 for step in range(21)]
    for kind in (False, True):
        own = [
            at
            for at in points
            if any(
                (at < bound if low == "lessThan" else at >= bound)
                for low, bound, gold in claimed
                if gold is kind
            )
        ]
        between = [
            at for at in points if own and min(own) < at < max(own) and at not in own
        ]
        if any(not takes(at, kind) for at in between):
            return True
    return False


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(4))
def test_gaps_are_those_that_trying_every_value_finds(linted: Desk, block: int) -> None:
    """For all conversations and for gold customers; none is missed, none is invented."""
    actual = []
    for seed in range(block * 30, block * 30 + 30):
        random = Random(f"gaps {seed}")
        rules = [ranged(random, f"k{place}") for place in range(random.randint(2, 4))]
        codes = [
            item.code
            for item in linted(*rules, CATCH_ALL)
            if item.severity == "warning"
        ]
        assert has_gap(rules) is ("CXR208" in codes), rules
        actual.append("CXR208" in codes)
    assert {True, False} == set(actual)


@pytest.mark.generated
def test_any_list_of_rules_gets_a_result() -> None:
    """Every operator, mixed types, ties, unknown conditions: no list of rules makes the lint
    fail.
    """
    environment = Environment(
        name="prod",
        owner="acme",
        tenant="acme",
        attributes=BotAttributes(intent="intent", confidence="conf"),
    )
    codes: set[str] = set()
    for seed in range(size(fast=200, slow=400)):
        rules = entries(a_list(Random(seed), 7))
        own_side = {
            address(f"set/k{place}"): wanted(f"set/k{place}", rule.rule)
            for place, rule in enumerate(rules)
            if place % 3
        }
        want = DesiredState(
            environment="prod",
            owner="acme",
            rules=own_side,
            rulesets=frozenset(),
            findings=(),
            labels=Labels({"intent": "intent", "conf": "confidence"}),
        )
        codes |= {
            item.code
            for item in lint(
                LintView(
                    want,
                    [replace(rule, address=None) for rule in rules[::3]],
                    Manifests(
                        environments={},
                        queues=(),
                        rulesets=(),
                        intents=(),
                        route_tests=(),
                    ),
                    environment,
                    {},
                )
            )
        }
    assert {"CXR201", "CXR202", "CXR203", "CXR204", "CXR207", "CXR208"} <= codes


@each_case("hostile", HOSTILE_TEXTS)
def test_names_from_outside_are_escaped(linted: Desk, hostile: str) -> None:
    """Live names, attributes and values are in quotes, escaped."""
    live = [
        by_hand(hostile, conditions=[], priority=1, targets=[Target(hostile, 1)]),
        by_hand(
            "tied",
            conditions=[make_condition(hostile, "equals", hostile)],
            targets=[Target("q-fraud", 1)],
        ),
    ]
    actual = linted("{intent: pin, queue: Cards}", live=live)
    assert "CXR202" in dict(said(actual))
    for item in actual:
        assert CONTROL_CHARACTERS.search(item.message + item.hint) is None
        assert "\n" not in item.message


STARTER = """\
apiVersion: routing/v1
kind: RuleSet
name: more
rules:
  - {intent: pin, queue: cards, priority: 1, when: [{attribute: tier, equals: gold}]}
  - {key: again, intent: pin, queue: cards, name: x, priority: 2, when: [{attribute: tier, equals: gold}]}
"""


def test_a_rule_that_is_not_analysed_completely_is_named(linted: Desk) -> None:
    """CXR209 for each managed rule, with a hint; there is none for an unmanaged live rule."""
    rules = ("{intent: pin, queue: Cards}", "{intent: fax, queue: Cards}", CATCH_ALL)
    live = [by_hand("theirs", conditions=[intent_is("pin")], priority=1)]
    actual = [
        item for item in linted(*rules, live=live, work=0) if "overlaps" in item.message
    ]
    assert [
        ("CXR209", "set/pin"),
        ("CXR209", "set/fax"),
        ("CXR209", "set/rest"),
    ] == said(actual)
    assert {"use conditions on fewer attributes, or on the same ones"} == {
        item.hint for item in actual
    }
    assert all(
        item.message.startswith("not checked: too many overlaps with other rules")
        for item in actual
    )
    assert [5, 6, 7] == [item.source.line for item in actual if item.source]
    assert "CXR209" not in dict(said(linted(*rules, live=live)))


@pytest.mark.parametrize(
    "what",
    [
        "intents without a rule",
        "attributes that nothing writes",
        "ranges of the confidence without a rule",
    ],
)
def test_an_unchecked_question_about_all_rules_is_reported(
    linted: Desk, what: str
) -> None:
    """CXR209 once for each question, without an address: its findings may exist."""
    gold = (
        "{key: gold, when: [{attribute: tier, equals: gold}, {attribute: teir, equals: gold}], "
        "queue: Cards}"
    )
    rules = ("{intent: pin, queue: Cards, minConfidence: 0.6}", gold, CATCH_ALL)
    actual = [
        item
        for item in linted(*rules, intents=["pin", "fax"], work=0)
        if not item.address
    ]
    expected = (
        f"not checked: {what}; the analysis stopped at its bound of work (3 rules)"
    )
    assert [("CXR209", "warning")] == [
        (item.code, item.severity) for item in actual if item.message == expected
    ]


def test_validate_reports_a_finding_once(cxroute: Program) -> None:
    """In text, infos need -v; a warning never changes the exit code."""
    assert 0 == cxroute("init")
    name_tenant()
    write("more.yaml", STARTER)
    assert 0 == cxroute("validate")
    assert 1 == cxroute.out.count("CXR202")
    assert (
        "more.yaml:6:5: warning[CXR202]: never reached: more/pin takes all of its conversations"
        in cxroute.out
    )
    assert "CXR207" not in cxroute.out
    assert 0 == cxroute("-v", "validate")
    assert 1 == cxroute.out.count('attribute "tier"')
    code, form = cxroute.json("validate")
    assert (0, True) == (code, form["valid"])
    assert {"CXR202", "CXR206", "CXR207"} <= {item["code"] for item in form["findings"]}


def test_validate_counts_the_intents_that_a_catch_all_takes(cxroute: Program) -> None:
    """That is not a finding, but visible after a new intent is added to the bot."""
    head = "apiVersion: routing/v1\nkind: RuleSet\nname: set\nrules:\n"
    write("rules.yaml", f"{head}  - {{intent: pin, queue: Cards}}\n  - {CATCH_ALL}\n")
    write(
        "bot.yaml",
        "apiVersion: routing/v1\nkind: Intents\nname: bot\nintents: [pin, fax, card_lost]\n",
    )
    assert 0 == cxroute("validate")
    assert (
        'No errors in 2 files. 2 intents are routed only by a catch-all: "fax", "card_lost".\n'
        == cxroute.out
    )
    _, form = cxroute.json("validate")
    assert ([], ["fax", "card_lost"]) == (form["findings"], form["leftToCatchAll"])


def test_the_manifests_of_init_have_no_finding(cxroute: Program) -> None:
    """A new user sees only findings about own changes."""
    assert 0 == cxroute("init")
    name_tenant()
    assert (0, []) == (cxroute("validate"), cxroute.json("validate")[1]["findings"])
