"""`cxroute doctor --endpoint` on a running decision service: key, table, decisions, latency."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cases import each_case
from tests.support.program import Program, write
from tests.support.server_process import KEY, server_process
from tests.support.threaded_server import HttpReply, threaded_server

MANIFESTS = """\
apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
api: {rules: served, served: {url: "https://routing.acme.example", keyEnv: ACME_KEY}}
attributes: {intent: intent, confidence: confidence}
context: {minConfidence: %s, below: {intent: none}}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {intent: lost, queue: %s, priority: 10}
  - {key: split, intent: fee, targets: [{queue: A, weight: 1}, {queue: B, weight: 1}], priority: 20}
---
apiVersion: routing/v1
kind: Intents
name: bot
intents: [lost, fee, card, none]
---
apiVersion: routing/v1
kind: RouteTests
name: cards
tests:
  - {given: {intent: lost, confidence: 0.9}, expect: {queue: %s}}
  - {given: {intent: fee, confidence: 0.9, attributes: {tier: gold}}, expect: {split: {A: 50, B: 50}}}
  - {given: {intent: card}, expect: {default: true}}
  - {given: {context: {intent: lost, confidence: 0.1}}, expect: {queue: %s}}
"""
ADMIN = "key-of-the-publisher"


def manifests(queue: str = "Fraud", least: float = 0.4) -> None:
    write("all.yaml", MANIFESTS % (least, queue, queue, queue))


@pytest.fixture
def url(cxroute: Program, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a service that has the table of the manifests, and needs keys."""
    manifests()
    assert cxroute("apply", "-e", "sandbox", "--yes") == 0, cxroute.out + cxroute.err
    monkeypatch.setenv("ACME_KEY", ADMIN)
    monkeypatch.setenv("CXROUTE_API_KEYS", f"{KEY},another")
    keys = {"CXROUTE_ADMIN_KEYS": ADMIN}
    words = ("serve", "-e", "sandbox", "--decide", "--port", "0")
    with server_process(Path.cwd(), *words, variables=keys) as (_, address):
        yield address


def checks(program: Program, address: str) -> dict[str, Any]:
    """Return the checks of the service by name, those of the target left out."""
    code, form = program.json("doctor", "-e", "sandbox", "--endpoint", address)
    assert (code == 0) == form["ok"], program.err
    assert ADMIN not in program.out + program.err
    assert KEY not in program.out + program.err
    return {check["name"]: check for check in form["checks"]}


def test_a_service_with_the_table_of_the_manifests(cxroute: Program, url: str) -> None:
    """Its key, its table, each route test that states an event, and the latency are good."""
    found = checks(cxroute, url)
    names = ("service key", "table", "decisions", "latency")
    assert [found[name]["status"] for name in names] == ["ok"] * 4, found
    assert "that of the manifests: 2 rules, digest " in found["table"]["message"]
    decisions = "3 route tests as by the manifests; 1 not tried"
    assert found["decisions"]["message"] == decisions
    assert "the median of 3 decisions" in found["latency"]["message"]


def test_what_differs_from_the_manifests_fails(cxroute: Program, url: str) -> None:
    """Another queue: the table and the decision. Another fallback: the table."""
    manifests(queue="Billing")
    found = checks(cxroute, url)
    assert found["table"]["status"] == "fail"
    assert "`cxroute plan -e sandbox`" in found["table"]["advice"]
    assert "1 of 3 route tests" in found["decisions"]["message"]
    assert found["decisions"]["message"].endswith(": cards 1")
    manifests(least=0.5)
    found = checks(cxroute, url)
    assert "is not that of the manifests" in found["table"]["message"]


def test_missing_and_wrong_keys(
    cxroute: Program, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key for decisions they are not tried; a refused key names its variable."""
    monkeypatch.setenv("CXROUTE_API_KEYS", "wrong-key")
    found = checks(cxroute, url)
    assert "first key of CXROUTE_API_KEYS" in found["decisions"]["message"]
    assert "latency" not in found
    monkeypatch.delenv("CXROUTE_API_KEYS")
    found = checks(cxroute, url)
    assert found["decisions"]["status"] == "warn"
    assert "not tried: CXROUTE_API_KEYS is not set" in found["decisions"]["message"]
    monkeypatch.setenv("ACME_KEY", KEY)
    found = checks(cxroute, url)
    assert "refuses the key of ACME_KEY (status 401" in found["service key"]["message"]
    assert "table" not in found


@each_case(
    "reply, name, said",
    [
        (
            HttpReply(200, {}),
            "table",
            "the response has no valid table: endpoint: field required",
        ),
        (HttpReply(200, b"<html>"), "table", "must be a JSON object"),
        (HttpReply(200, b"[" * 100_000), "table", "must be a JSON object"),
        (HttpReply(500, {"error": "a\x1b[31m"}), "table", "status 500"),
        (HttpReply(404, {}), "table", "it has no table (status 404)"),
        (
            HttpReply(200, b"cut", {"Content-Length": "9"}),
            "endpoint",
            "there is no usable response",
        ),
    ],
)
def test_another_server_at_the_address_fails(
    cxroute: Program, reply: HttpReply, name: str, said: str
) -> None:
    """With what is wrong, in safe words."""
    manifests()
    with threaded_server(lambda _request: reply) as address:
        found = checks(cxroute, address)
    assert found[name]["status"] == "fail"
    assert said in found[name]["message"]
    assert "\x1b" not in str(found)


def test_a_key_is_not_sent_to_a_host_that_is_not_allowed(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the variable that allows it."""
    manifests()
    monkeypatch.setenv("ACME_KEY", ADMIN)
    found = checks(cxroute, "https://routing.evil.example")
    assert "CXROUTE_HOSTS=routing.evil.example" in found["endpoint"]["message"]
