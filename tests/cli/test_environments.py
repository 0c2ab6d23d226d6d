"""Several environments in one process: one fails and the others go on, one report, the worst exit code."""

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

from reconciler import pipeline
from reconciler.apply import loop as apply
from reconciler.cli.environments import run as several
from reconciler.cli.environments.run import EnvironmentResult, run_list, worst_exit_code
from reconciler.cli.environments.selection import EnvironmentSelection
from reconciler.cli.output import Output
from reconciler.cli.session import Session
from reconciler.cli.signals import Cancellation
from reconciler.errors import ApiError
from reconciler.plan.guards import check_guards
from reconciler.plan.plan import draft_plan as planning
from reconciler.plan.schedule import schedule_steps
from reconciler.render.text.environments import EnvironmentRow
from tests.crash.gate import Gate, wait_until_heard
from tests.support import canary_secrets as canary
from tests.support.command import Command, run_command
from tests.support.many_tenants import ONE_BY_ONE, Tenants, environment, rule, ruleset, tenants
from tests.support.program import Program, write

ROOT = Path(__file__).resolve().parents[2]
TWO = [rule("lost"), rule("stolen", "Fraud")]
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def three(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenants]:
    """Tenants of three environments, and two rules for each of them."""
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
    return {cells[0]: cells[1:] for cells in (re.split(r"\s{2,}", line.strip()) for line in lines)}


def without_time(plan: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in plan.items() if name != "generatedAt"}


def test_a_failing_route_test_is_one_environments_own(three: Tenants, cxroute: Program) -> None:
    """Its plan is shown, and refused in the table; the plans are saved, exit 3, and apply leaves it as it is."""
    write(
        "tests.yaml",
        "apiVersion: routing/v1\nkind: RouteTests\nname: t\ntests:\n"
        "- {given: {intent: lost, confidence: 0.9}, expect: {queue: '${lost}'}}\n",
    )
    right, wrong = "vars: {lost: Cards}", "vars: {lost: General}"
    three.manifests(prod_apac=wrong, prod_emea=right, prod_us=right)
    assert 3 == cxroute("plan", "--all", "--out", "plans.json", "--detailed-exitcode")
    assert "1 route test fails: apply will refuse this plan" == rows(cxroute.out)["prod-apac"][-1]
    assert cxroute.out.index("Plan for prod-apac") < cxroute.out.index("[CXR220]") < cxroute.out.index("+ cards/")
    saved = json.loads(Path("plans.json").read_text("utf-8"))["environments"]
    assert [1, 0, 0] == [sum(one["severity"] == "error" for one in plan["findings"]) for plan in saved]
    assert 3 == cxroute("apply", "plans.json", "--yes")
    assert [0, 2, 2] == [len(three.rules(name)) for name in ("prod-apac", "prod-emea", "prod-us")]


def test_plans_stand_below_one_table(three: Tenants, cxroute: Program) -> None:
    """First a line for each, in the order of their names; then each plan that changes anything, as by itself."""
    assert 0 == cxroute("apply", "-e", "prod-us", "--yes")
    assert 2 == cxroute("plan", "--all", "--detailed-exitcode")
    assert cxroute.out.startswith("Plan for 3 environments: 2 with changes, 1 with nothing to do\n")
    assert {
        "prod-apac": ["2 create", "2 cases"],
        "prod-emea": ["2 create", "2 cases"],
        "prod-us": ["none", "none", "nothing to do"],
    } == rows(cxroute.out)
    several_said = cxroute.out
    assert "Plan for prod-us" not in several_said
    for name in ("prod-apac", "prod-emea"):
        assert 0 == cxroute("plan", "-e", name)
        alone = cxroute.out.partition("Nothing was changed.")[0]
        assert alone in several_said
    assert several_said.endswith("\nNothing was changed. To apply these: cxroute apply --all\n")
    assert 0 == three.writes("prod-apac")


