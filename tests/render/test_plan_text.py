"""A plan as text for a terminal."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from reconciler.core.desired.desired import DesiredState
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Queue, Target, make_condition
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.stages import LiveState, PlanOptions
from reconciler.core.text.escape import sanitize
from reconciler.core.text.phrases import condition_phrase
from reconciler.render.colour import ansi_style, no_style
from reconciler.render.text.plan import TextLimits, plan_text
from tests.support.builders import (
    LABELS,
    NOW,
    QUEUES,
    at_least,
    desired,
    intent_is,
    managed,
    rule,
    unmanaged,
    wanted,
)
from tests.support.cases import each_case
from tests.support.hostile_names import CONTROL_CHARACTERS, HOSTILE_TEXTS
from tests.support.plan_formats import as_drift, as_text
from tests.support.plans import complete, empty_plan, plan_of_everything


def test_a_plan_reads_like_this() -> None:
    """Refusals first, then deletes, updates, adoptions and creates, then the totals."""
    want = desired(
        wanted(
            "cards/new",
            rule("new", conditions=[intent_is("new"), at_least(0.7)], priority=15),
        ),
        wanted(
            "cards/changed",
            rule("changed", priority=10, targets=[Target("q-fraud", 1)]),
        ),
        wanted("cards/off", rule("off")),
        wanted("cards/hand", rule("hand"), adopt="by hand"),
        wanted("cards/taken", rule("taken")),
    )
    actual = LiveState(
        (
            managed("1", "cards/changed", rule("changed", priority=20)),
            managed(
                "2", "cards/off", rule("off", enabled=False), last_written=rule("off")
            ),
            managed(
                "3",
                "cards/fax",
                rule("fax", priority=900, targets=[Target("q-gone", 1)]),
            ),
            unmanaged("4", rule("by hand")),
            unmanaged("5", rule("taken")),
        ),
        (Queue("q-cards", "Card Services"), Queue("q-fraud", "Fraud")),
    )
    created = complete(find_changes(want, actual, PlanOptions(), NOW))
    reason = (
        "conversations that reach a queue today would fall to the tenant's default routing "
        '(today by "by hand", cards/fax)'
    )
    expected = f"""\
Plan for prod   tenant acme

"by hand" goes from "Card Services" to the tenant's default routing; 5 more moves.

  apply will refuse this: {reason}
  error[CXR301] cards/taken: an unmanaged live rule is named "taken"
      adopt it with `adopt:` in the manifest, or give the rule in the manifest another `name`
      manifests/x.yaml:1

> cards/hand   adopts "by hand", intent "by hand" -> hand, another name   manifests/x.yaml:1
    "by hand"   "Card Services" -> the tenant's default routing
    hand        the tenant's default routing -> "Card Services"
~ cards/changed   queue "Card Services" -> "Fraud", priority 20 -> 10   manifests/x.yaml:1
    changed
- cards/fax   deleted
    fax   an unknown queue (q-gone) -> the tenant's default routing
+ cards/new   new, priority 15   manifests/x.yaml:1
    new, confidence 0.7 or more   the tenant's default routing -> "Card Services"
~ cards/off   switched on   manifests/x.yaml:1
    off   the tenant's default routing -> "Card Services"
Everyone else: no change (proven).

Plan: 1 to create, 2 to update, 1 to adopt, 1 to delete, 0 unchanged.
"""
    assert expected == plan_text(created, no_style, "tenant acme")
    every_field = """\
  - cards/fax
      no manifest defines it here any more
      intent is "fax": to an unknown queue (q-gone), priority 900
  ~ cards/changed   manifests/x.yaml:1
      queue     "Card Services" -> "Fraud"
      priority  20 -> 10
  ~ cards/off   manifests/x.yaml:1
      changed in CXone since the last apply
      enabled  false -> true
  > cards/hand   manifests/x.yaml:1
      adopts the unmanaged rule "by hand"
      condition    intent is "by hand" -> intent is "hand"
      name         "by hand" -> "hand"
      description  "Routes by hand" -> "Routes hand"
  + cards/new   manifests/x.yaml:1
      intent is "new" and confidence >= 0.7: to "Card Services", priority 15
