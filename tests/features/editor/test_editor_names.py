"""Names in an editor: completion, references, definitions, the outline, and the rename of a queue's
alias.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from lsprotocol import types as lsp

from reconciler.cli.validation import check_environments, validate
from reconciler.core.desired.desired import desire_offline
from reconciler.core.manifest.load import Manifests, load_manifests
from reconciler.core.manifest.yaml_patch import apply_edits
from reconciler.features.editor.session import FolderSession
from tests.support.cases import each_case
from tests.support.language_client import Editor, edit_in
from tests.tiers import size

PROD: Final = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
api: {baseUrl: "http://127.0.0.1:1"}
attributes: {intent: intent}
vars: {overflow: cards, text: cards}
guard: {protected: [cards/lost-card]}
"""
SANDBOX: Final = """\
---
apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
attributes: {intent: intent}
"""
QUEUES: Final = """\
apiVersion: routing/v1
kind: Queues
name: queues
queues:
  cards: Card Services
  fraud: {prod: {id: "7", owners: ["@acme/fraud"]}}
  "café 𝒳": Odd
---
apiVersion: routing/v1
kind: Intents
name: bot
intents: [lost_card, {name: new card, label: New card}, cards]
---
apiVersion: routing/v1
kind: Attributes
name: bank
attributes: {customerTier: {values: [gold, platinum]}, vip: {type: boolean, values: [true, "true"]}}
"""
RULES: Final = """\
# cards goes to cards
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {intent: lost_card, queue: fraud, priority: 1}
  - intent: new card
    description: cards  # cards
    targets:
      - {queue: 'cards', weight: 80}
      - queue: "${overflow}"
  - {key: cards, intent: cards, name: "${text}", queue: "cards", when: [{attribute: customerTier, equals: gold}]}
"""
TESTS: Final = """\
apiVersion: routing/v1
kind: RouteTests
name: cards
tests:
  - {given: {intent: lost_card}, expect: {queue: fraud}}
  - {given: {intent: new card}, expect: {split: {cards: 81}}}
---
apiVersion: routing/v1
kind: Promises
name: safety
promises:
  - {name: cards, for: {intents: [lost_card]}, never: {queues: [cards]}}
  - {name: fraud, for: {intent: lost_card}, decidedBy: cards/lost-card}
"""
FILES: Final = {
    "prod.yaml": PROD,
    "queues.yaml": QUEUES,
    "rules.yaml": RULES,
    "tests.yaml": TESTS,
}


def open_folder(folder: Path, **texts: str) -> tuple[FolderSession, Path]:
    directory = folder / "manifests"
    directory.mkdir(exist_ok=True)
    for name, text in {**FILES, **texts}.items():
        (directory / name).write_text(text, encoding="utf-8")
    session = FolderSession(directory, None, "manifests")
    session.read({})
    return session, directory


def offset_of(text: str, marked: str) -> int:
    """Return the index of `|` in a part of a text."""
    part = marked.replace("|", "")
    assert 1 == text.count(part), marked
    return text.index(part) + marked.index("|")


def excerpts(
    session: FolderSession, directory: Path, name: str, marked: str
) -> list[tuple[str, int, str]]:
    """Return the file, the line and the text of each mention of the name at `|`."""
    path = (directory / name).as_posix()
    mention = session.mention(path, offset_of(FILES[name], marked))
    places = []
    for each in session.mentions(mention) if mention else ():
        file = Path(each.file).name
        text = FILES[file]
        line = text.count("\n", 0, each.node.start) + 1
        places.append((file, line, text[each.node.start : each.node.end]))
    return places


