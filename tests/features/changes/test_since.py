"""`cxroute since` and `explain --since`: what they print, and where a search ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.features.changes.since import pull_request
from tests.support.cases import each_case
from tests.support.fallback_project import git
from tests.support.program import Program, write

ENVIRONMENT: Final = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
tenant: acme
"""
LOST: Final = ("-e", "prod", "--intent", "lost")
CODE_SPAN: Final = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)")
HOSTILE: Final = "<img src=x> `rm` @team \u202e [a](http://e.example) | #1 !2"


def rules(queue: str, key: str = "lost") -> str:
    """Return a RuleSet that sends `lost` to a queue."""
    rule = {"key": key, "intent": "lost", "queue": queue}
    return f"apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules: [{json.dumps(rule)}]\n"


def commit(subject: str, author: str = "Ann <ann@example.com>") -> str:
    """Commit every file, with a date that is known; return the commit."""
    git("add", "-A")
    git("commit", "-q", "--allow-empty", "-m", subject, f"--author={author}")
    return git("rev-parse", "HEAD")


@pytest.fixture
def history(cxroute: Program, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """`lost` goes to Cards, then to Fraud, then an other rule sends it there."""
    del cxroute
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-03T09:12:00+0100")
    git("init", "-q", "-b", "main")
    write("prod.yaml", ENVIRONMENT)
    write("cards.yaml", rules("Cards"))
    commits = [commit("Begin")]
    write("cards.yaml", rules("Fraud"))
    commits.append(commit("Send lost cards to fraud (#57)", "Bob <bob@example.com>"))
    write("cards.yaml", rules("Fraud", "renamed"))
    commits.append(commit("Rename a rule"))
    return commits


def test_text_names_the_commit_and_both_routes(
    history: list[str], cxroute: Program
) -> None:
    """The rule of today may be another one than that of the commit."""
    assert 0 == cxroute("since", *LOST)
    assert cxroute.out == (
        'By the manifests of prod at HEAD, a conversation with intent "lost" goes to "Fraud", '
        "by cards/renamed.\n"
        f"It does so since commit {history[1][:8]} of 2026-11-03 09:12 +01:00 by Bob in pull "
        'request 57: "Send lost cards to fraud (#57)".\n'
        'Before: "Cards", by cards/lost.\n'
        'After: "Fraud", by cards/lost.\n'
    )


def test_all_lists_every_change(history: list[str], cxroute: Program) -> None:
    """The first version is one of them: there was nothing before it."""
    assert 0 == cxroute("since", *LOST, "--all")
    assert cxroute.out.partition("\n\n")[2] == (
        "2 changes of its destination, newest first:\n"
        f"  commit {history[1][:8]} of 2026-11-03 09:12 +01:00 by Bob in pull request 57: "
        '"Send lost cards to fraud (#57)"\n'
        '      "Cards", by cards/lost -> "Fraud", by cards/lost\n'
        f'  commit {history[0][:8]} of 2026-11-03 09:12 +01:00 by Ann: "Begin"\n'
        '      no valid version in this folder -> "Cards", by cards/lost\n'
    )


def test_json_has_the_commit_and_both_routes(
    history: list[str], cxroute: Program
) -> None:
    """Ids of queues that are not known offline are null."""
    code, found = cxroute.json("since", *LOST)
    queue = {"queueId": None, "queueName": "Fraud", "share": 1.0}
    after = {"rule": "cards/lost", "destination": {"queues": [queue]}}
    before = {
        "rule": "cards/lost",
        "destination": {"queues": [{**queue, "queueName": "Cards"}]},
    }
    change = {
        "commit": history[1],
        "date": "2026-11-03T09:12:00+01:00",
        "author": "Bob",
        "subject": "Send lost cards to fraud (#57)",
        "pullRequest": 57,
        "before": before,
        "after": after,
    }
    assert 0 == code
    assert found == {
        "environment": "prod",
        "input": {"cognigyDetectedIntent": "lost"},
        "now": {**after, "rule": "cards/renamed"},
        "since": {**change, "run": None},
        "changes": [change],
        "broken": [],
        "complete": True,
        "shallow": False,
        "workTreeDiffers": False,
    }


def test_the_beginning_has_nothing_before(history: list[str], cxroute: Program) -> None:
    """A conversation that no rule ever took went to the default routing since the beginning."""
    _, found = cxroute.json("since", "-e", "prod", "--intent", "other")
    assert history[0] == found["since"]["commit"]
    assert found["since"]["before"] is None
    assert {"rule": None, "destination": {"default": True}} == found["since"]["after"]
    assert found["complete"] is True


@pytest.mark.usefixtures("history")
def test_hostile_texts_of_commits_stay_texts(cxroute: Program) -> None:
    """In a terminal, and in a comment; in JSON they are as they were written."""
    write("cards.yaml", rules("General"))
    commit(f"{HOSTILE}\x1b[31m", "@team\u200b <x@example.com>")
    assert 0 == cxroute("since", *LOST)
    assert not {"\x1b", "\u202e", "\u200b"} & {*cxroute.out}
    assert 0 == cxroute("since", *LOST, "--all", "--format", "markdown")
    assert not {"\x1b", "\u202e", "\u200b"} & {*cxroute.out}
    for line in cxroute.out.splitlines():
        outside = CODE_SPAN.sub("", line)
        assert not {"<", "@"} & {*outside}, line
    _, found = cxroute.json("since", *LOST)
    assert f"{HOSTILE}\x1b[31m" == found["since"]["subject"]


@pytest.mark.usefixtures("history")
def test_markdown_is_a_table_with_all(cxroute: Program) -> None:
    """Each change is a row; bars in a subject end no cell."""
    write("cards.yaml", rules("General"))
    commit("a | b")
    assert 0 == cxroute("since", *LOST, "--all", "--format", "markdown")
    rows = [line for line in cxroute.out.splitlines() if line.startswith("|")]
    assert 5 == len(rows)
    assert {7} == {row.replace("\\|", "").count("|") for row in rows}


def test_invalid_versions_are_named_and_passed_over(
    history: list[str], cxroute: Program
) -> None:
    """Once for each version of the manifests, by its first commit."""
    write("cards.yaml", "kind: [")
    first = commit("Break")
    Path("code").write_text("x", encoding="utf-8")
    commit("Other work")
    write("cards.yaml", rules("General"))
    repaired = commit("Repair")
    _, found = cxroute.json("since", *LOST)
    assert repaired == found["since"]["commit"]
    assert "cards/renamed" == found["since"]["before"]["rule"]
    assert [first] == [each["commit"] for each in found["broken"]]
    assert found["broken"][0]["problem"].startswith("manifests/cards.yaml:")
    assert 0 == cxroute("since", *LOST)
    assert "1 version with invalid manifests, passed over:" in cxroute.out
    assert f"commit {first[:8]} of" in cxroute.out
    assert history


def test_invalid_manifests_that_return_are_named_once(
    history: list[str], cxroute: Program
) -> None:
    """By the first commit that had them, in the order of these commits."""
    write("cards.yaml", "kind: [")
    first = commit("Break")
    write("cards.yaml", "kind: {")
    second = commit("Break otherwise")
    write("cards.yaml", "kind: [")
    commit("Break as before")
    write("cards.yaml", rules("General"))
    commit("Repair")
    _, found = cxroute.json("since", *LOST)
    assert [second, first] == [each["commit"] for each in found["broken"]]
    assert history


def test_each_version_has_its_own_fallback(
    history: list[str], cxroute: Program
) -> None:
    """A bound of the endpoint moves the caller, and no rule was edited."""
    fallback = "context: {minConfidence: 0.8, below: {intent: none}}\n"
    write("prod.yaml", f"{ENVIRONMENT}{fallback}")
    raised = commit("Raise the bound")
    _, found = cxroute.json("since", *LOST, "--confidence", "0.5")
    assert raised == found["since"]["commit"]
    assert "cards/renamed" == found["since"]["before"]["rule"]
    assert {"default": True} == found["since"]["after"]["destination"]
    _, found = cxroute.json("since", *LOST, "--confidence", "0.9")
    assert history[1] == found["since"]["commit"]


def test_each_version_has_its_own_names_of_attributes(
    history: list[str], cxroute: Program
) -> None:
    """The bot sends an intent, whatever rules call it."""
    names = "attributes: {intent: detected, confidence: sureness}\n"
    write("prod.yaml", f"{ENVIRONMENT}{names}")
    commit("Rename attributes")
    _, found = cxroute.json("since", *LOST, "--confidence", "0.9")
    assert {"detected": "lost", "sureness": 0.9} == found["input"]
    assert history[1] == found["since"]["commit"]


@pytest.mark.usefixtures("history")
def test_an_invalid_head_is_an_error_about_its_files(cxroute: Program) -> None:
    """Exit code 3, with the path in the work tree."""
    write("cards.yaml", "kind: [")
    commit("Break")
    write("cards.yaml", rules("Fraud"))
    assert 3 == cxroute("since", *LOST)
    assert "manifests/cards.yaml:" in cxroute.err
    assert "/cxroute-" not in cxroute.err
    assert "" == cxroute.out


def test_a_failing_test_is_not_invalid(history: list[str], cxroute: Program) -> None:
    """Nor is a broken promise: the version routes conversations."""
    route_test = (
        "apiVersion: routing/v1\nkind: RouteTests\nname: t\n"
        "tests: [{given: {intent: lost}, expect: {queue: Nowhere}}]\n"
    )
    write("tests.yaml", route_test)
    commit("Add a test")
    _, found = cxroute.json("since", *LOST)
    assert history[1] == found["since"]["commit"]
    assert [] == found["broken"]


def test_another_work_tree_is_noted(history: list[str], cxroute: Program) -> None:
    """The answer stays about HEAD; other line ends do not count."""
    path = Path("manifests/cards.yaml")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\n", b"\r\n"))
    _, found = cxroute.json("since", *LOST)
    assert found["workTreeDiffers"] is False
    write("cards.yaml", "kind: [")
    code, found = cxroute.json("since", *LOST)
    assert (0, True, history[1]) == (
        code,
        found["workTreeDiffers"],
        found["since"]["commit"],
    )
    assert 0 == cxroute("since", *LOST)
    assert "The work tree has other manifests than HEAD" in cxroute.out


def test_a_search_writes_nothing(history: list[str], cxroute: Program) -> None:
    """No file of the work tree and of the repository is touched."""

    def state() -> dict[str, tuple[int, int]]:
        paths = [path for path in Path().rglob("*") if path.is_file()]
        return {
            str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in paths
        }

    before = state()
    assert 0 == cxroute("since", *LOST, "--all")
    assert before == state()
    assert history


def test_a_search_ends_where_the_environment_begins(
    history: list[str], cxroute: Program
) -> None:
    """And where the folder does: what is before is not asked for."""
    write("prod.yaml", ENVIRONMENT.replace("name: prod", "name: other"))
    commit("Remove prod")
    write("prod.yaml", ENVIRONMENT)
    back = commit("Add prod")
    _, found = cxroute.json("since", *LOST, "--all")
    assert [back] == [change["commit"] for change in found["changes"]]
    assert found["since"]["before"] is None
    assert found["complete"] is True
    git("rm", "-rq", "manifests")
    commit("Remove the folder")
    git("checkout", "-q", f"{history[0]}", "--", "manifests")
    again = commit("Add the folder")
    _, found = cxroute.json("since", *LOST, "--all")
    assert [again] == [change["commit"] for change in found["changes"]]


def test_a_limit_leaves_the_answer_open(history: list[str], cxroute: Program) -> None:
    """At least since the oldest commit that was searched."""
    _, found = cxroute.json("since", *LOST, "--limit", "2")
    assert history[1] == found["since"]["commit"]
    assert (None, False, False, []) == (
        found["since"]["before"],
        found["complete"],
        found["shallow"],
        found["changes"],
    )
    assert 0 == cxroute("since", *LOST, "--limit", "2")
    assert "It does so at least since commit" in cxroute.out
    assert "--limit is 2 commits" in cxroute.out
    _, found = cxroute.json("since", *LOST, "--limit", "3")
    assert found["complete"] is True


def test_a_shallow_clone_is_named(history: list[str], cxroute: Program) -> None:
    """With the command that brings the rest; a complete clone of one commit is not shallow."""
    source = Path().absolute().as_uri()
    git("clone", "-q", "--depth", "2", source, "clone")
    place = ("-m", "clone/manifests")
    code, found = cxroute.json("since", *place, *LOST)
    assert (0, False, True) == (code, found["complete"], found["shallow"])
    assert history[1] == found["since"]["commit"]
    assert 0 == cxroute("since", *place, *LOST)
    assert "git fetch --unshallow" in cxroute.out
    git("fetch", "-q", "--unshallow", at="clone")
    _, found = cxroute.json("since", *place, *LOST)
    assert (True, False) == (found["complete"], found["shallow"])
    assert found["since"]["before"] is not None


def test_a_merge_counts_as_one_change(history: list[str], cxroute: Program) -> None:
    """The commits of the branch did not reach the default branch one by one."""
    git("checkout", "-q", "-b", "side")
    write("cards.yaml", rules("General"))
    commit("A step")
    write("cards.yaml", rules("Priority"))
    commit("Another step")
    git("checkout", "-q", "main")
    git("merge", "-q", "--no-ff", "-m", "Merge pull request #8 from a/side", "side")
    _, found = cxroute.json("since", *LOST)
    assert git("rev-parse", "HEAD") == found["since"]["commit"]
    assert 8 == found["since"]["pullRequest"]
    assert history


@each_case(
    "subject, number",
    [
        ("Send cards (#57)", 57),
        ('Revert "Send cards (#12)" (#15)', 15),
        ('Revert "Send cards (#12)"', None),
        ('Revert "Revert "Send cards (#12)" (#13)"', None),
        ('Reapply "Merge branch b !31"', None),
        ("Merge pull request #7 from a/b", 7),
        ("Merge branch 'a' into 'main' !31", 31),
        ("See merge request group/project!9", 9),
        ("Fix #4", None),
        ("Wow!2 things", None),
        ("(#0000000000000001)", None),
        ("(#\u0661)", None),
        ("", None),
    ],
)
def test_a_subject_names_its_pull_request(subject: str, number: int | None) -> None:
    """By the form of GitHub and of GitLab; an issue is not a pull request."""
    assert number == pull_request(subject)


@pytest.mark.usefixtures("history")
@each_case(
    "words, text",
    [
        (("-e", "prod"), "specify a conversation"),
        ((*LOST, "--limit", "0"), "--limit"),
        ((*LOST, "--limit", "-1"), "--limit"),
        ((*LOST, "--limit", "x"), "--limit"),
        (("-e", "nowhere", "--intent", "x"), "no Environment is named"),
        ((*LOST, "--confidence", "2"), "--confidence"),
        ((*LOST, "-m", "/"), "no history"),
    ],
)
def test_a_wrong_call_is_refused(
    cxroute: Program, words: tuple[str, ...], text: str
) -> None:
    """With exit code 64."""
    assert 64 == cxroute("since", *words)
    assert text in cxroute.err


def test_a_repository_without_a_commit_is_refused(cxroute: Program) -> None:
    """Also one whose HEAD has no manifests: exit code 3, as for any invalid HEAD."""
    git("init", "-q", "-b", "main")
    write("prod.yaml", ENVIRONMENT)
    assert 64 == cxroute("since", *LOST)
    assert "Commit the manifests first" in cxroute.err
    Path("code").write_text("x", encoding="utf-8")
    git("add", "code")
    git("commit", "-qm", "Code alone")
    assert 3 == cxroute("since", *LOST)
    assert "HEAD has no *.yaml or *.yml file" in cxroute.err


def test_a_linked_folder_is_refused(history: list[str], cxroute: Program) -> None:
    """A commit can change where a link leads, so its history is not known."""
    Path("link").symlink_to("manifests")
    assert 64 == cxroute("since", "-m", "link", *LOST)
    assert "is a symbolic link" in cxroute.err
    assert history


def test_a_folder_that_was_a_link_is_passed_over(
    history: list[str], cxroute: Program
) -> None:
    """What a checkout had there is not known, so it does not count as the beginning."""
    Path("manifests").rename("elsewhere")
    Path("manifests").symlink_to("elsewhere")
    linked = commit("Link the folder")
    Path("manifests").unlink()
    Path("elsewhere").rename("manifests")
    commit("A folder again")
    _, found = cxroute.json("since", *LOST)
    assert history[1] == found["since"]["commit"]
    broken = {
        "commit": linked,
        "problem": "manifests is a symbolic link or a submodule there",
    }
    assert [broken] == found["broken"]


def test_links_in_the_folder_are_followed(history: list[str], cxroute: Program) -> None:
    """As in a checkout; a link that leads out makes a version invalid."""
    Path("manifests/cards.yaml").rename("manifests/rules.txt")
    Path("manifests/cards.yaml").symlink_to("rules.txt")
    commit("Use a link")
    Path("manifests/out.yaml").symlink_to("/etc/passwd")
    out = commit("Lead out")
    Path("manifests/out.yaml").unlink()
    commit("Repair")
    _, found = cxroute.json("since", *LOST)
    assert history[1] == found["since"]["commit"]
    assert [out] == [each["commit"] for each in found["broken"]]


OUTSIDE: Final = b"OUTSIDE"  # stands for the path of a file outside of the manifests


def hostile_tree(*entries: tuple[bytes, bytes, str]) -> str:
    """Write a tree with any names; return it."""
    content = b"".join(
        b"%b %b\0%b" % (mode, name, bytes.fromhex(entry))
        for mode, name, entry in entries
    )
    return hostile_object("tree", content)


def hostile_object(kind: str, content: bytes) -> str:
    """Write an object with any content; return it."""
    command = ["git", "hash-object", "-t", kind, "-w", "--literally", "--stdin"]
    done = subprocess.run(command, input=content, check=True, capture_output=True)
    return done.stdout.decode().strip()


@each_case(
    "name",
    [OUTSIDE, b"../../../../../../tmp/cxroute-hostile.yaml", b"..", b""],
)
def test_names_in_a_tree_lead_nowhere_else(
    history: list[str], cxroute: Program, name: bytes
) -> None:
    """A push can bring a tree that no checkout accepts: no file is written outside."""
    outside = Path("outside.yaml").absolute()
    blob = git("rev-parse", "HEAD:manifests/cards.yaml")
    prod = git("rev-parse", "HEAD:manifests/prod.yaml")
    folder = hostile_tree(
        (b"100644", name.replace(OUTSIDE, os.fsencode(outside)), blob),
        (b"100644", b"cards.yaml", blob),
        (b"100644", b"prod.yaml", prod),
    )
    root = hostile_tree((b"40000", b"manifests", folder))
    made = git("commit-tree", "-m", "Hostile", "-p", "HEAD", root)
    git("update-ref", "HEAD", made)
    code, found = cxroute.json("since", *LOST)
    assert (0, history[1]) == (code, found["since"]["commit"])
    assert not outside.exists()
    assert not Path("/tmp/cxroute-hostile.yaml").exists()  # noqa: S108 - where a bad name leads
    git("update-ref", "HEAD", history[2])


def test_a_link_and_a_folder_of_one_name_lead_nowhere(
    history: list[str], cxroute: Program, tmp_path: Path
) -> None:
    """The second entry of a name does not count: nothing is written through the link."""
    outside = tmp_path / "outside"
    outside.mkdir()
    Path("target").write_text(str(outside), encoding="utf-8")
    link = git("hash-object", "-w", "target")
    inner = hostile_tree((b"120000", b"x.yaml", link))
    prod = git("rev-parse", "HEAD:manifests/prod.yaml")
    folder = hostile_tree(
        (b"120000", b"a", link),
        (b"40000", b"a", inner),
        (b"100644", b"prod.yaml", prod),
    )
    root = hostile_tree((b"40000", b"manifests", folder))
    git("update-ref", "HEAD", git("commit-tree", "-m", "Hostile", "-p", "HEAD", root))
    assert 3 == cxroute("since", *LOST)
    assert "the symbolic link leads out" in cxroute.err
    assert [] == list(outside.iterdir())
    assert history


@pytest.mark.usefixtures("history")
def test_a_damaged_repository_is_an_error(cxroute: Program) -> None:
    """One line, and no traceback; the exit code is 1."""
    tree = git("rev-parse", "HEAD~1:manifests")
    path = Path(".git/objects", tree[:2], tree[2:])
    path.chmod(0o600)
    path.unlink()
    assert 1 == cxroute("since", *LOST, "--all")
    assert "git cannot read the history" in cxroute.err
    assert "bug" not in cxroute.err


def test_a_commit_without_names_is_shown(history: list[str], cxroute: Program) -> None:
    """A push can bring a commit whose head has no author, no date, or the character NUL."""
    write("cards.yaml", rules("General"))
    git("add", "-A")
    tree = git("write-tree")
    parent = f"tree {tree}\nparent {history[2]}\n".encode()
    heads = (
        b"\nsubject",
        b"author A\0B <a@b> 1 +0000\ncommitter C <c@d> 99999999999999999999 +9999\n\nsub\0ject",
        b"author \xff <a@b> 1 +0000\ncommitter C <c@d> -5 +0000\nencoding UTF-16\n\n\xfe\xff\0s",
    )
    for head in heads:
        made = hostile_object("commit", parent + head)
        git("update-ref", "HEAD", made)
        code, found = cxroute.json("since", *LOST)
        assert (0, made) == (code, found["since"]["commit"])
        assert 0 == cxroute("since", *LOST, "--all")
        assert f"commit {made[:8]} of" in cxroute.out


def test_settings_of_git_change_nothing(history: list[str], cxroute: Program) -> None:
    """Formats, signatures, colours and decorations of a person do not reach the answer."""
    settings = {
        "log.showSignature": "true",
        "color.ui": "always",
        "log.decorate": "full",
        "log.date": "relative",
        "i18n.logOutputEncoding": "UTF-16",
        "log.follow": "true",
    }
    for name, value in settings.items():
        git("config", name, value)
    _, found = cxroute.json("since", *LOST)
    assert history[1] == found["since"]["commit"]
    assert "Bob" == found["since"]["author"]


def test_explain_adds_since(history: list[str], cxroute: Program) -> None:
    """After its own answer; in JSON as the document of `since`."""
    assert 0 == cxroute("explain", *LOST, "--since")
    assert f"It does so since commit {history[1][:8]} of" in cxroute.out
    assert cxroute.out.startswith("By the manifests of prod, a conversation")
    _, found = cxroute.json("explain", *LOST, "--since")
    _, alone = cxroute.json("since", *LOST)
    assert alone == found["since"]
    _, without = cxroute.json("explain", *LOST)
    assert "since" not in without


@pytest.mark.usefixtures("history")
def test_explain_since_is_about_manifests(cxroute: Program) -> None:
    """A tenant has no history here, and a code goes to no queue."""
    assert 64 == cxroute("explain", *LOST, "--live", "--since")
    assert "--since is about the manifests" in cxroute.err
    assert 64 == cxroute("explain", "CXR105", "--since")


def test_a_likely_misspelling_is_noted(history: list[str], cxroute: Program) -> None:
    """As by `explain`."""
    words = ("--intent", "lost", "--attr", "langage=de")
    assert 0 == cxroute("since", "-e", "prod", *words)
    assert 'no rule has a condition on "langage"' in cxroute.err
    assert history


def documents(found: Any) -> list[str]:
    """Return the names of the runs."""
    return [run["run"] for run in found["runs"]]


def test_the_first_run_with_the_change_is_named(
    history: list[str], cxroute: Program
) -> None:
    """A run of an earlier commit, a part, a dirty work tree and an undo are not it."""
    place = ("-e", "sandbox")
    sandbox = ("since", *place, "--intent", "lost")
    git("checkout", "-q", history[0])
    assert 0 == cxroute("apply", *place, "--yes")
    git("checkout", "-q", "main")
    assert cxroute.json(*sandbox)[1]["since"]["run"] is None
    write("cards.yaml", rules("Fraud", "other"))
    assert 0 == cxroute("apply", *place, "--yes", "--allow", "deletes", "--reason", "x")
    assert cxroute.json(*sandbox)[1]["since"]["run"] is None
    git("checkout", "-q", "main", "--", "manifests")
    only = ("--only", "cards/renamed")
    assert 0 == cxroute("apply", *place, "--yes", *only)
    assert cxroute.json(*sandbox)[1]["since"]["run"] is None
    assert 0 == cxroute("apply", *place, "--yes", "--allow", "deletes", "--reason", "x")
    runs = documents(cxroute.json("history")[1])
    named = cxroute.json(*sandbox)[1]["since"]["run"]
    assert runs[-1] == named["run"]
    assert named["at"]
    assert 0 == cxroute(*sandbox)
    assert (
        f"First run with these manifests: {runs[-1]}, by {named['who']}." in cxroute.out
    )


def test_a_run_of_an_older_destination_does_not_count(
    history: list[str], cxroute: Program
) -> None:
    """Also where the search goes on to older changes."""
    git("checkout", "-q", history[1])
    assert 0 == cxroute("apply", "-e", "sandbox", "--yes")
    git("checkout", "-q", "main")
    sandbox = ("since", "-e", "sandbox", "--intent", "lost", "--all")
    assert cxroute.json(*sandbox)[1]["since"]["run"] is not None
    write("cards.yaml", rules("General"))
    commit("Change the queue")
    assert cxroute.json(*sandbox)[1]["since"]["run"] is None


def test_an_unreadable_journal_is_a_warning(
    history: list[str], cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit is known without it."""
    Path("journal").mkdir()
    Path("journal/x.jsonl").mkdir()
    monkeypatch.setenv("CXROUTE_JOURNAL", "journal/")
    code, found = cxroute.json("since", *LOST)
    assert (0, history[1]) == (code, found["since"]["commit"])
    assert "the run that applied it is not known" in cxroute.err
