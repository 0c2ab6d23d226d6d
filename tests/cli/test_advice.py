"""Words of other programs get the words of cxroute as an answer, and a secret on a command line is
not printed.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.cli.advice import without_secrets
from reconciler.core.text.suggest import suggest_one
from tests.support.cases import each_case
from tests.support.program import write

if TYPE_CHECKING:
    from tests.support.program import Program

ENVIRONMENTS = ("prod", "staging")


@pytest.fixture
def manifests(cxroute: Program) -> Program:
    for name in ENVIRONMENTS:
        text = (
            f"apiVersion: routing/v1\nkind: Environment\nname: {name}\nowner: acme\ntenant: "
            f"acme-{name}\n"
        )
        write(f"{name}.yaml", text)
    return cxroute


@each_case(
    "words, advice",
    [
        ("plan --json", "; write `--format json`"),
        ("validate --sarif", "; write `--format sarif`"),
        ("plan --markdown", "; write `--format markdown`"),
        ("plan -o json", "; write `--format json`"),
        ("drift --output json", "; write `--format json`"),
        ("plan -o saved.json", "; write `--out saved.json`"),
        ("plan prod", "; write `-e prod`"),
        ("drift staging", "; write `-e staging`"),
        ("plan --env prod", "; write `-e prod`"),
        ("plan --env=staging", "; write `-e staging`"),
        ("plan --env", "; write `-e ENV`"),
        ("plan --workspace staging --json", "; write `-e staging` and `--format json`"),
        ("--env prod plan", "; write `-e prod`"),
        ("--dir other plan", "; write `-m other`"),
        ("plan manifests", "; write `-m manifests`"),
        ("plan --path 'my rules'", "; write `-m 'my rules'`"),
        ("apply --dry-run", "; `cxroute plan` is the dry run"),
        ("plan --dry-run", "; `cxroute plan` writes nothing, so remove it"),
        ("apply -y", "; write `--yes`"),
        ("apply --auto-approve", "; write `--yes`"),
        ("drift --target cards/x", "; write `--only cards/x`"),
        ("apply --rollback", "; write `--undo RUN`"),
        (
            "plan --destroy",
            "; to delete rules, remove them from the manifests, and run `cxroute plan`",
        ),
        ("plan --no-color", "; write `--color never`"),
        ("apply prod", "; prod is an environment: write `-e prod`"),
        ("apply -auto-approve", "; write `--yes`"),
        ("validate -json", "; write `--format json`"),
        ("plan -target=cards/x", "; write `--only cards/x`"),
        (
            "plan -var-file=prod",
            "-v takes no value, but 'ar-file=prod' follows it; a long option begins with --",
        ),
        (
            "plan -qv5",
            "-v takes no value, but '5' follows it; a long option begins with --",
        ),
        (
            "plan -v=1",
            "-v takes no value, but '1' follows it; a long option begins with --",
        ),
        ("plan -qepord", 'did you mean "prod"?'),
        ("explain --intent -quiet", "argument --intent: expected one argument"),
        ("plan -- --json", "unrecognized arguments: --json; write `--format json`"),
        ("explain --intent a -- -q", "specify a code or a conversation, not both"),
        (
            "diff -- -a b",
            "cannot read -a: No such file or directory; a side is live:ENV, manifests:ENV or a JSON file",
        ),
        ("plan -qe=pord", 'did you mean "prod"?'),
        (
            "plan --color pink",
            "invalid choice: 'pink' (choose from auto, always, never)",
        ),
        ("plan -n prod", "; write `-e prod`"),
        (
            "plan -n cards prod",
            "`cxroute plan` writes nothing, so remove it and write `-e prod`",
        ),
        ("apply -f manifests", "; write `-m manifests`"),
        ("plan -f manifests/prod.yaml", "; write `-m manifests`"),
        ("plan -C manifests", "; write `-m manifests`"),
        ("plan --version", "; write `cxroute version`"),
        ("plan pord", "; did you mean `-e prod`?"),
        ("show prod", "; prod is an environment: write `-e prod`"),
        ("history prod", "prod is not a run; prod is an environment: write `-e prod`"),
        ("get rules", "; did you mean `cxroute table`?"),
        ("workspace select prod", "; each command takes the environment as `-e ENV`"),
        (
            "undo",
            "; did you mean `cxroute apply --undo RUN`? `cxroute history` lists the runs",
        ),
        (
            "undo 2026-r1",
            "; did you mean `cxroute apply --undo 2026-r1`? `cxroute history` lists the runs",
        ),
        (
            "rollback '$(reboot)'",
            "; did you mean `cxroute apply --undo '$(reboot)'`? `cxroute history` lists the runs",
        ),
        (
            "destroy",
            "; to delete rules, remove them from the manifests, and run `cxroute plan`",
        ),
        (
            "fmt",
            "; cxroute has no formatter: use any formatter of YAML, then `cxroute validate`",
        ),
        ("lint", "; did you mean `cxroute validate`?"),
        (
            "diff prod staging",
            "write live:prod for its live rules, or manifests:prod for those of the manifests",
        ),
    ],
)
def test_words_of_other_programs_get_the_right_ones(
    manifests: Program, words: str, advice: str
) -> None:
    """Exit 64, and the last words of the message are what to write."""
    assert 64 == manifests(*shlex.split(words))
    assert manifests.err.endswith(f"{advice}\n"), manifests.err


def test_another_name_gets_no_such_advice(manifests: Program) -> None:
    """`plan cards` is an error without `-e cards` as advice."""
    assert 64 == manifests("plan", "cards")
    assert "-e" not in manifests.err


def test_names_are_known_in_invalid_manifests(manifests: Program) -> None:
    """An error in one file does not hide the advice."""
    write("broken.yaml", "kind: [")
    assert 64 == manifests("plan", "prod")
    assert manifests.err.endswith("; write `-e prod`\n")


@each_case(
    "name, near",
    [
        ("production", "prod"),
        ("prd", "prod"),
        ("stg", "staging"),
        ("stage", "staging"),
        ("PROD", "prod"),
    ],
)
def test_an_unknown_environment_gets_the_nearest(
    manifests: Program, name: str, near: str
) -> None:
    """The list, and the name that is probably meant."""
    assert 64 == manifests("plan", "-e", name)
    assert f'available: prod, sandbox, staging; did you mean "{near}"?' in manifests.err


def test_a_distant_name_gets_the_list_alone() -> None:
    """No name is suggested that differs in most letters."""
    assert "" == suggest_one("zzz", ["prod", "staging"])


@each_case(
    "words",
    [
        "plan --client-secret c4nary-value",
        "plan --client-secret=c4nary-value",
        "--password c4nary-value plan",
        "apply --token c4nary-value --json",
        "plan --api-key=c4nary-value",
    ],
)
def test_a_secret_on_the_command_line_is_not_printed(
    manifests: Program, words: str
) -> None:
    """The message says that the secret is leaked, in text and in JSON."""
    for form in ([], ["--format", "json"]):
        assert 64 == manifests(*shlex.split(words), *form)
        printed = manifests.out + manifests.err
        assert "c4nary" not in printed
        assert "treat it as leaked" in printed


def test_ordinary_words_stay() -> None:
    """Only the values of options for secrets are replaced."""
    assert ["--key=[secret]", "a", "--out", "b"] == without_secrets(
        ["--key=x", "a", "--out", "b"]
    )


CREDENTIALS = (
    "clientSecret",
    "client_secret",
    "client-secret",
    "secret",
    "password",
    "token",
    "apiKey",
    "accessToken",
    "privateKey",
    "clientId",
)
CANARY = "c4nary-Zq9-Value-77"
LAYOUTS = (
    "{name}: {canary}\n",
    "{name}: '{canary}'\n",
    "credentials: {{{name}: {canary}, clientIdEnv: CXONE_CLIENT_ID}}\n",
    "credentials:\n  {name}: {canary}\n",
    "api:\n  {name}: {canary}\n",
    "cxone:\n  oauth:\n    {name}: {canary}\n",
    "{name}: |\n  {canary}\n  more\n",
    "{name}: {canary}\nprune: maybe\n",
)
BROKEN = (
    "{name}: *{canary}\n",
    "{name}: &{canary} x\n",
    "{name}: !{canary} x\n",
    "{name}: '{canary}\n",
    "{name}: {canary}: {canary}\n",
    "{name}: [{canary}\n",
    "{name}: {canary}\n{name}: {canary}\n",
    "{name}: {canary}\n bad: x\n",
)


def with_field(layout: str, name: str) -> None:
    fields = "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\ntenant: acme\n"
    write("prod.yaml", fields + layout.format(name=name, canary=CANARY))


def everything_printed(program: Program) -> str:
    """Return what every command and every format prints about invalid manifests."""
    printed = ""
    for words in (
        *(
            ("validate", "--format", form)
            for form in ("text", "json", "github", "gitlab", "sarif")
        ),
        ("plan", "-e", "prod"),
        ("plan", "-e", "prod", "--format", "json"),
        ("doctor", "-e", "prod"),
        ("doctor", "-e", "prod", "--format", "json"),
        ("test",),
        ("drift", "-e", "prod", "-v"),
        ("explain", "--intent", "x"),
        ("table",),
    ):
        program(*words)
        printed += program.out + program.err
    return printed


@pytest.mark.fast_cases(6)
@pytest.mark.parametrize("layout", [*LAYOUTS, *BROKEN])
def test_the_value_of_a_secret_in_a_manifest_is_never_printed(
    cxroute: Program, layout: str
) -> None:
    """Not in an excerpt, a hint, a document, or a message about other errors of the line."""
    with_field(layout, "clientSecret")
    printed = everything_printed(cxroute)
    assert "error" in printed
    assert CANARY not in printed
    assert "c4nary" not in printed


@pytest.mark.fast_cases(16)
@pytest.mark.parametrize("name", CREDENTIALS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_secret_in_a_manifest_is_named_as_one(
    cxroute: Program, name: str, layout: str
) -> None:
    """The message says that it must not stand there, that it is leaked, and where it goes."""
    with_field(layout, name)
    assert 3 == cxroute("validate", "--format", "json")
    findings = [
        each for each in json.loads(cxroute.out)["findings"] if each["code"] == "CXR140"
    ]
    (finding,) = findings
    assert "must not stand in a manifest" in finding["message"]
    assert "did you mean" not in cxroute.out
    assert "put it into an environment variable" in finding["message"]
    assert (name == "clientId") is ("treat it as leaked" not in finding["message"])


def test_a_terminal_shows_no_line_with_a_secret(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines above a caret are hidden, those of other errors in the same line too."""
    with_field("context: {{minConfidence: high, {name}: {canary}}}\n", "clientSecret")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    cxroute("validate")
    assert CANARY not in cxroute.out + cxroute.err


