"""Steps with a condition: `apply` asks Prometheus, once for each step that may be made; `plan` does
not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import step_conditions
from reconciler.cli.files import STATE
from tests.support import canary_secrets as canary
from tests.support.cases import each_case
from tests.support.fake_prometheus import FakePrometheus, fake_prometheus
from tests.support.program import Program, write
from tests.support.threaded_server import HttpReply, HttpRequest, threaded_server

ENVIRONMENT = "apiVersion: routing/v1\nkind: Environment\nname: sandbox\nowner: acme\n"
RULES = "---\napiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules:\n"
SECOND = "{query: second, above: 0.8, for: 30m}"
FOURTH = "{query: fourth, below: 5, for: 10m}"
RAMP = f"""\
  - intent: card
    targets: [{{queue: A, weight: 100}}, {{queue: B, weight: 0}}]
    steps:
      - {{at: 2020-01-01T00:00Z, weights: {{A: 95, B: 5}}}}
      - {{at: 2020-01-02T00:00Z, weights: {{A: 75, B: 25}}, if: {SECOND}}}
      - {{at: 2020-01-03T00:00Z, weights: {{A: 50, B: 50}}}}
      - {{at: 2020-01-04T00:00Z, weights: {{A: 0, B: 100}}, if: {FOURTH}}}
"""


def samples(value: str) -> tuple[int, Any]:
    """Return an answer with one sample, of now."""
    now = datetime.now(UTC).timestamp()
    result = [{"metric": {}, "values": [[now, value]]}]
    return 200, {
        "status": "success",
        "data": {"resultType": "matrix", "result": result},
    }


@pytest.fixture
def ramp(cxroute: Program) -> Program:
    """The sandbox, in which the first step is made."""
    write("m.yaml", ENVIRONMENT + RULES + RAMP)
    assert 0 == cxroute("apply", "-e", "sandbox", "--yes")
    return cxroute


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePrometheus]:
    with fake_prometheus(samples("0.9")) as fake:
        monkeypatch.setenv("CXROUTE_PROMETHEUS", fake.url)
        yield fake


def shares() -> list[int]:
    """Return the weights in the live rule, of A and then of B."""
    state = json.loads(STATE.read_text("utf-8"))
    names = {queue["id"]: queue["name"] for queue in state["queues"]}
    (rule,) = state["rules"]
    weights = {names[each["queueId"]]: each["weight"] for each in rule["targets"]}
    return [weights.get("A", 0), weights.get("B", 0)]


def test_steps_without_a_condition_are_made_at_once(ramp: Program) -> None:
    """The next one is held, and no difference: `plan` has nothing to do, `drift` is 0."""
    code, plan = ramp.json("plan", "-e", "sandbox")
    assert (0, []) == (code, plan["changes"])
    (held,) = plan["held"]
    assert "apply asks Prometheus for its condition, second above 0.8" in held["reason"]
    assert "CXR241" in {finding["code"] for finding in plan["findings"]}
    assert 0 == ramp("drift", "-e", "sandbox")
    assert [95, 5] == shares()


def test_an_apply_asks_each_question_once(
    ramp: Program, server: FakePrometheus
) -> None:
    """The next one only if the one before it holds."""
    server.answers = [samples("0.9"), samples("7")]
    assert 0 == ramp("apply", "-e", "sandbox", "--yes")
    assert ["second", "fourth"] == [query["query"][0] for query in server.queries]
    assert ["/api/v1/query_range"] * 2 == server.paths
    assert [50, 50] == shares()
    server.answers = [samples("0.1")]
    assert 0 == ramp("apply", "-e", "sandbox", "--yes")
    assert 3 == len(server.paths)
    assert [0, 100] == shares()
    assert 0 == ramp("apply", "-e", "sandbox", "--yes")
    assert 3 == len(server.paths)


def test_a_step_waits_while_its_condition_does_not_hold(
    ramp: Program, server: FakePrometheus
) -> None:
    """Then later steps are not asked for."""
    server.answers = [samples("0.5")]
    code, result = ramp.json("apply", "-e", "sandbox", "--yes")
    assert (0, []) == (code, result["outcomes"])
    assert "samples are not above the bound" in result["held"][0]["reason"]
    assert 1 == len(server.paths)
    assert [95, 5] == shares()


@pytest.mark.parametrize("words", [["plan"], ["drift"], ["validate"], ["test"]])
def test_only_an_apply_asks(
    ramp: Program, server: FakePrometheus, words: list[str]
) -> None:
    """A plan may be that of a pull request."""
    ramp(*words, "-e", "sandbox")
    assert [] == server.paths


@pytest.mark.parametrize(
    ("answers", "expected"),
    [(["0.9", "7"], [50, 50]), (["0.9", "0.1"], [0, 100]), (["0.5"], [95, 5])],
)
def test_a_reviewed_plan_covers_the_steps_that_wait(
    ramp: Program, server: FakePrometheus, answers: list[str], expected: list[int]
) -> None:
    """Its part Later begins with them; the apply makes those whose conditions hold."""
    assert 0 == ramp("plan", "-e", "sandbox", "--out", "plan.json")
    assert "When the conditions of due steps hold" in ramp.out
    server.answers = [samples(answer) for answer in answers]
    assert 0 == ramp("apply", "plan.json", "--yes")
    assert expected == shares()


@each_case(
    "answer, reason",
    [
        ((302, b""), "Prometheus answers with HTTP 302"),
        ((400, {"error": "parse error\x1b[31m"}), "Prometheus answers with HTTP 400: parse"),
        ((500, b"x"), "Prometheus answers with HTTP 500"),
        ((200, b"<html>login</html>"), "Prometheus' answer is not JSON"),
        ((200, b"[" * 100_000), "Prometheus' answer is not JSON"),
        ((200, []), "Prometheus' answer is not an object"),
        ((200, b" " * (5 << 20)), "Prometheus' answer is larger than 4 MiB"),
    ],
)  # fmt: skip
def test_odd_answers_make_no_step(
    ramp: Program, server: FakePrometheus, answer: tuple[int, Any], reason: str
) -> None:
    """The apply ends well: the reason is that of the held change."""
    server.answers = [answer]
    code, result = ramp.json("apply", "-e", "sandbox", "--yes")
    assert 0 == code
    assert reason in result["held"][0]["reason"]
    assert "\x1b" not in ramp.out


@each_case(
    "address, reason",
    [
        ("", "no Prometheus is configured: set CXROUTE_PROMETHEUS to its address"),
        ("http://prometheus.example", "CXROUTE_PROMETHEUS must be an https:// URL"),
        ("https://user:word@prometheus.example", "CXROUTE_PROMETHEUS must be an https://"),
        ("http://127.0.0.1:9", "Prometheus at 127.0.0.1 cannot be reached"),
    ],
)  # fmt: skip
def test_without_a_server_steps_wait(
    ramp: Program, monkeypatch: pytest.MonkeyPatch, address: str, reason: str
) -> None:
    """The address is the operator's, and is not quoted."""
    monkeypatch.setenv("CXROUTE_PROMETHEUS", address)
    code, result = ramp.json("apply", "-e", "sandbox", "--yes")
    assert 0 == code
    assert reason in result["held"][0]["reason"]
    assert "word@" not in ramp.out


