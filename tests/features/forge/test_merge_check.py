"""`merge-check` of each forge: real repositories behind a real socket, and one comment."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.docs.page import ROOT
from tests.features.forge.contract import BOT, FakeFault, FakeRun
from tests.features.forge.requests import (
    BASE,
    FRAUD,
    LATER,
    ONE,
    PREMIUM,
    PROD,
    REST,
    OpenRequests,
    harmless,
    ruleset,
)
from tests.features.forge.stage import FAKES, ForgeStage
from tests.support.fallback_project import git
from tests.support.hostile_names import HOSTILE_NAMES, MARKDOWN_NAMES
from tests.support.parsed_html import parse_as_github
from tests.support.threaded_server import HttpReply, HttpRequest, threaded_server

NAMES = {
    name: text
    for name, text in (HOSTILE_NAMES | MARKDOWN_NAMES).items()
    if text.strip()
}
BLOCKS = 5
MENTION = re.compile(r"@\w")
ELEMENTS = {
    *("details", "summary", "p", "ul", "li", "strong", "em", "code", "br"),
    *("table", "thead", "tbody", "tr", "th", "td", "sub"),
}
PAIRS = "Pairs are compared: three"
AS_EXPECTED = "Merged with each of them alone, each conversation goes where it went"
ON_GITHUB = pytest.mark.parametrize("stage", ["github"], indirect=True)
WITH_REFS_OF_FORKS = pytest.mark.parametrize(
    "stage", [name for name in FAKES if name != "bitbucket"], indirect=True
)
"""Bitbucket keeps the commits of a fork in the fork."""
WORDS = {"gitlab": "merge request"}


@pytest.fixture
def requests(stage: ForgeStage, tmp_path: Path) -> OpenRequests:
    """A repository on each forge."""
    return OpenRequests(stage, tmp_path)


def word(requests: OpenRequests) -> str:
    """Return the word of the forge for a pull request."""
    return WORDS.get(requests.stage.forge.name, "pull request")


def files_of(folder: str) -> dict[str, bytes]:
    """Return every file below a folder."""
    paths = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in paths}


# What two requests do together


@pytest.mark.fast_cases(1)
def test_a_surprise_is_in_a_closed_part(requests: OpenRequests) -> None:
    """With its row and both commits; the log has the result; no file of the checkout changes."""
    requests.open_own(PREMIUM)
    requests.open_other(8, LATER, "Make room")
    before = files_of("checkout")
    assert 0 == requests.check()
    assert before == files_of("checkout")
    assert "" == requests.stage.cxroute.err
    out = requests.stage.cxroute.out
    assert out.startswith('8 "Make room": Merged, conversations go elsewhere than ')
    body = requests.body()
    title = f"Merge check: 1 other open {word(requests)}: 1 not as expected"
    opening = f"<details><summary>{title}</summary>"
    if requests.stage.forge.name == "bitbucket":  # shows HTML as text
        opening = f"**{title}**"
    assert opening in body
    assert f"at `{requests.own[:8]}` (`ours`)" in body
    assert f"into `main` at `{requests.tip[:8]}` (`base`)" in body
    assert "- 8 `Make room`: Merged, conversations go elsewhere than expected" in body
    (row,) = (line for line in body.splitlines() if line.startswith("| `lost_card`"))
    assert re.search(r"tier gold \|.*`Premium`.*\| `Fraud Desk` \|$", row)
    assert PAIRS in body


@pytest.mark.fast_cases(1)
def test_a_conflict_about_conversations_is_shown(requests: OpenRequests) -> None:
    """Both send gold customers elsewhere, each to a place of its own."""
    requests.open_own(PREMIUM)
    silver = (
        PREMIUM["gold.yaml"]
        .replace("Premium", "Silver")
        .replace("gold, when", "silver, when")
    )
    requests.open_other(
        8, {"silver.yaml": silver.replace("name: priority", "name: silver")}
    )
    assert 0 == requests.check()
    assert "The two changes move conversations to different places." in requests.body()
    assert "*conflict*" in requests.body()


@pytest.mark.fast_cases(1)
def test_without_a_surprise_there_is_one_line(requests: OpenRequests) -> None:
    """It does not create a comment; it is added to the one of the plan."""
    requests.open_own(PREMIUM)
    requests.open_other(8, harmless(8))
    requests.open_other(9, harmless(9))
    assert 0 == requests.check()
    assert [] == requests.stage.forge.notes()
    assert (
        "there is nothing to report, and no comment to update" in requests.stage.shown
    )
    assert 0 == requests.stage.note()
    assert 0 == requests.check()
    body = requests.body()
    assert "1 to create" in body
    line = f"Merge check: 2 other open {word(requests)}s: 2 as expected. {AS_EXPECTED}"
    (shown,) = (text for text in body.splitlines() if text.startswith(line))
    assert PAIRS in shown
    assert "<details>" not in body


@pytest.mark.fast_cases(1)
def test_no_other_request_is_one_line(requests: OpenRequests) -> None:
    """Also if the others change no manifests, or are for another branch."""
    requests.open_own(PREMIUM)
    assert 0 == requests.stage.note()
    line = f"Merge check: no other open {word(requests)} into `main` changes manifests."
    assert 0 == requests.check()
    assert line in requests.body()
    assert not requests.host.asked
    requests.host.set_ref("refs/heads/next", requests.tip)
    requests.open_other(8, LATER, branch="next")
    requests.open_other(9, {"../README.md": "hello", "notes.txt": "hello"})
    requests.stage.enter(FakeRun(id=101, sha=requests.own))
    assert 0 == requests.check()
    assert line in requests.body()


@pytest.mark.fast_cases(1)
def test_a_stale_branch_reverts_nothing(requests: OpenRequests) -> None:
    """Both began before main sent lost cards elsewhere, and are merged into main first."""
    moved = FRAUD.replace("Fraud Desk", "Fraud Two")
    requests.advance({"cards.yaml": ruleset("cards", moved % 10), **harmless(1)})
    requests.open_own(PREMIUM, start=requests.start)
    requests.open_other(8, harmless(3), start=requests.start)
    requests.open_other(9, harmless(1), start=requests.start)
    assert 0 == requests.check()
    assert '8 "A change": Merged, each conversation goes' in requests.stage.cxroute.out
    assert "1 other open" in requests.stage.cxroute.out  # 9 is in main already


@pytest.mark.fast_cases(1)
def test_the_tip_is_that_of_the_server(requests: OpenRequests) -> None:
    """Main moved on after the checkout: with it, the change reverts nothing, and surprises."""
    requests.open_own(PREMIUM)
    requests.advance(harmless(5))
    lost = ONE % ("lost", "lost_card", "Fraud Desk", 30)
    files = {"cards.yaml": ruleset("cards", lost)}
    requests.open_other(8, files, start=requests.tip)
    assert 0 == requests.check()
    assert "1 not as expected" in requests.body()
    assert f"into `main` at `{requests.tip[:8]}` (`base`)" in requests.body()


@pytest.mark.fast_cases(1)
def test_at_most_twenty_are_compared(requests: OpenRequests) -> None:
    """The newest first, from several pages; the others are counted."""
    requests.stage.forge.page_size = 2
    requests.open_own(PREMIUM)
    requests.open_other(1, LATER, "Oldest")
    for number in range(8, 30):
        requests.open_other(number, harmless(number), f"Number {number}")
    assert 0 == requests.check()
    out = requests.stage.cxroute.out
    numbers = re.findall(r'^(\d+) "', out, re.MULTILINE)
    assert [str(number) for number in range(29, 9, -1)] == numbers
    assert f"20 other open {word(requests)}s: 20 as expected." in out
    assert f"3 older {word(requests)}s are not compared." in out


@ON_GITHUB
def test_the_page_shows_what_the_comment_has(requests: OpenRequests) -> None:
    """The lines of docs/changes.md, for the manifests there."""
    page = (ROOT / "docs/changes.md").read_text(encoding="utf-8")
    blocks = r"<!-- file: manifests/(\w+\.yaml) -->\n```yaml\n(.*?)```"
    texts: dict[str, str] = {}
    for name, text in re.findall(blocks, page, re.DOTALL):
        texts.setdefault(name, text)  # a later part of the page has another example
    for name in ("prod.yaml", "cards.yaml", "general.yaml"):
        assert (
            BASE[name].split("rules:")[0].split()
            == texts[name].split("rules:")[0].split()
        )
    requests.advance({name: texts[name] for name in ("cards.yaml", "general.yaml")})
    requests.open_own({"gold.yaml": texts["gold.yaml"]}, start=requests.tip)
    later = texts["cards.yaml"].replace("priority: 10", "priority: 30")
    requests.open_other(8, {"cards.yaml": later}, "Make room", start=requests.tip)
    assert 0 == requests.check()
    (shown,) = re.findall(
        r"<!-- part of a comment -->\n```markdown\n(.*?)```", page, re.DOTALL
    )
    assert shown in requests.body()


@ON_GITHUB
@pytest.mark.parametrize(
    ("bound", "value", "left"), [("MAX_FETCHED", 2, 1), ("SECONDS", -1.0, 3)]
)
def test_the_work_has_bounds(
    requests: OpenRequests, bound: str, value: float, left: int
) -> None:
    """On requests that change no manifests, and on time; the others are counted."""
    requests.open_own(PREMIUM)
    requests.open_other(8, LATER)
    for number in (9, 10):
        requests.open_other(number, {"../README.md": f"change {number}"})
    path = f"reconciler.features.forge.merge_pairs.{bound}"
    requests.stage.patch.setattr(path, value)
    assert 0 == requests.check()
    out = requests.stage.cxroute.out
    assert 'none of the newest other open pull requests into "main" changes' in out
    verb = "request is" if left == 1 else "requests are"
    assert f"{left} older pull {verb} not compared." in out


# Requests that cannot be compared


@pytest.mark.fast_cases(1)
def test_a_text_conflict_is_a_line(requests: OpenRequests) -> None:
    """Of the two, or of the other with main; the file is named."""
    requests.open_own(LATER)
    requests.open_other(8, {"cards.yaml": ruleset("cards", FRAUD % 50)}, "Same line")
    assert 0 == requests.check()
    place = "checkout/manifests/cards.yaml:5"
    assert (
        f"git cannot merge the two, because both change the same lines or files: {place}"
        in requests.stage.cxroute.out
    )
    requests.advance({"cards.yaml": ruleset("cards", FRAUD % 70)})
    requests.stage.enter(FakeRun(sha=requests.own))
    assert 0 == requests.check()
    reason = f'git cannot merge it into "main", because both change the same lines or files: {place}'
    assert (
        f'was not compared with the other open ones into "main": {reason}'
        in requests.stage.cxroute.out
    )


@pytest.mark.fast_cases(1)
def test_only_conflicts_in_manifests_count(requests: OpenRequests) -> None:
    """The other one conflicts with main elsewhere."""
    requests.open_own(PREMIUM)
    requests.advance({"../README.md": "main"})
    requests.open_other(8, {**LATER, "../README.md": "change"})
    assert 0 == requests.check()
    assert "1 not as expected" in requests.stage.cxroute.out


@pytest.mark.fast_cases(1)
def test_an_invalid_other_request_is_a_line(requests: OpenRequests) -> None:
    """Its error is named; the others are compared."""
    requests.open_own(PREMIUM)
    requests.open_other(
        8, {"wrong.yaml": "apiVersion: routing/v1\nkind: Unknown\nname: x\n"}
    )
    requests.open_other(9, {"prod.yaml": PROD.replace("prod", "live")})
    requests.open_other(10, {"prod.yaml": PROD + "attributes: {intent: topic}\n"})
    requests.open_other(11, LATER)
    assert 0 == requests.stage.note()
    assert 0 == requests.check()
    body = requests.body()
    assert "1 not as expected, 3 not compared" in body
    assert re.search(r"- 8 `A change`: Not compared: its manifests have 1 error", body)
    assert (
        "- 9 `A change`: Not compared: its manifests: no Environment is named" in body
    )
    assert "- 10 `A change`: Not compared: the Environment `prod` has other" in body


@pytest.mark.fast_cases(1)
def test_a_missing_head_is_a_line(requests: OpenRequests) -> None:
    """The ref is not there, or it does not have the commit; the others are compared."""
    requests.open_own(PREMIUM)
    heads = [requests.open_other(number, LATER) for number in (8, 9)]
    refs = git(
        "for-each-ref", "--format=%(refname)", at=str(requests.host.folder)
    ).split()
    for ref in refs:
        if ref.endswith(("/8/head", "/8/merge", "change-8")):
            git("update-ref", "-d", ref, at=str(requests.host.folder))
    git("gc", "--quiet", "--prune=now", at=str(requests.host.folder))
    assert 0 == requests.check()
    if heads[0] == heads[1]:  # equal commits of one second
        return
    out = requests.stage.cxroute.out
    assert f"Not compared: its commit {heads[0][:8]} cannot be fetched." in out
    assert "2 other open" in out
    assert "1 not as expected, 1 not compared" in out


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"x.yaml": "kind: Unknown\n"}, "its manifests have "),
        ({"prod.yaml": PROD.replace("prod", "live")}, "its manifests: no Environment"),
    ],
)
def test_an_invalid_own_request_is_one_line(
    requests: OpenRequests, files: dict[str, str], reason: str
) -> None:
    """Nothing is compared, and the check does not fail."""
    requests.open_own(files)
    requests.open_other(8, LATER)
    assert 0 == requests.stage.note()
    assert 0 == requests.check()
    (line,) = (line for line in requests.body().splitlines() if "Merge check" in line)
    assert f"was not compared with the other open ones into `main`: {reason}" in line


@pytest.mark.fast_cases(1)
def test_a_merge_that_is_invalid_alone_is_unexpected(requests: OpenRequests) -> None:
    """Both add a rule with one name, in different files."""
    rule = "  - {key: %s, name: same, intent: x, queue: General, priority: 5}\n"
    requests.open_own({"one.yaml": ruleset("one", rule % "one")})
    requests.open_other(8, {"two.yaml": ruleset("two", rule % "two")})
    assert 0 == requests.check()
    body = requests.body()
    assert "1 not as expected" in body
    assert "Each is valid, and merged, the manifests have 1 error" in body
    assert "- `checkout/manifests/two.yaml:5`: " in body


@pytest.mark.fast_cases(1)
def test_a_test_that_fails_in_the_merge_alone_is_shown(requests: OpenRequests) -> None:
    """With the message of the test."""
    test = "{given: {intent: lost_card, attributes: {tier: gold}}, expect: {queue: Fraud Desk}}"
    text = "apiVersion: routing/v1\nkind: RouteTests\nname: cards\ntests:\n"
    requests.open_own({**PREMIUM, "tests.yaml": f"{text}  - {test}\n"})
    requests.open_other(8, LATER)
    assert 0 == requests.check()
    body = requests.body()
    assert "Merged, a route test or promise fails, and it fails with neither" in body
    assert "These tests and promises fail in the merge, and in neither change:" in body


# What forks write


@WITH_REFS_OF_FORKS
def test_a_request_of_a_fork_is_compared(requests: OpenRequests) -> None:
    """The forge has its commit; no branch of the repository has its name."""
    requests.open_own(PREMIUM)
    requests.open_fork(8, requests.change(LATER))
    assert 0 == requests.check()
    assert "1 not as expected" in requests.stage.cxroute.out


@pytest.mark.parametrize("stage", ["bitbucket"], indirect=True)
def test_a_fork_whose_commits_are_elsewhere_is_a_line(requests: OpenRequests) -> None:
    """A branch of the same name is another one."""
    requests.open_own(PREMIUM)
    requests.open_fork(8, requests.change(harmless(8)))
    assert 0 == requests.check()
    text = (
        "Not compared: it comes from a fork, whose commits are not in this repository."
    )
    assert text in requests.stage.cxroute.out


@WITH_REFS_OF_FORKS
def test_files_of_a_fork_are_only_data(requests: OpenRequests, tmp_path: Path) -> None:
    """Links out of the folder, attributes, a submodule, and hooks do nothing."""
    secret = tmp_path / "secret.yaml"
    secret.write_text(
        ruleset("stolen", ONE % ("key", "stolen_intent", "General", 5)),
        encoding="utf-8",
    )
    requests.open_own(PREMIUM)
    home = requests.home
    git("checkout", "--quiet", "--detach", requests.start, at=str(home))
    (home / "manifests/link.yaml").symlink_to(secret)
    (home / "manifests/up.yaml").symlink_to("../../../secret.yaml")
    (home / ".gitattributes").write_text(
        "* filter=x merge=x diff=x\n", encoding="utf-8"
    )
    (home / ".gitmodules").write_text(
        f'[submodule "x"]\n  path = x\n  url = {tmp_path}/author\n', encoding="utf-8"
    )
    requests.commit({})
    head = git("rev-parse", "HEAD", at=str(home)).strip()
    requests.push(head)
    requests.open_fork(8, head)
    assert 0 == requests.check()
    assert (
        '8 "A change": Not compared: its manifests have 2 errors'
        in requests.stage.cxroute.out
    )
    assert "stolen_intent" not in requests.stage.shown
    assert "leads out of the manifests" in requests.stage.cxroute.out


@ON_GITHUB
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_names_from_outside_are_escaped(requests: OpenRequests, block: int) -> None:
    """Of titles, rules and queues: no markup, no mention, no line of the report, no command."""
    requests.open_own(PREMIUM)
    names = list(NAMES.values())[block::BLOCKS]
    for number, name in enumerate(names, 8):
        quoted = json.dumps(name)  # YAML reads it, too
        same = f"  - {{key: same, name: {quoted}, when: [], queue: {quoted}, priority: 40}}\n"
        files = {**LATER, "general.yaml": ruleset("general", REST, same)}
        requests.open_fork(
            number, requests.change(files if number % 2 else LATER), name
        )
    assert 0 == requests.check()
    body = requests.body()
    lines = body.splitlines()
    assert 4 == sum(line.startswith("<!-- cxroute:") for line in lines)
    assert len(lines) == len(body.rstrip("\n").split("\n"))
    page = parse_as_github(body)
    assert [] == page.unclosed
    assert {name for name, _ in page.tags} <= ELEMENTS
    assert not any(MENTION.search(text) for text in page.texts_outside("code"))
    out = requests.stage.cxroute.out
    assert not re.search(r"^\s*(::|##)", out, re.MULTILINE)
    assert len(names) + 2 == len(out.splitlines())


# Failures of the forge


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502])
def test_an_error_of_the_forge_is_a_warning(
    requests: OpenRequests, status: int
) -> None:
    """Nothing is compared, and the exit code is 0."""
    requests.open_own(PREMIUM)
    requests.open_other(8, LATER)
    pattern = r"^GET .*(/pulls|/merge_requests|/pull[rR]equests)$"
    for fault in [FakeFault(pattern, status)] * 8:
        requests.stage.forge.faults.append(fault)
    assert 0 == requests.check()
    assert (
        "warning: The merge check is not done: cannot list the "
        in requests.stage.cxroute.err
    )
    assert [] == requests.stage.forge.notes()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b"[1, null, {}]",
        b'[{"number": "x", "iid": {}}]',
        b'{"value": [7], "values": {}}',
    ],
)
def test_junk_of_the_forge_is_not_an_error(requests: OpenRequests, body: bytes) -> None:
    """A response of another form, or a list of other things."""
    requests.open_own(PREMIUM)
    pattern = r"^GET .*(/pulls|/merge_requests|/pull[rR]equests)$"
    requests.stage.forge.faults.append(FakeFault(pattern, 200, {}, body))
    assert 0 == requests.check()
    shown = " ".join(requests.stage.shown.split())
    assert "The merge check is not done" in shown or "7 is not open" in shown
    assert [] == requests.stage.forge.notes()


@pytest.mark.fast_cases(1)
def test_a_repository_that_cannot_be_fetched_is_a_warning(
    requests: OpenRequests,
) -> None:
    """The token is not printed, in no form."""
    requests.open_own(PREMIUM)
    requests.open_other(8, LATER)
    requests.host.refuses = 3
    assert 0 == requests.check()
    assert "warning: The merge check is not done: fatal: " in requests.stage.cxroute.err
    requests.host.refuses = 0
    requests.host.authorization = "Basic other"
    assert 0 == requests.check()
    assert "warning: The merge check is not done: fatal: " in requests.stage.cxroute.err


@pytest.mark.fast_cases(1)
def test_without_the_right_to_comment_the_result_is_elsewhere(
    requests: OpenRequests, tmp_path: Path
) -> None:
    """In the job's summary if there is one, or else in the log."""
    requests.open_own(PREMIUM)
    requests.open_other(8, LATER)
    fault = FakeFault("^(POST|PUT|PATCH) ", 403)
    requests.stage.forge.faults.append(fault)
    assert 0 == requests.check()
    assert "| `lost_card`, tier gold |" in requests.stage.cxroute.out
    summary = tmp_path / "summary.md"
    requests.stage.patch.setenv("CXROUTE_SUMMARY", str(summary))
    requests.stage.forge.faults.append(fault)
    assert 0 == requests.check()
    assert "| `lost_card`, tier gold |" in summary.read_text(encoding="utf-8")
    assert "the result of the merge check is in the job summary" in " ".join(
        requests.stage.cxroute.err.split()
    )
    assert [] == requests.stage.forge.notes()