"""
    verbose = plan_text(created, no_style, "tenant acme", TextLimits(verbose=True))
    assert every_field in verbose


def test_nothing_to_do_is_one_sentence() -> None:
    """With the number of matching rules."""
    live = LiveState((managed("1", "cards/vip", rule()),), ())
    changes = find_changes(
        desired(wanted("cards/vip", rule())), live, PlanOptions(), NOW
    )
    created = complete(changes)
    assert "No changes. 1 rule in prod matches the manifests." in plan_text(
        created, no_style, "tenant acme"
    )
    assert "No drift. 1 rule in prod matches the manifests.\n" == as_drift(created)


@each_case("name", HOSTILE_TEXTS)
def test_names_from_outside_cannot_act_on_a_terminal(name: str) -> None:
    """No control character, no bidirectional or invisible one, and no line that a name started, in
    any text.
    """
    queue = Queue("q", name)
    hostile = rule(
        name,
        description=name,
        conditions=[make_condition(name, "equals", name)],
        targets=[Target("q", 1)],
    )
    want = desired(
        wanted("cards/new", rule("new")), wanted("cards/hand", rule("mine"), adopt=name)
    )
    actual = LiveState(
        (managed("1", "cards/gone", hostile), unmanaged("2", hostile)), (queue,)
    )
    created = complete(find_changes(want, actual, PlanOptions(), NOW))
    for text in (plan_text(created, no_style, name), as_drift(created)):
        assert not CONTROL_CHARACTERS.search(text)
        assert all(len(line) < 2_000 for line in text.splitlines())
    lines = plan_text(created, no_style, "t").splitlines()
    assert not any(line.startswith(("fence", "lines", " overwrite")) for line in lines)


def test_readable_text_is_not_escaped() -> None:
    """Umlauts, emoji and CJK are harmless."""
    assert "Überweisung 🙂 転送" == sanitize("Überweisung 🙂 転送")


@each_case(
    "operator, value, expected",
    [
        ("equals", "x", 'intent is "x"'),
        ("in", ["x", "y"], 'intent is one of "x", "y"'),
        (
            "in",
            [str(n) for n in range(10)],
            'intent is one of "0", "1", "2", "3", "4", "5", "6", "7" and 2 more',
        ),
        ("between", [0, 1], "intent is between 0 and 1"),
        ("exists", True, "intent exists"),
        ("notExists", True, "intent is missing"),
        ("greaterThan", 3, "intent > 3"),
        ("notContains", "x", 'intent does not contain "x"'),
    ],
)
def test_every_condition_has_a_phrase(
    operator: str, value: object, expected: str
) -> None:
    """Values as JSON, so that "10" and 10 differ."""
    assert expected == condition_phrase(
        make_condition("cognigyDetectedIntent", operator, value), LABELS
    )


def test_only_symbols_have_colours() -> None:
    """Without its colours, the text is the same."""
    want = desired(wanted("cards/vip", rule()))
    created = complete(find_changes(want, LiveState((), ()), PlanOptions(), NOW))
    assert plan_text(created, no_style, "t") == re.sub(
        r"\x1b\[\d+m", "", plan_text(created, ansi_style, "t")
    )


def foreseen(
    before: list[LiveRule], after: DesiredState, *, verbose: bool = False
) -> str:
    """Return the plan's text with its order and its impact, as a command prints it."""
    state = LiveState(tuple(before), QUEUES)
    created = complete(find_changes(after, state, PlanOptions(), NOW))
    return plan_text(created, no_style, "tenant acme", TextLimits(verbose=verbose))


