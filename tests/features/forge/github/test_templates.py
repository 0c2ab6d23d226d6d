"""The workflows as files: this project's own, those that `init --github` writes, and the action."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.core.errors import UsageError
from reconciler.features.forge.command import FORGES
from reconciler.features.forge.init_files import (
    action_of,
    credentials_by_environment,
    date_runs,
)
from reconciler.features.forge.pipeline_files import (
    OWN_ACTION,
    PIPELINES,
    UNKNOWN_ACTION,
    WORKFLOW_FILES,
    PipelineSettings,
    build_pipelines,
    cron_of,
    is_edited,
)
from tests.campaign.report import PAGE
from tests.campaign.shrink import REGRESSIONS
from tests.features.forge.github.actions import ACTION
from tests.features.forge.github.expressions import filled
from tests.features.forge.github.machine import ROOT
from tests.support.cases import each_case
from tests.support.program import Program, write

OWN = [ROOT / name for name in PIPELINES["github"].all_files]
CI, WEEKLY, RELEASE, SITE = (
    ROOT / ".github/workflows" / name
    for name in ("ci.yml", "weekly.yml", "release.yml", "site.yml")
)
ALL = [*OWN, CI, WEEKLY, RELEASE, SITE, ROOT / "action.yml"]


def build_workflows(settings: PipelineSettings) -> Iterator[tuple[str, str]]:
    """Yield each workflow's name in its folder, and its text."""
    for name, text in build_pipelines(PIPELINES["github"], settings):
        yield name.removeprefix(".github/workflows/"), text


def read(path: Path) -> dict[str, Any]:
    return dict(yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader))  # noqa: S506 - plain texts


def steps(form: dict[str, Any]) -> list[dict[str, Any]]:
    jobs = [form["runs"]] if "runs" in form else form["jobs"].values()
    return [step for job in jobs for step in job.get("steps", [])]


def test_this_project_s_workflows_are_those_that_init_writes() -> None:
    """They differ in the location of the action and in the credentials, which the manifests
    name.
    """
    variables = sorted(
        {
            name
            for names in credentials_by_environment(ROOT / "manifests").values()
            for name in names
        }
    )
    for name, text in build_workflows(
        PipelineSettings(
            OWN_ACTION,
            "manifests",
            tuple(variables),
            dates=date_runs(ROOT / "manifests"),
        )
    ):
        assert text == (ROOT / ".github/workflows" / name).read_text(
            encoding="utf-8"
        ), name


@each_case("path", ALL)
def test_actions_are_pinned_and_scripts_have_no_expressions(path: Path) -> None:
    """Each action by a commit's hash, with its version in a comment; scripts get values by their
    environment.
    """
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.search(r"\buses: (?!\./)", line):
            assert re.search(
                r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line
            ), line
    for step in steps(read(path)):
        assert "${{" not in step.get("run", "")
        if step.get("uses", "").startswith("actions/checkout@"):
            assert "false" == step["with"]["persist-credentials"]


