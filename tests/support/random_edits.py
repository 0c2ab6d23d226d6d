"""Random realistic edits of a project's rules, as people make them: in the text of the files,
comments kept.

`edit_rules` edits some rules, `edit_rule_set` makes one equal edit of the rules of a RuleSet. The
edited manifests are valid: they have no error and keep every promise. Route tests that fail after
an edit are removed from the files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from reconciler.core.checks.route_tests import (
    Checked,
    RouteTestResult,
    check,
    with_promises,
)
from reconciler.core.errors import ManifestError
from reconciler.core.manifest.load import load_manifests
from reconciler.core.plan.promises import PromiseResult
from tests.support.builders import NOW
from tests.support.rule_texts import (
    ENVIRONMENT,
    ManifestTexts,
    Replacement,
    RuleText,
    fields_of,
    is_inline,
    last_place,
    read_documents,
    read_texts,
    write_replacements,
)

CONFIDENCES: Final = (0.4, 0.95)
"""The lowest and the highest confidence of an edited rule. The endpoints' fallbacks are lower."""

INTENT: Final = "cognigyDetectedIntent"

_CHANGES_OF_CONFIDENCE: Final = (-0.1, -0.05, 0.05, 0.1)
_SPLITS: Final = ((90, 10), (80, 20), (70, 30), (60, 40), (50, 50))
_FEWEST_VALUES: Final = 3
"""New conditions test an attribute with so many values: one that every caller may have."""
_FEWEST_EQUAL: Final = 4
"""One equal edit of a RuleSet changes so many rules."""
_ATTEMPTS: Final = 500


class NoEditError(Exception):
    """No attempt led to valid manifests."""


@dataclass(frozen=True)
class RandomEdit:
    """An edit, as a person would describe it."""

    kind: str
    address: str  # cards/pin-blocked; cards/* for one equal edit of a RuleSet
    detail: str  # queue cards -> fraud

    def __str__(self) -> str:
        return f"{self.address}: {self.detail}"


@dataclass(frozen=True)
class _Draft:
    detail: str
    replacements: Sequence[Replacement]


_Drafter = Callable[[RuleText, ManifestTexts, Random], _Draft | None]


def edit_rules(
    folder: Path, random: Random, count: int, kinds: Sequence[str] | None = None
) -> list[RandomEdit]:
    """Edit so many different rules of the manifests in a folder.

    `kinds` are some of KINDS. Raises NoEditError.
    """
    frequencies = {kind: _FREQUENCIES[kind] for kind in kinds or KINDS}
    edits: list[RandomEdit] = []
    edited: set[str] = set()
    for _ in range(_ATTEMPTS):
        if len(edits) == count:
            return edits
        texts = read_texts(folder)
        (kind,) = random.choices([*frequencies], [*frequencies.values()])
        rules = [rule for rule in texts.rules if rule.address not in edited]
        rule, draft = _draft(kind, rules, texts, random)
        if draft is not None and _write_if_valid(folder, draft.replacements):
            edits.append(RandomEdit(kind, rule.address, draft.detail))
            new = {rule.address for rule in read_texts(folder).rules} - {
                rule.address for rule in texts.rules
            }
            edited |= {rule.address, *new}
    raise NoEditError(f"{folder}: {len(edits)} of {count} edits")


def _draft(
    kind: str, rules: Sequence[RuleText], texts: ManifestTexts, random: Random
) -> tuple[RuleText, _Draft | None]:
    """Return an edit of the first rule, in random order, for which this kind of edit makes
    sense.
    """
    shuffled = random.sample(rules, len(rules))
    for rule in shuffled:
        if draft := _DRAFTERS[kind](rule, texts, random):
            return rule, draft
    return shuffled[0], None


def edit_rule_set(folder: Path, random: Random) -> RandomEdit:
    """Make one equal edit of many rules of a RuleSet: another confidence, or another queue.

    Raises NoEditError.
    """
    texts = read_texts(folder)
    for _ in range(_ATTEMPTS):
        name = random.choice(sorted(texts.defaults))
        kind = random.choice(list(_SET_DRAFTERS))
        draft = _SET_DRAFTERS[kind](name, texts, random)
        if draft is not None and _write_if_valid(folder, draft.replacements):
            return RandomEdit(f"set {kind}", f"{name}/*", draft.detail)
    raise NoEditError(f"{folder}: no edit of a RuleSet")


