"""Cases of the profile "studio": a line of text, studio SCENARIO | FAULTS | LOCK, reproduces a run and its recovery.

FAULTS are joined by commas: those of the simulator (`cxroute simulate --help`), and of this module at the K-th request
of the run, before it or, with `-after`, after it was processed:

    kill, cancel, signal     the process dies; its task is cancelled; it gets a signal as the command does
    outside, planned, other, case, half   a person saves the script: text outside the block, a planned rule in it,
                             another rule, a CASE of the person's own, the block without its last line
    lock                     a person takes the lock, if it is free
    second, twin             another run, of another key and of the same one, from its start to its end
    warned, refused, garbled, unlike   the response to the request: 206 with a warning (it was processed), 409 with an
                             error (it was not), bytes that are not JSON, `success: false` with status 200

LOCK is `open` (a lock is a hint) or `binds` (another user cannot save a locked script).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any, Final, Self

from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.messages import SimResponse, json_response
from tests.campaign.studio_oracle import (
    BEGIN,
    BY_HAND,
    END,
    Broken,
    StudioOracle,
    chunks_of,
    split_code,
)
from tests.campaign.studio_scenarios import SCENARIOS, SCRIPT, StudioScenario
from tests.campaign.studio_world import (
    PERSON,
    StudioCall,
    StudioRun,
    StudioRunResult,
    StudioWorld,
    code_of,
    edited_code,
    finish,
    seeded,
    start_content,
)
from tests.campaign.world import Killed

PREFIX: Final = "studio "
_ACCIDENT: Final = re.compile(
    r"(?P<name>[a-z]+)(?P<after>-after)?@#(?P<at>[1-9][0-9]*)"
)
PEOPLE: Final = ("outside", "planned", "other", "case", "half", "lock")
PROCESSES: Final = ("kill", "cancel", "signal", "second", "twin")
RESPONSES: Final = ("warned", "refused", "garbled", "unlike")
TRANSIENT: Final = (
    *(
        "500",
        "502",
        "503",
        "504",
        "429",
        "429=2",
        "429=date",
        "429=none",
        "reset",
        "timeout",
        "refuse",
        "cut",
    ),
    *("drip", "401", "revoke"),
)
"""Faults of one response after which a repetition helps; not a 401 for a token, which is
lasting."""
_LOGIN_REQUESTS: Final = 3
LASTING: Final = (
    *(
        "400",
        "403",
        "404",
        "405",
        "409",
        "412",
        "422",
        "501",
        "shape",
        "nan",
        "redirect",
        "html",
        "html=403",
        "deep=20",
    ),
    *("empty", "half"),
)
APPLIED: Final = (
    "reset-applied",
    "timeout-applied",
    "500-applied",
    "502-applied",
    "504-applied",
    "html-applied",
)
LATE: Final = ("late=1", "late=2", "late=3")


@dataclass(frozen=True, slots=True)
class StudioCase:
    """The parameters of a run; `str` and `parse` convert them to a line and back."""

    scenario: str
    faults: str = ""
    lock: str = "open"

    def __str__(self) -> str:
        """Return the line."""
        return f"{PREFIX}{self.scenario} | {self.faults} | {self.lock}"

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a line. Raises ValueError."""
        scenario, faults, lock = (
            part.strip() for part in line.removeprefix(PREFIX).split("|")
        )
        return cls(scenario, faults, lock)

    @property
    def accidents(self) -> list[re.Match[str]]:
        """The faults of this module."""
        matches = (_ACCIDENT.fullmatch(text) for text in self.faults.split(","))
        return [
            match
            for match in matches
            if match and match["name"] in (*PEOPLE, *PROCESSES, *RESPONSES)
        ]

    @property
    def injected(self) -> str:
        """The faults of the simulator."""
        texts = {match[0] for match in self.accidents}
        return ",".join(text for text in self.faults.split(",") if text not in texts)


