"""Manifests and desired rules -> what the cells of each attribute's column may say."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import cast

from reconciler.behaviour.routing_entry import RoutingEntry
from reconciler.desired.desired import DesiredState, labels_of
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.load import Manifests
from reconciler.model.grouping import group_pairs
from reconciler.model.operators import EQUALITIES, SETS, Scalar
from reconciler.model.rule import Condition, canonical_scalar
from reconciler.plan.routing_table import desired_entries
from reconciler.table.column_values import ColumnValues, ValueKind
from reconciler.table.rows import conditions_by_attribute, heading_of


def column_values(
    manifests: Manifests, environment: Environment, desired: DesiredState
) -> dict[str, ColumnValues]:
    """Return the values by attribute: the bot's attributes, the declared ones, and those of the
    rules.
    """
    used = _used_values(desired_entries(desired))
    stated = _stated_conditions(desired_entries(desired))
    declared, bot = manifests.declared_attributes, environment.attributes
    names = tuple(dict.fromkeys((bot.intent, bot.confidence, *declared, *used)))
    intents = [
        intent for loaded in manifests.intents for intent in loaded.document.names
    ]
    # A table has labels, whether messages have them or not: both ways of reading must give one
    # table.
    labels = labels_of(replace(manifests, labelled=True), environment)
    columns = dict[str, ColumnValues]()
    for name in names:
        kind: ValueKind = "any"
        offered: Sequence[Scalar] = ()
        if name == bot.intent:
            kind, offered = "text", intents
        elif name == bot.confidence:
            kind = "confidence"
        elif name in declared:
            kind = cast("ValueKind", declared[name].declared_type or "any")
            offered = sorted(declared[name].canonical_values, key=str)
        values = frozenset(used.get(name, ()))
        taken = {str(value) for value in (*offered, *values)}
        shown = {
            key[1]: label
            for key, label in labels.texts.items()
            if len(key) > 1 and key[0] == name
        }
        columns[name] = ColumnValues(
            attribute=name,
            heading=heading_of(name, labels, names),
            kind=kind,
            offered=tuple(offered),
            used=values,
            stated=stated.get(name, frozenset()),
            labels={
                value: label for value, label in shown.items() if label not in taken
            },
            groups={
                group: each
                for group, each in labels.groups.get(name, {}).items()
                if group not in taken
            },
        )
    return columns


def _used_values(entries: Iterable[RoutingEntry]) -> dict[str, list[Scalar]]:
    """Return the attributes of rules, each with the values that conditions compare as a whole."""
    parts = [
        part
        for entry in entries
        for parts in conditions_by_attribute(entry.rule).values()
        for part in parts
    ]
    values = group_pairs(
        (part.attribute, canonical_scalar(value))
        for part in parts
        if part.operator in EQUALITIES | SETS
        for value in part.values
    )
    return {part.attribute: values.get(part.attribute, []) for part in parts}


def _stated_conditions(
    entries: Iterable[RoutingEntry],
) -> dict[str, frozenset[frozenset[Condition]]]:
    """Return the attributes of rules, each with the conditions of every rule."""
    by_attribute = group_pairs(
        (attribute, frozenset(parts))
        for entry in entries
        for attribute, parts in conditions_by_attribute(entry.rule).items()
    )
    return {attribute: frozenset(stated) for attribute, stated in by_attribute.items()}
