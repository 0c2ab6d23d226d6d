"""`plan --base`: a change of the endpoint's fallback alone has rows, guards and an exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.fallback_project import PROD, RULES, git
from tests.support.live_file import live_file
from tests.support.program import Program, write

ROOT = Path(__file__).parents[2]
INTENTS = "apiVersion: routing/v1\nkind: Intents\nname: bot\nintents: [{names}]\n"


@pytest.fixture
def small(cxroute: Program) -> Program:
    """Two rules behind a fallback below 0.35, live and committed to git."""
    Path("manifests").mkdir()
    write("prod.yaml", PROD.format(least=0.35))
    write("rules.yaml", RULES)
    live_file()
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "before")
    return cxroute


def plan(cxroute: Program, *words: str) -> tuple[int, Any]:
    return cxroute.json(
        "plan", "-e", "prod", "--live", "live.json", "--detailed-exitcode", *words
    )


@pytest.mark.slow
def test_the_banks_changed_bound_has_rows_and_trips_a_guard(cxroute: Program) -> None:
    """One line of the example: 0.35 -> 0.5. A stolen card at 0.45 leaves the Fraud Desk."""
    shutil.copytree(ROOT / "manifests", "manifests")
    live = live_file()
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "before")
    path = Path("manifests/environments/prod.yaml")
    path.write_text(
        path.read_text("utf-8").replace("minConfidence: 0.35", "minConfidence: 0.5"),
        encoding="utf-8",
    )
    Path("manifests/tests/urgent.yaml").unlink()  # its tests at 0.4 fail, too
    words = [
        "-e",
        "prod",
        "--live",
        live,
        "--base",
        "HEAD",
        "--fail-on-guards",
        "--detailed-exitcode",
    ]
    code, actual = cxroute.json("plan", *words)
    (guard,) = (item for item in actual["guards"] if item["name"] == "protected")
    assert (4, False) == (code, guard["ok"])
    assert "fraud/lost-or-stolen-card" in guard["message"]
    (promises,) = (item for item in actual["guards"] if item["name"] == "promises")
    assert (
        'promise "stolen cards, stolen phones and compromised cards reach the fraud desk"'
        in promises["message"]
    )
    regions = [
        item
        for item in actual["behaviour"]["regions"]
        if item["witness"]["cognigyConfidence"] == 0.45
    ]
    assert actual["behaviour"]["regions"] == regions
    assert {"Fraud Desk"} == {
        region["before"]["queues"][0]["queueName"] for region in regions
    }
    assert [] == actual["changes"]
    assert 3 == cxroute("validate", "-e", "prod")
    assert "error[CXR221]" in cxroute.out


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("base", ["HEAD", "old"])
def test_a_changed_bound_alone_is_a_change(small: Program, base: str) -> None:
    """Against a git revision and a directory: rows, a guard, exit code 2 and the settings in every
    format.
    """
    shutil.copytree("manifests", "old")
    write("prod.yaml", PROD.format(least=0.5))
    code, actual = plan(small, "--base", base)
    (effect,) = actual["behaviour"]["effects"]
    (row,) = effect["rows"]
    taker = actual["behaviour"]["rules"][row["counterpart"][0]]["address"]
    assert (2, [{"action": "fallback"}], "cards/rest") == (
        code,
        effect["causes"],
        taker,
    )
    assert (base, 0.35, 0.5) == (
        actual["options"]["base"],
        actual["endpoint"]["before"]["minConfidence"],
        actual["endpoint"]["after"]["minConfidence"],
    )
    assert "protected" in [item["name"] for item in actual["guards"] if not item["ok"]]
    for form in ("text", "markdown", "html", "github"):
        words = [
            "plan",
            "-e",
            "prod",
            "--live",
            "live.json",
            "--base",
            base,
            "--format",
            form,
        ]
        assert 0 == small(*words)
        assert "The fallback of the context endpoint changes:" in small.out
        assert "0.35" in small.out


def test_changed_intents_alone_are_a_change(small: Program) -> None:
    """With a first Intents document, an intent that is not in it becomes the fallback's."""
    write("bot.yaml", INTENTS.format(names="card, none"))
    code, actual = plan(small, "--base", "HEAD")
    assert 2 == code
    (region,) = actual["behaviour"]["regions"]
    assert ("cards/lost", "cards/rest", "lost") == (
        region["beforeRule"],
        region["afterRule"],
        region["witness"]["cognigyDetectedIntent"],
    )
    assert ([], ["card", "none"]) == tuple(
        actual["endpoint"][side]["knownIntents"] for side in ("before", "after")
    )


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("", "card, none", 'now unknown: every intent except "card", "none"'),
        ("card, none", "", "now known: every intent"),
        ("card, x", "card, y", 'now known: "y", now unknown: "x"'),
    ],
)
def test_changed_intents_are_listed(
    small: Program, before: str, after: str, change: str
) -> None:
    """Without an Intents document every intent is known."""
    shutil.copytree("manifests", "old")
    for names, directory in ((before, "old"), (after, "manifests")):
        if names:
            Path(f"{directory}/bot.yaml").write_text(
                INTENTS.format(names=names), encoding="utf-8"
            )
    assert 0 == small("plan", "-e", "prod", "--live", "live.json", "--base", "old")
    assert (
        f"The fallback of the context endpoint changes: {change}. It takes effect when"
        in small.out
    )


