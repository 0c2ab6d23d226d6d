"""Decides for each request whether something goes wrong, and lets it."""

from __future__ import annotations

import difflib
from collections import deque
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final

from reconciler.simulator.faults.responses import INSTEAD, MEANWHILE, NORMALISED, SPOILT, status_answer
from reconciler.simulator.faults.spec import Call, Fault, FaultSpecError, parsed
from reconciler.simulator.messages import Answer, Manner, Request

if TYPE_CHECKING:
    from reconciler.simulator.api import Api
    from reconciler.simulator.state import State, Stored


APPLIED: Final = "-applied"
LATE: Final = "late"
_AFTERWARDS: Final = {**SPOILT, **MEANWHILE}
_NAMES: Final = (*INSTEAD, *(name + APPLIED for name in INSTEAD), *_AFTERWARDS, LATE)
_TAKE_STATUS: Final = ("html", "empty", "redirect")
_TAKE_NUMBERS: Final = ("deep", "gzip", "huge", "drip", "shift", "stale", LATE)
_LARGEST: Final = 1e6


@dataclass(slots=True)
class _Late:
    """A request that is done just before the `wait`-th one after it."""

    request: Request
    wait: int


class Faults:
    """Faults by a SPEC and a seed: the same requests in the same order give the same faults."""

    def __init__(self, spec: str, seed: int = 0) -> None:
        """Read the SPEC. Raises FaultSpecError."""
        self._faults = parsed(spec)
        for fault in self._faults:
            _check(fault)
        self._counts = [0] * len(self._faults)
        self._randoms = [Random(f"{seed}/{place}") for place in range(len(self._faults))]  # noqa: S311 - to be repeated
        self._late: list[_Late] = []
        self._past: deque[tuple[Stored, ...]] = deque(maxlen=1 + max(map(_depth, self._faults), default=0))
        self._begun: float | None = None
        self.fired: list[tuple[str, Request]] = []
        """Which rule of the SPEC fell on which request."""

    def answer(self, request: Request, api: Api) -> Answer:
        """Answer a request, with or without a fault."""
        self._begin(api)
        self._land_due(api)
        place = self._falling(request, api.settings.clock())
        if place is None:
            return api.answer(request)
        fault = self._faults[place]
        self.fired.append((fault.text, request))
        if fault.name == LATE:
            self._late.append(_Late(request, int(fault.argument or 1)))
            return Answer(status=0, manner=Manner.SILENT)
        return _done(
            fault, Call(request=request, api=api, argument=fault.argument, random=self._randoms[place], past=self._ago)
        )

    def land(self, api: Api) -> None:
        """Do at once all that is still late."""
        late, self._late = self._late, []
        for one in late:
            api.answer(one.request)

    def _begin(self, api: Api) -> None:
        if self._begun is not None:
            return
        self._begun = api.settings.clock()
        self._remember(api.state)
        if any(map(_depth, self._faults)):
            api.state.watchers.append(self._remember)

    def _remember(self, state: State) -> None:
        self._past.append(tuple(state.stored.values()))

    def _ago(self, changes: int) -> tuple[Stored, ...]:
        return self._past[max(len(self._past) - 1 - changes, 0)]

    def _land_due(self, api: Api) -> None:
        for one in self._late:
            one.wait -= 1
        due = [one for one in self._late if one.wait <= 0]
        self._late = [one for one in self._late if one.wait > 0]
        for one in due:
            api.answer(one.request)

    def _falling(self, request: Request, now: float) -> int | None:
        """Return the place of the first fault that fires; all that match count the request."""
        found = None
        for place, fault in enumerate(self._faults):
            if fault.matches(request):
                self._counts[place] += 1
                seconds = now - (self._begun or 0.0)
                if fault.when.holds(self._counts[place], seconds, self._randoms[place]) and found is None:
                    found = place
        return found


def _done(fault: Fault, call: Call) -> Answer:
    if fault.name in _AFTERWARDS:
        return _AFTERWARDS[fault.name](call)
    name = fault.name.removesuffix(APPLIED)
    if name != fault.name:
        call.real()
    return INSTEAD[name](call) if name in INSTEAD else status_answer(call, int(name))


def _depth(fault: Fault) -> int:
    return int(fault.argument or 1) if fault.name == "stale" else 0


def _check(fault: Fault) -> None:
    """Look the name up, and the argument that it takes. Raises FaultSpecError."""
    name = fault.name.removesuffix(APPLIED)
    if not _is_status(name, 400) and fault.name not in _NAMES:
        near = difflib.get_close_matches(fault.name, _NAMES, 1)
        hint = f"did you mean {near[0]}?" if near else f"known: a status from 400 to 599, {', '.join(_NAMES)}"
        raise FaultSpecError(f'fault "{fault.text}": {fault.name} is not known; {hint}')
    if fault.argument and not _is_argument(name, fault.argument):
        raise FaultSpecError(f'fault "{fault.text}": {fault.name} takes no "{fault.argument}"')


def _is_status(text: str, least: int) -> bool:
    return len(text) == 3 and text.isascii() and text.isdigit() and least <= int(text) < 600  # noqa: PLR2004 - statuses


def _is_argument(name: str, argument: str) -> bool:
    if name in _TAKE_STATUS:
        return _is_status(argument, 200)
    if name in _TAKE_NUMBERS:
        digits = argument.removeprefix("-") if name == "shift" else argument
        whole = digits.isascii() and digits.isdigit()
        return (whole or (name == "drip" and _is_decimal(digits))) and float(digits) <= _LARGEST
    return argument in NORMALISED if name == "altered" else name == "429"


def _is_decimal(text: str) -> bool:
    whole, _, fraction = text.partition(".")
    return whole.isascii() and whole.isdigit() and fraction.isascii() and fraction.isdigit()
