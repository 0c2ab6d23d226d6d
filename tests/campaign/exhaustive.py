"""Every single accident at every request of every scenario; seeded shares of pairs, random faults,
interleavings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from random import Random
from typing import Final
from zlib import crc32

from reconciler.features.practice.simulator.faults.spec import resource_of
from tests.campaign.cases import Case, Running
from tests.campaign.faults import PEOPLE
from tests.campaign.scenarios import GENERATED, SCENARIOS, is_refused, scenario

BEYOND: Final = 3
"""Requests beyond those of the run without faults: an accident causes more of them."""

_AFTER: Final = ("2", "date", "none", "0", "-1", "soon", "1000000000")
_TRANSIENT: Final = (
    *("429", *(f"429={after}" for after in _AFTER), "500", "502", "503", "504"),
    *(
        "html",
        "empty",
        "reset",
        "timeout",
        "refuse",
        "cut",
        "half",
        "drip",
        "revoke",
        "401",
    ),
    *(
        "stale=1",
        "stale=2",
        "stale=3",
        "stale=4",
        "duplicate",
        "missing",
        "shift",
        "shift=-1",
        "empty-list",
    ),
)
_DEFINITE: Final = (
    *("400", "403", "404", "405", "408", "409", "412", "413", "422", "501"),
    *(
        "shape",
        "nan",
        "deep=2000",
        "gzip=2",
        "huge=2",
        "redirect",
        "redirect=307",
        "no-id",
        "cycle",
        "other-host",
    ),
)
_LATE: Final = tuple(f"late={wait}" for wait in range(1, 7))
_ON_WRITES: Final = (
    *("500-applied", "502-applied", "503-applied", "504-applied", "409-applied"),
    *(
        "html-applied",
        "empty-applied",
        "empty-applied=204",
        "shape-applied",
        "nan-applied",
        "gzip=2-applied",
    ),
    *("reset-applied", "timeout-applied", "other"),
    *_LATE,
)
_ALTERED: Final = (
    "altered=description",
    "altered=name",
    "altered=priority",
    "altered=enabled",
)
_MEDDLING: Final = ("edit", "remove", "clone")
_OWN: Final = (
    "kill",
    "kill-applied",
    "applier",
    "applier-after",
    *PEOPLE,
    "clock=86400",
    "clock=-86400",
)
_ON_LISTS: Final = frozenset(
    {"duplicate", "missing", "shift", "shift=-1", "empty-list", "cycle", "other-host"}
    | {f"stale={changes}" for changes in range(1, 5)}
)
_TRANSIENT_ON_WRITES: Final = frozenset(
    {
        *_LATE,
        *(
            f"{name}-applied"
            for name in (
                "500",
                "502",
                "503",
                "504",
                "reset",
                "timeout",
                "html",
                "empty",
            )
        ),
    }
)
_NOT_FOR_TOKENS: Final = frozenset({"401", "html", "empty"})
"""Faults whose response to a token request means a wrong address or secret (invariants F9, F12,
F15)."""

SAMPLED: Final = frozenset(
    {
        *(
            "ten-pages",
            "page",
            "page-less-one",
            "names-and-intents-swapped",
            "names-in-a-ring",
            "file-split",
        ),
        *(
            "queues-swapped",
            "catch-all-goes",
            "ties",
            "long-names",
            "unicode-names-exchanged",
            "drift-and-manifest",
        ),
        *(
            "disabled-by-hand",
            "adopt-what-is-not-there",
            "opaque-target-beside",
            "nothing-at-all",
            "one-rule",
        ),
        *(
            "clone-edited-of-one-that-goes",
            "duplicate-of-another-version",
            "marker-in-our-own-text",
        ),
        *(
            "foreign-in-our-style",
            "unknown-fields-in-parts",
            "key-renamed-name-kept",
            "clone-switched-off",
        ),
    }
)
"""Scenarios of which only a share of the single faults is run: each has a similar one with all."""

SHARE: Final = 8
"""One in so many of those."""

OTHERS: Final = 16
"""One in so many is run on the profiles other than A and C."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the run without faults."""

    method: str
    what: str


