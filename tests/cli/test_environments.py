"""Several environments in one process: one failure does not stop the others; one report; the worst
exit code.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pty
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import environments as several
from reconciler.cli.environments import (
    EnvironmentResult,
    EnvironmentSelection,
    run_list,
    worst_exit_code,
)
from reconciler.cli.output import Output
from reconciler.cli.session import Cancellation, Session
from reconciler.core import pipeline
from reconciler.core.apply import loop as apply
from reconciler.core.errors import ApiError
from reconciler.core.plan.changes import find_changes as planning
from reconciler.core.plan.guards import check_guards
from reconciler.core.plan.schedule import schedule_steps
from reconciler.render.text.environments import EnvironmentRow
from tests.crash.gate import Gate, wait_until_heard
from tests.support import canary_secrets as canary
from tests.support.cases import each_case
from tests.support.command import Command, run_command
from tests.support.many_tenants import (
    ONE_BY_ONE,
    Tenants,
    environment,
    rule,
    ruleset,
    tenants,
)
from tests.support.program import Program, write

ROOT = Path(__file__).resolve().parents[2]
TWO = [rule("lost"), rule("stolen", "Fraud")]
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def three(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenants]:
    """Yield the tenants of three environments, with two rules for each."""
    del elsewhere
    monkeypatch.setenv("CXONE_CLIENT_ID", canary.CLIENT)
    monkeypatch.delenv("CXROUTE_PROXY")
    with tenants("prod-apac", "prod-emea", "prod-us") as here:
        here.manifests()
        ruleset(TWO)
        yield here


def rows(table: str) -> dict[str, list[str]]:
    """Return the lines of the table at the head of a report: the cells by environment."""
    lines = table.split("\n\n")[1].splitlines()[1:]
    return {
        cells[0]: cells[1:]
        for cells in (re.split(r"\s{2,}", line.strip()) for line in lines)
    }


def without_time(plan: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in plan.items() if name != "generatedAt"}


def test_a_failed_route_test_concerns_one_environment(
    three: Tenants, cxroute: Program
) -> None:
    """Its plan is shown and refused in the table.

    The plans are saved, exit 3; apply does not change it.
    """
    write(
        "tests.yaml",
        "apiVersion: routing/v1\nkind: RouteTests\nname: t\ntests:\n"
        "- {given: {intent: lost, confidence: 0.9}, expect: {queue: '${lost}'}}\n",
    )
    right = "vars: {lost: Cards}"
    wrong = "vars: {lost: General}"
    three.manifests(prod_apac=wrong, prod_emea=right, prod_us=right)
    assert 3 == cxroute("plan", "--all", "--out", "plans.json", "--detailed-exitcode")
    assert (
        "1 route test fails: apply will refuse this plan"
        == rows(cxroute.out)["prod-apac"][-1]
    )
    assert (
        cxroute.out.index("Plan for prod-apac")
        < cxroute.out.index("[CXR220]")
        < cxroute.out.index("+ cards/")
    )
    saved = json.loads(Path("plans.json").read_text("utf-8"))["environments"]
    assert [1, 0, 0] == [
        sum(item["severity"] == "error" for item in plan["findings"]) for plan in saved
    ]
    assert 3 == cxroute("apply", "plans.json", "--yes")
    assert [0, 2, 2] == [
        len(three.rules(name)) for name in ("prod-apac", "prod-emea", "prod-us")
    ]


def test_plans_are_below_one_table(three: Tenants, cxroute: Program) -> None:
    """A row for each environment, by name; then each plan with changes, as the command prints it
    alone.
    """
    assert 0 == cxroute("apply", "-e", "prod-us", "--yes")
    assert 2 == cxroute("plan", "--all", "--detailed-exitcode")
    assert cxroute.out.startswith(
        "Plan for 3 environments: 2 with changes, 1 with nothing to do\n"
    )
    assert {
        "prod-apac": ["2 create", "2 effects"],
        "prod-emea": ["2 create", "2 effects"],
        "prod-us": ["none", "none", "nothing to do"],
    } == rows(cxroute.out)
    several_said = cxroute.out
    assert "Plan for prod-us" not in several_said
    for name in ("prod-apac", "prod-emea"):
        assert 0 == cxroute("plan", "-e", name)
        alone = cxroute.out.partition("To apply: ")[0]
        assert alone in several_said
    assert several_said.endswith(
        "\nNothing was changed. To apply these: cxroute apply --all\n"
    )
    assert 0 == three.writes("prod-apac")


def test_json_contains_the_document_of_each_environment(
    three: Tenants, cxroute: Program
) -> None:
    """`{"environments": [plan, ...]}` (plan-json "Several environments"), in the order of -e."""
    del three
    code, form = cxroute.json("plan", "-e", "prod-us,prod-apac,prod-us")
    assert (0, ["prod-us", "prod-apac"]) == (
        code,
        [plan["environment"] for plan in form["environments"]],
    )
    for plan in form["environments"]:
        _, alone = cxroute.json("plan", "-e", plan["environment"])
        assert without_time(alone) == without_time(plan)
    assert ["environments"] == list(form)


def test_all_is_every_environment_except_the_sandbox(
    three: Tenants, cxroute: Program
) -> None:
    """The sandbox is not a tenant.

    If -e names it, it is planned with the others and marked as simulated.
    """
    del three
    write(
        "sandbox.yaml",
        "apiVersion: routing/v1\nkind: Environment\nname: sandbox\nowner: acme\n",
    )
    _, form = cxroute.json("plan", "--all")
    assert ["prod-apac", "prod-emea", "prod-us"] == [
        plan["environment"] for plan in form["environments"]
    ]
    assert 0 == cxroute("plan", "-e", "sandbox,prod-us")
    simulated = "Simulated: no tenant was contacted.\nPlan for sandbox\n"
    assert simulated in cxroute.out
    assert 1 == cxroute.out.count("Simulated: no tenant")


def test_the_variable_may_list_several(
    three: Tenants, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`$CXROUTE_ENV` has the meaning of -e. A command that takes one environment refuses a list."""
    del three
    monkeypatch.setenv("CXROUTE_ENV", "prod-emea, prod-us")
    _, form = cxroute.json("drift")
    assert ["prod-emea", "prod-us"] == [
        plan["environment"] for plan in form["environments"]
    ]
    assert 64 == cxroute("explain", "--intent", "lost")
    assert "takes one environment" in cxroute.err