@pytest.mark.fast_cases(1)
def test_outside_of_a_request_there_is_nothing_to_compare(
    requests: OpenRequests,
) -> None:
    """A run of a branch, and a request that was closed since."""
    requests.open_own(PREMIUM)
    requests.open_other(8, LATER)
    requests.stage.patch.delenv("BITBUCKET_PR_ID", raising=False)
    requests.enter(FakeRun(pull_request=None))
    assert 0 == requests.check()
    assert "There is no pull request to compare" in requests.stage.cxroute.err
    requests.enter(FakeRun(sha=requests.own))
    assert 0 == requests.check("--pull-request", "12")
    assert "12 is not open: nothing is compared" in requests.stage.cxroute.out


@pytest.mark.parametrize(
    ("stage", "variable", "value"),
    [
        ("github", "GITHUB_EVENT_NAME", "merge_group"),
        ("gitlab", "CI_MERGE_REQUEST_EVENT_TYPE", "merge_train"),
    ],
    indirect=["stage"],
)
def test_in_a_merge_queue_there_is_nothing_to_do(
    requests: OpenRequests, variable: str, value: str
) -> None:
    """The queue's own merge is planned."""
    requests.open_own(PREMIUM)
    requests.open_other(8, LATER)
    requests.stage.patch.setenv(variable, value)
    asked = len(requests.stage.forge.asked)
    assert 0 == requests.check()
    assert "merge-check has nothing to do" in requests.stage.cxroute.out
    assert asked == len(requests.stage.forge.asked)


