"""The program for a user: commands, exit codes, stdout, and errors that fit on one screen."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.arguments import all_commands
from reconciler.cli.main import main
from reconciler.features.practice.command_demo import bank_manifests
from tests.support.cases import each_case
from tests.support.command import Command
from tests.support.program import Program, name_tenant, write

pytestmark = pytest.mark.usefixtures("elsewhere")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def started(elsewhere: Path) -> Path:
    """The manifests of `cxroute init`."""
    del elsewhere
    assert 0 == main(["init"])
    return Path("manifests")


def sandbox_rules() -> list[dict[str, Any]]:
    state = Path(".cxroute/sandbox.json")
    return (
        list(json.loads(state.read_text(encoding="utf-8"))["rules"])
        if state.exists()
        else []
    )


@pytest.mark.usefixtures("started")
def test_the_first_steps_of_a_new_user_work(cxroute: Program) -> None:
    """init, validate, plan, apply, apply again, drift: in this order."""
    name_tenant()
    assert 0 == cxroute("validate")
    assert 2 == cxroute("plan", "--detailed-exitcode")
    assert cxroute.out.startswith("Simulated: no tenant was contacted.\n")
    assert "Plan: 3 to create, 0 unchanged." in cxroute.out
    assert 0 == cxroute("apply", "--yes")
    assert "Applied 3 of 3" in cxroute.out
    before = sandbox_rules()
    assert 0 == cxroute("apply", "--yes")
    assert before == sandbox_rules()
    assert 0 == cxroute("plan", "--detailed-exitcode")
    assert "No changes." in cxroute.out
    assert 0 == cxroute("drift")


def test_new_manifests_work_in_the_sandbox_until_the_tenant_is_set(
    cxroute: Program,
) -> None:
    """`validate` and each command that contacts the placeholder refuse it; offline commands
    work.
    """
    assert 0 == cxroute("init")
    text = 'error[CXR104]: prod has no tenant yet: "your-tenant.invalid" is a placeholder; set the name of your tenant'
    assert 3 == cxroute("validate")
    assert f"manifests/environments/prod.yaml:7:9: {text}" in cxroute.out
    for command in ("plan", "apply", "drift", "doctor", "export"):
        assert 3 == cxroute(
            command, "-e", "prod", *(["--all"] if command == "export" else [])
        )
        assert text in cxroute.err
    for offline in (
        ["validate", "-e", "sandbox"],
        ["test"],
        ["plan"],
        ["explain", "-e", "prod", "--intent", "x"],
    ):
        assert 0 == cxroute(*offline), cxroute.err
    name_tenant()
    assert 0 == cxroute("validate")


def test_init_says_what_must_be_replaced_before_the_hook_passes(
    cxroute: Program,
) -> None:
    """The file and the field; the sandbox alone, and manifests whose tenant is set, need no such
    note.
    """
    assert 0 == cxroute("init")
    text = "Before `cxroute validate`, and the pre-commit hook that runs it, can pass: "
    assert (
        f"{text}manifests/environments/prod.yaml: replace the placeholder of `tenant`\n"
        in cxroute.out
    )
    assert cxroute.out.index(text) < cxroute.out.index("Next: cxroute plan")
    name_tenant()
    assert 0 == cxroute("init", "--gitlab")
    assert "replace the placeholder" not in cxroute.out


def test_git_ignores_the_files_of_this_machine(
    cxroute: Program, elsewhere: Path
) -> None:
    """`git add -A` adds the manifests, but not the sandbox's state and the journal, in each folder
    of a run.
    """
    subprocess.run(["git", "init", "-q"], check=True)
    assert 0 == cxroute("init")
    assert 0 == cxroute("apply", "--yes")
    ignored = Path(".cxroute/.gitignore")
    assert "*\n" == ignored.read_text("utf-8")
    subprocess.run(["git", "add", "-A"], check=True)
    listed = subprocess.run(
        ["git", "ls-files"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"manifests"} == {name.split("/")[0] for name in listed}
    ignored.write_text("", "utf-8")
    assert 0 == cxroute("plan")
    assert "" == ignored.read_text("utf-8")
    assert elsewhere == Path.cwd()


@pytest.mark.usefixtures("started")
def test_json_is_one_document_on_stdout(cxroute: Program) -> None:
    """That of a plan, and that of an apply with its outcomes."""
    code, plan = cxroute.json("plan")
    assert (0, 3) == (code, plan["summary"]["create"])
    code, applied = cxroute.json("apply", "--yes")
    assert (0, True) == (code, applied["converged"])
    assert {"applied"} == {outcome["status"] for outcome in applied["outcomes"]}
    code, again = cxroute.json("apply", "--yes")
    assert (0, True, []) == (code, again["converged"], again["outcomes"])


@pytest.mark.usefixtures("started")
def test_json_is_one_document_also_after_an_error(cxroute: Program) -> None:
    """With the exit code and every finding."""
    write(
        "bad.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: bad\nrules:\n  - {intnet: x, queue: y}\n",
    )
    for command in (["plan"], ["apply", "--yes"], ["drift"]):
        code, form = cxroute.json(*command)
        assert (3, 3) == (code, form["error"]["exitCode"])
        assert "CXR102" in [finding["code"] for finding in form["error"]["findings"]]
    code, form = cxroute.json("validate")
    assert (3, False) == (code, form["valid"])
    code, form = cxroute.json("plan", "--nonsense")
    assert (64, 64) == (code, form["error"]["exitCode"])


def test_errors_in_manifests_name_file_line_and_column(cxroute: Program) -> None:
    """And the nearest known name; all errors in one run."""
    write(
        "queues.yaml",
        "apiVersion: routing/v1\nkind: Queues\nname: q\nqueues: {billing: Billing}\n",
    )
    write(
        "one.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: one\nrules:\n  - intent: x\n    queue: "
        "biling\n",
    )
    write(
        "two.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: two\nrules:\n  - intent: ${y}\n    queue: "
        "billing\n",
    )
    assert 3 == cxroute("validate")
    lines = cxroute.out.splitlines()
    assert lines[0].startswith("manifests/one.yaml:6:12: warning[CXR117]: ")
    assert 'did you mean "billing"?' in lines[0]
    assert lines[1].startswith("manifests/two.yaml:5:13: error[CXR107]: ")
    assert "1 error and 1 warning in 3 files." == lines[-1]


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plann"], "unknown command 'plann'"),
        (["plan", "--formt", "json"], "unrecognized arguments"),
        (
            ["plan", "-e", "prd"],
            "no Environment is named 'prd'; available: prod, sandbox; did you mean \"prod\"?",
        ),
        (["apply", "--allow", "everything", "--reason", "x"], "unknown guard"),
        (["apply", "--allow", "deletes"], "requires --reason"),
        (["apply", "nowhere.json"], "cannot read nowhere.json"),
        (["plan", "--only", "routing/nothing"], "no rule has that address"),
        (["history", "2020"], '.cxroute/journal.jsonl has no run "2020"'),
        (["init"], "already exists"),
    ],
)
@pytest.mark.usefixtures("started")
def test_usage_errors_end_with_64_and_one_sentence(
    cxroute: Program, arguments: list[str], said: str
) -> None:
    """There is no traceback, and stdout is empty."""
    assert 64 == cxroute(*arguments)
    assert said in cxroute.err
    assert "Traceback" not in cxroute.err
    assert "" == cxroute.out


@each_case(
    "said, column",
    [
        ('queue: Fraud, description: "by hand\\r"', 52),
        ('queue: Fraud, description: "\\r"', 52),
        ('queue: Fraud, description: "${ending}"', 52),
        ('queue: "Fraud\\r"', 5),
    ],
)
def test_a_description_that_the_server_would_change_is_refused(
    cxroute: Program, said: str, column: int
) -> None:
    """A carriage return at its end joins the line end below it: each apply would find a
    difference.
    """
    head = "apiVersion: routing/v1\nkind: Environment\nname: sandbox\nowner: acme\n"
    write("sandbox.yaml", f'{head}vars: {{ending: "\\r"}}\n')
    head = "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules:\n"
    write("cards.yaml", f"{head}  - {{intent: lost_card, {said}}}\n")
    assert 3 == cxroute("apply", "--yes")
    assert (
        f"cards.yaml:5:{column}: error[CXR104]: a description must not end in a carriage return"
        in cxroute.err
    )


def test_missing_manifests_are_reported_with_the_next_step(cxroute: Program) -> None:
    """Exit 3."""
    assert 3 == cxroute("plan")
    assert "CXR115" in cxroute.err
    assert (
        "create manifests with `cxroute init`, or specify their directory with -m DIR"
        in cxroute.err
    )
    assert 3 == cxroute("-m", "our rules", "plan")
    assert "`cxroute init 'our rules'`" in cxroute.err
    assert "-m ." not in cxroute.err
    Path("rules.yaml").touch()
    assert 3 == cxroute("plan")
    assert "with -m DIR, such as -m . for this one" in cxroute.err


@pytest.mark.usefixtures("started")
def test_in_ci_an_environment_must_be_set(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message lists the environments; -e or the variable selects one."""
    monkeypatch.setenv("CI", "true")
    assert 64 == cxroute("plan")
    assert "prod, sandbox" in cxroute.err
    monkeypatch.setenv("CXROUTE_ENV", "sandbox")
    assert 0 == cxroute("plan")


