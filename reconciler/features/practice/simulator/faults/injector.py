"""Decides for each request whether a fault applies, and applies it."""

import difflib
import math
import re
from collections import deque
from random import Random
from typing import Final

from reconciler.features.practice.simulator.api import SimulatorApi
from reconciler.features.practice.simulator.faults.responses import (
    ALTERED_FIELDS,
    REAL_RESPONSES,
    REPLACED_RESPONSES,
    status_response,
)
from reconciler.features.practice.simulator.faults.spec import (
    Fault,
    FaultCall,
    FaultSpecError,
    parse_faults,
)
from reconciler.features.practice.simulator.messages import (
    DeliveryMode,
    SimRequest,
    SimResponse,
)
from reconciler.features.practice.simulator.state import JsonObject, TenantState

APPLIED_SUFFIX: Final = "-applied"
DELAYED_FAULT: Final = "late"
_APPLIED: Final = (name + APPLIED_SUFFIX for name in REPLACED_RESPONSES)
_NAMES: Final = (*REPLACED_RESPONSES, *_APPLIED, *REAL_RESPONSES, DELAYED_FAULT)
_TAKE_STATUS: Final = ("html", "empty", "redirect")
_TAKE_NUMBERS: Final = ("deep", "gzip", "huge", "drip", "shift", "stale", DELAYED_FAULT)
_MAX_ARGUMENT: Final = 1e6


class FaultInjector:
    """Faults by a SPEC and a seed: the same requests in the same order get the same faults."""

    def __init__(self, spec: str, seed: int = 0) -> None:
        """Read the SPEC. Raises FaultSpecError."""
        self._faults = parse_faults(spec)
        for fault in self._faults:
            _check_fault(fault)
        self._counts = [0] * len(self._faults)
        self._randoms = [
            Random(f"{seed}/{number}")  # noqa: S311 - repeatable
            for number in range(len(self._faults))
        ]
        self._request_count = 0
        # Each with the number of the request it runs before.
        self._delayed: list[tuple[SimRequest, int]] = []
        stale_faults = [fault for fault in self._faults if fault.name == "stale"]
        depths = [int(fault.argument or 1) for fault in stale_faults]
        length = 1 + max(depths, default=0)
        self._history: deque[list[JsonObject]] = deque(maxlen=length)
        self._started_at: float | None = None
        # The rule of the SPEC, and the request that it affected.
        self.fired_faults: list[tuple[str, SimRequest]] = []

    def handle(self, request: SimRequest, api: SimulatorApi) -> SimResponse:
        """Return a request's response, with or without a fault."""
        started_at = self._start(api)
        self._request_count += 1
        self.run_delayed(api, self._request_count)
        index = self._choose_fault(request, api.settings.clock() - started_at)
        if index is None:
            return api.handle(request)

        fault = self._faults[index]
        self.fired_faults.append((fault.text, request))
        if fault.name == DELAYED_FAULT:
            number = self._request_count + int(fault.argument or 1)
            self._delayed.append((request, number))
            return SimResponse(status=0, delivery=DeliveryMode.SILENT)
        call = FaultCall(
            request=request,
            api=api,
            argument=fault.argument,
            random=self._randoms[index],
            rules_before=self._rules_before,
        )
        return _respond(fault.name, call)

    def run_delayed(self, api: SimulatorApi, number: float = math.inf) -> None:
        """Process the delayed requests up to a number of requests; default: all."""
        delayed = self._delayed
        self._delayed = [entry for entry in delayed if entry[1] > number]
        for request, before in delayed:
            if before <= number:
                api.handle(request)

    def _start(self, api: SimulatorApi) -> float:
        if self._started_at is None:
            self._started_at = api.settings.clock()
            self._record_rules(api.state)
            if self._history.maxlen != 1:
                api.state.watchers.append(self._record_rules)
        return self._started_at

    def _record_rules(self, state: TenantState) -> None:
        self._history.append(state.rules())

    def _rules_before(self, changes: int) -> list[JsonObject]:
        index = len(self._history) - 1 - changes
        return self._history[max(index, 0)]

    def _choose_fault(self, request: SimRequest, seconds: float) -> int | None:
        """Return the index of the first fault that applies; every matching fault counts the
        request.
        """
        chosen = None
        for index, fault in enumerate(self._faults):
            if fault.matches(request):
                self._counts[index] += 1
                count = self._counts[index]
                applies = fault.applies(count, seconds, self._randoms[index])
                if applies and chosen is None:
                    chosen = index
        return chosen


def _respond(fault: str, call: FaultCall) -> SimResponse:
    """Return a request's response with a fault."""
    if fault in REAL_RESPONSES:
        return REAL_RESPONSES[fault](call)
    name = fault.removesuffix(APPLIED_SUFFIX)
    if name != fault:
        call.run_request()
    if name in REPLACED_RESPONSES:
        return REPLACED_RESPONSES[name](call)
    return status_response(call, int(name))


def _check_fault(fault: Fault) -> None:
    """Raise FaultSpecError for an unknown name, and for an argument that its fault does not
    take.
    """
    name = fault.name.removesuffix(APPLIED_SUFFIX)
    if not re.fullmatch("[45][0-9]{2}", name) and fault.name not in _NAMES:
        near = difflib.get_close_matches(fault.name, _NAMES, 1)
        hint = f"known: a status from 400 to 599, {', '.join(_NAMES)}"
        if near:
            hint = f"did you mean {near[0]}?"
        raise FaultSpecError(
            f'fault "{fault.text}": unknown fault {fault.name}; {hint}'
        )
    if fault.argument and not _is_argument(name, fault.argument):
        problem = f'{fault.name} does not accept "{fault.argument}"'
        raise FaultSpecError(f'fault "{fault.text}": {problem}')


def _is_argument(name: str, argument: str) -> bool:
    if name in _TAKE_STATUS:
        return re.fullmatch("[2-5][0-9]{2}", argument) is not None
    if name in _TAKE_NUMBERS:
        patterns = {"shift": "-?[0-9]+", "drip": r"[0-9]+(\.[0-9]+)?"}
        pattern = patterns.get(name, "[0-9]+")
        is_number = re.fullmatch(pattern, argument) is not None
        return is_number and abs(float(argument)) <= _MAX_ARGUMENT
    if name == "altered":
        return argument in ALTERED_FIELDS
    return name == "429"
