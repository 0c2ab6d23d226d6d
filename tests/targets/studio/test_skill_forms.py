"""What a script assigns as a skill: its number, its name, or the id of a digital routing queue."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from reconciler.cli.files import STATE
from reconciler.cli.session import PRACTICE
from reconciler.core.model.rule import Rule, Target, sorted_targets
from reconciler.features.practice.command_simulate import simulate_environment
from reconciler.features.practice.sandbox import open_state
from reconciler.features.practice.simulator.state import TenantState, find_snippets
from reconciler.targets.studio.block_rules import read_block_file
from reconciler.targets.studio.build import build_block
from reconciler.targets.studio.layout import BlockLayout, unique_ids
from reconciler.targets.studio.read import read_block
from tests.support.cases import each_case
from tests.support.program import Program, write
from tests.support.studio_rules import LAYOUT, entries_of, odd_rule
from tests.tiers import size

SKILL_NAMES = ("Fraud Desk", "4001", "a = b // c", "Zürich | é", "x")
BY_NAME = replace(LAYOUT, skill_as="name")
BY_GUID = replace(LAYOUT, skill_as="routing-queue")
SCRIPT = "Bot\\Hand-over"
ENVIRONMENT = """\
apiVersion: routing/v1
kind: Environment
name: studio
owner: acme
api:
  auth: access-key
  area: na1
  queues: {queues}
  rules: studio
  studio: {{script: 'Bot\\Hand-over', result: {{as: {form}}}}}
---
apiVersion: routing/v1
kind: Queues
name: desks
queues: {{fraud: {{studio: {fraud}}}, cards: {{studio: {cards}}}}}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {{intent: lost, queue: fraud, priority: 10}}
  - {{key: rest, when: [], targets: [{{queue: cards, weight: 4}}, {{queue: fraud, weight: 1}}], priority: 900}}
"""


@pytest.fixture
def tenant(cxroute: Program, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """The program with a simulated tenant whose rules are in a script."""
    monkeypatch.setenv("CXROUTE_ENV", "studio")
    token = PRACTICE.set("studio")
    yield cxroute
    PRACTICE.reset(token)


@pytest.mark.generated
def test_names_and_guids_are_read_as_the_rules_they_were_built_from() -> None:
    """For names that look like ids, and names that two queues do not share."""
    for seed in range(size(fast=15, slow=75, full=1500)):
        random = Random(f"skills {seed}")
        rules = [odd_rule(random) for _ in range(random.choice((1, 2, 5)))]
        ids = sorted(set().union(*map(_queue_ids, rules)))
        names = dict(zip(ids, random.sample(SKILL_NAMES, len(ids)), strict=True))
        by_name = replace(BY_NAME, queue_ids=unique_ids(names.items()))
        _check_round_trip(rules, by_name, names)

        guids = {queue_id: _guid(queue_id) for queue_id in ids}
        _check_round_trip([_renamed(rule, guids) for rule in rules], BY_GUID, {})


def _check_round_trip(
    rules: list[Rule], layout: BlockLayout, names: Mapping[str, str]
) -> None:
    entries = entries_of(rules, layout)
    text = build_block(entries, layout, names)
    expected = {str(entry.address): (entry.rule, entry.digest) for entry in entries}
    assert expected == {
        rule.id: (rule.rule, rule.digest) for rule in read_block(text, layout)
    }, text


def _guid(queue_id: str) -> str:
    return f"43dba2dc-d05c-5c74-bf32-{int(queue_id) % 16**12:012x}"


def _renamed(rule: Rule, ids: Mapping[str, str]) -> Rule:
    targets = [
        replace(part, queue_id=ids[part.queue_id])
        for part in rule.targets
        if isinstance(part, Target)
    ]
    return replace(rule, targets=sorted_targets(targets))


def _rename_skill(before: str, name: str) -> None:
    """Rename a skill of the tenant, found by its id or name."""
    state = json.loads(STATE.read_text("utf-8"))
    for queue in state["queues"]:
        if before in queue.values():
            queue["name"] = name
    STATE.write_text(json.dumps(state), "utf-8")


def _snippet() -> str:
    with open_state(STATE) as state:
        content = state.scripts[state.current_script(SCRIPT)]["content"]
    return "".join(item["value"] for _, item in find_snippets(content))


def _write(
    form: str,
    queues: str = "acd-skills",
    fraud: str = "{name: Fraud}",
    cards: str = "{name: Card Services}",
) -> None:
    text = ENVIRONMENT.format(form=form, queues=queues, fraud=fraud, cards=cards)
    write("all.yaml", text)


def _apply(tenant: Program) -> None:
    code = tenant("apply", "--yes", "--allow", "unrouted", "--reason", "test")
    assert code == 0, tenant.err


def test_a_script_that_assigns_names(tenant: Program) -> None:
    """The block has names; after a skill is renamed, its rules differ, and apply repairs them."""
    _write("name")
    _apply(tenant)
    assert 'ASSIGN cxr_skill = "Fraud"' in _snippet()
    assert 'ASSIGN cxr_skill = "Card Services"' in _snippet()
    assert tenant("plan", "--detailed-exitcode") == 0, tenant.out

    _rename_skill("Fraud", "Fraud Desk")
    _write("name", fraud="{name: Fraud Desk}")
    code, plan = tenant.json("plan", "--detailed-exitcode")
    assert code == 2
    assert {change["address"] for change in plan["changes"]} == {
        "cards/lost",
        "cards/rest",
    }
    _apply(tenant)
    assert '"Fraud Desk"' in _snippet()
    assert tenant("plan", "--detailed-exitcode") == 0


def test_a_queue_is_named_by_its_id_in_the_manifests(tenant: Program) -> None:
    """The tenant's list has the name, which the block assigns; offline, the build asks for it."""
    _write("name", fraud='{id: "4711"}')
    _apply(tenant)
    with open_state(STATE) as state:
        names = {queue["id"]: queue["name"] for queue in state.queues}
    assert f'ASSIGN cxr_skill = "{names["4711"]}"' in _snippet()
    assert tenant("plan", "--detailed-exitcode") == 0
    assert tenant("studio", "build") == 3
    assert "1 queue without a name: 4711" in tenant.err
    _write("name")
    assert tenant("studio", "build") == 0
    assert 'ASSIGN cxr_skill = "Fraud"' in tenant.out


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Card Services", "2 skills have the name"),
        ('Card "Services"', "which a Studio script cannot hold"),
    ],
)
def test_a_name_that_says_no_skill_is_refused(
    tenant: Program, name: str, problem: str
) -> None:
    """A name that two skills have, and one that no text of a script can be; nothing is saved."""
    _write("name", fraud='{id: "4711"}', cards='{id: "4712"}')
    _apply(tenant)
    before = _snippet()

    _rename_skill("4712", "Card Services")
    _rename_skill("4711", name)
    code = tenant("apply", "--yes", "--allow", "unrouted", "--reason", "test")
    assert code == 3, tenant.out
    assert problem in tenant.err
    assert _snippet() == before