def test_a_failure_does_not_stop_the_others(three: Tenants, cxroute: Program) -> None:
    """It has its row, its error on stderr, and in JSON its position among the plans; exit 1."""
    three.manifests(
        prod_us="credentials: {clientIdEnv: NO_ONE, clientSecretEnv: NO_ONE_EITHER}"
    )
    assert 1 == cxroute("apply", "--all", "--yes")
    assert cxroute.out.startswith("Apply to 3 environments: 2 applied, 1 failed\n")
    assert ["2 create", "2 effects", "applied 2 of 2"] == rows(cxroute.out)["prod-emea"]
    assert [
        "failed: no credentials: set NO_ONE, or NO_ONE_FILE to the path of a..."
    ] == rows(cxroute.out)["prod-us"]
    assert (
        "error: prod-us: no credentials: set NO_ONE, or NO_ONE_FILE to the path"
        in cxroute.err
    )
    assert [["lost", "stolen"]] * 2 + [[]] == [
        three.names_of_rules(name) for name in three.urls
    ]
    code, form = cxroute.json("drift", "--all")
    assert 1 == code
    assert ["Credentials", 1] == [
        form["environments"][2]["error"][name] for name in ("kind", "exitCode")
    ]
    assert "prod-us" == form["environments"][2]["environment"]
    assert [2, 2] == [plan["summary"]["unchanged"] for plan in form["environments"][:2]]


