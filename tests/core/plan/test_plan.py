"""A plan is a value: its content, the changes that it leaves out, and the same plan for the same
input.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.errors import RefusedError, UsageError
from reconciler.core.manifest.kinds.ruleset import Hold
from reconciler.core.model.change import Adopt, Create, Delete, Update
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Rule, Source
from reconciler.core.plan.changes import (
    adopt_namesakes,
    find_changes,
    unmatched_selectors,
)
from reconciler.core.plan.document import digest_document, plan_id, plan_to_json
from reconciler.core.plan.findings import replace_findings
from reconciler.core.plan.plan_json import plan_schema
from reconciler.core.plan.review import read_saved_plan, unreviewed_changes
from reconciler.core.plan.stages import LiveState, Plan, PlanOptions
from tests.support.builders import (
    NOW,
    address,
    desired,
    live,
    managed,
    rule,
    unchecked,
    unmanaged,
    wanted,
)
from tests.support.cases import each_case
from tests.support.plan_validator import validate_plan
from tests.support.plans import complete

HOLD = Hold(until=NOW + timedelta(hours=1), reason="incident 42")


def some_plan(options: PlanOptions | None = None) -> Plan:
    """Return one change of each kind, one drifted rule, one unchanged rule, and one unmanaged
    rule.
    """
    want = desired(
        wanted("cards/new", rule("new")),
        wanted("cards/changed", rule("changed", priority=1)),
        wanted("cards/drifted", rule("drifted")),
        wanted("cards/same", rule("same")),
        wanted("cards/hand", rule("hand"), adopt="by hand"),
    )
    actual = live(
        managed("1", "cards/changed", rule("changed")),
        managed(
            "2",
            "cards/drifted",
            rule("drifted", enabled=False),
            last_written=rule("drifted"),
        ),
        managed("3", "cards/same", rule("same")),
        managed("4", "cards/gone", rule("gone")),
        unmanaged("5", rule("by hand")),
        unmanaged("6", rule("theirs")),
    )
    return unchecked(find_changes(want, actual, options or PlanOptions(), NOW))


def test_the_summary_counts_every_rule_once() -> None:
    """Changed, unchanged and unmanaged rules."""
    expected = {
        "create": 1,
        "update": 2,
        "adopt": 1,
        "delete": 1,
        "unchanged": 1,
        "held": 0,
        "unmanaged": 2,
    }
    assert expected == plan_to_json(some_plan())["summary"]


def test_deletes_come_last() -> None:
    """Rules about different intents are independent, but a delete waits for a read after the other
    changes.
    """
    steps = {
        change["address"]: change["steps"]
        for change in plan_to_json(complete(some_plan()))["changes"]
    }
    assert {
        "cards/new": [{"wave": 1, "call": "create", "copy": False}],
        "cards/changed": [{"wave": 1, "call": "update", "copy": False}],
        "cards/drifted": [{"wave": 1, "call": "update", "copy": False}],
        "cards/hand": [{"wave": 1, "call": "update", "copy": False}],
        "cards/gone": [{"wave": 2, "call": "delete", "copy": False}],
    } == steps


def test_only_selects_addresses_and_patterns() -> None:
    """A rule that is not selected is not part of the plan, and is not counted."""
    created = some_plan(PlanOptions(only=("cards/new", "cards/g*")))
    assert [Create, Delete] == [type(change) for change in created.changes]
    assert 0 == created.unchanged
    assert ("cards/nwe",) == unmatched_selectors(
        ("cards/nwe", "cards/*"), [address("cards/new")]
    )


def test_without_prune_deletes_are_held() -> None:
    """They are displayed, and count neither for the exit code nor against convergence."""
    created = some_plan(PlanOptions(prune=False))
    assert ["cards/gone"] == [
        str(stored_values.change.address) for stored_values in created.held
    ]
    assert Delete not in {type(change) for change in created.changes}


def test_keep_drift_holds_edits_of_cxone() -> None:
    """Changes of the manifest are still made."""
    created = some_plan(PlanOptions(keep_drift=True))
    assert ["cards/drifted"] == [
        str(stored_values.change.address) for stored_values in created.held
    ]
    assert "cards/changed" in [str(change.address) for change in created.changes]


@pytest.mark.parametrize(("minutes", "held"), [(59, 1), (60, 0), (61, 0)])
def test_a_hold_ends_at_its_time(minutes: int, held: int) -> None:
    """Until then the live rule is not changed; the clock is an input."""
    want = desired(wanted("cards/vip", rule(priority=1), hold=HOLD))
    created = find_changes(
        want,
        live(managed("1", "cards/vip", rule())),
        PlanOptions(),
        NOW + timedelta(minutes=minutes),
    )
    assert (held, 1 - held) == (len(created.held), len(created.changes))


def test_held_changes_are_in_order() -> None:
    """In the order of changes: by priority, then by address."""
    names = ("cards/b", "cards/a", "cards/c")
    want = desired(
        *(
            wanted(name, rule(name[-1], priority=2 - (name == "cards/c")), hold=HOLD)
            for name in names
        )
    )
    actual = live(
        *(managed(name[-1], name, rule(name[-1], priority=9)) for name in names)
    )
    assert ["cards/c", "cards/a", "cards/b"] == [
        str(item.change.address)
        for item in find_changes(want, actual, PlanOptions(), NOW).held
    ]


@pytest.mark.parametrize("way", ["only", "hold"])
def test_a_name_that_is_not_free_is_waited_for(way: str) -> None:
    """In a chain of renames, a change that needs the name of a held rule is held too."""
    hold = {"hold": HOLD} if way == "hold" else {}
    want = desired(
        wanted("cards/a", rule("b")),
        wanted("cards/b", rule("c")),
        wanted("cards/c", rule("d"), **hold),
        wanted("cards/d", rule("a")),
        wanted("cards/e", rule("e", priority=2)),
    )
    actual = live(
        *(managed(f"id-{name}", f"cards/{name}", rule(name)) for name in "abce")
    )
    created = find_changes(
        want, actual, PlanOptions(only=("cards/[abde]",) if way == "only" else ()), NOW
    )
    assert ["cards/e"] == [str(change.address) for change in created.changes]
    stored_values = {str(item.change.address): item.reason for item in created.held}
    assert {"cards/a", "cards/b", "cards/d"} == stored_values.keys() - {"cards/c"}
    assert (
        "its name is still used by cards/c, which is not changed"
        == stored_values["cards/b"]
    )


@pytest.mark.parametrize("wish", [{}, {"x/b": rule("vip")}], ids=["gone", "moved"])
def test_a_rule_with_an_edited_copy_keeps_its_address(wish: dict[str, Rule]) -> None:
    """Otherwise the user's edited copy, which is never written, would count as the rule itself and
    be deleted.
    """
    own_side = managed("1", "cards/a", rule("vip"), dateCreated="2026-01-01T00:00:00Z")
    clone = managed(
        "2", "cards/a", rule("vip (copy)", priority=7), last_written=rule("vip")
    )
    goal = desired(*(wanted(where, subject) for where, subject in wish.items()))
    created = find_changes(goal, live(own_side, clone), PlanOptions(), NOW)
    assert () == created.changes
    ((stored_values,), (clone_found,)) = created.held, created.findings
    assert "1" == stored_values.change.live.id  # type: ignore[union-attr]
    assert (
        "an edited copy of it exists, which would then count as cards/a"
        in stored_values.reason
    )
    assert "CXR302" == clone_found.code


def test_adopting_all_adopts_rules_of_the_same_name() -> None:
    """The conflict becomes an adoption."""
    want = desired(wanted("cards/vip", rule()))
    actual = live(unmanaged("1", rule(priority=5)))
    assert ["CXR301"] == [
        conflict.code
        for conflict in find_changes(want, actual, PlanOptions(), NOW).conflicts
    ]
    created = find_changes(want, actual, PlanOptions(adopt=True), NOW)
    assert ([], 1) == (
        list(created.conflicts),
        plan_to_json(unchecked(created))["summary"]["adopt"],
    )


def test_adopting_all_changes_only_rules_with_a_namesake() -> None:
    """A rule without an unmanaged namesake is planned as before, and an explicit `adopt:` is
    kept.
    """
    want = desired(
        wanted("cards/new", rule("new")),
        wanted("cards/ours", rule("ours", priority=1)),
        wanted("cards/hand", rule("hand"), adopt="by hand"),
        wanted("cards/vip", rule()),
    )
    actual = live(
        managed("1", "cards/ours", rule("ours")),
        unmanaged("2", rule("by hand")),
        unmanaged("3", rule(priority=5)),
    )
    created = find_changes(want, actual, PlanOptions(adopt=True), NOW)
    kinds = {
        "cards/new": Create,
        "cards/ours": Update,
        "cards/hand": Adopt,
        "cards/vip": Adopt,
    }
    assert kinds == {str(change.address): type(change) for change in created.changes}
    assert () == created.findings
    adopts = {
        str(address): rule.adopt
        for address, rule in adopt_namesakes(want, actual).rules.items()
    }
    assert {
        "cards/new": None,
        "cards/ours": None,
        "cards/hand": "by hand",
        "cards/vip": "vip",
    } == adopts


def test_the_document_has_exactly_the_fields_of_its_schema() -> None:
    """The form (plan-json) matches the published schema."""
    form = json.loads(json.dumps(plan_to_json(some_plan(PlanOptions(keep_drift=True)))))
    validate_plan(form)
    assert set(plan_schema()["required"]) == set(form)


def test_a_change_shows_rules_in_the_form_of_the_api() -> None:
    """With queue names, and null if there is no rule."""
    changes: dict[str | None, Any] = {
        change["address"]: change for change in plan_to_json(some_plan())["changes"]
    }
    assert changes["cards/new"]["before"] is None
    assert changes["cards/gone"]["after"] is None
    target = {
        "type": "queue",
        "queueId": "q-cards",
        "weight": 1,
        "queueName": "Card Services",
    }
    assert [target] == changes["cards/new"]["after"]["targets"]
    assert [{"path": "priority", "before": 100, "after": 1}] == changes[
        "cards/changed"
    ]["fields"]
    assert changes["cards/new"]["after"]["description"].startswith(
        "Routes new\n[cxroute:acme/cards/new#"
    )


def test_the_same_input_gives_the_same_plan_in_any_order() -> None:
    """Byte for byte except for the time, for any order of pages and files (R22)."""
    created = some_plan()
    chance = random.Random(1)
    for _ in range(20):
        want = desired(
            *(wanted("cards/a", rule("a")), wanted("cards/b", rule("b", priority=1)))
        )
        actual = [managed(str(n), f"cards/r{n}", rule(f"r{n}")) for n in range(8)]
        first = json.dumps(
            plan_to_json(
                complete(find_changes(want, live(*actual), PlanOptions(), NOW))
            )
        )
        chance.shuffle(actual)
        assert first == json.dumps(
            plan_to_json(
                complete(
                    find_changes(
                        want,
                        LiveState(tuple(actual), live().queues[::-1]),
                        PlanOptions(),
                        NOW,
                    )
                )
            )
        )
    later = plan_of_later()
    assert plan_to_json(created)["planId"] == plan_to_json(later)["planId"]


def plan_of_later() -> Plan:
    return replace(some_plan(), generated_at=NOW + timedelta(days=1))


def test_the_digests_of_a_plan_are_computed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each at its first use: a plan's id after its document is free.

    A plan derived from another has its own.
    """
    created = some_plan()
    form = plan_to_json(created)
    candidate = replace(created, changes=())
    assert form["planId"] != plan_id(candidate) == plan_to_json(candidate)["planId"]
    monkeypatch.setattr("reconciler.core.plan.stages.sha256", None)
    monkeypatch.setattr("reconciler.core.plan.document.sha256", None)
    assert (form["planId"], form["liveDigest"]) == (
        plan_id(created),
        plan_to_json(created)["liveDigest"],
    )


