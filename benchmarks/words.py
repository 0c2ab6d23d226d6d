"""How many words people read about a change: the plans of random realistic edits of three projects.

The projects are the bank in manifests/, and an airline and a telecom that tests generate. Each is
applied to a simulated tenant, edited and planned by the real command. `python words.py --seed 7
--show 3` makes other edits, and prints the three longest outputs of each kind.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from reconciler.cli.files import STATE
from reconciler.cli.main import main
from reconciler.features.practice.sandbox import open_state
from reconciler.features.practice.simulator.state import bank_tenant
from tests.support.generated_projects import write_project
from tests.support.random_edits import RandomEdit, edit_rule_set, edit_rules

BANK = Path(__file__).resolve().parent.parent / "manifests"
PROJECTS = ("bank", "airline", "telecom")
WIDTH = 120
MANIFESTS = Path("manifests")


@dataclass(frozen=True)
class Goal:
    """Words: the median and the 90th percentile."""

    median: float
    high: float


@dataclass(frozen=True)
class Workload:
    """Edits of one kind: how often in each project, and the goals of the outputs."""

    name: str
    repeats: int
    edit: Callable[[Path, Random], list[RandomEdit]]
    terminal: Goal
    comment: Goal


@dataclass(frozen=True)
class Output:
    """What a plan prints about some edits."""

    title: str
    terminal: str
    comment: str  # before its first closed part

    @property
    def terminal_words(self) -> int:
        """Count what stands between blanks."""
        return len(self.terminal.split())

    @property
    def comment_words(self) -> int:
        """Count what a reader of the comment sees."""
        return count_shown_words(self.comment)


WORKLOADS = (
    Workload(
        "1 edit",
        20,
        lambda folder, random: edit_rules(folder, random, 1),
        Goal(95, 170),
        Goal(85, 150),
    ),
    Workload(
        "3 edits",
        8,
        lambda folder, random: edit_rules(folder, random, 3),
        Goal(210, 330),
        Goal(190, 300),
    ),
    Workload(
        "10 edits",
        5,
        lambda folder, random: edit_rules(folder, random, 10),
        Goal(450, 700),
        Goal(400, 650),
    ),
    Workload(
        "a whole RuleSet",
        8,
        lambda folder, random: [edit_rule_set(folder, random)],
        Goal(140, 210),
        Goal(120, 190),
    ),
)
FIRST_PLAN = "the bank's first plan"
FIRST_TERMINAL = 400
FIRST_COMMENT = 350


def count_shown_words(markdown: str) -> int:
    """Count the words of Markdown that a reader sees: without comments, tags, addresses and signs
    of the syntax.
    """
    printed = re.sub(r"<!--.*?-->", " ", markdown, flags=re.DOTALL)
    printed = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", printed)
    printed = re.sub(r"<[^>]+>|[|*`\\]", " ", printed)
    signs = re.compile(r"[-+>#/!.,:;()\[\]]+")
    return sum(not signs.fullmatch(word) for word in printed.split())


def run_command(*arguments: str) -> str:
    """Run a command in this process; return its output. Raises AssertionError if it fails."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(["-e", "sandbox", "--no-input", "--color", "never", *arguments])
    assert code == 0, f"{arguments} ended with {code}:\n{out.getvalue()[-3000:]}"
    return out.getvalue()


def plan(title: str) -> Output:
    """Plan the manifests as they are now."""
    comment = run_command("plan", "--format", "markdown")
    # in the title: a pull request has the plan of a tenant
    of_tenant = comment.replace(" (simulated)", "", 1)
    return Output(title, run_command("plan"), of_tenant.partition("<details>")[0])