# Edits of one rule


def _change_queue(
    rule: RuleText, texts: ManifestTexts, random: Random
) -> _Draft | None:
    if "targets" in rule.fields:
        return _change_targets(rule, texts, random)
    before = rule.values["queue"]
    after = random.choice([queue for queue in texts.queues if queue != before])
    return _Draft(f"queue {before} -> {after}", [rule.set_field("queue", after)])


def _change_targets(
    rule: RuleText, texts: ManifestTexts, random: Random
) -> _Draft | None:
    """Change the weights of two queues, or one of the queues."""
    targets = [fields_of(node) for node in rule.fields["targets"].value]
    values = rule.values["targets"]
    if len(targets) != 2:
        return None
    if random.random() < 0.5:
        before = tuple(target["weight"] for target in values)
        after = random.choice([split for split in _SPLITS if split != before])
        weights = zip(targets, after, strict=True)
        return _Draft(
            f"weights {before[0]} to {before[1]} -> {after[0]} to {after[1]}",
            [rule.replace(target["weight"], str(weight)) for target, weight in weights],
        )
    used = {target["queue"] for target in values}
    queue = random.choice([queue for queue in texts.queues if queue not in used])
    return _Draft(
        f"queue {values[0]['queue']} -> {queue}",
        [rule.replace(targets[0]["queue"], queue)],
    )


def _change_confidence(
    rule: RuleText, _texts: ManifestTexts, random: Random
) -> _Draft | None:
    before = rule.confidence
    after = _other_confidence(before, random)
    if before is None or after is None:
        return None
    return _Draft(
        f"confidence {before} -> {after}", [rule.set_field("minConfidence", f"{after}")]
    )


def _other_confidence(before: float | None, random: Random) -> float | None:
    if before is None:
        return None
    least, most = CONFIDENCES
    after = round(before + random.choice(_CHANGES_OF_CONFIDENCE), 2)
    return after if least <= after <= most else None


def _add_intent(rule: RuleText, texts: ManifestTexts, random: Random) -> _Draft | None:
    """Add an intent to a rule for some callers; other rules that list intents would be tied with
    the intent's rule.
    """
    if "intents" not in rule.fields or "when" not in rule.fields:
        return None
    node = rule.fields["intents"]
    intent = random.choice(
        [intent for intent in texts.intents if intent not in rule.intents]
    )
    last = node.value[-1]
    separator = ", " if is_inline(node) else "\n" + " " * node.start_mark.column + "- "
    place = last.end_mark.index
    return _Draft(
        f"intents + {intent}",
        [Replacement(rule.path, place, place, separator + _quoted(intent))],
    )


def _remove_intent(
    rule: RuleText, _texts: ManifestTexts, random: Random
) -> _Draft | None:
    if len(rule.values.get("intents", ())) < 2:
        return None
    node = rule.fields["intents"]
    index = random.randrange(len(node.value))
    removed = node.value[index]
    # The separator goes, too: the one before the value, or, of the first value, the one after it.
    start = node.value[index - 1].end_mark.index if index else removed.start_mark.index
    end = removed.end_mark.index if index else node.value[1].start_mark.index
    return _Draft(
        f"intents - {removed.value}", [Replacement(rule.path, start, end, "")]
    )


def _delete_rule(
    rule: RuleText, texts: ManifestTexts, _random: Random
) -> _Draft | None:
    if len(texts.rule_set(rule.rule_set)) == 1:
        return None
    return _Draft("deleted", [Replacement(rule.path, rule.start, rule.end, "")])