def test_without_a_change_of_the_endpoint_nothing_changes(small: Program) -> None:
    """With and without --base: exit code 0, no rows."""
    for words in ((), ("--base", "HEAD")):
        code, actual = plan(small, *words)
        assert (0, [], []) == (code, actual["changes"], actual["behaviour"]["regions"])
    assert (
        small.json("plan", "-e", "prod", "--live", "live.json")[1]["endpoint"] is None
    )


def test_a_new_environment_has_no_earlier_endpoint(small: Program) -> None:
    """The plan compares with its own fallback."""
    write("prod.yaml", PROD.format(least=0.5).replace("name: prod", "name: other"))
    code, actual = small.json(
        "plan", "-e", "other", "--live", "live.json", "--base", "HEAD"
    )
    assert (0, None) == (code, actual["options"]["base"])


@pytest.mark.parametrize(
    ("base", "message"),
    [
        (
            "nowhere",
            '--base "nowhere" is not a git revision and not a directory: fatal: Needed a single revision. Specify',
        ),
        ("\x1b[31m", '--base "\\u001b[31m" is not a git revision'),
        ("--help", "expected one argument"),
        ("-x", "expected one argument"),
        ("", '--base "" is not a git revision'),
    ],
)
def test_an_unknown_base_is_an_error(small: Program, base: str, message: str) -> None:
    """Exit code 64, and a message that says what to specify."""
    assert 64 == small("plan", "-e", "prod", "--live", "live.json", "--base", base)
    assert message in small.err


def test_another_attribute_in_the_base_is_an_error(small: Program) -> None:
    """Rules on two names of the intent cannot be compared."""
    shutil.copytree("manifests", "old")
    Path("old/prod.yaml").write_text(
        PROD.format(least=0.5) + "attributes: {intent: other}\n", encoding="utf-8"
    )
    assert 64 == small("plan", "-e", "prod", "--live", "live.json", "--base", "old")
    assert "the Environment has other `attributes` there" in small.err


def test_a_base_that_cannot_be_compared_is_a_warning(small: Program) -> None:
    """Invalid or missing manifests, or no such Environment: the plan says so, because a change may
    correct them.
    """
    Path("old").mkdir()
    for text, reason in (
        (
            "kind: Environment\n",
            'its manifests are invalid: prod.yaml:1: missing field "apiVersion"',
        ),
        (
            PROD.format(least=0.5).replace("name: prod", "name: other"),
            'the manifests have no Environment "prod" there',
        ),
        (None, 'the manifests have no Environment "prod" there'),
    ):
        Path("old/prod.yaml").unlink(missing_ok=True)
        if text:
            Path("old/prod.yaml").write_text(text, encoding="utf-8")
        code, actual = plan(small, "--base", "old")
        (finding,) = (item for item in actual["findings"] if item["code"] == "CXR321")
        message = f'a change of the endpoint\'s fallback since --base "old" is not shown: {reason}'
        assert (0, None, "warning", message) == (
            code,
            actual["options"]["base"],
            finding["severity"],
            finding["message"],
        )
    shutil.move("manifests", "elsewhere")  # as in the first change with manifests
    code, actual = plan(small, "--base", "HEAD", "-m", "elsewhere")
    assert "CXR321" in [item["code"] for item in actual["findings"]]


def test_a_revision_comes_before_a_directory_of_its_name(small: Program) -> None:
    """A change that adds such a directory does not hide what it moves; ./ names the directory."""
    write("prod.yaml", PROD.format(least=0.5))
    shutil.copytree("manifests", "HEAD")
    code, actual = plan(small, "--base", "HEAD")
    assert (2, 0.35) == (code, actual["endpoint"]["before"]["minConfidence"])
    assert 0 == plan(small, "--base", "./HEAD")[0]


