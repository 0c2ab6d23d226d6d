"""`cxroute serve` as users start it: the real process, the simulator behind it over HTTP, signals
and kills.
"""

from __future__ import annotations

import gzip
import re
import resource
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.cli.http_server import open_listener
from reconciler.core.text.files import MIB
from tests.features.endpoint.in_process_endpoint import event
from tests.features.endpoint.processes import MANIFEST, caller, contexts, log, served
from tests.support import canary_secrets as canary
from tests.support.loopback_server import loopback_server
from tests.support.plain_http import PLAIN
from tests.support.program import Program, write
from tests.support.server_process import KEY, server_process


def test_from_a_post_to_the_tenant_and_back(tmp_path: Path) -> None:
    """Over two sockets: written, a fallback, a stale one, 404, 401, ready, metrics; the tenant has
    the values.
    """
    with served(tmp_path, serve=("--explain",)) as (_, url), caller(url) as http:
        assert 200 == http.get("/ready").status_code
        good = http.post("/api/route", json=event())
        unsure = http.post(
            "/api/route", json=event(conversationId="c-2", confidence=0.1)
        )
        stale = http.post("/api/route", json=event(timestamp="2026-01-01T00:00:00Z"))
        unknown = http.post("/api/route", json=event(conversationId="unknown-1"))
        nobody = httpx.post(
            f"{url}/api/route", json=event(), trust_env=False, verify=PLAIN
        )
        metrics = http.get("/metrics").text
    expected = {
        "rule": "cards/billing",
        "destination": {
            "queues": [{"queueId": None, "queueName": "Billing", "share": 1}]
        },
    }
    assert (200, expected) == (good.status_code, good.json()["route"])
    assert ("unsure", "cards/none") == (
        unsure.json()["fallback"],
        unsure.json()["route"]["rule"],
    )
    assert [True, 404, 401] == [
        stale.json()["stale"],
        unknown.status_code,
        nobody.status_code,
    ]
    assert "cxroute_upstream_requests_total 4" in metrics
    assert [200, 200, 200, 404, 401] == [line["status"] for line in log(tmp_path)]
    stored = contexts(tmp_path)
    assert ["billing", "none"] == [
        stored[name]["cognigyDetectedIntent"] for name in ("c-1", "c-2")
    ]


@pytest.mark.slow
def test_a_killed_tenant_is_reported_and_found_again(tmp_path: Path) -> None:
    """502 while it is unavailable, without a call once that is known; /health lives; writes resume
    after its return.
    """
    (tmp_path / "manifests").mkdir()
    with ExitStack() as stack:
        tenant, upstream = stack.enter_context(
            server_process(tmp_path, "simulate", "--port", "0", "--state", "state.json")
        )
        (tmp_path / "manifests" / "all.yaml").write_text(
            MANIFEST.format(url=upstream), encoding="utf-8"
        )
        _, url = stack.enter_context(
            server_process(tmp_path, "serve", "-e", "prod", "--port", "0")
        )
        http = stack.enter_context(caller(url))
        assert 200 == http.post("/api/route", json=event()).status_code
        tenant.kill()
        tenant.wait()
        forms = [
            event(conversationId=f"c-{number}", confidence=0.5) for number in range(10)
        ]
        answers = [http.post("/api/route", json=form) for form in forms]
        assert {502} == {answer.status_code for answer in answers}
        assert any(
            answer.json()["error"].endswith("nothing was sent") for answer in answers
        )
        assert 200 == http.get("/health").status_code
        port = upstream.rpartition(":")[2]
        stack.enter_context(
            server_process(
                tmp_path, "simulate", "--port", port, "--state", "state.json"
            )
        )
        actual = [0]
        while actual[-1] != 200 and len(actual) < 100:
            time.sleep(0.1)
            actual.append(
                http.post("/api/route", json=event(conversationId="back")).status_code
            )
        assert 200 == actual[-1]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["token:401", "context:401", "context:403"])
def test_a_refused_login_is_reported_to_the_caller_and_the_operator(
    tmp_path: Path, fault: str
) -> None:
    """The caller reads that nothing was written; the log names the command that finds the cause,
    once.
    """
    with served(tmp_path, "--faults", fault) as (_, url), caller(url) as http:
        answers = [http.post("/api/route", json=event()) for _ in range(3)]
        metrics = http.get("/metrics").text
    assert [(502, "1")] * 3 == [
        (answer.status_code, answer.headers.get("retry-after")) for answer in answers
    ]
    assert {"the tenant refuses the endpoint's login; nothing was written"} == {
        answer.json()["error"] for answer in answers
    }
    assert (
        'cxroute_requests_total{status="502",outcome="upstream_refused"} 3' in metrics
    )
    assert {} == contexts(tmp_path)
    advice = [line["advice"] for line in log(tmp_path) if line["event"] == "advice"]
    assert [
        "the tenant refuses the endpoint's login: run cxroute doctor -e prod"
    ] == advice


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("fault", ["403", "500", "html"])
def test_a_tenant_that_repeats_secrets_does_not_reveal_them(
    tmp_path: Path, fault: str
) -> None:
    """Neither responses nor the log contain the client's secret, a token or a key, for any response
    of the tenant.
    """
    with (
        served(tmp_path, "--faults", f"context:{fault}") as (_, url),
        caller(url) as http,
    ):
        answers = [http.post("/api/route", json=event()) for _ in range(2)]
        answers += [
            http.post(
                "/api/route", content=b"{", headers={"Content-Type": "application/json"}
            ),
            http.get("/ready"),
        ]
    text = "".join(f"{answer.headers} {answer.text}" for answer in answers) + (
        tmp_path / "serve.log"
    ).read_text("utf-8")
    assert [502, 502, 400, 200] == [answer.status_code for answer in answers]
    assert [] == canary.find_leaks(text)
    assert KEY not in text