def _add_rule(rule: RuleText, texts: ManifestTexts, random: Random) -> _Draft | None:
    """Add a rule for some callers of an intent, before the rule that takes them."""
    condition = _new_condition(rule, texts, random)
    if not rule.intents or condition is None:
        return None
    intent = random.choice(rule.intents)
    priority = rule.priority - 5
    if _is_taken(condition, [intent], priority, texts):
        return None
    queue = random.choice(
        [queue for queue in texts.queues if queue != rule.values.get("queue")]
    )
    key = f"{condition.word}-{intent}".lower().replace("_", "-").replace("?", "")
    fields = [
        f"key: {key}",
        f"intent: {_quoted(intent)}",
        *(["minConfidence: 0.6"] if random.random() < 0.5 else []),
        "when:",
        f"  - {condition.text}",
        f"queue: {queue}",
        f"priority: {priority}",
    ]
    indent = " " * rule.node.start_mark.column
    lines = [
        f"{indent[:-2]}- {fields[0]}\n",
        *(f"{indent}{line}\n" for line in fields[1:]),
    ]
    added = Replacement(rule.path, rule.end, rule.end, "".join(lines))
    return _Draft(f"new rule {key} for {condition.text}, to {queue}", [added])


class _NewCondition(NamedTuple):
    attribute: str
    values: Sequence[str]

    @property
    def word(self) -> str:
        """Return a word for a key."""
        return self.values[0]

    @property
    def text(self) -> str:
        """Return the condition in a manifest."""
        is_single = len(self.values) == 1
        test = (
            f"equals: {self.values[0]}"
            if is_single
            else f"in: [{', '.join(self.values)}]"
        )
        return f"{{attribute: {self.attribute}, {test}}}"


def _new_condition(
    rule: RuleText, texts: ManifestTexts, random: Random
) -> _NewCondition | None:
    """Return a condition on an attribute that the rule does not test and that every caller may
    have.

    Its values are those of another rule's condition, such as all variants of a language, or a
    single one.
    """
    tested = {condition["attribute"] for condition in rule.values.get("when", ())}
    suitable = {
        name: values
        for name, values in texts.attributes.items()
        if name not in tested and len(values) >= _FEWEST_VALUES
    }
    if not suitable:
        return None
    attribute = random.choice(sorted(suitable))
    groups = [
        condition["in"]
        for other_rule in texts.rules
        for condition in other_rule.values.get("when", ())
        if condition["attribute"] == attribute and "in" in condition
    ]
    values = (
        random.choice(groups)
        if groups and random.random() < 0.6
        else [random.choice(suitable[attribute])]
    )
    return _NewCondition(attribute, values)


def _is_taken(
    condition: _NewCondition,
    intents: Sequence[str],
    priority: int,
    texts: ManifestTexts,
) -> bool:
    """Return whether a rule with a better priority takes all callers with a condition and some
    intents.
    """
    for rule in texts.rules:
        remaining_items = [
            candidate
            for candidate in rule.values.get("when", ())
            if candidate["attribute"] != INTENT
        ]
        is_wider = all(
            candidate["attribute"] == condition.attribute
            for candidate in remaining_items
        ) and all(
            {*condition.values} <= {*candidate.get("in", ())}
            for candidate in remaining_items
        )
        if (
            rule.priority < priority
            and is_wider
            and (not rule.intents or {*intents} <= {*rule.intents})
        ):
            return True
    return False


def _change_priority(
    rule: RuleText, texts: ManifestTexts, random: Random
) -> _Draft | None:
    """Move a rule just before or behind the rules of another priority."""
    if not rule.intents:
        return None
    before = rule.priority
    remaining_items = {rule.priority for rule in texts.rules} - {before}
    after = random.choice(sorted(remaining_items)) + random.choice((-5, 5))
    if after < 1 or after == before:
        return None
    return _Draft(
        f"priority {before} -> {after}", [rule.set_field("priority", str(after))]
    )


def _add_condition(
    rule: RuleText, texts: ManifestTexts, random: Random
) -> _Draft | None:
    condition = _new_condition(rule, texts, random)
    if (
        not rule.intents
        or condition is None
        or _is_taken(condition, rule.intents, rule.priority, texts)
    ):
        return None
    detail = f"when + {condition.text}"
    if "when" not in rule.fields:
        return _Draft(detail, [rule.add_lines(["when:", f"  - {condition.text}"])])
    node = rule.fields["when"]
    if is_inline(node):
        return None
    place = last_place(node)
    line = "\n" + " " * node.start_mark.column + f"- {condition.text}"
    return _Draft(detail, [Replacement(rule.path, place, place, line)])


def _disable_rule(
    rule: RuleText, _texts: ManifestTexts, _random: Random
) -> _Draft | None:
    if "enabled" in rule.fields:
        return None
    return _Draft("disabled", [rule.set_field("enabled", "false")])


