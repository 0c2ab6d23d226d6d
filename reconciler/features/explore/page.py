"""Rules as one self-contained HTML page: what changes, try a conversation, decision table, queues,
promises.

A page has one side, or two: the rules today and after a change.

The page's script routes conversations itself. It reads the rules as JSON with positions in tables
of distinct parts, and the phrases of conditions from the cells of the decision table.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isinf
from typing import Any, Final, Protocol
from urllib.parse import quote as quote_url
from urllib.parse import urlencode

from reconciler.core.behaviour.endpoint_stage import EndpointStage
from reconciler.core.behaviour.routing_entry import (
    RoutingEntry,
    destination_of_rule,
    evaluation_key,
)
from reconciler.core.behaviour.space.value_type import ANY_TEXT, Types
from reconciler.core.desired.desired import DesiredState
from reconciler.core.model.finding import Document
from reconciler.core.model.operators import RECORDS, Scalar
from reconciler.core.model.rule import JSON_NUMBER, Opaque
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.promises import PromiseResult, run_promises
from reconciler.core.plan.routing_table import (
    RuleList,
    attributes_in_use,
    conditions_by_attribute,
    entry_name,
    route_phrase,
)
from reconciler.core.plan.schedule import build_transition
from reconciler.core.plan.stages import Assessed
from reconciler.core.plan.traffic_shares import RuleShares, rule_shares
from reconciler.core.plan.words import destination_phrase
from reconciler.core.text.escape import pluralize, quote, sanitize
from reconciler.core.text.phrases import (
    Labels,
    condition_phrase,
    conditions_phrase,
    conversation_phrase,
)
from reconciler.core.traffic.sample import TrafficSample
from reconciler.features.explore.effects import ShownChange, effects_data, show_change
from reconciler.features.explore.tables import PageTables, encode
from reconciler.render.effects import UNKNOWN_NOTE, WAITING_NOTE
from reconciler.render.finding_subject import source_location
from reconciler.render.html import page_files, render_page
from reconciler.render.provenance import SourceLinks

_STYLES: Final = ("report.css", "explore.css")
_STATES: Final = {True: "holds", False: "broken", None: "not decided"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExploreSide:
    """A list of rules behind its endpoint, with the results of the promises and the shares of a
    traffic sample.
    """

    name: str
    entries: tuple[RoutingEntry, ...]
    endpoint: EndpointStage
    promises: tuple[PromiseResult, ...]
    shares: RuleShares | None

    @property
    def count_text(self) -> str:
        """Return the number of its rules, switched-off ones included, as every part of the page
        counts them.
        """
        return pluralize(len(self.entries), "rule")


class ShownTimes(Protocol):
    """When the sides of a page about rules with dates hold."""

    @property
    def zone(self) -> str:
        """Return the name of the time zone."""

    @property
    def phrases(self) -> Sequence[str]:
        """Return when each side holds."""

    @property
    def starts(self) -> Sequence[str]:
        """Return the least local time in each side; an empty text for the side of now."""

    def phrase(self, numbers: Sequence[int]) -> str:
        """Return when consecutive sides hold."""


@dataclass(frozen=True, kw_only=True)
class ExplorePage:
    """The content of the page: one side, or the rules today and after a change."""

    desired: DesiredState  # the environment's names, labels and order of evaluation
    queues: Mapping[str, str]  # names by id
    sides: Sequence[ExploreSide]
    # the declared values of attributes
    values: Mapping[str, Sequence[Scalar]] = field(default_factory=dict)
    links: SourceLinks = field(default_factory=SourceLinks)
    banner: str = ""
    period: str = ""  # of the sample
    impact: Impact | None = None  # of the change between two sides
    times: ShownTimes | None = None  # of sides that follow each other in time

    @cached_property
    def change(self) -> ShownChange | None:
        """Return what changes; None for a page with one side."""
        if self.impact is None:
            return None
        return show_change(
            self.impact,
            self.queues,
            self.desired.labels,
            self.sides[-1].promises,
        )

    @cached_property
    def rules(self) -> list[tuple[RoutingEntry, list[int]]]:
        """Return all rules in the order of evaluation, each with the numbers of its sides."""
        entries: dict[int, RoutingEntry] = {}
        numbers: dict[int, list[int]] = {}
        for number, side in enumerate(self.sides):
            for entry in side.entries:
                key = id(entry)
                entries[key] = entry
                numbers.setdefault(key, []).append(number)

        order = self.desired.evaluation
        ordered = sorted(
            entries.values(), key=lambda entry: evaluation_key(entry, order)
        )
        return [(entry, numbers[id(entry)]) for entry in ordered]

    @cached_property
    def attributes(self) -> list[str]:
        """Return the attributes that conditions test."""
        return attributes_in_use(
            (entry for entry, _ in self.rules), self.desired.labels
        )


def build_side(
    name: str,
    rules: RuleList,
    desired: DesiredState,
    sample: TrafficSample | None,
) -> ExploreSide:
    """Return a side: the rules behind the endpoint of `desired`, its promises checked, and its
    shares measured.
    """
    promises = run_promises(desired, rules.entries, rules.queues)
    shares = rule_shares(rules.entries, desired, sample) if sample else None
    return ExploreSide(
        name=name,
        entries=rules.entries,
        endpoint=desired.endpoint,
        promises=promises,
        shares=shares,
    )


def build_plan_sides(plan: Assessed) -> tuple[ExploreSide, ...]:
    """Return the rules today, and after the plan, with the shares and promises that the plan
    has.
    """
    transition = build_transition(plan)
    before, after = plan.impact.traffic.shares if plan.impact.traffic else (None, None)
    base = replace(plan.desired, endpoint=plan.endpoints[0])
    today = build_side(
        "today",
        RuleList(transition.before, plan.queue_names),
        base,
        None,
    )
    later = replace(
        today,
        name="after this change",
        entries=transition.after,
        endpoint=plan.endpoints[1],
    )
    return replace(today, shares=before), replace(
        later,
        promises=plan.promises,
        shares=after,
    )


def evaluator_script() -> str:
    """Return the script that routes conversations, with the operators of the records."""
    operators = ",".join(
        f"{record.name}:{{kind:{json.dumps(record.kind)},denies:{json.dumps(record.denies)},"
        f"test:{record.javascript}}}"
        for record in RECORDS
    )
    return page_files("evaluate.js").replace(
        "const OPERATORS = {};", f"const OPERATORS = {{{operators}}};"
    )


def render_explore(page: ExplorePage) -> str:
    """Return the page."""
    return render_page(
        "explore",
        page_files(*_STYLES),
        evaluator_script() + page_files("explore.js"),
        data=explore_data(page),
        page=page,
        names={name: page.desired.labels.name(name) for name in page.attributes},
        opaque=any(
            isinstance(part, Opaque)
            for entry, _ in page.rules
            for part in entry.rule.conditions
        ),
        shared=any(side.shares for side in page.sides),
        waiting=WAITING_NOTE,
        not_known=UNKNOWN_NOTE,
        example_of=lambda row: fragment_of(
            row.example.attributes,
            page.sides[-1].endpoint,
            len(page.sides) - 1,
        ),
        rows=[_row(page, entry, numbers) for entry, numbers in page.rules],
        promises=[
            [_promise_row(each, page, at) for each in side.promises]
            for at, side in enumerate(page.sides)
        ],
    )


def explore_data(page: ExplorePage) -> Document:
    """Return the JSON for the page's script; its rules are in the order of evaluation."""
    labels = page.desired.labels
    endpoint = page.desired.endpoint
    tables = PageTables(page.attributes, page.queues, page.links)
    rules = [
        _rule_form(entry, _side_numbers(page, numbers), tables)
        for entry, numbers in page.rules
    ]
    change = _change_form(page, tables)
    return {
        "intent": endpoint.intent,
        "confidence": endpoint.confidence,
        "attributes": [[name, labels.name(name)] for name in tables.attributes],
        "columns": len(page.attributes),
        "labels": [[*name, text] for name, text in labels.texts.items() if name[1:]],
        "groups": _group_forms(labels),
        "values": {name: encode(values) for name, values in page.values.items()},
        **tables.to_json(),
        "rules": rules,
        "sides": list(map(_side_form, page.sides)),
        **change,
        **_times_form(page),
    }


