"""The oracle of rules in a Studio script: it watches a world, and reports each broken promise S1 to S9.

    S1  nothing outside the two marker lines differs from the version that the save was made from, in spelling too
    S2  a save is made from the script of the read just before it, and overwrites no other version where locks bind
    S3  each sample conversation has its old or its new skill, or one that a person gave it, in every version
    S4  the lock is free after each run that was not killed, or the run says that it may not be
    S5  after the faults at most two runs reach the goal; one more saves nothing
    S6  only the documented calls are made; at most four saves in a run, and one without faults
    S7  each change of a save was announced to the recorder before; other rules stay as they are written
    S8  the exit code and the report say what the last read of the script shows
    S9  an error is one sentence

It splits the text of scripts by itself, and runs them with the simulator's evaluator.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from reconciler.core.model.change import Applied, Failed, Skipped, UnknownOutcome
from reconciler.features.practice.simulator.snippet import (
    SimDialect,
    SimSnippet,
    script_text,
    script_value,
)
from tests.campaign.studio_scenarios import BLOCK, SCRIPT, Sample, StudioRule, route
from tests.campaign.studio_world import (
    DIALECTS,
    INTERRUPTED,
    PERSON,
    StudioCall,
    StudioRun,
    StudioRunResult,
    StudioWorld,
    code_of,
)

BEGIN = f"// cxroute:begin {BLOCK}"
END = "// cxroute:end"
BY_HAND: Final = '"by hand"'
"""A text in each CASE that a person adds."""
MOST_SAVES: Final = 4
_LONGEST: Final = 1500
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_RULE: Final = re.compile(r"// cxroute:rule (\S+)#([0-9a-f]+) priority=(\S+)(.*)")
_SKILL: Final = re.compile(r"cxr_skill = (\S+)")
_INTENT: Final = re.compile(r'Intent\$ = "([^"]*)"')
_LEAST: Final = re.compile(r"cxr_num_\w+ >= ([0-9.]+)")
_SCRIPTS: Final = "/inContactAPI/services/v34[.]0/scripts"
_CALLS: Final = tuple(
    re.compile(text)
    for text in (
        "GET /[.]well-known/(openid|cxone)-configuration.*",
        "POST /auth/token",
        "GET /inContactAPI/services/v[0-9]+[.]0/skills.*",
        rf"GET {_SCRIPTS}(/historyByName)?[?]scriptPath=Bot%5CHand-over",
        rf"GET {_SCRIPTS}/[0-9]+",
        rf"PUT {_SCRIPTS}[?]scriptPath=Bot%5CHand-over&lockScript=(true|false)",
        rf"POST {_SCRIPTS}",
    )
)


class Broken(NamedTuple):
    """A broken promise."""

    promise: str
    message: str


class Parts(NamedTuple):
    """A code, split at the marker lines: the text before, the lines of the block, the text
    after.
    """

    before: str
    block: tuple[str, ...]
    after: str


class Chunk(NamedTuple):
    """A rule as the block holds it: its fields as far as this oracle reads them, and its lines."""

    wish: StudioRule
    text: str


def split_code(code: str) -> Parts | None:
    """Return the parts of a code; None without exactly one block."""
    lines = (
        code.splitlines(keepends=True)
        if "\u2028" not in code
        else re.findall(r"[^\n]*\n|[^\n]+", code)
    )
    begins = [place for place, line in enumerate(lines) if line.strip() == BEGIN]
    ends = [place for place, line in enumerate(lines) if line.strip() == END]
    if len(begins) != 1 or len(ends) != 1 or begins[0] > ends[0]:
        return None
    first = begins[0]
    last = ends[0]
    return Parts(
        "".join(lines[:first]),
        tuple(lines[first : last + 1]),
        "".join(lines[last + 1 :]),
    )


def chunks_of(block: Iterable[str]) -> dict[str, Chunk]:
    """Return the managed rules of a block by their addresses, each with its lines up to the end of
    its CASE.
    """
    chunks: dict[str, Chunk] = {}
    lines = [line.strip() for line in block]
    for place, line in enumerate(lines):
        if match := _RULE.fullmatch(line):
            text = "\n".join(_case_lines(lines[place:]))
            intents = tuple(_INTENT.findall(text))
            least = _LEAST.search(text)
            skills = _SKILL.findall(text)
            name = match[1].partition("/")[2]
            enabled = "enabled=false" not in match[4]
            priority = int(match[3]) if match[3].isdigit() else -1
            wish = StudioRule(
                name,
                intents,
                "+".join(skills),
                priority,
                float(least[1]) if least else 0.0,
                enabled,
            )
            chunks.setdefault(match[1], Chunk(wish, text))
    return chunks


def _case_lines(lines: list[str]) -> Iterator[str]:
    depth = 0
    has_body = False
    for number, line in enumerate(lines):
        plain = re.sub(
            r'"[^"]*"',
            "",
            line.removeprefix("//- ")
            if line.startswith("//- ")
            else line.split("//")[0],
        )
        if number and _RULE.fullmatch(line):
            return
        depth += plain.count("{") - plain.count("}")
        if depth < 0:
            return
        yield line
        has_body = has_body or "{" in plain
        if has_body and depth == 0:
            return


@lru_cache(maxsize=20_000)
def routes(
    code: str, samples: tuple[Sample, ...], dialect: SimDialect
) -> tuple[str, ...]:
    """Return the skill of each sample conversation."""
    return tuple(_route(code, sample, dialect) for sample in samples)


def _route(code: str, sample: Sample, dialect: SimDialect) -> str:
    source_values = {
        "cognigydetectedintent": sample.intent,
        "cognigyconfidence": sample.confidence,
        "contactid": 4711,
    }
    values = {name: script_value(value) for name, value in source_values.items()}
    problem = SimSnippet(code, values, dialect, is_active=True).run()
    skill = values.get("cxr_skill")
    return problem or (script_text(skill))


class StudioOracle:
    """Watches a world; `broken` and `counts` grow with each call."""

    def __init__(self, world: StudioWorld) -> None:
        self.world, self.scenario = world, world.scenario
        self.broken: list[Broken] = []
        self.counts: Counter[str] = Counter()
        self.heals = False
        """Whether the faults have ended."""
        self._sending: StudioCall | None = None
        self._last_reads: dict[int, bytes] = {}
        self._read_calls: dict[int, list[StudioCall]] = {}
        self._runs: dict[int, list[StudioCall]] = {}
        self._versions = dict.fromkeys(world.state.scripts)
        self._allowed: list[list[set[str]]] = []
        world.sending.append(self._send)
        world.heard.append(self._hear)
        world.state.watchers.append(lambda _state: self._watch())
        after = tuple(
            route(self.scenario.goal, sample) for sample in self.scenario.samples
        )
        for before in self._routes():
            self._allowed.append(
                [{old, new} for old, new in zip(before, after, strict=True)]
            )

    def check(self, promise: str, holds: object, message: str) -> None:
        """Count a check, and record it if it fails."""
        self.counts[promise] += 1
        if not holds:
            self.broken.append(Broken(promise, message))

    def allow_new_start(self) -> None:
        """Accept the routes of the current version: a person saved it."""
        for allowed, now in zip(self._allowed, self._routes(), strict=True):
            for skills, skill in zip(allowed, now, strict=True):
                skills.add(skill)

    def _routes(self) -> list[tuple[str, ...]]:
        code = code_of(self.world.current[1]["content"])
        return [routes(code, self.scenario.samples, dialect) for dialect in DIALECTS]

    # Calls

    def _send(self, call: StudioCall) -> None:
        self._sending = call
        self._runs.setdefault(id(call.run), []).append(call)
        request = call.request
        line = f"{request.method} {request.path}" + (
            f"?{request.query}" if request.query else ""
        )
        self.check(
            "S6", any(shape.fullmatch(line) for shape in _CALLS), f"sent {line[:200]}"
        )
        if call.is_save:
            self._check_save_call(call)

    def _hear(self, call: StudioCall) -> None:
        if call.is_read and call.is_answered and call.response is not None:
            self._last_reads[id(call.run)] = call.response.body
            call.code = _code_in(call.response.body)
        self._sending = None

    def _check_save_call(self, call: StudioCall) -> None:
        where = f"save {call.number} of {call.run.user}"
        earlier = [
            each
            for each in self._runs[id(call.run)][:-1]
            if "/scripts" in each.request.path
        ]
        if earlier and earlier[-1].is_save and _has_old_token(earlier[-1]):
            earlier.pop()  # the same request again with a new token, immediately
        self.check(
            "S2",
            earlier and earlier[-1].is_read,
            f"{where}: no read of the script just before it",
        )
        read = self._last_reads.get(id(call.run), b"").decode()
        inner = call.request.body.decode()
        match = re.fullmatch(
            r'\s*\{\s*"scriptContent"\s*:\s*(\{.*\})\s*\}\s*', inner, re.DOTALL
        )
        self.check("S1", match, f"{where}: is not the script alone")
        if match is None:
            return
        before = _spell(read)
        after = _spell(match[1])
        differing = [
            place
            for place, pair in enumerate(zip(before, after, strict=False))
            if pair[0] != pair[1]
        ]
        same = len(before) == len(after) and len(differing) <= 1
        self.check(
            "S1",
            same,
            f"{where}: {len(differing)} texts differ from those that were read",
        )
        if same and differing:
            self._check_code(where, call, before[differing[0]], after[differing[0]])

    def _check_code(
        self, where: str, call: StudioCall, spelled: str, spelled_now: str
    ) -> None:
        if not (spelled.startswith('"') and spelled_now.startswith('"')):
            self.check(
                "S1", False, f"{where}: {spelled[:80]} became {spelled_now[:80]}"
            )
            return
        before = split_code(json.loads(spelled))
        after = split_code(json.loads(spelled_now))
        self.check("S1", before and after, f"{where}: a text without one block changed")
        if before is None or after is None:
            return
        self.check(
            "S1",
            (before.before, before.after) == (after.before, after.after),
            f"{where}: text outside changed",
        )
        ends = {line[len(line.rstrip("\r\n")) :] for line in after.block[:-1]}
        self.check("S1", ends == {self.scenario.newline}, f"{where}: line ends {ends}")
        self.check(
            "S7",
            not any(BY_HAND in line for line in before.block),
            f"{where}: over a CASE of a person",
        )
        old = chunks_of(before.block)
        new = chunks_of(after.block)
        changed = {
            each for each in old.keys() | new.keys() if old.get(each) != new.get(each)
        }
        announced = call.run.recording.intended
        self.check("S7", announced, f"{where}: nothing was announced to the recorder")
        self.check(
            "S7",
            changed <= announced,
            f"{where}: {sorted(changed - announced)} changed unannounced",
        )

    # Versions

    def _watch(self) -> None:
        identity, version = self.world.current
        if identity in self._versions:
            return
        previous = [*self._versions][-1]
        self._versions[identity] = None
        if version["user"] == PERSON:
            self.allow_new_start()
            return
        where = f"version {identity}"
        base = version["content"]["header"]["masterId"]
        self.check(
            "S2",
            base in self.world.state.scripts,
            f"{where}: made from the unknown version {base}",
        )
        # another run with the same key
        is_own = self.world.state.scripts[previous]["user"] == version["user"]
        if (
            self.world.binds
            and self._sending is not None
            and self._sending.is_save
            and not is_own
        ):
            self.check(
                "S2",
                base == previous,
                f"{where}: made from {base}, and overwrites {previous}",
            )
        if base in self.world.state.scripts:
            stored = self.world.state.scripts[base]["content"]
            self.check(
                "S1",
                _outside(stored) == _outside(version["content"]),
                f"{where}: differs outside from {base}",
            )
        for dialect, allowed, now in zip(
            DIALECTS, self._allowed, self._routes(), strict=True
        ):
            for sample, skills, skill in zip(
                self.scenario.samples, allowed, now, strict=True
            ):
                self.check(
                    "S3",
                    skill in skills,
                    f"{where}: {sample} goes to {skill!r}, not to {skills} ({dialect})",
                )

    # Ends

    def end(
        self, run: StudioRun, result: StudioRunResult | None, *, is_faulty: bool
    ) -> None:
        """Check the end of a run; None: it was killed."""
        calls = self._runs.get(id(run), [])
        saves = [call for call in calls if call.is_save and not _has_old_token(call)]
        self.check("S6", len(saves) <= MOST_SAVES, f"{run.user}: {len(saves)} saves")
        if result is None:
            return
        if not is_faulty and result.had_changes:
            self.check(
                "S6", len(saves) == 1, f"{run.user}: {len(saves)} saves without a fault"
            )
        self._check_lock(run, result, calls)
        self._check_report(run, result, calls)
        for text in (result.error, *result.notes):
            printed = (
                len(text) <= _LONGEST and text.isprintable() and "Traceback" not in text
            )
            self.check("S9", printed, f"{run.user}: {text[:300]!r}")

    def _check_lock(
        self, run: StudioRun, result: StudioRunResult, calls: list[StudioCall]
    ) -> None:
        self.check("S4", True, "")
        if self.world.holder != run.user:
            return
        if not any(call.is_lock("true") for call in calls):
            return  # a lock that an earlier run left
        unlocks = [call for call in calls if call.is_lock("false")]
        says = any(
            "may still be locked" in text for text in (*result.notes, result.error)
        )
        is_lost = bool(unlocks) and not _is_unlocked(unlocks[-1])
        self.check("S4", is_lost, f"{run.user}: holds the lock, and no unlock was lost")
        self.check(
            "S4",
            says or result.error == INTERRUPTED,
            f"{run.user}: holds the lock, and does not say so: {result.error!r} {result.notes}",
        )

    def _check_report(
        self, run: StudioRun, result: StudioRunResult, calls: list[StudioCall]
    ) -> None:
        reads = [call for call in calls if call.is_read or call.is_save]
        parts = next(
            (
                parts
                for call in reversed(reads)
                if call.code and (parts := split_code(call.code))
            ),
            None,
        )
        chunks = chunks_of(parts.block) if parts else {}
        goal = {f"cards/{wish.key}": wish for wish in self.scenario.goal}
        live = {address: chunk.wish for address, chunk in chunks.items()}
        if result.exit_code == 0:
            self.check(
                "S8",
                live == goal,
                f"{run.user}: exit 0, and the script has {_difference(live, goal)}",
            )
        report = result.report
        was_read_after = bool(reads) and split_code(reads[-1].code) is not None
        for outcome in report.outcomes if report else ():
            address = str(outcome.change.address)
            is_done = live.get(address) == goal.get(address)
            name = f"{run.user}: {outcome.status} {address}"
            if isinstance(outcome, Applied):
                self.check("S8", is_done, f"{name}, which the last read does not show")
            elif isinstance(outcome, Failed | Skipped):
                self.check(
                    "S8",
                    not is_done or not was_read_after,
                    f"{name}, which the last read shows",
                )
            else:
                assert isinstance(outcome, UnknownOutcome)
                self.check(
                    "S8",
                    not was_read_after or not is_done,
                    f"{name}, which the last read shows",
                )

    def healed(self, codes: list[int], saves: int) -> None:
        """Check the runs after the faults: their exit codes, and the saves of the last one."""
        self.check("S5", 0 in codes[:2], f"after the faults: exit codes {codes}")
        self.check("S5", saves == 0, f"{saves} saves although nothing was to be done")
        parts = split_code(code_of(self.world.current[1]["content"]))
        live = (
            {address: chunk.wish for address, chunk in chunks_of(parts.block).items()}
            if parts
            else {}
        )
        goal = {f"cards/{wish.key}": wish for wish in self.scenario.goal}
        self.check(
            "S5", live == goal, f"in the end the script has {_difference(live, goal)}"
        )


def _has_old_token(call: StudioCall) -> bool:
    return (
        call.response is not None
        and not call.is_lost
        and call.response.status == HTTPStatus.UNAUTHORIZED
    )


def _spell(text: str) -> list[str]:
    """Return a JSON text as its strings and the texts between them, as they are spelled."""
    pieces = []
    end = 0
    for match in _TOKEN.finditer(text):
        pieces += [text[end : match.start()], match[0]]
        end = match.end()
    return [*pieces, text[end:]]


def _is_unlocked(call: StudioCall) -> bool:
    return (
        call.is_answered
        and call.response is not None
        and b'"errorState":false' in call.response.body
    )


def _code_in(body: bytes) -> str:
    """Return the code in a response; empty if it is not a script."""
    try:
        return code_of(json.loads(body))
    except (ValueError, LookupError, TypeError):
        return ""


def _outside(content: Mapping[str, Any]) -> object:
    """Return what must not change: each member in its order, and the code without its block."""
    header = {
        name: value
        for name, value in content["header"].items()
        if name not in ("masterId", "lockInfo")
    }
    parts = split_code(code_of(dict(content)))
    plain = json.loads(json.dumps({**content, "header": header}))
    plain["properties"]["2"]["0"]["value"] = (
        (parts.before, parts.after) if parts else ""
    )
    return json.dumps(plain)


def _difference(live: Mapping[str, StudioRule], goal: Mapping[str, StudioRule]) -> str:
    names = sorted(
        each for each in live.keys() | goal.keys() if live.get(each) != goal.get(each)
    )
    return f"other rules at {', '.join(names[:4])}: {[live.get(name) for name in names[:2]]}"[
        :400
    ]


__all__ = ["SCRIPT", "Broken", "StudioOracle"]
