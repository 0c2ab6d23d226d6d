"""Drift as a value: interfering rules, accepted rules, and runs of the journal; compared with a
plain evaluator.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from reconciler.core.behaviour.diff.difference import BehaviourChange
from reconciler.core.behaviour.space.clauses import Clause
from reconciler.core.behaviour.space.value_type import SHARE
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.kinds.ruleset import Hold
from reconciler.core.manifest.yaml_reader import parse_file
from reconciler.core.model.finding import Finding
from reconciler.core.model.live import LiveRule, format_description, marker_digest
from reconciler.core.model.rule import Target, make_condition
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.drift import Acceptance, Drift, drift_to_json, find_drift
from reconciler.core.plan.findings import add_findings
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.review import read_saved_plan as read_plan
from reconciler.core.plan.stages import PlanOptions
from reconciler.core.plan.words import NO_IMPACT, NO_KNOWN_IMPACT
from reconciler.features.journal.history import RecordedRun, find_last_runs
from reconciler.features.watch.cycle import CycleResult, count_drifted
from reconciler.features.watch.slack import slack_message
from reconciler.render.drift_summary import acceptance_lines, unaffected_text
from reconciler.render.effects import OTHERS_UNCHANGED, UNKNOWN_NOTE
from reconciler.render.markdown.drift import drift_markdown
from reconciler.render.text.environments import drift_row
from tests.support.brute_force import Json
from tests.support.brute_force_checks import RoutingDifference
from tests.support.builders import (
    NOW,
    address,
    desired,
    intent_is,
    live,
    managed,
    rule,
    unchecked,
    unmanaged,
    wanted,
)
from tests.support.cases import each_case
from tests.support.hostile_names import HOSTILE_NAMES, MARKDOWN_NAMES
from tests.support.plan_formats import as_drift, as_drift_markdown, drift_as_text
from tests.support.plans import FACTS, FRAUD, GENERAL, TENANT
from tests.support.random_rules import Evaluation, a_list, chance, edited, entry
from tests.tiers import size

BLOCKS = 8
SIZE = size(fast=25, slow=100)
EVERYTHING = rule("everybody", priority=1, conditions=[], targets=GENERAL)
VIP = wanted("cards/vip", rule())
LIVE_VIP = managed("1", "cards/vip", rule())


def drift_of(
    want: list[DesiredRule], found: list[LiveRule], *accept: Acceptance, **options: Any
) -> Drift:
    return find_drift(
        find_changes(desired(*want), live(*found), PlanOptions(**options), NOW), accept
    )


def accepted(*rules: LiveRule) -> list[Acceptance]:
    return [Acceptance(rule.rule.name, marker_digest(rule.rule)) for rule in rules]


def document_of(drift: Drift) -> Any:
    """Return the JSON of a drift with the plan of its changes."""
    return drift_to_json(drift, unchecked(drift.plan))


def sections(drift: Drift) -> list[tuple[str, str, str]]:
    form = document_of(drift)
    return [
        (item["action"], item["cause"], item["address"] or item["name"])
        for item in form["changes"]
    ]


class Tenant:
    """A list of desired rules, and its state after edits in CXone."""

    def __init__(self, seed: int) -> None:
        random = Random(f"drift {seed}")
        self.evaluation: Evaluation = (
            "highest-first" if chance(random, 0.2) else "lowest-first"
        )
        self.wanted = [
            {**item, "name": f"rule {item['id']}"} for item in a_list(random, 5)
        ]
        retained = [item for item in self.wanted if not chance(random, 0.15)]
        self.managed = [
            self._edited(random, item) if chance(random, 0.3) else item
            for item in retained
        ]
        remaining_items = (
            [{**item, "id": f"u{item['id']}"} for item in a_list(random, 4)]
            if chance(random, 0.8)
            else []
        )
        self.others = remaining_items
        self.accepted = [item for item in remaining_items if chance(random, 0.3)]

    @staticmethod
    def _edited(random: Random, one: Json) -> Json:
        changed = one
        while changed == one:
            changed = next(
                (each for each in edited(random, [one]) if each["id"] == one["id"]), one
            )
        return {**changed, "name": one["name"]}

    def drift(self) -> Drift:
        """Return the drift, with some of the unmanaged rules accepted."""
        original = {item["id"]: entry(item).rule for item in self.wanted}
        want = desired(
            *(wanted(f"set/{name}", subject) for name, subject in original.items())
        )
        actual = [
            managed(
                item["id"],
                f"set/{item['id']}",
                entry(item).rule,
                last_written=original[item["id"]],
            )
            for item in self.managed
        ]
        foreign_side = {
            item["id"]: unmanaged(item["id"], entry(item).rule) for item in self.others
        }
        created = find_changes(
            replace(want, evaluation=self.evaluation),
            live(*actual, *foreign_side.values()),
            PlanOptions(),
            NOW,
        )
        return find_drift(
            created, accepted(*(foreign_side[item["id"]] for item in self.accepted))
        )


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_drift_against_a_plain_evaluator(block: int) -> None:
    """Drift lists exactly the conversations with another route, and each interfering rule takes one
    of them.
    """
    for seed in range(block * SIZE, (block + 1) * SIZE):
        tenant = Tenant(seed)
        drift = tenant.drift()
        complete = {live.id for live in drift.accepted}
        reference = [
            *tenant.wanted,
            *(item for item in tenant.others if item["id"] in complete),
        ]
        moved = RoutingDifference(
            reference, [*tenant.managed, *tenant.others], tenant.evaluation
        )
        takers = {
            item["id"]
            for item, bits in moved.wins["after"]
            if item is not None and bits & moved.all
        }
        expected = takers & {item["id"] for item in tenant.others} - complete
        assert expected == {live.id for live in drift.in_the_way}, (seed, moved.report)
        assert bool(moved.all) is drift.unaccepted_impact.behaviour.changed, (
            seed,
            moved.report,
        )
        text = drift_as_text(drift)
        assert bool(moved.all) is (OTHERS_UNCHANGED in text), (seed, text)
        assert text.startswith("No drift.") is not drift.has_drift
        alone = RoutingDifference(
            tenant.wanted, [*tenant.managed, *tenant.others], tenant.evaluation
        )
        form = document_of(drift)
        assert bool(alone.all) is form["behaviour"]["changed"], (seed, alone.report)


def test_a_rule_before_all_others_is_in_the_way() -> None:
    """The plan has no change; drift names the rule and its conversations, and states that apply
    does not remove it.
    """
    drift = drift_of([VIP], [LIVE_VIP, unmanaged("2", EVERYTHING)])
    assert not drift.plan.changes
    form = document_of(drift)
    (entry_of,) = form["changes"]
    expected = {"action": "none", "cause": "unmanaged", "id": "2", "name": "everybody"}
    assert expected.items() <= entry_of.items()
    assert {"name": "everybody", "digest": marker_digest(EVERYTHING)} == entry_of[
        "accept"
    ]
    assert {None, "cards/vip"} == {
        name
        for region in form["behaviour"]["regions"]
        for name in region["beforeRules"]
    }
    assert {"everybody"} == {
        name for region in form["behaviour"]["regions"] for name in region["afterRules"]
    }
    text = drift_as_text(drift)
    assert "fix it" not in text
    assert "1 unmanaged live rule is in the way of the manifests." in text
    assert '+ "everybody"   not managed here, to "General"\n' in text
    assert 'In the way: "everybody" (not managed)\n' in text


@pytest.mark.parametrize(
    "other",
    [
        rule("behind", priority=900, conditions=[intent_is("vip")], targets=FRAUD),
        rule("off", priority=1, conditions=[], targets=GENERAL, enabled=False),
        rule("same place", priority=1, conditions=[intent_is("vip")]),
    ],
)
def test_a_rule_that_moves_no_conversation_is_not_in_the_way(other: Any) -> None:
    """It is evaluated after the managed rule, disabled, or has the same queue."""
    drift = drift_of([VIP], [LIVE_VIP, unmanaged("2", other)])
    assert not drift.has_drift
    assert "No drift. 1 rule in prod matches the manifests.\n" == drift_as_text(drift)


def test_only_rules_that_apply_never_writes_are_in_the_way() -> None:
    """Rules of another owner and edited copies are in the way; duplicates and rules to adopt are
    not.
    """
    hand = unmanaged("5", rule("hand", priority=2, targets=GENERAL))
    actual = [
        LIVE_VIP,
        managed(
            "2", "other/x", rule("theirs", priority=1, targets=FRAUD), owner="somebody"
        ),
        managed(
            "3",
            "cards/vip",
            rule("copy", priority=1, targets=FRAUD),
            last_written=rule(),
        ),
        managed("4", "cards/vip", rule()),
        hand,
    ]
    drift = drift_of([VIP, wanted("cards/hand", rule("hand"), adopt="hand")], actual)
    assert ["3", "2"] == [item.id for item in drift.in_the_way]
    text = drift_as_text(drift)
    assert "an edited copy of cards/vip" in text
    assert "managed by somebody" in text
    assert [("delete", "duplicate"), ("adopt", "manifest")] == [
        section[:2] for section in sections(drift)
    ][::-1][2:]


def test_a_rule_in_the_way_until_the_apply_is_marked() -> None:
    """It takes the conversations of a missing rule only until apply creates that rule."""
    underlying = unmanaged(
        "2", rule("behind", priority=900, conditions=[intent_is("vip")], targets=FRAUD)
    )
    missing = drift_of([VIP], [underlying])
    assert (
        ["2"]
        == [item.id for item in missing.in_the_way]
        == sorted(missing.temporary_ids)
    )
    assert (
        "in the way only until apply changes the rules to match the manifests"
        in drift_as_text(missing)
    )
    first = unmanaged("3", EVERYTHING)
    assert set() == drift_of([VIP], [first]).temporary_ids


def test_an_accepted_rule_is_counted_until_it_is_edited() -> None:
    """After an edit it is in the way again, and a warning reports its outdated acceptance."""
    candidate = unmanaged("2", EVERYTHING)
    drift = drift_of([VIP], [LIVE_VIP, candidate], *accepted(candidate))
    assert (False, 1, ()) == (drift.has_drift, len(drift.accepted), drift.in_the_way)
    assert drift_as_text(drift).endswith("\n1 unmanaged rule is accepted.\n")
    form = document_of(drift)
    assert form["behaviour"]["changed"]
    changed = unmanaged("2", replace(EVERYTHING, priority=0))
    again = drift_of([VIP], [LIVE_VIP, changed], *accepted(candidate))
    assert (True, ("2",)) == (
        again.has_drift,
        tuple(item.id for item in again.in_the_way),
    )
    (warning,) = again.notes
    assert ("CXR330", "warning") == (warning.code, warning.severity)
    assert (
        f"its digest is {marker_digest(changed.rule)}, not {marker_digest(EVERYTHING)}"
        in warning.message
    )
    removed = drift_of([VIP], [LIVE_VIP], *accepted(candidate))
    assert (False, ["CXR330"]) == (
        removed.has_drift,
        [note.code for note in removed.notes],
    )
    assert "warning[CXR330]" in drift_as_text(removed)


HALVES = re.compile("[\ud800-\udfff]")
"""Half a surrogate pair is not valid text, and a response with one is not read."""
ODD_NAMES = [
    *HOSTILE_NAMES.values(),
    *MARKDOWN_NAMES.values(),
    "",
    " ",
    "1e5",
    "no",
    "a: b",
    "#",
]


@pytest.mark.fast_cases(16)
@pytest.mark.parametrize(
    "name", [name for name in ODD_NAMES if not HALVES.search(name)]
)
def test_the_block_reads_back_as_the_name(name: str) -> None:
    """With any name, the strict reader reads this name and digest, and a terminal shows all of
    it.
    """
    candidate = unmanaged("2", replace(EVERYTHING, name=name))
    drift = drift_of([VIP], [LIVE_VIP, candidate])
    lines = acceptance_lines(drift)
    assert all(line.isprintable() for line in lines)
    reading = parse_file("\n".join(lines).encode(), "x.yaml")
    assert [] == reading.collector.collected
    (actual,) = (document.value for document in reading.documents)
    created = Environment.model_validate(
        {"name": "prod", "owner": "acme", **plain(actual)}
    )
    (entry_of,) = created.unmanaged.accept
    assert (name, marker_digest(candidate.rule), "why") == (
        entry_of.name,
        entry_of.digest,
        entry_of.reason,
    )
    assert "\n".join(lines) in drift_as_text(drift)
    assert "\n".join(lines) in as_drift_markdown(drift.plan)


def plain(value: Any) -> Any:
    """Return the values of the reader as plain values."""
    return json.loads(json.dumps(value))


def test_all_rules_in_the_way_are_in_the_block() -> None:
    """Independent of the number displayed; with existing acceptances, only the entries to add. -v
    shows all.
    """
    remaining_items = [
        unmanaged(str(n), rule(f"r{n}", priority=1, targets=GENERAL))
        for n in range(2, 60)
    ]
    drift = drift_of([VIP], [LIVE_VIP, *remaining_items])
    assert 58 == len(drift.in_the_way) == len(acceptance_lines(drift)) - 2
    text = drift_as_text(drift)
    assert "The lines that accept all 58 rules: -v." in text
    assert "digest:" not in text
    assert re.search(
        r'In the way: "r\d+", "r\d+", "r\d+", "r\d+", "r\d+" and 53 more\n', text
    )
    assert 58 == drift_as_text(drift, verbose=True).count("digest:")
    assert (
        "<details><summary>The lines that accept all 58 rules</summary>"
        in drift_markdown(drift, TENANT, FACTS, "x")
    )
    fewer = drift_of(
        [VIP], [LIVE_VIP, *remaining_items], *accepted(*remaining_items[:50])
    )
    assert 8 == len(acceptance_lines(fewer))
    assert all(line.startswith("    - {name: r") for line in acceptance_lines(fewer))


def test_an_edit_is_displayed_in_two_columns() -> None:
    """The value of the manifests is on the left, that of CXone on the right, without an arrow."""
    off = managed("1", "cards/vip", rule(enabled=False), last_written=rule())
    drift = drift_of([VIP], [off])
    text = drift_as_text(drift, verbose=True)
    columns = [
        line.split()
        for line in text.splitlines()
        if line.startswith("               ") or "enabled" in line
    ]
    assert [
        ["manifests", "in", "CXone", "now"],
        ["enabled", "true", "false"],
    ] == columns
    assert (
        "~ cards/vip   in CXone, somebody switched it off   manifests/x.yaml:1\n"
        in drift_as_text(drift)
    )
    assert "manifests   " not in drift_as_text(drift)
    markdown = as_drift_markdown(drift.plan)
    assert "| | enabled | true | false | |" in markdown


def test_a_condition_on_one_side_has_an_empty_column() -> None:
    """The empty column shows the side."""
    bare = managed("1", "cards/vip", rule(conditions=[]), last_written=rule())
    row = next(
        line
        for line in drift_as_text(drift_of([VIP], [bare]), verbose=True).splitlines()
        if "(none)" in line
    )
    assert ["condition", 'intent is "vip"', "(none)"] == [
        part.strip() for part in row.split("  ") if part.strip()
    ]


def test_values_too_wide_for_two_columns_are_below_each_other() -> None:
    """No line is wider than necessary."""
    long = managed(
        "1", "cards/vip", replace(rule(), description="y" * 60), last_written=rule()
    )
    drift = drift_of(
        [wanted("cards/vip", replace(rule(), description="x" * 60))], [long]
    )
    text = drift_as_text(drift, verbose=True)
    assert (
        f'        manifests     "{"x" * 60}"\n        in CXone now  "{"y" * 60}"\n'
        in text
    )


def test_a_missing_rule_counts_and_is_restored() -> None:
    """It has its own section and cause; the counts of the loop and the command include it."""
    drift = drift_of([VIP], [])
    assert [("create", "missing", "cards/vip")] == sections(drift)
    assert 1 == count_drifted(drift)
    text = drift_as_text(drift)
    assert "- cards/vip   never applied, or deleted in CXone" in text
    assert "Missing in CXone: cards/vip (never applied, or deleted in CXone)" in text
    assert "fix it    cxroute apply -e prod --only cards/vip\n" in text
    declared = replace(
        drift, last_runs={address("cards/vip"): "2026-11-25T120000-prod-a1b2"}
    )
    assert "- cards/vip   in CXone, somebody deleted it" in drift_as_text(declared)
    assert "deleted in CXone since 2026-11-25T120000-prod-a1b2" in drift_as_text(
        declared
    )
    assert ["2026-11-25T120000-prod-a1b2"] == [
        item["since"] for item in document_of(declared)["changes"]
    ]


def test_a_held_change_is_accepted_for_now() -> None:
    """A held change moves no conversation, and a rule that takes its conversations is accepted with
    it.
    """
    drift = drift_of([], [LIVE_VIP], prune=False)
    assert not drift.has_drift
    assert not drift.unaccepted_impact.behaviour.changed
    assert drift.full_impact.behaviour.changed


def test_with_only_other_rules_are_not_reported() -> None:
    """A rule in the way of rules that are not selected is not reported."""
    want = [VIP, wanted("cards/gold", rule("gold"))]
    candidate = unmanaged(
        "3", rule("by hand", priority=1, conditions=[intent_is("gold")], targets=FRAUD)
    )
    actual = [LIVE_VIP, managed("2", "cards/gold", rule("gold")), candidate]
    assert not drift_of(want, actual, only=("cards/vip",)).has_drift
    assert ["3"] == [
        item.id for item in drift_of(want, actual, only=("cards/gold",)).in_the_way
    ]


def test_no_drift_reports_held_changes() -> None:
    """A held edit moves every conversation: the line "No drift" is followed by the held change."""
    hold = Hold.model_validate(
        {"until": "2026-12-01T08:00:00+01:00", "reason": "incident 42"}
    )
    edit = managed(
        "1", "cards/vip", rule(conditions=[], targets=GENERAL), last_written=rule()
    )
    drift = drift_of([wanted("cards/vip", rule(), hold=hold)], [edit])
    text = drift_as_text(drift)
    assert text.startswith(
        "No drift. 0 rules in prod match the manifests.\n1 change is held.\n\nHeld: cards/vip ("
    )
    assert "not applied: held until 2026-12-01T08:00:00+01:00: incident 42" in text
    assert 'queue      "Card Services"  "General"' in drift_as_text(drift, verbose=True)
    assert drift_as_text(drift, brief=True).endswith("\n1 change is held.\n")


def test_no_movement_is_not_claimed_with_an_accepted_rule() -> None:
    """The rule takes every conversation: it is accepted, but the manifests still route them
    elsewhere.
    """
    candidate = unmanaged("2", EVERYTHING)
    drift = drift_of(
        [wanted("cards/vip", rule(description="new"))],
        [LIVE_VIP, candidate],
        *accepted(candidate),
    )
    message = (
        "Only accepted rules and held changes send conversations elsewhere (proven)."
    )
    text = slack_message(
        "drift",
        CycleResult(started_at=NOW, plan=unchecked(drift.plan), drift=drift),
        "prod",
        "cxroute drift",
    )["text"]
    for form in (drift_as_text(drift), text):
        assert message in form
        assert "No conversation goes elsewhere" not in form
        assert "Conversations go where the manifests say" not in form


def test_a_tie_with_an_unmanaged_rule_is_reported() -> None:
    """By name the managed rule comes first, but the platform does not define it: "No drift" alone
    is too strong.
    """
    drift = drift_of([VIP], [LIVE_VIP])
    message = (
        'same priority (100) as the live rule "zz" (not managed), which sends elsewhere'
    )
    tied = replace(
        drift,
        plan=add_findings(
            unchecked(drift.plan),
            [
                Finding(
                    code="CXR204",
                    severity="warning",
                    message=message,
                    address=address("cards/vip"),
                )
            ],
        ),
    )
    assert f"warning[CXR204] cards/vip: {message}" in drift_as_text(tied)


def test_the_remedy_says_that_apply_refuses() -> None:
    """While the manifests fail a route test, the printed command would end with exit code 3."""
    drift = drift_of([VIP], [])
    failing = (Finding(code="CXR220", severity="error", message="expected elsewhere"),)
    broken = replace(drift, refusing_tests=failing)
    text = "1 route test fails: apply will refuse this plan."
    assert text in drift_as_text(broken)
    assert text in drift_markdown(broken, TENANT, FACTS, "cxroute apply")
    assert text not in drift_as_text(drift)


def test_conversations_of_selected_rules_may_go_to_another_rule() -> None:
    """The other rule was edited and is not selected: the conversations are still routed wrongly."""
    candidate = rule("other", targets=FRAUD, priority=200)
    edit = replace(candidate, priority=1, conditions=())
    want = [VIP, wanted("cards/other", candidate), wanted("cards/gold", rule("gold"))]
    actual = [
        LIVE_VIP,
        managed("2", "cards/other", edit, last_written=candidate),
        managed("3", "cards/gold", rule("gold")),
    ]
    drift = drift_of(want, actual, only=("cards/vip",))
    assert drift.has_drift
    assert (
        "pending"
        == CycleResult(started_at=NOW, plan=unchecked(drift.plan), drift=drift).status
    )
    text = drift_as_text(drift)
    assert "No drift" not in text
    assert text.startswith(
        'gold or vip move from "Card Services" to "Fraud"; 1 more move.\n'
    )
    assert "prod: conversations go elsewhere by other rules." in drift_as_text(
        drift, brief=True
    )


def test_a_report_of_drift_is_not_applied() -> None:
    """It describes the live state, not a change."""
    form = json.dumps(document_of(drift_of([VIP], [])))
    with pytest.raises(Exception, match=r"drift\.json is a report of `cxroute drift`"):
        read_plan(form, "drift.json")


def test_a_cycle_is_identified_by_the_rules_in_the_way() -> None:
    """Another rule in the way, or an edit of it, is new; a cycle with one is not clean, and none is
    refused.
    """
    rounds = []
    for subject in (None, EVERYTHING, replace(EVERYTHING, priority=0)):
        drift = drift_of(
            [VIP], [LIVE_VIP, *([unmanaged("2", subject)] if subject else [])]
        )
        rounds.append(
            CycleResult(
                started_at=NOW, plan=unchecked(drift.plan), drift=drift, may_write=True
            )
        )
    assert ["clean", "pending", "pending"] == [item.status for item in rounds]
    assert 3 == len({item.fingerprint for item in rounds})


def run(name: str, *changes: dict[str, Any], owner: str = "acme") -> RecordedRun:
    return RecordedRun(
        id=name,
        start={"event": "start", "environment": "prod", "owner": owner},
        changes=changes,
        end=None,
    )


def entry_of(
    status: str, before: LiveRule | None, after: LiveRule | None
) -> dict[str, Any]:
    forms = [
        item
        and {
            "name": item.rule.name,
            "description": format_description(item.rule, item.marker),
        }
        for item in (before, after)
    ]
    return {"status": status, "before": forms[0], "after": forms[1]}


@each_case(
    "runs, expected",
    [
        ([run("a", entry_of("applied", None, LIVE_VIP))], "a"),
        ([run("a", entry_of("acknowledged", None, LIVE_VIP))], "a"),
        (
            [
                run("a", entry_of("applied", None, LIVE_VIP)),
                run("b", entry_of("applied", LIVE_VIP, LIVE_VIP)),
            ],
            "b",
        ),
        (
            [
                run("a", entry_of("applied", None, LIVE_VIP)),
                run("b", entry_of("failed", LIVE_VIP, None)),
            ],
            "a",
        ),
        (
            [
                run("a", entry_of("applied", None, LIVE_VIP)),
                run("b", entry_of("applied", LIVE_VIP, None)),
            ],
            None,
        ),
        ([run("a", entry_of("applied", LIVE_VIP, unmanaged("1", rule())))], None),
        (
            [
                run(
                    "a",
                    entry_of("applied", LIVE_VIP, managed("1", "cards/gold", rule())),
                )
            ],
            None,
        ),
        ([run("a", entry_of("unknown", None, LIVE_VIP))], None),
        ([run("a", entry_of("applied", None, LIVE_VIP), owner="others")], None),
        (
            [run("a", {"status": "applied", "before": 7, "after": {"description": 7}})],
            None,
        ),
        ([run("a", {"status": "applied"}, {})], None),
        ([], None),
    ],
)
def test_the_journal_shows_the_last_run_that_wrote_a_rule(
    runs: list[RecordedRun], expected: str | None
) -> None:
    """A rule that a run deleted, gave back or moved is not missing."""
    assert expected == find_last_runs(runs, "prod", "acme").get(address("cards/vip"))


def test_the_brief_form_counts_and_names() -> None:
    """`drift -q` prints counts, the names of each section and the affected conversations only."""
    actual = [
        managed("1", "cards/vip", rule(priority=7), last_written=rule()),
        unmanaged("2", EVERYTHING),
    ]
    text = drift_as_text(
        drift_of([VIP, wanted("cards/gold", rule("gold"))], actual), brief=True
    )
    assert text.startswith(
        "prod: 1 rule changed in CXone, 1 rule missing in CXone, 1 rule in the way.\n"
    )
    for line in (
        "Changed in CXone: cards/vip",
        "Missing in CXone: cards/gold",
        'In the way: "everybody"',
        'gold or vip move from "Card Services" to "General"; 1 more move.',
    ):
        assert line in text
    assert "unmanaged:" not in text
    assert as_drift(drift_of([VIP], [LIVE_VIP]).plan) == drift_as_text(
        drift_of([VIP], [LIVE_VIP]), brief=True
    )


def test_a_line_of_several_environments_has_all_differences() -> None:
    """A failed route test, a conflict and a held change do not count as "none"."""
    failing = Finding(code="CXR220", severity="error", message="expected elsewhere")
    stored_values = drift_of(
        [VIP], [LIVE_VIP, managed("2", "cards/old", rule("old"))], prune=False
    )
    assert "1 held" == drift_row(stored_values).changes
    failed = replace(drift_of([VIP], [LIVE_VIP]), failed_checks=(failing,))
    assert ("1 route test failed on the live rules", "differs") == (
        drift_row(failed).changes,
        drift_row(failed).status,
    )
    conflict = drift_of([VIP], [unmanaged("2", rule())])
    assert "1 rule in conflict" == drift_row(conflict).changes


def many_edited(last: int, *, ours: bool) -> Drift:
    """Return rules with another queue, three of them alike; edited in CXone, or in the
    manifests.
    """
    want = []
    actual = []
    for n in range(last):
        item = rule(f"r{n}", priority=n, conditions=[intent_is(f"i{n}")])
        candidate = replace(item, targets=tuple(FRAUD if n < 3 else GENERAL))
        want.append(wanted(f"cards/r{n}", candidate if ours else item))
        actual.append(
            managed(
                str(n), f"cards/r{n}", item if ours else candidate, last_written=item
            )
        )
    return drift_of(want, actual)


@pytest.mark.parametrize("ours", [True, False])
def test_equal_edits_are_one_effect(ours: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Three rules with one edit are one effect with their addresses; another edit is separate."""
    drift = many_edited(4, ours=ours)
    text = drift_as_text(drift)
    cause = "not applied yet:" if ours else "in CXone, somebody changed"
    assert f"~ cards/r0, cards/r1, cards/r2   {cause} queue " in text
    assert f"~ cards/r3   {cause} queue " in text
    issue = as_drift_markdown(drift.plan)
    for each in range(4):
        assert f"  cards/r{each}   manifests/x.yaml:1\n" in drift_as_text(
            drift, verbose=True
        )
        assert f"| `cards/r{each}` |" in issue
    assert "cards/r0" in drift_as_text(drift, brief=True)