def test_an_error_in_one_environment_is_reported_for_it(
    three: Tenants, cxroute: Program
) -> None:
    """One tenant lacks a queue: exit 3 with the place in the manifests, and the others are
    planned.
    """
    three.states["prod-emea"].queues.pop()
    ruleset([*TWO, rule("other", "General")])
    assert 3 == cxroute("plan", "--all")
    assert ["failed: 1 error in the manifests"] == rows(cxroute.out)["prod-emea"]
    assert (
        "error: prod-emea: 1 error in the manifests:\nmanifests/cards.yaml:7:"
        in cxroute.err
    )
    assert ["3 create", "3 effects"] == rows(cxroute.out)["prod-us"]


def test_invalid_manifests_stop_every_environment(
    three: Tenants, cxroute: Program
) -> None:
    """They are read once, for all environments."""
    write("wrong.yaml", "apiVersion: routing/v1\nkind: RuleSet\nname: x\nrules: 7\n")
    assert 3 == cxroute("plan", "--all")
    assert "" == cxroute.out
    assert [0] * 3 == [len(state.requests) for state in three.states.values()]


CODES = [
    ([], 0),
    ([0, 0], 0),
    ([0, 2], 2),
    ([2, 3], 3),
    ([3, 4, 2], 4),
    ([4, 5], 5),
    ([5, 1, 0], 1),
    ([64, 1], 64),
    ([0, 130, 1], 130),
]


@each_case("codes, expected", CODES)
def test_the_exit_code_is_the_worst(codes: list[int], expected: int) -> None:
    """In this order: unknown results, partly applied changes, refusals, pending changes."""
    assert expected == worst_exit_code(codes)


def test_each_environment_has_its_own_guards(three: Tenants, cxroute: Program) -> None:
    """One is refused, with the command that lifts its guard. The others are applied; exit 4."""
    assert 0 == cxroute("apply", "--all", "--yes")
    three.manifests(prod_emea="guard: {protected: [cards/lost]}")
    ruleset([rule("lost", "General"), rule("stolen", "Fraud")])
    assert 0 == cxroute("plan", "--all")
    assert ["1 update", "1 effect", "apply will refuse this: protected"] == rows(
        cxroute.out
    )["prod-emea"]
    assert 'cxroute apply -e prod-emea --allow protected --reason "why"' in cxroute.out
    assert 4 == cxroute("plan", "--all", "--fail-on-guards")
    assert 4 == cxroute("apply", "--all", "--yes")
    assert cxroute.out.startswith("Apply to 3 environments: 2 applied, 1 refused\n")
    assert "q-Cards" in str(three.rules("prod-emea"))
    assert "q-Cards" not in str(three.rules("prod-us"))


def test_a_saved_plan_binds_each_environment(three: Tenants, cxroute: Program) -> None:
    """An environment that changed since is refused. The others are applied as reviewed."""
    assert 0 == cxroute("plan", "--all", "--out", "plans.json")
    assert cxroute.out.endswith(
        "To apply exactly these plans: cxroute apply plans.json\n"
    )
    form = json.loads(Path("plans.json").read_text(encoding="utf-8"))
    assert ["prod-apac", "prod-emea", "prod-us"] == [
        plan["environment"] for plan in form["environments"]
    ]
    assert 0 == cxroute("apply", "-e", "prod-us", "--yes")
    removed = next(
        rule["id"] for rule in three.rules("prod-us") if rule["name"].endswith("lost")
    )
    three.states["prod-us"].remove(removed)
    ruleset([*TWO, rule("new")])
    assert 0 == cxroute("plan", "-e", "prod-us", "--out", "one.json")
    ruleset([rule("lost", "General"), *TWO[1:]])
    assert 4 == cxroute("apply", "plans.json", "--yes")
    assert [[], [], ["stolen"]] == [three.names_of_rules(name) for name in three.urls]
    ruleset(TWO)
    assert 0 == cxroute("apply", "plans.json", "--yes")
    assert [["lost", "stolen"]] * 3 == [
        three.names_of_rules(name) for name in three.urls
    ]


