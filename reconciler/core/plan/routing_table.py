"""Desired or live rules -> routing entries, each with the name that messages use."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.core.behaviour.endpoint_stage import TableSettings
from reconciler.core.behaviour.routing_entry import Destination, RoutingEntry
from reconciler.core.behaviour.space.value_type import Types
from reconciler.core.desired.desired import DesiredState
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Condition, Opaque, Rule, Target
from reconciler.core.plan.ownership import LiveRulesByOwner
from reconciler.core.plan.stored_texts import classify_live_rules
from reconciler.core.plan.words import destination_phrase
from reconciler.core.target import OrderedRules
from reconciler.core.text.escape import quote, sanitize
from reconciler.core.text.phrases import Labels


@dataclass(frozen=True, slots=True)
class RuleList:
    """A list of rules, the names of queues by id, and the settings beside the rules, if known."""

    entries: tuple[RoutingEntry, ...]
    queues: Mapping[str, str]
    settings: TableSettings | None = None

    def by_name(self) -> "RuleList":
        """Return the list with names of queues instead of ids, if a name is unique."""
        count = Counter(self.queues.values())
        names = {queue: name for queue, name in self.queues.items() if count[name] == 1}

        def rename(target: Target | Opaque) -> Target | Opaque:
            if not isinstance(target, Target) or target.queue_id not in names:
                return target
            return replace(target, queue_id=names[target.queue_id])

        entries = []
        for entry in self.entries:
            targets = tuple(map(rename, entry.rule.targets))
            entries.append(replace(entry, rule=replace(entry.rule, targets=targets)))
        queues = {names.get(queue, queue): name for queue, name in self.queues.items()}
        return RuleList(tuple(entries), queues, self.settings)


def types_phrase(types: Types, labels: Labels) -> str:
    """Return the known types in words; `labels` are the users' names of attributes with longer
    names in the API.
    """
    phrases = [
        f"{labels.name(name)} is missing or {value_type.phrase}"
        for name, value_type in types.items()
    ]
    sources = {
        "the endpoint writes it" if name in labels.short else "Studio compares it"
        for name in types
    }
    reasons = sorted(sources, reverse=True)
    return f"{' and '.join(phrases)}, as {' and '.join(reasons)}"


def route_phrase(
    entry: RoutingEntry | None, destination: Destination, queue_names: Mapping[str, str]
) -> str:
    """Return where a rule (None: no rule) sends a conversation: `goes to "Fraud" by rule cards/vip
    (rules.yaml:3)`.
    """
    if entry is None:
        return f"no rule takes it: it goes to {destination_phrase(None, queue_names)}"
    where = f" ({entry.source.file}:{entry.source.line})" if entry.source else ""
    return (
        f"goes to {destination_phrase(destination, queue_names)} by rule "
        f"{entry_name(entry)}{where}"
    )


def entry_name(entry: RoutingEntry | None) -> str:
    """Return the address of a rule, the name of an unmanaged rule in quotes, or `no rule`."""
    if entry is None:
        return "no rule"
    return sanitize(entry.name) if entry.address else quote(entry.name)


def desired_entries(desired: DesiredState) -> tuple[RoutingEntry, ...]:
    """Return the desired rules, each with its address and its position in the manifests."""
    return tuple(
        RoutingEntry(
            name=str(address), rule=rule.rule, address=address, source=rule.source
        )
        for address, rule in desired.rules.items()
    )


def ordered_rules(desired: DesiredState) -> OrderedRules:
    """Return the desired rules as their target gets them."""
    return OrderedRules(
        entries=desired_entries(desired),
        evaluation=desired.evaluation,
        endpoint=desired.endpoint,
        labels=desired.labels,
    )


def live_entries(
    live: Iterable[LiveRule], desired: DesiredState
) -> tuple[RoutingEntry, ...]:
    """Return every live rule: managed rules with their address and position, other rules with their
    live name.
    """
    owned = classify_live_rules(live, desired)
    managed = [(rule, address) for address, rule in owned.managed.items()]
    managed += [(rule, rule.marker.address) for rule in owned.duplicates if rule.marker]
    entries = []
    for rule, address in managed:
        source = desired.rules[address].source if address in desired.rules else None
        entries.append(
            RoutingEntry(
                name=str(address),
                rule=rule.rule,
                id=rule.id,
                address=address,
                source=source,
            )
        )
    return (*entries, *_entries_by_name(owned))


def unmanaged_entries(
    live: Iterable[LiveRule], desired: DesiredState
) -> tuple[RoutingEntry, ...]:
    """Return the live rules without an address, each with its live name."""
    return _entries_by_name(classify_live_rules(live, desired))


def _entries_by_name(owned: LiveRulesByOwner) -> tuple[RoutingEntry, ...]:
    rules = (*owned.edited_copies, *owned.temporary_copies, *owned.unmanaged)
    return tuple(
        RoutingEntry(name=live.rule.name, rule=live.rule, id=live.id) for live in rules
    )


def attributes_in_use(entries: Iterable[RoutingEntry], labels: Labels) -> list[str]:
    """Return the attributes that conditions test: the bot's first, then by name."""
    names: set[str] = set()
    for entry in entries:
        names.update(conditions_by_attribute(entry.rule))
    of_bot = [name for name in labels.short if name in names]
    further = sorted(names.difference(labels.short))
    return [*of_bot, *further]


def conditions_by_attribute(rule: Rule) -> dict[str, list[Condition]]:
    """Return the conditions of a rule that cxroute understands, by attribute."""
    return group_pairs(
        (part.attribute, part)
        for part in rule.conditions
        if isinstance(part, Condition)
    )
