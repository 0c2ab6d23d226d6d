"""From the table to cases: each way on each operation, profile, and request of the run that it is
about.

Places: `#2` and `#2-` count the requests of the operation. `later` is LIST's first after a write,
the GET before the first DELETE, and the TOKEN that is asked for because the first one was refused;
`last` is LIST's final reading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from reconciler.features.practice.simulator.messages import SimRequest
from tests.campaign.matrix import ROWS
from tests.campaign.matrix_tenant import TENANT
from tests.campaign.matrix_vocabulary import CALLS, WRITES, MatrixRow, Way
from tests.campaign.world import Applier, ObservedTenant, run

REFUSED = "POST rules:revoke@#1"
"""The reason why a run requests a second token: its first write is refused, and nothing was
done."""
_LATER = {"#1": "later", "always": "later-"}


@dataclass(frozen=True, slots=True)
class MatrixCase:
    """A cell of the table, caused in one way at one place on one profile."""

    row: MatrixRow
    way: Way
    operation: str
    when: str
    profile: str
    number: str

    def __str__(self) -> str:
        return f"{self.number}-{self.operation}-{self.way.fault or 'nothing'}-{self.when}-{self.profile}"

    @property
    def once(self) -> bool:
        """Whether only one request gets the fault."""
        return (
            not self.when.endswith("-")
            and self.when != "always"
            and "s-" not in self.when
        )

    @property
    def concurrency(self) -> int:
        """One change at a time if a run must stop immediately: concurrent changes end in any
        way.
        """
        return 1 if "S" in self.way.code or self.way.code == "T" else 16

    @property
    def parts(self) -> tuple[str, str]:
        """The fault of the simulator, and the action of matrix_actions.py; either may be empty."""
        parts = self.way.fault.split("+")
        acts = [part[1:] for part in parts if part.startswith("!")]
        faults = [part for part in parts if not part.startswith("!")]
        return "".join(faults), "".join(acts)

    @property
    def first(self) -> int:
        """The number of the first affected request of the operation."""
        name = self.when.rstrip("-")
        if name.startswith("#"):
            return int(name[1:])
        if name == "later" and self.operation == "TOKEN":
            return 2
        return (
            clean(self.profile, self.concurrency).places[self.operation, name]
            if name in ("later", "last")
            else 1
        )

    @property
    def spec(self) -> str:
        """The faults in the simulator's notation."""
        before = (
            [REFUSED]
            if self.operation == "TOKEN" and self.when.startswith("later")
            else []
        )
        fault, _ = self.parts
        if fault:
            end = "-" if self.when.endswith("-") else ""
            window = self.when if "s-" in self.when else f"#{self.first}{end}"
            before.append(
                f"{CALLS[self.operation]}:{fault}"
                + ("" if self.when == "always" else f"@{window}")
            )
        return ",".join(before)


def cases() -> Iterator[MatrixCase]:
    """Yield every case of every row."""
    for number, row in ROWS.items():
        for way in row.ways:
            for operation in way.on.split():
                for profile in _profiles(way, operation):
                    yield MatrixCase(row, way, operation, way.when, profile, number)
                if operation in ("LIST", "GET", "TOKEN") and way.when in _LATER:
                    for profile in sorted({*way.later} & {*way.profiles}):
                        yield MatrixCase(
                            row, way, operation, _LATER[way.when], profile, number
                        )


def _profiles(way: Way, operation: str) -> str:
    """Return the way's profiles. Reads do not differ if names are unique (B), or keys count (E)."""
    if operation in WRITES.split():
        return way.profiles
    return "".join(profile for profile in way.profiles if profile in "ACD") or "A"


def is_call(request: SimRequest, operation: str) -> bool:
    """Return whether a request is one of the operation."""
    method, subject = CALLS[operation].split()
    kinds = {
        "rules": request.path.endswith("/rules"),
        "token": request.path.endswith("/token"),
    }
    kinds["rule"] = "/rules/" in request.path
    return request.method == method and kinds[subject]


def is_write(request: SimRequest) -> bool:
    """Return whether a request would change the tenant."""
    return any(is_call(request, operation) for operation in ("POST", "PUT", "DELETE"))


def content(request: SimRequest) -> tuple[str, str, str, bytes]:
    """Return the content of a request, without its sender and token."""
    return request.method, request.path, request.query, request.body


@dataclass(frozen=True, slots=True)
class Clean:
    """A run without faults: the number of each request, and the request of its operation at each
    place.
    """

    asked: Counter[tuple[str, str, str, bytes]]
    places: dict[tuple[str, str], int]


@cache
def clean(profile: str, concurrency: int) -> Clean:
    """Run the tenant's apply without faults."""
    world = ObservedTenant(TENANT, profile, 1)
    world.profile = replace(world.profile, concurrency=concurrency)
    run(Applier(world, TENANT.wish, TENANT.environment, allow=TENANT.allow))
    requested = [event.request for event in world.events]
    stored = next(place for place, request in enumerate(requested) if is_write(request))
    lists = [
        place for place, request in enumerate(requested) if is_call(request, "LIST")
    ]
    removed = next(request.path for request in requested if request.method == "DELETE")
    reads = [request.path for request in requested if is_call(request, "GET")]
    starts = [place for place in lists if "pageNumber=1&" in requested[place].query]
    places = {
        ("LIST", "later"): next(
            number for number, place in enumerate(lists, 1) if place > stored
        ),
        ("LIST", "last"): lists.index(starts[-1]) + 1,
        ("GET", "later"): reads.index(removed) + 1,
    }
    return Clean(Counter(map(content, requested)), places)
