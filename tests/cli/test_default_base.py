"""A plan in a repository compares the endpoint with the merge base of the default branch, and says
so.
"""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.manifest.load import Manifests, load_manifests
from tests.support.fallback_project import PROD, RULES, git
from tests.support.live_file import live_file
from tests.support.program import Program, write

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
NOTE = "The endpoint's fallback is compared with"


def commit(text: str, at: str = ".") -> str:
    """Commit every file; return the commit."""
    git("add", "-A", at=at)
    git("commit", "-qm", text, at=at)
    return git("rev-parse", "HEAD", at=at)


def bound(least: float) -> None:
    """Change the fallback's bound in the manifests."""
    write("prod.yaml", PROD.format(least=least))


@pytest.fixture
def folder(cxroute: Program) -> Program:
    """Two rules behind a fallback below 0.35, live, in no repository."""
    Path("manifests").mkdir()
    bound(0.35)
    write("rules.yaml", RULES)
    live_file()
    return cxroute


@pytest.fixture
def repository(folder: Program) -> Program:
    """The same in a repository with one commit on main."""
    git("init", "-q", "-b", "main")
    commit("before")
    return folder


def plan(program: Program, *words: str) -> tuple[int, Any]:
    return program.json(
        "plan", "-e", "prod", "--live", "live.json", "--detailed-exitcode", *words
    )


def warnings(found: Any) -> list[str]:
    return [
        finding["message"]
        for finding in found["findings"]
        if finding["code"] == "CXR321"
    ]


def before(found: Any) -> float | None:
    return (
        float(found["endpoint"]["before"]["minConfidence"])
        if found["endpoint"]
        else None
    )


def test_a_changed_fallback_is_compared_with_the_last_commit(
    repository: Program,
) -> None:
    """Before it is committed, on the default branch itself: rows, the guard, exit code 2, and one
    line that says so.
    """
    head = git("rev-parse", "HEAD")
    bound(0.5)
    code, actual = plan(repository)
    assert (2, 0.35, head) == (code, before(actual), actual["options"]["base"])
    assert [{"action": "fallback"}] == actual["behaviour"]["effects"][0]["causes"]
    assert "protected" in [
        guard["name"] for guard in actual["guards"] if not guard["ok"]
    ]
    assert [f"{NOTE} HEAD (--base none: with nothing)."] == repository.err.splitlines()
    assert 0 == repository("plan", "-e", "prod", "--live", "live.json")
    assert "The fallback of the context endpoint changes" in repository.out
    assert "--base" not in repository.out


def test_a_branch_is_compared_with_its_merge_base(repository: Program) -> None:
    """Neither the commits of the branch nor later ones of the default branch hide the change."""
    root = git("rev-parse", "HEAD")
    git("checkout", "-qb", "feature")
    bound(0.5)
    commit("a change")
    git("checkout", "-q", "main")
    bound(0.1)
    commit("later")
    git("checkout", "-q", "feature")
    code, actual = plan(repository)
    assert (2, 0.35, root) == (code, before(actual), actual["options"]["base"])
    assert f"{NOTE} commit {root[:8]}, the merge base with main" in repository.err


def test_the_branch_of_the_remote_comes_first(folder: Program) -> None:
    """Its HEAD names it, whatever the name is; commits that were not pushed are a part of the
    change.
    """
    git("init", "-q", "-b", "trunk", "origin")
    shutil.move("manifests", "origin/manifests")
    root = commit("before", at="origin")
    git("clone", "-q", "origin", "clone")
    Path("clone/manifests/prod.yaml").write_text(
        PROD.format(least=0.5), encoding="utf-8"
    )
    commit("not pushed", at="clone")
    code, actual = plan(folder, "-m", "clone/manifests")
    assert (2, 0.35, root) == (code, before(actual), actual["options"]["base"])
    assert f"commit {root[:8]}, the merge base with origin/trunk" in folder.err