def test_some_of_the_saved_plans_can_be_applied(
    three: Tenants, cxroute: Program
) -> None:
    """-e and --shard select plans of the file."""
    assert 0 == cxroute("plan", "--all", "--out", "plans.json")
    assert 0 == cxroute("apply", "plans.json", "-e", "prod-us", "--yes")
    assert [[], [], ["lost", "stolen"]] == [
        three.names_of_rules(name) for name in three.urls
    ]
    assert 64 == cxroute("apply", "plans.json", "-e", "prod-xx", "--yes")
    assert (
        "does not contain prod-xx; it contains prod-apac, prod-emea, prod-us"
        in cxroute.err
    )
    for index in range(2):
        assert 0 == cxroute("apply", "plans.json", "--shard", f"{index}/2", "--yes")
    assert [["lost", "stolen"]] * 3 == [
        three.names_of_rules(name) for name in three.urls
    ]


def test_a_failed_plan_is_not_applied(three: Tenants, cxroute: Program) -> None:
    """The file contains the reason. An apply refuses that environment and applies the others."""
    three.manifests(prod_us="credentials: {clientIdEnv: NOBODY}")
    assert 1 == cxroute("plan", "--all", "--out", "plans.json")
    three.manifests()
    assert 4 == cxroute("apply", "plans.json", "--yes")
    assert (
        "prod-us: the saved plan does not contain this environment, which failed (no credentials"
        in cxroute.err
    )
    assert [["lost", "stolen"]] * 2 + [[]] == [
        three.names_of_rules(name) for name in three.urls
    ]


WRONG_FILES = [
    '{"environments": []}',
    '{"environments": 7}',
    '{"environments": [{}]}',
    '{"environments": [',
    "{}",
]


@each_case("text", WRONG_FILES)
def test_a_file_without_plans_is_a_usage_error(cxroute: Program, text: str) -> None:
    """For every kind of invalid file."""
    Path("plans.json").write_text(text, encoding="utf-8")
    assert 64 == cxroute("apply", "plans.json", "--yes")
    assert "plans.json" in cxroute.err
    assert 1 == len(cxroute.err.splitlines())


def test_duplicate_plans_of_an_environment_are_refused(
    three: Tenants, cxroute: Program
) -> None:
    """Otherwise the second plan would replace the first, which may be the reviewed one."""
    del three
    assert 0 == cxroute("plan", "--all", "--out", "plans.json")
    form = json.loads(Path("plans.json").read_text(encoding="utf-8"))
    form["environments"].append(form["environments"][0])
    Path("plans.json").write_text(json.dumps(form), encoding="utf-8")
    assert 64 == cxroute("apply", "plans.json", "--yes")
    form["environments"][-1] = {
        **form["environments"].pop(),
        "environment": "prod-other",
    }
    Path("plans.json").write_text(json.dumps(form), encoding="utf-8")
    assert 4 == cxroute("apply", "plans.json", "--yes")
    assert "was changed after it was created" in cxroute.err


def test_nothing_is_written_without_confirmation(
    three: Tenants, cxroute: Program
) -> None:
    """Every plan is shown, and the command with --yes; in JSON as an error next to the plans."""
    assert 4 == cxroute("apply", "--all")
    assert cxroute.out.startswith("Plan for 3 environments: 3 with changes\n")
    assert (
        "error: cannot ask for confirmation here; nothing was written\n" in cxroute.err
    )
    assert cxroute.err.endswith("To apply these: cxroute apply --all --yes\n")
    code, form = cxroute.json("apply", "-e", "prod-us,prod-emea")
    assert (4, "Refused") == (code, form["error"]["kind"])
    assert [([], False)] * 2 == [
        (plan["outcomes"], plan["converged"]) for plan in form["environments"]
    ]
    assert [0, 0, 0] == [three.writes(name) for name in three.urls]
    assert 0 == cxroute("apply", "--all", "--yes")
    assert 0 == cxroute("apply", "--all")
    code, form = cxroute.json("apply", "--all")
    assert (0, [True] * 3) == (
        code,
        [plan["converged"] for plan in form["environments"]],
    )


