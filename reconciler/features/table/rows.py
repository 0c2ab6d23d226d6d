"""Rules in order of evaluation -> the decision table: a column for each attribute in use, and a row
for each rule.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Final, NamedTuple

from reconciler.core.behaviour.routing_entry import RoutingEntry, evaluation_key
from reconciler.core.desired.desired import DesiredState
from reconciler.core.model.rule import CANONICAL_JSON, Rule, Target
from reconciler.core.plan.routing_table import (
    attributes_in_use,
    conditions_by_attribute,
)
from reconciler.core.plan.traffic_shares import RuleShares
from reconciler.core.text.phrases import Labels
from reconciler.features.table.cells import (
    WeightedQueue,
    write_conditions,
    write_name,
    write_queues,
    write_scalar,
)
from reconciler.features.table.column_values import ColumnValues
from reconciler.features.table.stated_rules import DATE_FIELDS, StatedRule

_DATES: Final = tuple(DATE_FIELDS)
_EDITABLE: Final = ("Priority", "On", "Queue", *_DATES)
HEADINGS: Final = ("Rule", "Priority", "On", "Queue", "Share of callers", "File")
DATED_HEADINGS: Final = (*HEADINGS[:4], *_DATES, *HEADINGS[4:])
YES: Final = "yes"
NO: Final = "no"


class Column(NamedTuple):
    """A column: one of `DATED_HEADINGS`, or that of the conditions on an attribute."""

    heading: str
    attribute: str = ""

    @property
    def is_editable(self) -> bool:
        """Return whether an edited cell is an edit of the manifests."""
        return self.attribute != "" or self.heading in _EDITABLE


NAME: Final = Column("Rule")
"""The column of the rule's address."""


class Row(NamedTuple):
    """A rule, and its cells by column."""

    stated: StatedRule
    cells: dict[Column, str]

    @property
    def entry(self) -> RoutingEntry:
        """Return the rule."""
        return self.stated.entry


@dataclass(frozen=True)
class DecisionTable:
    """The rules of an Environment in order of evaluation, disabled ones included."""

    environment: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    # By attribute: of the columns, and of all others that rules may test.
    values: Mapping[str, ColumnValues]

    @cached_property
    def digest(self) -> str:
        """Return 12 hex digits: tables of equal rules have one digest.

        Shares and lines of files do not count.
        """
        columns = [
            column for column in self.columns if column == NAME or column.is_editable
        ]
        cells = [[row.cells[column] for column in columns] for row in self.rows]
        headings = [column.heading for column in columns]
        content: list[object] = [self.environment, headings, cells]
        # Equal cells have equal meanings only with equal labels and groups.
        by_name = sorted(self.values.items())
        labels = [(name, sorted(each.labels.items())) for name, each in by_name]
        content.append(labels)
        groups = [
            [name, *_listed(each.groups)] for name, each in by_name if each.groups
        ]
        if groups:
            content.append(groups)
        return sha256(CANONICAL_JSON.encode(content).encode()).hexdigest()[:12]

    @property
    def origin(self) -> str:
        """Return the last column's heading, by which a table is recognized: `File (table of prod,
        1a2b3c4d5e6f)`.
        """
        return f"File (table of {self.environment}, {self.digest})"

    @property
    def headings(self) -> list[str]:
        """Return the headings as a file has them."""
        headings = [column.heading for column in self.columns]
        headings[-1] = self.origin
        return headings


def build_table(
    desired: DesiredState,
    rules: Iterable[StatedRule],
    queues: Mapping[str, str],
    values: Mapping[str, ColumnValues],
    shares: RuleShares | None = None,
) -> DecisionTable:
    """Return the table; `queues` are names by id, `values` those of the attributes, `shares` those
    of a sample.
    """
    ordered = sorted(
        rules, key=lambda rule: evaluation_key(rule.entry, desired.evaluation)
    )
    attributes = attributes_in_use([each.entry for each in ordered], desired.labels)
    columns = list[Column]()
    for heading in headings_of(desired):
        if heading == "Queue":
            columns += [
                Column(values[attribute].heading, attribute) for attribute in attributes
            ]
        if heading != "Share of callers" or shares is not None:
            columns.append(Column(heading))
    rows = [_make_row(rule, columns, queues, values, shares) for rule in ordered]
    return DecisionTable(desired.environment, tuple(columns), tuple(rows), values)


def headings_of(desired: DesiredState) -> tuple[str, ...]:
    """Return the headings of the columns that are not attributes."""
    return HEADINGS if desired.calendar is None else DATED_HEADINGS


def heading_of(
    attribute: str, labels: Labels, names: Container[str], headings: Container[str]
) -> str:
    """Return an attribute's heading: its label, or its name; in quotes, if the text has another
    meaning, such as that of one of the headings.
    """
    if attribute in labels.short:
        return labels.short[attribute]
    label = labels.texts.get((attribute,), attribute)
    text = write_scalar(attribute if label in names else label)
    has_other_meaning = (
        text in headings or text in labels.short.values() or text.startswith("File")
    )
    if has_other_meaning and not text.startswith('"'):
        return f'"{text}"'
    return text


def _listed(groups: Mapping[str, Iterable[str]]) -> list[list[str]]:
    lists: list[list[str]] = []
    for group, values in sorted(groups.items()):
        lists.append([group, *sorted(values)])
    return lists


def _make_row(
    stated: StatedRule,
    columns: Iterable[Column],
    queues: Mapping[str, str],
    values: Mapping[str, ColumnValues],
    shares: RuleShares | None,
) -> Row:
    entry = stated.entry
    rule = entry.rule
    source = entry.source
    texts = {
        "Rule": write_name(entry.name),
        "Priority": write_scalar(rule.priority),
        "On": YES if rule.enabled else NO,
        "Queue": _queue_text(stated, queues),
    }
    for heading in _DATES:
        texts[heading] = write_scalar(date) if (date := stated.date(heading)) else ""
    if shares:
        texts["Share of callers"] = _share_text(stated, shares)
    if source:
        texts["File"] = f"{write_name(source.file)} line {source.line}"

    conditions = {
        name: write_conditions(parts, values[name])
        for name, parts in conditions_by_attribute(rule).items()
    }
    cells = {
        column: conditions.get(column.attribute) or texts.get(column.heading, "")
        for column in columns
    }
    return Row(stated, cells)


def _share_text(stated: StatedRule, shares: RuleShares) -> str:
    """Return the share of a rule; empty for one that takes no conversation now."""
    entry = stated.entry
    if not entry.rule.enabled or not stated.is_active:
        return ""
    return shares.of(replace(entry, name=str(entry.address))).in_words()


def _queue_text(stated: StatedRule, queues: Mapping[str, str]) -> str:
    """Return the queues of a rule; with steps, those of each step after its time."""
    texts = [write_queues(_weighted_queues(stated.entry.rule, queues))]
    for step in stated.steps:
        weighted = write_queues(_weighted_queues(step.rule, queues))
        texts.append(f"from {step.time}: {weighted}")
    return ", ".join(texts)


def _weighted_queues(rule: Rule, queues: Mapping[str, str]) -> list[WeightedQueue]:
    """Return the queues of a rule by their names, those of the largest weights first."""
    targets = [part for part in rule.targets if isinstance(part, Target)]
    targets.sort(key=lambda target: -target.weight)
    return [
        WeightedQueue(queues.get(target.queue_id, target.queue_id), target.weight)
        for target in targets
    ]
