"""The adequacy of the route tests as text and as JSON: how many single edits they notice, and which not."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from reconciler.behaviour.diff.single_edit import RuleEdit
from reconciler.behaviour.routing_entry import Destination
from reconciler.checks.adequacy import Adequacy, UnnoticedEdit
from reconciler.model.finding import source_to_json
from reconciler.plan.behaviour_json import destination_to_json
from reconciler.plan.document import rule_to_json
from reconciler.render.finding_subject import source_location
from reconciler.render.impact import DEFAULT_ROUTING
from reconciler.text.escape import pluralize, quote, sanitize
from reconciler.text.phrases import condition_phrase, conversation_phrase, queue_phrase, queues_phrase, split_phrase

MAX_EXAMPLES: Final = 100  # examples in JSON, each with a complete list of rules
MAX_LISTED_RULES: Final = 20_000  # rules of all these lists; at least one example is listed


class AddedTests(NamedTuple):
    """The result of `--write`: the file, the number of added tests, and how many edits they notice."""

    file: str
    tests: int
    noticed: int


def edit_phrase(edit: RuleEdit, adequacy: Adequacy) -> str:
    """Return an edit in words: `confidence >= 0.45 instead of confidence >= 0.4`."""
    labels, queues = adequacy.checked.labels, adequacy.checked.queues
    if edit.after is None:
        return "without the rule"
    before, after = edit.before.rule, edit.after.rule
    if after.targets != before.targets:
        return f"to {queues_phrase(after.targets, queues)} instead of {queues_phrase(before.targets, queues)}"
    if after.priority != before.priority:
        return f"priority {quote(after.priority)} instead of {quote(before.priority)}"
    removed = [condition_phrase(part, labels) for part in before.conditions if part not in after.conditions]
    added = [condition_phrase(part, labels) for part in after.conditions if part not in before.conditions]
    words = " and ".join(removed)
    return f"{' and '.join(added)} instead of {words}" if added else f"without the condition {words}"


def adequacy_line(adequacy: Adequacy) -> str:
    """Return `Adequacy in prod: 310 of 535 single edits are noticed (57.9 %), 225 are not.`."""
    name, edits, unnoticed = sanitize(adequacy.checked.environment.name), adequacy.edits, len(adequacy.unnoticed)
    undecided = adequacy.undecided
    limit = f" {pluralize(undecided, 'edit')} not counted: the analysis stopped at its bound." if undecided else ""
    if not edits:
        return f"Adequacy in {name}: no single edit moves callers.{limit}"
    share = f"{edits - unnoticed:,} of {pluralize(edits, 'single edit')} that move callers are noticed"
    return f"Adequacy in {name}: {share} ({100 - adequacy.percent:.1f} %), {unnoticed:,} are not.{limit}"


def adequacy_lines(adequacies: Sequence[Adequacy], limit: int) -> Iterator[str]:
    """Yield up to `limit` unnoticed edits, each once for all environments."""
    texts: dict[tuple[str, str], list[str]] = {}
    for adequacy in adequacies:
        for unnoticed in adequacy.unnoticed:
            phrase, entry = edit_phrase(unnoticed.edit, adequacy), unnoticed.edit.before
            where = f"   {source_location(entry.source)}" if entry.source else ""
            head = f"  {sanitize(entry.name)}: {phrase}{where}"
            texts.setdefault((entry.name, phrase), [head, f"      {_move_phrase(unnoticed, adequacy)}"])
    for lines in list(texts.values())[:limit]:
        yield from lines
    if len(texts) > limit:
        yield f"  and {pluralize(len(texts) - limit, 'further edit')}: -v lists all"


def _move_phrase(unnoticed: UnnoticedEdit, adequacy: Adequacy) -> str:
    def phrase(destination: Destination) -> str:
        if destination is None:
            return DEFAULT_ROUTING
        return split_phrase(destination, lambda queue: queue_phrase(queue, adequacy.checked.queues))

    example = conversation_phrase(unnoticed.event, adequacy.checked.labels)
    return f"{example}: {phrase(unnoticed.before)} -> {phrase(unnoticed.after)}"


def added_line(added: AddedTests, unnoticed: int) -> str:
    """Return how many tests were added, and how many of the unnoticed edits they notice."""
    if not added.tests:
        return f"No route test was added to {sanitize(added.file)}."
    verb = "it notices" if added.tests == 1 else "they notice"
    count = f"{added.noticed:,} of {pluralize(unnoticed, 'unnoticed edit')}"
    others = " No test that passes in every environment notices the others." if added.noticed < unnoticed else ""
    return f"{pluralize(added.tests, 'route test')} added to {sanitize(added.file)}: {verb} {count}.{others}"


def adequacy_document(adequacies: Sequence[Adequacy], added: AddedTests | None) -> dict[str, Any]:
    """Return the adequacy of all environments together as JSON; `examples` begins with the highest traffic."""
    edits, pairs = sum(each.edits for each in adequacies), _by_traffic(adequacies)
    rules = max((len(each.entries) for each in adequacies), default=0)
    limit = max(1, min(MAX_EXAMPLES, MAX_LISTED_RULES // max(rules, 1)))
    document = {
        "edits": edits,
        "unnoticed": len(pairs),
        "percent": 100 * len(pairs) / edits if edits else 0.0,
        "undecided": sum(each.undecided for each in adequacies),
        "examples": [_example(adequacy, unnoticed) for adequacy, unnoticed in pairs[:limit]],
    }
    return document | ({"added": added._asdict()} if added else {})


def _by_traffic(adequacies: Sequence[Adequacy]) -> list[tuple[Adequacy, UnnoticedEdit]]:
    pairs = [(adequacy, unnoticed) for adequacy in adequacies for unnoticed in adequacy.unnoticed]
    return sorted(pairs, key=lambda pair: -pair[1].traffic)


def _example(adequacy: Adequacy, unnoticed: UnnoticedEdit) -> dict[str, Any]:
    entry, queues = unnoticed.edit.before, adequacy.checked.queues
    edited = adequacy.edited_entries(unnoticed.edit)
    rules = [{"id": each.name, **rule_to_json(each.rule, each.rule.description, queues)} for each in edited]
    return {
        "environment": adequacy.checked.environment.name,
        "edit": edit_phrase(unnoticed.edit, adequacy),
        "address": entry.name,
        "source": source_to_json(entry.source),
        "witness": dict(unnoticed.event),
        "before": destination_to_json(unnoticed.before, queues),
        "after": destination_to_json(unnoticed.after, queues),
        "rules": rules,
    }
