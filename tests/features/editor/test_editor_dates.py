"""Rules with dates in an editor: completion, references of queues in steps, and their rename."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from reconciler.core.desired.desired import desire_offline
from reconciler.core.manifest.load import load_manifests
from reconciler.core.manifest.yaml_patch import apply_edits
from reconciler.features.editor.session import FolderSession
from tests.support.cases import each_case

HEAD: Final = "apiVersion: routing/v1\nkind: RuleSet\nname: new\nrules:\n"
FILES: Final = {
    "prod.yaml": """apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
tenant: acme
timezone: Europe/Zurich
---
apiVersion: routing/v1
kind: Queues
name: queues
queues: {cards: Card Services, partner: Partner}
""",
    "rules.yaml": """apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - intent: card
    targets: [{queue: cards, weight: 1}, {queue: partner, weight: 0}]
    steps:
      - {at: 2026-12-01T06:00, weights: {cards: 3, "partner": 5}}  # cards
      - at: 2026-12-03T06:00
        weights:
          cards: 0
          partner: 1
        if: {query: 'up{skill="cards"}', above: 0, for: 5m}
""",
}


def opened(folder: Path, **texts: str) -> tuple[FolderSession, Path]:
    for name, text in {**FILES, **texts}.items():
        (folder / name).write_text(text, "utf-8")
    session = FolderSession(folder, None, "manifests")
    session.read({})
    return session, folder


@each_case(
    "part, offered",
    [
        ("  - intent: a\n    |", ["from: ", "until: ", "steps: "]),
        ("  - intent: a\n    steps:\n      - |", ["at: ", "weights: ", "if: "]),
        (
            "  - intent: a\n    steps:\n      - weights: {|",
            ["cards: ", "partner: "],
        ),
        (
            "  - intent: a\n    steps:\n      - if: {|",
            ["query: ", "above: ", "below: ", "for: "],
        ),
    ],
)
def test_completion_knows_the_fields_of_dates(
    room: Path, part: str, offered: list[str]
) -> None:
    """And the queues of a step."""
    text = HEAD + part.replace("|", "")
    session, folder = opened(room, **{"new.yaml": text})
    completion = session.complete((folder / "new.yaml").as_posix(), len(text))
    texts = [choice.text for choice in completion.choices] if completion else []
    assert [] == [each for each in offered if each not in texts], texts


def test_a_renamed_queue_is_renamed_in_steps(room: Path) -> None:
    """The rule means the same; comments and queries stay."""
    session, folder = opened(room)
    path = (folder / "prod.yaml").as_posix()
    offset = FILES["prod.yaml"].index("cards: Card Services")
    edits, refusal = session.rename(path, offset, "kb")
    assert "" == refusal
    now = datetime(2026, 12, 2, tzinfo=UTC)
    before = load_manifests(folder, now)
    old, _ = desire_offline(before, before.environment("prod"))
    for file, changes in edits.items():
        place = Path(file)
        text = apply_edits(place.read_text("utf-8"), changes)
        place.write_text(text, "utf-8")
    after = load_manifests(folder, now)
    new, _ = desire_offline(after, after.environment("prod"))
    stated = [[rule.rule.targets for rule in each.stated_rules] for each in (old, new)]
    assert stated[0] == stated[1]
    text = (folder / "rules.yaml").read_text("utf-8")
    assert "{kb: 3," in text
    assert "          kb: 0\n" in text
    assert "# cards" in text
    assert 'up{skill="cards"}' in text
