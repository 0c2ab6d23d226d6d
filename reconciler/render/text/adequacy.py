"""The adequacy of the route tests as text and as JSON: how many single edits they notice, and which not."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from reconciler.checks.adequacy import Adequacy, UnnoticedEdit
from reconciler.model.finding import source_to_json
from reconciler.plan.behaviour_json import destination_to_json
from reconciler.plan.document import rule_to_json
from reconciler.render.finding_subject import source_location
from reconciler.render.impact import destination_phrase
from reconciler.text.escape import pluralize, quote, sanitize
from reconciler.text.phrases import condition_phrase, conversation_phrase, queues_phrase

MAX_EXAMPLES: Final = 100  # examples in JSON, each with a complete list of rules
MAX_LISTED_RULES: Final = 20_000  # rules of all these lists


class AdequacyReport(NamedTuple):
    """The adequacy in each environment. `--write` added `tests` to a file, and they notice some unnoticed edits."""

    adequacies: Sequence[Adequacy]
    file: str = ""  # empty without `--write`
    tests: int = 0
    noticed: int = 0

    @property
    def unnoticed(self) -> int:
        """Return how many edits no test and no promise noticed before tests were added."""
        return sum(len(each.unnoticed) for each in self.adequacies)

    def reaches(self, percent: float) -> bool:
        """Return whether at least a share of the edits is noticed, also by the added tests."""
        edits = sum(each.edits for each in self.adequacies)
        return 100 * (edits - self.unnoticed + self.noticed) >= percent * edits


def edit_phrase(unnoticed: UnnoticedEdit, adequacy: Adequacy) -> str:
    """Return an edit in words: `confidence >= 0.45 instead of confidence >= 0.4`."""
    labels, queues, (entry, edited) = adequacy.checked.labels, adequacy.checked.queues, unnoticed.edit
    if edited is None:
        return "without the rule"
    before, after = entry.rule, edited.rule
    if after.targets != before.targets:
        return f"to {queues_phrase(after.targets, queues)} instead of {queues_phrase(before.targets, queues)}"
    if after.priority != before.priority:
        return f"priority {quote(after.priority)} instead of {quote(before.priority)}"
    removed, added = (
        " and ".join(condition_phrase(part, labels) for part in first.conditions if part not in second.conditions)
        for first, second in ((before, after), (after, before))
    )
    return f"{added} instead of {removed}" if added else f"without the condition {removed}"


def adequacy_lines(report: AdequacyReport, limit: int) -> Iterator[str]:
    """Yield up to `limit` unnoticed edits, each once for all environments, and the totals of each environment."""
    texts: dict[str, str] = {}
    for adequacy in report.adequacies:
        for unnoticed in adequacy.unnoticed:
            entry, queues = unnoticed.edit.before, adequacy.checked.queues
            where = f"   {source_location(entry.source)}" if entry.source else ""
            example = conversation_phrase(unnoticed.event, adequacy.checked.labels)
            way = [destination_phrase(each, queues) for each in (unnoticed.before, unnoticed.after)]
            head = f"  {sanitize(entry.name)}: {edit_phrase(unnoticed, adequacy)}{where}"
            texts.setdefault(head, f"      {example}: {' -> '.join(way)}")
    yield from (f"{head}\n{move}" for head, move in list(texts.items())[:limit])
    if len(texts) > limit:
        yield f"  and {pluralize(len(texts) - limit, 'further edit')}: -v lists all"
    for adequacy in report.adequacies:
        name, edits = adequacy.checked.environment.name, adequacy.edits
        noticed = edits - len(adequacy.unnoticed)
        share = f" ({100 * noticed / edits:.1f} %)" if edits else ""
        undecided = f"; {pluralize(adequacy.undecided, 'edit')} not decided" if adequacy.undecided else ""
        count = f"{noticed:,} of {pluralize(edits, 'single edit')} that move callers"
        checks = "tests and promises" if adequacy.checked.promises else "tests"
        yield f"Adequacy in {sanitize(name)}: the {checks} notice {count}{share}{undecided}."
    if report.file:
        count = f"{report.noticed:,} of {pluralize(report.unnoticed, 'unnoticed edit')}"
        yield f"{pluralize(report.tests, 'route test')} added to {sanitize(report.file)}, for {count}."


def adequacy_document(report: AdequacyReport) -> dict[str, Any]:
    """Return the adequacy of all environments together as JSON, with a limited number of examples."""
    pairs = [(unnoticed, adequacy) for adequacy in report.adequacies for unnoticed in adequacy.unnoticed]
    pairs.sort(key=lambda pair: -pair[0].traffic)
    edits = sum(each.edits for each in report.adequacies)
    limit = min(MAX_EXAMPLES, 1 + MAX_LISTED_RULES // max(1, *(len(each.desired.rules) for each in report.adequacies)))
    added = {"file": report.file, "tests": report.tests, "noticed": report.noticed}
    return {
        "edits": edits,
        "unnoticed": len(pairs),
        "percent": 100 * len(pairs) / edits if edits else 0.0,
        "undecided": sum(each.undecided for each in report.adequacies),
        "examples": [_example(*pair) for pair in pairs[:limit]],
        **({"added": added} if report.file else {}),
    }


def _example(unnoticed: UnnoticedEdit, adequacy: Adequacy) -> dict[str, Any]:
    (entry, edited), queues = unnoticed.edit, adequacy.checked.queues
    rules = {str(address): each.rule for address, each in adequacy.desired.rules.items() if str(address) != entry.name}
    rules |= {entry.name: edited.rule} if edited else {}
    return {
        "environment": adequacy.checked.environment.name,
        "edit": edit_phrase(unnoticed, adequacy),
        "address": entry.name,
        "source": source_to_json(entry.source),
        "witness": dict(unnoticed.event),
        "before": destination_to_json(unnoticed.before, queues),
        "after": destination_to_json(unnoticed.after, queues),
        "rules": [{"id": name, **rule_to_json(rule, rule.description, queues)} for name, rule in rules.items()],
    }
