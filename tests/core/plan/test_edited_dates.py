"""The dates that a change of manifests edits, by reading both versions at each time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import pytest

from reconciler.core.manifest.load import BaseManifests, Manifests, load_contents
from reconciler.core.model.rule import Queue
from reconciler.core.pipeline import build_plan
from reconciler.core.plan.changes import rules_after
from reconciler.core.plan.document import digest_document, plan_to_json
from reconciler.core.plan.stages import EditedDates, LiveState, Plan, PlanOptions
from tests.support.dated_projects import (
    NOW,
    TIMES,
    DatedProject,
    Document,
    a_dated_project,
    documents_at,
    with_dates,
)
from tests.support.random_projects import QUEUES
from tests.tiers import size

BLOCKS: Final = 10
SIZE: Final = size(fast=2, slow=6, full=100)
"""Projects in each block."""
LIVE: Final = LiveState(
    (), tuple(Queue(f"id of {name}", name) for name in (*QUEUES, "Partner", "Q", "R"))
)
SECOND: Final = timedelta(seconds=1)
HEAD: Final = "apiVersion: routing/v1\nkind: %s\nname: %s\n"
PROD: Final = HEAD % ("Environment", "prod") + "owner: acme\ntenant: acme\n"
RULES: Final = f"---\n{HEAD % ('RuleSet', 'cards')}rules:\n"
PLAIN: Final = "  - {key: plain, intent: plain, queue: Q}\n"
XMAS: Final = (
    "  - {key: xmas, intent: refund, queue: %s, priority: 9, from: %s, until: %s}\n"
)
FIRST, SECOND_DATE, LAST = (
    f"{day}T06:00:00Z" for day in ("2026-12-27", "2026-12-28", "2027-01-07")
)


def manifests_of(text: str) -> Manifests:
    return load_contents([("rules.yaml", text.encode())], instant=NOW)


def plan_of(
    before: str | None,
    after: str,
    options: PlanOptions | None = None,
    live: LiveState = LIVE,
) -> Plan:
    """Return the plan of prod, compared with the manifests before a change."""
    manifests = manifests_of(after)
    if before is not None:
        base = BaseManifests(
            name='--base "old"', revision="old", manifests=manifests_of(before)
        )
        manifests = replace(manifests, base=base)
    return build_plan(manifests, manifests.environment("prod"), live, options)


def edited(
    before: str | None, after: str, options: PlanOptions | None = None
) -> EditedDates | None:
    return plan_of(before, after, options).edited_dates


def moments(project: DatedProject) -> Counter[tuple[str, str, datetime, str]]:
    """Return each change of a rule after now: its address, what it does, the time, and both rules."""
    found: Counter[tuple[str, str, datetime, str]] = Counter()
    for at in TIMES:
        if at <= NOW:
            continue
        earlier = rules_at(project, at - SECOND)
        later = rules_at(project, at)
        for address in {**earlier, **later}:
            sides = earlier.get(address), later.get(address)
            if sides[0] == sides[1]:
                continue
            event = "begins" if not sides[0] else "changes" if sides[1] else "ends"
            found[address, event, at, repr(sides)] += 1
    return found


def rules_at(project: DatedProject, at: datetime) -> dict[str, Document]:
    text = project.text.replace("${second}", "B")  # the variable of prod
    return {
        f"{document['name']}/{rule['key']}": rule
        for document in documents_at(text, at)
        if document["kind"] == "RuleSet"
        for rule in document["rules"]
        if "prod" in rule.get("environments", ["prod"])
    }


def changed(random: Random, project: DatedProject) -> DatedProject:
    """Return the project with other dates, other destinations and fewer rules."""
    rules: list[Document] = []
    for rule in project.rules:
        kind = random.choice(("same", "same", "dates", "queue", "removed"))
        fields: dict[str, Any] = dict(rule)
        if kind == "removed":
            continue
        if kind == "queue" and "queue" in fields:
            fields["queue"] = random.choice(QUEUES)
        if kind == "dates" and "steps" not in fields:
            plain = {
                name: fields[name] for name in fields if name not in ("from", "until")
            }
            fields = with_dates(random, plain)
        rules.append(fields)
    return project.with_rules(rules or project.rules)


@pytest.mark.generated
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_the_edited_dates_are_those_that_one_side_alone_has(block: int) -> None:
    """Each date that differs is named once: before, afterwards, or as one date that moved."""
    for number in range(SIZE):
        random = Random(f"edited dates {block} {number}")
        before = a_dated_project(random, 8)
        after = changed(random, before)
        old, new = moments(before), moments(after)
        result = edited(before.text, after.text)
        dates = result.dates if result else ()
        removed = Counter(key[:3] for key in old - new)
        added = Counter(key[:3] for key in new - old)
        assert removed == Counter(
            (str(each.address), each.event, each.before)
            for each in dates
            if each.before
        )
        assert added == Counter(
            (str(each.address), each.event, each.after) for each in dates if each.after
        )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def said(
    result: EditedDates | None,
) -> list[tuple[str, datetime | None, datetime | None]]:
    assert result is not None
    return [(each.event, each.before, each.after) for each in result.dates]


def test_a_moved_date_names_both_times() -> None:
    """The date at which the rule ends is the same."""
    before = PROD + RULES + XMAS % ("R", FIRST, LAST)
    after = PROD + RULES + XMAS % ("R", SECOND_DATE, LAST)
    assert [("begins", at(FIRST), at(SECOND_DATE))] == said(edited(before, after))
    assert [] == said(edited(after, after))


def test_a_campaign_comes_changes_or_goes() -> None:
    """The dates of a rule with another destination are edited: what they do is not the same."""
    plain = PROD + RULES + PLAIN
    campaign = plain + XMAS % ("R", FIRST, LAST)
    other = plain + XMAS % ("Q", FIRST, LAST)
    begin, end = at(FIRST), at(LAST)
    assert [("begins", None, begin), ("ends", None, end)] == said(
        edited(plain, campaign)
    )
    assert [("begins", begin, None), ("ends", end, None)] == said(
        edited(campaign, plain)
    )
    assert [("begins", begin, begin), ("ends", end, end)] == said(
        edited(campaign, other)
    )


STEPS: Final = """\
  - key: ramp
    intent: card
    targets: [{queue: Q, weight: 100}, {queue: R, weight: 0}]
    steps:
      - {at: 2026-11-20T06:00Z, weights: {Q: 95, R: 5}%s}
      - {at: 2026-12-27T06:00:00Z, weights: {Q: 75, R: 25}%s}
