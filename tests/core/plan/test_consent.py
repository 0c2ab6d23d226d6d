"""Whose consent a plan needs: exactly the owners of the queues whose callers change, and never
fewer than proved.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.desired.queues import OwnedQueue
from reconciler.core.plan.consent import required_consent
from reconciler.core.plan.document import digest_document
from tests.support.brute_force_checks import QUEUES, RoutingDifference
from tests.support.live_file import live_file
from tests.support.plan_validator import validate_plan
from tests.support.program import Program, write
from tests.support.random_rules import RulePair, a_pair, entries
from tests.tiers import size

BLOCKS = 10
SIZE = size(fast=10, slow=40, full=200)
OWNED = [
    OwnedQueue(queue, name, (f"@{name[-1].lower()}",)) for queue, name in QUEUES.items()
]
PROD = (
    "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\ntenant: acme\n"
)
SANDBOX = "apiVersion: routing/v1\nkind: Environment\nname: sandbox\nowner: acme\n"
FRAUD = (
    "apiVersion: routing/v1\nkind: RuleSet\nname: fraud\nrules:\n  - {intent: lost, queue: fraud, "
    "priority: 50}\n"
)
ENTRY = {
    "queueId": "Fraud Desk",
    "queueName": "Fraud Desk",
    "owners": ["@acme/fraud"],
    "change": "loses",
}


def moved_queues(moved: RoutingDifference) -> dict[str, str]:
    """Return each queue whose share of some input changes, and how, by trying all inputs."""
    gains = set[str]()
    loses = set[str]()
    for before, come in moved.to["before"].items():
        for after, go in moved.to["after"].items():
            if come & go:
                old = dict(before or ())
                new = dict(after or ())
                gains |= {
                    queue for queue, share in new.items() if share > old.get(queue, 0)
                }
                loses |= {
                    queue for queue, share in old.items() if share > new.get(queue, 0)
                }
    return {
        queue: "both"
        if queue in gains & loses
        else "gains"
        if queue in gains
        else "loses"
        for queue in gains | loses
    }


def listed(pair: RulePair, steps: int | None = None) -> dict[str | None, str]:
    actual = compare_behaviour(
        entries(pair.old), entries(pair.new), pair.evaluation, steps
    )
    return {
        entry.queue.id: entry.change
        for entry in required_consent(actual, QUEUES, OWNED)
    }


@pytest.mark.fast_cases(3)
@pytest.mark.generated
@pytest.mark.parametrize("block", range(BLOCKS))
def test_the_list_is_that_of_every_input(block: int) -> None:
    """Exactly the queues that gain or lose; all of them if a destination is not a queue of the
    tenant.
    """
    observed = 0
    for seed in range(block * SIZE, (block + 1) * SIZE):
        pair = a_pair(Random(seed))
        moved = RoutingDifference(pair.old, pair.new, pair.evaluation)
        expected = moved_queues(moved)
        if expected.keys() <= QUEUES.keys():
            assert expected == listed(pair), moved.report
            observed += 1
        else:
            assert {
                queue: expected.get(queue, "unknown") for queue in QUEUES
            } == listed(pair), moved.report
    assert observed > SIZE // 2


@pytest.mark.fast_cases(2)
@pytest.mark.generated
@pytest.mark.parametrize("block", range(BLOCKS))
def test_an_incomplete_analysis_lists_every_owner(block: int) -> None:
    """Whatever it found: what is proved stays so, and the rest may gain or lose."""
    incomplete = 0
    for seed in range(block * SIZE, (block + 1) * SIZE):
        pair = a_pair(Random(seed))
        moved = RoutingDifference(pair.old, pair.new, pair.evaluation)
        actual = compare_behaviour(
            entries(pair.old), entries(pair.new), pair.evaluation, 20
        )
        names = {entry.queue.id for entry in required_consent(actual, QUEUES, OWNED)}
        assert moved_queues(moved).keys() & QUEUES.keys() <= names, moved.report
        if not actual.complete:
            assert names == set(QUEUES), moved.report
            incomplete += 1
    assert incomplete


def queues(
    fraud: str = '{name: Fraud Desk, owners: ["@acme/fraud"]}', **further: str
) -> str:
    lines = "".join(
        f"  {alias}: {text}\n" for alias, text in {"fraud": fraud, **further}.items()
    )
    return (
        f"apiVersion: routing/v1\nkind: Queues\nname: queues\nqueues:\n  cards: Card "
        f"Services\n{lines}"
    )


def cards(*rules: str) -> str:
    lines = "".join(f"  - {rule}\n" for rule in rules)
    return f"apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules:\n{lines}"


@pytest.fixture
def live(elsewhere: Path) -> str:
    """Provide the rules of two teams, which are live, and a copy of their manifests as the base."""
    del elsewhere
    write("prod.yaml", PROD)
    write("queues.yaml", queues())
    write("fraud.yaml", FRAUD)
    write("cards.yaml", cards("{intent: limit, queue: cards}"))
    shutil.copytree("manifests", "before")
    return live_file()


def consent(cxroute: Program, live: str, *options: str) -> list[Any]:
    code, form = cxroute.json("plan", "-e", "prod", "--live", live, *options)
    assert 0 == code, form
    validate_plan(form)
    return list(form["consent"])


def test_taking_callers_needs_consent_without_a_change_of_their_files(
    cxroute: Program, live: str
) -> None:
    """The rows count, and not the files of a team."""
    write(
        "cards.yaml",
        cards(
            "{intent: limit, queue: cards}",
            "{intent: lost, name: ours, queue: cards, priority: 10}",
        ),
    )
    assert [ENTRY] == consent(cxroute, live)
    assert 0 == cxroute("plan", "-e", "prod", "--live", live)
    assert (
        "  Consent needed: @acme/fraud (Fraud Desk loses callers). The pipeline checks this"
        in cxroute.out
    )
    assert 0 == cxroute("plan", "-e", "prod", "--live", live, "--format", "markdown")
    assert (
        "> **Consent needed:**\n> - `@acme/fraud` (Fraud Desk loses callers)\n"
        in cxroute.out
    )
    assert 0 == cxroute("plan", "-e", "prod", "--live", live, "--format", "html")
    assert "Consent needed: @acme/fraud (Fraud Desk loses callers)" in cxroute.out


def test_renumbering_that_moves_no_caller_needs_no_consent(
    cxroute: Program, live: str
) -> None:
    """Every rule of both teams is updated."""
    write("fraud.yaml", FRAUD.replace("50", "51"))
    write("cards.yaml", cards("{intent: limit, queue: cards, priority: 7}"))
    code, form = cxroute.json("plan", "-e", "prod", "--live", live)
    assert (0, 2, []) == (code, form["summary"]["update"], form["consent"])
    assert 0 == cxroute("plan", "-e", "prod", "--live", live)
    assert "Consent" not in cxroute.out


def test_without_owners_a_plan_has_no_list(cxroute: Program, live: str) -> None:
    """Its document is as before."""
    write("queues.yaml", queues("Fraud Desk"))
    write("cards.yaml", cards("{intent: lost, name: ours, queue: cards, priority: 10}"))
    code, form = cxroute.json("plan", "-e", "prod", "--live", live)
    assert 0 == code
    assert "consent" not in form


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    "fraud",
    ["Fraud Desk", '{name: Card Services, owners: ["@me"]}', "{staging: {name: X}}"],
)
def test_owners_of_the_base_count_too(cxroute: Program, live: str, fraud: str) -> None:
    """A change cannot remove the owners and take the callers in one step."""
    write("queues.yaml", queues(fraud))
    write("fraud.yaml", FRAUD.replace("queue: fraud", "queue: cards"))
    assert ENTRY in consent(cxroute, live, "--base", "before")


def test_new_owners_do_not_replace_those_of_the_base(
    cxroute: Program, live: str
) -> None:
    """Both lists must consent; one list for both if they are equal."""
    write("fraud.yaml", FRAUD.replace("queue: fraud", "queue: cards"))
    assert [ENTRY] == consent(cxroute, live, "--base", "before")
    write("queues.yaml", queues('{name: Fraud Desk, owners: ["@eve", "@acme/fraud"]}'))
    both = [ENTRY, {**ENTRY, "owners": ["@acme/fraud", "@eve"]}]
    assert both == consent(cxroute, live, "--base", "before")


def test_types_that_the_change_itself_states_prove_nothing(
    cxroute: Program, live: str
) -> None:
    """The change says that a confidence is at most 1, and takes the callers above 50; later it is a
    fact.
    """
    del live
    rule = (
        "{key: x, name: x, when: [{attribute: cognigyConfidence, greaterThan: 50}], queue: "
        "QUEUE}"
    )
    write(
        "cards.yaml",
        cards(rule.replace("QUEUE", "fraud"), "{intent: limit, queue: cards}"),
    )
    declared = live_file()
    shutil.copytree("manifests", "before", dirs_exist_ok=True)
    write("prod.yaml", f"{PROD}context: {{}}\n")
    write(
        "cards.yaml",
        cards(rule.replace("QUEUE", "cards"), "{intent: limit, queue: cards}"),
    )
    assert [{**ENTRY, "change": "unknown"}] == consent(
        cxroute, declared, "--base", "before"
    )
    shutil.copy("manifests/prod.yaml", "before/prod.yaml")
    assert [] == consent(cxroute, declared, "--base", "before")


def test_a_queue_that_the_tenant_renamed_may_be_any(
    cxroute: Program, live: str
) -> None:
    """If callers move, its owners must consent; if none does, not."""
    write("queues.yaml", queues(chat='{name: Chat Desk, owners: ["@acme/chat"]}'))
    assert [] == consent(cxroute, live)
    write(
        "cards.yaml",
        cards("{intent: limit, queue: cards}", "{intent: pin, queue: cards}"),
    )
    chat = {
        "queueId": None,
        "queueName": "Chat Desk",
        "owners": ["@acme/chat"],
        "change": "unknown",
    }
    assert [chat] == consent(cxroute, live)


@pytest.mark.parametrize(
    ("fraud", "expected"),
    [
        (
            "{name: Fraud Desk, owners: [fraud]}",
            'must be a user or a group of the forge, in quotes: "@name" or',
        ),
        (
            '{name: Fraud Desk, owners: ["@acme/"]}',
            'must be a user or a group of the forge, in quotes: "@name" or',
        ),
        (
            '{name: Fraud Desk, owners: ["@a b"]}',
            'must be a user or a group of the forge, in quotes: "@name" or',
        ),
        ('{owners: ["@acme/fraud"]}', "exactly one of id, name is required"),
        (
            '{name: Fraud Desk, id: "1", owners: ["@acme/fraud"]}',
            "exactly one of id, name is required",
        ),
        ("{name: Fraud Desk, owners: '@acme/fraud'}", "must be a list"),
        ('{name: Fraud Desk, owner: ["@acme/fraud"]}', 'unknown field "owner"'),
    ],
)
def test_an_invalid_owner_is_an_error_at_its_place(
    cxroute: Program, live: str, fraud: str, expected: str
) -> None:
    """With the form that is expected."""
    del live
    write("queues.yaml", queues(fraud))
    assert 3 == cxroute("validate")
    assert expected in cxroute.out + cxroute.err
    assert "queues.yaml:6" in cxroute.out + cxroute.err


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    "fraud",
    [
        "{prod: {name: Fraud Desk, owners: ['@acme/fraud']}}",
        "{prod: {id: Fraud Desk, owners: ['@acme/fraud']}, staging: {name: x}}",
        "{id: Fraud Desk, owners: ['@acme/fraud']}",
    ],
)
def test_each_form_of_a_queue_can_have_owners(
    cxroute: Program, live: str, fraud: str
) -> None:
    """By name or id, in one environment or in all."""
    write("queues.yaml", queues(fraud))
    write(
        "cards.yaml",
        cards(
            "{intent: limit, queue: cards}",
            "{intent: lost, name: ours, queue: cards, priority: 10}",
        ),
    )
    assert [ENTRY] == consent(cxroute, live)


def test_an_environment_may_have_the_name_of_a_field(
    cxroute: Program, live: str
) -> None:
    """The forms of a queue that were valid before stay valid."""
    write(
        "prod.yaml",
        "---\n".join(
            PROD.replace("prod", name).replace("acme", name)
            for name in ("name", "owners")
        ),
    )
    write("queues.yaml", queues("{name: {name: Fraud Desk}, owners: {id: Fraud Desk}}"))
    del live
    assert 0 == cxroute("validate"), cxroute.out + cxroute.err


@pytest.fixture
def sandbox(live: str) -> None:
    """Make the Environment the sandbox, whose tenant is here."""
    del live
    write("prod.yaml", SANDBOX)


@pytest.mark.usefixtures("sandbox")
def test_a_forged_list_is_refused(cxroute: Program) -> None:
    """A plan whose planId matches, but that lists other owners or none, is not applied."""
    assert 0 == cxroute("plan", "-e", "sandbox", "--out", "plan.json"), cxroute.err
    form = json.loads(Path("plan.json").read_text(encoding="utf-8"))
    assert ["@acme/fraud"] == form["consent"][0]["owners"]
    for forged in ([], [{**form["consent"][0], "owners": ["@eve"]}]):
        changed = {**form, "consent": forged}
        text = json.dumps({**changed, "planId": digest_document(changed)})
        Path("forged.json").write_text(text, encoding="utf-8")
        assert 4 == cxroute("apply", "forged.json", "--yes")
        assert (
            'does not list the consent of the owners of "Fraud Desk" (@acme/fraud)'
            in cxroute.err
        )
    assert 0 == cxroute("apply", "plan.json", "--yes"), cxroute.err


@pytest.mark.usefixtures("sandbox")
def test_an_apply_with_an_invalid_base_is_refused(cxroute: Program) -> None:
    """The owners before are not known; without any manifest, the queues had none."""
    assert 0 == cxroute("plan", "--out", "plan.json"), cxroute.err
    Path("invalid").mkdir()
    Path("invalid/queues.yaml").write_text("a: [", encoding="utf-8")
    assert 4 == cxroute("apply", "plan.json", "--base", "invalid", "--yes")
    assert "who must consent is not known" in cxroute.err
    Path("invalid/queues.yaml").unlink()
    assert 0 == cxroute("apply", "plan.json", "--base", "invalid", "--yes"), cxroute.err


@pytest.mark.usefixtures("sandbox")
def test_an_apply_can_name_the_base_itself(cxroute: Program) -> None:
    """The author of a plan chooses its base: the owners and the endpoint before the change are
    those of the apply.
    """
    write("queues.yaml", queues("Fraud Desk"))
    assert 0 == cxroute("plan", "--out", "plan.json"), cxroute.err
    assert 4 == cxroute("apply", "plan.json", "--base", "before", "--yes")
    assert (
        'does not list the consent of the owners of "Fraud Desk" (@acme/fraud)'
        in cxroute.err
    )
    assert 0 == cxroute("plan", "--base", "before", "--out", "plan.json"), cxroute.err
    assert 0 == cxroute("apply", "plan.json", "--base", "before", "--yes"), cxroute.err


@pytest.mark.usefixtures("sandbox")
def test_an_apply_needs_the_reviewed_move_of_the_endpoint(cxroute: Program) -> None:
    """A plan that hides the change of the fallback by its base is refused."""
    assert 0 == cxroute("apply", "--yes"), cxroute.err
    shutil.rmtree("before")
    shutil.copytree("manifests", "before")
    write(
        "prod.yaml",
        f"{SANDBOX}context: {{minConfidence: 0.5, below: {{intent: limit}}}}\n",
    )
    assert 0 == cxroute("plan", "--base", "manifests", "--out", "plan.json"), (
        cxroute.err
    )
    assert 4 == cxroute("apply", "plan.json", "--base", "before", "--yes")
    assert "would now send conversations elsewhere" in " ".join(cxroute.err.split())
