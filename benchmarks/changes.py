"""The cost of the commands about changes, in CPU seconds of the whole command and of git.

`bench_merge_check`: two changes of a large set of rules, and their merge. `bench_since`: the search
of a whole history. `bench_simplify`: all edits of a list of rules that grew for years.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

SIZES = {1_000: 3.0, 10_000: 12.0}
"""The CPU seconds that a merge check may take, by number of rules."""
EDITED = 100
"""Of so many rules, each change edits one."""
COMMITS = 10_000
TREES = 500
RULES = 100
SINCE_LIMIT = 20.0
"""The CPU seconds that the search of such a history may take."""
SIMPLIFIED = {201: 5.0, 1_000: 60.0}
"""The CPU seconds that the search for fewer rules may take, by number of rules."""
Cost = Callable[[list[str]], float]
"""Runs a command to its end, and returns its CPU seconds."""
ENVIRONMENT = (
    "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\ntenant: acme\n"
)


def bench(work: Path, cpu: Cost) -> None:
    """Print the cost of each command."""
    bench_merge_check(work, cpu)
    bench_since(work, cpu)
    bench_simplify(work, cpu)


def bench_merge_check(work: Path, cpu: Cost) -> None:
    """Print the cost of a check of two changes, with the reading of all four versions."""
    for count, limit in SIZES.items():
        folder = work / f"merge-{count}"
        versions = write_versions(folder, count)
        command = [
            sys.executable,
            "-m",
            "reconciler",
            "merge-check",
            "--format",
            "json",
        ]
        seconds = cpu([*command, *versions])
        print(
            f"merge-check: {count:,} rules, {count // EDITED} edits in each change: "
            f"{seconds:.1f} s CPU (at most {limit:.0f})"
        )
        assert seconds <= limit


def write_versions(folder: Path, count: int) -> list[str]:
    """Write four versions of the manifests, and return their folders."""
    chosen = Random(1)  # noqa: S311 - a workload
    base = [(chosen.randrange(count), chosen.randrange(9)) for _ in range(count)]
    ours = dict(enumerate(base))
    theirs = dict(enumerate(base))
    merged = dict(enumerate(base))
    for number in chosen.sample(range(0, count, 10), count // EDITED):
        ours[number] = merged[number] = (chosen.randrange(count), base[number][1])
    for number in chosen.sample(range(1, count, 10), count // EDITED):
        theirs[number] = merged[number] = (chosen.randrange(count), base[number][1])
    versions = {
        "base": dict(enumerate(base)),
        "ours": ours,
        "theirs": theirs,
        "merged": merged,
    }
    for name, rules in versions.items():
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "prod.yaml").write_text(ENVIRONMENT)
        (place / "rules.yaml").write_text(_ruleset(rules))
    return [str(folder / name) for name in versions]


def _ruleset(rules: dict[int, tuple[int, int]]) -> str:
    """Return rules, each with a priority and a queue; a tenth is about gold customers alone."""
    lines = ["apiVersion: routing/v1", "kind: RuleSet", "name: bench", "rules:"]
    for number, (priority, queue) in rules.items():
        test = f"intent: intent-{number % (len(rules) // 2)}, minConfidence: 0.{number % 9 + 1}"
        if number % 10 == 0:
            test = f"when: [{{attribute: tier, equals: tier-{number % 7}}}]"
        lines.append(
            f"  - {{key: rule-{number}, {test}, queue: Queue {queue}, priority: {priority}}}"
        )
    return "\n".join(lines) + "\n"


def bench_since(work: Path, cpu: Cost) -> None:
    """Print the cost of a search that reads every version of a long history."""
    repository = work / "since"
    if not repository.exists():
        write_history(repository)
    place = ["-m", str(repository / "manifests"), "-e", "prod"]
    words = ["--intent", "intent3", "--confidence", "0.9", "--all", "--format", "json"]
    command = [sys.executable, "-m", "reconciler", "since", *place, *words]
    seconds = cpu(command)
    print(
        f"since: {COMMITS:,} commits, {TREES} trees, {RULES} rules: {seconds:.1f} s CPU "
        f"(at most {SINCE_LIMIT:.0f})"
    )
    assert seconds <= SINCE_LIMIT


def write_history(repository: Path) -> None:
    """Make a repository whose manifests change with every twentieth commit."""
    repository.mkdir(parents=True)
    chosen = Random(1)  # noqa: S311 - a workload
    queues = [chosen.randrange(5) for _ in range(RULES)]
    parts = [_change("manifests/prod.yaml", ENVIRONMENT)]
    parts += [_ten_rules(number, queues) for number in range(RULES // 10)]
    stream = [_commit(1, "".join(parts))]
    for number in range(2, COMMITS + 1):
        text = _change("code.txt", str(number))
        if number % (COMMITS // TREES) == 0 and number < COMMITS:
            rule = chosen.randrange(RULES)
            queues[rule] = (queues[rule] + 1 + chosen.randrange(4)) % 5
            text += _ten_rules(rule // 10, queues, f"# change {number}\n")
        stream.append(_commit(number, text))
    _git(repository, "init", "-q", "-b", "main")
    _git(repository, "fast-import", "--quiet", text="".join(stream))
    _git(repository, "reset", "-q", "--hard", "main")


def _commit(number: int, changes: str) -> str:
    time = 1_700_000_000 + number
    head = f"commit refs/heads/main\ncommitter A <a@example.com> {time} +0000\n"
    return f"{head}data <<end\nChange {number} (#{number})\nend\n{changes}"


def _change(path: str, text: str) -> str:
    return f"M 100644 inline {path}\ndata {len(text)}\n{text}\n"


def _ten_rules(number: int, queues: list[int], comment: str = "") -> str:
    rules = [
        {
            "intent": f"intent{at}",
            "minConfidence": 0.6,
            "queue": f"Queue {queues[at]}",
            "when": [{"attribute": "language", "notEquals": "fr"}],
        }
        for at in range(10 * number, 10 * number + 10)
    ]
    lines = "".join(f"  - {json.dumps(rule)}\n" for rule in rules)
    head = f"{comment}apiVersion: routing/v1\nkind: RuleSet\nname: team{number}\n"
    return _change(f"manifests/teams/team{number}.yaml", f"{head}rules:\n{lines}")


def _git(repository: Path, *words: str, text: str = "") -> None:
    command = ["git", "-C", str(repository), *words]
    subprocess.run(command, input=text.encode(), check=True)


def bench_simplify(work: Path, cpu: Cost) -> None:
    """Print the cost of the search for every kind of edit, and how many rules it removes."""
    for count, limit in SIMPLIFIED.items():
        folder = work / f"simplify-{count}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prod.yaml").write_text(ENVIRONMENT)
        (folder / "rules.yaml").write_text(grown_rules(count))
        words = ["simplify", "-m", str(folder), "--join", "--redundant", "--write"]
        seconds = cpu([sys.executable, "-m", "reconciler", *words])
        remaining = (folder / "rules.yaml").read_text().count("- {key: ")
        print(
            f"simplify: {count:,} rules, {count - remaining} fewer: {seconds:.1f} s CPU "
            f"(at most {limit:.0f})"
        )
        assert seconds <= limit


def grown_rules(count: int) -> str:
    """Return rules of many intents and a few other attributes: some shadow others, some agree with
    the catch-all, and some differ from others in one attribute.
    """
    chosen = Random(1)  # noqa: S311 - a workload
    lines = ["apiVersion: routing/v1", "kind: RuleSet", "name: bench", "rules:"]
    for number in range(count - 1):
        intent = f"intent-{chosen.randrange(count // 3)}"
        test = f"intent: {intent}, minConfidence: 0.{chosen.choice((5, 6, 7))}"
        further = []
        if chosen.random() < 0.3:
            further.append(f"{{attribute: tier, in: [tier-{chosen.randrange(4)}]}}")
        if chosen.random() < 0.2:
            further.append(
                f"{{attribute: language, equals: lang-{chosen.randrange(5)}}}"
            )
        if chosen.random() < 0.05:
            test = "minConfidence: 0.3"
        when = f", when: [{', '.join(further)}]" if further else ""
        if test.startswith("min") and not further:
            when = ", when: [{attribute: tier, equals: staff}]"
        queue = chosen.choice((0, 0, 1, 2, 3))
        priority = chosen.choice((100, 200, 300))
        lines.append(
            f"  - {{key: rule-{number}, {test}{when}, queue: Queue {queue}, "
            f"priority: {priority}}}"
        )
    lines.append("  - {key: rest, when: [], queue: Queue 0, priority: 900}")
    return "\n".join(lines) + "\n"
