"""A rule that takes part in routing, and the order in which rules are tried (semantics S1, S10)."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from reconciler.core.model.rule import Address, Condition, Opaque, Rule, Source, Target

Evaluation = Literal["lowest-first", "highest-first"]

# A normalised split: (queue id, share) by id, shares adding up to 1; () has no positive weight,
# None is the default.
Destination = tuple[tuple[str, Fraction], ...] | None

_FULL_SHARE = Fraction(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingEntry:
    """One rule of a list. `name` is its address, or the live name of an unmanaged rule."""

    name: str
    rule: Rule
    id: str = ""  # the server's id, which orders rules with equal priority and name
    address: Address | None = None
    source: Source | None = None
    part_of: "RoutingEntry | None" = (
        None  # the rule on contexts, of which this is a part on events
    )

    @property
    def whole(self) -> "RoutingEntry":
        """Return the rule, for a part of one."""
        return self.part_of or self


def make_probe(conditions: tuple[Condition | Opaque, ...]) -> RoutingEntry:
    """Return an entry of which only the conditions matter."""
    rule = Rule(
        name="",
        description="",
        priority=0,
        enabled=True,
        conditions=conditions,
        targets=(),
    )
    return RoutingEntry(name="", rule=rule)


def order_entries(
    entries: Iterable[RoutingEntry], evaluation: Evaluation = "lowest-first"
) -> tuple[RoutingEntry, ...]:
    """Return the enabled entries in the order of evaluation: by priority, then name (S1), then
    id.
    """
    enabled = [entry for entry in entries if entry.rule.enabled]
    return tuple(sorted(enabled, key=lambda entry: evaluation_key(entry, evaluation)))


def evaluation_key(
    entry: RoutingEntry, evaluation: Evaluation
) -> tuple[float, str, str]:
    """Return the key by which rules are evaluated, lowest first: priority, then name (S1), then
    id.
    """
    priority = entry.rule.priority
    return (
        priority if evaluation == "lowest-first" else -priority,
        entry.rule.name,
        entry.id,
    )


def destination_of_rule(entry: RoutingEntry | None) -> Destination:
    """Return the destination of a rule; None, the default routing, without a rule."""
    return destination_of(entry.rule.targets) if entry else None


def destination_of(targets: Sequence[Target | Opaque]) -> Destination:
    """Return the normalised split (S10); a target of an unknown type is a separate destination,
    named by its JSON.
    """
    if len(targets) == 1 and isinstance(targets[0], Target) and targets[0].weight > 0:
        return ((targets[0].queue_id, _FULL_SHARE),)
    weights: dict[str, Fraction] = {}
    for target in targets:
        if isinstance(target, Target):
            name = target.queue_id
            weight = target.weight
        else:
            name = target.text
            weight = json.loads(target.text).get("weight", 1)
            if not isinstance(weight, (int, float)) or isinstance(weight, bool):
                weight = 1
        weights[name] = weights.get(name, Fraction(0)) + Fraction(str(weight))
    positive = {name: weight for name, weight in weights.items() if weight > 0}
    total = sum(positive.values())
    return tuple(sorted((name, weight / total) for name, weight in positive.items()))