def _side_numbers(page: ExplorePage, numbers: Sequence[int]) -> list[int]:
    """Return the sides of a rule; of sides that follow each other in time, the first and the last."""
    return [*numbers] if page.times is None else [numbers[0], numbers[-1]]


def _times_form(page: ExplorePage) -> Document:
    """Return when the sides begin, and their names; an empty document without dates."""
    if page.times is None:
        return {}
    return {"times": list(zip(page.times.starts, page.times.phrases, strict=True))}


def _change_form(page: ExplorePage, tables: PageTables) -> Document:
    """Return the effects of a change; an empty document without one."""
    if page.change is None or page.impact is None:
        return {}
    evaluation = page.desired.evaluation
    change = effects_data(page.change, page.impact, tables, evaluation)
    return {**change, "types": list(_type_forms(page.sides[-1].endpoint))}


def _group_forms(labels: Labels) -> list[list[Any]]:
    """Return the groups of values: the attribute, the name, and the values."""
    groups = []
    for name, by_group in labels.groups.items():
        groups += [[name, group, sorted(values)] for group, values in by_group.items()]
    return groups


def _rule_form(
    entry: RoutingEntry,
    numbers: Sequence[int],
    tables: PageTables,
) -> list[Any]:
    rule = entry.rule
    source = entry.source
    # the script reads it from the row
    is_as_shown = entry.address and sanitize(entry.name).strip() == entry.name
    conditions = [tables.condition(part) for part in rule.conditions]
    destination = tables.destination(destination_of_rule(entry))
    place = [tables.file(source), source.line, source.column] if source else [None]
    name = None if is_as_shown else entry.name
    return [
        name,
        encode(rule.priority),
        conditions,
        destination,
        numbers,
        int(rule.enabled),
        *place,
    ]


