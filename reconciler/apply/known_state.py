"""What a run knows of the tenant's rules, and reads that are held against it.

A list may come from a replica that is behind: a rule that was just there, or was just written, is missing or looks as
before. So whatever a list shows otherwise than this run knew it is read by itself, and that decides (invariants
F31, F33, F34). Rules that vanish in great number are not believed to be gone at all.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from reconciler.errors import IncompleteReadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.apply.attempt import RuleSource, Written
    from reconciler.model.live import LiveRule, Marker
    from reconciler.model.rule import Rule


MOST_LOOKED_UP: Final = 50
"""Rules that are read by themselves after one list. Of more that look changed the list is believed."""


class Sight:
    """The rules as this run last knew them, by id; those that it knows to be gone as None."""

    def __init__(self, store: RuleSource, rules: Iterable[LiveRule]) -> None:
        """`rules` are what a first complete read showed."""
        self._store = store
        self.missed = False
        """Whether the last read missed a rule that this run had no part in removing."""
        self._known: dict[str, tuple[Rule, Marker | None] | None] = {one.id: (one.rule, one.marker) for one in rules}
        self._unlisted: set[str] = set()
        """Rules that this run made and that no list has shown yet: lists may be behind."""

    def wrote(self, rule_id: str, what: Written | None) -> None:
        """Keep what the server acknowledged of a rule: that it is now so, or, with None, that it is gone."""
        if rule_id not in self._known:
            self._unlisted.add(rule_id)
        self._known[rule_id] = what

    async def read(self) -> tuple[LiveRule, ...]:
        """Read every rule. Raises IncompleteReadError when too many are missing that were there a moment ago."""
        listed = {one.id: one for one in await self._store.rules()}
        self._unlisted -= listed.keys()
        missing = [rule_id for rule_id, known in self._known.items() if known is not None and rule_id not in listed]
        vanished = len(missing) - len(self._unlisted.intersection(missing))
        if vanished > MOST_LOOKED_UP:
            raise IncompleteReadError(
                f"{vanished:,} rules that were there a moment ago are missing from the list of rules;"
                " that is not believed, and nothing more is written"
            )
        self.missed = False
        other = self._other(listed)
        # Of what no list has shown yet, none shows that it is gone.
        gone = [rule_id for rule_id in self._unlisted if self._known[rule_id] is None]
        doubtful = [*missing, *sorted(gone), *(other if len(other) <= MOST_LOOKED_UP else ())]
        reads = await asyncio.gather(*(self._store.rule(rule_id) for rule_id in doubtful))
        for rule_id, read in zip(doubtful, reads, strict=True):
            if read is None:
                self.missed |= self._known[rule_id] is not None
                listed.pop(rule_id, None)
            else:
                listed[rule_id] = read.live
        absent = dict.fromkeys(self._known.keys() - listed.keys())
        self._known = {**absent, **{one.id: (one.rule, one.marker) for one in listed.values()}}
        return tuple(listed.values())

    def _other(self, listed: Mapping[str, LiveRule]) -> list[str]:
        """Return the rules that the list shows otherwise than they were known."""
        return [one.id for one in listed.values() if self._differs(one)]

    def _differs(self, live: LiveRule) -> bool:
        if live.id not in self._known:
            return False  # somebody made it
        return (live.rule, live.marker) != self._known[live.id]