def test_a_saved_plan_limits_an_apply_to_its_changes() -> None:
    """The same plan has no new change; a fresh plan with another change has exactly that one."""
    saved = read_saved_plan(json.dumps(plan_to_json(some_plan())), "plan.json")
    assert () == unreviewed_changes(some_plan(), saved)
    fewer = read_saved_plan(
        json.dumps(plan_to_json(some_plan(PlanOptions(only=("cards/new",))))),
        "plan.json",
    )
    assert {"cards/changed", "cards/drifted", "cards/hand", "cards/gone"} == {
        str(change.address) for change in unreviewed_changes(some_plan(), fewer)
    }


@each_case("text", ["", "[]", "{}", "null", '{"planId": 1}', "[" * 100_000, "\udc00"])
def test_a_file_that_is_not_a_plan_is_refused(text: str) -> None:
    """With a message, never a traceback."""
    with pytest.raises(UsageError, match=r"plan\.json is not a saved plan"):
        read_saved_plan(text, "plan.json")


@each_case(
    "change, problem",
    [
        (lambda form: form.pop("owner"), "owner: Field required"),
        (
            lambda form: form.update(environment=""),
            "environment: String should have at least 1 character",
        ),
        (
            lambda form: form.update(generatedAt="today"),
            "Invalid isoformat string: 'today'",
        ),
        (
            lambda form: form["changes"][1].update(address="x"),
            "changes.1.address: String should match pattern",
        ),
        (
            lambda form: form["changes"][0].update(action="drop"),
            "changes.0.action: Input should be 'create', ",
        ),
        (
            lambda form: form["options"].update(adopt="yes"),
            "options.adopt: Input should be a valid boolean",
        ),
        (
            lambda form: form["summary"].update(create=1.5),
            "summary.create: Input should be a valid integer",
        ),
    ],
)
def test_a_field_that_is_wrong_is_named(
    change: Callable[[Any], object], problem: str
) -> None:
    """With its place, its problem and the remedy."""
    form = plan_to_json(some_plan())
    change(form)
    remedy = r"Create one with `cxroute plan --out plan\.json`"
    with pytest.raises(
        UsageError,
        match=rf"^plan\.json is not a saved plan \({re.escape(problem)}.*\)\. {remedy}$",
    ):
        read_saved_plan(json.dumps(form), "plan.json")