def test_the_remedy_for_unapplied_changes_is_to_apply() -> None:
    """Without an edit in CXone the text does not mention a restore."""
    assert "  apply it   cxroute apply -e prod" in drift_as_text(
        many_edited(2, ours=True)
    )
    assert "  fix it    cxroute apply -e prod" in drift_as_text(
        many_edited(2, ours=False)
    )


def test_of_many_failed_route_tests_some_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The brief form lists the first ones; the issue, with more space, also counts the rest."""
    monkeypatch.setattr("reconciler.render.markdown.drift._MAX_ITEMS", 30)
    failing = [
        Finding(code="CXR220", severity="error", message=f"test {n} goes elsewhere")
        for n in range(40)
    ]
    drift = replace(drift_of([VIP], [LIVE_VIP]), failed_checks=tuple(failing))
    text = drift_as_text(drift)
    assert "Failed on the live rules:\n" in text
    assert 5 == text.count("] test ")
    assert "  and 35 further checks; -v shows all of them.\n" in text
    assert 5 == drift_as_text(drift, brief=True).count("] test ")
    issue = drift_markdown(drift, TENANT, FACTS, "cxroute apply")
    assert "#### Failed on the live rules" in issue
    assert 30 == len(re.findall(r"test \d+ goes elsewhere", issue))
    assert "- and 10 further checks" in issue


def bounded(drift: Drift, *, rows: bool) -> Drift:
    """Return the drift with some conversations not analysed."""
    actual = drift.unaccepted_impact.behaviour if rows else BehaviourChange(regions=())
    unknown = replace(actual, undecided=((Clause(intent_is("x")),),))
    impact = Impact(unknown, drift.unaccepted_impact.edits)
    return replace(drift, unaccepted_impact=impact, full_impact=impact)


def test_unknown_conversations_are_not_called_proven() -> None:
    """The text claims neither that no conversation moves nor that all others stay."""
    declared = drift_of([VIP], [LIVE_VIP])
    edited = many_edited(2, ours=False)
    assert NO_IMPACT == unaffected_text(declared)
    assert NO_KNOWN_IMPACT == unaffected_text(bounded(declared, rows=False))
    text = drift_as_text(bounded(edited, rows=True))
    assert f"{UNKNOWN_NOTE}\n  x\n" in text
    assert "Not known" not in drift_as_text(edited)
    for drift in (bounded(edited, rows=True), bounded(edited, rows=False)):
        assert "proven" not in drift_markdown(drift, TENANT, FACTS, "cxroute apply")


@pytest.mark.parametrize("rows", [True, False])
def test_a_result_that_depends_on_a_known_type_says_so(rows: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """With -v, and in the issue."""
    reworded = managed(
        "1", "cards/vip", rule(description="reworded"), last_written=rule()
    )
    drift = many_edited(2, ours=False) if rows else drift_of([VIP], [reworded])
    rests = replace(
        drift.unaccepted_impact.behaviour, rests_on={"cognigyConfidence": SHARE}
    )
    resting = replace(
        drift, unaccepted_impact=Impact(rests, drift.unaccepted_impact.edits)
    )
    for output in (
        drift_as_text(resting, verbose=True),
        drift_markdown(resting, TENANT, FACTS, "cxroute apply"),
    ):
        assert "This holds where confidence is" in output
    assert "This holds where" not in drift_as_text(drift)


def test_of_many_rows_and_rules_some_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The terminal has the flows; the issue names the file with all rules."""
    monkeypatch.setattr("reconciler.render.markdown.drift._MAX_ITEMS", 10)
    changes = [Change(f"r{n}", f"q{n % 7}") for n in range(25)]
    drift = drift_of(
        [change.wanted for change in changes], [change.live for change in changes]
    )
    issue = drift_markdown(drift, TENANT, FACTS, "cxroute apply")
    text = drift_as_text(drift)
    assert "  and 5 more flows\n" in text or text.count(" -> ") <= 8
    assert text.startswith("4 intents move from")
    assert "and 15 further rules: see drift.json." in issue


class Change:
    """Return a rule that was rerouted in CXone, differently from the others."""

    def __init__(self, name: str, queue: str) -> None:
        asks = [intent_is(name), make_condition(f"menu-{name}", "equals", "x")]
        own_side = rule(name, conditions=asks)
        foreign_side = replace(
            own_side, targets=(Target(queue, 1),), priority=int(name[1:])
        )
        self.wanted = wanted(f"cards/{name}", own_side)
        self.live = managed(name, f"cards/{name}", foreign_side, last_written=own_side)
