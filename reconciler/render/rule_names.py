"""The names of earlier rules in sentences: each alone, by a common beginning, by RuleSet, or
counted.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final

from reconciler.core.behaviour.diff.effects import Effect, NamedRule
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.rule import Address
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.routing_table import entry_name
from reconciler.core.text.escape import join_all, sanitize

EARLIER_KEEP: Final = "Earlier rules keep theirs:"
EARLIER_TAKE: Final = "Without conversations that these rules match:"
_MAX_NAMED: Final = 6
"""With more rules, they are written by RuleSet."""
_VERSIONS: Final = {
    "before": " (today)",
    "after": " (afterwards)",
    "both": "",
    "between": " (today, behind the new fallback)",
}


class RuleNamer:
    """Names the rules of an impact; with `every`, each one."""

    def __init__(self, impact: Impact, *, every: bool = False) -> None:
        self._every = every
        self._is_complete = impact.behaviour.complete
        self._editions: dict[int, tuple[RoutingEntry | None, RoutingEntry | None]] = {}
        for edited in impact.edits:
            pair = edited.edit.before, edited.edit.after
            self._editions |= {id(entry): pair for entry in pair if entry is not None}

        # By name: a rule that is not edited may be two objects, and of two rules with one name each
        # may move.
        self._moving = {
            edition.name
            for region in impact.behaviour.regions
            for entry in (*region.before_rules, *region.after_rules)
            for edition in self._both(entry)
        }
        self._addresses = impact.behaviour.addresses

    @cached_property
    def _sizes(self) -> Mapping[str, int]:
        """The number of rules of each beginning."""
        return Counter(filter(None, map(_beginning, self._addresses)))

    def takes_part(self, entry: RoutingEntry) -> bool:
        """Return whether a rule, as it is before or after, takes a conversation that moves."""
        return any(edition.name in self._moving for edition in self._both(entry))

    def leading_notes(self, effect: Effect) -> list[str]:
        """Return sentences about the earlier rules of all rows: those that lose and win no
        conversation, and others.
        """
        keeping: list[NamedRule] = []
        others: list[NamedRule] = []
        for rule in effect.leading:
            keeps = self._is_complete and not self.takes_part(rule.entry)
            (keeping if keeps else others).append(rule)

        notes = [f"{EARLIER_KEEP} {self.folded(keeping)}"] if keeping else []
        if others:
            notes.append(f"{EARLIER_TAKE} {self.folded(others)}")
        return notes

    def folded(self, rules: Sequence[NamedRule], conjunction: str = "") -> str:
        """Return the names of some rules: many by RuleSet, very many counted."""
        entries = {self._name(rule): rule.entry for rule in rules}
        names = list(entries)
        if not self._every:
            is_many = len(entries) > _MAX_NAMED
            texts = _by_set(entries) if is_many else [*self._by_beginning(entries)]
            names = [text for text, _ in texts[:_MAX_NAMED]]
            hidden = sum(count for _, count in texts[_MAX_NAMED:])
            if hidden:
                return f"{', '.join(names)} and {hidden} more"
        if conjunction:
            return join_all(names, conjunction)
        return ", ".join(names)

    def _both(self, entry: RoutingEntry | None) -> Sequence[RoutingEntry]:
        """Return a rule as it is before and after."""
        if entry is None:
            return ()
        editions = self._editions.get(id(entry), (entry,))
        return [edition for edition in editions if edition is not None]

    def _name(self, rule: NamedRule) -> str:
        editions = self._both(rule.entry)
        is_ambiguous = (
            len(
                {
                    (edition.rule.conditions, edition.rule.enabled)
                    for edition in editions
                }
            )
            > 1
        )
        version = _VERSIONS[rule.when] if is_ambiguous else ""
        return f"{entry_name(rule.entry)}{version}"

    def _by_beginning(
        self, rules: Mapping[str, RoutingEntry]
    ) -> Iterator[tuple[str, int]]:
        """Yield `languages/french-* (2)` for all rules of a RuleSet that begin so, and the names of
        the others.
        """
        beginnings = group_pairs(
            (self._beginning_of(name, entry) or name, name)
            for name, entry in rules.items()
        )
        for beginning, names in beginnings.items():
            count = len(names)
            if count > 1 and count == self._sizes.get(beginning):
                yield f"{beginning} ({count})", count
            else:
                yield from ((name, 1) for name in names)

    def _beginning_of(self, name: str, entry: RoutingEntry) -> str:
        return (
            _beginning(entry.address)
            if entry.address and name == entry_name(entry)
            else ""
        )


def _beginning(address: Address) -> str:
    """Return `languages/french-*` for `languages/french-cards`; empty for a key of one word."""
    word, dash, _ = address.key.partition("-")
    return sanitize(f"{address.ruleset}/{word}-*") if dash else ""


def _by_set(rules: Mapping[str, RoutingEntry]) -> list[tuple[str, int]]:
    sets: dict[str, list[str]] = {}
    for name, entry in rules.items():
        place = (
            f"{sanitize(entry.address.ruleset)}/*"
            if entry.address
            else "rules that are not managed"
        )
        sets.setdefault(place, []).append(name)
    return [
        (names[0] if len(names) == 1 else f"{place} ({len(names)})", len(names))
        for place, names in sets.items()
    ]
