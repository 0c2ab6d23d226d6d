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

    from reconciler.apply.attempt import RuleSource, WritePayload
    from reconciler.model.live import LiveRule, Marker
    from reconciler.model.rule import Rule


MAX_SINGLE_READS: Final = 50
"""Rules that are read by themselves after one list. Of more that look changed the list is believed."""


class KnownState:
    """The rules as this run last knew them, by id; those that it knows to be gone as None."""

    def __init__(self, store: RuleSource, rules: Iterable[LiveRule]) -> None:
        """`rules` are what a first complete read showed."""
        self._store = store
        self.saw_missing = False  # whether the last read missed a rule that this run had no part in removing
        self._rules_by_id: dict[str, tuple[Rule, Marker | None] | None] = {
            one.id: (one.rule, one.marker) for one in rules
        }
        self._not_yet_listed: set[str] = set()
        """Rules that this run made and that no list has shown yet: lists may be behind."""

    def record_write(self, rule_id: str, payload: WritePayload | None) -> None:
        """Keep what the server acknowledged of a rule: that it is now so, or, with None, that it is gone."""
        if rule_id not in self._rules_by_id:
            self._not_yet_listed.add(rule_id)
        self._rules_by_id[rule_id] = payload

    async def read(self) -> tuple[LiveRule, ...]:
        """Read every rule. Raises IncompleteReadError when too many are missing that were there a moment ago."""
        listed = {one.id: one for one in await self._store.rules()}
        self._not_yet_listed -= listed.keys()
        missing = [
            rule_id for rule_id, known in self._rules_by_id.items() if known is not None and rule_id not in listed
        ]
        vanished = len(missing) - len(self._not_yet_listed.intersection(missing))
        if vanished > MAX_SINGLE_READS:
            raise IncompleteReadError(
                f"{vanished:,} rules that were there a moment ago are missing from the list of rules;"
                " that is not believed, and nothing more is written"
            )
        self.saw_missing = False
        other = self._changed_ids(listed)
        # Of what no list has shown yet, none shows that it is gone.
        gone = [rule_id for rule_id in self._not_yet_listed if self._rules_by_id[rule_id] is None]
        doubtful = [*missing, *sorted(gone), *(other if len(other) <= MAX_SINGLE_READS else ())]
        reads = await asyncio.gather(*(self._store.rule(rule_id) for rule_id in doubtful))
        for rule_id, read in zip(doubtful, reads, strict=True):
            if read is None:
                self.saw_missing |= self._rules_by_id[rule_id] is not None
                listed.pop(rule_id, None)
            else:
                listed[rule_id] = read.live
        absent = dict.fromkeys(self._rules_by_id.keys() - listed.keys())
        self._rules_by_id = {**absent, **{one.id: (one.rule, one.marker) for one in listed.values()}}
        return tuple(listed.values())

    def _changed_ids(self, listed: Mapping[str, LiveRule]) -> list[str]:
        return [one.id for one in listed.values() if self._differs(one)]

    def _differs(self, live: LiveRule) -> bool:
        if live.id not in self._rules_by_id:
            return False  # somebody made it
        return (live.rule, live.marker) != self._rules_by_id[live.id]
