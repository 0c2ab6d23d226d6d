"""Manual requests of an applier, to show an oracle right and wrong histories."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx

from reconciler.core.model.rule import Address
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from tests.campaign.oracle import Oracle
from tests.campaign.oracle_facts import as_json
from tests.campaign.oracle_marks import signed
from tests.campaign.world import (
    SECRET,
    Applier,
    ApplierResult,
    ObservedTenant,
    ObservedTransport,
)

if TYPE_CHECKING:
    from tests.campaign.scenario import Scenario

Json = dict[str, Any]
RULES = "/api/v2/routing/rules"


class Hand:
    """One run of an applier, request by request, in a world that an oracle watches."""

    def __init__(
        self, scenario: Scenario, profile: str = "C", faults: str = ""
    ) -> None:
        self.scenario = scenario
        self.world = ObservedTenant(scenario, profile, 1)
        self.oracle = Oracle(self.world, scenario)
        self.world.faults = FaultInjector(faults) if faults else None
        self.token = ""
        self.again()

    def again(self, name: str = "a") -> Hand:
        """Begin another run; with another name, of another applier while the first one runs."""
        self.applier = Applier(
            self.world,
            self.scenario.wish,
            self.scenario.environment,
            name,
            self.scenario.options,
        )
        self.world.appliers[name] = self.applier
        self.line = ObservedTransport(self.world, name)
        return self

    def ask(
        self, method: str, path: str, body: Json | None = None, **headers: str
    ) -> httpx.Response | None:
        """Send a request; return None without a response."""
        content = None if body is None else json.dumps(body).encode()
        requests_sent = {
            "authorization": f"Bearer {self.token}",
            "content-type": "application/json",
            **headers,
        }
        request = httpx.Request(
            method, f"http://localhost{path}", headers=requests_sent, content=content
        )
        try:
            answer = asyncio.run(self._read(request))
        except httpx.TransportError:
            return None
        return answer

    async def _read(self, request: httpx.Request) -> httpx.Response:
        answer = await self.line.handle_async_request(request)
        await answer.aread()
        return answer

    def sign_in(self) -> Hand:
        """Get a token."""
        form = f"grant_type=client_credentials&client_id=id&client_secret={SECRET}"
        request = httpx.Request(
            "POST",
            "http://localhost/oauth/token",
            content=form.replace("+", "%2B").encode(),
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        self.token = asyncio.run(self._read(request)).json()["access_token"]
        return self

    def list(self, size: int = 5) -> Hand:
        """Read every rule."""
        total = 1
        number = 1
        while (number - 1) * size < total:
            answer = self.ask("GET", f"{RULES}?pageNumber={number}&pageSize={size}")
            assert answer is not None
            total = answer.json()["total"]
            number = number + 1
        return self

    def start(self) -> Hand:
        """Do the first steps of each run: a token, the rules, the queues, the rules again."""
        self.sign_in().list()
        self.ask("GET", "/api/v2/routing/queues?pageNumber=1&pageSize=5")
        return self.list()

    def get(self, rule_id: str) -> Hand:
        """Read one rule."""
        self.ask("GET", f"{RULES}/{rule_id}")
        return self

    def post(self, body: Json) -> Hand:
        """Create a rule."""
        self.ask("POST", RULES, body)
        return self

    def put(self, rule_id: str, body: Json, **headers: str) -> Hand:
        """Replace a rule."""
        self.ask("PUT", f"{RULES}/{rule_id}", body, **headers)
        return self

    def delete(self, rule_id: str) -> Hand:
        """Delete a rule."""
        self.ask("DELETE", f"{RULES}/{rule_id}")
        return self

    def wished(self, address: str, kept: Json | None = None, **other: Any) -> Json:
        """Return the rule to write at an address, with the existing rule `kept`; `other` are wrong
        fields.
        """
        wished = as_json(
            self.scenario.wish.rules[Address(*address.split("/"))].rule, ""
        )
        text = signed(wished, self.scenario.wish.owner, address)
        form = {**(kept or {}), **wished, "description": text, **other}
        return {key: value for key, value in form.items() if key != "id"}

    def rule(self, rule_id: str) -> Json:
        """Return a rule as the server stores it."""
        return self.world.state.stored_rules[rule_id]

    def end(self, code: int = 0, **more: Any) -> Hand:
        """End the run."""
        self.oracle.ended(self.applier, ApplierResult(code, **more))
        return self

    def broken(self) -> set[str]:
        """Return the promises that the oracle found broken."""
        return {violation.invariant for violation in self.oracle.violations}