_DRAFTERS: Final[dict[str, _Drafter]] = {
    "queue": _change_queue,
    "confidence": _change_confidence,
    "add intent": _add_intent,
    "remove intent": _remove_intent,
    "delete": _delete_rule,
    "new rule": _add_rule,
    "priority": _change_priority,
    "condition": _add_condition,
    "disable": _disable_rule,
}

_FREQUENCIES: Final = {
    "queue": 8,
    "confidence": 6,
    "new rule": 5,
    "add intent": 3,
    "remove intent": 2,
    "condition": 1,
    "delete": 1,
    "priority": 1,
    "disable": 1,
}
"""How often people make each kind of edit: most edits change a queue or a confidence, or add a rule
or an intent."""
KINDS: Final = tuple(_DRAFTERS)
"""The kinds of edits of one rule."""


# One equal edit of a RuleSet


def _change_set_confidence(
    name: str, texts: ManifestTexts, random: Random
) -> _Draft | None:
    node = texts.defaults[name].get("minConfidence")
    users = [
        rule
        for rule in texts.rule_set(name)
        if rule.intents and "minConfidence" not in rule.fields
    ]
    if node is None or len(users) < _FEWEST_EQUAL:
        return None
    before = float(node.value)
    after = _other_confidence(before, random)
    if after is None:
        return None
    replacement = Replacement(
        users[0].path, node.start_mark.index, node.end_mark.index, f"{after}"
    )
    return _Draft(
        f"confidence {before} -> {after} of {len(users)} rules", [replacement]
    )


def _change_set_queue(name: str, texts: ManifestTexts, random: Random) -> _Draft | None:
    rules = [rule for rule in texts.rule_set(name) if "queue" in rule.fields]
    counts = Counter(str(rule.values["queue"]) for rule in rules).most_common(1)
    if not counts or counts[0][1] < _FEWEST_EQUAL:
        return None
    before, number = counts[0]
    after = random.choice([queue for queue in texts.queues if queue != before])
    changed = [
        rule.set_field("queue", after)
        for rule in rules
        if rule.values["queue"] == before
    ]
    return _Draft(f"queue {before} -> {after} of {number} rules", changed)


_SET_DRAFTERS: Final = {
    "confidence": _change_set_confidence,
    "queue": _change_set_queue,
}


def _quoted(intent: str) -> str:
    return f'"{intent}"' if "?" in intent else intent


# The edited manifests


def _write_if_valid(folder: Path, replacements: Sequence[Replacement]) -> bool:
    """Write an edit and remove the route tests that it breaks; write nothing if the manifests would
    not be valid.
    """
    before = {
        replacement.path: replacement.path.read_text(encoding="utf-8")
        for replacement in replacements
    }
    write_replacements(replacements)
    checked = _checked(folder)
    if checked is not None:
        _remove_failing_tests(folder, checked)
        return True
    for path, text in before.items():
        path.write_text(text, encoding="utf-8")
    return False


def _checked(folder: Path) -> Checked | None:
    """Return the results of the route tests; None for manifests with an error or a promise that is
    not kept.
    """
    try:
        manifests = load_manifests(folder, NOW)
    except ManifestError:
        return None
    checked = with_promises(
        check(manifests, manifests.environments[ENVIRONMENT].document)
    )
    errors = [finding for finding in checked.findings if finding.severity == "error"]
    promises = [result for result in checked.tried if isinstance(result, PromiseResult)]
    return None if errors or any(result.failure for result in promises) else checked


def _remove_failing_tests(folder: Path, checked: Checked) -> None:
    """Remove the route tests that fail; a file without tests is deleted."""
    results = [
        result for result in checked.tried if isinstance(result, RouteTestResult)
    ]
    failing = {(result.document, result.number) for result in results if result.failure}
    documents = [
        document for document in read_documents(folder) if document.kind == "RouteTests"
    ]
    for document in documents if failing else ():
        items = list(enumerate(document.items("tests"), 1))
        removed = [
            item
            for number, item in items
            if (document.values["name"], number) in failing
        ]
        if len(removed) == len(items):
            document.path.unlink()
        else:
            write_replacements(
                Replacement(document.path, item.start, item.end, "") for item in removed
            )
