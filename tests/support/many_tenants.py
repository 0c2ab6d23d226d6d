"""Many simulated tenants in a thread of this process, each on its own port, and their manifests."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import uvicorn

from reconciler.cli.http_server import open_listener
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.settings import PROFILES
from reconciler.features.practice.simulator.state import TenantState

App = Any
"""An ASGI application."""
Rule = dict[str, Any]
QUEUES: Final = [
    {"id": f"q-{name}", "name": name} for name in ("Cards", "Fraud", "General")
]
OWNER: Final = "acme"
GENEROUS: Final = "requestsPerSecond: 10000, namesUnique: true"
ONE_BY_ONE: Final = f"{GENEROUS}, concurrency: 1"


class Tenants:
    """The tenants by name: their states, ports, and applications (`apps`, which may be
    replaced).
    """

    def __init__(self, ports: dict[str, int]) -> None:
        self.urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        self.states = {name: TenantState(QUEUES) for name in ports}
        self.apps: dict[str, App] = {
            name: Simulator(state, PROFILES["A"]) for name, state in self.states.items()
        }
        self._names = {port: name for name, port in ports.items()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let the port's tenant respond."""
        await self.apps[self._names[scope["server"][1]]](scope, receive, send)

    def rules(self, name: str) -> list[Rule]:
        """Return a tenant's rules."""
        return self.states[name].rules()

    def names_of_rules(self, name: str) -> list[str]:
        """Return their names, sorted."""
        return sorted(rule["name"] for rule in self.rules(name))

    def writes(self, name: str) -> int:
        """Return the number of writes that the tenant received."""
        requests = self.states[name].requests
        return sum(
            request.method != "GET" and not request.path.endswith("/token")
            for request in requests
        )

    def manifests(self, api: str = GENEROUS, **more: str) -> None:
        """Write an Environment for each tenant; `more` has further YAML for the one with that
        name.
        """
        folder = Path("manifests")
        folder.mkdir(exist_ok=True)
        documents = [
            environment(name, url, more.get(name.replace("-", "_"), ""), api=api)
            for name, url in self.urls.items()
        ]
        (folder / "environments.yaml").write_text(
            "---\n".join(documents), encoding="utf-8"
        )


def environment(
    name: str, url: str, more: str = "", owner: str = OWNER, api: str = GENEROUS
) -> str:
    """Return an Environment in YAML."""
    head = f"apiVersion: routing/v1\nkind: Environment\nname: {name}\nowner: {owner}\n"
    return f"{head}api: {{baseUrl: '{url}', {api}}}\n{more}\n"


def ruleset(rules: Iterable[Rule]) -> None:
    """Write a RuleSet for every environment."""
    lines = ["apiVersion: routing/v1", "kind: RuleSet", "name: cards", "rules:"]
    lines += [f"  - {json.dumps(rule)}" for rule in rules]
    Path("manifests/cards.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def rule(key: str, queue: str = "Cards", **more: Any) -> Rule:
    """Return a rule for one intent in a manifest's form."""
    return {
        "key": key,
        "intent": key,
        "queue": queue,
        "priority": 10,
        "name": key,
        **more,
    }


@contextmanager
def tenants(*names: str) -> Iterator[Tenants]:
    """Serve empty tenants of these names until the end of the block."""
    with ExitStack() as stack:
        listeners = {
            name: stack.enter_context(open_listener("127.0.0.1", 0)) for name in names
        }
        here = Tenants(
            {name: listener.getsockname()[1] for name, listener in listeners.items()}
        )
        config = uvicorn.Config(here, log_level="critical", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        ready = threading.Event()

        async def serve() -> None:
            asyncio.get_running_loop().call_soon(ready.set)
            await server.serve(sockets=list(listeners.values()))

        thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
        thread.start()
        try:
            assert ready.wait(10)
            yield here
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