def _type_forms(endpoint: EndpointStage) -> Iterator[list[Any]]:
    """Yield what the analysis knows about the values of events.

    For each attribute: whether it may be a text, whether a number is stored as a text, and the
    bounds of a number.
    """
    for name, kind in endpoint.types.items():
        bounds = kind.numbers and [
            None if isinf(bound) else bound for bound in kind.numbers
        ]
        is_stored = kind == ANY_TEXT and endpoint.context_types.get(name) == ANY_TEXT
        yield [name, kind.texts, is_stored, bounds]


def _text_attributes(types: Types) -> list[str]:
    return [name for name, kind in types.items() if kind == ANY_TEXT]


def _side_form(side: ExploreSide) -> Document:
    policy = side.endpoint.fallback
    shares = None
    if side.shares:
        shares = [
            [queue, share.in_words()] for queue, share in side.shares.queues.items()
        ]
    return {
        "name": side.name,
        "fallback": policy.intent,
        "minConfidence": policy.min_confidence,
        "known": sorted(policy.known_intents),
        "texts": _text_attributes(side.endpoint.context_types),
        "shares": shares,
    }


def fragment_of(
    conversation: Mapping[str, str | int | float],
    endpoint: EndpointStage,
    side: int,
) -> str:
    """Return the part of the page's address that opens a conversation."""
    pairs = [("view", "try"), ("side", str(side))]
    for name, value in conversation.items():
        if name == endpoint.intent and isinstance(value, str) and value:
            pairs.append(("intent", value))
        elif (
            name == endpoint.confidence
            and not isinstance(value, str)
            and 0 <= value <= 1
        ):
            pairs.append(("confidence", json.dumps(value)))
        else:
            is_plain = (
                isinstance(value, str)
                and value[:1] not in ("", '"')
                and not JSON_NUMBER.fullmatch(value)
            )
            escaped = name.replace("%", "%25").replace("=", "%3D")
            pairs.append(
                ("attr", f"{escaped}={value if is_plain else json.dumps(value)}")
            )
    return f"#{urlencode(pairs, quote_via=quote_url, errors='replace')}"


