"""The writers as users see them: the real processes, the output of `validate` and `doctor`, and the
log's advice.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.features.endpoint.command import Advice
from tests.features.endpoint.in_process_endpoint import event
from tests.features.endpoint.processes import MANIFEST, caller, contexts, log, served
from tests.support.program import Program, write
from tests.support.server_process import server_process


def manifest(writer: str, more: str = "") -> str:
    """Return manifests whose endpoint uses this writer."""
    return MANIFEST.replace("context: {{", f"{more}context: {{{{writer: {writer}, ")


def test_undefined_fields_are_logged_once(tmp_path: Path) -> None:
    """502 with the endpoint's own text to the caller, the outcome in the metrics, the operator's
    action in the log.
    """
    with (
        served(tmp_path, manifest=manifest("digital-custom-fields")) as (_, url),
        caller(url) as http,
    ):
        actual = [
            http.post("/api/route", json=event(conversationId=f"c-{item}"))
            for item in range(3)
        ]
        skipped = http.post("/api/route", json=event(conversationId="100000000000"))
        metrics = http.get("/metrics").text
    output = "the tenant does not know the custom fields; the endpoint's log shows how to define them"
    assert [(502, output)] * 3 == [
        (item.status_code, item.json()["error"]) for item in actual
    ]
    assert (200, "test-chat") == (skipped.status_code, skipped.json()["skipped"])
    assert (
        'cxroute_requests_total{status="502",outcome="undefined_fields"} 3' in metrics
    )
    assert 'cxroute_requests_total{status="200",outcome="skipped"} 1' in metrics
    (advice,) = [line["advice"] for line in log(tmp_path) if line["event"] == "advice"]
    assert (
        "cognigyDetectedIntent, cognigyConfidence, routedAt: an administrator defines them"
        in advice
    )
    assert {} == contexts(tmp_path)


def test_a_signal_with_a_lost_response_is_not_sent_again(tmp_path: Path) -> None:
    """The same event gets the same response; a newer one is sent.

    The script has the values, by its parameters.
    """
    text = manifest("voice-signal, signal: {{intent: 2, confidence: 4, updatedAt: 1}}")
    faults = ("--faults", "context:reset-applied@#1")
    with served(tmp_path, *faults, manifest=text) as (_, url), caller(url) as http:
        lost = [http.post("/api/route", json=event()) for _ in range(2)]
        newer = http.post(
            "/api/route",
            json=event(confidence=None, timestamp="2026-02-01T11:00:00+01:00"),
        )
        metrics = http.get("/metrics").text
    assert [502, 502, 200] == [item.status_code for item in (*lost, newer)]
    assert lost[0].content == lost[1].content
    assert "cxroute_upstream_requests_total 3" in metrics  # a token, and two signals
    assert "cxroute_upstream_retries_total 0" in metrics
    expected = {"p1": "2026-02-01T11:00:00+01:00", "p2": "none", "p4": ""}
    assert {"c-1": expected} == contexts(tmp_path)


def test_the_sandbox_has_the_fields_of_its_environment(tmp_path: Path) -> None:
    """A writer can be tried without a tenant."""
    (tmp_path / "manifests").mkdir()
    text = (
        manifest("digital-custom-fields")
        .format(url="")
        .replace("name: prod", "name: sandbox")
    )
    text = "\n".join(line for line in text.splitlines() if not line.startswith("api:"))
    (tmp_path / "manifests" / "all.yaml").write_text(text, encoding="utf-8")
    with (
        server_process(tmp_path, "serve", "-e", "sandbox", "--port", "0") as (_, url),
        caller(url) as http,
    ):
        assert 200 == http.post("/api/route", json=event()).status_code
    expected = {
        "cognigyDetectedIntent": "billing",
        "cognigyConfidence": "0.9",
        "routedAt": event()["timestamp"],
    }
    assert {"c-1": expected} == contexts(tmp_path, ".cxroute/sandbox.json")


IDENTS = [
    ("bot intent", True),
    ("Absicht-Größe", True),
    ("x" * 65, True),
    ("bot.intent_1-a", False),
]


@pytest.mark.parametrize(
    ("name", "found"), IDENTS, ids=["space", "umlaut", "long", "fine"]
)
def test_suspicious_idents_are_reported_offline(
    cxroute: Program, name: str, *, found: bool
) -> None:
    """At their position; other writers have free names of attributes."""
    for writer, expected in (
        ("digital-custom-fields", found),
        ("voice-signal", False),
        ("interaction", False),
    ):
        write(
            "all.yaml",
            manifest(writer, f"attributes: {{{{intent: '{name}'}}}}\n").format(
                url="http://127.0.0.1:9"
            ),
        )
        code, text = cxroute.json("validate", "-e", "prod")
        places = [
            item["source"]["line"]
            for item in text["findings"]
            if item["code"] == "CXR211"
        ]
        assert (0, [7] if expected else []) == (code, places)
    assert 0 == cxroute("explain", "CXR211")


@pytest.mark.parametrize(
    ("writer", "said"),
    [
        ("digital-custom-fields", "the custom fields are defined"),
        ("voice-signal", "intent in p7, confidence in p8, time in p9"),
    ],
)
def test_doctor_names_the_requirements_of_the_writer(
    cxroute: Program, writer: str, said: str
) -> None:
    """Also in the sandbox; the place of the write is next to the unchecked parts."""
    text = manifest(writer).format(url="").replace("name: prod", "name: sandbox")
    write(
        "all.yaml",
        "\n".join(line for line in text.splitlines() if not line.startswith("api:")),
    )
    code, actual = cxroute.json("doctor", "-e", "sandbox")
    checks = {item["name"]: item for item in actual["checks"]}
    assert (0, "ok") == (code, checks["context"]["status"])
    assert said in checks["context"]["message"]
    # the sandbox has the fields of its Environment
    assert not checks["context"]["advice"]
    assert ("/custom-fields" if writer[:1] == "d" else "/signal") in checks["writing"][
        "message"
    ]


def test_an_advice_is_logged_once_a_minute() -> None:
    """For any number of occurrences."""
    text: list[Any] = []
    now = [100.0]
    advise = Advice(text.append, lambda: now[0])
    for seconds in (0.0, 1.0, 58.9, 0.2, 30.0, 31.0):
        now[0] += seconds
        advise("define them")
    assert [{"event": "advice", "advice": "define them"}] * 3 == [
        json.loads(line) for line in text
    ]