REFUSED = [
    (
        ("--host", "0.0.0.0"),  # noqa: S104 - refused
        {},
        "without keys in $CXROUTE_API_KEYS, `serve` listens on loopback only",
    ),
    (
        ("--host", "::"),
        {},
        "without keys in $CXROUTE_API_KEYS, `serve` listens on loopback only",
    ),
    (
        ("--host", "example.com"),
        {},
        "without keys in $CXROUTE_API_KEYS, `serve` listens on loopback only",
    ),
    (("--port", "65536"), {}, "invalid port '65536' (0-65535)"),
    (("--port", "x"), {}, "invalid port 'x' (0-65535)"),
    ((), {"PORT": "http"}, "invalid port 'http' (0-65535)"),
    ((), {"CXROUTE_API_KEYS": " , "}, "contains only commas and spaces"),
    (
        (),
        {"CXROUTE_API_KEYS": "two words of a key"},
        "contains characters that a header cannot have",
    ),
    ((), {"CXROUTE_WEBHOOK_SECRETS": "whsec_short"}, "a signing secret must be whsec_"),
    (
        (),
        {"CXROUTE_API_KEYS_FILE": "nowhere"},
        "the file that CXROUTE_API_KEYS_FILE names cannot be read",
    ),
]


@pytest.mark.parametrize(("arguments", "variables", "said"), REFUSED)
def test_invalid_settings_are_refused_at_the_start(
    cxroute: Program,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    variables: dict[str, str],
    said: str,
) -> None:
    """Exit 64 and one sentence without a key; the port is not opened."""
    monkeypatch.delenv("PORT", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert 64 == cxroute("serve", *arguments)
    assert said in cxroute.err
    assert "two words" not in cxroute.err


def test_a_port_in_use_is_reported(cxroute: Program) -> None:
    """Exit 1, with the address."""
    write("all.yaml", "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules: []\n")
    with open_listener("127.0.0.1", 0) as claimed:
        port = claimed.getsockname()[1]
        assert 1 == cxroute("serve", "--port", str(port))
    assert f"cannot listen on 127.0.0.1:{port}" in cxroute.err


def test_the_missing_extra_is_named(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uvicorn is not part of the requirements of plan and apply."""
    monkeypatch.setitem(sys.modules, "reconciler.cli.http_server", None)
    assert 1 == cxroute("serve", "--port", "0")
    assert (
        "needs the extra `serve`, which is not installed. See docs/install.md, section"
        in cxroute.err
    )


def answering(headers: list[tuple[bytes, bytes]], body: bytes) -> Any:
    """Return an ASGI application with one response."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def test_doctor_compares_the_running_fallback(tmp_path: Path, cxroute: Program) -> None:
    """Equal; another bound; not an endpoint; a small answer that expands to much; no server; a
    refused address.
    """
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB
    with served(tmp_path) as (_, url):
        upstream = str(
            re.findall(
                r"http://[0-9.:]+", (tmp_path / "manifests/all.yaml").read_text()
            )[0]
        )

        def status(address: str) -> tuple[str, str]:
            _, actual = cxroute.json("doctor", "-e", "prod", "--endpoint", address)
            (check,) = (item for item in actual["checks"] if item["name"] == "endpoint")
            return check["status"], check["message"]

        assert ("ok", "its fallback is that of the manifests") == status(url)
        write("all.yaml", MANIFEST.format(url=upstream).replace("0.4", "0.5"))
        assert "fail" == status(url)[0]
        assert ("fail", "its /metrics cannot be read: status 404") == status(upstream)
        assert "there is no usable response" in status("http://127.0.0.1:9")[1]
        with loopback_server() as candidate:
            for headers, body in (
                ([], b"up 1\n"),
                ([(b"content-encoding", b"gzip")], gzip.compress(bytes(64 * MIB))),
            ):
                candidate.app = answering(headers, body)
                assert (
                    "its /metrics does not say which fallback it uses"
                    in status(candidate.url)[1]
                )
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 64 * 1024
        assert 64 == cxroute("doctor", "-e", "prod", "--endpoint", "http://example.com")
