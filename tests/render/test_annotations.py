"""Findings as annotations: a GitHub runner reads exactly the intended commands, for all names."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.core.model.finding import CODES, Finding, Severity
from reconciler.core.model.rule import Source
from reconciler.core.text.escape import sanitize
from reconciler.render.github_annotations import (
    annotate_findings,
    job_summary,
    quote_for_runner,
)
from tests.support.cases import each_case
from tests.support.github_runner import WorkflowCommand, workflow_commands
from tests.support.hostile_names import HOSTILE_NAMES
from tests.support.program import Program, name_tenant, write

TOKEN = "0123456789abcdef0123456789abcdef"
HOSTILE = each_case("name", HOSTILE_NAMES.values())


def found(
    message: str,
    severity: Severity = "error",
    file: str = "manifests/a.yaml",
    hint: str = "",
) -> Finding:
    return Finding(
        code="CXR105",
        severity=severity,
        message=message,
        source=Source(file, 12, 9),
        hint=hint,
    )


def test_an_annotation_is_one_command_with_its_place_title_and_hint() -> None:
    """Properties and message are escaped as GitHub requires; the hint is on its own line."""
    finding = found(
        'queue "Biling" is 100% unknown',
        file="manifests/a,b:c.yaml",
        hint='did you mean "Billing"?',
    )
    assert (
        "::error file=manifests/a%2Cb%3Ac.yaml,line=12,col=9,title=CXR105%3A unknown queue"
        '::queue "Biling" is 100%25 unknown%0Adid you mean "Billing"?\n'
    ) == annotate_findings([finding])


def test_a_finding_without_a_place_has_no_file() -> None:
    """A finding about live rules has no location in a manifest."""
    assert (
        "::warning title=CXR204%3A equal priority%2C different queues::x\n"
        == annotate_findings([Finding(code="CXR204", severity="warning", message="x")])
    )


def test_ten_errors_and_ten_warnings_are_listed_and_the_rest_counted() -> None:
    """GitHub shows ten errors and ten warnings of a step, and silently drops further ones."""
    findings = [found(f"w{at}", "warning") for at in range(17)] + [
        found(f"e{at}") for at in range(17)
    ]
    text = workflow_commands(
        annotate_findings([*findings, found("worth knowing", "info")])
    )
    assert [
        *(("error", f"e{at}") for at in range(10)),
        *(("warning", f"w{at}") for at in range(10)),
        ("notice", "and 14 more, see the summary"),
    ] == [(command.name, command.data) for command in text]


def test_ten_of_each_need_no_notice() -> None:
    """Nothing is omitted, and there is no notice; without findings there is no command."""
    findings = [
        *(found("w", "warning") for _ in range(10)),
        *(found("e") for _ in range(10)),
    ]
    assert {"error", "warning"} == {
        command.name for command in workflow_commands(annotate_findings(findings))
    }
    assert "" == annotate_findings([found("worth knowing", "info")])


@HOSTILE
def test_no_name_makes_a_command_or_ends_a_property(name: str) -> None:
    """In file, message and hint, for three findings: a runner reads three commands, each with the
    intended values.
    """
    printed = "".join(map(sanitize, name))
    properties = {"line": "12", "col": "9", "title": f"CXR105: {CODES['CXR105'].title}"}
    place = {"file": printed} if printed else {}
    message = "\n".join(
        filter(None, [f"no queue {sanitize(name)}"[:303], sanitize(name)])
    )
    finding = found(f"no queue {name}", file=name, hint=name)
    text = workflow_commands(annotate_findings([finding] * 3))
    assert [("error", place | properties)] * 3 == [
        (item.name, item.properties) for item in text
    ]
    if len(name) < 100:
        assert {message} == {item.data for item in text}


@HOSTILE
def test_an_unknown_code_is_escaped(name: str) -> None:
    """A plan from a file may contain any code."""
    message = workflow_commands(
        annotate_findings([Finding(code=name, severity="error", message="x")])
    )
    assert [("error", "x")] == [(item.name, item.data) for item in message]
    assert {"title": sanitize(name).strip()} == {"title": ""} | {
        key: text.strip() for key, text in message[0].properties.items()
    }


@HOSTILE
def test_quoted_text_contains_no_command(name: str) -> None:
    """Not at the start of a line, inside it or after white space; the runner continues after the
    quote.
    """
    text = f"{name}\n::error::x\n ##[error]x\n\u00a0::add-mask::{name}"
    after = "::notice::ours\n"
    assert [WorkflowCommand("notice", {}, "ours")] == workflow_commands(
        quote_for_runner(text, TOKEN) + after
    )
    assert text in quote_for_runner(text, TOKEN)


@each_case(
    "form",
    ["::{}::", "::{} x=y::z", "a ##[{}]", "##[{} a=b;]c", "\u3000::{}::\r::{}::"],
)
@each_case("token", [TOKEN, TOKEN.upper(), TOKEN[:16] + TOKEN[16:].upper()])
def test_a_text_with_the_token_does_not_end_the_quote(form: str, token: str) -> None:
    """In both command forms, and with letters of either case."""
    text = f"{form.replace('{}', token)}\n::error::not ours\n"
    assert [] == workflow_commands(quote_for_runner(text, TOKEN))
    assert [] == workflow_commands(quote_for_runner(text * 2, TOKEN))


@each_case("token", ["", "pause-logging", "error", "0123", "x" * 32, ".*" * 16])
def test_a_token_that_could_be_guessed_is_refused(token: str) -> None:
    """Also a token with a special meaning for a runner, or in a pattern."""
    with pytest.raises(ValueError, match="16 hexadecimal digits"):
        quote_for_runner("x", token)


def test_an_empty_text_is_not_quoted() -> None:
    """The log gets no empty pair of commands."""
    assert "" == quote_for_runner("", TOKEN)


@HOSTILE
def test_a_summary_is_one_code_block(name: str) -> None:
    """No name closes the block, so nothing in it is Markdown."""
    first, *inside, last = job_summary(f"{name}\n").split("\n")[:-1]
    assert (f"{last}text", 3) <= (first, len(last)) or first == f"{last}text"
    assert set("`") == set(last)
    assert not any(last in line for line in inside)


def test_a_summary_stays_below_the_limit_of_github() -> None:
    """GitHub drops a complete summary above 1 MiB; omitted lines are counted."""
    complete = job_summary("\u00e4" * 1000 + "\n" + "x" * 999 * 1000 + "\n" + "y\n" * 5)
    assert len(complete.encode()) < 1_000_000
    assert complete.endswith("\u00e4\nand 6 more lines\n```\n")


@pytest.fixture
def wrong(cxroute: Program) -> Program:
    """Manifests with fourteen errors, one of them with a hostile name."""
    rules = "".join(
        f"  - {{intent: i{at}, queue: '${{no{at}}}'}}\n" for at in range(13)
    )
    evil = '  - {intent: "::error::a ##[error]b", queue: "${x %0A::error::y}", nonsense: 1}\n'
    write("a.yaml", f"apiVersion: routing/v1\nkind: RuleSet\nname: a\nrules:\n{rules}")
    write("b.yaml", f"apiVersion: routing/v1\nkind: RuleSet\nname: b\nrules:\n{evil}")
    Path("manifests/b.yaml").rename("manifests/b ##[error]x, ::error::.yaml")
    return cxroute


def test_validate_prints_annotations_and_the_totals(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands, then the same last line as in text; exit 3 as usual."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    write(
        "a.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: a\nrules:\n  - {intent: i, queue: '${no}'}\n",
    )
    assert 3 == cxroute("validate", "--format", "github")
    (text,) = workflow_commands(cxroute.out)
    assert ("error", "manifests/a.yaml", "5", "24") == (
        text.name,
        *(text.properties[name] for name in ("file", "line", "col")),
    )
    assert "1 error in 1 file." == cxroute.out.splitlines()[-1]
    assert "manifests/a.yaml:5:24: error[CXR107]: " in cxroute.out


def test_validate_prints_only_the_totals_without_findings(cxroute: Program) -> None:
    """Exit 0, and no command."""
    assert 0 == cxroute("init")
    name_tenant()
    assert 0 == cxroute("validate", "--format", "github")
    assert (
        "No errors in 6 files. 3 route tests passed in prod and sandbox.\n"
        == cxroute.out
    )


def test_more_than_ten_are_listed_in_the_log_and_in_the_summary(
    wrong: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notice names the place of the others, and they are there."""
    Path("manifests/b ##[error]x, ::error::.yaml").unlink()
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert 3 == wrong("validate", "--format", "github")
    assert (
        WorkflowCommand("notice", {}, "and 3 more, listed above")
        == workflow_commands(wrong.out)[-1]
    )
    assert 13 == wrong.out.count(": error[CXR107]: ")
    Path("summary.md").write_text("text of an earlier command\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    assert 3 == wrong("validate", "--format", "github")
    assert "and 3 more, see the summary" == workflow_commands(wrong.out)[-1].data
    stored = Path("summary.md").read_text(encoding="utf-8")
    assert stored.startswith("text of an earlier command\n```text\n")
    assert 13 == stored.count(": error[CXR107]: ")
    assert stored.endswith("13 errors in 1 file.\n```\n")


def test_a_summary_that_cannot_be_written_is_a_warning(
    wrong: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Annotations and the exit code are the same."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "no/such/folder.md")
    assert 3 == wrong("validate", "--format", "github")
    assert "warning: cannot write the job summary" in wrong.err
    assert workflow_commands(wrong.out)


def test_a_hostile_manifest_runs_no_command(wrong: Program) -> None:
    """From a pull request: a runner reads only the annotations, each with the right file."""
    assert 3 == wrong("validate", "--format", "github")
    text = workflow_commands(wrong.out)
    assert {"error"} == {item.name for item in text}
    assert {"manifests/b ##[error]x, ::error::.yaml"} == {
        item.properties["file"] for item in text
    }


def test_files_are_paths_from_the_root_of_the_repository(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the command runs in a subfolder, with a relative or an absolute path of manifests."""
    write(
        "a.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: a\nrules:\n  - {intent: i, queue: '${no}'}\n",
    )
    monkeypatch.setenv("GITHUB_WORKSPACE", str(Path.cwd().parent))
    here = Path.cwd().name
    Path("link").symlink_to("manifests")
    for named in (
        "manifests",
        "./manifests",
        str(Path("manifests").resolve()),
        f"../{here}/manifests",
        "link",
    ):
        assert 3 == cxroute("validate", "--format", "github", "-m", named)
        assert [f"{here}/manifests/a.yaml"] == [
            command.properties["file"] for command in workflow_commands(cxroute.out)
        ]
    monkeypatch.setenv("GITHUB_WORKSPACE", str(Path.cwd() / "elsewhere"))
    assert 3 == cxroute("validate", "--format", "github")
    assert ["manifests/a.yaml"] == [
        command.properties["file"] for command in workflow_commands(cxroute.out)
    ]
