"""Faults that the simulator does not have: users, processes, clocks, and a faulty network."""

from __future__ import annotations

import json
import socket
import ssl
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import httpx

from reconciler.features.practice.simulator.faults.injector import FaultInjector
from tests.campaign.matrix_cases import is_call
from tests.campaign.matrix_tenant import FOREIGN
from tests.campaign.world import Killed
from tests.support.builders import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.features.practice.simulator.api import SimulatorApi
    from reconciler.features.practice.simulator.messages import SimRequest, SimResponse
    from tests.campaign.matrix_run import MatrixRun
    from tests.campaign.world import Event, Hook

DAY: Final = 86_400.0


def _forget(trial: MatrixRun) -> None:
    """The tenant has no managed rule, and never showed one."""
    for rule in trial.world.state.rules():
        if rule["id"] not in FOREIGN:
            trial.world.state.remove(rule["id"])


def _at(trial: MatrixRun, do: Callable[[Event], Any], since: str = "once") -> Hook:
    """Return a hook that runs it at the case's request; `onwards`, at every request from there
    on.
    """
    first = trial.case.first
    seen = 0
    begun = False

    async def hook(event: Event) -> None:
        nonlocal seen, begun
        if is_call(event.request, trial.case.operation):
            seen += 1
        now = (
            not begun and seen == first and is_call(event.request, trial.case.operation)
        )
        if now or (begun and since == "onwards"):
            begun = True
            trial.fallen.append(event)
            result = do(event)
            if result is not None:
                await result

    return hook


def _before(
    do: Callable[[MatrixRun, Event], Any], since: str = "once"
) -> Callable[[MatrixRun], None]:
    def act(trial: MatrixRun) -> None:
        trial.applier.before = _at(trial, lambda event: do(trial, event), since)

    return act


def _after(do: Callable[[MatrixRun, Event], Any]) -> Callable[[MatrixRun], None]:
    def act(trial: MatrixRun) -> None:
        trial.applier.after = _at(trial, lambda event: do(trial, event))

    return act


def _fail(
    make: Callable[[], Exception], cause: Exception | None = None
) -> Callable[[MatrixRun, Event], Any]:
    def fail(_trial: MatrixRun, _event: Event) -> None:
        raise make() from cause

    return fail


async def _sleep(trial: MatrixRun, _event: Event) -> None:
    await trial.world.fake_clock.sleep(60.0)


def _kill(_trial: MatrixRun, _event: Event) -> None:
    raise Killed


def _stop(trial: MatrixRun, _event: Event) -> None:
    trial.stop = True


async def _second(trial: MatrixRun, _event: Event) -> None:
    await trial.another("b").run()


def _outage(fault: str) -> Callable[[MatrixRun], None]:
    def fail(trial: MatrixRun, _event: Event) -> None:
        trial.world.faults = FaultInjector(f"*:{fault}", 1)

    def act(trial: MatrixRun) -> None:
        trial.applier.before = _at(trial, lambda event: fail(trial, event))

    return act


def _down(trial: MatrixRun, _event: Event) -> None:
    trial.world.faults = FaultInjector("*:503@0s-60s", 1)


def _jump(seconds: float) -> Callable[[MatrixRun], None]:
    """From that request on the time of day is wrong for the tool; the rest of its clock is
    right.
    """

    def begin(trial: MatrixRun, _event: Event) -> None:
        trial.jump = seconds

    def act(trial: MatrixRun) -> None:
        time = trial.world.fake_clock.time
        trial.world.fake_clock.time = replace(
            time, now=lambda: time.now() + timedelta(seconds=trial.jump)
        )
        trial.applier.before = _at(trial, lambda event: begin(trial, event))

    return act


def _edit(trial: MatrixRun, _event: Event) -> None:
    trial.world.state.edit("id-up", trial.world.clock(), priority=101)


def _remove(trial: MatrixRun, _event: Event) -> None:
    trial.world.state.remove("id-up")


def _unlist(trial: MatrixRun, _event: Event) -> None:
    trial.world.state.remove("id-posing")


def _clone(trial: MatrixRun, _event: Event) -> None:
    rule = trial.world.state.stored_rules["id-up"]
    trial.world.state.put(
        {
            **rule,
            "id": "made-by-hand",
            "name": "Copy of Up Y",
            "dateCreated": NOW.isoformat(),
        }
    )


def _list(trial: MatrixRun, _event: Event) -> None:
    trial.world.state.put(
        {
            **trial.world.state.stored_rules["id-posing"],
            "id": "made-by-hand",
            "name": "Just made",
        }
    )


def _take_name(trial: MatrixRun, _event: Event) -> None:
    trial.world.state.put(
        {
            **trial.world.state.stored_rules["id-posing"],
            "id": "made-by-hand",
            "name": "Cover X",
        }
    )


def _lag(trial: MatrixRun, _event: Event) -> None:
    """The next list, with all its pages, does not contain this write."""
    faults = FaultInjector("GET rules:stale=1@#1-3", 1)
    faults._start(trial.world.api)
    trial.world.faults = faults


class _Odd(FaultInjector):
    """Responses have unknown parts; so do the rules themselves, in every case
    (matrix_tenant.py).
    """

    def __init__(self, trial: MatrixRun) -> None:
        super().__init__(trial.case.spec, 1)
        self.trial = trial

    def handle(self, request: SimRequest, api: SimulatorApi) -> SimResponse:
        """Respond, with additional parts if the case is for this operation."""
        answer = super().handle(request, api)
        if not is_call(request, self.trial.case.operation) or (
            request.method == "GET" and "/rules/" in request.path
        ):
            return answer
        actual = json.loads(answer.body or b"{}")
        further = {**actual, "lifecycle": "HALF-OPEN", "x": [{"": None}]}
        return replace(
            answer,
            status=answer.status if answer.body else 200,
            body=json.dumps(further).encode(),
        )


def _odd(trial: MatrixRun) -> None:
    trial.world.faults = _Odd(trial)
    trial.applier.before = _at(trial, lambda _event: None)


_UNTRUSTED: Final = ssl.SSLCertVerificationError(
    1, "certificate verify failed: certificate has expired"
)
_NOBODY: Final = socket.gaierror(socket.EAI_NONAME, "Name or service not known")

ACTS: Final[dict[str, Callable[[MatrixRun], None]]] = {
    "no-name": _before(_fail(lambda: httpx.ConnectError("[Errno -2]"), _NOBODY)),
    "connect-timeout": _before(
        _fail(lambda: httpx.ConnectTimeout("no connection in time"))
    ),
    "bad-certificate": _before(
        _fail(lambda: httpx.ConnectError(str(_UNTRUSTED)), _UNTRUSTED), "onwards"
    ),
    "slow": _after(_sleep),
    "outage-refuse": _outage("refuse"),
    "outage-503": _outage("503"),
    "outage-timeout": _outage("timeout"),
    "down-for-a-minute": _before(_down),
    "killed-before": _before(_kill),
    "killed-after": _after(_kill),
    "stopped": _before(_stop),
    "second": _before(_second),
    "day-later": _jump(DAY),
    "day-earlier": _jump(-DAY),
    "edits": _before(_edit),
    "deletes": _before(_remove),
    "clones": _before(_clone),
    "listed-anew": _before(_list),
    "unlisted": _before(_unlist),
    "foreign-name": _before(_take_name),
    "lagging": _before(_lag),
    "odd": _odd,
    "first-contact": _forget,
}
