"""`cxroute merge-check`: revisions, directories, git's merge, and what fails in the merge alone."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.support.fallback_project import git
from tests.support.program import Program, write

HEAD: Final = "apiVersion: routing/v1\nkind: {kind}\nname: {name}\n"
PROD: Final = (
    HEAD.format(kind="Environment", name="prod") + "owner: acme\ntenant: acme\n"
)
FRAUD: Final = "  - {key: fraud, intent: lost_card, queue: Fraud Desk, priority: %s}\n"
GOLD: Final = "  - {key: gold, when: [{attribute: tier, equals: gold}], queue: Premium, priority: 20}\n"
REST: Final = "  - {key: rest, when: [], queue: General, priority: 900}\n"
REPORT: Final = """\
Merged, conversations go elsewhere than expected. prod: 1 surprise.

prod
Merged, these conversations go elsewhere than expected:
  "lost_card", tier gold
    base      "Fraud Desk"   by cards/fraud
    ours      "Fraud Desk"   by cards/fraud
    theirs    "Fraud Desk"   by cards/fraud
    merged    "Premium"      by priority/gold
    expected  "Fraud Desk"
"""
EXPECTED: Final = (
    "Merged, each conversation goes where it went, or where one of the two changes sends it "
    "(proven).\n"
)


def ruleset(name: str, *rules: str) -> str:
    return HEAD.format(kind="RuleSet", name=name) + "rules:\n" + "".join(rules)


def commit(branch: str) -> None:
    """Commit everything on a new branch from main, and return to main."""
    git("checkout", "--quiet", "-b", branch)
    git("add", "--all")
    git("commit", "--quiet", "--message", branch)
    git("checkout", "--quiet", "main")


@pytest.fixture
def project(elsewhere: Path) -> None:
    """A repository with the branches `gold` and `later`, each of which changes nothing else."""
    assert Path.cwd() == elsewhere
    git("init", "--quiet", "--initial-branch", "main")
    write("prod.yaml", PROD)
    write("cards.yaml", ruleset("cards", FRAUD % 10))
    write("general.yaml", ruleset("general", REST))
    git("add", "--all")
    git("commit", "--quiet", "--message", "base")
    write("gold.yaml", ruleset("priority", GOLD))
    commit("gold")
    write("cards.yaml", ruleset("cards", FRAUD % 30))
    commit("later")


def repository_files() -> set[str]:
    return {str(path) for path in Path(".git").rglob("*") if path.is_file()}


@pytest.mark.usefixtures("project")
def test_two_branches_surprise_together(cxroute: Program) -> None:
    """Git merges them; neither the work tree nor the repository changes."""
    before = repository_files()
    assert 2 == cxroute("merge-check", "main", "gold", "later")
    assert REPORT == cxroute.out
    assert "" == cxroute.err
    assert "" == git("status", "--short")
    assert before == repository_files()

    code, actual = cxroute.json("merge-check", "main", "later", "gold")
    assert (2, ["prod"], [], []) == (
        code,
        list(actual["environments"]),
        actual["others"],
        actual["failures"],
    )
    (row,) = actual["environments"]["prod"]["surprises"]
    queue = {"queueId": None, "queueName": "Premium", "share": 1.0}
    assert {"queues": [queue]} == row["merged"]
    assert "priority/gold" == row["rules"]["merged"]


@pytest.mark.usefixtures("project")
def test_environments_with_the_same_result_stand_together(cxroute: Program) -> None:
    """One with other names of queues has a part of its own."""
    git("checkout", "--quiet", "-b", "many", "main")
    for name in ("stage", "test"):
        write(f"{name}.yaml", PROD.replace("prod", name).replace("acme", name))
    names = {"prod": "Premium", "stage": "Premium", "test": "Premium 2"}
    queues = ", ".join(f"{each}: {{name: {name}}}" for each, name in names.items())
    alias = f"queues: {{Premium: {{{queues}}}}}\n"
    write("queues.yaml", HEAD.format(kind="Queues", name="q") + alias)
    git("add", "--all")
    git("commit", "--quiet", "--message", "many")
    for branch in ("gold", "later"):
        git("checkout", "--quiet", "-b", f"many-{branch}", "many")
        git("merge", "--quiet", "--no-edit", branch)

    versions = ("many", "many-gold", "many-later")
    assert 2 == cxroute("merge-check", *versions)
    headline, both, other = cxroute.out.split("\n\n")
    counts = "prod, stage and test: 1 surprise each."
    assert headline == f"Merged, conversations go elsewhere than expected. {counts}"
    assert both == REPORT.partition("\n\n")[2].rstrip().replace(
        "prod\n", "prod and stage\n", 1
    )
    assert other.startswith("test\n")
    assert 'merged    "Premium 2"' in other
    assert 2 == cxroute("merge-check", *versions, "--format", "markdown")
    titles = [line for line in cxroute.out.splitlines() if line.startswith("#")]
    assert ["### prod and stage", "### test"] == titles


@pytest.mark.usefixtures("project")
def test_rows_with_equal_destinations_stand_together(cxroute: Program) -> None:
    """Of several rules the first one is named, and all with -v; twelve rows are shown without it."""
    intents = [f"lost_{number:02d}" for number in range(14)]
    rules = "  - {key: %s, intent: %s, queue: Fraud Desk, priority: %s}\n"
    for branch, priority in (("many", 10), ("many-later", 30)):
        git("checkout", "--quiet", "-b", branch, "main" if priority < 20 else "many")
        write(
            "cards.yaml",
            ruleset(
                "cards", *(rules % (i.replace("_", "-"), i, priority) for i in intents)
            ),
        )
        git("commit", "--quiet", "--all", "--message", branch)
    git("checkout", "--quiet", "-b", "many-gold", "many")
    write("gold.yaml", ruleset("priority", GOLD))
    git("add", "--all")
    git("commit", "--quiet", "--message", "gold")

    versions = ("many", "many-gold", "many-later")
    assert 2 == cxroute("merge-check", *versions)
    assert 12 == cxroute.out.count(", tier gold\n")
    assert 1 == cxroute.out.count("    expected  ")
    assert 'base      "Fraud Desk"   by cards/lost-00 and 11 more\n' in cxroute.out
    assert "  and 2 more rows: -v shows all\n" in cxroute.out
    assert 2 == cxroute("merge-check", *versions, "-v")
    assert 14 == cxroute.out.count(", tier gold\n")
    assert "cards/lost-13" in cxroute.out
    assert 'For example intent "lost_13", tier "gold"' in cxroute.out


@pytest.mark.usefixtures("project")
def test_an_expected_merge_is_proven(cxroute: Program) -> None:
    """One change alone, and both with a merge that moves nobody."""
    for versions in (("main", "gold", "main"), ("main", "gold", "later", "gold")):
        assert 0 == cxroute("merge-check", *versions)
        assert EXPECTED == cxroute.out


@pytest.mark.usefixtures("project")
def test_the_report_is_markdown_for_a_comment(cxroute: Program) -> None:
    """Names from outside are code."""
    code = cxroute("merge-check", "main", "gold", "later", "--format", "markdown")
    assert 2 == code
    first = "**Merged, conversations go elsewhere than expected. prod: 1 surprise.**\n"
    assert cxroute.out.startswith(first)
    assert (
        "| `lost_card`, tier gold | `Fraud Desk`<br>by `cards/fraud` |" in cxroute.out
    )


@pytest.mark.usefixtures("project")
def test_directories_need_the_merged_one(cxroute: Program) -> None:
    """Git merges revisions alone. With a merged directory, no repository is needed."""
    for branch in ("main", "gold", "later"):
        git("checkout", "--quiet", branch)
        shutil.copytree("manifests", f"of-{branch}")
    shutil.copytree("of-later", "of-both")
    shutil.copy("of-gold/gold.yaml", "of-both")
    folders = ("of-main", "of-gold", "of-later")
    assert 64 == cxroute("merge-check", *folders)
    assert "base (of-main) is a directory" in cxroute.err
    shutil.rmtree(".git")
    assert 2 == cxroute("merge-check", *folders, "of-both")
    assert REPORT == cxroute.out
    assert 64 == cxroute("merge-check", "of-main", "no-such", "of-later", "of-both")
    assert 'ours "no-such" is not a git revision and not a directory' in cxroute.err


@pytest.mark.usefixtures("project")
def test_a_text_conflict_names_the_files(cxroute: Program) -> None:
    """With the line. A conflict in another file does not matter."""
    write("cards.yaml", ruleset("cards", FRAUD % 40))
    commit("other")
    assert 3 == cxroute("merge-check", "main", "later", "other")
    assert "git cannot merge them: manifests/cards.yaml:5." in cxroute.err
    code, actual = cxroute.json("merge-check", "main", "later", "other")
    assert (3, "MergeConflict") == (code, actual["error"]["kind"])


@pytest.mark.usefixtures("project")
def test_a_file_that_a_folder_hides_is_in_conflict(cxroute: Program) -> None:
    """Git keeps one side's file under the name `cards.yaml~SIDE`, which no version reads."""
    path = Path("manifests/cards.yaml")
    path.unlink()
    path.mkdir()
    (path / "notes.txt").write_text("a folder\n", encoding="utf-8")
    commit("folder")
    assert 3 == cxroute("merge-check", "main", "later", "folder")
    assert "change the same lines or files, and git cannot merge them" in cxroute.err
    assert "manifests/cards.yaml~" in cxroute.err


