"""The main job on an Environment whose rules are the table of a decision service (decide.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.program import Program, write
from tests.support.served_tables import rule_json

SANDBOX = """\
apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
api: {{rules: served, served: {{url: "https://routing.acme.example"{served}}}}}
attributes: {{intent: intent, confidence: confidence}}
context: {{minConfidence: {least}, below: {{intent: none}}}}
"""
RULES = """\
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {intent: lost, queue: Fraud Desk, priority: 10}
  - {intent: fee, queue: Billing, priority: 20}
  - {key: others, when: [], queue: Billing, priority: 90}
"""
INTENTS = """\
apiVersion: routing/v1
kind: Intents
name: bot
intents: [lost, fee, none]
"""
STATE = Path(".cxroute/sandbox.json")
FOREIGN = rule_json(
    "ivr",
    id="telephony-1",
    description="after hours",
    priority=900,
    colour={"shade": ["red", 1.5]},
    targets=[{"type": "queue", "queueId": "q-9", "weight": 1}],
)


@pytest.fixture
def project(cxroute: Program) -> Program:
    """The program, in a folder with manifests for a served sandbox."""
    write("cards.yaml", RULES)
    write("bot.yaml", INTENTS)
    environment()
    return cxroute


def environment(least: float = 0.4, served: str = "") -> None:
    write("sandbox.yaml", SANDBOX.format(least=least, served=served))


def published() -> dict[str, Any]:
    """Return the newest table of the sandbox."""
    tables = json.loads(STATE.read_text("utf-8"))["tables"]
    table: dict[str, Any] = tables[max(tables, key=int)]
    return table


def publish(table: dict[str, Any]) -> None:
    """Publish a table as another client does."""
    from reconciler.targets.decide.table import parse_table  # noqa: PLC0415 - only here

    state = json.loads(STATE.read_text("utf-8"))
    version = max(map(int, state["tables"])) + 1
    facts = {"digest": parse_table(table).digest, "version": version}
    state["tables"][str(version)] = {**table, **facts, "publishedBy": "eve"}
    STATE.write_text(json.dumps(state), "utf-8")


def applied(project: Program) -> dict[str, Any]:
    """Apply the manifests, and return the table."""
    assert project("apply", "-e", "sandbox", "--yes") == 0, project.err
    return published()


def test_the_first_apply_publishes_the_table(project: Program) -> None:
    """With ids of the owner, the endpoint, and who published it; then nothing differs."""
    assert project("validate") == 0, project.out + project.err
    assert project("plan", "-e", "sandbox", "--detailed-exitcode") == 2
    assert not STATE.exists()
    table = applied(project)
    assert "id acme/cards/lost" in project.out
    keys = ("fee", "lost", "others")
    assert {rule["id"] for rule in table["rules"]} == {
        f"acme/cards/{key}" for key in keys
    }
    assert table["endpoint"]["fallback"]["minConfidence"] == 0.4
    assert {queue["name"] for queue in table["queues"]} == {"Billing", "Fraud Desk"}
    assert table["version"] == 1
    assert project("drift", "-e", "sandbox") == 0, project.out
    assert project("plan", "-e", "sandbox", "--detailed-exitcode") == 0, project.out
    assert applied(project) == table


def test_a_fallback_alone_is_a_plan_and_an_apply(project: Program) -> None:
    """No rule changes; the effects are those of the fallback, and JSON says the same."""
    applied(project)
    environment(least=0.7)
    assert project("plan", "-e", "sandbox", "--detailed-exitcode") == 2
    assert '"none" below 0.4 -> "none" below 0.7' in project.out
    assert '"Fraud Desk" -> "Billing"' in project.out
    assert "starts again" not in project.out
    _, plan = project.json("plan", "-e", "sandbox")
    assert plan["changes"] == []
    assert plan["endpoint"]["before"]["minConfidence"] == 0.4
    assert plan["behaviour"]["effects"]
    assert project("drift", "-e", "sandbox") == 2
    assert "another fallback" in project.out
    assert project("apply", "-e", "sandbox", "--yes") == 0, project.err
    assert "Settings saved." in project.out
    assert published()["endpoint"]["fallback"]["minConfidence"] == 0.7
    run = project.out.partition("Undo: cxroute plan -e sandbox --undo ")[2].strip()
    assert project("drift", "-e", "sandbox") == 0, project.out
    assert project("plan", "-e", "sandbox", "--undo", run) == 0, project.err
    assert "No rule changes. The undo restores the settings" in project.out
    assert project("apply", "-e", "sandbox", "--undo", run, "--yes") == 0, project.err
    assert published()["endpoint"]["fallback"]["minConfidence"] == 0.4


def test_another_setting_is_published_without_an_effect(project: Program) -> None:
    """What a script gets is a setting beside the rules."""
    applied(project)
    environment(served=", as: name, variables: {tier: customer_tier}")
    assert project("plan", "-e", "sandbox", "--detailed-exitcode") == 2
    assert "No conversation goes elsewhere" not in project.out
    assert "Settings beside the rules change: answer, variables." in project.out
    table = applied(project)
    assert (table["answer"], table["variables"]) == ("name", {"tier": "customer_tier"})


def test_unmanaged_rules_stay_as_they_are(project: Program) -> None:
    """With every unknown field and their queue, also if they have no marker."""
    table = applied(project)
    queues = [*table["queues"], {"id": "q-9", "name": "Night Desk"}]
    publish({**table, "rules": [*table["rules"], FOREIGN], "queues": queues})
    assert project("drift", "-e", "sandbox") == 0, project.out
    write("cards.yaml", RULES.replace("priority: 20", "priority: 30"))
    after = applied(project)
    assert FOREIGN in after["rules"]
    assert {"id": "q-9", "name": "Night Desk"} in after["queues"]
    write("cards.yaml", RULES.splitlines(keepends=True)[0] + RULES.split("\n", 1)[1])
    assert project("apply", "-e", "sandbox", "--yes") == 0, project.err
    assert FOREIGN in published()["rules"]


def test_a_foreign_publication_is_drift_and_is_healed(project: Program) -> None:
    """An edited rule and a changed fallback are reported with who published them."""
    table = applied(project)
    rules = [dict(rule) for rule in table["rules"]]
    rules[0]["priority"] = 5
    fallback = {"knownIntents": [], "intent": "fee", "minConfidence": 0.9}
    endpoint = {**table["endpoint"], "fallback": fallback}
    publish({**table, "rules": rules, "endpoint": endpoint})
    assert project("drift", "-e", "sandbox") == 2
    assert "The table was last saved by eve" in project.out
    assert "another fallback" in project.out
    code, drift = project.json("drift", "-e", "sandbox")
    assert code == 2
    assert drift["lastSave"]["by"] == "eve"
    assert drift["behaviour"]["effects"]
    applied(project)
    assert project("drift", "-e", "sandbox") == 0, project.out


def test_a_saved_plan_is_not_applied_over_another_table(project: Program) -> None:
    """A rule that changed since the plan was reviewed is not overwritten unseen."""
    table = applied(project)
    write("cards.yaml", RULES.replace("priority: 20", "priority: 30"))
    assert project("plan", "-e", "sandbox", "--out", "saved.json") == 0
    rules = [{**rule, "enabled": False} for rule in table["rules"]]
    publish({**table, "rules": rules})
    assert project("apply", "saved.json", "--yes") == 4
    assert "Nothing was written" in project.err
    assert not any(rule["enabled"] for rule in published()["rules"])


def content(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table without what its publication added."""
    facts = ("version", "digest", "publishedAt", "publishedBy", "commit")
    return {name: part for name, part in table.items() if name not in facts}


