"""Consent in the workflows that `init --github` writes, step by step, with reviews and a forged
artifact.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from reconciler.core.plan.document import digest_document
from tests.features.forge.github.fake import MERGE, zipped
from tests.features.forge.github.scene import RepositoryDriver, rules

pytestmark = pytest.mark.slow

CARDS = "manifests/cards.yaml"
QUEUES = "manifests/queues.yaml"
STATUS = "cxroute/consent (prod)"
OWNED = 'apiVersion: routing/v1\nkind: Queues\nname: q\nqueues:\n  fraud: {name: Fraud, owners: ["@acme/fraud"]}\n'
TEAM = (
    "apiVersion: routing/v1\nkind: RuleSet\nname: fraud\nrules:\n  - {intent: theft, queue: fraud, "
    "priority: 50}\n"
)
TAKEN = (
    rules(pin="Billing")
    + "  - {intent: theft, name: ours, queue: Billing, priority: 10}\n"
)


@pytest.fixture
def repository(scene: RepositoryDriver) -> RepositoryDriver:
    """A repository of two teams, whose rules are live, with consent set up."""
    scene.variables["CXROUTE_CONSENT"] = "true"
    scene.hub.teams["@acme/fraud"] = ["fiona"]
    token = scene.hub.issue_token({"members": "read"})
    for secrets in scene.actions.secrets.values():
        secrets["CXROUTE_MEMBERS_TOKEN"] = token
    scene.write(QUEUES, OWNED)
    scene.write("manifests/fraud.yaml", TEAM)
    scene.settle(rules(pin="Billing"))
    return scene


def status(scene: RepositoryDriver, number: int) -> str:
    """Return the state of the consent of a pull request's head."""
    head, _ = scene.heads[number]
    return str(
        {statuse["context"]: statuse["state"] for statuse in scene.hub.statuses[head]}[
            STATUS
        ]
    )


def test_taking_callers_needs_consent_without_a_change_of_their_files(
    repository: RepositoryDriver,
) -> None:
    """Planned, refused by its status, approved by a stranger, then by fraud, and applied."""
    number = repository.open((CARDS, TAKEN))
    checked = repository.check(number)
    assert "success" == checked.result, checked.text
    assert "> - `@acme/fraud` (Fraud loses callers)" in repository.comment(number)
    assert "failure" == status(repository, number)
    assert "success" == repository.review(number, "stranger").result
    assert "failure" == status(repository, number)
    reviewed = repository.review(number, "fiona")
    assert ("success", "success") == (reviewed.result, status(repository, number)), (
        reviewed.text
    )
    applied = repository.apply(repository.merge(number))
    assert "success" == applied.result, applied.text
    assert {"pin", "theft", "ours"} == {
        name.rpartition(": ")[2] for name in repository.tenant.rules()
    }


def test_a_withdrawn_or_outdated_approval_fails_again(
    repository: RepositoryDriver,
) -> None:
    """A request for changes; and a further commit, which has no status until it is planned."""
    number = repository.open((CARDS, TAKEN))
    repository.check(number)
    repository.review(number, "fiona")
    assert "success" == status(repository, number)
    repository.review(number, "fiona", "CHANGES_REQUESTED")
    assert "failure" == status(repository, number)
    repository.review(number, "fiona")
    repository.push(number, (CARDS, TAKEN + "# again\n"))
    assert repository.heads[number][0] not in repository.hub.statuses
    repository.check(number)
    assert "failure" == status(repository, number)


def test_renumbering_that_moves_no_caller_needs_no_consent(
    repository: RepositoryDriver,
) -> None:
    """Also of the rules of fraud."""
    number = repository.open(("manifests/fraud.yaml", TEAM.replace("50", "51")))
    repository.check(number)
    assert "Consent needed" not in repository.comment(number)
    assert "success" == status(repository, number)
    applied = repository.apply(repository.merge(number))
    assert "success" == applied.result, applied.text


def test_a_merge_without_consent_is_not_applied(repository: RepositoryDriver) -> None:
    """Whatever the branch did to its status; the comment names who is missing."""
    number = repository.open((CARDS, TAKEN))
    repository.check(number)
    head, _ = repository.heads[number]
    repository.hub.statuses[head].append(
        {"context": STATUS, "state": "success", "description": "by hand"}
    )
    repository.review(number, "stranger")
    before = repository.tenant.rules()
    applied = repository.apply(repository.merge(number))
    assert "failure" == applied.result
    assert "was merged without the consent of its head commit" in repository.comment(
        number
    )
    assert "@acme/fraud" in repository.comment(number)
    assert before == repository.tenant.rules()


def forge_plan(scene: RepositoryDriver, **changes: Any) -> None:
    """Replace the stored plan by one with other fields, as a changed workflow of a branch can."""
    ((identity, (created, archive)),) = scene.hub.artifacts.items()
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        plan = json.loads(opened.read("plan.json"))
    changed = {**plan, **changes}
    text = json.dumps({**changed, "planId": digest_document(changed)})
    del scene.hub.artifacts[identity]
    scene.hub.keep(
        created["workflow_run"]["id"], created["name"], zipped(plan_json=text)
    )


@pytest.mark.parametrize(
    "files",
    [(), ((QUEUES, OWNED.replace(', owners: ["@acme/fraud"]', "")),)],
    ids=["", "owners"],
)
def test_an_artifact_with_a_shorter_list_is_refused(
    repository: RepositoryDriver, files: tuple[tuple[str, str], ...]
) -> None:
    """Apply computes the list again, also with the owners before the push, which the branch
    removed.
    """
    number = repository.open((CARDS, TAKEN), *files)
    repository.check(number)
    assert "`@acme/fraud` (Fraud loses callers)" in repository.comment(number)
    forge_plan(repository, consent=[])
    before = repository.tenant.rules()
    applied = repository.apply(repository.merge(number))
    assert "failure" == applied.result
    assert "does not list the consent of the owners of" in repository.comment(number), (
        applied.text
    )
    assert before == repository.tenant.rules()


def test_a_pull_request_without_manifests_gets_a_success(
    repository: RepositoryDriver,
) -> None:
    """A branch can require the status; a review of it changes nothing."""
    number = repository.open(("README.md", "hello"))
    checked = repository.check(number)
    assert "success" == checked.result, checked.text
    assert "success" == status(repository, number)
    assert "success" == repository.review(number, "fiona").result
    assert "success" == status(repository, number)


def test_without_the_variable_no_status_is_set(repository: RepositoryDriver) -> None:
    """Consent is shown in the comment, and still needed for the apply."""
    del repository.variables["CXROUTE_CONSENT"]
    number = repository.open((CARDS, TAKEN))
    repository.check(number)
    assert "skipped" == repository.review(number, "fiona").result
    assert {} == repository.hub.statuses
    assert "Consent needed" in repository.comment(number)
    applied = repository.apply(repository.merge(number))
    assert "success" == applied.result, applied.text
    assert MERGE not in repository.hub.statuses