@pytest.mark.usefixtures("started")
def test_options_of_every_command_work_before_and_after_it(cxroute: Program) -> None:
    """`cxroute -e sandbox plan` is `cxroute plan -e sandbox`."""
    assert 0 == cxroute("-e", "sandbox", "-m", "manifests", "plan", "--format", "json")
    first = json.loads(cxroute.out)["planId"]
    assert 0 == cxroute("plan", "--format", "json", "-m", "manifests", "-e", "sandbox")
    assert first == json.loads(cxroute.out)["planId"]


@pytest.mark.usefixtures("started")
def test_without_a_terminal_apply_neither_prompts_nor_writes(cxroute: Program) -> None:
    """Exit 4 with the command to use."""
    assert 4 == cxroute("apply")
    assert "--yes" in cxroute.err
    assert [] == sandbox_rules()


@pytest.mark.usefixtures("started")
def test_missing_credentials_are_reported_with_their_variable(cxroute: Program) -> None:
    """Exit 1; there was no request."""
    name_tenant()
    assert 1 == cxroute("plan", "-e", "prod")
    assert "CXONE_CLIENT_ID" in cxroute.err


@pytest.mark.usefixtures("started")
def test_a_saved_plan_is_applied_only_while_it_is_valid(cxroute: Program) -> None:
    """A second apply has no changes to make; a change that was not reviewed refuses all changes."""
    assert 0 == cxroute("plan", "--out", "plan.json")
    write(
        "more.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: more\nrules: [{intent: another, queue: "
        "general}]\n",
    )
    assert 4 == cxroute("apply", "plan.json", "--yes")
    assert "create more/another" in cxroute.err
    assert [] == sandbox_rules()
    Path("manifests/more.yaml").unlink()
    assert 64 == cxroute("apply", "plan.json", "-e", "prod", "--yes")
    assert 0 == cxroute("apply", "plan.json", "--yes")
    assert 3 == len(sandbox_rules())
    assert 0 == cxroute("apply", "plan.json", "--yes")