def test_json_holds_what_each_command_by_itself_prints(three: Tenants, cxroute: Program) -> None:
    """`{"environments": [plan, ...]}` (plan-json "Several environments"), in the order in which they were named."""
    del three
    code, form = cxroute.json("plan", "-e", "prod-us,prod-apac,prod-us")
    assert (0, ["prod-us", "prod-apac"]) == (code, [plan["environment"] for plan in form["environments"]])
    for plan in form["environments"]:
        _, alone = cxroute.json("plan", "-e", plan["environment"])
        assert without_time(alone) == without_time(plan)
    assert ["environments"] == list(form)


def test_all_is_every_environment_but_the_sandbox(three: Tenants, cxroute: Program) -> None:
    """The sandbox is no tenant; one that is named is planned with the others, and says that it is simulated."""
    del three
    write("sandbox.yaml", "apiVersion: routing/v1\nkind: Environment\nname: sandbox\nowner: acme\n")
    _, form = cxroute.json("plan", "--all")
    assert ["prod-apac", "prod-emea", "prod-us"] == [plan["environment"] for plan in form["environments"]]
    assert 0 == cxroute("plan", "-e", "sandbox,prod-us")
    simulated = "Sandbox: everything below is simulated; no tenant was contacted.\nPlan for sandbox "
    assert simulated in cxroute.out
    assert 1 == cxroute.out.count("simulated; no tenant")


