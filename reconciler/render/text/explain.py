"""Which rule takes a conversation and why each earlier rule does not, as text and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.core.behaviour.routing_entry import (
    Destination,
    RoutingEntry,
    destination_of_rule,
)
from reconciler.core.checks.explain import Explanation, NonMatch
from reconciler.core.model.finding import Document
from reconciler.core.model.rule import Condition, to_api_json
from reconciler.core.plan.behaviour_json import destination_to_json, hide_assumed_ids
from reconciler.core.plan.finding_json import source_to_json
from reconciler.core.plan.routing_table import entry_name
from reconciler.core.plan.words import DEFAULT_ROUTING
from reconciler.core.text.escape import pluralize, quote
from reconciler.core.text.phrases import (
    Labels,
    condition_phrase,
    conditions_phrase,
    conversation_phrase,
    queues_phrase,
)
from reconciler.render.colour import Style
from reconciler.render.finding_subject import source_location
from reconciler.render.limits import ALL_ROWS, MAX_SHOWN

if TYPE_CHECKING:
    from reconciler.core.plan.plan_json import DestinationJson

_MAX_WIDTH: Final = 60


@dataclass(frozen=True, slots=True)
class DisplayNames:
    """The origin of the rules (`the manifests of prod`), queue names by id, and labels."""

    rules_label: str
    queues: Mapping[str, str]
    labels: Labels


def explain_text(
    explanation: Explanation,
    names: DisplayNames,
    style: Style,
    limit: int = MAX_SHOWN,
    remedy: str = "; -v lists all",
) -> str:
    """Return the answer, up to `limit` earlier rules that matter, and the number of the rest.

    `ALL_ROWS` omits none. `remedy` follows the number: what shows the rest.
    """
    near = [
        non_match for non_match in explanation.non_matches if not non_match.other_intent
    ]
    undecided = [non_match for non_match in near[limit:] if non_match.undecided]
    non_matches = (
        explanation.non_matches if limit == ALL_ROWS else [*near[:limit], *undecided]
    )
    rows = [_non_match_row(non_match, explanation, names) for non_match in non_matches]
    winner = explanation.winner
    if winner:
        rows.append(("yes", winner, conditions_phrase(winner.rule, names.labels)))
    notes = [
        *(
            f"{each}{remedy}."
            for each in _hidden_rules(explanation, names, non_matches)
        ),
        *_related_rules(explanation, names),
    ]
    lines = [*_answer(explanation, names, style), "", *_table(rows, style)]
    if rows and notes:
        lines.append("")
    lines += notes
    return "\n".join(lines) + "\n"


def _answer(
    explanation: Explanation,
    names: DisplayNames,
    style: Style,
) -> Iterator[str]:
    """Yield where the conversation goes, and what the answer depends on."""
    event = conversation_phrase(explanation.event, names.labels)
    yield f"By {names.rules_label}, a conversation with {event}"
    if explanation.fallback:
        context = conversation_phrase(explanation.conversation, names.labels)
        reason = "the intent is in no Intents document"
        if explanation.fallback != "unknown":
            minimum = quote(explanation.endpoint.fallback.min_confidence)
            reason = f"a confidence of at least {minimum} is required"
        yield f"has {context} after the endpoint's fallback ({reason}), and"
    winner = explanation.winner
    if winner:
        destination = queues_phrase(winner.rule.targets, names.queues)
        yield f"goes to {style('bold', destination)}, by {entry_name(winner)}."
    else:
        yield f"goes to {style('bold', DEFAULT_ROUTING)}: no rule takes it."
    if len(explanation.undecided) == 1:
        yield (
            "Unless the rule marked ? takes it: cxroute does not understand its condition."
        )
    elif explanation.undecided:
        yield (
            "Unless one of the rules marked ? takes it: cxroute does not understand their "
            "conditions."
        )


def explain_document(explanation: Explanation, names: DisplayNames) -> Document:
    """Return the answer as JSON.

    If it depends on something not understood, the winner is in `otherwise`.
    """
    first = explanation.winner
    sure = {
        "winner": first.name if first else None,
        "destination": rule_destination(first, names.queues),
    }
    unsure = {"winner": None, "destination": None, "otherwise": sure}
    following = explanation.next_match
    return {
        "input": dict(explanation.event),
        "context": dict(explanation.conversation),
        "fallback": explanation.fallback,
        **(unsure if explanation.undecided else sure),
        "undecided": [
            _non_match_document(non_match) for non_match in explanation.undecided
        ],
        "passed": [
            _non_match_document(non_match) for non_match in explanation.non_matches
        ],
        "winnerSource": source_to_json(first.source) if first else None,
        "next": {
            "rule": following.name if following else None,
            "destination": rule_destination(following, names.queues),
        },
        "tied": [entry.name for entry in explanation.tied_rules],
        "switchedOff": [entry.name for entry in explanation.switched_off],
    }


def _non_match_row(
    non_match: NonMatch,
    explanation: Explanation,
    names: DisplayNames,
) -> tuple[str, RoutingEntry, str]:
    condition = condition_phrase(non_match.condition, names.labels)
    if not isinstance(non_match.condition, Condition):
        queues = queues_phrase(non_match.entry.rule.targets, names.queues)
        return "?", non_match.entry, f"{condition}; then to {queues}"
    name = non_match.condition.attribute
    value = explanation.conversation.get(name)
    actual = "missing" if value is None else names.labels.value(name, value)
    return "no", non_match.entry, f"{condition}, but it is {actual}"


def _table(
    rows: Sequence[tuple[str, RoutingEntry, str]], style: Style
) -> Iterator[str]:
    names = [entry_name(entry) for _, entry, _ in rows]
    priorities = [f"priority {quote(entry.rule.priority)}" for _, entry, _ in rows]
    name_width = _column_width(names)
    priority_width = _column_width(priorities)
    colours = {"yes": "green", "no": "dim", "?": "yellow"}

    for row, name, priority in zip(rows, names, priorities, strict=True):
        verdict, entry, reason = row
        answer = style(colours[verdict], f"{verdict:<3}")
        place = style("dim", _where(entry))
        yield (
            f"  {answer}  {name:<{name_width}}  {priority:<{priority_width}}  {reason}   {place}"
        )


def _column_width(cells: Sequence[str]) -> int:
    longest = max(map(len, cells), default=0)
    return min(_MAX_WIDTH, longest)


def _hidden_rules(
    explanation: Explanation,
    names: DisplayNames,
    non_matches: Sequence[NonMatch],
) -> Iterator[str]:
    hidden = len(explanation.non_matches) - len(non_matches)
    others = (
        sum(non_match.other_intent for non_match in explanation.non_matches)
        if hidden
        else 0
    )
    if others:
        why = "is for another intent" if others == 1 else "are for other intents"
        if not any(map(names.labels.is_intent, explanation.conversation)):
            why = (
                f"{'asks' if others == 1 else 'ask'} for an intent, and this conversation has "
                f"none"
            )
        yield f"{pluralize(others, 'earlier rule')} {why}"
    if (rest := hidden - others) > 0:
        yield (
            f"{pluralize(rest, 'further earlier rule')} {'does' if rest == 1 else 'do'} not take "
            f"it"
        )


def _related_rules(explanation: Explanation, names: DisplayNames) -> Iterator[str]:
    first = explanation.winner
    following = explanation.next_match
    for entry in explanation.switched_off:
        yield (
            f"{entry_name(entry)} is switched off; it would take this conversation.   "
            f"{_where(entry)}"
        )
    for entry in explanation.tied_rules:
        queues = queues_phrase(entry.rule.targets, names.queues)
        yield (
            f"{entry_name(entry)} has the same priority and would send it to {queues}; the "
            f"tenant's order of the two"
            f" is not defined, and by name the other rule is first.   {_where(entry)}"
        )
    if first and not explanation.tied_rules:
        destination = (
            queues_phrase(following.rule.targets, names.queues)
            if following
            else DEFAULT_ROUTING
        )
        by = f", by {entry_name(following)}   {_where(following)}" if following else ""
        yield f"Without {entry_name(first)} it would go to {destination}{by or '.'}"


def _where(entry: RoutingEntry) -> str:
    if entry.source:
        return source_location(entry.source)
    return "not managed" if entry.address is None else "in no manifest"


def _non_match_document(non_match: NonMatch) -> Document:
    name = non_match.entry.name
    source = non_match.entry.source
    return {
        "rule": name,
        "condition": to_api_json(non_match.condition),
        "source": source_to_json(source),
    }


def rule_destination(
    entry: RoutingEntry | None, queues: Mapping[str, str]
) -> "DestinationJson":
    """Return the destination of a rule, or of no rule, as JSON; `queues` are names by id."""
    return destination_form(destination_of_rule(entry), queues)


def destination_form(
    destination: Destination, queues: Mapping[str, str]
) -> "DestinationJson":
    """Return a destination as JSON; `queues` are names by id."""
    form = destination_to_json(destination, queues)
    hide_assumed_ids([form])
    return form