@dataclass(slots=True)
class StudioCaseResult:
    """The result of a case."""

    case: StudioCase
    broken: list[Broken]
    counts: Counter[str]
    requests: int
    results: list[StudioRunResult | None]
    happened: int
    first_requests: int
    """Those of the run with the faults."""
    outputs: list[str] = field(repr=False, default_factory=list)
    calls: list[StudioCall] = field(repr=False, default_factory=list)

    @property
    def is_same_run(self) -> bool:
        """Whether the run with the faults reached the goal."""
        return self.results[0] is not None and self.results[0].exit_code == 0


class _Accidents:
    """Makes the accidents of a case happen at the requests of its run."""

    def __init__(
        self, world: StudioWorld, oracle: StudioOracle, case: StudioCase
    ) -> None:
        self.world, self.oracle, self.case = world, oracle, case
        self.random = seeded(str(case))
        self.happened = 0

    async def before(self, call: StudioCall) -> SimResponse | None:
        """Make happen what is due before a request; a response replaces the tenant's."""
        return await self._happen(call, is_after=False)

    async def after(self, call: StudioCall) -> SimResponse | None:
        """Make happen what is due after a request was processed."""
        return await self._happen(call, is_after=True)

    async def _happen(self, call: StudioCall, *, is_after: bool) -> SimResponse | None:
        response = None
        for match in self.case.accidents:
            name = match["name"]
            if (
                int(match["at"]) != call.number
                or (bool(match["after"]) or name == "warned") is not is_after
            ):
                continue
            self.happened += 1
            if name in RESPONSES:
                response = _response(name, call)
            elif name in PEOPLE:
                self.happened -= not self._save_as_person(name)
            else:
                await self._interfere(name, call.run)
        return response

    async def _interfere(self, name: str, run: StudioRun) -> None:
        if name == "kill":
            raise Killed
        if name == "cancel":
            assert run.stop.task
            run.stop.task.cancel()
            await asyncio.sleep(0)
        elif name == "signal":
            run.stop.request()
            await asyncio.sleep(0)
        else:
            second = StudioRun(self.world, key="key-b" if name == "second" else run.key)
            result = await asyncio.ensure_future(second.run())
            self.oracle.end(second, result, is_faulty=True)

    def _save_as_person(self, name: str) -> bool:
        if name == "lock":
            return self.world.lock_as_person()
        edit = _EDITS[name]
        code = code_of(self.world.current[1]["content"])
        after = edit(code, self.world.scenario, self.random)
        if after == code:
            return False

        def save(content: dict[str, Any]) -> dict[str, Any]:
            edited = edited_code(content, lambda _code: after)
            if name == "outside":
                edited["actions"] = {
                    **edited["actions"],
                    "999": {"actionType": "PLAY", "x": self.random.random()},
                }
                edited["header"] = {
                    **edited["header"],
                    "notes": f"by hand {self.random.random()}",
                }
            return edited

        return self.world.save_as_person(save)


def _response(name: str, call: StudioCall) -> SimResponse | None:
    if name == "garbled":
        return SimResponse(
            status=200,
            body=b'{"header": \xff\x00',
            headers=(("content-type", "application/json"),),
        )
    if name == "warned":
        response = call.response
        if response is None or response.status != 200 or not call.is_save:
            return None
        form = json.loads(response.body)
        details = form["results"][0]["error_code"]["details"]
        details["actions"] = {
            "2": {
                "actionType": "SNIPPET",
                "errors": [],
                "warnings": [{"key": "Odd\x1b[31m"}],
            }
        }
        return json_response(206, form)
    actions = {
        "2": {"actionType": "SNIPPET", "errors": [{"key": "Bad\u202e"}], "warnings": []}
    }
    details = {"totalErrors": 1, "totalWarnings": 0, "actions": actions}
    result = {"success": False, "masterId": "", "error_code": {"details": details}}
    return json_response(409 if name == "refused" else 200, {"results": [result]})