@cache
def requests(name: str, profile: str) -> tuple[Asked, ...]:
    """Return the requests of a run without faults."""
    running = Running(Case(name, profile))
    running.inject()
    return tuple(
        Asked(event.request.method, resource_of(event.request))
        for event in running.world.events
        if event.actor == "a"
    )


def single_faults(name: str, profile: str) -> Iterator[Case]:
    """Yield every accident at every request of a scenario, and at a few further requests."""
    requested = requests(name, profile)
    for number in range(1, len(requested) + BEYOND + 1):
        at = requested[number - 1] if number <= len(requested) else Asked("", "")
        for fault in sorted({*_faults(at)}):
            if is_fit(name, profile, fault):
                yield Case(name, profile, _placed(fault, number))


def is_fit(name: str, profile: str, fault: str) -> bool:
    """Return whether a fault may be tried: manual edits may lift the reason of a guard.

    A lagging list depends on the time of day, which therefore may not go back.
    """
    return not (profile == "D" and "clock=-" in fault) and not (
        is_refused(scenario(name))
        and any(word in fault for word in ("human", "remove", "edit", "clone"))
    )


def _faults(at: Asked) -> Iterator[str]:
    """Yield the faults for such a request; for an unknown one, all faults."""
    yield from _OWN
    for fault in (*_TRANSIENT, *_DEFINITE):
        if fault not in _ON_LISTS or (
            at.what in ("rules", "queues", "rule", "") and at.method in ("GET", "")
        ):
            yield fault
    if at.method != "GET" and at.what != "token":
        yield from _ON_WRITES
    if at.method in ("POST", "PUT", "") and at.what != "token":
        yield from _ALTERED
    if at.what != "token":
        yield from _MEDDLING


def _placed(fault: str, number: int) -> str:
    """Return the fault at a request, in the notation of a case."""
    name, _, argument = fault.partition("=")
    if name in _OWN_NAMES:
        return f"{name}@#{number}" + (f"={argument}" if argument else "")
    applied = argument.endswith("-applied") or argument == "2-applied"
    if applied:  # users write `gzip=2-applied`; the grammar has the argument last
        return f":{name}-applied={argument.removesuffix('-applied')}@#{number}"
    return f":{fault}@#{number}"


_OWN_NAMES: Final = frozenset(
    item.partition("=")[0] for item in (*_OWN, "other", "other-after")
) - {"other"}
_PLACE: Final = re.compile(r"@(#[0-9]+|[0-9.]+)")


def kind(case: Case) -> str:
    """Return a case's fault without its place: `:500-applied`."""
    return (
        _PLACE.sub("", case.faults).removeprefix(":") or case.schedule.partition(":")[0]
    )


def is_transient(case: Case) -> bool:
    """Return whether a retry must help, so that the same run must succeed; for single faults."""
    name = kind(case)
    if name in _NOT_FOR_TOKENS and _place(case).what in ("token", ""):
        return False
    return (
        name in _TRANSIENT or name in _TRANSIENT_ON_WRITES or name.startswith("clock")
    )


def _place(case: Case) -> Asked:
    """Return the request of a single fault, as far as the run without faults shows."""
    number = int(case.faults.rpartition("#")[2].partition("=")[0])
    requested = requests(case.scenario, case.profile)
    return requested[number - 1] if number <= len(requested) else Asked("", "")


def all_singles(profiles: Iterable[str] = "ACDBE") -> Iterator[Case]:
    """Yield the single faults of all named scenarios; a share of those with a similar one, and on
    B, D and E.
    """
    for profile in profiles:
        for name in SCENARIOS:
            share = (1 if profile in "AC" else OTHERS) * (
                SHARE if name in SAMPLED else 1
            )
            yield from (
                fault
                for fault in single_faults(name, profile)
                if crc32(str(fault).encode()) % share == 0
            )