@each_case("path", ALL[:-1])
def test_a_workflow_has_only_the_permissions_of_its_jobs(path: Path) -> None:
    """No permissions at the top, no trigger that gives secrets to strangers, a time limit for each
    job with steps.
    """
    form = read(path)
    assert {} == form["permissions"]
    assert set() == {"pull_request_target", "workflow_run", "issue_comment"} & set(
        form["on"]
    )
    assert all("permissions" in job for job in form["jobs"].values())
    assert all(
        "timeout-minutes" in job or "uses" in job for job in form["jobs"].values()
    )


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_only_the_steps_that_need_secrets_get_them(path: Path) -> None:
    """The tenant's for plan, apply and drift; the token for steps that call GitHub; no step gets
    both.
    """
    for step in steps(read(path)):
        env = json.dumps(step.get("env", {}))
        tenant = "secrets.CXONE_" in env
        token = "github.token" in env
        assert not (tenant and token)
        if tenant:
            assert "cxroute" in step.get("run", "") or step["uses"] == "./"
        if token:
            assert "cxroute github " in step["run"]
    for job in read(path)["jobs"].values():
        assert "secrets" not in json.dumps(job.get("env", {}))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            CI,
            [
                *(
                    "make lint",
                    "make browser",
                    "make vscode",
                    "make site",
                    "make test COVER=1",
                    "make coverage",
                    "make test-generated",
                    "make test-rest",
                ),
                *(
                    "sudo --preserve-env=CI make test-root",
                    "make demo",
                    "make .venv/.project",
                    ".ci/hostile make test",
                    "bash .ci/core",
                ),
                *("make release-check", 'make "test-$VERSIONS"'),
            ],
        ),
        (
            WEEKLY,
            [
                "make browser",
                "make site",
                "make campaign ARGS=--write",
                "make mutants",
                "make audit",
            ],
        ),
        (SITE, ["make site-releases"]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_step_of_ci_is_a_target_of_make(path: Path, expected: list[str]) -> None:
    """A developer can run its commands; other lines are only those that no target could contain."""
    run = [step["run"] for step in steps(read(path)) if "run" in step]
    desired_state = [line for line in run if "apt-get" not in line]
    assert expected == desired_state

    targets = re.findall(
        r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    created = [re.search(r"\bmake (\S+)", line) for line in desired_state]
    named = {match[1] for match in created if match} - {
        '"test-$VERSIONS"',
        ".venv/.project",
    } | {
        "test-lowest",
        "test-newest",
    }
    assert set() == named - set(targets)


def test_a_newer_commit_cancels_only_the_run_of_a_pull_request() -> None:
    """Runs of one pull request share a group; each push has its own, so every commit of main is
    checked.
    """
    concurrency = read(CI)["concurrency"]
    assert "true" == concurrency["cancel-in-progress"]
    pushes: list[dict[str, Any]] = [
        {"github": {"workflow": "CI", "event": {}, "sha": sha}} for sha in ("a", "b")
    ]
    pulls = [
        {
            "github": {
                "workflow": "CI",
                "event": {"pull_request": {"number": 7}},
                "sha": sha,
            }
        }
        for sha in ("a", "b")
    ]
    groups = [
        filled(concurrency["group"], contexts, {}) for contexts in (*pushes, *pulls)
    ]
    assert ["CI-a", "CI-b", "CI-7", "CI-7"] == groups


def test_the_campaign_keeps_its_table_and_its_findings() -> None:
    """Also after a broken invariant: its page, and the folder of the cases to run again."""
    (upload,) = (
        step
        for step in read(WEEKLY)["jobs"]["campaign"]["steps"]
        if "upload-artifact" in step.get("uses", "")
    )
    assert "${{ !cancelled() }}" == upload["if"]
    assert [PAGE, REGRESSIONS] == [
        ROOT / line for line in upload["with"]["path"].split()
    ]


def test_pip_uses_the_cache_that_the_action_restores() -> None:
    """The same folder; the key contains the checksum of the installed file, outside the
    workspace.
    """
    form = {
        step.get("id", step.get("name")): step
        for step in steps(read(ROOT / "action.yml"))
    }
    cache = form["Restore pip's cache"]["with"]
    install = form["Install cxroute"]["run"]
    assert (
        f'--cache-dir "{cache["path"].replace("${{ runner.temp }}", "$RUNNER_TEMP")}"'
        in install
    )
    assert '-r "$REQUIREMENTS"' in install
    assert (
        "${{ steps.requirements.outputs.file }}"
        == form["Install cxroute"]["env"]["REQUIREMENTS"]
    )
    chosen = form["requirements"]["run"]
    names = re.findall(r'file="\$GITHUB_ACTION_PATH/([\w.-]+)"', chosen)
    assert ["requirements.txt", "requirements-sheets.txt"] == names
    assert all((ROOT / name).is_file() for name in names)
    assert 'cksum < "$file"' in chosen
    assert 'echo "file=$file"' in chosen
    assert "${{ steps.requirements.outputs.checksum }}" in cache["key"]
    assert "${{ steps.python.outputs.python-version }}" in cache["key"]
    assert "actions/setup-python" in form["python"]["uses"]


def test_dependabot_checks_all_pinned_versions() -> None:
    """Python, workflows, the browser's packages and the image; a week after a release at the
    earliest.
    """
    updates = read(ROOT / ".github/dependabot.yml")["updates"]
    files = {
        "pip": "requirements.txt",
        "github-actions": "action.yml",
        "npm": "package-lock.json",
        "docker": "Dockerfile",
    }
    assert set(files) == {update["package-ecosystem"] for update in updates}
    for item in updates:
        assert (
            ROOT / item["directory"].strip("/") / files[item["package-ecosystem"]]
        ).is_file()
        assert "7" == item["cooldown"]["default-days"]


def test_the_guide_names_all_parts() -> None:
    """Every task, output, workflow, and the name of the check that branches require."""
    guide = (ROOT / "docs/forges.md").read_text(encoding="utf-8")
    assert set(FORGES["github"].tasks) == set(
        re.findall(r"cxroute github ([\w-]+)", guide)
    )
    listed = re.search(r"Its outputs are (.*?)\.\s", guide, re.DOTALL)
    assert listed is not None
    assert set(read(ROOT / "action.yml")["outputs"]) == set(
        re.findall(r"`([\w-]+)`", listed.group(1))
    )
    assert set() == {
        name
        for name in (*WORKFLOW_FILES, "CXROUTE_ENVIRONMENTS", "CXROUTE_HEARTBEAT_URL")
        if name not in guide
    }
    assert "Routing plan" == read(OWN[0])["jobs"]["gate"]["name"]
    assert "require the check **Routing plan**" in " ".join(guide.split())


def tool(name: str, *arguments: object) -> str:
    """Run a linter of this Python's environment; return its findings."""
    command = [str(Path(sys.executable).with_name(name)), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.slow
def test_linters_accept_the_workflows(tmp_path: Path) -> None:
    """This project's and a user's: check-jsonschema accepts them, zizmor's auditor has no
    finding.
    """
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    for name, text in build_workflows(
        PipelineSettings(
            ACTION, "routing/manifests", ("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET")
        )
    ):
        (folder / name).write_text(text, encoding="utf-8")
    foreign_side = sorted(folder.iterdir())
    assert "" == tool(
        "check-jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
        *ALL[:-1],
        *foreign_side,
    )
    dependabot = ROOT / ".github/dependabot.yml"
    assert "" == tool(
        "check-jsonschema", "--builtin-schema", "vendor.dependabot", dependabot
    )
    assert "" == tool(
        "check-jsonschema",
        "--builtin-schema",
        "vendor.github-actions",
        ROOT / "action.yml",
    )
    assert "" == tool(
        "zizmor",
        "--quiet",
        "--offline",
        "--no-progress",
        "--persona=auditor",
        *ALL,
        dependabot,
        *foreign_side,
    )


def test_init_writes_manifests_and_workflows(cxroute: Program) -> None:
    """And prints the setup steps, in order."""
    assert 0 == cxroute("init", "--github", "--action", ACTION)
    for name, text in build_workflows(
        PipelineSettings(
            ACTION, "manifests", ("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET")
        )
    ):
        assert text == Path(".github/workflows", name).read_text(encoding="utf-8")
        assert f"wrote .github/workflows/{name}\n" in cxroute.out
    assert Path("manifests/routing.yaml").exists()
    message = [
        line.split(":")[0].strip()
        for line in cxroute.out.split("GitHub in this order")[1].splitlines()[1:5]
    ]
    assert [
        "1. manifests/environments/prod.yaml",
        "2. environment cxone-prod-plan",
        "3. environment cxone-prod",
        "4. variable CXROUTE_ENVIRONMENTS",
    ] == message
    assert 'variable CXROUTE_ENVIRONMENTS: ["prod"]' in cxroute.out
    assert "" == cxroute.err


def test_init_overwrites_nothing(cxroute: Program) -> None:
    """Existing manifests are read for the names of their credentials, and not changed."""
    form = "apiVersion: routing/v1\nkind: Environment\nname: live\nowner: acme\ntenant: acme\n"
    form += "credentials: {clientIdEnv: ACME_ID, clientSecretEnv: ACME_KEY}\n"
    retained = {
        "routing/rules/live.yaml": form,
        ".github/workflows/routing-apply.yml": "mine",
    }
    for name, text in retained.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    assert 0 == cxroute("init", "routing/rules", "--github", "--action", ACTION)
    assert retained == {
        name: Path(name).read_text(encoding="utf-8") for name in retained
    }
    assert ["routing/rules/live.yaml"] == [
        str(path) for path in Path("routing").rglob("*.*")
    ]
    assert "kept .github/workflows/routing-apply.yml, which was edited\n" in cxroute.out
    stored = Path(".github/workflows/routing-plan.yml").read_text(encoding="utf-8")
    assert "          ACME_KEY: ${{ secrets.ACME_KEY }}\n" in stored
    assert "-- 'routing/rules'" in stored
    assert 64 == cxroute("init", "routing/rules")


def test_init_without_a_tenant_names_the_first_step(cxroute: Program) -> None:
    """Without a tenant there is only the sandbox to plan for."""
    Path("manifests").mkdir()
    Path("manifests/none.yaml").write_text(
        "apiVersion: routing/v1\nkind: RuleSet\nname: a\nrules: []\n", "utf-8"
    )
    assert 0 == cxroute("init", "--github", "--action", ACTION)
    assert "add an Environment to the manifests" in cxroute.out
    assert "secrets.CXONE_CLIENT_SECRET" in Path(
        ".github/workflows/routing-plan.yml"
    ).read_text(encoding="utf-8")


def test_init_writes_nothing_if_it_cannot_write_workflows(cxroute: Program) -> None:
    """A folder elsewhere, an action that is not pinned."""
    assert 64 == cxroute("init", "../elsewhere", "--github", "--action", ACTION)
    assert 64 == cxroute("init", "--github", "--action", "acme/cxroute@main")
    assert "with a commit's full hash" in cxroute.err
    assert [] == list(Path.cwd().iterdir())


def test_installing_cxroute_is_the_first_step_of_each_workflow(
    cxroute: Program,
) -> None:
    """The workflows cannot run by mistake: that repository does not exist."""
    assert 0 == cxroute("init", "--github")
    assert UNKNOWN_ACTION in Path(".github/workflows/routing-plan.yml").read_text(
        encoding="utf-8"
    )
    step = re.search(
        rf"^  1\. replace {UNKNOWN_ACTION}.*: cxroute (.+)$", cxroute.out, re.MULTILINE
    )
    assert step is not None
    assert "" == cxroute.err
    assert 0 == cxroute(*step[1].replace("OWNER/cxroute@COMMIT", ACTION).split())
    for name, text in build_workflows(
        PipelineSettings(
            ACTION, "manifests", ("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET")
        )
    ):
        assert text == Path(".github/workflows", name).read_text(encoding="utf-8")
        assert f"rewrote .github/workflows/{name}\n" in cxroute.out
    assert "OWNER" not in cxroute.out


@pytest.mark.slow
def test_an_unedited_workflow_is_rewritten_and_keeps_its_install_step(
    cxroute: Program,
) -> None:
    """Other line ends and a commit that Dependabot set are not edits; a changed branch is."""
    assert 0 == cxroute("init", "--github", "--action", ACTION)
    newer = f"{ACTION.split('@')[0]}@{'b' * 40}"
    path = Path(".github/workflows/routing-plan.yml")
    edited = Path(".github/workflows/routing-apply.yml")
    path.write_text(
        path.read_text("utf-8").replace(ACTION, newer), "utf-8", newline="\r\n"
    )
    by_hand = edited.read_text("utf-8").replace("branches: [main]", "branches: [trunk]")
    edited.write_text(by_hand, "utf-8")
    form = Path("manifests/environments/prod.yaml")
    form.write_text(
        form.read_text("utf-8").replace("CXONE_CLIENT_ID", "ACME_ID"), "utf-8"
    )
    assert 0 == cxroute("init", "--github")
    stored = dict(
        build_workflows(
            PipelineSettings(newer, "manifests", ("ACME_ID", "CXONE_CLIENT_SECRET"))
        )
    )
    assert [by_hand, *(stored[item.name] for item in (path,))] == [
        item.read_text("utf-8") for item in (edited, path)
    ]
    assert f"kept {edited}, which was edited\n" in cxroute.out
    assert 0 == cxroute("init", "--github")
    assert f"unchanged {path}\n" in cxroute.out


def test_the_header_of_another_version_is_recognized() -> None:
    """A workflow with other words in its header is unedited if the digest is right."""
    _, text = next(build_workflows(PipelineSettings(ACTION, "manifests", ("ACME_ID",))))
    candidate = text.replace("which replaces it unless it was edited", "in other words")
    assert text != candidate
    assert not is_edited(candidate)
    assert is_edited(f"{candidate}# edited\n")


def test_an_option_of_init_without_effect_is_an_error(cxroute: Program) -> None:
    """Each message has the reason, and no file is written."""
    assert 64 == cxroute("init", "--action", ACTION)
    assert "--action has no effect without --github" in cxroute.err
    assert 64 == cxroute("-m", "rules", "init", "routing")
    assert "-m rules has no effect with routing" in cxroute.err
    assert [] == list(Path.cwd().iterdir())
    for name in WORKFLOW_FILES:
        Path(".github/workflows").mkdir(parents=True, exist_ok=True)
        Path(".github/workflows", name).write_text("mine", encoding="utf-8")
    assert 64 == cxroute("init", "--github", "--action", ACTION)
    assert f"Put `uses: {ACTION}` there, or delete the files" in cxroute.err
    assert [Path(".github")] == [
        path.relative_to(Path.cwd()) for path in Path.cwd().iterdir()
    ]


@each_case(
    "noted, expected",
    [
        (
            {
                "url": "https://github.com/acme/cxroute.git",
                "vcs_info": {"commit_id": "a" * 40},
            },
            f"acme/cxroute@{'a' * 40}",
        ),
        (
            {
                "url": "https://github.com/acme/cxroute",
                "vcs_info": {"commit_id": "a" * 40},
            },
            f"acme/cxroute@{'a' * 40}",
        ),
        (
            {
                "url": "https://git.example/acme/cxroute",
                "vcs_info": {"commit_id": "a" * 40},
            },
            None,
        ),
        ({"url": "file:///home/anna/cxroute", "dir_info": {"editable": True}}, None),
        ({}, None),
    ],
)
def test_workflows_install_cxroute_from_pip_s_source(
    noted: dict[str, Any], expected: str | None
) -> None:
    """The same commit as the installed one."""
    assert expected == action_of(noted)


@each_case(
    "setting",
    [
        PipelineSettings("acme/cxroute@v1", "manifests", ("A",)),
        PipelineSettings("acme/cxroute", "manifests", ("A",)),
        PipelineSettings(f"acme/cxroute@{'a' * 39}", "manifests", ("A",)),
        PipelineSettings(f"acme/cxroute@{'a' * 40}\nx", "manifests", ("A",)),
        PipelineSettings(f"./..@{'a' * 40}", "manifests", ("A",)),
        PipelineSettings(ACTION, "../manifests", ("A",)),
        PipelineSettings(ACTION, "/manifests", ("A",)),
        PipelineSettings(ACTION, "mani fests", ("A",)),
        PipelineSettings(ACTION, "$(id)", ("A",)),
        PipelineSettings(ACTION, "-x", ("A",)),
        PipelineSettings(ACTION, "manifests", ("GITHUB_TOKEN",)),
        PipelineSettings(ACTION, "manifests", ("a-b",)),
    ],
)
def test_ambiguous_settings_of_workflows_are_refused(setting: PipelineSettings) -> None:
    """Tags that can be moved, folders elsewhere, names that a secret cannot have."""
    with pytest.raises(UsageError):
        tuple(build_workflows(setting))


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (timedelta(seconds=30), "3-59/5 * * * *"),
        (timedelta(minutes=10), "3-59/10 * * * *"),
        (timedelta(minutes=14), "3-59/12 * * * *"),
        (timedelta(minutes=59), "3-59/30 * * * *"),
        (timedelta(hours=1), "3 * * * *"),
        (timedelta(hours=7), "3 */6 * * *"),
        (timedelta(days=9), "3 0 * * *"),
    ],
)
def test_a_schedule_runs_as_often_as_the_environment_says(
    every: timedelta, expected: str
) -> None:
    """Or more often, where a forge has no such interval; never more than every five minutes."""
    assert expected == cron_of(every)


def test_only_an_environment_with_a_schedule_gets_runs_at_dates(
    cxroute: Program,
) -> None:
    """The file is written for it, and to be deleted when the schedule is gone."""
    dated = ENVIRONMENT_OF.format("prod", "schedule: {every: 30m}\n") + "---\n"
    write("m.yaml", dated + ENVIRONMENT_OF.format("test", ""))
    assert 0 == cxroute("init", "--github", "--action", ACTION)
    text = Path(".github/workflows/routing-dates.yml").read_text("utf-8")
    assert ["prod"] == yaml.safe_load(text)["jobs"]["dates"]["strategy"]["matrix"][
        "environment"
    ]
    assert 'cron: "3-59/30 * * * *"' in text
    assert "environment cxone-prod-dates" in cxroute.out
    assert "cxone-test-dates" not in cxroute.out

    write("m.yaml", ENVIRONMENT_OF.format("prod", ""))
    assert 0 == cxroute("init", "--github")
    assert "delete .github/workflows/routing-dates.yml" in cxroute.out


ENVIRONMENT_OF = """\
apiVersion: routing/v1
kind: Environment
name: {0}
owner: acme
tenant: acme-{0}
{1}"""
