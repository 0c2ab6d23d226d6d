"""Manifests and desired rules -> what the cells of each attribute's column may say."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from typing import cast

from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.desired.desired import labels_of
from reconciler.core.manifest.documents import AttributeEntry
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.operators import EQUALITIES, SETS, Scalar
from reconciler.core.model.rule import Condition, canonical_scalar
from reconciler.core.plan.routing_table import conditions_by_attribute
from reconciler.core.text.phrases import Labels
from reconciler.features.table.column_values import ColumnValues, ValueKind
from reconciler.features.table.rows import heading_of


def column_values(
    manifests: Manifests,
    environment: Environment,
    headings: Container[str],
    entries: Sequence[RoutingEntry],
) -> dict[str, ColumnValues]:
    """Return the values by attribute: the bot's attributes, the declared ones, and those of the
    rules. An attribute with one of the headings is in quotes.
    """
    used = _used_values(entries)
    stated = _stated_conditions(entries)
    bot = environment.attributes
    declared = manifests.declared_attributes
    names = tuple(dict.fromkeys((bot.intent, bot.confidence, *declared, *used)))
    # A table has labels, whether messages have them or not: both ways of reading must give one
    # table.
    labels = labels_of(replace(manifests, labelled=True), environment)
    columns = {}
    for name in names:
        entry = declared.get(name)
        kind, offered = _offered_values(name, manifests, environment, entry)
        values = used.get(name, ())
        texts = set(map(str, (*offered, *values)))
        columns[name] = ColumnValues(
            attribute=name,
            heading=heading_of(name, labels, names, headings),
            kind=kind,
            offered=offered,
            used=frozenset(values),
            stated=stated.get(name, frozenset()),
            labels=_value_labels(name, labels, texts),
            groups=_groups(name, labels, texts),
        )
    return columns


def _value_labels(
    name: str,
    labels: Labels,
    value_texts: Container[str],
) -> dict[str, str]:
    """Return the labels of an attribute's values, without those that are values themselves."""
    return {
        key[1]: label
        for key, label in labels.texts.items()
        if len(key) > 1 and key[0] == name and label not in value_texts
    }


def _groups(
    name: str,
    labels: Labels,
    value_texts: Container[str],
) -> dict[str, frozenset[str]]:
    """Return the groups of an attribute's values, without those that are values themselves."""
    return {
        group: members
        for group, members in labels.groups.get(name, {}).items()
        if group not in value_texts
    }


def _offered_values(
    name: str,
    manifests: Manifests,
    environment: Environment,
    declared: AttributeEntry | None,
) -> tuple[ValueKind, tuple[Scalar, ...]]:
    """Return the kind of an attribute's values, and the values that documents declare."""
    bot = environment.attributes
    if name == bot.intent:
        intents = [
            intent for loaded in manifests.intents for intent in loaded.document.names
        ]
        return "text", tuple(intents)
    if name == bot.confidence:
        return "confidence", ()
    if declared is None:
        return "any", ()
    kind = cast("ValueKind", declared.declared_type or "any")
    return kind, tuple(sorted(declared.canonical_values, key=str))


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