def doubles(seed: int) -> Iterator[Case]:
    """Yield random pairs of accidents, without end."""
    random = Random(f"{seed}/doubles")
    names = [name for name in SCENARIOS if name != "ten-pages"]
    while True:
        name = random.choice(names)
        profile = random.choice("AC")
        length = len(requests(name, profile)) + BEYOND
        places = [random.randint(1, length) for _ in range(2)]
        everywhere = sorted({*_faults(Asked("", ""))})
        faults = [_placed(random.choice(everywhere), place) for place in sorted(places)]
        if all(is_fit(name, profile, fault) for fault in faults):
            yield Case(name, profile, ",".join(faults), random.randint(1, 9))


def chances(seed: int) -> Iterator[Case]:
    """Yield generated scenarios with random faults, on every profile, without end."""
    random = Random(f"{seed}/chances")
    for number in count():
        name = f"{GENERATED}{seed * 1_000_000 + number}"
        faults = random.sample(_BY_CHANCE, random.randint(1, 4))
        rate = random.choice(["0.02", "0.05", "0.1", "0.2"])
        spec = ",".join(f":{fault}@{rate}" for fault in faults)
        profile = random.choice("ABCDE")
        if random.random() < 0.25:
            own = random.choice([item for item in _OWN if is_fit(name, profile, item)])
            spec += "," + _placed(own, random.randint(2, 25))
        case = Case(name, profile, spec, random.randint(1, 1_000_000))
        if not _needs_a_word(name):
            yield case


def _needs_a_word(name: str) -> bool:
    """Return whether a user must allow it: a copy of an older manifest that serves conversations
    requires that.
    """
    running = Running(Case(name, "C"))
    running.inject()
    return any(ended is not None and ended.exit_code == 4 for ended in running.ended)


_BY_CHANCE: Final = sorted(
    {
        *_TRANSIENT,
        *_ON_WRITES,
        "403",
        "409",
        "412",
        "422",
        "edit",
        "remove",
        "clone",
        "altered=priority",
    }
    - {"gzip=2-applied"}
)


def interleaved(name: str, profile: str) -> Iterator[Case]:
    """Yield a second applier that runs completely before and after each request of the first, for
    each manifest.
    """
    for number in range(1, len(requests(name, profile)) + 1):
        for who in ("applier", "applier-after", "other", "other-after"):
            yield Case(name, profile, f"{who}@#{number}")


def turns(seed: int) -> Iterator[Case]:
    """Yield two and three appliers that take turns at random, without end."""
    random = Random(f"{seed}/turns")
    names = [
        name
        for name in SCENARIOS
        if name != "ten-pages" and not is_refused(SCENARIOS[name])
    ]
    for number in count():
        who = random.choice(["same", "same", "other", "three"])
        case = Case(
            random.choice(names),
            random.choice("ABCDE"),
            "",
            1,
            f"{who}:{seed}-{number}",
        )
        yield (
            replace(case, faults=f":{random.choice(_BY_CHANCE)}@0.03")
            if random.random() < 0.2
            else case
        )


def fault_free() -> Iterator[Case]:
    """Yield every scenario on every profile, without faults."""
    for name in SCENARIOS:
        for profile in "ABCDE":
            yield Case(name, profile)


def interleavings() -> Iterator[Case]:
    """Yield the interleavings of all scenarios except the largest."""
    for profile in "AC":
        for name in SCENARIOS:
            if name != "ten-pages" and not is_refused(SCENARIOS[name]):
                yield from interleaved(name, profile)


def sampled(cases: Iterable[Case], share: int) -> Iterator[Case]:
    """Yield one in so many, always the same ones, and at least one of each kind and of each
    scenario.
    """
    kinds: set[str] = set()
    names: set[str] = set()
    for case in cases:
        is_new = kind(case) not in kinds or case.scenario not in names
        if is_new or crc32(f"sampled {case}".encode()) % share == 0:
            kinds.add(kind(case))
            names.add(case.scenario)
            yield case