@pytest.mark.parametrize("words", [["--base", "none"], []])
def test_without_a_change_of_the_fallback_the_plan_is_the_same(
    repository: Program, words: list[str]
) -> None:
    """Its id does not depend on the commit, and another rule does not change the endpoint."""
    plans = []
    for text in ("one", "two"):
        write("rules.yaml", RULES.replace("General", "Fraud"))
        code, actual = plan(repository, *words)
        assert (2, None, None, []) == (
            code,
            actual["options"]["base"],
            actual["endpoint"],
            warnings(actual),
        )
        plans.append(actual["planId"])
        Path("note.txt").write_text(text, encoding="utf-8")
        git("add", "note.txt")
        git("commit", "-qm", text)
    assert plans[0] == plans[1]
    assert NOTE not in repository.err


def test_none_switches_the_comparison_off(repository: Program) -> None:
    """A changed fallback is not shown then, without a warning; the next command repeats the
    choice.
    """
    bound(0.5)
    code, actual = plan(repository, "--base", "none")
    assert (0, None, []) == (code, before(actual), warnings(actual))
    write("rules.yaml", RULES.replace("General", "Fraud"))
    assert 0 == repository(
        "plan", "-e", "prod", "--live", "live.json", "--base", "none"
    )
    assert "cxroute apply -e prod --base none" in " ".join(repository.out.split())