def typed(answer: str, *arguments: str) -> tuple[int, str]:
    """Run the command on a terminal and answer its question; return the exit code and the
    output.
    """
    here, present = pty.openpty()
    variables = {**os.environ, "TERM": "dumb"}
    with Command(
        *arguments, stdin=present, stdout=present, stderr=present, env=variables
    ) as process:
        os.close(present)
        printed = ""
        while True:
            try:
                part = os.read(here, 65536).decode()
            except OSError:
                break
            if "to continue" in part:
                os.write(here, answer.encode())
            printed += part
    os.close(here)
    return process.returncode, printed.replace("\r\n", "\n")


def test_one_confirmation_is_for_all_environments(three: Tenants) -> None:
    """The answer is the number of environments, which the user must have read.

    Then the displayed plans are applied.
    """
    code, printed = typed("2\n", "apply", "--all")
    assert (4, 1) == (code, printed.count("to continue"))
    assert (
        "Apply this to 3 environments? Type the number of environments, 3, to continue: "
        in printed
    )
    assert "that is not the number of environments; nothing was written" in printed
    assert [0, 0, 0] == [three.writes(name) for name in three.urls]
    code, printed = typed("3\n", "apply", "--all")
    assert 0 == code
    requested, _, became = printed.partition("to continue: ")
    assert "Apply to 3 environments: 3 applied" in became
    assert 1 == requested.count("Plan for prod-us ")
    assert 0 == became.count("Plan for prod-us ")
    assert "prod-us:\n" in became
    assert [["lost", "stolen"]] * 3 == [
        three.names_of_rules(name) for name in three.urls
    ]


def test_the_journal_has_a_run_for_each_environment(
    three: Tenants, cxroute: Program
) -> None:
    """In one file, each entry names its run."""
    del three
    assert 0 == cxroute("apply", "--all", "--yes", "--reason", "CHG-7")
    entries = [
        json.loads(line)
        for line in Path(".cxroute/journal.jsonl")
        .read_text(encoding="utf-8")
        .splitlines()
    ]
    starts = {
        entry["run"]: entry["environment"]
        for entry in entries
        if entry["event"] == "start"
    }
    assert {"prod-apac", "prod-emea", "prod-us"} == set(starts.values())
    assert set(starts) == {entry["run"] for entry in entries}
    ends = [
        (entry["converged"], starts[entry["run"]])
        for entry in entries
        if entry["event"] == "end"
    ]
    assert [(True, name) for name in sorted(starts.values())] == sorted(ends)
    assert 0 == cxroute("history")
    assert 3 == cxroute.out.count("2 of 2 changes applied")


@pytest.mark.slow
def test_each_environment_has_a_report_folder(three: Tenants, cxroute: Program) -> None:
    """With the files of --report for one environment, which `cxroute github` reads; and the
    table.
    """
    three.manifests(prod_us="credentials: {clientIdEnv: NOBODY}")
    assert 1 == cxroute("plan", "--all", "--report", "out")
    actual = sorted(str(path.relative_to("out")) for path in Path("out").rglob("*.*"))
    files = ("explore.html", "plan.html", "plan.json", "plan.md")
    each = [f"{name}/{file}" for name in ("prod-apac", "prod-emea") for file in files]
    assert ["environments.md", *each, "prod-us/error.json"] == actual
    table = Path("out/environments.md").read_text(encoding="utf-8")
    assert "| `prod-emea` | 2 create | 2 effects |  |" in table
    assert 1 == cxroute("drift", "--all", "--report", "drift")
    assert {"drift.json", "drift.md"} == {
        path.name for path in Path("drift/prod-emea").iterdir()
    }
    assert (
        "prod-emea"
        == json.loads(Path("drift/prod-emea/drift.json").read_text(encoding="utf-8"))[
            "environment"
        ]
    )


