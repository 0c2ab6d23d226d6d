"""The file that `init --bitbucket` writes: its schema, and its scripts with bash, a Bitbucket and a
tenant.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.features.forge.bitbucket.fake import FakeBitbucket
from tests.features.forge.bitbucket.pipeline import (
    FILE,
    BitbucketRepository,
    pipelines,
    steps,
)
from tests.features.forge.contract import FakeRun
from tests.features.forge.github.scene import TenantProcess, rules, tenant_process
from tests.support.program import Program

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TenantProcess]:
    """The tenant, for all scenarios."""
    with tenant_process(tmp_path_factory.mktemp("tenant")) as item:
        yield item


@pytest.fixture
def scene(
    tmp_path: Path, bank: TenantProcess, hub: FakeBitbucket
) -> BitbucketRepository:
    """A repository without rules, and a tenant without rules."""
    bank.clear()
    return BitbucketRepository(tmp_path / "repository", tmp_path / "tools", hub, bank)


def test_the_file_has_the_official_schema(cxroute: Program) -> None:
    """As `check-jsonschema` ships it; the file is rewritten until it is edited."""
    assert 0 == cxroute("init", "--bitbucket")
    assert "wrote bitbucket-pipelines.yml" in cxroute.out
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.bitbucket-pipelines",
        FILE,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout
    text = Path(FILE).read_text(encoding="utf-8")
    assert not re.search("@[A-Z]+@", text)
    assert 0 == cxroute("init", "--bitbucket")
    assert "unchanged bitbucket-pipelines.yml" in cxroute.out
    Path(FILE).write_text(text + "# mine\n", encoding="utf-8")
    assert 0 == cxroute("init", "--bitbucket")
    assert "kept bitbucket-pipelines.yml, which was edited" in cxroute.out


def test_each_environment_has_its_steps() -> None:
    """An apply waits for a person and for other applies; only it has the writing credentials."""
    actual = pipelines("prod", "staging")["pipelines"]
    for environment in ("prod", "staging"):
        applies = [
            step
            for items in (actual["branches"]["main"], actual["custom"]["routing-apply"])
            for step in steps(items)
            if step["name"] == f"Apply to {environment}"
        ]
        assert 2 == len(applies)
        for step in applies:
            expected = {
                "deployment": f"cxone-{environment}",
                "concurrency-group": f"cxone-{environment}",
            }
            assert expected | {"trigger": "manual"} == {
                name: step[name] for name in (*expected, "trigger")
            }
    plans = [
        *steps(actual["pull-requests"]["**"]),
        *steps(actual["custom"]["routing-drift"]),
    ]
    assert not [step for step in plans if "deployment" in step]
    wanted_places = [
        None,
        "cxone-prod-plan",
        "cxone-staging-plan",
        "cxone-prod-plan",
        "cxone-staging-plan",
    ]
    assert wanted_places == [step.get("environment") for step in plans]


def test_planned_twice_and_applied(scene: BitbucketRepository) -> None:
    """One note, edited in place and never by an older run; after the merge exactly that plan is
    applied.
    """
    scene.push(7, rules(pin="Billing"))
    first = scene.check(7)
    assert {"Validate": 0, "Plan prod": 0} == first.codes, first.log
    older = scene.heads[7]
    scene.push(7, rules(pin="Billing", theft="Fraud"))
    assert {"Validate": 0, "Plan prod": 0} == scene.check(7).codes
    late = scene.check(7, run=101, attempt=2, head=older)
    assert "a newer run wrote it" in late.log
    (note,) = scene.hub.notes()
    assert "cards/theft" in note.body

    applied = scene.apply(scene.merge(7))
    assert {"Validate": 0, "Apply to prod": 0} == applied.codes, applied.log
    assert {"pin", "theft"} == set(scene.tenant.rules())
    (note,) = scene.hub.notes()
    assert "> **Applied** on " in note.body
    assert "cxroute:head" in note.body.split("\n")[3]
    journal = (scene.path / "out/journal-prod.jsonl").read_text(encoding="utf-8")
    assert scene.hub.variables(FakeRun())["BITBUCKET_STEP_TRIGGERER_UUID"] in journal


def test_each_command_gets_only_its_secrets(scene: BitbucketRepository) -> None:
    """Installing and uploading get no secret of the tenant, and the plan does not get the token."""
    scene.push(7, rules(pin="Billing"))
    assert 0 == scene.check(7).codes["Plan prod"]
    assert 0 == scene.apply(scene.merge(7)).codes["Apply to prod"]
    assert 0 == scene.custom("routing-drift").codes["Check prod"]
    observed = set()
    for *secrets, line in scene.calls():
        kind = " ".join(
            word
            for word in line.split()
            if word in ("bitbucket", "plan", "apply", "drift", "validate")
        )
        observed.add((Path(line.split()[0]).name, kind, tuple(sorted(secrets))))
    tenant = ("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET")
    token = ("CXROUTE_BITBUCKET_TOKEN",)
    commands = {("cxroute", kind, tenant) for kind in ("plan", "apply", "drift")}
    assert {
        ("python", "", ()),
        ("curl", "", token),
        ("cxroute", "validate", ()),
    } < observed
    assert commands | {("cxroute", "bitbucket", token)} < observed
    assert 7 == len(observed)


def test_a_plan_that_apply_refuses_fails_and_is_not_applied(
    scene: BitbucketRepository,
) -> None:
    """The note says why; after a merge in spite of that, it says that no change was applied."""
    scene.push(7, rules(pin="Billing", theft="Fraud", limit="General"))
    scene.check(7)
    assert 0 == scene.apply(scene.merge(7)).codes["Apply to prod"]
    scene.push(8, rules(pin="Billing"))
    assert {"Validate": 0, "Plan prod": 4} == scene.check(8).codes
    (note,) = scene.hub.notes(8)
    assert "deletes" in note.body
    assert 4 == scene.apply(scene.merge(8)).codes["Apply to prod"]
    (note,) = scene.hub.notes(8)
    assert "> **Not applied** on " in note.body
    assert "`bitbucket-pipelines.yml` did not succeed in its last run" in note.body
    assert {"pin", "theft", "limit"} == set(scene.tenant.rules())


def test_callers_move_only_with_consent(scene: BitbucketRepository) -> None:
    """The status fails until an owner approves the head; an apply without consent is refused."""
    queues = "apiVersion: routing/v1\nkind: Queues\nname: q\n"
    queues += 'queues: {bills: {name: Billing, owners: ["@bert"]}}\n---\n'
    for number in (7, 8):
        scene.push(number, queues + rules(pin="bills"))
        scene.hub.approve("carl")
        ran = scene.check(number)
        assert 0 == ran.codes["Plan prod"], ran.log
        state, text = scene.hub.statuses(scene.heads[number])["cxroute/consent (prod)"]
        assert ("failure", True) == (state, "@bert (Billing gains callers)" in text)
        if number == 8:
            scene.hub.approve("bert")
            assert 0 == scene.check(number).codes["Plan prod"]
            assert (
                "success"
                == scene.hub.statuses(scene.heads[number])["cxroute/consent (prod)"][0]
            )
        applied = scene.apply(scene.merge(number))
        assert (4 if number == 7 else 0) == applied.codes["Apply to prod"], applied.log
    assert {"pin"} == set(scene.tenant.rules())


def test_a_fork_is_not_planned_and_not_applied(scene: BitbucketRepository) -> None:
    """It gets no secrets: its pull request is checked offline; after the merge, a person starts the
    other pipeline.
    """
    token, scene.token = scene.token, ""
    scene.push(7, rules(pin="Billing"))
    checked = scene.check(7)
    assert {"Validate": 0, "Plan prod": 0} == checked.codes
    assert (
        "Not planned: the environment cxone-prod-plan has no CXROUTE_BITBUCKET_TOKEN here."
        in checked.log
    )
    assert [] == scene.hub.notes()
    scene.token = token
    refused = scene.apply(scene.merge(7, repository="eve/routing"))
    assert 4 == refused.codes["Apply to prod"]
    assert "is from a fork" in refused.log
    assert "> **Not applied** on " not in "".join(
        note.body for note in scene.hub.notes()
    )
    by_hand = scene.custom("routing-apply")
    assert {"Plan prod": 0, "Apply to prod": 0} == by_hand.codes, by_hand.log
    assert {"pin"} == set(scene.tenant.rules())


def test_drift_fails_its_step_and_is_shown(scene: BitbucketRepository) -> None:
    """Bitbucket has no issues: the log says that the failed step is the report."""
    scene.push(7, rules(pin="Billing"))
    scene.check(7)
    scene.apply(scene.merge(7))
    scene.tenant.change("pin", priority=7)
    checked = scene.custom("routing-drift")
    assert {"Check prod": 2} == checked.codes
    assert "cards/pin" in checked.log
    assert (
        "Bitbucket has no issues: this failed step is the report of the drift above."
        in checked.log
    )


def test_without_a_package_the_step_fails(scene: BitbucketRepository) -> None:
    """The sentence names the variable."""
    scene.package = ""
    checked = scene.custom("routing-drift")
    assert {"Check prod": 1} == checked.codes
    assert "The repository variable CXROUTE_PACKAGE is not set." in checked.log