@pytest.mark.parametrize(
    "attributes",
    [
        "*.yaml export-ignore",
        "*.yaml working-tree-encoding=UTF-16",
        "*.yaml filter=x",
        "*.yaml ident",
    ],
)
def test_attributes_of_git_do_not_change_the_base(
    small: Program, attributes: str
) -> None:
    """Those of the revision, of the change and of the repository; no filter and no hook runs."""
    git("config", "filter.x.smudge", "touch ../ran; sed s/0.35/0.11/")
    for path in (".gitattributes", "manifests/.gitattributes", ".git/info/attributes"):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(f"{attributes}\n", encoding="utf-8")
    for path in ("post-index-change", "post-checkout"):
        hook = Path(".git/hooks", path)
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\ntouch ran\n", encoding="utf-8")
        hook.chmod(0o755)
    git("add", "-f", ".gitattributes", "manifests/.gitattributes")
    git("-c", "core.hooksPath=/dev/null", "commit", "-qm", "attributes")
    Path("ran").unlink(missing_ok=True)
    index = Path(".git/index").read_bytes()
    write("prod.yaml", PROD.format(least=0.5))
    code, actual = plan(small, "--base", "HEAD")
    assert (2, 0.35, []) == (
        code,
        actual["endpoint"]["before"]["minConfidence"],
        [item for item in actual["findings"] if item["code"] == "CXR321"],
    )
    assert not Path("ran").exists()
    assert index == Path(".git/index").read_bytes()


def test_a_revision_that_git_cannot_read_is_an_error(small: Program) -> None:
    """A lost object, and a commit that is not in the clone: never a comparison with a part of the
    manifests.
    """
    blob = subprocess.run(
        ["git", "rev-parse", "HEAD:manifests/prod.yaml"],
        check=True,
        capture_output=True,
        text=True,
    )
    name = blob.stdout.strip()
    for revision in ("1" * 40, "HEAD:manifests", "HEAD^{tree}"):
        assert 64 == small(
            "plan", "-e", "prod", "--live", "live.json", "--base", revision
        )
        assert "is not a git revision" in small.err
    Path(".git/objects", name[:2], name[2:]).unlink()
    write("prod.yaml", PROD.format(least=0.5))
    assert 64 == small("plan", "-e", "prod", "--live", "live.json", "--base", "HEAD")
    assert (
        'error: --base "HEAD": git cannot read the manifests of that revision'
        in small.err
    )