def test_a_report_that_cannot_be_written_is_one_error(
    three: Tenants, cxroute: Program
) -> None:
    """In JSON it is the only document: nothing was printed before."""
    del three
    for option in ("--out", "--report"):
        code, form = cxroute.json(
            "plan", "--all", option, "manifests/cards.yaml/nowhere"
        )
        assert 1 == code
        first = form["error"] if "error" in form else form["environments"][0]["error"]
        assert "manifests/cards.yaml" in first["message"]


def test_the_webhook_receives_each_result(three: Tenants, cxroute: Program) -> None:
    """As after an apply to one environment, with that environment's own settings."""
    three.manifests(prod_us="notify: {urlEnv: NOWHERE_TO_TELL}")
    assert 0 == cxroute("apply", "--all", "--yes")
    assert 1 == cxroute.err.count("prod-us: no notification was sent: ")
    assert 1 == cxroute.err.count("no notification was sent")


@pytest.mark.slow
def test_other_formats_have_the_same_content(three: Tenants, cxroute: Program) -> None:
    """Markdown below the table; the workflow log with the annotations of each; HTML only for one
    environment.
    """
    del three
    assert 0 == cxroute("plan", "--all", "--format", "markdown")
    assert cxroute.out.startswith(
        "### Plan for 3 environments: 3 with changes\n\n| Environment |"
    )
    assert 3 == cxroute.out.count("### Routing plan for")
    assert 0 == cxroute("plan", "--all", "--format", "github")
    assert "Plan for 3 environments: 3 with changes" in cxroute.out
    assert 3 == cxroute.out.count("::notice title=Plan for prod-")
    assert 64 == cxroute("plan", "--all", "--format", "html")
    assert "use --report DIR for one page per environment" in cxroute.err
    assert 2 == cxroute("drift", "--all", "--format", "markdown")
    assert cxroute.out.startswith("### Drift in 3 environments: 3 with changes\n")


USAGE = [
    (("plan", "--all", "-e", "prod-us"), "specify --all or -e, not both"),
    (("plan", "-e", "prod-us,,prod-emea"), "empty environment name"),
    (("plan", "-e", ","), "empty environment name"),
    (("plan", "-e", "prod-us,prod-emae"), "no Environment is named 'prod-emae'"),
    (("apply", "one.json", "--all"), "is a plan for prod-us only"),
    (
        ("plan", "--all", "--undo", "2026-11-25T120000-prod-us-0000"),
        "set -e to its name",
    ),
    (
        ("explain", "-e", "prod-us", "-e", "prod-emea", "--intent", "x"),
        "takes one environment",
    ),
]


@each_case("arguments, said", USAGE)
def test_contradictory_options_are_a_usage_error(
    three: Tenants, cxroute: Program, arguments: tuple[str, ...], said: str
) -> None:
    """Exit 64, before anything is read."""
    assert 0 == cxroute("plan", "-e", "prod-us", "--out", "one.json")
    observed = [len(state.requests) for state in three.states.values()]
    assert 64 == cxroute(*arguments)
    assert said in cxroute.err
    assert observed == [len(state.requests) for state in three.states.values()]


def test_all_without_environments_is_a_usage_error(cxroute: Program) -> None:
    """The manifests define only the sandbox, which is not a tenant."""
    Path("manifests").mkdir()
    ruleset(TWO)
    assert 64 == cxroute("plan", "--all")
    assert "no Environment except the sandbox" in cxroute.err