def test_references_are_the_places_that_mean_the_name(tmp_path: Path) -> None:
    """Equal texts of another meaning are none; a variable counts as a whole queue alone."""
    session, directory = open_folder(tmp_path)
    assert [
        ("queues.yaml", 6, "fraud"),
        ("rules.yaml", 6, "fraud"),
        ("tests.yaml", 5, "fraud"),
    ] == excerpts(session, directory, "rules.yaml", "queue: fr|aud")
    expected = [
        ("prod.yaml", 7),
        ("queues.yaml", 5),
        ("rules.yaml", 10),
        ("rules.yaml", 12),
    ]
    expected += [("tests.yaml", 6), ("tests.yaml", 12)]
    assert expected == [
        place[:2]
        for place in excerpts(session, directory, "queues.yaml", "  car|ds: Card")
    ]
    intents = excerpts(session, directory, "rules.yaml", "intent: lost_|card")
    assert [
        ("queues.yaml", 12),
        ("rules.yaml", 6),
        ("tests.yaml", 5),
        ("tests.yaml", 12),
        ("tests.yaml", 13),
    ] == [place[:2] for place in intents]
    attributes = excerpts(session, directory, "rules.yaml", "attribute: customer|Tier")
    assert [("queues.yaml", 17), ("rules.yaml", 12)] == [
        place[:2] for place in attributes
    ]
    rules = excerpts(session, directory, "prod.yaml", "[cards/lost|-card]")
    assert [("prod.yaml", 8), ("rules.yaml", 6), ("tests.yaml", 13)] == [
        place[:2] for place in rules
    ]
    assert [] == excerpts(session, directory, "rules.yaml", "description: car|ds")


COMPLETIONS: Final[list[tuple[str, list[str], list[str]]]] = [
    ("rules:\n  - {intent: a, queue: |", ["cards", "fraud", "café 𝒳"], ["queue: "]),
    ("rules:\n  - {intent: a, queue: fr|", ["fraud"], []),
    ('rules:\n  - intent: a\n    queue: "fr|"', ["fraud"], []),
    ("rules:\n  - intent: |", ["lost_card", "new card"], ["fraud"]),
    ("rules:\n  - intents: [lost_card, |", ["new card"], ["fraud"]),
    ("rules:\n  - intents:\n      - |", ["new card"], ["fraud"]),
    (
        "rules:\n  - intent: a\n    |",
        ["queue: ", "targets: ", "minConfidence: "],
        ["intent: ", "rules: "],
    ),
    ("rules:\n  - intent: a\n    qu|", ["queue: "], []),
    ("rules:\n  - {|", ["key: ", "queue: "], ["rules: "]),
    ("rules:\n  - when:\n      - {attribute: |", ["customerTier", "vip"], ["gold"]),
    (
        "rules:\n  - when: [{attribute: customerTier, equals: |",
        ["gold", "platinum"],
        ["lost_card"],
    ),
    ("rules:\n  - when: [{attribute: vip, in: [|", ["true", '"true"'], ["gold"]),
    (
        "rules:\n  - when: [{attribute: customerTier, |",
        ["equals: ", "notIn: "],
        ["attribute: "],
    ),
    ("rules:\n  - when: [{attribute: intent, in: [|", ["lost_card"], ["gold"]),
    ("rules:\n  - enabled: |", ["true", "false"], []),
    ("environments: [|", ["prod"], []),
    ("|", ["rules: ", "defaults: "], ["kind: ", "tests: "]),
    ("rules:\n  - queue: a  # |", [], []),
]


@each_case("part, offered, others", COMPLETIONS)
def test_completion_offers_what_can_stand_there(
    tmp_path: Path, part: str, offered: list[str], others: list[str]
) -> None:
    """Fields that are missing, and names of the right kind as they are written; whatever follows
    the cursor.
    """
    head = "apiVersion: routing/v1\nkind: RuleSet\nname: new\n"
    before = head + part.partition("|")[0]
    for underlying in (
        part.partition("|")[2],
        part.partition("|")[2] + "\n---\nb: [\n",
    ):
        text = before + underlying
        session, directory = open_folder(tmp_path, **{"new.yaml": text})
        path = (directory / "new.yaml").as_posix()
        session.read({path: text})
        completion = session.complete(path, len(before))
        texts = [choice.text for choice in completion.choices] if completion else []
        assert [] == [each for each in offered if each not in texts], texts
        assert [] == [each for each in others if each in texts], texts
        assert bool(offered) == bool(texts)