def test_fields_of_a_later_version_are_ignored() -> None:
    """Fields may be added within format version 1."""
    form: Any = plan_to_json(some_plan())
    form |= {"formatVersion": "1.9", "newer": {"a": 1}}
    form["changes"][0]["newer"] = [None]
    form["planId"] = digest_document(form)
    assert form["planId"] == read_saved_plan(json.dumps(form), "plan.json").plan_id


def test_a_plan_that_was_edited_is_refused() -> None:
    """Its id no longer matches."""
    form: Any = plan_to_json(some_plan())
    form["changes"][0]["after"]["priority"] = 7
    with pytest.raises(RefusedError, match="was changed after it was created"):
        read_saved_plan(json.dumps(form), "plan.json")


def test_a_plan_of_another_major_version_is_refused() -> None:
    """Its changes may have another meaning."""
    form = plan_to_json(some_plan()) | {"formatVersion": "2.0"}
    with pytest.raises(RefusedError, match="another major version"):
        read_saved_plan(json.dumps(form), "plan.json")


def test_the_digests_identify_the_desired_and_the_live_rules() -> None:
    """In any order; another rule, another address or a disabled queue gives another digest."""
    created = some_plan()
    turned = replace(
        created,
        desired=replace(
            created.desired,
            rules=dict(sorted(created.desired.rules.items(), reverse=True)),
        ),
        live=LiveState(created.live.rules[::-1], created.live.queues[::-1]),
    )
    assert (created.manifest_digest, created.live_digest) == (
        turned.manifest_digest,
        turned.live_digest,
    )
    rules = dict(created.desired.rules)
    first = rules.pop(address("cards/new"))
    changed = [
        {**rules, first.address: wanted("cards/new", rule("new", priority=7))},
        {
            **rules,
            address("cards/other"): replace(first, address=address("cards/other")),
        },
        rules,
    ]
    digests = {
        replace(created, desired=replace(created.desired, rules=item)).manifest_digest
        for item in changed
    }
    assert 3 == len(digests - {created.manifest_digest})
    other_owner = replace(created, desired=replace(created.desired, owner="other"))
    assert other_owner.manifest_digest != created.manifest_digest
    queues = [
        created.live.queues[1:],
        (created.live.queues[0]._replace(active=False), *created.live.queues[1:]),
    ]
    tenants = [LiveState(created.live.rules, queue) for queue in queues] + [
        LiveState(created.live.rules[1:], created.live.queues)
    ]
    assert 3 == len(
        {replace(created, live=tenant).live_digest for tenant in tenants}
        - {created.live_digest}
    )


