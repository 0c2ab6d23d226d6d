"""Two proposed changes of one branch, on generated histories: the result equals that of trying every
conversation in versions that a three-way merge of files made.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import pytest

from reconciler.cli.git import GitRepository
from reconciler.cli.git_fetch import fetching_repository
from reconciler.cli.hooks import (
    PairReport,
    ProposedChange,
    UncheckedPairsError,
    prepare_pairs,
)
from tests.support.fallback_project import git
from tests.tiers import size

BLOCKS: Final = 10
SIZE: Final = size(fast=4, slow=15, full=60)
"""Histories in each block."""
INTENTS: Final = ("a", "b")
QUEUES: Final = ("Cards", "Fraud", "Premium")
HEAD: Final = "apiVersion: routing/v1\nkind: {kind}\nname: {name}\n"
PROD: Final = (
    HEAD.format(kind="Environment", name="prod") + "owner: acme\ntenant: acme\n"
)
REST: Final = "rules:\n  - {key: rest, when: [], queue: General, priority: 900}\n"


class SmallRule(NamedTuple):
    """A rule of a file of its own; None: any value."""

    intent: str | None
    tier: str | None
    queue: str
    priority: int

    def takes(self, intent: str, tier: str) -> bool:
        """Return whether the rule matches a conversation."""
        return self.intent in (None, intent) and self.tier in (None, tier)


Rules = dict[int, SmallRule]
"""The rules of a version, by the number of the file."""


class SameFileError(Exception):
    """Both sides changed a file, differently."""


def a_rule(random: Random, number: int) -> SmallRule:
    """Return a rule; no other file has its priority."""
    intent = random.choice((None, None, *INTENTS))
    tier = random.choice((None, "gold", "silver"))
    priority = number + 10 * random.randrange(1, 8)
    return SmallRule(intent, tier, random.choice(QUEUES), priority)


def edited(random: Random, rules: Rules, new: int) -> Rules:
    """Return rules after one or two edits; a new one is in the file `new`."""
    result = dict(rules)
    for _ in range(random.choice((0, 1, 2, 3))):
        number = random.choice((*rules, new))
        if number in result and random.random() < 0.7:
            other = a_rule(random, number)
            result[number] = result[number]._replace(priority=other.priority)
        else:
            result[number] = a_rule(random, number)
    return result


def three_way(base: Rules, one: Rules, two: Rules) -> Rules:
    """Return each file as the side that changed it has it. Raises SameFileError."""
    merged = {}
    for number in sorted({*one, *two}):
        before, mine, other = (rules.get(number) for rules in (base, one, two))
        if len({before, mine, other}) == 3:
            raise SameFileError
        chosen = other if mine == before else mine
        assert chosen is not None
        merged[number] = chosen
    return merged


def route(rules: Rules, intent: str, tier: str) -> str:
    """Return the queue of a conversation."""
    taking = [rule for rule in rules.values() if rule.takes(intent, tier)]
    if not taking:
        return "General"
    return min(taking, key=lambda rule: rule.priority).queue


def judge(tip: Rules, ours: Rules, theirs: Rules) -> set[str]:
    """Return "surprise" and "conflict", if a conversation is one. Raises SameFileError."""
    merged = three_way(tip, ours, theirs)
    found = set()
    for intent in (*INTENTS, "other"):
        for tier in ("gold", "silver", "none"):
            was, mine, other, now = (
                route(rules, intent, tier) for rules in (tip, ours, theirs, merged)
            )
            if was not in (mine, other) and mine != other:
                found.add("conflict")
            elif now != (other if mine == was else mine):
                found.add("surprise")
    return found


def commit(rules: Rules, start: str) -> str:
    """Return a commit of a version, on another one."""
    git("checkout", "--quiet", "--detach", start)
    for number, rule in rules.items():
        conditions = [
            f"{{attribute: {name}, equals: {value}}}"
            for name, value in (
                ("cognigyDetectedIntent", rule.intent),
                ("tier", rule.tier),
            )
            if value
        ]
        fields = f"queue: {rule.queue}, priority: {rule.priority}"
        text = f"rules:\n  - {{key: k{number}, when: [{', '.join(conditions)}], {fields}}}\n"
        name = f"r{number}"
        head = HEAD.format(kind="RuleSet", name=name)
        Path(f"manifests/{name}.yaml").write_text(head + text, encoding="utf-8")
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", "version")
    return git("rev-parse", "HEAD").strip()


def report(tip: str, own: str, other: str) -> PairReport | None:
    """Return the report; None if our own change is not compared."""
    with fetching_repository(GitRepository.find("manifests")) as repository:
        change = ProposedChange(repository, tip, "main", own, "prod", "manifests")
        try:
            return prepare_pairs(change).report(other)
        except UncheckedPairsError:
            return None


@pytest.fixture
def root(elsewhere: Path) -> str:
    """The first commit of a repository: an Environment, and a rule for the rest."""
    git("init", "--quiet", "--initial-branch", "main")
    (elsewhere / "manifests").mkdir()
    Path("manifests/prod.yaml").write_text(PROD, encoding="utf-8")
    rest = HEAD.format(kind="RuleSet", name="rest") + REST
    Path("manifests/rest.yaml").write_text(rest, encoding="utf-8")
    git("add", "--all")
    git("commit", "--quiet", "--message", "root")
    return git("rev-parse", "HEAD").strip()


@pytest.mark.generated
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_a_pair_is_judged_as_every_conversation_shows(root: str, block: int) -> None:
    """Main and both branches moved on from a common commit: none of them reverts another one."""
    seen: Counter[str] = Counter()
    for seed in range(block * SIZE, (block + 1) * SIZE):
        random = Random(f"pairs {seed}")
        start = {number: a_rule(random, number) for number in range(6)}
        first = commit(start, root)
        versions = [edited(random, start, 6 + side) for side in range(3)]
        tip, own, other = (commit(rules, first) for rules in versions)
        actual = report(tip, own, other)
        seen[actual.result if actual else "own conflict"] += 1
        place = (seed, start, versions, actual)
        check(start, versions, actual, place)

    if SIZE >= 60:
        assert {"expected", "unexpected"} <= {*seen}, seen


def check(
    start: Rules, versions: list[Rules], actual: PairReport | None, place: object
) -> None:
    """Compare a report with the oracle."""
    tip, own, other = versions
    try:
        ours = three_way(start, tip, own)
    except SameFileError:
        assert actual is None, place
        return
    assert actual is not None, place
    try:
        theirs = three_way(start, tip, other)
        expected = judge(tip, ours, theirs)
    except SameFileError:
        assert "not compared" == actual.result, place
        assert (
            "because both change the same lines or files: manifests/r"
            in actual.sentence
        )
        return
    if theirs == tip:
        assert "unchanged" == actual.result, place
        return
    assert actual.result == ("unexpected" if expected else "expected"), place
    texts = {
        "surprise": "Merged, conversations go elsewhere than expected.",
        "conflict": "The two changes move conversations to different places.",
    }
    first = next((texts[kind] for kind in texts if kind in expected), "Merged, each")
    assert actual.sentence.startswith(first), place
    counted = {
        kind for kind in ("surprise", "conflict") if f" {kind}" in actual.sentence
    }
    assert expected == counted, place


def test_a_removed_file_that_the_branch_changed_is_a_conflict(root: str) -> None:
    """Git leaves the branch's file in the merge, which therefore has the manifests of the branch."""
    rules = {1: SmallRule("a", None, "Cards", 10)}
    start = commit(rules, root)
    own = commit({2: SmallRule("b", None, "Fraud", 20)}, start)
    tip = commit({1: rules[1]._replace(queue="Premium")}, start)
    git("checkout", "--quiet", "--detach", start)
    git("rm", "--quiet", "manifests/r1.yaml")
    git("commit", "--quiet", "--message", "remove")
    actual = report(tip, own, git("rev-parse", "HEAD").strip())
    assert actual is not None
    assert "not compared" == actual.result
    assert "same lines or files: manifests/r1.yaml:1" in actual.sentence


def write_object(*words: str, text: str) -> str:
    """Write an object of git, and return its name."""
    command = ["git", *words]
    done = subprocess.run(
        command, input=text, text=True, check=True, capture_output=True
    )
    return done.stdout.strip()


@pytest.mark.slow
def test_a_tree_that_contains_itself_many_times_is_refused(root: str) -> None:
    """A few objects are ten thousand million files: the report ends, and says why."""
    blob = write_object("hash-object", "-w", "--stdin", text="kind: x\n")
    entries = (f"100644 blob {blob}\tf{number}.yaml\n" for number in range(10))
    tree = write_object("mktree", text="".join(entries))
    for _ in range(9):
        entries = (f"040000 tree {tree}\td{number}\n" for number in range(10))
        tree = write_object("mktree", text="".join(entries))
    top = write_object("mktree", text=f"040000 tree {tree}\tmanifests\n")
    bomb = git("commit-tree", top, "-p", root, "-m", "bomb").strip()
    actual = report(root, root, bomb)
    assert actual is not None
    assert "not compared" == actual.result
    assert "a tree has more than 500,000 entries" in actual.sentence