@each_case(
    "text, offered",
    [
        (
            "kind: RouteTests\ntests:\n  - {given: {intent: a}, expect: {queue: |",
            ["cards", "fraud"],
        ),
        (
            "kind: RouteTests\ntests:\n  - {given: {intent: a}, expect: {split: {|",
            ["cards: ", "fraud: "],
        ),
        ("kind: RouteTests\ntests:\n  - {given: {attributes: {|", ["customerTier: "]),
        (
            "kind: RouteTests\ntests:\n  - {given: {attributes: {customerTier: |",
            ["gold"],
        ),
        (
            "kind: Promises\npromises:\n  - decidedBy: |",
            ["cards/lost-card", "cards/new-card", "cards/cards"],
        ),
        ("kind: Environment\nname: x\nguard:\n  protected: [|", ["cards/lost-card"]),
        ("kind: Environment\nname: x\naccept: [{code: |", ["CXR202"]),
        (
            "kind: Environment\nname: x\naccept: [{code: CXR202, address: |",
            ["cards/lost-card"],
        ),
        ("kind: |", ["RuleSet", "Promises"]),
        ("|", ["apiVersion: ", "kind: "]),
    ],
)
def test_completion_knows_every_kind(
    tmp_path: Path, text: str, offered: list[str]
) -> None:
    """Addresses of rules for `protected`, `accept` and `decidedBy`; queues, attributes and values
    in route tests.
    """
    before = text.partition("|")[0]
    session, directory = open_folder(tmp_path)
    path = (directory / "new.yaml").as_posix()
    session.read({path: before})
    completion = session.complete(path, len(before))
    texts = [choice.text for choice in completion.choices] if completion else []
    assert [] == [each for each in offered if each not in texts], texts


def test_an_accepted_completion_gives_valid_yaml(tmp_path: Path) -> None:
    """Each offered alias, written in place of the typed word, is read as that alias."""
    head = "apiVersion: routing/v1\nkind: RuleSet\nname: new\nrules:\n"
    for before, underlying in (
        ("  - {intent: a, queue: c", "}\n"),
        ('  - {intent: a, queue: "c', '"}\n'),
    ):
        text = head + before + underlying
        session, directory = open_folder(tmp_path, **{"new.yaml": text})
        path = (directory / "new.yaml").as_posix()
        completion = session.complete(path, len(head + before))
        assert completion
        for choice in completion.choices:
            (directory / "new.yaml").write_text(
                text[: completion.start] + choice.text + text[completion.end :],
                encoding="utf-8",
            )
            queues = [
                rule.queue
                for each in load_manifests(directory).rulesets
                for rule in each.document.rules
            ]
            assert choice.label in queues


def routes(manifests: Manifests, alias: str) -> dict[str, Any]:
    """Return the rules of each environment, with `ALIAS` where a queue has no other name."""
    rules = {}
    for name in manifests.environments:
        desired, _ = desire_offline(manifests, manifests.environment(name))
        for address, rule in desired.rules.items():
            targets = Counter(
                (
                    "ALIAS" if target.queue_id == alias else target.queue_id,  # type: ignore[union-attr]
                    target.weight,  # type: ignore[union-attr]
                )
                for target in rule.rule.targets
            )
            fields = (
                rule.rule.name,
                rule.rule.priority,
                rule.rule.conditions,
                rule.rule.enabled,
            )
            rules[f"{name} {address}"] = (fields, targets)
    return rules


def findings(manifests: Manifests) -> Counter[tuple[str, str, int]]:
    checked = check_environments(manifests, None)
    every = [
        *manifests.warnings,
        *validate(manifests, checked, None, "manifests").findings,
    ]
    return Counter(
        (each.code, Path(each.source.file).name, each.source.line)
        for each in every
        if each.source
    )


