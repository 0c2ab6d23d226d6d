"""Questions to a person who sees only a plan: where does this conversation go today, and where
afterwards?

`python questions.py FOLDER` makes 20 random realistic edits of three projects. For each it writes
what a reader sees of the comment (before its first closed part) and of the terminal (40 lines), and
five conversations of the project's traffic sample; `answers.txt` has what the rules before and
after the edit do with each of them.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random

from benchmarks.words import (
    MANIFESTS,
    Output,
    plan,
    project_folder,
    restore,
    run_command,
)
from reconciler.cli.command_line import utc_now
from reconciler.core.behaviour.evaluate import route_conversation
from reconciler.core.behaviour.routing_entry import destination_of_rule, order_entries
from reconciler.core.desired.desired import desire_offline
from reconciler.core.manifest.load import load_manifests
from reconciler.core.plan.routing_table import desired_entries
from reconciler.core.plan.words import destination_phrase
from reconciler.core.text.phrases import Labels, conversation_phrase
from tests.support.random_edits import edit_rule_set, edit_rules

KINDS = (1, 1, 3, 1, 1, 2)
"""The numbers of edits of the plans of each project; one equal edit of a whole RuleSet follows."""
PLANS = {"bank": 7, "airline": 7, "telecom": 6}
ASKED = 5
LINES = 40
Conversation = Mapping[str, str | float]


class Routing:
    """Where the manifests as they are now send a conversation."""

    def __init__(self) -> None:
        manifests = load_manifests(MANIFESTS, utc_now())
        desired, resolver = desire_offline(manifests, manifests.environment("sandbox"))
        self.labels: Labels = desired.labels
        self._entries = order_entries(
            desired.endpoint.pull_back(desired_entries(desired)), desired.evaluation
        )
        self._names = resolver.names

    def destination(self, conversation: Conversation) -> str:
        """Return where a conversation goes, in words."""
        winner = route_conversation(self._entries, conversation).winner
        return destination_phrase(destination_of_rule(winner), self._names)


def conversations() -> list[Conversation]:
    """Return the conversations of the project's traffic sample."""
    sample = max(MANIFESTS.glob("traffic/*.csv"), key=lambda path: path.stat().st_size)
    lines = [
        line
        for line in sample.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    actual = []
    for row in csv.DictReader(lines):
        del row["count"]
        actual.append(
            {_attribute(name): _value(text) for name, text in row.items() if text}
        )
    return actual


def _attribute(name: str) -> str:
    return {"intent": "cognigyDetectedIntent", "confidence": "cognigyConfidence"}.get(
        name, name
    )


def _value(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def choose(
    every: list[Conversation], before: Routing, after: Routing, random: Random
) -> list[tuple[Conversation, str, str]]:
    """Return conversations with both destinations: about three that move, the others with intents
    of those.
    """
    random.shuffle(every)
    routed = [
        (item, before.destination(item), after.destination(item)) for item in every
    ]
    moved = [each for each in routed if each[1] != each[2]]
    intents = {each[0].get("cognigyDetectedIntent") for each in moved}
    near = [
        each
        for each in routed
        if each[1] == each[2] and each[0].get("cognigyDetectedIntent") in intents
    ]
    remaining_items = [
        each for each in routed if each[1] == each[2] and each not in near
    ]
    chosen = moved[: random.choice((2, 3, 3))]
    chosen += near[: ASKED - 1 - len(chosen)]
    chosen += remaining_items[: ASKED - len(chosen)]
    random.shuffle(chosen)
    return chosen


def write(
    folder: Path,
    number: int,
    output: Output,
    chosen: list[tuple[Conversation, str, str]],
    labels: Labels,
) -> None:
    """Write what a reader sees of a plan, the questions, and the answers."""
    requested = [
        conversation_phrase(conversation, labels) for conversation, _, _ in chosen
    ]
    questions = "".join(
        f"{number}.{place} {text}\n" for place, text in enumerate(requested, 1)
    )
    terminal = "\n".join(output.terminal.splitlines()[:LINES])
    for name, observed in (("comment", output.comment), ("terminal", terminal)):
        (folder / f"{name}-{number:02}.txt").write_text(
            f"{observed}\n\nQUESTIONS\n{questions}", encoding="utf-8"
        )
    with (folder / "answers.txt").open("a", encoding="utf-8") as answers:
        for place, (_, today, afterwards) in enumerate(chosen, 1):
            answers.write(
                f"{number}.{place}\t{today}\t{'no change' if today == afterwards else afterwards}\n"
            )


def main(folder: Path, seed: int) -> None:
    """Write the plans of all projects."""
    folder.mkdir(parents=True)
    number = 0
    for project, count in PLANS.items():
        with project_folder(project, seed) as original:
            run_command("apply", "--yes", "-q")
            before = Routing()
            random = Random(f"questions {seed} {project}")  # noqa: S311 - a seed
            every = conversations()
            for place in range(count):
                number += 1
                kinds = (*KINDS[: count - 1], 0)
                edits = (
                    edit_rules(MANIFESTS, random, kinds[place])
                    if kinds[place]
                    else [edit_rule_set(MANIFESTS, random)]
                )
                title = "; ".join(map(str, edits))
                write(
                    folder,
                    number,
                    plan(title),
                    choose(every, before, Routing(), random),
                    before.labels,
                )
                restore(original)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
