"""The journal as text: one line per run, or one run with each change before and after."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from reconciler.core.desired.desired import short_labels
from reconciler.core.errors import UnexpectedResponseError
from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.model.rule import Rule
from reconciler.core.rule_json import parse_live_rule
from reconciler.core.text.escape import pluralize, quote, sanitize
from reconciler.core.text.phrases import rule_phrase
from reconciler.features.journal.history import RecordedRun
from reconciler.render.change_summary import field_rows
from reconciler.render.text.wrap import align_columns

if TYPE_CHECKING:
    from reconciler.features.journal.run_json import RunJson

_LABELS: Final = short_labels(BotAttributes())  # a journal has no others


def runs_text(runs: Sequence[RecordedRun]) -> str:
    """Return a header and one line per run, newest first."""
    rows = [("run", "time", "who", "result", "reason")]
    for run in reversed(runs):
        reason = _text(run.start, "reason")
        undone = _text(run.start, "undo")
        if run.start.get("undo"):
            reason = f"undoes {undone}" + (f": {reason}" if reason != "-" else "")
        rows.append(
            (
                sanitize(run.id),
                _time(run.start),
                _text(run.start, "who"),
                _outcome(run),
                reason,
            )
        )
    return "".join(f"{line.rstrip()}\n" for line in align_columns(rows))


def run_text(run: RecordedRun) -> str:
    """Return one run with each change before and after."""
    lines = [f"Run {sanitize(run.id)}   {_outcome(run)}", f"  at: {_time(run.start)}"]
    names = (
        "environment",
        "who",
        "reason",
        "planId",
        "allowed",
        *(["undo"] if run.start.get("undo") else ()),
    )
    lines += [f"  {name}: {_text(run.start, name)}" for name in names]
    for change in run.changes:
        lines += [
            "",
            f"  {_text(change, 'action')} {_text(change, 'address')}   {_text(change, 'status')}",
        ]
        lines += [f"      {_text(change, 'error')}"] if change.get("error") else []
        lines += _describe_change(change)
    return "\n".join(lines) + "\n"


def run_document(run: RecordedRun) -> "RunJson":
    """Return one run as JSON: its head, its changes and its end."""
    return {
        "run": run.id,
        "start": dict(run.start),
        "changes": list(map(dict, run.changes)),
        "end": run.end,
    }


def _describe_change(change: Mapping[str, Any]) -> Iterator[str]:
    sides = (change.get("before"), change.get("after"))
    forms = [side for side in sides if isinstance(side, dict)]
    rules = [rule for rule in map(_rule, forms) if rule is not None]
    names: dict[str, str] = {}
    for form in forms:
        names.update(_queue_names(form))
    if len(rules) < len(forms):
        yield "      a rule that cannot be read"
    elif len(rules) == 1:
        yield f"      {rule_phrase(rules[0], names, _LABELS)}"
    elif rules:
        before, after = rules
        for row in field_rows(before, after, names, _LABELS):
            yield f"      {row.name}: {row.before} -> {row.after}"


def _rule(form: Mapping[str, Any]) -> Rule | None:
    """Return a rule of the journal, or None if it is invalid: other programs may write to the
    file.
    """
    try:
        return parse_live_rule({**form, "id": "in the journal"}).rule
    except UnexpectedResponseError:
        return None


def _queue_names(form: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    targets = form.get("targets")
    for target in targets if isinstance(targets, list) else ():
        queue = target.get("queueId") if isinstance(target, dict) else None
        name = target.get("queueName") if isinstance(target, dict) else None
        if isinstance(queue, str) and isinstance(name, str):
            yield queue, name


def _outcome(run: RecordedRun) -> str:
    changes = pluralize(len(run.changes), "change")
    applied = sum(change.get("status") == "applied" for change in run.changes)
    return (
        f"{changes}, no end recorded"
        if run.end is None
        else f"{applied} of {changes} applied"
    )


def _time(entry: Mapping[str, Any]) -> str:
    return re.sub(r"\.[0-9]+", "", _text(entry, "at"))


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    return (
        "-"
        if value in (None, "", [], {})
        else sanitize(value if isinstance(value, str) else quote(value))
    )