def _edit_rule(
    code: str, scenario: StudioScenario, random: Random, *, is_planned: bool
) -> str:
    """Return the code with another skill in a rule that the plan changes, or does not change."""
    parts = split_code(code)
    chunks = chunks_of(parts.block) if parts else {}
    goal = {f"cards/{wish.key}": wish for wish in scenario.goal}
    names = [
        name
        for name, chunk in chunks.items()
        if (chunk.wish != goal.get(name)) is is_planned
    ]
    if not names or parts is None:
        return code
    name = random.choice(sorted(names))
    lines = list(parts.block)
    place = next(
        number for number, line in enumerate(lines) if f"cxroute:rule {name}#" in line
    )
    while "cxr_skill = " not in lines[place]:
        place += 1
    skill = random.choice(
        [each for each in ("4001", "4002", "4003", "4004") if each not in lines[place]]
    )
    lines[place] = re.sub("cxr_skill = [0-9]+", f"cxr_skill = {skill}", lines[place])
    return parts.before + "".join(lines) + parts.after


def _add_case(code: str, scenario: StudioScenario, _random: Random) -> str:
    case = (
        f"  CASE ( cxr_text_cognigyDetectedIntent$ = {BY_HAND} )\n  {{\n    ASSIGN cxr_skill = "
        f"4001\n  }}\n"
    )
    case = case.replace("\n", scenario.newline)
    return (
        code
        if BY_HAND in code
        else re.sub(r"(SELECT\s*\{\r?\n)", lambda match: match[1] + case, code, count=1)
    )


def _remove_case(code: str) -> str:
    pattern = rf"  CASE [^\n]*{BY_HAND}[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n"
    return re.sub(pattern, "", code)


def _add_outside(code: str, scenario: StudioScenario, random: Random) -> str:
    line = f"// by Kim {random.random()}  \u2028 ☂{scenario.newline}"
    return (
        line + code + line
        if random.random() < 0.5
        else code.replace(BEGIN, f"{line}\t{BEGIN}  ")
    )


_EDITS: Final[dict[str, Any]] = {
    "outside": _add_outside,
    "planned": lambda code, scenario, random: _edit_rule(
        code, scenario, random, is_planned=True
    ),
    "other": lambda code, scenario, random: _edit_rule(
        code, scenario, random, is_planned=False
    ),
    "case": _add_case,
    "half": lambda code, _scenario, _random: code.replace(END, "// ended"),
}


def run_case(case: StudioCase) -> StudioCaseResult:
    """Run a case: the faults, at most two runs without, and an idle one."""
    scenario = SCENARIOS[case.scenario]
    world = StudioWorld(scenario, binds=case.lock == "binds")
    world.state.save_script(
        SCRIPT, start_content(case.scenario), PERSON, world.now(), next(world.ids)
    )
    oracle = StudioOracle(world)
    accidents = _Accidents(world, oracle, case)
    reviewed = (
        asyncio.run(StudioRun(world).saved_plan()) if scenario.is_reviewed else None
    )
    world.faults = FaultInjector(case.injected, 1) if case.injected else None
    run = StudioRun(
        world, reviewed=reviewed, before=accidents.before, after=accidents.after
    )
    results = [finish(run)]
    happened = accidents.happened + (
        len(world.faults.fired_faults) if world.faults else 0
    )
    oracle.end(run, results[0], is_faulty=happened > 0)
    if not happened:
        oracle.check(
            "S5",
            results[0] and results[0].exit_code == 0,
            f"without a fault: {results[0]}",
        )
    _mend(world)
    codes: list[int] = []
    for _ in range(2):
        if codes[-1:] != [0]:
            codes.append(_heal(world, oracle))
    before = sum(call.is_save for call in world.calls)
    codes.append(_heal(world, oracle))
    oracle.healed(codes, sum(call.is_save for call in world.calls) - before)
    requests_sent = (len(world.calls), results, happened, run.line.sent)
    return StudioCaseResult(
        case, oracle.broken, oracle.counts, *requests_sent, world.outputs, world.calls
    )


def _heal(world: StudioWorld, oracle: StudioOracle) -> int:
    run = StudioRun(world)
    result = finish(run)
    assert result
    oracle.end(run, result, is_faulty=False)
    return result.exit_code