def last_run(project: Program) -> str:
    _, history = project.json("history", "-e", "sandbox")
    run: str = history["runs"][-1]["run"]
    return run


def test_an_undo_reverts_the_rules_and_the_fallback_of_a_run(project: Program) -> None:
    """A person reads that the next apply would make both again."""
    before = applied(project)
    environment(least=0.7)
    write("cards.yaml", RULES.replace("Billing", "Fraud Desk"))
    applied(project)
    undo = ("-e", "sandbox", "--undo", last_run(project))
    assert project("plan", *undo) == 0, project.err
    assert '"none" below 0.7 -> "none" below 0.4' in project.out
    assert "would save the settings of the manifests again" in project.out
    assert project("apply", *undo, "--yes") == 0, project.err
    assert content(published()) == content(before)


def test_an_undo_of_a_fallback_alone(project: Program) -> None:
    """The run that published only settings is undone like any other, once."""
    before = applied(project)
    environment(least=0.7)
    applied(project)
    undo = ("-e", "sandbox", "--undo", last_run(project))
    assert project("apply", *undo, "--yes") == 0, project.err
    assert content(published()) == content(before)
    assert project("plan", *undo, "--detailed-exitcode") == 0, project.out


def test_an_undo_keeps_a_later_fallback(project: Program) -> None:
    """A warning says so."""
    applied(project)
    environment(least=0.7)
    applied(project)
    earlier = last_run(project)
    environment(least=0.8)
    applied(project)
    assert project("plan", "-e", "sandbox", "--undo", earlier, "-v") == 0
    assert "changed again since this run" in project.out
    assert project("apply", "-e", "sandbox", "--undo", earlier, "--yes") == 0
    assert published()["endpoint"]["fallback"]["minConfidence"] == 0.8