def test_equal_manifests_are_not_read_again(
    repository: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git's hashes of the files decide that; of changed ones, only these and what decides the
    fallback are read.
    """
    read: list[list[str]] = []
    write("more.yaml", "apiVersion: routing/v1\nkind: RuleSet\nname: more\nrules: []\n")
    commit("more")

    def load(place: Path, instant: datetime | None) -> Manifests:
        read.append(sorted(path.name for path in place.iterdir()))
        return load_manifests(place, instant)

    monkeypatch.setattr("reconciler.cli.base.load_manifests", load)
    plan(repository)
    assert [] == read
    write("rules.yaml", RULES.replace("General", "Fraud"))
    plan(repository)
    assert [["prod.yaml", "rules.yaml"]] == read


@pytest.mark.parametrize("change", ["add", "remove", "rename"])
def test_a_document_that_comes_or_goes_is_compared(
    repository: Program, change: str
) -> None:
    """An Intents document makes other intents unknown."""
    document = (
        "apiVersion: routing/v1\nkind: Intents\nname: bot\nintents: [card, none]\n"
    )
    if change != "add":
        write("bot.yaml", document)
        commit("bot")
    if change == "add":
        write("bot.yaml", document)
    elif change == "remove":
        Path("manifests/bot.yaml").unlink()
    else:
        Path("manifests/bot.yaml").rename("manifests/intents.yaml")
    code, actual = plan(repository)
    changes: dict[str, Any] = {
        "add": ([], ["card", "none"]),
        "remove": (["card", "none"], []),
        "rename": None,
    }
    declared = actual["endpoint"] and tuple(
        actual["endpoint"][side]["knownIntents"] for side in ("before", "after")
    )
    assert (0 if change == "rename" else 2, changes[change]) == (code, declared)


def test_without_a_repository_a_warning_says_what_is_not_compared(
    folder: Program,
) -> None:
    """In one line, for an Environment with a fallback; without one, nothing is missing."""
    code, actual = plan(folder)
    (warning,) = warnings(actual)
    assert (0, None) == (code, actual["options"]["base"])
    assert warning.startswith(
        "a change of the endpoint's fallback is not shown: the manifests are in no git repository"
    )
    assert 0 == folder("-v", "plan", "-e", "prod", "--live", "live.json")
    assert 1 == folder.out.count("CXR321")
    assert (
        "\n      specify --base DIR|REV, or --base none to omit this warning\n"
        in folder.out
    )
    assert [] == warnings(plan(folder, "--base", "none")[1])
    write("prod.yaml", PROD.replace("context", "# context").format(least=0.5))
    assert [] == warnings(plan(folder)[1])


def test_without_git_the_warning_names_it(
    repository: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As the default a warning, with --base an error."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    code, actual = plan(repository)
    assert (0, True) == (code, "git is not installed here" in warnings(actual)[0])
    assert 64 == repository(
        "plan", "-e", "prod", "--live", "live.json", "--base", "HEAD"
    )
    assert "git is not installed here" in repository.err


def test_the_message_of_git_is_passed_on(
    repository: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository of another user, with the command that git advises."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    code, actual = plan(repository)
    (warning,) = warnings(actual)
    assert (0, True) == (code, "detected dubious ownership" in warning)
    assert "git config --global --add safe.directory" in warning
    assert 64 == repository(
        "plan", "-e", "prod", "--live", "live.json", "--base", "HEAD"
    )
    assert "detected dubious ownership" in repository.err


def test_a_shallow_clone_is_named(folder: Program) -> None:
    """A commit that it does not have, with the way to fetch it."""
    git("init", "-q", "-b", "main", "origin")
    shutil.move("manifests", "origin/manifests")
    root = commit("before", at="origin")
    Path("origin/manifests/prod.yaml").write_text(
        PROD.format(least=0.5), encoding="utf-8"
    )
    commit("after", at="origin")
    git("clone", "-q", "--depth", "1", f"file://{Path('origin').resolve()}", "clone")
    words = ["-m", "clone/manifests"]
    assert 64 == folder(
        "plan", "-e", "prod", "--live", "live.json", "--base", root, *words
    )
    assert "This clone is shallow" in " ".join(folder.err.split())
    git("checkout", "-q", "--detach", at="clone")
    for ref in (
        "refs/remotes/origin/HEAD",
        "refs/remotes/origin/main",
        "refs/heads/main",
    ):
        git("update-ref", "--no-deref", "-d", ref, at="clone")
    code, actual = plan(folder, *words)
    assert (0, True) == (
        code,
        "git does not know the default branch here" in warnings(actual)[0],
    )


def test_a_pointer_of_lfs_is_named(repository: Program) -> None:
    """Its file's content is not in the repository."""
    write("prod.yaml", LFS)
    commit("pointer")
    bound(0.5)
    code, actual = plan(repository)
    assert (0, True) == (
        code,
        "prod.yaml is a pointer of Git LFS there" in warnings(actual)[0],
    )
    assert 64 == repository(
        "plan", "-e", "prod", "--live", "live.json", "--base", "HEAD"
    )
    assert "prod.yaml is a pointer of Git LFS there" in repository.err


def test_what_a_named_base_refuses_is_a_warning_by_default(repository: Program) -> None:
    """Other attributes, an unborn branch, manifests behind a link, invalid ones."""
    write("prod.yaml", PROD.format(least=0.5) + "attributes: {intent: other}\n")
    code, actual = plan(repository)
    assert (2, True) == (
        code,
        "the Environment has other `attributes` there" in warnings(actual)[0],
    )
    bound(0.5)
    Path("manifests").rename("moved")
    Path("manifests").symlink_to("moved")
    assert "manifests is a symbolic link" in warnings(plan(repository)[1])[0]
    Path("manifests").unlink()
    Path("moved").rename("manifests")
    shutil.rmtree(".git")
    git("init", "-q")
    assert "the repository has no commit yet" in warnings(plan(repository)[1])[0]
    write("prod.yaml", "kind: Environment\n")
    commit("invalid")
    bound(0.5)
    assert "its manifests are invalid: prod.yaml:1" in warnings(plan(repository)[1])[0]


SANDBOX = PROD.replace("name: prod", "name: sandbox").replace("tenant: acme\n", "")


def test_apply_refuses_what_its_plan_shows(cxroute: Program) -> None:
    """In the sandbox: the guard of a changed fallback holds for `apply` without a saved plan,
    too.
    """
    write("sandbox.yaml", SANDBOX.format(least=0.35))
    write("rules.yaml", RULES)
    git("init", "-q", "-b", "main")
    assert 0 == cxroute("apply", "--yes"), cxroute.err
    commit("before")
    write("sandbox.yaml", SANDBOX.format(least=0.5))
    write("rules.yaml", RULES.replace("900", "800"))
    assert 4 == cxroute("apply", "--yes")
    assert "protected" in cxroute.err
    assert 0 == cxroute("apply", "--yes", "--base", "none"), cxroute.err


def test_a_saved_plan_keeps_the_base_that_was_reviewed(cxroute: Program) -> None:
    """After the merge the branch itself is the base, and what was reviewed is applied
    nevertheless.
    """
    write("sandbox.yaml", SANDBOX.replace("guard", "# guard").format(least=0.35))
    write("rules.yaml", RULES)
    git("init", "-q", "-b", "main")
    assert 0 == cxroute("apply", "--yes"), cxroute.err
    root = commit("before")
    write("sandbox.yaml", SANDBOX.replace("guard", "# guard").format(least=0.5))
    write("rules.yaml", RULES.replace("900", "800"))
    assert 0 == cxroute("plan", "--out", "plan.json"), cxroute.err
    assert root == json.loads(Path("plan.json").read_text("utf-8"))["options"]["base"]
    commit("merged")
    assert 0 == cxroute("apply", "plan.json", "--yes"), cxroute.err
    assert NOTE not in cxroute.err


def test_a_clone_of_one_branch_is_not_compared_with_itself(folder: Program) -> None:
    """A clone of the branch alone does not have the default branch: the plan says so, and how to
    get it.
    """
    git("init", "-q", "-b", "main", "origin")
    shutil.move("manifests", "origin/manifests")
    commit("before", at="origin")
    git("branch", "feature", at="origin")
    git(
        "clone",
        "-q",
        "--depth",
        "1",
        "-b",
        "feature",
        f"file://{Path('origin').resolve()}",
        "clone",
    )
    code, actual = plan(folder, "-m", "clone/manifests")
    (warning,) = warnings(actual)
    assert (0, False) == (code, NOTE in folder.err)
    assert "git does not know the default branch here" in warning
    assert "git remote set-head origin --auto" in warning


def test_another_default_branch_needs_its_name(folder: Program) -> None:
    """Where the only branch has another name than main, it is the default; beside other branches,
    it is not clear.
    """
    git("init", "-q", "-b", "trunk")
    commit("before")
    bound(0.5)
    assert (2, 0.35) == (plan(folder)[0], before(plan(folder)[1]))
    git("checkout", "-qb", "feature")
    commit("a change")
    code, actual = plan(folder)
    assert (0, True) == (
        code,
        "git does not know the default branch here" in warnings(actual)[0],
    )


@pytest.mark.parametrize("change", ["attributes", "environment"])
def test_a_plan_does_not_announce_a_comparison_that_it_does_not_make(
    repository: Program, change: str
) -> None:
    """Either the line or the warning, and the warning is one sentence with the place between
    commas.
    """
    if change == "environment":
        Path("manifests/prod.yaml").unlink()
        commit("without")
    git("checkout", "-qb", "feature")
    write(
        "prod.yaml",
        PROD.format(least=0.5)
        + ("attributes: {intent: other}\n" if change == "attributes" else ""),
    )
    commit("a change")
    _, actual = plan(repository)
    (warning,) = warnings(actual)
    assert NOTE not in repository.err
    assert "the merge base with main, is not shown: the " in warning


def test_a_removed_fallback_is_compared(repository: Program) -> None:
    """The Environment has no fallback any more, and the plan shows that with the line about the
    comparison.
    """
    write("prod.yaml", PROD.replace("context", "# context").format(least=0))
    code, actual = plan(repository)
    assert (2, 0.35) == (code, before(actual))
    assert f"{NOTE} HEAD" in repository.err
