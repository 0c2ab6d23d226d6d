"""The server's states: the author of each, whether it misroutes a conversation, and whether it has
duplicates.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.campaign.oracle_change import Change, asks_for, in_words
from tests.campaign.oracle_copies import changed, original
from tests.campaign.oracle_facts import mark
from tests.campaign.oracle_promises import NAME as PROMISES
from tests.campaign.oracle_promises import Promises
from tests.campaign.oracle_routes import Routes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.campaign.oracle_change import Moment
    from tests.campaign.oracle_desired import Wish
    from tests.campaign.oracle_process import Process
    from tests.campaign.oracle_routes import Destination
    from tests.campaign.oracle_verdict import Verdicts
    from tests.campaign.world import ObservedTenant

Json = Any
Rule = dict[str, Any]
HUMAN: Final = "human"
LATE: Final = "late"
_MOST_STALE: Final = 2
"""Stale reads in a run on a tenant whose lists are declared not to lag: more of them is an
undeclared lag."""


@dataclass(slots=True)
class Routing:
    """The allowed routes of each case from now on."""

    routes: Routes
    allowed: list[set[Destination]]
    promises: Promises


class Tenant:
    """Follows the server's states."""

    def __init__(
        self,
        world: ObservedTenant,
        wish: Wish,
        conversations: Sequence[Json],
        verdicts: Verdicts,
    ) -> None:
        """`wish` has the desired rules of the first applier."""
        self.world, self.verdicts = world, verdicts
        self.wishes = [wish]
        self.rules: dict[str, Rule] = {rule["id"]: rule for rule in world.state.rules()}
        self._writer: dict[str, str] = {}
        self._latest: dict[str, int] = {}
        self._maker: dict[str, Process | None] = {}
        self.foreign = -1
        """The time of the last change by another sender."""
        self.made_late: Counter[str] = Counter()
        self.raced: set[str] = set()
        """A rule that one applier created while another ran: a duplicate is allowed until both have
        ended."""
        self.copied: set[str] = self._copies_at_first()
        self._routing = self._start(conversations)

    def join(self, wish: Wish) -> None:
        """Add an applier. With several manifests at work, the allowed routes are unknown."""
        if not any(item is wish for item in self.wishes):
            if self.wishes[0].rules != wish.rules:
                self._routing = None
            self.wishes.append(wish)

    def move(self, moment: Moment) -> None:
        """Check the state after a change."""
        change = self._change()
        if change is None:
            return
        who = self._author(change, moment)
        if change.after is None:
            del self.rules[change.id]
        else:
            self.rules[change.id] = change.after
        self._writer[change.id], self._latest[who] = who, moment.clock
        if change.before is None:
            self._maker[change.id] = None if who in (HUMAN, LATE) else moment.process
        if who in (HUMAN, LATE):
            self.foreign = moment.clock
            self._note_foreign(who, change)
        else:
            self._check_ownership(who, change, moment.process)
            self._check_copies(who, change, moment.process)
            if change.before is None and moment.others:
                self.raced.add(str(mark(change.after)))
        self._check_routes(who, change, moment.process)
        self._check_unique(who, change)

    def _was_stale_again(self) -> bool:
        """Return whether more reads were stale than a run can distinguish from a missing rule."""
        return self._stale() > (
            0 if self.world.profile.list_lag_seconds else _MOST_STALE
        )

    def _stale(self) -> int:
        """Return the number of stale reads, which may precede another user's change."""
        fired = self.world.faults.fired_faults if self.world.faults else []
        return sum("stale" in text for text, _ in fired)

    def writer(self, rule_id: str) -> str:
        """Return the last author of a rule, or None."""
        return self._writer.get(rule_id, "")

    def made_by(self, rule_id: str, process: Process | None) -> bool:
        """Return whether a process created a rule, even if the server stored it differently."""
        return process is not None and (
            self._maker.get(rule_id) is process or rule_id in process.made
        )

    def left_without_marker(self, process: Process) -> list[str]:
        """Return the rules that a process created or adopted and that have no marker: the server
        lost it.
        """
        lost = [
            rule
            for rule in self.rules.values()
            if mark(rule) is None and rule["id"] not in self.world.unmarked
        ]
        was = {rule_id: rule["description"] for rule_id, rule in process.taken.items()}
        return [
            item["id"]
            for item in lost
            if self.made_by(item["id"], process)
            or was.get(item["id"], item["description"]) != item["description"]
        ]

    def foreign_to(self, actor: str) -> int:
        """Return the time of the last change by any other sender."""
        return max(
            (when for who, when in self._latest.items() if who != actor), default=-1
        )

    def is_hidden(self, rule_id: str, process: Process) -> bool:
        """Return whether lists still lack a rule that another sender created: that process cannot
        know of it.
        """
        until, _ = self.world.api._lag._hidden.get(rule_id, (0.0, 0))
        return self._maker.get(rule_id) is not process and until > self.world.clock()

    def twice(self) -> dict[str, list[str]]:
        """Return the managed duplicates, without users' copies."""
        actual: dict[str, list[str]] = defaultdict(list)
        owners = {wish.owner for wish in self.wishes}
        for rule in self.rules.values():
            marker = mark(rule)
            if (
                marker is not None
                and marker.owner in owners
                and rule["id"] not in self.copied
            ):
                actual[str(marker)].append(rule["id"])
        return {where: ids for where, ids in actual.items() if len(ids) > 1}

    @property
    def routes(self) -> Routes | None:
        """The evaluator of conversations; None if they are not followed."""
        return None if self._routing is None else self._routing.routes

    def _copies_at_first(self) -> set[str]:
        observed: dict[str, str] = {}
        copies = set()
        for rule in sorted(
            self.rules.values(), key=lambda item: str(item.get("dateCreated"))
        ):
            marker = mark(rule)
            if (
                marker is not None
                and observed.setdefault(f"{marker.owner}/{marker}", rule["id"])
                != rule["id"]
            ):
                copies.add(rule["id"])
        return copies

    def _change(self) -> Change | None:
        now = dict(self.world.state.stored_rules)
        for key in now.keys() | self.rules.keys():
            if now.get(key) is not self.rules.get(key):
                return Change(key, self.rules.get(key), now.get(key))
        return None

    def _author(self, change: Change, moment: Moment) -> str:
        """Return the sender of a change's request; `human` if no request asks for exactly it."""
        if self.world.actor == LATE or any(
            asks_for(item, change) for item in moment.late
        ):
            return LATE
        if (
            self.world.actor != HUMAN
            and moment.request is not None
            and asks_for(moment.request, change)
        ):
            return self.world.actor
        return HUMAN

    def _note_foreign(self, who: str, change: Change) -> None:
        marker = mark(change.after)
        if change.before is None and marker is not None:
            if who == LATE:
                self.made_late[str(marker)] += 1
            else:
                self.copied.add(change.id)

    def _check_ownership(
        self, who: str, change: Change, process: Process | None
    ) -> None:
        """R1: a changed rule was managed, or is adopted by a manifest.

        Without ETags it may have been managed when it was read: no client can close that window.
        """
        if change.before is None:
            return
        read = process.last_read.get(change.id) if process else None
        versions = [
            change.before,
            *([read] if read and not self.world.profile.settings.etags else []),
        ]
        owned = any(
            wish.ours(version) or wish.adopts(version)
            for wish in self.wishes
            for version in versions
        )
        owned = (
            owned
            or self.made_by(change.id, process)
            or (process is not None and change.id in process.taken)
        )
        done = "deleted" if change.after is None else "changed"
        self.verdicts.check(
            "R1",
            owned,
            f"{who} {done} {change.id} {change.before['name']!r}, which is not managed",
        )

    def _check_copies(self, who: str, change: Change, process: Process | None) -> None:
        """R1: among rules with one marker a user's copy is not written or deleted, nor the managed
        rule before it.

        A run cannot know of changes by others after the last list, or that no list contains.
        """
        marker = mark(change.before)
        if change.before is None or marker is None or marker.copy:
            return
        group = [
            change.before,
            *(
                rule
                for rule in self.rules.values()
                if mark(rule) == marker and rule["id"] != change.id
            ),
        ]
        observed = process is not None and (
            process.born if self._stale() else process.knows
        ) > self.foreign_to(who)
        if (
            len(group) == 1
            or process is None
            or not observed
            or any(self.is_hidden(item["id"], process) for item in group)
        ):
            return
        foreign_side = changed(group)
        done = "deleted" if change.after is None else "changed"
        fine = not any(change.before is their for their in foreign_side)
        self.verdicts.check(
            "R1", fine, f"{who} {done} {change.id}, a user's copy of {marker}"
        )
        remaining = change.after is None and original(group) is change.before
        self.verdicts.check(
            "R1",
            not (remaining and foreign_side),
            f"{who} deleted {change.id}, and left a user's {marker}",
        )

    def _start(self, conversations: Sequence[Json]) -> Routing | None:
        if not self.wishes[0].whole:
            return None
        every = [*self.rules.values(), *self.wishes[0].rules.values()]
        routes = Routes(conversations, self.wishes[0].evaluation, every)
        first = routes.destinations(self.rules.values())
        ends = [
            routes.destinations(rules)
            for rules in self.wishes[0].afterwards(self.rules.values())
        ]
        routing = Routing(
            routes, [set(item) for item in first], Promises(routes, [first, *ends])
        )
        self._allow_afterwards(routing)
        return routing

    def _allow_afterwards(self, routing: Routing) -> None:
        for rules in self.wishes[0].afterwards(self.rules.values()):
            _allow(routing, routing.routes.destinations(rules))

    def _check_routes(self, who: str, change: Change, process: Process | None) -> None:
        """R3, R4: a conversation with a route before and after is never unrouted or sent to a third
        queue; promises.

        Changes by other senders are not a fault of the run, and neither are its writes before it
        could read them.
        """
        routing = self._routing
        if routing is None:
            return
        actual = routing.routes.destinations(self.rules.values())
        if who in (HUMAN, LATE):
            _allow(routing, actual)
            self._allow_afterwards(routing)
            return
        if (
            process is not None
            and (process.born if self._stale() else process.knows) < self.foreign
        ):
            _allow(routing, actual)
            self.verdicts.counts["R4 unseen"] += 1
            return
        for case, (destination_text, allowed) in enumerate(
            zip(actual, routing.allowed, strict=True)
        ):
            lost = bool(destination_text & _NOWHERE) and not allowed & _NOWHERE
            text = f"{routing.routes.name(case)} after {who} wrote {in_words(change)}"
            self.verdicts.check("R3", not lost, f"no rule serves {text}")
            third = destination_text - allowed - _NOWHERE
            self.verdicts.check(
                "R4",
                not third,
                f"a third queue {_queues(third)}, not {_queues(allowed)}: {text}",
            )
        for holds, title in routing.promises.check(actual):
            self.verdicts.check(
                PROMISES,
                holds,
                f"a promise does not hold ({title}) after {who} wrote {in_words(change)}",
            )

    def _check_unique(self, who: str, change: Change) -> None:
        """R5: each marker is on one rule, unless the server processed a delayed create next to
        another one.
        """
        if change.after is None:
            self.verdicts.counts["R5"] += 1
            return
        settings = self.world.profile.settings
        excused = not settings.names_unique and not settings.idempotency_keys
        for where, ids in self.twice().items():
            extra = self.made_late[where] if excused else 0
            if excused and self._was_stale_again():
                continue
            fine = len(ids) <= 1 + extra or change.id not in ids or where in self.raced
            self.verdicts.check(
                "R5",
                fine,
                f"{where} is there {len(ids)} times after {who} wrote: {ids}",
            )
        self.verdicts.counts["R5"] += 1


_NOWHERE: Final[frozenset[Destination]] = frozenset([None, frozenset()])


def _allow(routing: Routing, found: Sequence[frozenset[Destination]]) -> None:
    routing.promises.accept(found)
    for allowed, destination_text in zip(routing.allowed, found, strict=True):
        allowed.update(destination_text)


def _queues(found: Iterable[Destination]) -> list[str]:
    return sorted(
        "nowhere" if not item else ",".join(sorted(queue for queue, _ in item))
        for item in found
    )
