"""Random histories of manifests in a repository: edits, renames, reverts, merges, broken versions.

Each manifest is JSON, which is YAML too, so that an oracle reads it without the product.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

INTENTS: Final = ("lost", "pin", "loan", "hello", "none")
LANGUAGES: Final = ("de", "en")
QUEUES: Final = ("cards", "fraud", "general")
NAMES: Final = ("Cards", "Fraud Desk", "General", {"id": "q-7"}, {"id": "q-8"})
BOUNDS: Final = (0, 0.35, 0.6, 0.9)
BROKEN: Final = "broken!"
"""Stands in a manifest of each version that is not valid, and nowhere else."""
SUBJECTS: Final = (
    "Change rules",
    "Send cards elsewhere (#12)",
    "Merge pull request #7 from a/b",
    'Revert "Send cards elsewhere (#12)" (#15)',
    "Merge a/b!31",
    "'; DROP TABLE rules; -- <b>`$(true)`</b> \u202e \x1b[31m",
    "",
)
AUTHORS: Final = ("Ann", "Bob O'Neil", "@team <b>", "\u00c9va")
Files = dict[str, str]


@dataclass
class Model:
    """The manifests of a version, before they are files."""

    environment: dict[str, Any] | None
    aliases: dict[str, Any]
    intents: list[str]
    rulesets: dict[str, list[dict[str, Any]]]
    files: dict[str, str]  # a RuleSet -> the path of its file
    broken: str = ""
    notes: dict[str, str] = field(default_factory=dict)  # other files

    def texts(self) -> Files:
        """Return the files by path."""
        texts = {
            "queues.yaml": _document("Queues", "queues", queues=self.aliases),
            **self.notes,
        }
        if self.environment is not None:
            texts["envs/prod.yaml"] = _document(
                "Environment", "prod", **self.environment
            )
        if self.intents:
            texts["intents.yml"] = _document("Intents", "bot", intents=self.intents)
        for name, rules in self.rulesets.items():
            texts[self.files[name]] = _document("RuleSet", name, rules=rules)
        if self.broken:
            texts["zz.yaml"] = _BROKEN_FILES[self.broken]
        return texts


def _document(kind: str, name: str, **fields: Any) -> str:
    head = {"apiVersion": "routing/v1", "kind": kind, "name": name}
    return json.dumps({**head, **fields}, indent=1) + "\n"


_TWICE: Final = {"key": "twice", "name": BROKEN, "when": [], "queue": "cards"}
_BROKEN_FILES: Final = {
    "syntax": f"{{ {BROKEN}",
    "field": _document("Queues", "other", nothing=BROKEN),
    "twice": _document("RuleSet", "z", rules=[_TWICE, _TWICE]),
    "variable": _document(
        "RuleSet",
        "z",
        rules=[{"key": "v", "name": BROKEN, "when": [], "queue": "${missing}"}],
    ),
}


def a_rule(random: Random, key: str) -> dict[str, Any]:
    """Return a rule of a manifest; its key is its name."""
    rule: dict[str, Any] = {
        "key": key,
        "name": key,
        "queue": random.choice(QUEUES),
        "priority": random.randint(1, 6),
        "when": [],
    }
    if random.random() < 0.7:
        rule["intent"] = random.choice(INTENTS)
    if random.random() < 0.3:
        rule["minConfidence"] = random.choice(BOUNDS)
    if random.random() < 0.3:
        language = random.choice(LANGUAGES)
        rule["when"] = [{"attribute": "language", "equals": language}]
    if random.random() < 0.1:
        rule["enabled"] = False
    if random.random() < 0.1:
        del rule["queue"]
        shares = [{"queue": "cards", "weight": 80}, {"queue": "fraud", "weight": 20}]
        rule["targets"] = shares
    return rule


def a_model(random: Random) -> Model:
    """Return the first version."""
    rules = [a_rule(random, f"k{number}") for number in range(random.randint(1, 4))]
    return Model(
        environment={"owner": "acme", "tenant": "acme"},
        aliases=dict(zip(QUEUES, NAMES, strict=False)),
        intents=[],
        rulesets={"one": rules, "two": [a_rule(random, "x0")]},
        files={"one": "one.yaml", "two": "teams/two.yaml"},
    )


def _edit(random: Random, model: Model) -> None:
    name = random.choice(sorted(model.rulesets))
    rules = model.rulesets[name]
    rules[random.randrange(len(rules))] = a_rule(
        random, f"{name}{random.randint(0, 9)}"
    )
    keys = [rule["key"] for rule in rules]
    model.rulesets[name] = [
        rule for at, rule in enumerate(rules) if rule["key"] not in keys[:at]
    ]


def _retarget(random: Random, model: Model) -> None:
    model.aliases[random.choice(QUEUES)] = random.choice(NAMES)


def _rename(random: Random, model: Model) -> None:
    name = random.choice(sorted(model.files))
    folder = random.choice(("", "teams/", "teams/a b/", "\u00fc/"))
    model.files[name] = f"{folder}{name}-{random.randint(0, 3)}.yaml"


def _fall_back(random: Random, model: Model) -> None:
    if model.environment is None:
        return
    model.intents = sorted(random.sample(INTENTS, random.choice((0, 3))))
    model.environment["context"] = {
        "minConfidence": random.choice(BOUNDS),
        "below": {"intent": random.choice(INTENTS)},
    }


def _rename_attributes(random: Random, model: Model) -> None:
    if model.environment is None:
        return
    names = random.choice((("a", "b"), ("language2", "b"), ("b", "a")))
    model.environment["attributes"] = dict(
        zip(("intent", "confidence"), names, strict=True)
    )


def _note(random: Random, model: Model) -> None:
    model.notes["README.md"] = str(random.random())


def _break(random: Random, model: Model) -> None:
    is_broken = bool(model.broken)
    model.broken = "" if is_broken else random.choice(sorted(_BROKEN_FILES))


def _remove_environment(random: Random, model: Model) -> None:
    if random.random() < 0.5 and not model.broken:
        model.environment = None


_EDITS: Final[tuple[tuple[Callable[[Random, Model], None], int], ...]] = (
    (_edit, 8),
    (_retarget, 2),
    (_rename, 2),
    (_fall_back, 2),
    (_rename_attributes, 1),
    (_note, 2),
    (_break, 3),
    (_remove_environment, 1),
)


def changed(random: Random, model: Model) -> Model:
    """Return the next version; a broken one is often repaired."""
    following = deepcopy(model)
    if following.environment is None:
        following.environment = {"owner": "acme", "tenant": "acme"}
        return following
    if following.broken and random.random() < 0.6:
        following.broken = ""
        return following
    edits, weights = zip(*_EDITS, strict=True)
    [edit] = random.choices(edits, weights)
    edit(random, following)
    return following


class HistoryWriter:
    """Commits of a stream for `git fast-import`."""

    def __init__(self, random: Random, prefix: str) -> None:
        self.random = random
        self.prefix = prefix  # of the manifests, with a slash at its end, or empty
        self.parts: list[bytes] = []
        self.mark = 0

    def commit(
        self, branch: str, files: Mapping[str, str] | None, *parents: int
    ) -> int:
        """Add a commit of a branch; without files, the manifests' folder is missing."""
        self.mark += 1
        head = f"commit refs/heads/{branch}\nmark :{self.mark}\n"
        time = 1_700_000_000 + 60 * self.mark
        author = self.random.choice(AUTHORS).replace("<b>", "")
        head += f"committer {author} <a@example.com> {time} +0130\n"
        self._add(head)
        self._data(self.random.choice(SUBJECTS).encode())
        if parents:
            self._add(f"from :{parents[0]}\n")
        for parent in parents[1:]:
            self._add(f"merge :{parent}\n")
        self._add("deleteall\n")
        self._file("OTHER", str(self.random.randint(0, 3)))
        for path, text in (files or {}).items():
            self._file(f"{self.prefix}{path}", text)
        return self.mark

    def write(self, repository: Path) -> None:
        """Make the repository, with `main` checked out."""
        repository.mkdir(parents=True, exist_ok=True)
        _git(repository, "init", "-q", "-b", "main")
        stream = b"".join(self.parts)
        _git(repository, "fast-import", "--quiet", text=stream)
        _git(repository, "reset", "-q", "--hard", "main")

    def _file(self, path: str, text: str) -> None:
        self._add(f"M 100644 inline {json.dumps(path, ensure_ascii=False)}\n")
        self._data(text.encode())

    def _data(self, content: bytes) -> None:
        self.parts.append(b"data %d\n%b\n" % (len(content), content))

    def _add(self, text: str) -> None:
        self.parts.append(text.encode())