@pytest.mark.usefixtures("started")
def test_guards_refuse_and_a_reason_lifts_them(cxroute: Program) -> None:
    """Exit 4 with number and limit; plan reports the guard first and exits 0, except with
    --fail-on-guards.
    """
    assert 0 == cxroute("apply", "--yes")
    write(
        "routing.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: routing\nrules: []\n",
    )
    Path("manifests/tests.yaml").unlink()
    assert 0 == cxroute("plan")
    assert "apply will refuse this: deletes 3 of 3" in cxroute.out
    assert 4 == cxroute("plan", "--fail-on-guards")
    assert 4 == cxroute("apply", "--yes")
    assert (
        '--allow deletes --allow emptied --allow unrouted --reason "why"' in cxroute.err
    )
    assert 3 == len(sandbox_rules())
    assert 0 == cxroute(
        "apply",
        "--yes",
        "--allow",
        "deletes",
        "--allow",
        "emptied",
        "--allow",
        "unrouted",
        "--reason",
        "CHG-7",
    )
    assert [] == sandbox_rules()
    assert 0 == cxroute("history")
    assert "CHG-7" in cxroute.out


@pytest.mark.usefixtures("started")
def test_history_shows_each_run_with_before_and_after(cxroute: Program) -> None:
    """The author, the time, and the outcome of each change."""
    cxroute("apply", "--yes")
    write(
        "queues.yaml",
        "apiVersion: routing/v1\nkind: Queues\nname: queues\n"
        "queues: {billing: Tier 2, cards: Card Services, general: General}\n",
    )
    cxroute("apply", "--yes")
    code, form = cxroute.json("history")
    assert (0, 2) == (code, len(form["runs"]))
    assert 0 == cxroute("history", form["runs"][1]["run"])
    assert "update routing/billing-inquiry   applied" in cxroute.out
    assert 'queue: "Billing" -> "Tier 2"' in cxroute.out
    assert "attributeName" not in cxroute.out
    code, run = cxroute.json("history", form["runs"][1]["run"])
    assert (0, form["runs"][1]) == (code, run)