def random_manifests(random: Random) -> dict[str, str]:
    """Return manifests whose aliases stand in every kind of place, and as ordinary texts beside
    them.
    """
    aliases = ["cards", "fraud desk", "no", "a:b", "42", "café"]

    def queue() -> str:
        name = random.choice(aliases)
        styles = [f'"{name}"', f"'{name}'"]
        return random.choice(styles if name in {"no", "42", "a:b"} else [*styles, name])

    forms = [
        "Live {0}",
        '{{prod: {{id: "id {0}"}}, sandbox: {{name: "S {0}"}}}}',
        '{{id: "id {0}"}}',
    ]
    queues = "".join(
        f'  "{name}": {random.choice(forms).format(number)}\n'
        for number, name in enumerate(aliases)
    )
    rules = ""
    tests = ""
    promises = ""
    for number in range(random.randrange(3, 9)):
        targets = f"[{{queue: {queue()}, weight: 2}}, {{queue: {queue()}}}]"
        target = random.choice(
            [f"queue: {queue()}", f"targets: {targets}", 'queue: "${var}"']
        )
        extra = random.choice(
            ["", ", description: cards", ", name: fraud desk " + str(number)]
        )
        rules += (
            f"  - {{intent: i{number}, {target}{extra}}}  # {random.choice(aliases)}\n"
        )
        expected = random.choice(
            [f"{{queue: {queue()}}}", f"{{split: {{{queue()}: 1}}}}"]
        )
        tests += f"  - {{given: {{intent: i{number}}}, expect: {expected}}}\n"
        lists = [f"{word}: {{queues: [{queue()}]}}" for word in ("never", "always")]
        promise = random.choice([*lists, f"split: {{{queue()}: {{least: 1}}}}"])
        promises += (
            f"  - {{name: cards {number}, for: {{intent: i{number}}}, {promise}}}\n"
        )
    head = "apiVersion: routing/v1\nkind: {}\nname: {}\n{}:\n"
    variable = f"vars: {{var: {queue()}, other: cards}}\n"
    return {
        "prod.yaml": PROD.partition("vars")[0] + variable + SANDBOX + variable,
        "queues.yaml": head.format("Queues", "q", "queues") + queues,
        "rules.yaml": head.format("RuleSet", "cards", "rules") + rules,
        "tests.yaml": head.format("RouteTests", "t", "tests") + tests,
        "promises.yaml": head.format("Promises", "p", "promises") + promises,
    }


@pytest.mark.generated
@pytest.mark.parametrize("seed", range(size(fast=4, slow=25, full=200)))
def test_a_rename_changes_the_alias_alone(tmp_path: Path, seed: int) -> None:
    """In random manifests: the rules differ in the alias alone, and the findings of `validate` are
    equal.
    """
    random = Random(seed)
    texts = random_manifests(random)
    directory = tmp_path / "manifests"
    directory.mkdir()
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")
    session = FolderSession(directory, None, "manifests")
    session.read({})
    alias = random.choice(["cards", "fraud desk", "no", "a:b", "42", "café"])
    new = random.choice(
        [
            "clients",
            "true",
            "new: name",
            "it's",
            "x # y",
            "𝒳 7",
            "[a]",
            "cards and more",
        ]
    )
    path = (directory / "queues.yaml").as_posix()
    before = load_manifests(directory)
    offset = texts["queues.yaml"].index(f'"{alias}"') + 1
    edits, refusal = session.rename(path, offset, new)
    assert "" == refusal
    for file, changes in edits.items():
        name = Path(file).name
        (directory / name).write_text(
            apply_edits(texts[name], changes), encoding="utf-8"
        )
    after = load_manifests(directory)
    assert {new, *before.queues[0].document.queues} - {alias} == set(
        after.queues[0].document.queues
    )
    assert routes(before, alias) == routes(after, new)
    assert findings(before) == findings(after)


@each_case(
    "new, reason",
    [
        ("fraud", "is already used"),
        ("Desk 9", "is already used"),
        ("", "is a text"),
        ("a$b", "is a text"),
        ("a\nb", "is a text"),
    ],
)
def test_a_rename_that_would_change_more_is_refused(
    tmp_path: Path, new: str, reason: str
) -> None:
    """The name of another alias, or of a live queue that a rule names, or no name of a queue at
    all.
    """
    rules = RULES + "  - {intent: other, queue: Desk 9}\n"
    session, directory = open_folder(tmp_path, **{"rules.yaml": rules})
    path = (directory / "queues.yaml").as_posix()
    edits, refusal = session.rename(path, offset_of(QUEUES, "  car|ds: Card"), new)
    assert {} == edits
    assert reason in refusal


