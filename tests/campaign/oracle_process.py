"""The reads and writes of one run of an applier so far, as the server saw them."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from tests.campaign.oracle_facts import body_of, call_of, is_unclear, mark

if TYPE_CHECKING:
    from reconciler.features.practice.simulator.messages import SimRequest
    from tests.campaign.oracle_facts import Heard
    from tests.campaign.world import Event

Json = Any
WRITES = ("create", "update", "delete")


@dataclass(frozen=True, slots=True)
class ObservedWrite:
    """A sent write: its subject, and its time (`at` counts the events of the world)."""

    call: str
    request: SimRequest
    keys: frozenset[str]
    address: str
    at: int


@dataclass(slots=True)
class Listing:
    """A read of all pages of one list, running or complete."""

    began: int
    total: int
    pages: int
    read: dict[int, list[dict[str, Json]]] = field(default_factory=dict)
    """The rules of each page that arrived."""
    steady: bool = True

    @property
    def complete(self) -> bool:
        """Return whether all pages arrived, with as many different ids as their total."""
        return (
            self.steady
            and len(self.read) >= self.pages
            and len(self.rules) == self.total
        )

    @property
    def rules(self) -> dict[str, dict[str, Json]]:
        """Return the rules that arrived, by id."""
        return {rule["id"]: rule for page in self.read.values() for rule in page}


@dataclass(slots=True)
class Process:
    """One run of an applier."""

    actor: str
    born: int
    last_read: dict[str, dict[str, Json]] = field(default_factory=dict)
    """Each rule as the last list or single read returned it."""
    shown: dict[str, list[dict[str, Json]]] = field(default_factory=dict)
    looked_at: dict[str, int] = field(default_factory=dict)
    """The time of the last single read of each rule."""
    etags: dict[str, str] = field(default_factory=dict)
    queues: set[str] = field(default_factory=set)
    listing: Listing | None = None
    listings: list[Listing] = field(default_factory=list)
    asking: bool = False
    """A list was requested, and is not complete."""
    writes: list[ObservedWrite] = field(default_factory=list)
    unclear: list[ObservedWrite] = field(default_factory=list)
    """Writes with an unknown result; their `at` is the time of that response."""
    unsaid: list[ObservedWrite] = field(default_factory=list)
    """Updates with a good response without the rule."""
    failed: list[ObservedWrite] = field(default_factory=list)
    requests: int = 0
    died: float = inf
    """The time of its end or kill."""
    converged_at_birth: bool = False
    first_contact: bool = False
    """At its start the tenant had no rule of its owner."""
    made: dict[str, SimRequest] = field(default_factory=dict)
    """Rules whose creation was acknowledged, each by its request."""
    taken: dict[str, dict[str, Json]] = field(default_factory=dict)
    """Each adopted rule, as it was last read before."""

    @property
    def knows(self) -> int:
        """Return the start of its last complete list."""
        return self.listings[-1].began if self.listings else self.born

    def write_of(self, event: Event, at: int) -> ObservedWrite:
        """Describe a write: its keys are the rule's id and its old and new addresses."""
        call = call_of(event.request)
        request = event.request
        rule_id = "" if call == "create" else request.segments[-1]
        before = mark(self.last_read.get(rule_id))
        after = mark(body_of(request))
        addresses = [item.address for item in (before, after) if item is not None]
        keys = frozenset([*addresses, *([rule_id] if rule_id else [])])
        return ObservedWrite(
            call, request, keys, addresses[-1] if addresses else "", at
        )

    def sends(self, event: Event, at: int) -> None:
        """Record a request."""
        self.requests += 1
        call = call_of(event.request)
        self.asking = self.asking or call == "list"
        if call in WRITES:
            self.writes.append(self.write_of(event, at))

    def hears(self, event: Event, what: Heard, sent: int, now: int) -> None:
        """Record a response. `sent` is the time of its request."""
        call = call_of(event.request)
        if call == "list" and what.good and isinstance(what.form, dict):
            self._page(event.request, what.form, sent)
        elif call == "queues" and what.good and isinstance(what.form, dict):
            self.queues |= {
                str(item.get("id"))
                for item in what.form.get("entities") or ()
                if isinstance(item, dict)
            }
        elif call == "get" and what.good and isinstance(what.form, dict):
            rule_id = event.request.segments[-1]
            self._see(rule_id, what.form)
            self.looked_at[rule_id] = sent
            self.etags[rule_id] = (
                next(
                    (text for name, text in event.answer.headers if name == "etag"), ""
                )
                if (event.answer)
                else ""
            )
        elif call in WRITES:
            write = self.write_of(event, now)
            if call == "create" and what.good and isinstance(what.form, dict):
                self.made[str(what.form.get("id"))] = event.request
            if is_unclear(call, what):
                self.unclear.append(write)
            elif call == "update" and what.empty:
                self.unsaid.append(write)
            elif 400 <= what.status < 500 and what.status not in (401, 409, 412, 429):
                self.failed.append(write)

    def _see(self, rule_id: str, rule: dict[str, Json]) -> None:
        self.last_read[rule_id] = rule
        self.shown.setdefault(rule_id, []).append(rule)

    def _page(self, request: SimRequest, form: dict[str, Json], sent: int) -> None:
        number = request.whole_number("pageNumber", 1)
        total = form.get("total")
        actual = form.get("entities")
        if not isinstance(total, int) or not isinstance(actual, list):
            return
        rules = [
            item
            for item in actual
            if isinstance(item, dict) and isinstance(item.get("id"), str)
        ]
        for rule in rules:
            self._see(rule["id"], rule)
        if number == 1:
            self.listing = Listing(
                sent, total, max(1, -(-total // len(actual))) if actual else 1
            )
        if self.listing is None:
            return
        self.listing.read[number] = rules
        self.listing.steady = self.listing.steady and total == self.listing.total
        if self.listing.complete:
            self.listings.append(self.listing)
            self.listing, self.asking = None, False