@pytest.mark.fast_cases(1)
def test_only_wrong_usage_is_an_error(requests: OpenRequests) -> None:
    """No Environment, and two of them; without a token, there is a warning."""
    requests.open_own(PREMIUM)
    assert 64 == requests.stage.run("merge-check", "-m", "checkout/manifests")
    assert 64 == requests.stage.run("merge-check", "-e", "prod,stage")
    requests.stage.patch.setenv(requests.stage.forge.token_variable, " ")
    assert 0 == requests.stage.cxroute(
        requests.stage.forge.name, "merge-check", "-e", "prod"
    )
    assert "is not set or not valid" in requests.stage.cxroute.err


# One comment, in whichever order the steps run


@pytest.mark.fast_cases(1)
def test_the_order_of_the_two_steps_does_not_matter(requests: OpenRequests) -> None:
    """The plan first or the merge check first: the comment is the same."""
    requests.open_own(PREMIUM)
    requests.open_other(8, LATER)
    assert 0 == requests.check()
    assert 0 == requests.stage.note()
    first = requests.body()
    assert first.index("1 to create") < first.index("Merge check")
    requests.enter(FakeRun(sha=requests.own, id=101))
    assert 0 == requests.stage.note()
    assert 0 == requests.check()
    if requests.stage.forge.name != "bitbucket":  # which does not keep the HTML
        assert "it is up to date" in requests.stage.cxroute.out
    second = (
        requests.body().replace('"run":101', '"run":100').replace("101001", "100001")
    )
    assert first.split() == second.split()