def test_a_part_of_the_rules_keeps_the_fallback(project: Program) -> None:
    """`--only` publishes the selected rules alone."""
    applied(project)
    environment(least=0.7)
    write("cards.yaml", RULES.replace("priority: 20", "priority: 30"))
    only = ("-e", "sandbox", "--only", "cards/fee", "--yes")
    assert project("apply", *only) == 0, project.err
    assert published()["endpoint"]["fallback"]["minConfidence"] == 0.4


def test_sides_of_a_comparison_name_the_target(project: Program) -> None:
    """The table has its own fallback; the wrong target is refused."""
    applied(project)
    environment(least=0.7)
    assert project("diff", "served:sandbox", "manifests:sandbox") == 0, project.err
    assert '"Fraud Desk" -> "Billing"' in project.out
    assert project("diff", "studio:sandbox", "manifests:sandbox") == 64
    assert "`rules: served`" in project.err


def test_a_saved_table_is_read_for_a_plan(project: Program) -> None:
    """`--live FILE` takes the response to GET /rules, with its fallback."""
    Path("table.json").write_text(json.dumps(applied(project)), "utf-8")
    assert project("plan", "-e", "sandbox", "--live", "table.json") == 0, project.err
    assert "No changes" in project.out
    environment(least=0.7)
    plan = ("plan", "-e", "sandbox", "--live", "table.json", "--detailed-exitcode")
    assert project(*plan) == 2
    assert "No rule changes" in project.out


PROD = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
api: {rules: served, served: {url: "https://routing.acme.example"}}
"""


def test_an_environment_without_a_tenant(
    project: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is valid. The key goes to no host that the operator did not name, and is never shown."""
    write("prod.yaml", PROD)
    assert project("validate", "-e", "prod") == 0, project.out + project.err
    assert project("plan", "-e", "prod") == 1
    assert "CXROUTE_HOSTS=routing.acme.example" in project.err
    monkeypatch.setenv("CXROUTE_HOSTS", "routing.acme.example")
    assert project("plan", "-e", "prod") == 1
    assert "set CXROUTE_ADMIN_KEY" in project.err


def test_other_targets_need_a_tenant(project: Program) -> None:
    """And the sandbox has no other settings of an API."""
    write("prod.yaml", PROD.replace("served", "rules-api"))
    assert project("validate", "-e", "prod") == 3
    write("prod.yaml", "")
    write(
        "sandbox.yaml",
        SANDBOX.format(least=0.4, served="").replace("rules: served, ", ""),
    )
    assert project("validate") == 3
    assert "must not set" in project.out + project.err


def test_the_analysis_knows_what_the_service_lets_through(project: Program) -> None:
    """A confidence is a number from 0 to 1: a rule above 1 takes no conversation."""
    write("sandbox.yaml", SANDBOX.format(least=0, served="").split("context:")[0])
    write(
        "cards.yaml",
        RULES
        + "  - {key: text, priority: 1, queue: Billing, when: [{attribute: confidence,"
        " equals: high}]}\n",
    )
    assert project("validate", "-e", "sandbox") == 0, project.out
    assert "CXR201" in project.out
    _, plan = project.json("plan", "-e", "sandbox")
    examples = [effect["rows"] for effect in plan["behaviour"]["effects"]]
    assert "high" not in json.dumps(examples)


PROMISES = """\
apiVersion: routing/v1
kind: Promises
name: fraud
promises:
  - {name: lost cards reach fraud, for: {intent: lost, minConfidence: 0.5}, always: {queues: [Fraud Desk]}}
"""


def test_a_fallback_that_breaks_a_promise_is_not_published(project: Program) -> None:
    """The guard refuses a change of the settings alone, too."""
    applied(project)
    write("promises.yaml", PROMISES)
    assert project("apply", "-e", "sandbox", "--yes") == 0, project.err
    environment(least=0.7)
    assert project("apply", "-e", "sandbox", "--yes") == 4
    assert "lost cards reach fraud" in project.err
    assert published()["endpoint"]["fallback"]["minConfidence"] == 0.4


