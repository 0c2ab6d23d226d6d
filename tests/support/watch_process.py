"""The loop as a real process: a simulated tenant, another user of it, and a webhook."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import TenantState
from tests.support import canary_secrets as canary
from tests.support.loopback_server import LoopbackServer, loopback_server
from tests.support.plain_http import PLAIN
from tests.support.server_process import server_process
from tests.support.simulated import QUEUES, RULES

PATIENCE = 20
ENVIRONMENT = """
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
api: {{baseUrl: "{url}", requestsPerSecond: 2000}}
notify: {{url: "{hook}"}}
{more}
"""
RULESET = """
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
"""


@dataclass
class WebhookServer:
    """A webhook: its messages, and the statuses of its first responses, before 200."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """Further headers of each response."""

    @property
    def texts(self) -> list[str]:
        """Return the texts of all received messages, in order."""
        return [body["text"] for body in self.bodies]

    @property
    def heads(self) -> list[str]:
        """Return their first lines."""
        return [text.partition("\n")[0] for text in self.texts]

    def wait_for(self, count: int) -> list[str]:
        """Return them when there are so many: a round is counted before its notification."""
        while len(self.bodies) < count:
            time.sleep(0.01)
        return self.heads


@contextmanager
def webhook_server() -> Iterator[WebhookServer]:
    """Receive messages on a real socket, in a thread of this process."""
    here = WebhookServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            here.asked.append(f"{self.path} {self.headers['Content-Type']}")
            status = here.refusals.pop(0) if here.refusals else 200
            if status == 200:
                here.bodies.append(json.loads(body))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{here.url}/elsewhere")
            for name, value in here.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        here.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        thread.start()
        try:
            yield here
        finally:
            server.shutdown()
            thread.join()


@dataclass
class TenantUser:
    """Another user of the tenant."""

    url: str
    http: httpx.Client

    def rules(self) -> dict[str, dict[str, Any]]:
        """Return the live rules by name."""
        entities = self.http.get(RULES, params={"pageSize": 1000}).json()["entities"]
        return {entity["name"].rpartition(" ")[2]: entity for entity in entities}

    def edit(self, name: str, **fields: Any) -> None:
        """Change a rule."""
        rule = self.rules()[name]
        assert (
            200
            == self.http.put(
                f"{RULES}/{rule['id']}", json={**rule, **fields}
            ).status_code
        )

    def add(self, name: str, **fields: Any) -> None:
        """Create a manual rule: before all others, without conditions, with the given changes."""
        rule = {
            "name": name,
            "description": "",
            "priority": 0,
            "enabled": True,
            "conditions": [],
            **fields,
        }
        rule.setdefault("targets", [{"type": "queue", "queueId": "q2", "weight": 1}])
        assert self.http.post(RULES, json=rule).status_code in (200, 201)

    def delete(self, name: str) -> None:
        """Delete a rule."""
        assert self.http.delete(f"{RULES}/{self.rules()[name]['id']}").status_code in (
            200,
            204,
        )


@contextmanager
def tenant_user(url: str) -> Iterator[TenantUser]:
    """Sign in to a tenant."""
    form = {
        "grant_type": "client_credentials",
        "client_id": canary.CLIENT,
        "client_secret": canary.SECRET,
    }
    with httpx.Client(
        base_url=url, trust_env=False, verify=PLAIN, timeout=PATIENCE
    ) as http:
        http.headers["Authorization"] = (
            f"Bearer {http.post('/oauth/token', data=form).json()['access_token']}"
        )
        yield TenantUser(url, http)


@dataclass
class WatchSetup:
    """A tenant, its manifests, and a webhook."""

    folder: Path
    stack: ExitStack
    hook: WebhookServer
    url: str = "http://127.0.0.1:9"
    server: LoopbackServer = field(init=False)

    def serve_tenant(self, **settings: Any) -> None:
        """Serve a tenant in a thread of this process."""
        self.server = self.stack.enter_context(loopback_server())
        settled = SimulatorSettings(etags=True, **settings)
        self.server.app = Simulator(TenantState(QUEUES), settled)
        self.url = self.server.url

    @contextmanager
    def tenant_as_process(self, port: str) -> Iterator[None]:
        """Run the tenant as a process that keeps its state; it is killed at the end of the
        block.
        """
        self.write("billing")
        with server_process(
            self.folder, "simulate", "--port", port, "--state", "state.json"
        ) as (_, self.url):
            self.write("billing")
            yield

    def write(self, *intents: str, more: str = "", hook: str = "") -> None:
        """Write the manifests: a rule for each intent."""
        folder = self.folder / "manifests"
        folder.mkdir(exist_ok=True)
        environment = ENVIRONMENT.format(
            url=self.url, hook=hook or f"{self.hook.url}/hook", more=more
        )
        rules = "".join(
            f"- {{intent: {intent}, queue: Billing}}\n" for intent in intents
        )
        (folder / "prod.yaml").write_text(environment, "utf-8")
        (folder / "cards.yaml").write_text(
            RULESET + rules if rules else RULESET[:-1] + " []\n", "utf-8"
        )

    def watch(self, *arguments: str) -> WatchProcess:
        """Start the loop; its first round has ended when this returns."""
        return self.start(*arguments).wait_for_count(1)

    def start(self, *arguments: str) -> WatchProcess:
        """Start the loop."""
        command = (
            "watch",
            "-e",
            "prod",
            "--every",
            "1h",
            "--listen",
            "127.0.0.1:0",
            *arguments,
        )
        return WatchProcess(
            self.folder,
            *self.stack.enter_context(server_process(self.folder, *command)),
        )

    def somebody(self) -> TenantUser:
        """Return another user of the tenant."""
        return self.stack.enter_context(tenant_user(self.url))


@dataclass
class WatchProcess:
    """A running loop."""

    folder: Path
    process: subprocess.Popen[str]
    url: str

    def get(self, path: str) -> httpx.Response:
        """Request a path from it."""
        return httpx.get(
            f"{self.url}{path}", trust_env=False, verify=PLAIN, timeout=PATIENCE
        )

    def metrics(self) -> dict[str, float]:
        """Return its metrics, without the common prefix of the names."""
        actual = re.findall(
            r"^cxroute_(\S+) (\S+)$", self.get("/metrics").text, re.MULTILINE
        )
        return {name: float(value) for name, value in actual}

    def wait_for_count(
        self, count: float, of: str = "round_seconds_count"
    ) -> WatchProcess:
        """Wait until so many rounds have ended, or until another counter has this value."""
        while self.metrics()[of] < count:
            assert self.process.poll() is None, self.log()
            time.sleep(0.02)
        return self

    def trigger_round(self) -> dict[str, float]:
        """Start a round immediately; return its metrics."""
        before = self.metrics()["round_seconds_count"]
        self.process.send_signal(signal.SIGHUP)
        return self.wait_for_count(before + 1).metrics()

    def end(self, patience: float = PATIENCE) -> tuple[int, str]:
        """End it; return its exit code, and its output after the first line."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=patience)
        return self.process.returncode, out

    def log(self) -> str:
        """Return its log so far."""
        return (self.folder / "watch.log").read_text("utf-8")


@contextmanager
def watch_setup(folder: Path) -> Iterator[WatchSetup]:
    """Return a set-up without a tenant."""
    with webhook_server() as hook, ExitStack() as stack:
        yield WatchSetup(folder, stack, hook)