def test_a_base_is_found_from_a_hook_and_below_a_directory(
    small: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The variables that git sets for hooks have no effect; the manifests may be the repository or
    deep in it.
    """
    monkeypatch.setenv("GIT_DIR", str(Path(".git").resolve()))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "none"))
    write("prod.yaml", PROD.format(least=0.5))
    assert 2 == plan(small, "--base", "HEAD")[0]
    Path("deep/er").mkdir(parents=True)
    shutil.copytree("manifests", "deep/er/manifests")
    Path("elsewhere.yaml").write_text("kind: Nothing\n", encoding="utf-8")
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_INDEX_FILE")
    git("add", "-A")
    git("commit", "-qm", "deep")
    Path("deep/er/manifests/prod.yaml").write_text(
        PROD.format(least=0.6), encoding="utf-8"
    )
    code, actual = plan(small, "--base", "HEAD", "-m", "deep/er/manifests")
    assert (2, 0.5) == (code, actual["endpoint"]["before"]["minConfidence"])


def test_a_base_revision_is_read_like_a_directory(small: Program) -> None:
    """A link within the manifests counts; one that leads out of them, and a hidden file, have no
    effect.
    """
    write("bot.yaml", INTENTS.format(names="card, lost"))
    shutil.move("manifests/bot.yaml", "manifests/bot.txt")
    Path("manifests/bot.yaml").symlink_to("bot.txt")
    Path("manifests/.hidden.yaml").write_text("kind: Nothing\n", encoding="utf-8")
    git("add", "-A")
    git("commit", "-qm", "links")
    code, actual = plan(small, "--base", "HEAD")
    assert (0, ["card", "lost"]) == (code, actual["endpoint"]["before"]["knownIntents"])
    Path("manifests/link.yaml").symlink_to("/etc/passwd")
    git("add", "-A")
    git("commit", "-qm", "links")
    Path("manifests/link.yaml").unlink()
    code, actual = plan(small, "--base", "HEAD")
    (finding,) = (item for item in actual["findings"] if item["code"] == "CXR321")
    assert (
        "link.yaml:1: the symbolic link leads out of the manifests' directory"
        in finding["message"]
    )


def test_a_link_in_place_of_the_manifests_does_not_hide_their_base(
    small: Program,
) -> None:
    """A change could move the manifests behind a link: without a base, its former owners would not
    count.
    """
    Path("manifests").rename("moved")
    Path("manifests").symlink_to("moved")
    assert 64 == small("plan", "-e", "prod", "--live", "live.json", "--base", "HEAD")
    assert "manifests is a symbolic link, so the place before is not known" in " ".join(
        small.err.split()
    )
    assert 0 == small(
        "-m", "moved", "plan", "-e", "prod", "--live", "live.json", "--base", "HEAD"
    ), small.err


def test_given_is_the_bots_event_and_context_is_what_rules_read(small: Program) -> None:
    """An unsure event is routed as the fallback; the same context without an endpoint is not."""
    tests = "apiVersion: routing/v1\nkind: RouteTests\nname: t\ntests:\n"
    tests += "  - {given: {intent: lost, confidence: 0.2}, expect: {queue: General}}\n"
    tests += "  - {given: {context: {intent: lost, confidence: 0.2}}, expect: {queue: Fraud}}\n"
    tests += "  - {given: {context: {cognigyDetectedIntent: lost}}, expect: {queue: Fraud}}\n"
    write("tests.yaml", tests)
    assert 0 == small("test", "-e", "prod")
    write(
        "tests.yaml",
        tests
        + "  - {given: {context: {intent: lost}, intent: lost}, expect: {queue: Fraud}}\n",
    )
    assert 3 == small("test", "-e", "prod")
    assert (
        "context cannot have intent, confidence or attributes beside it"
        in small.err + small.out
    )


def test_explain_shows_both_steps(small: Program) -> None:
    """Text and JSON: the event, what the rules read, and why."""
    words = ["explain", "-e", "prod", "--intent", "lost", "--confidence", "0.2"]
    assert 0 == small(*words)
    assert (
        'has intent "none", confidence 0.2 after the endpoint\'s fallback' in small.out
    )
    code, actual = small.json(*words)
    assert (0, "unsure", "cards/rest") == (code, actual["fallback"], actual["winner"])
    assert ("lost", "none") == tuple(
        actual[name]["cognigyDetectedIntent"] for name in ("input", "context")
    )
    code, actual = small.json(
        "explain", "-e", "prod", "--intent", "lost", "--confidence", "0.9"
    )
    assert (None, actual["input"]) == (actual["fallback"], actual["context"])


def test_diff_is_about_events_behind_each_sides_endpoint(small: Program) -> None:
    """Two environments with equal rules and another bound differ for the events between the
    bounds.
    """
    write(
        "other.yaml",
        PROD.format(least=0.5)
        .replace("name: prod", "name: other")
        .replace("tenant: acme", "tenant: b"),
    )
    code, actual = small.json(
        "diff", "manifests:prod", "manifests:other", "--detailed-exitcode"
    )
    (region,) = actual["regions"]
    assert (2, "cards/lost", "cards/rest") == (
        code,
        region["beforeRule"],
        region["afterRule"],
    )
    assert 0.35 <= region["witness"]["cognigyConfidence"] < 0.5


def test_drift_is_about_events(small: Program) -> None:
    """A live rule that takes only contexts which the endpoint never writes is not in the way."""
    live = json.loads(Path("live.json").read_text("utf-8"))
    low = {
        "type": "attribute",
        "attributeName": "cognigyConfidence",
        "operator": "lessThan",
        "value": 0.3,
    }
    lost = {
        "type": "attribute",
        "attributeName": "cognigyDetectedIntent",
        "operator": "equals",
        "value": "lost",
    }
    target = live["rules"][1]["targets"]
    live["rules"].append(
        {
            "id": "x",
            "name": "x",
            "priority": 0,
            "conditions": [lost, low],
            "targets": target,
        }
    )
    Path("live.json").write_text(json.dumps(live), encoding="utf-8")
    code, actual = plan(small)
    assert (0, 1) == (code, actual["summary"]["unmanaged"])
    assert [] == [
        item
        for item in actual["findings"]
        if item["code"] == "CXR202" and item["address"]
    ]
