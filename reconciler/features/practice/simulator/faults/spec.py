"""Parses the text of `--faults` (grammar: the package's docstring), and decides when a fault
applies.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from reconciler.features.practice.simulator.api import SimulatorApi
from reconciler.features.practice.simulator.messages import SimRequest, SimResponse
from reconciler.features.practice.simulator.state import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCall:
    """A request with a fault, and the fault's argument."""

    request: SimRequest
    api: SimulatorApi
    argument: str
    random: Random
    rules_before: Callable[[int], list[JsonObject]]  # the rules so many changes ago

    def run_request(self) -> SimResponse:
        """Return the real response."""
        return self.api.handle(self.request)

    def number(self, default: float) -> float:
        """Return the argument as a number, which the spec has checked."""
        return float(self.argument) if self.argument else default

    def count(self, default: int) -> int:
        """Return the argument as an integer."""
        return int(self.number(default))


_RULE: Final = re.compile(
    r"(?:(?P<method>\*|GET|POST|PUT|DELETE)\s*)?"
    r"(?:(?P<resource>token|discovery|rules|rule|queues|script|context)\s*)?"
    r":\s*(?P<name>[a-z0-9-]+)(?:=(?P<argument>[^@\s]*))?\s*(?:@(?P<when>.+))?"
)
_CHANCE: Final = re.compile(r"0?\.[0-9]+|[01](?:\.0+)?")
_COUNTS: Final = re.compile(r"#([1-9][0-9]*)(?:(-)([1-9][0-9]*)?)?")
_WINDOW: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)s-([0-9]+(?:\.[0-9]+)?)s")

_RESOURCES: Final = {
    "token": "(oauth|auth)/token|authentication/v1/token/access-key",
    "discovery": "[.]well-known/(openid|cxone)-configuration",
    "rules": "api/v2/routing/rules",
    "rule": "api/v2/routing/rules/[^/]*",
    "queues": "api/v2/routing/queues|inContactAPI/services/[^/]*/skills|dfo/3[.]0/routing-queues",
    "script": "inContactAPI/services/[^/]*/scripts(/[^/]*)?",
    "context": "api/v2/interactions/interactions/[^/]*/context|dfo/3[.]0/contacts/[^/]*/custom-fields"
    "|inContactAPI/services/[^/]*/interactions/[^/]*/signal",
}


class FaultSpecError(ValueError):
    """An invalid SPEC. `str(error)` names the part, the reason and the possible values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule of a SPEC: requests are numbered from 1, seconds count from the first request of
    all.
    """

    text: str
    method: str
    resource: str
    name: str
    argument: str
    chance: float = 1.0
    first: float = 1
    last: float = math.inf
    since: float = 0.0
    until: float = math.inf

    def applies(self, index: int, seconds: float, random: Random) -> bool:
        """Return whether the fault applies now; draws a random number only if the other conditions
        hold.
        """
        if not self.first <= index <= self.last:
            return False
        if not self.since <= seconds < self.until:
            return False
        return self.chance >= 1 or random.random() < self.chance

    def matches(self, request: SimRequest) -> bool:
        """Return whether the request has the method and resource of the rule."""
        if self.method not in ("", "*", request.method):
            return False
        return self.resource in ("", resource_of(request))


def resource_of(request: SimRequest) -> str:
    """Return a request's RESOURCE of a SPEC, or "" for an unknown path."""
    route = request.route
    for name, pattern in _RESOURCES.items():
        if re.fullmatch(pattern, route):
            return name
    return ""


def parse_faults(spec: str) -> tuple[Fault, ...]:
    """Return the rules of a SPEC, with unchecked names. Raises FaultSpecError."""
    if not spec.strip():
        return ()
    faults = []
    for part in spec.split(","):
        text = part.strip()
        match = _RULE.fullmatch(text)
        if match is None:
            form = "[METHOD] [RESOURCE]:FAULT[=ARGUMENT][@WHEN]"
            raise FaultSpecError(f'fault "{text}": must be {form}, as in GET:500@#3')
        fields: dict[str, Any] = match.groupdict(default="")
        fields |= _parse_timing(text, fields.pop("when"))
        faults.append(Fault(text=text, **fields))
    return tuple(faults)


def _parse_timing(text: str, when: str) -> dict[str, float]:
    if not when:
        return {}
    if _CHANCE.fullmatch(when):
        return {"chance": float(when)}
    counts = _COUNTS.fullmatch(when)
    if counts:
        first, dash, last = counts.groups()
        if dash and not last:
            return {"first": int(first), "last": math.inf}
        return {"first": int(first), "last": int(last or first)}
    window = _WINDOW.fullmatch(when)
    if window:
        return {"since": float(window[1]), "until": float(window[2])}
    raise FaultSpecError(
        f'fault "{text}": @{when} must be a probability (0.1), #3, #3-5, #3- or 0s-60s'
    )