def test_a_variable_that_is_also_another_text_is_refused(tmp_path: Path) -> None:
    """`${overflow}` names the queue in one rule and is part of a description in another: no edit is
    right.
    """
    rules = RULES.replace("description: cards", 'description: "to ${overflow}"')
    session, directory = open_folder(tmp_path, **{"rules.yaml": rules})
    path = (directory / "queues.yaml").as_posix()
    edits, refusal = session.rename(
        path, offset_of(QUEUES, "  car|ds: Card"), "clients"
    )
    assert {} == edits
    assert "rename it by hand" in refusal


@pytest.mark.slow
def test_an_editor_renames_lists_and_outlines(tmp_path: Path) -> None:
    """Over the protocol: positions behind letters of two UTF-16 units, several files, texts that
    are not saved.
    """
    open_folder(tmp_path)
    text = RULES + '  - {key: odd, name: "𝒳𝒳", intent: i, queue: "café 𝒳"}\n'
    line = text.count("\n") - 1
    column = (
        len(text.splitlines()[line].partition("queue")[0].encode("utf-16-le")) // 2 + 9
    )

    async def session(editor: Editor) -> None:
        editor.open("rules.yaml", text)
        place = editor.at("rules.yaml", line, column)
        prepared = await editor.client.text_document_prepare_rename_async(
            lsp.PrepareRenameParams(**place)
        )
        assert isinstance(prepared, lsp.PrepareRenamePlaceholder)
        assert "café 𝒳" == prepared.placeholder
        renamed = await editor.client.text_document_rename_async(
            lsp.RenameParams(new_name="odd", **place)
        )
        assert renamed
        assert renamed.changes
        assert {editor.uri("rules.yaml"), editor.uri("queues.yaml")} == set(
            renamed.changes
        )
        (edit,) = renamed.changes[editor.uri("rules.yaml")]
        editor.change("rules.yaml", edit.new_text, edit.range)
        editor.open("queues.yaml", QUEUES.replace('"café 𝒳"', "odd"))
        context = lsp.ReferenceContext(include_declaration=False)
        references = await editor.client.text_document_references_async(
            lsp.ReferenceParams(context, **place)
        )
        assert references
        assert [editor.uri("rules.yaml")] == [each.uri for each in references]
        nowhere = editor.at("rules.yaml", 0, 3)
        assert None is await editor.client.text_document_prepare_rename_async(
            lsp.PrepareRenameParams(**nowhere)
        )
        document = lsp.TextDocumentIdentifier(editor.uri("rules.yaml"))
        symbols = await editor.client.text_document_document_symbol_async(
            lsp.DocumentSymbolParams(document)
        )
        (outline,) = symbols or ()
        assert isinstance(outline, lsp.DocumentSymbol)
        names = [child.name for child in outline.children or ()]
        assert (
            "RuleSet cards",
            ["cards/lost-card", "cards/new-card", "cards/cards", "cards/odd"],
        ) == (
            outline.name,
            names,
        )

    edit_in(tmp_path, session)


def test_the_outline_names_tests_and_promises(tmp_path: Path) -> None:
    """Each document with its items, also of a text that is not valid."""
    session, directory = open_folder(
        tmp_path, **{"tests.yaml": f"{TESTS}  - {{name: [\n"}
    )
    outline = session.outline((directory / "tests.yaml").as_posix())
    printed = [(each.name, [child.name for child in each.children]) for each in outline]
    assert ("RouteTests cards", ["lost_card -> fraud", "new card -> cards"]) == printed[
        0
    ]
    assert ("Promises safety", ["cards", "fraud"]) == (printed[1][0], printed[1][1][:2])
