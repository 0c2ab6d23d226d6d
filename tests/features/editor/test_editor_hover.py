"""A hover states the facts of the rule at its line, and of no other, while the manifests are
edited.

The oracle is the list of blocks from which the text is built: it knows which rule a line belongs
to, and PyYAML knows whether the text is YAML. Neither asks the server.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import pytest
import yaml
from lsprotocol import types as lsp

from tests.support.language_client import Editor, edit_in
from tests.tiers import FULL

pytestmark = pytest.mark.slow

ENVIRONMENT: Final = (
    "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\n"
    'api: {baseUrl: "http://127.0.0.1:1"}\nattributes: {intent: intent}\n'
)
HEAD: Final = ["apiVersion: routing/v1", "kind: RuleSet", "name: cards", "rules:"]
WITH_ERRORS: Final = "Correct the errors of the manifests to see who reaches this rule."
EDITS: Final = 60 if FULL else 20
ANY_RULE: Final = re.compile(r"\b(?:intent|Desk) ?_?(\d+)")


class Block(NamedTuple):
    """Lines of the RuleSet: a rule, a comment (`rule` is None), or a text that breaks the YAML."""

    rule: int | None
    lines: tuple[str, ...]
    is_broken: bool = False


def rule_block(random: Random, number: int, queue: int) -> Block:
    intent = random.choice([f"intent_{number}", f'"intent_{number}"'])
    fields = [
        f"intent: {intent}",
        f"queue: Desk {queue}",
        f"priority: {random.randrange(50)}",
    ]
    random.shuffle(fields)
    if random.random() < 0.5:
        return Block(number, (f"  - {{{', '.join(fields)}}}",))
    return Block(
        number, (f"  - {fields[0]}", *(f"    {field}" for field in fields[1:]))
    )


def broken_block(random: Random, number: int) -> Block:
    intent = f"intent_{number}"
    texts = [
        ["  @broken"],
        [f"  - {{intent: {intent}, queue: ["],
        [f'  - {{intent: "{intent}, queue: x}}'],
        [f"  - intent: {intent}", "   queue: x"],
        [f"  intent: {intent}"],
        [f"  - {intent}: {intent}: x"],
    ]
    return Block(number, tuple(random.choice(texts)), is_broken=True)


class Model:
    """The blocks of the RuleSet, and the queues of its rules."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.queues = {number: number for number in range(4)}
        self.blocks = [rule_block(random, number, number) for number in range(4)]

    @property
    def text(self) -> str:
        """Return the RuleSet."""
        return (
            "\n".join([*HEAD, *(line for block in self.blocks for line in block.lines)])
            + "\n"
        )

    @property
    def is_valid(self) -> bool:
        """Return whether the text is YAML."""
        try:
            list(yaml.safe_load_all(self.text))
        except yaml.YAMLError:
            return False
        return True

    def block_at(self, line: int) -> Block:
        """Return the block of a line, from 0."""
        lines = [block for block in self.blocks for _ in block.lines]
        return lines[line - len(HEAD)] if line >= len(HEAD) else Block(None, ())

    def edit(self) -> None:
        """Make one random edit; a broken text stays broken until it is repaired."""
        random = self.random
        at = random.randrange(len(self.blocks) + 1)
        rules = [
            position
            for position, block in enumerate(self.blocks)
            if block.rule is not None and not block.is_broken
        ]
        broken = [block for block in self.blocks if block.is_broken]
        kind = random.choice(
            [
                "comment",
                "comment",
                "remove",
                "move",
                "move",
                "queue",
                "add",
                "break",
                "repair",
                "repair",
            ]
        )
        if kind == "comment":
            self.blocks.insert(
                at,
                Block(
                    None,
                    random.choice([("",), ("  # intent_1 goes to Desk 1",), ("", "")]),
                ),
            )
        elif kind == "remove" and len(self.blocks) > 2:
            self.blocks.pop(random.randrange(len(self.blocks)))
        elif kind == "move":
            random.shuffle(self.blocks)
        elif kind == "queue" and rules:
            position = random.choice(rules)
            number = self.blocks[position].rule or 0
            self.queues[number] = max(self.queues.values()) + 1
            self.blocks[position] = rule_block(random, number, self.queues[number])
        elif kind == "add":
            number = max(self.queues.values()) + 1
            self.queues[number] = number
            self.blocks.insert(at, rule_block(random, number, number))
        elif kind == "break" and not broken:
            self.blocks.insert(
                at, broken_block(random, random.choice(list(self.queues)))
            )
        elif kind == "repair":
            self.blocks = [block for block in self.blocks if not block.is_broken]