@pytest.mark.fast_cases(1)
def test_a_part_about_an_earlier_commit_is_removed(requests: OpenRequests) -> None:
    """By the plan of the next commit, or by its lack; the next merge check writes it again."""
    requests.open_own(PREMIUM)
    requests.open_other(8, LATER)
    assert 0 == requests.stage.note()
    assert 0 == requests.check()
    requests.enter(FakeRun(id=101, sha=requests.start))
    assert 0 == requests.stage.note("**2 to create**")
    assert "Merge check" not in requests.body()
    assert "2 to create" in requests.body()
    requests.enter(FakeRun(id=102, sha=requests.own))
    assert 0 == requests.check()
    assert "Merge check" in requests.body()
    requests.enter(FakeRun(id=103, sha=requests.start))
    assert 0 == requests.stage.run(
        requests.stage.note_task, "-e", "prod", "--report", "none"
    )
    assert "Merge check" not in requests.body()
    assert "2 to create" in requests.body()


@pytest.mark.fast_cases(1)
def test_an_older_run_does_not_replace_the_part(requests: OpenRequests) -> None:
    """Neither that of a newer merge check, nor beside a newer plan."""
    requests.open_own(PREMIUM)
    requests.open_other(8, LATER)
    requests.enter(FakeRun(id=102, sha=requests.own))
    assert 0 == requests.check()
    newer = requests.stage.forge.notes()
    requests.open_other(8, harmless(8))
    requests.enter(FakeRun(id=101, sha=requests.own))
    assert 0 == requests.check()
    assert "a newer run wrote it" in requests.stage.cxroute.out
    assert newer == requests.stage.forge.notes()
    requests.enter(FakeRun(id=105, sha=requests.start))
    assert 0 == requests.stage.note()
    requests.enter(FakeRun(id=104, sha=requests.own))
    assert 0 == requests.check()
    assert "a newer run wrote it" in requests.stage.cxroute.out
    assert "Merge check" not in requests.body()