@pytest.mark.usefixtures("project")
def test_a_conflict_in_another_file_does_not_matter(cxroute: Program) -> None:
    """The manifests are merged, and the analysis is about them."""
    for branch in ("first", "second"):
        git("checkout", "--quiet", "-b", branch, "main")
        Path("README.md").write_text(branch, encoding="utf-8")
        git("add", "--all")
        git("commit", "--quiet", "--message", branch)
    assert 0 == cxroute("merge-check", "main", "first", "second")
    assert EXPECTED == cxroute.out


@pytest.mark.usefixtures("project")
def test_a_merge_can_be_invalid_by_itself(cxroute: Program) -> None:
    """Both changes add a rule with one name in different files. The version is named."""
    for branch in ("first", "second"):
        rule = "  - {key: %s, name: same, intent: x, queue: General, priority: 5}\n"
        write(f"{branch}.yaml", ruleset(branch, rule % branch))
        commit(branch)
    assert 0 == cxroute("merge-check", "main", "main", "first")
    assert 3 == cxroute("merge-check", "main", "first", "second")
    assert "manifests/second.yaml:5:5: error[CXR110]" in cxroute.err
    assert "1 error in merged (merged by git)." in cxroute.err


@pytest.mark.usefixtures("project")
def test_an_invalid_version_is_named(cxroute: Program) -> None:
    """Its place is that in the work tree."""
    write("gold.yaml", "apiVersion: routing/v1\nkind: Unknown\nname: x\n")
    commit("wrong")
    assert 3 == cxroute("merge-check", "main", "wrong", "later")
    assert "manifests/gold.yaml:2:7: error[CXR101]" in cxroute.err
    assert "1 error in ours (wrong)." in cxroute.err