def _git(repository: Path, *words: str, text: bytes = b"") -> bytes:
    command = ["git", "-C", str(repository), *words]
    return subprocess.run(command, input=text, check=True, capture_output=True).stdout


def write_history(random: Random, repository: Path, prefix: str) -> None:
    """Write a random history, which ends with a valid version in five of six cases."""
    writer = HistoryWriter(random, prefix)
    model = a_model(random)
    head = writer.commit("main", None)
    if random.random() < 0.3:
        head = writer.commit("main", None, head)
    earlier = [model]
    head = writer.commit("main", model.texts(), head)
    for _ in range(random.randint(2, 14)):
        kind = random.random()
        if kind < 0.15:  # a revert, or a state from long ago
            model = deepcopy(random.choice(earlier))
        elif kind < 0.35:
            head, model = _merge(random, writer, head, model)
            earlier.append(model)
            continue
        else:
            model = changed(random, model)
        earlier.append(model)
        head = writer.commit("main", model.texts(), head)
    if random.random() < 0.8:
        valid = deepcopy(model)
        valid.broken = ""
        valid.environment = valid.environment or {"owner": "acme", "tenant": "acme"}
        writer.commit("main", valid.texts(), head)
    writer.write(repository)


def _merge(
    random: Random, writer: HistoryWriter, head: int, model: Model
) -> tuple[int, Model]:
    """Add a branch of some commits, and its merge; return the merge and its version."""
    side = model
    tip = head
    for _ in range(random.randint(1, 3)):
        side = changed(random, side)
        tip = writer.commit("side", side.texts(), tip)
    merged = random.choice((model, side, changed(random, side)))
    return writer.commit("main", merged.texts(), head, tip), merged