@pytest.mark.fast_cases(1)
def test_an_applied_plan_keeps_the_part(requests: OpenRequests) -> None:
    """And no later merge check replaces it."""
    requests.open_own(PREMIUM)
    requests.open_other(8, LATER)
    assert 0 == requests.stage.note()
    assert 0 == requests.check()
    Path("applied.json").write_text(
        '{"outcomes": [], "converged": true}', encoding="utf-8"
    )
    words = ("-e", "prod", "--applied", "applied.json", "--pull-request", "7")
    assert 0 == requests.stage.run(requests.stage.note_task, *words)
    body = requests.body()
    assert body.index("Nothing was left to apply") < body.index("Merge check")
    requests.open_other(8, harmless(8))
    assert 0 == requests.check()
    assert "the plan was applied since" in requests.stage.cxroute.out
    assert body == requests.body()


@pytest.mark.fast_cases(1)
def test_a_surprise_that_is_gone_leaves_one_line(requests: OpenRequests) -> None:
    """After the other request was changed."""
    requests.open_own(PREMIUM)
    requests.open_other(8, LATER)
    assert 0 == requests.check()
    requests.open_other(8, harmless(8))
    requests.enter(FakeRun(id=101, sha=requests.own))
    assert 0 == requests.check()
    assert "1 as expected" in requests.body()
    assert "lost_card" not in requests.body()