"""
IF: Final = ", if: {query: up, above: %s, for: 30m}"


def test_a_condition_is_a_part_of_its_step() -> None:
    """Also of a due one, which may still wait."""
    last = at(FIRST)
    due = datetime(2026, 11, 20, 6, tzinfo=UTC)
    for before, after, expected in (
        ((IF % 1, ""), (IF % 2, ""), due),
        ((IF % 1, ""), ("", ""), due),
        (("", IF % 1), ("", IF % 2), last),
        (("", IF % 1), ("", ""), last),
    ):
        old, new = (PROD + RULES + STEPS % each for each in (before, after))
        ((event, *times),) = said(edited(old, new))
        assert "changes" == event
        assert {expected} == {each for each in times if each}
        assert [] == said(edited(old, old))


def test_a_change_of_other_rules_edits_no_date() -> None:
    """Nor does a comment, or another place in the file."""
    before = PROD + RULES + XMAS % ("R", FIRST, LAST)
    after = PROD + RULES + "  # moved\n" + PLAIN + XMAS % ("R", FIRST, LAST)
    assert [] == said(edited(before, after))


def test_nothing_is_compared_without_dates_or_without_a_base() -> None:
    """The same is true for manifests before the change that cannot be expanded, and for an undo."""
    plain = PROD + RULES + PLAIN
    campaign = plain + XMAS % ("R", FIRST, LAST)
    unknown = plain + XMAS % ("'${queue}'", FIRST, LAST)
    assert edited(plain, plain) is None
    assert edited(None, campaign) is None
    assert edited(unknown, campaign) is None
    assert edited(plain, campaign, PlanOptions(due=True)) is None
    assert "editedDates" not in plan_to_json(plan_of(None, campaign))


def test_all_dates_of_a_new_environment_are_new() -> None:
    """The manifests before the change have another one."""
    before = PROD.replace("prod", "stage") + RULES + XMAS % ("R", FIRST, LAST)
    after = PROD + RULES + XMAS % ("R", FIRST, LAST)
    assert [("begins", None, at(FIRST)), ("ends", None, at(LAST))] == said(
        edited(before, after)
    )


def test_only_selected_rules_are_named() -> None:
    """As in the other parts of a plan."""
    before = PROD + RULES + PLAIN
    after = before + XMAS % ("R", FIRST, LAST)
    for only, count in (("cards/plain", 0), ("cards/*", 2)):
        result = edited(before, after, PlanOptions(only=(only,)))
        assert count == len(said(result))


OWNED: Final = f"---\n{HEAD % ('Queues', 'all')}queues:\n  R: {{name: R, owners: ['@acme/r']}}\n  Q: Q\n"


def consent_of(before: str, after: str, live: LiveState) -> list[str]:
    """Return the queues whose owners must consent to a change."""
    plan = plan_of(before + OWNED, after + OWNED, live=live)
    return [each.queue.name for each in plan.consent or ()]


def test_a_change_that_edits_no_date_needs_no_consent_for_later() -> None:
    """The callers who move at a date moved by the decision of the change that stated it. A change
    of other rules may make them others.
    """
    static = PROD + RULES + PLAIN
    before = static + XMAS % ("R", FIRST, LAST)
    first = plan_of(None, static)
    live = replace(LIVE, rules=rules_after(first, first.changes))
    assert ["R"] == consent_of(static, before, live)
    assert [] == consent_of(before, before + "  # a remark\n", live)
    assert ["R"] == consent_of(before, static + XMAS % ("R", SECOND_DATE, LAST), live)
    assert ["R"] == consent_of(before, before, LIVE)
    edited_since = before.replace("intent: plain", "intent: other")
    assert ["R"] == consent_of(edited_since, before, live)


def test_the_dates_are_not_a_part_of_the_plans_identity() -> None:
    """What apply does is the same, whatever a plan is compared with."""
    before = PROD + RULES + XMAS % ("R", FIRST, LAST)
    after = PROD + RULES + XMAS % ("R", SECOND_DATE, LAST)
    plans = [plan_to_json(plan_of(base, after)) for base in (before, after, None)]
    assert 1 == len({plan["planId"] for plan in plans})
    assert {digest_document(plan) for plan in plans} == {plans[0]["planId"]}
    assert [
        {
            "address": "cards/xmas",
            "event": "begins",
            "before": FIRST,
            "after": SECOND_DATE,
        }
    ] == plans[0]["editedDates"]