def test_a_slow_server_is_not_waited_for(
    ramp: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run ends in time, whatever the server does."""

    def respond(_request: HttpRequest) -> HttpReply:
        time.sleep(1)
        return HttpReply(*samples("0.9"))

    monkeypatch.setattr(step_conditions, "TIME_LIMIT", 0.2)
    with threaded_server(respond) as url:
        monkeypatch.setenv("CXROUTE_PROMETHEUS", url)
        _, result = ramp.json("apply", "-e", "sandbox", "--yes")
    assert "gave no answer in 0.2 seconds" in result["held"][0]["reason"]


@pytest.mark.parametrize("is_file", [False, True], ids=["variable", "file"])
def test_a_token_goes_to_the_server_alone(
    ramp: Program,
    server: FakePrometheus,
    monkeypatch: pytest.MonkeyPatch,
    is_file: bool,  # noqa: FBT001 - a table's column
) -> None:
    """No redirect is followed, and no output has it, not even an error that repeats it."""
    token = canary.TOKEN
    path = canary.mark_as_secret(Path("token"))
    path.write_text(token)
    if is_file:
        monkeypatch.setenv("CXROUTE_PROMETHEUS_TOKEN_FILE", str(path))
    else:
        monkeypatch.setenv("CXROUTE_PROMETHEUS_TOKEN", token)
    server.answers = [(302, {"error": f"not {token}"})]
    ramp.json("apply", "-e", "sandbox", "--yes")
    assert f"Bearer {token}" == server.headers[0]["Authorization"]
    assert 1 == len(server.paths)
    for text in (ramp.out, ramp.err):
        assert token not in text


def test_an_undo_asks_nothing(ramp: Program, server: FakePrometheus) -> None:
    """It puts the rules back as they were, whatever the steps say."""
    assert 0 == ramp("apply", "-e", "sandbox", "--yes")
    _, history = ramp.json("history", "-e", "sandbox")
    asked = len(server.paths)
    run = history["runs"][0]["run"]
    ramp("plan", "-e", "sandbox", "--undo", run)
    assert asked == len(server.paths)