def test_a_guard_refuses_a_fallback_that_unroutes_conversations(
    project: Program,
) -> None:
    """Conversations that reach a queue today would fall to the default routing."""
    write("cards.yaml", RULES.rsplit("  - {key", 1)[0])
    applied(project)
    environment(least=0.7)
    assert project("apply", "-e", "sandbox", "--yes") == 4
    assert "default routing" in project.err
    reason = ("--allow", "unrouted", "--reason", "a test")
    assert project("apply", "-e", "sandbox", "--yes", *reason) == 0, project.err
    assert published()["endpoint"]["fallback"]["minConfidence"] == 0.7


def test_an_export_writes_manifests_of_the_same_rules(project: Program) -> None:
    """Unmanaged rules of the table become manifests, and are adopted unchanged."""
    table = applied(project)
    billing = table["rules"][-1]["targets"]
    publish({**table, "rules": [*table["rules"], {**FOREIGN, "targets": billing}]})
    words = ("export", "-e", "sandbox", "--all", "--into", "manifests/ivr.yaml")
    assert project(*words) == 0, project.err
    assert "Billing" in Path("manifests/ivr.yaml").read_text("utf-8")
    assert project("plan", "-e", "sandbox") == 0, project.err
    assert "1 to adopt" in project.out
    after = applied(project)
    (rule,) = (rule for rule in after["rules"] if rule["id"] == FOREIGN["id"])
    assert "cxroute:acme/" in rule["description"]
    assert rule["colour"] == FOREIGN["colour"]


@pytest.mark.parametrize(
    "other",
    [{"evaluation": "highest-first"}, {"endpoint": {"intent": "other"}}],
    ids=["order", "intent"],
)
def test_a_table_that_is_read_otherwise_is_not_proven(
    project: Program, other: dict[str, Any]
) -> None:
    """Its order, or the attribute of the intent, is another one: no sentence claims a proof."""
    table = applied(project)
    endpoint = {**table["endpoint"], **other.get("endpoint", {})}
    publish({**table, **other, "endpoint": endpoint})
    assert project("drift", "-e", "sandbox") == 2
    assert "(proven)" not in project.out
    assert "nothing about conversations is proven" in project.out
    for words in (
        ("explain", "-e", "sandbox", "--live", "--intent", "lost"),
        ("diff", "served:sandbox", "manifests:sandbox"),
        ("test", "-e", "sandbox", "--live"),
    ):
        assert project(*words) == 4, words
        assert "cxroute drift -e sandbox" in project.err
    assert project("plan", "-e", "sandbox", "--detailed-exitcode") == 2
    assert "(proven)" not in project.out
    assert "Settings beside the rules change" in project.out
    assert project("apply", "-e", "sandbox", "--yes") == 4
    assert "not proven that every conversation" in project.err
    reason = ("--allow", "unrouted", "--reason", "a test")
    assert project("apply", "-e", "sandbox", "--yes", *reason) == 0, project.err
    assert project("drift", "-e", "sandbox") == 0, project.out


def test_other_names_in_the_payload_are_named(project: Program) -> None:
    """What they move is said to be unknown."""
    applied(project)
    environment(served=", variables: {intent: bot_intent}")
    assert project("plan", "-e", "sandbox") == 0
    assert "Settings beside the rules change: variables." in project.out
    assert "is not analysed" in project.out


PLACES = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
tenant: acme
api: {rules: served, served: {url: "https://routing.acme.example"}, queues: acd-skills}
---
apiVersion: routing/v1
kind: Environment
name: block
owner: acme
tenant: acme
api: {rules: studio, studio: {script: hand-over}, queues: acd-skills}
"""


def test_two_targets_of_one_tenant_are_allowed(project: Program) -> None:
    """A block may hold the same rules for the Error branch; one table has one Environment."""
    write("places.yaml", PLACES)
    assert project("validate", "-e", "prod,block") == 0, project.out
    other = PLACES.replace("name: block", "name: other").split("---\n")[0]
    write("other.yaml", other.replace("name: prod", "name: other"))
    assert project("validate") == 3
    assert "CXR114" in project.out
    write(
        "other.yaml",
        other.replace("name: prod", "name: other").replace("routing.", "r2."),
    )
    assert project("validate") == 0, project.out