def _mend(world: StudioWorld) -> None:
    """End the faults: delayed requests are processed, and the person repairs the block and releases
    the lock.
    """
    if world.faults is not None:
        world.faults.run_delayed(world.api)
        world.faults = None
    if world.holder == PERSON:
        world.state.lock_script(SCRIPT, "")
    if world.holder and world.binds:
        return
    code = code_of(world.current[1]["content"])
    mended = _remove_case(code).replace("// ended", END)
    if mended != code:
        world.save_as_person(lambda content: edited_code(content, lambda _code: mended))


# The cases


@cache
def requests(scenario: str) -> int:
    """Return the number of requests of a run without faults."""
    return run_case(StudioCase(scenario)).first_requests


def single_faults() -> Iterator[StudioCase]:
    """Yield each fault at each request, of each scenario."""
    for scenario in SCENARIOS:
        for number in range(1, requests(scenario) + 2):
            for fault in (*TRANSIENT, *LASTING, *APPLIED, *LATE):
                yield StudioCase(scenario, f":{fault}@#{number}")
            for name in RESPONSES:
                yield StudioCase(scenario, f"{name}@#{number}")


def accidents() -> Iterator[StudioCase]:
    """Yield each accident before and after each request, with locks that bind and that do not."""
    for scenario in SCENARIOS:
        for number in range(1, requests(scenario) + 1):
            for name in (*PEOPLE, *PROCESSES):
                for lock in ("open", "binds"):
                    for after in ("", "-after"):
                        yield StudioCase(scenario, f"{name}{after}@#{number}", lock)


def lasting() -> Iterator[StudioCase]:
    """Yield outages: each fault at every request from some request on, and only at calls of one
    kind.
    """
    faults = ("500", "reset", "timeout-applied", "403", "401", "429", "html", "half")
    for scenario in ("first", "changes", "drift"):
        for fault in faults:
            yield from (
                StudioCase(scenario, f":{fault}@#{number}-")
                for number in range(1, requests(scenario) + 1)
            )
            for kind in (
                "GET script",
                "PUT script",
                "POST script",
                "token",
                "queues",
                "discovery",
            ):
                yield StudioCase(scenario, f"{kind}:{fault}")
                yield StudioCase(scenario, f"{kind}:{fault}@#2-")


def pairs(seed: int, count: int) -> Iterator[StudioCase]:
    """Yield cases with two or three faults at random requests."""
    random = Random(seed)
    kinds = [f":{fault}" for fault in (*TRANSIENT, *LASTING, *APPLIED, *LATE)]
    names = [
        *RESPONSES,
        *(
            f"{name}{suffix}"
            for name in (*PEOPLE, *PROCESSES)
            for suffix in ("", "-after")
        ),
    ]
    for _ in range(count):
        scenario = random.choice([*SCENARIOS])
        faults = []
        for _ in range(random.choice((2, 2, 3))):
            number = random.randrange(1, requests(scenario) + 6)
            faults.append(f"{random.choice(random.choice((kinds, names)))}@#{number}")
        yield StudioCase(scenario, ",".join(faults), random.choice(("open", "binds")))


def fault_free() -> Iterator[StudioCase]:
    """Yield each scenario."""
    yield from (
        StudioCase(scenario, "", lock)
        for scenario in SCENARIOS
        for lock in ("open", "binds")
    )


def warm_up() -> None:
    """Prepare every scenario: no deliberate bug may change where its cases start."""
    for scenario in SCENARIOS:
        requests(scenario)


def parts(seed: int = 1, pair_count: int = 3000) -> dict[str, Iterator[StudioCase]]:
    """Return all cases, by part."""
    return {
        "fault-free": fault_free(),
        "singles": single_faults(),
        "accidents": accidents(),
        "outages": lasting(),
        "pairs": pairs(seed, pair_count),
    }


def is_transient(case: StudioCase) -> bool:
    """Return whether the only fault is one that a repetition overcomes."""
    match = re.fullmatch(r":([^@]+)@#([0-9]+)", case.faults)
    return bool(
        match
        and match[1] in TRANSIENT
        and not (match[1] == "401" and int(match[2]) <= _LOGIN_REQUESTS)
    )