def test_accepted_findings_are_separate_and_added_up() -> None:
    """Findings accepted before stay accepted; one cause is one finding in each group."""
    text = [
        Finding(
            code="CXR202",
            severity="warning",
            message="never reached",
            address=address(f"cards/r{n}"),
            acknowledged="meant" * (n < 3),
        )
        for n in range(5)
    ]
    first = replace_findings(some_plan(), text)
    assert [("", 2)] == [
        (finding.acknowledged, len(finding.occurrences)) for finding in first.findings
    ]
    assert [("meant", 3)] == [
        (item.acknowledged, len(item.occurrences)) for item in first.acknowledged
    ]
    again = replace_findings(
        first,
        [
            Finding(
                code="CXR204",
                severity="warning",
                message="tied",
                acknowledged="meant, too",
            )
        ],
    )
    assert ((), ["CXR202", "CXR204"]) == (
        again.findings,
        [item.code for item in again.acknowledged],
    )


def test_findings_are_in_order_of_code_position_and_message() -> None:
    """Independent of the order in which they were found."""
    source = Source("a.yaml", 2, 1)
    ordered = [
        Finding(
            code="CXR200",
            severity="error",
            message="b",
            source=None,
            address=address("cards/x"),
        ),
        Finding(
            code="CXR200",
            severity="error",
            message="a",
            source=source,
            address=address("cards/x"),
        ),
        Finding(
            code="CXR200",
            severity="error",
            message="b",
            source=source,
            address=address("cards/x"),
        ),
        Finding(
            code="CXR200",
            severity="error",
            message="a",
            source=source._replace(line=3),
            address=address("cards/x"),
        ),
        Finding(
            code="CXR201",
            severity="error",
            message="a",
            source=None,
            address=address("cards/x"),
        ),
    ]
    assert tuple(ordered) == replace_findings(some_plan(), ordered[::-1]).findings