def test_the_impact_is_above_the_rules_and_every_copy_is_named() -> None:
    """Two intents change places above a catch-all: each edit with its callers, and the steps."""
    everyone = rule(
        "all", priority=900, conditions=[], targets=[Target("q-general", 1)]
    )
    sides = [("a", "x", "q-cards"), ("b", "y", "q-fraud")]
    before = [
        managed(
            key,
            f"cards/{key}",
            rule(key, conditions=[intent_is(intent)], targets=[Target(queue, 1)]),
        )
        for key, intent, queue in sides
    ]
    after = [
        wanted(
            f"cards/{key}",
            rule(key, conditions=[intent_is(candidate)], targets=[Target(queue, 1)]),
        )
        for (key, _, queue), candidate in zip(sides, "yx", strict=True)
    ]
    wanted_lists = desired(*after, wanted("cards/all", everyone))
    text = foreseen([*before, managed("all", "cards/all", everyone)], wanted_lists)
    expected = """\
x moves from "Card Services" to "Fraud"; 1 more move.

~ cards/b   intent y -> x   manifests/x.yaml:1
    x   "Card Services" -> "Fraud"   from cards/a
~ cards/a   intent x -> y   manifests/x.yaml:1
    y   "Fraud" -> "Card Services"   from cards/b
Everyone else: no change (proven).

  ~ cards/a   manifests/x.yaml:1
      in three steps: a temporary copy takes its conversations first, and is deleted after the rule is changed
"""
    assert expected in text
    assert "Safe order" not in text
    verbose = foreseen(
        [*before, managed("all", "cards/all", everyone)], wanted_lists, verbose=True
    )
    assert (
        "Safe order (proven): 4 steps. After every single write, each conversation goes to its old "
        "or its new queue.\n" in verbose
    )
    assert not re.search(
        r"\b(region|witness|wave|opaque|marker|digest)", text, re.IGNORECASE
    )


def test_a_change_without_impact() -> None:
    """Renumbered with the same order: proven, in one line."""
    before = [managed("1", "cards/a", rule("a", priority=10))]
    assert "No conversation goes elsewhere (proven)." in foreseen(
        before, desired(wanted("cards/a", rule("a", priority=20)))
    )


def test_thirty_rules_that_take_over_alike_are_two_flows() -> None:
    """Each takes its intent from a rule for one tier and from the default."""
    many = [
        wanted(f"cards/r{n}", rule(f"r{n}", targets=[Target("q-fraud", 1)], priority=n))
        for n in range(30)
    ]
    tiers = [make_condition("tier", "equals", f"t{n}") for n in range(30)]
    before = [
        managed(
            f"g{n}",
            f"cards/g{n}",
            rule(f"g{n}", priority=100 + n, conditions=[intent_is(f"r{n}"), tiers[n]]),
        )
        for n in range(30)
    ]
    text = foreseen(before, desired(*many))
    assert '\n30 intents move from "Card Services" to "Fraud"; 1 more move.\n' in text
    assert (
        '  "Card Services" -> "Fraud"                30 intents: r0, r1, ...   30 rules\n'
        in text
    )
    assert "Everyone else: no change (proven).\n" in text


@pytest.mark.parametrize(("held", "said"), [(0, ""), (1, " 1 change held.")])
def test_an_undo_with_nothing_left_to_undo_says_so(held: int, said: str) -> None:
    """The sentence does not claim that the tenant matches the manifests."""
    created = replace(
        empty_plan(),
        options=PlanOptions(undo="run-7"),
        held=plan_of_everything().held[:held],
    )
    assert f"No changes. Nothing is left to undo of run run-7.{said}\n" in as_text(
        created
    )


def test_a_rule_that_keeps_its_name_has_both_addresses() -> None:
    """Alone, and beside another edit."""
    queues = (Queue("q-cards", "Card Services"), Queue("q-fraud", "Fraud"))
    actual = LiveState((managed("1", "cards/old", rule("same")),), queues)
    moved = "renamed: cards/old -> cards/new"
    for queue, expected in (
        ("q-cards", f"Edited: cards/new ({moved}).\n"),
        (
            "q-fraud",
            f'~ cards/new   queue "Card Services" -> "Fraud", {moved}   manifests/x.yaml:1\n',
        ),
    ):
        want = desired(wanted("cards/new", rule("same", targets=[Target(queue, 1)])))
        created = complete(find_changes(want, actual, PlanOptions(), NOW))
        assert expected in plan_text(created, no_style, "tenant acme")