@pytest.mark.usefixtures("project")
def test_a_test_that_fails_in_the_merge_alone_is_named(cxroute: Program) -> None:
    """So is a promise. One that fails in a change already is that change's own."""
    tests = (
        HEAD.format(kind="RouteTests", name="cards")
        + "tests:\n"
        + "  - {given: {intent: lost_card, attributes: {tier: gold}}, expect: {queue: Fraud Desk}}\n"
        + "  - {given: {intent: x}, expect: {queue: Fraud Desk}}\n"
    )
    promises = (
        HEAD.format(kind="Promises", name="cards")
        + "promises:\n"
        + "  - {name: fraud first, for: {intent: lost_card}, always: {queues: [Fraud Desk]}}\n"
    )
    git("checkout", "--quiet", "later")
    write("tests.yaml", tests)
    write("promises.yaml", promises)
    git("add", "--all")
    git("commit", "--quiet", "--message", "tests")
    code, actual = cxroute.json("merge-check", "main", "gold", "later")
    places = [
        (
            each["environment"],
            each["finding"]["code"],
            each["finding"]["source"]["file"],
        )
        for each in actual["failures"]
    ]
    assert 3 == code
    assert [
        ("prod", "CXR220", "manifests/tests.yaml"),
        ("prod", "CXR221", "manifests/promises.yaml"),
    ] == places
    assert 3 == cxroute("merge-check", "main", "gold", "later")
    title = "Fails in the merged version, and in neither change:\n"
    assert title in cxroute.out
    assert 'promise "fraud first" is broken' in cxroute.out.partition(title)[2]


@pytest.mark.usefixtures("project")
def test_environments_that_not_all_versions_have_are_named(cxroute: Program) -> None:
    """-e chooses some of the others; one that a version lacks is an error."""
    write("stage.yaml", PROD.replace("prod", "stage").replace("acme", "other"))
    commit("stage")
    assert 0 == cxroute("merge-check", "main", "stage", "main")
    assert cxroute.out.endswith("Not in all versions, so not compared: stage.\n")
    assert 64 == cxroute("merge-check", "main", "stage", "main", "-e", "stage")
    assert "base (main): no Environment is named 'stage'" in cxroute.err
    assert 0 == cxroute("merge-check", "main", "stage", "main", "-e", "prod")


@pytest.mark.usefixtures("project")
def test_nothing_is_proven_without_a_common_environment(cxroute: Program) -> None:
    """The exit code is that of what is not decided."""
    write("prod.yaml", PROD.replace("prod", "live"))
    commit("renamed")
    assert 2 == cxroute("merge-check", "main", "renamed", "gold")
    assert cxroute.out.startswith("No Environment is in all versions")
    assert cxroute.out.endswith("so not compared: live and prod.\n")