@pytest.mark.parametrize(
    "value", ["c4naryZq9Value77", "C4NARYZQ9VALUE77", "c4nary_zq9"]
)
def test_doctor_does_not_print_a_secret_in_place_of_a_variable(
    cxroute: Program, value: str
) -> None:
    """`clientSecretEnv` with the secret itself: the name is not printed, and the message says
    why.
    """
    for field in ("clientSecretEnv", "clientIdEnv"):
        with_field(f"credentials: {{{{{field}: {value}}}}}\n", "")
        for words in (
            ("doctor", "-e", "prod"),
            ("plan", "-e", "prod"),
            ("doctor", "-e", "prod", "--format", "json"),
        ):
            assert cxroute(*words)
            printed = cxroute.out + cxroute.err
            assert value not in printed, printed


def test_a_variable_with_the_name_of_a_secret_is_a_warning(cxroute: Program) -> None:
    """Rules show the values of `vars`, so a secret there is seen by everybody."""
    with_field("vars: {{apiToken: {canary}}}\n", "")
    assert 0 == cxroute("validate", "--format", "json")
    (finding,) = [
        each for each in json.loads(cxroute.out)["findings"] if each["code"] == "CXR140"
    ]
    assert "warning" == finding["severity"]
    assert CANARY not in cxroute.out


def test_ordinary_fields_are_shown(cxroute: Program) -> None:
    """A field without a secret keeps its suggestion."""
    with_field("ownr: x\n", "")
    assert 3 == cxroute("validate")
    assert 'did you mean "owner"?' in cxroute.out
    assert Path("manifests/prod.yaml").exists()