def test_several_may_come_from_the_variable(three: Tenants, cxroute: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """`$CXROUTE_ENV` is what -e would be; a command that takes one says so."""
    del three
    monkeypatch.setenv("CXROUTE_ENV", "prod-emea, prod-us")
    _, form = cxroute.json("drift")
    assert ["prod-emea", "prod-us"] == [plan["environment"] for plan in form["environments"]]
    assert 64 == cxroute("explain", "--intent", "lost")
    assert "takes one environment" in cxroute.err


def test_one_that_fails_does_not_stop_the_others(three: Tenants, cxroute: Program) -> None:
    """It has its line, its error on stderr, and in JSON its place among the plans; exit 1."""
    three.manifests(prod_us="credentials: {clientIdEnv: NOBODY, clientSecretEnv: NOBODY_EITHER}")
    assert 1 == cxroute("apply", "--all", "--yes")
    assert cxroute.out.startswith("Apply to 3 environments: 2 applied, 1 failed\n")
    assert ["2 create", "2 cases", "applied 2 of 2"] == rows(cxroute.out)["prod-emea"]
    assert ["failed: no credentials: set NOBODY, or NOBODY_FILE to the path of a..."] == rows(cxroute.out)["prod-us"]
    assert "error: prod-us: no credentials: set NOBODY, or NOBODY_FILE to the path" in cxroute.err
    assert [["lost", "stolen"]] * 2 + [[]] == [three.names_of_rules(name) for name in three.urls]
    code, form = cxroute.json("drift", "--all")
    assert 1 == code
    assert ["Credentials", 1] == [form["environments"][2]["error"][name] for name in ("kind", "exitCode")]
    assert "prod-us" == form["environments"][2]["environment"]
    assert [2, 2] == [plan["summary"]["unchanged"] for plan in form["environments"][:2]]


def test_what_is_wrong_in_one_environment_is_said_of_it(three: Tenants, cxroute: Program) -> None:
    """A queue that one tenant lacks: exit 3, with the place in the manifests, and the others are planned."""
    three.states["prod-emea"].queues.pop()
    ruleset([*TWO, rule("other", "General")])
    assert 3 == cxroute("plan", "--all")
    assert ["failed: 1 error in the manifests"] == rows(cxroute.out)["prod-emea"]
    assert "error: prod-emea: 1 error in the manifests:\nmanifests/cards.yaml:7:" in cxroute.err
    assert ["3 create", "3 cases"] == rows(cxroute.out)["prod-us"]


def test_manifests_that_are_wrong_stop_everything(three: Tenants, cxroute: Program) -> None:
    """They are read once, for all."""
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


@pytest.mark.parametrize(("codes", "expected"), CODES)
def test_the_exit_code_is_the_worst(codes: list[int], expected: int) -> None:
    """What is not known is worse than what is half done, that worse than what was refused, and that than what waits."""
    assert expected == worst_exit_code(codes)


def test_each_has_its_own_guards(three: Tenants, cxroute: Program) -> None:
    """One is refused, with the command that lifts it there; the others are applied; exit 4."""
    assert 0 == cxroute("apply", "--all", "--yes")
    three.manifests(prod_emea="guard: {protected: [cards/lost]}")
    ruleset([rule("lost", "General"), rule("stolen", "Fraud")])
    assert 0 == cxroute("plan", "--all")
    assert ["1 update", "1 case", "apply will refuse this: protected"] == rows(cxroute.out)["prod-emea"]
    assert 'cxroute apply -e prod-emea --allow protected --reason "why"' in cxroute.out
    assert 4 == cxroute("plan", "--all", "--fail-on-guards")
    assert 4 == cxroute("apply", "--all", "--yes")
    assert cxroute.out.startswith("Apply to 3 environments: 2 applied, 1 refused\n")
    assert "q-Cards" in str(three.rules("prod-emea"))
    assert "q-Cards" not in str(three.rules("prod-us"))


def test_a_saved_plan_binds_each_environment(three: Tenants, cxroute: Program) -> None:
    """What changed since is refused there and nowhere else; the rest is applied as it was reviewed."""
    assert 0 == cxroute("plan", "--all", "--out", "plans.json")
    assert cxroute.out.endswith("To apply exactly these plans: cxroute apply plans.json\n")
    form = json.loads(Path("plans.json").read_text(encoding="utf-8"))
    assert ["prod-apac", "prod-emea", "prod-us"] == [plan["environment"] for plan in form["environments"]]
    assert 0 == cxroute("apply", "-e", "prod-us", "--yes")
    gone = next(one["id"] for one in three.rules("prod-us") if one["name"].endswith("lost"))
    three.states["prod-us"].remove(gone)
    ruleset([*TWO, rule("new")])
    assert 0 == cxroute("plan", "-e", "prod-us", "--out", "one.json")
    ruleset([rule("lost", "General"), *TWO[1:]])
    assert 4 == cxroute("apply", "plans.json", "--yes")
    assert [[], [], ["stolen"]] == [three.names_of_rules(name) for name in three.urls]
    ruleset(TWO)
    assert 0 == cxroute("apply", "plans.json", "--yes")
    assert [["lost", "stolen"]] * 3 == [three.names_of_rules(name) for name in three.urls]


def test_some_of_the_saved_plans_can_be_applied(three: Tenants, cxroute: Program) -> None:
    """-e and --shard choose among those in the file."""
    assert 0 == cxroute("plan", "--all", "--out", "plans.json")
    assert 0 == cxroute("apply", "plans.json", "-e", "prod-us", "--yes")
    assert [[], [], ["lost", "stolen"]] == [three.names_of_rules(name) for name in three.urls]
    assert 64 == cxroute("apply", "plans.json", "-e", "prod-xx", "--yes")
    assert "has nothing for prod-xx; it is for prod-apac, prod-emea, prod-us" in cxroute.err
    for index in range(2):
        assert 0 == cxroute("apply", "plans.json", "--shard", f"{index}/2", "--yes")
    assert [["lost", "stolen"]] * 3 == [three.names_of_rules(name) for name in three.urls]


def test_what_could_not_be_planned_is_not_applied(three: Tenants, cxroute: Program) -> None:
    """The file says why; an apply of it refuses there, and makes the others."""
    three.manifests(prod_us="credentials: {clientIdEnv: NOBODY}")
    assert 1 == cxroute("plan", "--all", "--out", "plans.json")
    three.manifests()
    assert 4 == cxroute("apply", "plans.json", "--yes")
    assert "prod-us: the saved plan has none of it, for that failed (no credentials" in cxroute.err
    assert [["lost", "stolen"]] * 2 + [[]] == [three.names_of_rules(name) for name in three.urls]


WRONG_FILES = ['{"environments": []}', '{"environments": 7}', '{"environments": [{}]}', '{"environments": [', "{}"]


@pytest.mark.parametrize("text", WRONG_FILES)
def test_a_file_without_plans_is_a_usage_error(cxroute: Program, text: str) -> None:
    """Whatever is wrong with it."""
    Path("plans.json").write_text(text, encoding="utf-8")
    assert 64 == cxroute("apply", "plans.json", "--yes")
    assert "plans.json" in cxroute.err
    assert 1 == len(cxroute.err.splitlines())


def test_plans_of_one_environment_twice_are_refused(three: Tenants, cxroute: Program) -> None:
    """Or the second would stand for the first, which somebody may have reviewed."""
    del three
    assert 0 == cxroute("plan", "--all", "--out", "plans.json")
    form = json.loads(Path("plans.json").read_text(encoding="utf-8"))
    form["environments"].append(form["environments"][0])
    Path("plans.json").write_text(json.dumps(form), encoding="utf-8")
    assert 64 == cxroute("apply", "plans.json", "--yes")
    form["environments"][-1] = {**form["environments"].pop(), "environment": "prod-other"}
    Path("plans.json").write_text(json.dumps(form), encoding="utf-8")
    assert 4 == cxroute("apply", "plans.json", "--yes")
    assert "was changed after it was made" in cxroute.err


def test_without_a_yes_nothing_is_written_anywhere(three: Tenants, cxroute: Program) -> None:
    """Everything is shown, and the command that goes on is said; in JSON beside the plans."""
    assert 4 == cxroute("apply", "--all")
    assert cxroute.out.startswith("Plan for 3 environments: 3 with changes\n")
    assert "error: nobody can be asked here, and nothing was written\n" in cxroute.err
    assert cxroute.err.endswith("To apply these: cxroute apply --all --yes\n")
    code, form = cxroute.json("apply", "-e", "prod-us,prod-emea")
    assert (4, "Refused") == (code, form["error"]["kind"])
    assert [([], False)] * 2 == [(plan["outcomes"], plan["converged"]) for plan in form["environments"]]
    assert [0, 0, 0] == [three.writes(name) for name in three.urls]
    assert 0 == cxroute("apply", "--all", "--yes")
    assert 0 == cxroute("apply", "--all")
    code, form = cxroute.json("apply", "--all")
    assert (0, [True] * 3) == (code, [plan["converged"] for plan in form["environments"]])


def typed(answer: str, *arguments: str) -> tuple[int, str]:
    """Run the command on a terminal and answer its question; return how it ended and what the terminal showed."""
    here, there = pty.openpty()
    variables = {**os.environ, "TERM": "dumb"}
    with Command(*arguments, stdin=there, stdout=there, stderr=there, env=variables) as process:
        os.close(there)
        shown = ""
        while True:
            try:
                part = os.read(here, 65536).decode()
            except OSError:
                break
            if "to go on" in part:
                os.write(here, answer.encode())
            shown += part
    os.close(here)
    return process.returncode, shown.replace("\r\n", "\n")


def test_one_question_is_for_all(three: Tenants) -> None:
    """The answer is how many there are: whoever types it has read that. Then each plan that was shown is applied."""
    code, shown = typed("2\n", "apply", "--all")
    assert (4, 1) == (code, shown.count("to go on"))
    assert "Apply this to 3 environments? Type their number, 3, to go on: " in shown
    assert "that is not how many there are; nothing was written" in shown
    assert [0, 0, 0] == [three.writes(name) for name in three.urls]
    code, shown = typed("3\n", "apply", "--all")
    assert 0 == code
    asked, _, became = shown.partition("to go on: ")
    assert "Apply to 3 environments: 3 applied" in became
    assert 1 == asked.count("Plan for prod-us ")
    assert 0 == became.count("Plan for prod-us ")
    assert "prod-us:\n" in became
    assert [["lost", "stolen"]] * 3 == [three.names_of_rules(name) for name in three.urls]


def test_the_journal_has_a_run_for_each(three: Tenants, cxroute: Program) -> None:
    """One file, in which every entry says of which run it is."""
    del three
    assert 0 == cxroute("apply", "--all", "--yes", "--reason", "CHG-7")
    entries = [json.loads(line) for line in Path(".cxroute/journal.jsonl").read_text(encoding="utf-8").splitlines()]
    starts = {one["run"]: one["environment"] for one in entries if one["event"] == "start"}
    assert {"prod-apac", "prod-emea", "prod-us"} == set(starts.values())
    assert set(starts) == {one["run"] for one in entries}
    ends = [(one["converged"], starts[one["run"]]) for one in entries if one["event"] == "end"]
    assert [(True, name) for name in sorted(starts.values())] == sorted(ends)
    assert 0 == cxroute("history")
    assert 3 == cxroute.out.count("2 of 2 changes applied")


def test_reports_are_a_folder_for_each(three: Tenants, cxroute: Program) -> None:
    """Just what --report writes for one, which `cxroute github` reads; and the table."""
    three.manifests(prod_us="credentials: {clientIdEnv: NOBODY}")
    assert 1 == cxroute("plan", "--all", "--report", "out")
    found = sorted(str(path.relative_to("out")) for path in Path("out").rglob("*.*"))
    each = [f"{name}/plan.{form}" for name in ("prod-apac", "prod-emea") for form in ("html", "json", "md")]
    assert ["environments.md", *each] == found
    table = Path("out/environments.md").read_text(encoding="utf-8")
    assert "| `prod-emea` | 2 create | 2 cases |  |" in table
    assert 1 == cxroute("drift", "--all", "--report", "drift")
    assert {"drift.json", "drift.md"} == {path.name for path in Path("drift/prod-emea").iterdir()}
    assert "prod-emea" == json.loads(Path("drift/prod-emea/drift.json").read_text(encoding="utf-8"))["environment"]


def test_a_report_that_cannot_be_written_is_one_error(three: Tenants, cxroute: Program) -> None:
    """In JSON the one document: nothing was printed before."""
    del three
    for option in ("--out", "--report"):
        code, form = cxroute.json("plan", "--all", option, "manifests/cards.yaml/nowhere")
        assert 1 == code
        first = form["error"] if "error" in form else form["environments"][0]["error"]
        assert "manifests/cards.yaml" in first["message"]


def test_the_web_hook_is_told_of_each(three: Tenants, cxroute: Program) -> None:
    """As by an apply to one: of what was made there, and by the environment's own settings."""
    three.manifests(prod_us="notify: {urlEnv: NOWHERE_TO_TELL}")
    assert 0 == cxroute("apply", "--all", "--yes")
    assert 1 == cxroute.err.count("prod-us: nobody was notified: ")
    assert 1 == cxroute.err.count("nobody was notified")


def test_the_other_forms_say_the_same(three: Tenants, cxroute: Program) -> None:
    """Markdown below the table; a workflow's log with the annotations of each; a page is about one environment."""
    del three
    assert 0 == cxroute("plan", "--all", "--format", "markdown")
    assert cxroute.out.startswith("### Plan for 3 environments: 3 with changes\n\n| Environment |")
    assert 3 == cxroute.out.count("### Routing plan for")
    assert 0 == cxroute("plan", "--all", "--format", "github")
    assert "Plan for 3 environments: 3 with changes" in cxroute.out
    assert 3 == cxroute.out.count("managed rules live")
    assert 64 == cxroute("plan", "--all", "--format", "html")
    assert "--report DIR writes one for each" in cxroute.err
    assert 2 == cxroute("drift", "--all", "--format", "markdown")
    assert cxroute.out.startswith("### Drift in 3 environments: 3 with changes\n")


USAGE = [
    (("plan", "--all", "-e", "prod-us"), "say --all or -e, not both"),
    (("plan", "-e", "prod-us,,prod-emea"), "there is no name"),
    (("plan", "-e", ","), "there is no name"),
    (("plan", "-e", "prod-us,prod-emae"), "no Environment is named 'prod-emae'"),
    (("apply", "one.json", "--all"), "is a plan for prod-us alone"),
    (("plan", "--all", "--undo", "2026-11-25T120000-prod-us-0000"), "say -e with its name"),
    (("explain", "-e", "prod-us", "-e", "prod-emea", "--intent", "x"), "takes one environment"),
]


@pytest.mark.parametrize(("arguments", "said"), USAGE)
def test_what_makes_no_sense_is_a_usage_error(
    three: Tenants, cxroute: Program, arguments: tuple[str, ...], said: str
) -> None:
    """Exit 64, before anything is read."""
    assert 0 == cxroute("plan", "-e", "prod-us", "--out", "one.json")
    seen = [len(state.requests) for state in three.states.values()]
    assert 64 == cxroute(*arguments)
    assert said in cxroute.err
    assert seen == [len(state.requests) for state in three.states.values()]


def test_without_environments_all_is_a_usage_error(cxroute: Program) -> None:
    """There is nothing but the sandbox, which is no tenant."""
    Path("manifests").mkdir()
    ruleset(TWO)
    assert 64 == cxroute("plan", "--all")
    assert "no Environment beside the sandbox" in cxroute.err


def test_environments_of_one_host_take_turns(three: Tenants, cxroute: Program) -> None:
    """They are one tenant with two owners, and its rate is stated for all who use it."""
    url = three.urls["prod-us"]
    documents = [environment(f"owner-{n}", url, owner=f"owner-{n}") for n in range(4)]
    ruleset([{**rule("lost"), "name": "${name}"}])
    write("environments.yaml", "---\n".join(f"{one}vars: {{name: R{n}}}\n" for n, one in enumerate(documents)))
    assert 0 == cxroute("apply", "--all", "--yes")
    tokens = [one.headers.get("authorization", "") for one in three.states["prod-us"].requests]
    turns = [one for before, one in zip(["", *tokens], tokens, strict=False) if one != before]
    assert 4 == len({one for one in turns if one}) == len([one for one in turns if one])
    assert ["R0", "R1", "R2", "R3"] == three.names_of_rules("prod-us")


def test_no_tenant_shows_the_secret_of_one_that_comes_later(
    three: Tenants, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take turns, and the first has the other's secret in a rule: no output shows it, and no plan is saved."""
    monkeypatch.setenv("LATER_SECRET", canary.PASSWORD)
    url = three.urls["prod-us"]
    later = "credentials: {clientSecretEnv: LATER_SECRET}"
    write("environments.yaml", "---\n".join([environment("a", url), environment("b", url, later, owner="later")]))
    ruleset([rule("lost", environments=["a"])])
    assert 0 == cxroute("apply", "-e", "a", "--yes")
    lost = three.rules("prod-us")[0]
    three.states["prod-us"].edit(lost["id"], name=canary.PASSWORD)
    # In a process of its own: this one has heard of the secret in other tests.
    command = ("plan", "--all", "--format", "json")
    shown = run_command(*command)
    assert (0, "") == (shown.returncode, shown.stderr)
    assert "[secret]" == json.loads(shown.stdout)["environments"][0]["changes"][0]["before"]["name"]
    for option in (["--out", "plans.json"], ["--report", "out"]):
        saved = run_command(*command, *option)
        assert 4 == saved.returncode
        refused, _ = json.loads(saved.stdout)["environments"]
        assert "one of the secrets that this run was given" in refused["error"]["message"]


def fleet(names: list[str]) -> EnvironmentSelection:
    """Environments on hosts of their own, of which nobody answers."""
    for number, name in enumerate(names):
        write(f"{name}.yaml", environment(name, f"{NOWHERE}{number}"))
    options = argparse.Namespace(manifests="manifests", all=True, shard=None, environment=None)
    return EnvironmentSelection.of(
        options, Output(colour="never", loudness="quiet", log_format="text", form="text", asks=False)
    )


def test_so_many_are_under_way_and_no_more(elsewhere: Path) -> None:
    """All have their turn; the report is in the order of their names, whoever is done first."""
    del elsewhere
    now, most = 0, 0

    async def work(session: Session, _stop: Cancellation) -> EnvironmentResult:
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        for _ in range(ord(session.environment.name[-1]) % 5):
            await asyncio.sleep(0)
        now -= 1
        return EnvironmentResult(
            0, lambda: EnvironmentRow(environment=session.environment.name, changes="", impact="", status="same")
        )

    names = [f"t{n:02}" for n in range(40)]
    told = asyncio.run(run_list(fleet(names), work, Cancellation()))
    assert (several.AT_ONCE, names) == (most, [one.row.environment for one in told])


def test_a_bug_met_in_one_environment_is_its_own(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a tenant's answer does to the program, the others are worked on."""
    del elsewhere

    async def work(session: Session, _stop: Cancellation) -> EnvironmentResult:
        match session.environment.name:
            case "a":
                raise ZeroDivisionError("of a")
            case "b":
                raise ApiError("of b")
            case name:
                return EnvironmentResult(
                    0, lambda: EnvironmentRow(environment=name, changes="", impact="", status="same")
                )

    told = asyncio.run(run_list(fleet(["a", "b", "c"]), work, Cancellation()))
    assert ["failed", "failed", "same"] == [one.row.status for one in told]
    assert [1, 1, 0] == [one.code for one in told]
    assert "error: a: this is a bug in cxroute (ZeroDivisionError: of a)" in capsys.readouterr().err


def test_no_plan_is_made_where_answers_are_waited_for(
    three: Tenants, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large tenant's plan, and each one that apply makes again, keeps no other tenant's answer from being heard."""
    found: set[str] = set()

    def beside(work: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            found.add(f"{work.__name__} {threading.current_thread() is threading.main_thread()}")
            return work(*arguments)

        return noted

    monkeypatch.setattr(pipeline, "draft_plan", beside(planning))
    monkeypatch.setattr(pipeline, "check_guards", beside(check_guards))
    for module in (pipeline, apply):
        monkeypatch.setattr(module, "schedule_steps", beside(schedule_steps))
    assert 0 == cxroute("apply", "--all", "--yes")
    assert (2, {"draft_plan False", "check_guards False", "schedule_steps False"}) == (
        len(three.rules("prod-us")),
        found,
    )


def test_after_a_signal_no_environment_begins_to_write(three: Tenants) -> None:
    """The write under way is done and told of, here and in the journal; exit 130, and the next run does the rest."""
    ruleset([rule(f"r{n}") for n in range(9)])
    three.manifests(ONE_BY_ONE)
    three.apps["prod-apac"] = gate = Gate(three.apps["prod-apac"], 3, of="writes")
    three.apps["prod-emea"] = held = Gate(three.apps["prod-emea"], 2)
    command = ("apply", "-e", "prod-apac,prod-emea", "--yes", "--format", "json")
    with Command(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        gate.wait()
        held.wait()
        process.terminate()
        wait_until_heard(process.pid)
        gate.open()
        held.open()
        out, err = process.communicate(timeout=60)
    assert 130 == process.returncode
    assert all(b": waiting for " in line for line in err.splitlines()), err
    apac, emea = json.loads(out)["environments"]
    statuses = [outcome["status"] for outcome in apac["outcomes"]]
    assert (3, 6) == (statuses.count("applied"), statuses.count("skipped"))
    assert "interrupted; nothing was written" == emea["error"]["message"]
    assert (3, 0) == (len(three.rules("prod-apac")), three.writes("prod-emea"))


def test_drift_of_several_has_a_line_for_each_with_its_sections(three: Tenants, cxroute: Program) -> None:
    """What is missing here, in the way there, and as it should be elsewhere; each report below, -q in brief."""
    assert 0 == cxroute("apply", "--all", "--yes")
    emea, us = three.states["prod-emea"], three.states["prod-us"]
    emea.remove(next(one["id"] for one in emea.rules() if one["name"].endswith("lost")))
    hand = next(one for one in us.rules() if one["name"].endswith("lost"))
    us.put({**hand, "id": "by-hand", "name": "by hand", "description": "", "priority": 1, "conditions": []})
    assert 2 == cxroute("drift", "--all")
    assert cxroute.out.startswith("Drift in 3 environments: 2 with changes, 1 with nothing to do\n")
    assert {
        "prod-apac": ["none", "none", "nothing to do"],
        "prod-emea": ["1 missing", "1 case"],
        "prod-us": ["1 in the way", "1 case"],
    } == rows(cxroute.out)
    assert 'In the way:\n\n  "by hand"\n' in cxroute.out
    assert "Missing in CXone:\n\n  cards/lost" in cxroute.out
    assert 2 == cxroute("drift", "--all", "-q")
    assert "prod-us: 1 rule in the way.\n" in cxroute.out
    code, form = cxroute.json("drift", "--all")
    causes = [[one["cause"] for one in plan["changes"]] for plan in form["environments"]]
    assert (2, [[], ["missing"], ["unmanaged"]]) == (code, causes)
