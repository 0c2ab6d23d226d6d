"""How many words people read about a change: the plans of random realistic edits of three projects.

The projects are the bank in manifests/, and an airline and a telecom that tests generate. Each is
applied to a simulated tenant, edited and planned by the real command. Equal edits are of further
lists of rules, which tests draw. `python words.py --seed 7
--show 3` makes other edits, and prints the three longest outputs of each kind.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from random import Random

from reconciler.cli.files import STATE
from reconciler.cli.main import main
from reconciler.features.practice.sandbox import open_state
from reconciler.features.practice.simulator.state import bank_tenant
from tests.support.counted_words import Goal, count_shown_words, first_part, measured
from tests.support.equal_edits import COUNTS, KINDS, draw_list, edit_equally
from tests.support.generated_projects import write_project
from tests.support.random_edits import RandomEdit, edit_rule_set, edit_rules

BANK = Path(__file__).resolve().parent.parent / "manifests"
PROJECTS = ("bank", "airline", "telecom")
WIDTH = 120
MANIFESTS = Path("manifests")


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
EQUAL_GOALS = (Goal(140, 210), Goal(120, 190))
LISTS = 4
FIRST_PLAN = "the bank's first plan"
FIRST_TERMINAL = 400
FIRST_COMMENT = 350


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
    return Output(title, run_command("plan"), first_part(comment))


@contextlib.contextmanager
def project_folder(project: str, seed: int) -> Iterator[Path]:
    """Work in a temporary folder with a project's manifests; yields a copy of them."""
    with work_in_folder() as folder:
        original = folder / "original"
        if project == "bank":
            shutil.copytree(BANK, original)
        else:
            write_project(project, seed, original)
        restore(original)
        make_repository()
        yield original


@contextlib.contextmanager
def work_in_folder() -> Iterator[Path]:
    """Work in a temporary folder; yields it."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="cxroute-words-") as folder:
        os.chdir(folder)
        os.environ["COLUMNS"] = f"{WIDTH}"
        try:
            yield Path(folder)
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


def equal_plans(seed: int) -> Iterator[tuple[str, Output]]:
    """Yield the plans of equal edits of a list, each with the name of its workload."""
    rules = draw_list(Random(seed))  # noqa: S311 - a seed
    with work_in_folder() as folder:
        original = folder / "original"
        rules.write(original)
        restore(original)
        make_repository()
        run_command("apply", "--yes", "-q")
        for kind, count in product(KINDS, COUNTS):
            random = Random(f"{seed} {kind} {count}")  # noqa: S311 - a seed
            edit_equally(rules, kind, count, random).write(MANIFESTS)
            yield f"{count} equal edits", plan(f"list {seed}: {count} {kind}")
            restore(original)


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
    actual = measured(words)
    is_met = goal.is_met_by(actual)
    return f"{actual!s:>15} ({goal!s:>9}) {'ok  ' if is_met else 'OVER'}", is_met


def bench(seed: int, show: int) -> bool:
    """Print the words of all plans; return whether all goals are met."""
    goals = {item.name: (item.terminal, item.comment) for item in WORKLOADS}
    goals |= {f"{count} equal edits": EQUAL_GOALS for count in COUNTS}
    outputs: dict[str, list[Output]] = {name: [] for name in goals}
    plans = [edited_plans(project, seed) for project in PROJECTS]
    plans += [equal_plans(seed + number) for number in range(LISTS)]
    for name, output in chain.from_iterable(plans):
        outputs[name].append(output)
    print(
        f"words of a plan, median / 90 % (goal)   {'terminal':>17} {'':16} {'comment':>15}"
    )
    are_met = []
    for name, (terminal_goal, comment_goal) in goals.items():
        created = outputs[name]
        terminal, is_terminal_short = summary(
            [item.terminal_words for item in created], terminal_goal
        )
        comment, is_comment_short = summary(
            [item.comment_words for item in created], comment_goal
        )
        print(f"  {name:<22} {len(created):>3} plans {terminal} {comment}")
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