def _row(page: ExplorePage, entry: RoutingEntry, numbers: Sequence[int]) -> Document:
    """Return a row of the decision table; a cell of conditions has a phrase for each."""
    rule = entry.rule
    labels = page.desired.labels
    by_attribute = conditions_by_attribute(entry.rule)
    cells = []
    for name in page.attributes:
        prefix = f"{labels.name(name)} "
        phrases = [
            condition_phrase(part, labels) for part in by_attribute.get(name, ())
        ]
        cells.append([phrase.removeprefix(prefix) for phrase in phrases])
    opaque = [part.text for part in rule.conditions if isinstance(part, Opaque)]
    cells.append(list(map(sanitize, opaque)))

    place = ""
    if entry.source:
        place = source_location(entry.source)
    elif entry.address:
        place = "in no manifest"
    return {
        "name": entry_name(entry),
        "notes": _row_notes(page, entry, numbers),
        "priority": quote(rule.priority),
        "cells": cells,
        "queue": destination_phrase(destination_of_rule(entry), page.queues),
        "share": _row_share(page, entry, numbers),
        "place": place,
    }


def _row_notes(
    page: ExplorePage,
    entry: RoutingEntry,
    numbers: Sequence[int],
) -> list[str]:
    notes = []
    if not entry.rule.enabled:
        notes.append("switched off")
    if entry.address is None:
        notes.append("not managed")
    if page.times is not None and len(numbers) < len(page.sides):
        notes.append(page.times.phrase(numbers))
    elif len(numbers) < len(page.sides):
        notes.append(f"only {page.sides[numbers[0]].name}")
    return notes


def _row_share(page: ExplorePage, entry: RoutingEntry, numbers: Sequence[int]) -> str:
    """Return a rule's share of conversations, on each side if it differs."""
    if not entry.rule.enabled:
        return ""
    shares = {}
    for number in numbers:
        side = page.sides[number]
        if side.shares:
            shares[side.name] = side.shares.of(entry).in_words()
    texts = dict.fromkeys(shares.values())
    if len(texts) > 1:
        texts = dict.fromkeys(f"{text} {name}" for name, text in shares.items())
    return ", ".join(texts)


def _promise_row(result: PromiseResult, page: ExplorePage, side: int) -> Document:
    """Return a promise, its state on the rules of a side, and an example that breaks it, with its
    fragment.
    """
    facts = result.facts
    labels = page.desired.labels
    row = {
        "name": sanitize(result.name).strip() or quote(result.name),
        "state": "about no conversation" if facts.is_empty else _STATES[facts.holds],
        "callers": conditions_phrase(result.promise.probe.rule, labels),
        "requirement": result.requirement,
    }
    if not facts.violations:
        return row
    region = facts.violations[0]
    if region.example.reason:
        return {**row, "no_example": region.example.reason}
    route = route_phrase(region.after_rule, region.after, page.queues)
    route += (
        ", depending on a condition that cxroute does not understand"
        if region.example.assumed
        else ""
    )
    example = (
        f"{conversation_phrase(region.example.attributes, labels, region.example.absent)}: "
        f"{route}"
    )
    return {
        **row,
        "example": example,
        "fragment": fragment_of(result.conversation, page.desired.endpoint, side),
    }