@pytest.mark.fast_cases(1)
def test_a_long_plan_leaves_room_for_the_part(requests: OpenRequests) -> None:
    """The plan is cut, its open part is closed, and the part is whole."""
    requests.open_own(PREMIUM)
    requests.open_other(8, LATER)
    text = f"<details><summary>Rules</summary>\n\n{'x ' * 600_000}\n</details>"
    assert 0 == requests.stage.note(text)
    assert 0 == requests.check()
    body = requests.body()
    assert body.rstrip().endswith(
        ("<!-- cxroute:merge ends -->", "cxroute:merge ends)")
    )
    assert "| `lost_card`, tier gold |" in body
    assert body.count("<details>") == body.count("</details>")
    (note,) = requests.stage.forge.notes()
    assert BOT == note.author


@pytest.mark.fast_cases(1)
def test_a_copy_of_the_part_by_others_is_not_edited(requests: OpenRequests) -> None:
    """Only the comment of the token's owner is read."""
    requests.open_own(PREMIUM)
    requests.open_other(8, LATER)
    requests.stage.forge.add_note("eve", "<!-- cxroute:plan env=prod -->\nmine\n")
    assert 0 == requests.check()
    assert ["eve", BOT] == [note.author for note in requests.stage.forge.notes()]


@pytest.mark.fast_cases(1)
def test_a_full_clone_lends_its_objects(requests: OpenRequests) -> None:
    """The result is that of a shallow clone."""
    requests.open_own(PREMIUM)
    requests.open_other(8, LATER)
    is_shallow = ("rev-parse", "--is-shallow-repository")
    assert "true" == git(*is_shallow, at="checkout")
    assert 0 == requests.check()
    first = requests.body()
    git("fetch", "--quiet", "--unshallow", "origin", requests.own, at="checkout")
    assert "false" == git(*is_shallow, at="checkout")
    before = files_of("checkout")
    assert 0 == requests.check()
    assert first.split() == requests.body().split()
    assert before == files_of("checkout")


@pytest.mark.fast_cases(1)
def test_the_token_is_for_the_forge_alone(
    requests: OpenRequests, tmp_path: Path
) -> None:
    """A setting of the machine replaces the address: the other server gets no token."""
    requests.open_own(PREMIUM)
    requests.open_other(8, LATER)
    seen: list[str | None] = []

    def respond(request: HttpRequest) -> HttpReply:
        seen.append(request.headers.get("Authorization"))
        return HttpReply(401, b"", {"WWW-Authenticate": "Basic"})

    address = requests.stage.module.read_run(os.environ).git
    with threaded_server(respond) as url:
        text = f'[url "{url}/x.git"]\n  insteadOf = "{address}"\n'
        settings = tmp_path / "settings"
        settings.write_text(text, encoding="utf-8")
        requests.stage.patch.setenv("GIT_CONFIG_GLOBAL", str(settings))
        assert 0 == requests.check()
    assert {None} == {*seen}
    assert "The merge check is not done" in requests.stage.cxroute.err
