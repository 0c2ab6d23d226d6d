"""The command line: repeated options, several environments, suggestions for names, help and
version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler import __version__
from reconciler.cli.arguments import all_commands, command_module
from reconciler.cli.main import main
from reconciler.cli.parsing import StoreOnce, command_parser
from reconciler.core.errors import UsageError
from tests.support import canary_secrets as canary
from tests.support.cases import each_case
from tests.support.command import run_command
from tests.support.many_tenants import Tenants, rule, ruleset, tenants
from tests.support.program import Program, write

pytestmark = pytest.mark.usefixtures("elsewhere")
ROOT = Path(__file__).resolve().parents[2]
VALUED = [
    pytest.param(
        name,
        action.option_strings,
        action.choices,
        id=f"{name} {action.option_strings[-1]}",
    )
    for name in all_commands()
    for action in command_parser(name, command_module(name))._actions
    if isinstance(action, StoreOnce) and action.option_strings
]
"""Every option of every command that takes one value."""


@pytest.fixture
def two(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenants]:
    """Tenants of prod and staging.

    A rule that exists only in prod names a queue that prod does not have.
    """
    del elsewhere
    monkeypatch.setenv("CXONE_CLIENT_ID", canary.CLIENT)
    monkeypatch.delenv("CXROUTE_PROXY")
    with tenants("prod", "staging") as here:
        here.manifests()
        ruleset([rule("lost")])
        yield here


def broken_in_prod(here: Tenants) -> None:
    """Write a rule that is invalid in prod and valid in staging: only staging defines the
    variable.
    """
    here.manifests(staging="vars: {floor: 'half'}")
    ruleset([rule("lost", description="from ${floor}")])


@pytest.mark.parametrize(
    "asked",
    [
        ["-e", "prod", "-e", "staging"],
        ["-e", "prod,staging"],
        ["-e", "staging", "-e", "prod"],
    ],
)
def test_validate_checks_every_environment_that_is_named(
    two: Tenants, asked: list[str]
) -> None:
    """An error in prod is found in each order of the environments."""
    broken_in_prod(two)
    assert 0 == run_command("validate", "-e", "staging").returncode
    for words in (
        ["validate", *asked],
        [*asked, "validate"],
        [*asked[:2], "validate", *asked[2:]],
    ):
        ended = run_command(*words)
        assert 3 == ended.returncode, ended.stdout
        assert "CXR107" in ended.stdout
    assert 3 == run_command("test", *asked).returncode


def test_plan_drift_and_apply_take_repeated_environments(two: Tenants) -> None:
    """Over a socket, before and after the command; the printed command contains both."""
    ended = run_command("-e", "prod", "plan", "-e", "staging")
    assert (0, "") == (ended.returncode, ended.stderr)
    assert ended.stdout.startswith("Plan for 2 environments: 2 with changes\n")
    assert ended.stdout.endswith("To apply these: cxroute apply -e prod,staging\n")
    assert 2 == run_command("drift", "-e", "prod", "-e", "staging").returncode
    ended = run_command(
        "apply", "-e", "prod", "-e", "staging", "--yes", "--format", "json"
    )
    assert [True, True] == [
        load["converged"] for load in json.loads(ended.stdout)["environments"]
    ]
    assert [["lost"], ["lost"]] == [
        two.names_of_rules(name) for name in ("prod", "staging")
    ]


def test_a_repeated_environment_counts_once(two: Tenants, cxroute: Program) -> None:
    """So each command accepts it."""
    del two
    assert 0 == cxroute("-e", "prod", "explain", "-e", "prod", "--intent", "lost")


@each_case(
    "command",
    [
        "explain --intent x",
        "doctor",
        "watch",
        "serve",
        "export --all",
        "github drift-issue --plan p --body b",
    ],
)
def test_a_command_for_one_environment_refuses_several(
    two: Tenants, cxroute: Program, command: str
) -> None:
    """Exit 64, and the message lists the commands that take several."""
    del two
    assert 64 == cxroute("-e", "prod", *command.split(), "-e", "staging")
    assert "-e prod,staging: this command takes one environment" in cxroute.err


@pytest.mark.fast_cases(30)
@pytest.mark.parametrize(("command", "options", "choices"), VALUED)
def test_a_repeated_option_with_one_value_is_refused(
    cxroute: Program, command: str, options: list[str], choices: list[str] | None
) -> None:
    """Exit 64, and the message names the option; each spelling of it counts."""
    value = str(next(iter(choices))) if choices else "1"
    assert 64 == cxroute(command, options[0], value, f"{options[-1]}={value}")
    assert f"{'/'.join(options)} is given twice" in cxroute.out + cxroute.err


def test_the_options_that_take_one_value_are_found() -> None:
    """The table above is not empty, and has no option that may be repeated."""
    names = {param.id for param in VALUED}
    assert {
        "plan --out",
        "plan --format",
        "plan --manifests",
        "history --journal",
        "simulate --port",
    } <= names
    assert (
        not {"plan --only", "apply --allow", "explain --attr", "plan --environment"}
        & names
    )


def test_some_options_may_be_repeated(cxroute: Program) -> None:
    """Flags, and options that take several values."""
    assert 0 == main(["init"])
    assert 0 == cxroute(
        "-v",
        "plan",
        "-v",
        "--adopt",
        "--adopt",
        "--only",
        "routing/catch-all",
        "--only",
        "routing/*",
    )
    assert 0 == cxroute("explain", "--attr", "a=1", "--attr", "b=2")


def test_a_repeated_option_is_reported_in_json_with_format_json(
    cxroute: Program,
) -> None:
    """One document, with the exit code."""
    assert 64 == cxroute("plan", "-m", "a", "--format", "json", "-m", "b")
    assert 64 == json.loads(cxroute.out)["error"]["exitCode"]


@each_case(
    "typed, said",
    [
        (
            "pln",
            "unknown command 'pln'; did you mean \"plan\"? `cxroute --help` lists all",
        ),
        ("help explian", "unknown command 'explian'; did you mean \"explain\"?"),
        ("xyzzy", "unknown command 'xyzzy'; `cxroute --help` lists all"),
        (
            "plan --detailed-exit",
            'unrecognized arguments: --detailed-exit; did you mean "--detailed-exitcode"?',
        ),
        (
            "plan --fromat=json",
            'unrecognized arguments: --fromat=json; did you mean "--format"?',
        ),
        ("--manifest=x plan", "unrecognized arguments: --manifest=x; write `-m x`"),
        (
            "--colour never plan",
            'unrecognized arguments: --colour; did you mean "--color"?',
        ),
        (
            "--undo x plan",
            "unrecognized arguments: --undo; the options of a command follow its name",
        ),
        ("--hlep", 'missing command; did you mean "--help"?'),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(
    cxroute: Program, typed: str, said: str
) -> None:
    """Commands and options, like the fields of a manifest; a misspelt name is never accepted."""
    assert 64 == cxroute(*typed.split())
    assert said in cxroute.err


@pytest.mark.fast_cases(10)
@pytest.mark.parametrize("command", all_commands())
def test_help_prints_the_help_of_a_command(cxroute: Program, command: str) -> None:
    """`cxroute help plan` is `cxroute plan --help`; one line of it is about the options of every
    command.
    """
    assert 0 == cxroute(command, "--help")
    complete = cxroute.out
    assert 0 == cxroute("help", command)
    assert complete == cxroute.out
    assert 1 == len([line for line in complete.splitlines() if "--no-input" in line])
    assert "(cxroute help options)" in complete


def test_help_without_a_command_prints_the_help_of_the_program(
    cxroute: Program,
) -> None:
    """And `version` is --version."""
    assert 0 == cxroute("--help")
    complete = cxroute.out
    assert 0 == cxroute("help")
    assert complete == cxroute.out
    assert 0 == cxroute("version")
    assert f"cxroute {__version__}\n" == cxroute.out


def test_the_options_of_every_command_have_a_page(cxroute: Program) -> None:
    """The page explains each."""
    assert 0 == cxroute("help", "options")
    for option in (
        "--environment",
        "--manifests",
        "--color",
        "--quiet",
        "--verbose",
        "--log-format",
        "--no-input",
    ):
        assert re.search(rf"^  .*{option}", cxroute.out, re.MULTILINE)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_completion_offers_the_options_of_commands_and_the_help_pages(
    cxroute: Program, shell: str
) -> None:
    """Also those that the help of a command omits."""
    assert 0 == cxroute("completion", shell)
    assert {"log-format", "no-input", "version", "options"} <= set(
        re.findall(r"[\w-]*\w", cxroute.out.replace("--", " "))
    )


def test_a_quiet_plan_is_brief(cxroute: Program) -> None:
    """Counts, refusals and affected conversations; no rule, no full warning; and the next
    command.
    """
    assert 0 == main(["init"])
    assert 0 == cxroute("apply", "--yes")
    write(
        "routing.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: routing\nrules: []\n",
    )
    Path("manifests/tests.yaml").unlink()
    assert 0 == cxroute("plan")
    assert re.search(r"^- routing/.*   deleted$", cxroute.out, re.MULTILINE)
    assert 0 == cxroute("plan", "-q")
    assert "apply will refuse this: deletes 3 of 3" in cxroute.out
    assert "goes from " in cxroute.out
    assert re.search(r"^Plan: 3 to delete, 0 unchanged\.", cxroute.out, re.MULTILINE)
    assert "  - routing/" not in cxroute.out
    assert "warning[" not in cxroute.out
    assert "cxroute apply -e sandbox --allow deletes" in cxroute.out.splitlines()[-1]
    assert 2 == cxroute("plan", "-q", "--detailed-exitcode")


def test_history_has_a_header_full_seconds_and_marks_an_undo(cxroute: Program) -> None:
    """The newest run comes first; an undo names its run and reason."""
    assert 0 == main(["init"])
    assert 0 == cxroute("apply", "--yes")
    name = cxroute.out.splitlines()[-1].split()[-1]
    assert 4 == cxroute("apply", "--undo", name, "--yes")
    guards = [
        word
        for guard in re.findall(r"--allow (\w+)", cxroute.err)
        for word in ("--allow", guard)
    ]
    assert 0 == cxroute("apply", "--undo", name, "--yes", *guards, "--reason", "CHG-7")
    assert 0 == cxroute("history")
    head, undo, first = cxroute.out.splitlines()
    assert ["run", "time", "who", "result", "reason"] == head.split()
    assert re.fullmatch(
        r"\S+-sandbox-\w{4}  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  \S+ +3 of 3 changes applied  -",
        first,
    )
    assert undo.endswith(f"3 of 3 changes applied  undoes {name}: CHG-7")
    assert [line.index("  3 of 3") for line in (undo, first)] == [
        head.index("  result")
    ] * 2
    assert 0 == cxroute("history", name)
    assert (
        'intent is "billing_inquiry" and confidence >= 0.6: to "Billing", priority 100'
        in cxroute.out
    )


def test_diff_ends_with_2_when_conversations_are_routed_differently(
    cxroute: Program,
) -> None:
    """Only with --detailed-exitcode, as text and as JSON."""
    target = {"type": "queue", "queueId": "q", "weight": 1}
    rules = [
        {"id": "a", "name": "a", "priority": 1, "conditions": [], "targets": [target]}
    ]
    Path("left.json").write_text(json.dumps(rules), encoding="utf-8")
    Path("right.json").write_text(
        json.dumps([{**rules[0], "targets": [{**target, "queueId": "p"}]}]),
        encoding="utf-8",
    )
    assert 0 == cxroute("diff", "left.json", "right.json")
    assert 2 == cxroute("diff", "left.json", "right.json", "--detailed-exitcode")
    assert 2 == cxroute(
        "diff", "left.json", "right.json", "--detailed-exitcode", "--format", "json"
    )
    assert 0 == cxroute("diff", "left.json", "left.json", "--detailed-exitcode")


def test_an_abbreviation_is_not_an_option() -> None:
    """`--detailed` is not --detailed-exitcode, so it cannot become another option later."""
    plan = command_parser("plan", command_module("plan"))
    with pytest.raises(UsageError, match="unrecognized arguments: --detailed"):
        plan.parse_args(["--detailed"])