@pytest.mark.usefixtures("project")
def test_links_of_manifests_can_be_in_conflict(cxroute: Program) -> None:
    """Which of two targets is read would decide about the rules."""
    for branch in ("first", "second"):
        write(f"more/{branch}/x.yaml", ruleset(branch, REST.replace("rest", branch)))
        Path("manifests/chosen").symlink_to(f"more/{branch}")
        commit(branch)
    assert 3 == cxroute("merge-check", "main", "first", "second")
    assert "git cannot merge them: manifests/chosen" in cxroute.err


@pytest.mark.usefixtures("project")
def test_each_version_is_behind_its_own_fallback(cxroute: Program) -> None:
    """One change raises the bound of the fallback, the other retargets the intent of the fallback:
    events between both bounds go where neither change sends them.
    """
    fallback = "context: {minConfidence: %s, below: {intent: unsure}}\n"
    unsure = "  - {key: unsure, intent: unsure, queue: %s, priority: 5}\n"
    git("checkout", "--quiet", "-b", "before")
    write("prod.yaml", PROD + fallback % 0.5)
    write("unsure.yaml", ruleset("unsure", unsure % "Agents"))
    git("add", "--all")
    git("commit", "--quiet", "--message", "before")
    for branch, file, text in (
        ("raised", "prod.yaml", PROD + fallback % 0.7),
        ("retargeted", "unsure.yaml", ruleset("unsure", unsure % "Experts")),
    ):
        git("checkout", "--quiet", "-b", branch, "before")
        write(file, text)
        git("commit", "--quiet", "--all", "--message", branch)
    code, actual = cxroute.json("merge-check", "before", "raised", "retargeted")
    report = actual["environments"]["prod"]
    assert (2, []) == (code, report["conflicts"])
    for row in report["surprises"]:
        assert 0.5 <= row["example"]["cognigyConfidence"] < 0.7
        names = [row[name]["queues"][0]["queueName"] for name in ("expected", "merged")]
        assert ["Agents", "Experts"] == names


@pytest.mark.usefixtures("project")
def test_other_names_of_the_bots_attributes_are_not_compared(cxroute: Program) -> None:
    """Rules on both cannot be compared."""
    write("prod.yaml", PROD + "attributes: {intent: topic}\n")
    commit("renamed")
    assert 64 == cxroute("merge-check", "main", "renamed", "gold")
    assert 'the Environment "prod" has other `attributes`' in cxroute.err


@pytest.mark.usefixtures("project")
def test_queues_are_compared_as_their_alias_resolves(cxroute: Program) -> None:
    """One change renames the alias, and the other its live queue: each version has its own."""
    write(
        "queues.yaml",
        HEAD.format(kind="Queues", name="q")
        + "queues: {Fraud Desk: {name: Fraud 2}}\n",
    )
    commit("moved")
    code, actual = cxroute.json("merge-check", "main", "moved", "main", "main")
    (row,) = actual["environments"]["prod"]["surprises"]
    assert 2 == code
    assert "Fraud 2" == row["expected"]["queues"][0]["queueName"]
    assert "Fraud Desk" == row["merged"]["queues"][0]["queueName"]


@pytest.mark.usefixtures("project")
def test_git_runs_no_command_of_a_repository(cxroute: Program) -> None:
    """Neither a merge driver nor a hook of the work tree's repository runs."""
    Path("ran.sh").write_text("#!/bin/sh\ntouch ran\nexit 0\n", encoding="utf-8")
    Path("ran.sh").chmod(0o755)
    git("config", "merge.evil.driver", f"{Path.cwd()}/ran.sh")
    git("config", "core.hooksPath", f"{Path.cwd()}/hooks")
    Path(".gitattributes").write_text("*.yaml merge=evil\n", encoding="utf-8")
    write("cards.yaml", ruleset("cards", FRAUD % 40))
    commit("other")
    assert 3 == cxroute("merge-check", "main", "later", "other")
    assert not Path("ran").exists()


def test_a_revision_cannot_be_an_option(cxroute: Program) -> None:
    """A revision that begins with a hyphen does not reach git."""
    git("init", "--quiet")
    Path("manifests").mkdir()
    assert 64 == cxroute("merge-check", "--", "--output=x", "a", "b")
    assert not os.path.lexists("x")


def test_without_a_repository_revisions_are_unknown(cxroute: Program) -> None:
    """The message says why."""
    Path("manifests").mkdir()
    assert 64 == cxroute("merge-check", "main", "a", "b")
    assert 'base "main" is not a git revision and not a directory' in cxroute.err