def test_a_script_that_assigns_digital_queues(tenant: Program) -> None:
    """Their ids are GUIDs, as texts."""
    _write("routing-queue", "digital")
    _apply(tenant)
    with open_state(STATE) as state:
        ids = {queue["name"]: queue["id"] for queue in state.queues}
    assert f'ASSIGN cxr_skill = "{ids["Fraud"]}"' in _snippet()
    assert tenant("plan", "--detailed-exitcode") == 0


@each_case(
    "rest, is_told",
    [
        ("{key: rest, when: [], queue: cards, priority: 900}", False),
        ("{key: rest, when: [], queue: cards, priority: 900, enabled: false}", True),
        ("{key: rest, intent: card, queue: cards, priority: 900}", True),
    ],
)
def test_a_plan_says_what_happens_to_digital_contacts(
    tenant: Program, rest: str, is_told: object
) -> None:
    """If no rule takes every contact: the script's preset is not a default routing for them."""
    _write("routing-queue", "digital")
    path = Path("manifests/all.yaml")
    head = path.read_text("utf-8").split("  - {key: rest")[0]
    path.write_text(f"{head}  - {rest}\n", "utf-8")
    assert tenant("plan") == 0
    assert ("stay in the default skill of their channel" in tenant.out) == is_told
    assert tenant("studio", "recipe") == 0
    assert 'ASSIGN cxr_skill = ""' in tenant.out
    assert "go on without a REQAGENT" in tenant.out


@each_case(
    "form, queues", [("id", "digital"), ("routing-queue", "acd-skills"), ("name", "")]
)
def test_a_form_of_other_queues_is_an_error(
    tenant: Program, form: str, queues: str
) -> None:
    """With the list of queues that it needs."""
    _write(form, queues or "rules-api")
    assert tenant("validate") == 3
    assert '"rules: studio" requires "queues: ' in tenant.out + tenant.err


def test_a_file_says_the_ids_of_names(tmp_path: Path) -> None:
    """In the comments of its block; a name without a comment stands for itself."""
    names = {"4001": "Fraud", "4002": "4001"}
    rules = [odd_rule(Random(3))]
    targets = (Target("4001", 1), Target("4002", 1))
    rules = [replace(rules[0], targets=targets)]
    text = build_block(entries_of(rules, BY_NAME), BY_NAME, names)
    path = tmp_path / "block.txt"
    path.write_text(text, encoding="utf-8")
    (live,) = read_block_file(str(path), BY_NAME).rules
    assert _queue_ids(live.rule) == {"4001", "4002"}
    assert live.marker
    without_comments = "\n".join(
        line for line in text.splitlines() if not line.strip().startswith("// 400")
    )
    path.write_text(without_comments, encoding="utf-8")
    (live,) = read_block_file(str(path), BY_NAME).rules
    assert _queue_ids(live.rule) == {"Fraud", '"4001"'}


def _queue_ids(rule: Rule) -> set[str]:
    return {part.queue_id for part in rule.targets if isinstance(part, Target)}


def test_a_simulated_tenant_has_each_queue_of_the_manifests(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that no rule uses yet: rules move from the canvas one by one."""
    del cxroute
    monkeypatch.setenv("CXONE_ACCESS_KEY_ID", "key")
    _write("name")
    path = Path("manifests/all.yaml")
    text = path.read_text("utf-8")
    path.write_text(
        text.split("  - {key: rest")[0].replace("{name: Fraud}", '{id: "4711"}')
    )
    state = TenantState()
    simulate_environment(state, "studio", Path("manifests"))
    names = {queue["id"]: queue["name"] for queue in state.queues}
    assert names["4711"] == "fraud"
    assert "Card Services" in names.values()