@contextlib.contextmanager
def project_folder(project: str, seed: int) -> Iterator[Path]:
    """Work in a temporary folder with a project's manifests; yields a copy of them."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="cxroute-words-") as folder:
        original = Path(folder) / "original"
        if project == "bank":
            shutil.copytree(BANK, original)
        else:
            write_project(project, seed, original)
        os.chdir(folder)
        os.environ["COLUMNS"] = f"{WIDTH}"
        try:
            restore(original)
            make_repository()
            yield original
        finally:
            os.chdir(before)


def make_repository() -> None:
    """Commit the manifests, so that a plan compares their promises with those of `origin/main`, as
    on a laptop.
    """
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@example.invalid")
    for arguments in (
        ("init", "-q"),
        ("add", "."),
        (*identity, "commit", "-q", "-m", "The project before an edit"),
        ("update-ref", "refs/remotes/origin/main", "HEAD"),
    ):
        subprocess.run(["git", *arguments], check=True)


def restore(original: Path) -> None:
    """Undo all edits of the manifests."""
    shutil.rmtree(MANIFESTS, ignore_errors=True)
    shutil.copytree(original, MANIFESTS)


def edited_plans(project: str, seed: int) -> Iterator[tuple[str, Output]]:
    """Yield the plans of edits of a project, each with the name of its workload."""
    with project_folder(project, seed) as original:
        run_command("apply", "--yes", "-q")
        for workload in WORKLOADS:
            random = Random(f"{seed} {project} {workload.name}")  # noqa: S311 - a seed
            planned: set[str] = set()
            while len(planned) < workload.repeats:
                title = "; ".join(map(str, workload.edit(MANIFESTS, random)))
                if title not in planned:
                    planned.add(title)
                    yield workload.name, plan(f"{project}: {title}")
                restore(original)


def first_plan(seed: int) -> Output:
    """Return the bank's plan for its tenant with rules that people made by hand."""
    with project_folder("bank", seed):
        with open_state(STATE, bank_tenant()):
            pass  # the sandbox has these rules now
        return plan(FIRST_PLAN)


def summary(words: list[int], goal: Goal) -> tuple[str, bool]:
    """Return the median and the 90th percentile beside their goals, and whether both are met."""
    median = statistics.median(words)
    high = statistics.quantiles(words, n=10, method="inclusive")[-1]
    is_met = median <= goal.median and high <= goal.high
    actual = f"{median:,.0f} / {high:,.0f}"
    limit = f"{goal.median:,.0f} / {goal.high:,.0f}"
    return f"{actual:>15} ({limit:>9}) {'ok  ' if is_met else 'OVER'}", is_met


def bench(seed: int, show: int) -> bool:
    """Print the words of all plans; return whether all goals are met."""
    outputs: dict[str, list[Output]] = {workload.name: [] for workload in WORKLOADS}
    for project in PROJECTS:
        for name, output in edited_plans(project, seed):
            outputs[name].append(output)
    print(
        f"words of a plan, median / 90 % (goal)   {'terminal':>17} {'':16} {'comment':>15}"
    )
    are_met = []
    for workload in WORKLOADS:
        created = outputs[workload.name]
        terminal, is_terminal_short = summary(
            [item.terminal_words for item in created], workload.terminal
        )
        comment, is_comment_short = summary(
            [item.comment_words for item in created], workload.comment
        )
        print(f"  {workload.name:<22} {len(created):>3} plans {terminal} {comment}")
        are_met += [is_terminal_short, is_comment_short]
    first = first_plan(seed)
    words = first.terminal_words
    printed = first.comment_words
    is_short = words <= FIRST_TERMINAL and printed <= FIRST_COMMENT
    print(
        f"  {FIRST_PLAN:<32} {words:>15,} ({FIRST_TERMINAL:>9}) {'':4} {printed:>15,} "
        f"({FIRST_COMMENT:>9})"
    )
    are_met.append(is_short)
    outputs[FIRST_PLAN] = [first]
    print_longest(outputs, show)
    return all(are_met)


def print_longest(outputs: dict[str, list[Output]], show: int) -> None:
    """Print the longest outputs of each kind of edits."""
    for name, created in outputs.items():
        for output in sorted(created, key=lambda item: -item.terminal_words)[:show]:
            print(
                f"\n=== {name}: {output.title}\n--- terminal, {output.terminal_words} "
                f"words\n{output.terminal}"
            )
            print(
                f"--- comment, {output.comment_words} words\n{output.comment}",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--show",
        type=int,
        default=0,
        metavar="N",
        help="print the N longest outputs of each kind",
    )
    chosen = parser.parse_args()
    sys.exit(0 if bench(chosen.seed, chosen.show) else 1)
