"""The notation of the table in matrix.py: operations, ways to cause a fault, rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CALLS: Final = {
    "LIST": "GET rules",
    "GET": "GET rule",
    "POST": "POST rules",
    "PUT": "PUT rule",
    "DELETE": "DELETE rule",
    "TOKEN": "POST token",
}
"""The six operations, in the notation of the simulator's faults."""
OPERATIONS: Final = tuple(CALLS)
EVERY: Final = "ABCDE"
ALL: Final = " ".join(CALLS)
READS: Final = "LIST GET TOKEN"
WRITES: Final = "POST PUT DELETE"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to cause a fault, on each of `on`.

    fault: a fault of the simulator, or with `!` an action of matrix_actions.py; `+` joins two.
    when: the number of the operation's request, `always`, a window of the simulator's grammar, or a place of
        matrix_cases.py.
    later: profiles on which it is also caused at a later request.
    says: the text that the run's message must contain.
    extra: profiles on which a second rule of one marker may exist until the next run (R5's exception).
    apart: the reason why this way differs from the cell's code.
    fails: the tool's current error; the case is then expected to fail.
    """

    on: str
    fault: str
    code: str
    when: str = "#1"
    profiles: str = EVERY
    later: str = "C"
    says: str = ""
    extra: str = ""
    apart: str = ""
    fails: str = ""


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One fault: its name, its code for each operation, and the ways to cause it."""

    name: str
    codes: str
    ways: tuple[Way, ...] = ()
    elsewhere: str = ""
    """The folder whose tests cause it with real processes and sockets, alone or in addition."""

    def code(self, operation: str) -> str:
        """Return the cell's code, `-` if it is not applicable."""
        return self.codes.split()[OPERATIONS.index(operation)]


def retried(*faults: str, on: str = READS) -> tuple[Way, ...]:
    """R: the first fault on every profile, similar ones on a few."""
    return tuple(
        Way(on, fault, "R", profiles=few(place)) for place, fault in enumerate(faults)
    )


def unknown(*faults: str, extra: str = "") -> tuple[Way, ...]:
    """Q of the three writes."""
    return tuple(
        Way(WRITES, fault, "Q", profiles=few(place), extra=extra)
        for place, fault in enumerate(faults)
    )


def each(
    on: str, code: str, *faults: str, says: str = "", when: str = "#1"
) -> tuple[Way, ...]:
    return tuple(
        Way(on, fault, code, when, few(place), says=says)
        for place, fault in enumerate(faults)
    )


def few(place: int) -> str:
    """Return the profiles of the first of several similar faults, and the one of each other."""
    return EVERY if place == 0 else "CADBE"[(place - 1) % 5]
