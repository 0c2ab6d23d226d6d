"""Each file and stream that a command writes, while the rules contain a secret: it is hidden, or
nothing is written.

The fixtures search all output, and every file of the test's folder, for the secret in any encoding.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from reconciler.cli.files import write_text
from reconciler.core.text.redact import PLACEHOLDER
from tests.support import canary_secrets as canary
from tests.support.loopback_server import loopback_server
from tests.support.many_tenants import Tenants, rule, ruleset, tenants
from tests.support.program import Program, write
from tests.support.watch_process import watch_setup, webhook_server

SHOWN: Final = f"see {canary.SECRET}."
PLAIN: Final = "harbour-4711-pelican"
"""A secret that a label can have: a label is in the pages of a plan, and not in its JSON."""
ATTRIBUTES: Final = f"""\
apiVersion: routing/v1
kind: Attributes
name: bank
attributes:
  tier: {{label: see {PLAIN}, values: {{gold: Gold}}}}
"""
GIVEN: Final = (
    f"{{intent: lost, confidence: 0.9, attributes: {{note: {json.dumps(SHOWN)}}}}}"
)
TESTS: Final = f"""\
apiVersion: routing/v1
kind: RouteTests
name: tests
tests:
- {{given: {GIVEN}, expect: {{queue: Cards}}}}
"""
SECRET_RULE: Final = rule(
    "lost", name=SHOWN, description=SHOWN, when=[{"attribute": "note", "equals": SHOWN}]
)
LABEL_RULE: Final = rule("lost", when=[{"attribute": "tier", "equals": "gold"}])
EARLIER: Final = rule("lost", "Fraud")


class Sink(NamedTuple):
    """A command, the file that it writes (empty: a stream), and the place of the secret."""

    command: tuple[str, ...]
    file: str = ""
    place: str = "rule"


APPLY: Final = ("apply", "-e", "prod", "--yes", "--allow", "unrouted")
EXPLAIN: Final = (
    "explain",
    "-e",
    "prod",
    "--intent",
    "lost",
    "--attr",
    f"note={SHOWN}",
)
APPLIED: Final = {
    "journal": Sink((*APPLY, "--reason", SHOWN), ".cxroute/journal.jsonl"),
    "output of apply": Sink((*APPLY, "--reason", SHOWN)),
    "output of apply in JSON": Sink((*APPLY, "--reason", SHOWN, "--format", "json")),
}
HIDDEN: Final = {
    "plan": Sink(("plan", "-e", "prod")),
    "plan, in full": Sink(("-v", "plan", "-e", "prod")),
    "plan in JSON": Sink(("plan", "-e", "prod", "--format", "json")),
    "plan in Markdown": Sink(("plan", "-e", "prod", "--format", "markdown")),
    "plan in HTML": Sink(("plan", "-e", "prod", "--format", "html")),
    "plan for a workflow's log": Sink(("plan", "-e", "prod", "--format", "github")),
    "plan.md": Sink(("plan", "-e", "prod", "--report", "out"), "out/plan.md", "label"),
    "plan.html": Sink(
        ("plan", "-e", "prod", "--report", "out"), "out/plan.html", "label"
    ),
    "explore.html of a plan": Sink(
        ("plan", "-e", "prod", "--report", "out"), "out/explore.html", "label"
    ),
    "drift": Sink(("drift", "-e", "prod")),
    "drift in JSON": Sink(("drift", "-e", "prod", "--format", "json")),
    "drift in Markdown": Sink(("drift", "-e", "prod", "--format", "markdown")),
    "drift for a workflow's log": Sink(("drift", "-e", "prod", "--format", "github")),
    "drift.json": Sink(("drift", "-e", "prod", "--report", "out"), "out/drift.json"),
    "drift.md": Sink(("drift", "-e", "prod", "--report", "out"), "out/drift.md"),
    "explore": Sink(("explore", "-e", "prod", "--out", "page.html"), "page.html"),
    "table": Sink(("table", "-e", "prod")),
    "table in HTML": Sink(("table", "-e", "prod", "--format", "html")),
    "explain": Sink(EXPLAIN),
    "explain in JSON": Sink((*EXPLAIN, "--format", "json")),
    "diff": Sink(("diff", "manifests:prod", "live:prod")),
    "diff in JSON": Sink(("diff", "manifests:prod", "live:prod", "--format", "json")),
    "route tests": Sink(("-v", "test"), "", "test"),
    "route tests in JSON": Sink(("test", "--format", "json"), "", "test"),
    "JUnit": Sink(("test", "--junit", "junit.xml"), "junit.xml", "test"),
    "findings": Sink(("validate",), "", "finding"),
    "findings in JSON": Sink(("validate", "--format", "json"), "", "finding"),
    "SARIF": Sink(("validate", "--format", "sarif"), "", "finding"),
    "Code Quality": Sink(("validate", "--format", "gitlab"), "", "finding"),
    "annotations": Sink(("validate", "--format", "github"), "", "finding"),
    "job summary": Sink(("validate", "--format", "github"), "summary.md", "finding"),
}
REFUSED: Final = {
    "saved plan": Sink(("plan", "-e", "prod", "--out", "plan.json"), "plan.json"),
    "plan.json": Sink(("plan", "-e", "prod", "--report", "out"), "out/plan.json"),
    "table as CSV": Sink(("table", "-e", "prod", "--out", "table.csv"), "table.csv"),
    "table as a workbook": Sink(
        ("table", "-e", "prod", "--out", "table.xlsx"), "table.xlsx"
    ),
    "table as a page": Sink(
        ("table", "-e", "prod", "--out", "table.html"), "table.html"
    ),
    "generated route tests": Sink(
        ("test", "--adequacy", "--write", "manifests/more.yaml"), "manifests/more.yaml"
    ),
}


@pytest.fixture
def prod(access: None, cxroute: Program) -> Iterator[Tenants]:
    """Yield a tenant with an earlier rule."""
    del access
    with tenants("prod") as here:
        here.manifests()
        ruleset([EARLIER])
        assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
        yield here


def plant(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write manifests with the secret at a place."""
    for name in ("cards", "attributes", "tests"):
        canary.mark_as_secret(Path(f"manifests/{name}.yaml"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    ruleset([{"label": LABEL_RULE, "test": EARLIER}.get(place, SECRET_RULE)])
    if place == "label":
        monkeypatch.setenv("CXONE_CLIENT_SECRET", PLAIN)
        write("attributes.yaml", ATTRIBUTES)
    if place == "test":
        write("tests.yaml", TESTS)
    if place == "finding":
        ruleset([{**SECRET_RULE, "queue": SHOWN, SHOWN: 7}])


def assert_hidden(name: str, sink: Sink, cxroute: Program) -> None:
    """Run the command of a sink; assert that it writes the placeholder and no secret, and that a
    document is valid.
    """
    assert cxroute(*sink.command) in (0, 2, 3, 4), f"{name}: {cxroute.err}"
    text = Path(sink.file).read_text("utf-8") if sink.file else cxroute.out
    assert not canary.find_leaks(text), name
    assert PLAIN not in text, name
    readable = text.replace("\\[", "[").replace("\\]", "]").replace("&#91;", "[")
    assert PLACEHOLDER in readable, f"{name}: {text}"
    if "JSON" in name or name.endswith(".json"):
        json.loads(text)


@pytest.mark.parametrize("place", ["rule", "label", "test", "finding"])
def test_a_secret_is_hidden_in_each_output(
    place: str, prod: Tenants, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The placeholder stands where it was; documents stay valid."""
    del prod
    plant(place, monkeypatch)
    sinks = {name: sink for name, sink in HIDDEN.items() if sink.place == place}
    assert sinks
    for name, sink in sinks.items():
        assert_hidden(name, sink, cxroute)


@pytest.mark.parametrize("name", APPLIED)
def test_a_secret_of_an_applied_rule_is_hidden_in(
    name: str, prod: Tenants, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each output of `apply`, and the journal."""
    del prod
    plant("rule", monkeypatch)
    assert_hidden(name, APPLIED[name], cxroute)


def test_a_file_that_is_read_again_is_refused(
    prod: Tenants, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the secret it would say something else: nothing is written, and the message has the
    remedy.
    """
    del prod
    plant("rule", monkeypatch)
    for name, sink in REFUSED.items():
        assert 4 == cxroute(*sink.command), f"{name}: {cxroute.out}{cxroute.err}"
        message = " ".join(cxroute.err.split())
        assert f"{Path(sink.file).name} was not written: " in message, name
        assert "a secret of this run" in message, name
        assert "and replace it with a new one" in message, name
        assert not Path(sink.file).exists(), name


def test_a_file_of_other_bytes_is_written(elsewhere: Path) -> None:
    """Bytes that are not a text, and an archive without a secret, are written as they are."""
    for data in (b"\xff\xfe\x00", b"PK\x03\x04 no archive", b""):
        write_text(elsewhere / "data", data)
        assert data == (elsewhere / "data").read_bytes()


@pytest.mark.parametrize(
    "options", [(), ("--format", "json"), ("RUN",), ("RUN", "--format", "json")]
)
def test_a_secret_in_an_old_journal_is_hidden_in_the_history(
    elsewhere: Path, cxroute: Program, options: tuple[str, ...]
) -> None:
    """An earlier version, or another program, wrote the journal."""
    path = canary.mark_as_secret(elsewhere / "journal.jsonl")
    common = {"run": "2026-11-25T120000-prod-a1b2", "at": "2026-11-25T12:00:00Z"}
    start = {
        "event": "start",
        "environment": "prod",
        "owner": "acme",
        "tenant": "",
        "who": SHOWN,
        "reason": SHOWN,
    }
    end = {"event": "end", "error": SHOWN, "converged": False, "interrupted": False}
    path.write_text(
        "".join(f"{json.dumps({**common, **entry})}\n" for entry in (start, end)),
        "utf-8",
    )
    words = [common["run"] if word == "RUN" else word for word in options]
    assert 0 == cxroute("history", "--journal", str(path), *words), cxroute.err
    assert PLACEHOLDER in cxroute.out


class EchoingTenant:
    """A tenant that repeats the secret in each answer, but signs a client in."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        is_login = scope["path"].endswith("/token")
        form = (
            {"access_token": canary.TOKEN, "expires_in": 3600}
            if is_login
            else {"message": SHOWN}
        )
        await receive()
        await send(
            {
                "type": "http.response.start",
                "status": 200 if is_login else 400,
                "headers": [],
            }
        )
        await send({"type": "http.response.body", "body": json.dumps(form).encode()})


def test_a_secret_of_an_error_is_hidden_in_a_notification(
    prod: Tenants, cxroute: Program
) -> None:
    """Of an apply that fails with an error of the tenant, which repeats the secret."""
    with webhook_server() as hook:
        prod.manifests(prod=f"notify: {{url: '{hook.url}/hook'}}")
        prod.apps["prod"] = EchoingTenant()
        assert 1 == cxroute("apply", "-e", "prod", "--yes"), cxroute.out
        (body,) = hook.bodies
    assert PLACEHOLDER in body["text"]
    assert [] == canary.find_leaks(json.dumps(body))


@pytest.mark.parametrize("log", ["text", "json"])
def test_a_secret_of_a_rule_is_hidden_by_watch(
    elsewhere: Path, access: None, cxroute: Program, log: str
) -> None:
    """A user pastes it into the name of a rule that is in the way: log, output, metrics and
    notification.
    """
    del access
    with watch_setup(elsewhere) as here:
        here.serve_tenant()
        here.write("billing")
        assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
        here.hook.bodies.clear()
        here.somebody().add(SHOWN)
        loop = here.watch("--log-format", log)
        here.hook.wait_for(1)
        metrics = loop.get("/metrics").text
        code, out = loop.end()
        texts = [metrics, out, loop.log(), json.dumps(here.hook.bodies)]
    assert code == 0
    assert "cxroute_rules_in_the_way 1\n" in metrics
    assert PLACEHOLDER in texts[3]
    assert [] == [leak for text in texts for leak in canary.find_leaks(text)]


def test_a_secret_of_an_error_is_hidden_by_watch(elsewhere: Path, access: None) -> None:
    """The tenant repeats it in each error: log, output, metrics and notification."""
    del access
    with watch_setup(elsewhere) as here, loopback_server() as server:
        server.app = EchoingTenant()
        here.url = server.url
        here.write("billing")
        loop = here.watch()
        here.hook.wait_for(1)
        metrics = loop.get("/metrics").text
        code, out = loop.end()
        texts = [metrics, out, loop.log(), json.dumps(here.hook.bodies)]
    assert code == 0
    assert PLACEHOLDER in texts[2]
    assert PLACEHOLDER in texts[3]
    assert [] == [leak for text in texts for leak in canary.find_leaks(text)]