def send(editor: Editor, random: Random, old: str, new: str) -> None:
    """Send the new text, or the part of it that differs."""
    if random.random() < 0.3:
        editor.change("cards.yaml", new)
        return
    before = old.splitlines(keepends=True)
    after = new.splitlines(keepends=True)
    start = next(
        (n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b),
        min(len(before), len(after)),
    )
    place = lsp.Range(lsp.Position(start, 0), lsp.Position(len(before), 0))
    editor.change("cards.yaml", "".join(after[start:]), place)


def check(model: Model, line: int, text: str) -> bool:
    """Check a hover against the blocks; return whether it describes a rule."""
    block = model.block_at(line)
    context = f"line {line} of\n{model.text}\n{text}"
    assert {
        int(number) for number in ANY_RULE.findall(re.sub(r"Desk \d+", "", text))
    } <= {block.rule}, context
    if model.is_valid:
        if block.rule is None:
            assert "" == text, context
        else:
            assert text.startswith(
                f"`cards/intent-{block.rule}` in prod: `Desk {model.queues[block.rule]}`\n"
            ), context
            assert f"example: intent `intent_{block.rule}`" in text, context
        return bool(text)
    assert text in ("", WITH_ERRORS), context
    return False


@pytest.mark.parametrize("seed", range(20 if FULL else 2))
def test_a_hover_is_about_the_rule_of_its_line(tmp_path: Path, seed: int) -> None:
    """After each of random edits, without a pause: lines come and go, rules move, YAML breaks and
    is repaired.
    """
    random = Random(seed)
    model = Model(random)
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "prod.yaml").write_text(ENVIRONMENT, encoding="utf-8")
    described = 0

    async def session(editor: Editor) -> None:
        nonlocal described
        editor.open("cards.yaml", model.text)
        for _ in range(EDITS):
            old = model.text
            model.edit()
            send(editor, random, old, model.text)
            if random.random() < 0.2:
                await asyncio.sleep(0.03)
            for line in range(model.text.count("\n")):
                text = await editor.hover("cards.yaml", line, random.randrange(12))
                described += check(model, line, text)

    edit_in(tmp_path, session)
    assert described > 5


def test_a_broken_text_asks_for_its_correction(tmp_path: Path) -> None:
    """At each rule, also where another file is broken; nothing elsewhere."""
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "prod.yaml").write_text(ENVIRONMENT, encoding="utf-8")
    rules = [
        "  - {intent: a, queue: Desk 1}",
        "  - {key: second, intent: b, queue: Desk 2}",
    ]
    text = "\n".join([*HEAD, *rules, ""])

    async def session(editor: Editor) -> None:
        editor.open("cards.yaml", text)
        assert (await editor.hover("cards.yaml", 5)).startswith(
            "`cards/second` in prod: `Desk 2`"
        )
        editor.change(
            "cards.yaml", "\n".join([*HEAD, "  # a comment", *rules, "  @", ""])
        )
        assert "" == await editor.hover("cards.yaml", 4)
        assert WITH_ERRORS == await editor.hover("cards.yaml", 5)
        editor.change("cards.yaml", text)
        editor.open("other.yaml", "a: [")
        assert WITH_ERRORS == await editor.hover("cards.yaml", 4)
        editor.change("other.yaml", "")
        assert (await editor.hover("cards.yaml", 4)).startswith(
            "`cards/a` in prod: `Desk 1`"
        )

    edit_in(tmp_path, session)


def test_lines_of_another_document_are_not_about_the_last_rule(tmp_path: Path) -> None:
    """Route tests behind the rules in the same file have no hover."""
    head = ["---", "apiVersion: routing/v1", "kind: RouteTests", "name: t", "tests:"]
    test = "  - {given: {intent: a}, expect: {queue: Desk 1}}"
    text = "\n".join([*HEAD, "  - {intent: a, queue: Desk 1}", *head, test, ""])
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "prod.yaml").write_text(ENVIRONMENT, encoding="utf-8")

    async def session(editor: Editor) -> None:
        editor.open("cards.yaml", text)
        assert "cards/a" in await editor.hover("cards.yaml", 4)
        assert "" == await editor.hover("cards.yaml", 10)

    edit_in(tmp_path, session)
