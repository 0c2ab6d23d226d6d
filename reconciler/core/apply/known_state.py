"""The rules of the tenant as a run knows them, and reads that are compared with them.

A list may come from a replica that is behind, so a rule that differs in a list is read by its id,
which decides (invariants F31, F33, F34). A list without many of the known rules is not trusted.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from reconciler.core.errors import IncompleteReadError
from reconciler.core.model.live import LiveRule, WritePayload
from reconciler.core.target import RuleSource

# rules read by id after one list; if more look changed, the list is trusted
MAX_SINGLE_READS: Final = 50


class KnownState:
    """The rules as this run last knew them, by id; a rule that is known to be deleted is None."""

    def __init__(self, store: RuleSource, rules: Iterable[LiveRule]) -> None:
        """`rules` are those of a first complete read."""
        self._store = store
        # whether a rule was missing in the last read that this run did not delete
        self.saw_missing = False
        self._rules_by_id: dict[str, WritePayload | None] = {
            live.id: live.content for live in rules
        }
        # rules of this run that no list has shown so far
        self._not_yet_listed: set[str] = set()

    def record_write(self, rule_id: str, payload: WritePayload | None) -> None:
        """Store the acknowledged state of a rule; None: it is deleted."""
        if rule_id not in self._rules_by_id:
            self._not_yet_listed.add(rule_id)
        self._rules_by_id[rule_id] = payload

    async def read(self) -> tuple[LiveRule, ...]:
        """Read every rule. Raises IncompleteReadError if too many known rules are missing."""
        listed = {live.id: live for live in await self._store.rules()}
        self._not_yet_listed -= listed.keys()
        doubtful = self._find_doubtful(listed)
        self.saw_missing = False
        reads = await asyncio.gather(
            *(self._store.rule(rule_id) for rule_id in doubtful)
        )

        before = self._rules_by_id
        for rule_id, read in zip(doubtful, reads, strict=True):
            if read is None:
                self.saw_missing |= before[rule_id] is not None
                listed.pop(rule_id, None)
            else:
                listed[rule_id] = read.live

        self._rules_by_id = dict.fromkeys(before.keys() - listed.keys())
        for live in listed.values():
            self._rules_by_id[live.id] = live.content
        return tuple(listed.values())

    def _find_doubtful(self, listed: Mapping[str, LiveRule]) -> list[str]:
        """Return the ids of the rules that must be read alone.

        Raises IncompleteReadError.
        """
        missing = [
            rule_id
            for rule_id, state in self._rules_by_id.items()
            if state is not None and rule_id not in listed
        ]
        vanished = len(missing) - len(self._not_yet_listed.intersection(missing))
        if vanished > MAX_SINGLE_READS:
            message = f"{vanished:,} rules of the previous read are missing from the list of rules."
            raise IncompleteReadError(
                f"{message} The list is not trusted, and nothing more is written"
            )

        # A rule that no list has shown so far may exist.
        deleted = [
            rule_id
            for rule_id in self._not_yet_listed
            if self._rules_by_id[rule_id] is None
        ]
        changed = [
            rule_id
            for rule_id, live in listed.items()
            if rule_id in self._rules_by_id
            and live.content != self._rules_by_id[rule_id]
        ]
        if len(changed) > MAX_SINGLE_READS:
            changed = []
        return [*missing, *sorted(deleted), *changed]