def test_environments_of_one_host_take_turns(three: Tenants, cxroute: Program) -> None:
    """They are one tenant with two owners, and its rate limit is for all clients."""
    url = three.urls["prod-us"]
    documents = [environment(f"owner-{n}", url, owner=f"owner-{n}") for n in range(4)]
    ruleset([{**rule("lost"), "name": "${name}"}])
    write(
        "environments.yaml",
        "---\n".join(
            f"{document}vars: {{name: R{n}}}\n" for n, document in enumerate(documents)
        ),
    )
    assert 0 == cxroute("apply", "--all", "--yes")
    tokens = [
        request.headers.get("authorization", "")
        for request in three.states["prod-us"].requests
    ]
    turns = [
        token
        for before, token in zip(["", *tokens], tokens, strict=False)
        if token != before
    ]
    assert (
        4
        == len({turn for turn in turns if turn})
        == len([turn for turn in turns if turn])
    )
    assert ["R0", "R1", "R2", "R3"] == three.names_of_rules("prod-us")


def test_a_tenant_does_not_expose_the_secret_of_a_later_one(
    three: Tenants, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule of the first tenant contains the other's secret: no output shows it, and no plan is
    saved.
    """
    monkeypatch.setenv("LATER_SECRET", canary.PASSWORD)
    url = three.urls["prod-us"]
    later = "credentials: {clientSecretEnv: LATER_SECRET}"
    write(
        "environments.yaml",
        "---\n".join(
            [environment("a", url), environment("b", url, later, owner="later")]
        ),
    )
    ruleset([rule("lost", environments=["a"])])
    assert 0 == cxroute("apply", "-e", "a", "--yes")
    lost = three.rules("prod-us")[0]
    three.states["prod-us"].edit(lost["id"], name=canary.PASSWORD)
    # In a separate process: this one knows the secret from other tests.
    command = ("plan", "--all", "--format", "json")
    printed = run_command(*command)
    assert (0, "") == (printed.returncode, printed.stderr)
    assert (
        "[secret]"
        == json.loads(printed.stdout)["environments"][0]["changes"][0]["before"]["name"]
    )
    for option in (["--out", "plans.json"], ["--report", "out"]):
        saved = run_command(*command, *option)
        assert 4 == saved.returncode
        refused, _ = json.loads(saved.stdout)["environments"]
        assert "a secret of this run" in refused["error"]["message"]


def fleet(names: list[str]) -> EnvironmentSelection:
    """Write environments with different hosts, none of which answers."""
    for number, name in enumerate(names):
        write(f"{name}.yaml", environment(name, f"{NOWHERE}{number}"))
    options = argparse.Namespace(
        manifests="manifests", all=True, shard=None, environment=None
    )
    return EnvironmentSelection.of(
        options,
        Output(
            colour="never", loudness="quiet", log_format="text", form="text", asks=False
        ),
    )


def test_concurrency_is_limited(elsewhere: Path) -> None:
    """Each environment gets its turn.

    The report is in the order of the names, independent of which finishes first.
    """
    del elsewhere
    now = 0
    most = 0

    async def work(session: Session, _stop: Cancellation) -> EnvironmentResult:
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        for _ in range(ord(session.environment.name[-1]) % 5):
            await asyncio.sleep(0)
        now -= 1
        return EnvironmentResult(
            code=0,
            row=EnvironmentRow(
                environment=session.environment.name,
                changes="",
                impact="",
                status="same",
            ),
        )

    names = [f"t{n:02}" for n in range(40)]
    output = asyncio.run(run_list(fleet(names), work, Cancellation()))
    assert (several.AT_ONCE, names) == (most, [item.row.environment for item in output])


def test_a_bug_in_one_environment_does_not_stop_the_others(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program continues with the other environments."""
    del elsewhere

    async def work(session: Session, _stop: Cancellation) -> EnvironmentResult:
        match session.environment.name:
            case "a":
                raise ZeroDivisionError("of a")
            case "b":
                raise ApiError("of b")
            case name:
                return EnvironmentResult(
                    code=0,
                    row=EnvironmentRow(
                        environment=name, changes="", impact="", status="same"
                    ),
                )

    output = asyncio.run(run_list(fleet(["a", "b", "c"]), work, Cancellation()))
    assert ["failed", "failed", "same"] == [item.row.status for item in output]
    assert [1, 1, 0] == [item.code for item in output]
    assert (
        "error: a: this is a bug in cxroute (ZeroDivisionError: of a)"
        in capsys.readouterr().err
    )


def test_planning_does_not_block_the_event_loop(
    three: Tenants, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the plan of a large tenant nor a plan that apply repeats delays the responses of
    another tenant.
    """
    actual: set[str] = set()

    def beside(work: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            actual.add(
                f"{work.__name__} {threading.current_thread() is threading.main_thread()}"
            )
            return work(*arguments)

        return noted

    monkeypatch.setattr(pipeline, "find_changes", beside(planning))
    monkeypatch.setattr(pipeline, "check_guards", beside(check_guards))
    for module in (pipeline, apply):
        monkeypatch.setattr(module, "schedule_steps", beside(schedule_steps))
    assert 0 == cxroute("apply", "--all", "--yes")
    assert (
        2,
        {"find_changes False", "check_guards False", "schedule_steps False"},
    ) == (
        len(three.rules("prod-us")),
        actual,
    )


def test_after_a_signal_no_environment_starts_to_write(three: Tenants) -> None:
    """The write in progress is finished and reported, also in the journal; exit 130, and the next
    run does the rest.
    """
    ruleset([rule(f"r{n}") for n in range(9)])
    three.manifests(ONE_BY_ONE)
    three.apps["prod-apac"] = gate = Gate(three.apps["prod-apac"], 3, of="writes")
    three.apps["prod-emea"] = stored_values = Gate(three.apps["prod-emea"], 2)
    command = ("apply", "-e", "prod-apac,prod-emea", "--yes", "--format", "json")
    with Command(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        gate.wait()
        stored_values.wait()
        process.terminate()
        wait_until_heard(process.pid)
        gate.open()
        stored_values.open()
        out, err = process.communicate(timeout=60)
    assert 130 == process.returncode
    assert all(b": waiting for " in line for line in err.splitlines()), err
    apac, emea = json.loads(out)["environments"]
    statuses = [outcome["status"] for outcome in apac["outcomes"]]
    assert (3, 6) == (statuses.count("applied"), statuses.count("skipped"))
    assert "interrupted; nothing was written" == emea["error"]["message"]
    assert (3, 0) == (len(three.rules("prod-apac")), three.writes("prod-emea"))


def test_drift_of_several_has_a_row_for_each_environment(
    three: Tenants, cxroute: Program
) -> None:
    """With missing rules, rules in the way, or no drift; then each report, with -q in brief."""
    assert 0 == cxroute("apply", "--all", "--yes")
    emea = three.states["prod-emea"]
    us = three.states["prod-us"]
    emea.remove(
        next(rule["id"] for rule in emea.rules() if rule["name"].endswith("lost"))
    )
    hand = next(rule for rule in us.rules() if rule["name"].endswith("lost"))
    us.put(
        {
            **hand,
            "id": "by-hand",
            "name": "by hand",
            "description": "",
            "priority": 1,
            "conditions": [],
        }
    )
    assert 2 == cxroute("drift", "--all")
    assert cxroute.out.startswith(
        "Drift in 3 environments: 2 with changes, 1 with nothing to do\n"
    )
    assert {
        "prod-apac": ["none", "none", "nothing to do"],
        "prod-emea": ["1 rule missing in CXone", "1 effect"],
        "prod-us": ["1 rule in the way", "1 effect"],
    } == rows(cxroute.out)
    assert 'In the way: "by hand" (not managed' in cxroute.out
    assert "\nMissing in CXone: cards/lost (deleted in CXone since " in cxroute.out
    assert 2 == cxroute("drift", "--all", "-q")
    assert "prod-us: 1 rule in the way.\n" in cxroute.out
    code, form = cxroute.json("drift", "--all")
    causes = [
        [item["cause"] for item in plan["changes"]] for plan in form["environments"]
    ]
    assert (2, [[], ["missing"], ["unmanaged"]]) == (code, causes)