@pytest.mark.usefixtures("started")
def test_selectors_limit_the_changes(cxroute: Program) -> None:
    """--only plans a part; --no-prune deletes nothing."""
    assert 0 == cxroute("apply", "--yes", "--only", "routing/catch-all")
    assert ["Cognigy Intent Route: catch-all"] == [
        rule["name"] for rule in sandbox_rules()
    ]
    assert 0 == cxroute("apply", "--yes")
    write(
        "routing.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: routing\nrules: [{intent: new, queue: "
        "general}]\n",
    )
    Path("manifests/tests.yaml").unlink()
    assert 0 == cxroute("apply", "--yes", "--no-prune")
    assert 4 == len(sandbox_rules())
    assert "3 held" in cxroute.out


@each_case("command", sorted(all_commands()))
def test_every_command_has_help(cxroute: Program, command: str) -> None:
    """With its options, and exit 0."""
    assert 0 == cxroute(command, "--help")
    assert cxroute.out.startswith(f"usage: cxroute {command}")
    assert (
        "Also: -e, -m, --color, -q, -v, --log-format, --no-input (cxroute help options)"
        in cxroute.out
    )


def test_help_of_a_command_has_no_colours(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.14 would use colours with $FORCE_COLOR, and count them as letters."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert 0 == cxroute("plan", "--help")
    assert "\x1b" not in cxroute.out


def test_help_names_every_command_and_exit_code(cxroute: Program) -> None:
    """So does the program without arguments."""
    assert 0 == cxroute("--help")
    assert all(f"  {command} " in cxroute.out for command in all_commands())
    complete = cxroute.out
    assert 0 == cxroute()
    assert complete == cxroute.out
    assert 0 == cxroute("--version")
    assert cxroute.out.startswith("cxroute 0.")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_completion_knows_commands_and_options(cxroute: Program, shell: str) -> None:
    """From the parsers of the program."""
    assert 0 == cxroute("completion", shell)
    assert "detailed-exitcode" in cxroute.out
    assert "simulate" in cxroute.out


def test_schemas_are_json_schemas(cxroute: Program) -> None:
    """Both are valid, and contain the names of the reference."""
    assert 0 == cxroute("schema")
    assert "belowConfidence" in cxroute.out
    json.loads(cxroute.out)
    assert 0 == cxroute("schema", "plan")
    assert {"changes", "planId"} < set(json.loads(cxroute.out)["properties"])


@pytest.mark.usefixtures("started")
def test_the_command_under_a_plan_makes_exactly_its_changes(cxroute: Program) -> None:
    """With the same manifests, environment and selection, and each guard that must be lifted."""
    Path("manifests").rename("rules of ours")
    assert 0 == cxroute(
        "-m", "rules of ours", "plan", "--only", "routing/catch-all", "--keep-drift"
    )
    typed = cxroute.out.strip().splitlines()[-1].split("To apply: ")[1]
    assert (
        "cxroute -m 'rules of ours' apply -e sandbox --only routing/catch-all --keep-drift"
        == typed
    )
    assert 4 == cxroute(*shlex.split(typed)[1:])
    assert cxroute.err.strip().endswith(f"{typed} --yes")
    assert 0 == cxroute(*shlex.split(typed)[1:], "--yes")
    assert ["Cognigy Intent Route: catch-all"] == [
        rule["name"] for rule in sandbox_rules()
    ]


@pytest.mark.usefixtures("started")
def test_the_command_under_a_drift_report_corrects_exactly_that_drift(
    cxroute: Program,
) -> None:
    """With the same manifests, and not those of another directory."""
    Path("manifests").rename("rules of ours")
    assert 0 == cxroute("-m", "rules of ours", "apply", "--yes")
    state = Path(".cxroute/sandbox.json")
    good = sandbox_rules()
    edited = json.loads(state.read_text(encoding="utf-8"))
    edited["rules"][0]["priority"] = 777
    state.write_text(json.dumps(edited), encoding="utf-8")
    assert 2 == cxroute("-m", "rules of ours", "drift")
    heal, keep = cxroute.out.strip().splitlines()[-2:]
    assert keep.startswith(
        "  keep it   cxroute -m 'rules of ours' export -e sandbox routing/"
    )
    typed = heal.split("fix it    ")[1]
    assert typed.startswith(
        "cxroute -m 'rules of ours' apply -e sandbox --only routing/"
    )
    assert 0 == cxroute(*shlex.split(typed)[1:], "--yes")
    assert [rule["priority"] for rule in good] == [
        rule["priority"] for rule in sandbox_rules()
    ]
    assert 0 == cxroute("-m", "rules of ours", "drift")


@pytest.mark.usefixtures("started")
def test_a_refused_apply_in_json_is_the_plan_with_the_reason(cxroute: Program) -> None:
    """One document: plan, no outcomes, not converged, the error."""
    code, form = cxroute.json("apply")
    assert (4, 4) == (code, form["error"]["exitCode"])
    assert (3, [], False) == (
        form["summary"]["create"],
        form["outcomes"],
        form["converged"],
    )


def test_a_rule_without_conditions_is_reported(cxroute: Program) -> None:
    """`when: []` declares it; missing conditions are usually an oversight."""
    write(
        "x.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: x\nrules:\n  - {key: all, queue: A}\n",
    )
    assert 0 == cxroute("validate")
    assert "manifests/x.yaml:5:5: warning[CXR120]" in cxroute.out
    write(
        "x.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: x\nrules:\n  - {key: all, when: [], queue: "
        "A}\n",
    )
    assert 0 == cxroute("validate")
    assert "CXR120" not in cxroute.out


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="this system has no /dev/full"
)
@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["schema"], ["plan", "--format", "json"]]
)
@pytest.mark.usefixtures("started")
def test_output_that_cannot_be_written_is_one_sentence(arguments: list[str]) -> None:
    """A full disk, a closed stdout, a reader that ended: there is no traceback."""
    command = [sys.executable, "-m", "reconciler", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            command,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            check=False,
        )
    assert (1, 1) == (ended.returncode, len(ended.stderr.strip().splitlines()))
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        check=False,
    )
    assert "Traceback" not in closed.stderr
    removed = subprocess.run(
        ["sh", "-c", '"$@" | head -c 1', "sh", *command],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert "" == removed.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("started")
def test_a_signal_at_the_prompt_ends_the_command(tmp_path: Path) -> None:
    """Ctrl-C at a prompt: exit 130, nothing is written, and no answer is read."""
    control, terminal = pty.openpty()
    with Command(
        "apply", stdin=terminal, stdout=subprocess.PIPE, stderr=terminal, cwd=tmp_path
    ) as process:
        os.close(terminal)
        observed = b""
        while b"to continue: " not in observed:
            observed += os.read(control, 1000)
        process.send_signal(signal.SIGINT)
        try:
            assert 130 == process.wait(20)
        finally:
            process.kill()
    os.close(control)
    assert [] == sandbox_rules()


MOST_LINES_OF_THE_DEMO = 70
STEPS_OF_THE_DEMO = {(): 6, ("--studio",): 5}


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("--studio",)])
def test_the_demo_works_without_a_terminal(
    arguments: tuple[str, ...], cxroute: Program
) -> None:
    """A small edit with its plan, apply, drift, its correction, and a broken promise.

    Manifests stay as they are.
    """
    assert 0 == cxroute("init")
    folders = (Path("manifests"), bank_manifests())
    before = [contents(folder) for folder in folders]
    assert 0 == cxroute("demo", *arguments)
    assert before == [contents(folder) for folder in folders]

    lines = cxroute.out.splitlines()
    assert len(lines) <= MOST_LINES_OF_THE_DEMO
    assert "" == cxroute.err

    steps = [place for place, line in enumerate(lines) if re.match(r"\d\. ", line)]
    assert STEPS_OF_THE_DEMO[arguments] == len(steps)
    for place in steps:
        assert lines[place + 1].startswith("   Look: ")
        assert lines[place + 2].startswith("$ cxroute ")

    plan, applied, drift, restored, refused, *decided = split_steps(lines, steps)
    assert (
        '~ cards/pin-blocked   queue "Card Services" -> "Fraud Desk", confidence 0.7 -> 0.75'
        in plan
    )
    assert "fail" not in plan
    assert "Plan: 1 to update, 68 unchanged." in plan
    assert "Applied 1 of 1" in applied
    assert "1 of 69 rules differs from the manifests" in drift
    assert "somebody changed confidence 0.75 -> 0.7" in drift
    assert "$ cxroute apply --only cards/pin-blocked" in restored
    assert "Applied 1 of 1" in restored
    assert "refused, and nothing was written" in refused
    assert (
        "cash withdrawals that the customer does not recognise reach the fraud desk"
        in refused
    )
    assert "CXR220" not in refused  # no route test fails, as the step says
    for step in decided:
        assert "Applied 69 of 69" in step
        assert "POST /exchange" in step
        assert "cxr_queue  Fraud Desk" in step
        assert "Not tried on a tenant." in step

    assert [Path("manifests")] == list(Path().iterdir())


def split_steps(lines: list[str], starts: list[int]) -> list[str]:
    """Return the text of each step, up to the next one."""
    ends = [*starts[1:], len(lines)]
    return [
        "\n".join(lines[start:end]) for start, end in zip(starts, ends, strict=True)
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_markdown_of_the_sandbox_says_that_it_is_simulated(cxroute: Program) -> None:
    """In the title, and as a sentence in the foot."""
    assert 0 == cxroute("init")
    assert 0 == cxroute("plan", "--format", "markdown")
    assert "### Routing plan for `sandbox` (simulated)\n\n" in cxroute.out
    assert "\n<sub>Simulated: no tenant was contacted." in cxroute.out
    assert "\\n" not in cxroute.out
    assert "u000a" not in cxroute.out
