"""`cxroute traffic pull` and `import`: what they ask for, the written file, and errors in one
sentence.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.traffic.sample import read_traffic
from tests.support import canary_secrets as canary
from tests.support.cases import each_case
from tests.support.fake_prometheus import fake_prometheus, vector
from tests.support.program import Program

EVENTS = vector(
    ("lost_card", "0.9", "120.4"),
    ("lost_card", "none", "11.6"),
    ("other", "0.2", "30"),
    ("pin", "1.0", "25.5000001"),
    ("pin", "0.0", "0.2"),
    ("none", "0.9", "40"),
)


pytestmark = pytest.mark.usefixtures("access")


def rows(path: str = "t.csv") -> dict[tuple[Any, ...], int | float]:
    sample = read_traffic(
        Path(path).read_bytes(),
        path,
        BotAttributes(intent="intent", confidence="confidence"),
    )
    return {tuple(row.attributes.values()): row.count for row in sample.rows}


def pull(cxroute: Program, url: str, *more: str) -> int:
    return cxroute("traffic", "pull", "--prometheus", url, "--into", "t.csv", *more)


def sentence(cxroute: Program) -> str:
    (line,) = cxroute.err.splitlines()
    return line


def test_a_pull_asks_for_the_increase_and_writes_a_sample(cxroute: Program) -> None:
    """Prometheus' own function handles restarts; counts are rounded, and the file says its source
    and period.
    """
    before = datetime.now(UTC)
    with fake_prometheus((200, EVENTS)) as server:
        assert 0 == pull(
            cxroute, f"{server.url}/prefix/", "--days", "7", "--match", 'job="prod"'
        )
    (query,) = server.queries
    counter = 'cxroute_events_total{job="prod"}'
    expected = f"sum by (intent, confidence) (increase({counter}[7d])) or "
    expected += f"min_over_time(timestamp(count({counter}))[7d:1h]) or timestamp(count({counter}))"
    assert (["/prefix/api/v1/query"], [expected]) == (server.paths, query["query"])
    assert (
        before.timestamp() - 1
        <= float(query["time"][0])
        <= datetime.now(UTC).timestamp() + 1
    )
    assert "Authorization" not in server.headers[0]
    counts = {
        ("lost_card", 0.9): 120,
        ("lost_card", None): 12,
        ("(other)", 0.2): 30,
        ("pin", 1): 26,
        (None, 0.9): 40,
    }
    assert counts == rows()
    text = Path("t.csv").read_text("utf-8")
    assert f"# source: Prometheus at 127.0.0.1, {expected}\n" in text
    assert (
        f"# period: {(before - timedelta(days=7)).date()} to {before.date()}\n" in text
    )
    assert "# conversations: 228\n" in text
    assert "estimates" in text
    assert "a threshold inside a tenth is not exact" in text
    assert "wrote t.csv: 228 conversations in 5 rows" in cxroute.out
    assert "" == cxroute.err


@pytest.mark.parametrize(("age", "start"), [(3, 3), (3650, 30)])
def test_the_period_begins_with_the_first_counts(
    cxroute: Program, age: int, start: int
) -> None:
    """Prometheus may have counts of fewer days than were requested, and not of more."""
    now = datetime.now(UTC)
    first = {
        "metric": {},
        "value": [now.timestamp(), f"{(now - timedelta(days=age)).timestamp():.3f}"],
    }
    answer = {"data": {"result": [*EVENTS["data"]["result"], first]}}
    with fake_prometheus((200, answer)) as server:
        assert 0 == pull(cxroute, server.url)
    assert (
        f"# period: {(now - timedelta(days=start)).date()} to {now.date()}\n"
        in Path("t.csv").read_text("utf-8")
    )
    assert "# conversations: 228\n" in Path("t.csv").read_text("utf-8")


def test_small_cells_of_a_pull_are_merged_and_told(cxroute: Program) -> None:
    """The other intents of the endpoint and merged ones are one row, which no rule should name."""
    with fake_prometheus(
        (
            200,
            vector(
                ("a", "0.9", "4"),
                ("a", "none", "7"),
                ("b", "0.9", "9"),
                ("other", "none", "50"),
            ),
        )
    ) as it:
        assert 0 == pull(cxroute, it.url)
    assert {("a", None): 11, ("(other)", None): 59} == rows()
    assert "3 cells of 20 conversations" in cxroute.err
    assert "# merged: 3 cells of 20 conversations" in Path("t.csv").read_text("utf-8")


@pytest.mark.parametrize("file", [False, True], ids=["variable", "file"])
def test_a_token_is_sent_as_bearer(
    cxroute: Program,
    monkeypatch: pytest.MonkeyPatch,
    file: bool,  # noqa: FBT001 - a table's column
) -> None:
    """From the variable, or the file that NAME_FILE names."""
    path = canary.mark_as_secret(Path("token"))
    path.write_text(canary.TOKEN)
    name, value = (
        ("CXROUTE_PROMETHEUS_TOKEN_FILE", str(path))
        if file
        else ("CXROUTE_PROMETHEUS_TOKEN", canary.TOKEN)
    )
    monkeypatch.setenv(name, value)
    with fake_prometheus((200, EVENTS)) as server:
        assert 0 == pull(cxroute, server.url)
    assert f"Bearer {canary.TOKEN}" == server.headers[0]["Authorization"]


def test_the_token_is_not_sent_after_a_redirect(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redirect is not followed."""
    monkeypatch.setenv("CXROUTE_PROMETHEUS_TOKEN", canary.TOKEN)
    with fake_prometheus((302, b"")) as server:
        assert 1 == pull(cxroute, server.url)
    assert 1 == len(server.paths)
    assert not Path("t.csv").exists()


@each_case("status, body, message", [
        (200, vector(), "Prometheus has no cxroute_events_total above 0 in this period: check that it scrapes"),
        (200, vector(("a", "0.9", "9")), "fewer than 10 conversations: a sample could identify them"),
        (200, vector(("a", "high", "9")), "Prometheus' response does not have the counts of cxroute_events_total"),
        (200, vector(("a", "0.9", "NaN")), "Prometheus' response does not have the counts of cxroute_events_total"),
        (200, vector(("a", "0.9", "+Inf")), "Prometheus' response does not have the counts of cxroute_events_total"),
        (200, [], "Prometheus' response does not have the counts of cxroute_events_total"),
        (200, {"data": None}, "Prometheus' response does not have the counts of cxroute_events_total"),
        (200, {"data": {"result": [{"metric": {}, "value": [1, "inf"]}]}}, "Prometheus' response does not have"),
        (200, {"data": {"result": [{}]}}, "Prometheus' response does not have the counts of cxroute_events_total"),
        (200, vector((["a"], "none", "9")), "Prometheus' response does not have the counts of cxroute_events_total"),  # type: ignore[arg-type] # a wrong form
        (200, b"<html>login</html>", "cannot read the counts from Prometheus: Prometheus's response is not JSON"),
        (302, b"", "Prometheus' response does not have the counts of cxroute_events_total"),
        (400, {"error": "parse error: bad\nquery"}, "HTTP 400 parse error: bad"),
        (401, b"", "HTTP 401; CXROUTE_PROMETHEUS_TOKEN is not valid (any more)"),
        (403, b"", "HTTP 403; the server, or a proxy before it, refuses queries"),
        (404, b"404 page not found", "HTTP 404; is this the address of a Prometheus server, with its path?"),
        (422, {"error": "query processing would load too many samples into memory"}, "load too many samples"),
    ])  # fmt: skip
def test_a_failed_pull_is_one_sentence(
    cxroute: Program, status: int, body: Any, message: str
) -> None:
    """And writes nothing."""
    with fake_prometheus((status, body)) as server:
        assert 1 == pull(cxroute, server.url)
    assert message in sentence(cxroute)
    assert not Path("t.csv").exists()


@each_case(
    "words, message",
    [
        (
            ("pull", "--into", "t.csv"),
            "--prometheus must be an https:// URL without user and query (http:// only to this",
        ),
        (
            ("pull", "--prometheus", "http://prometheus.example", "--into", "t.csv"),
            "--prometheus must be an https://",
        ),
        (
            ("pull", "--prometheus", "https://u:p@h.example", "--into", "t.csv"),
            "--prometheus must be an https://",
        ),
        (
            ("pull", "--prometheus", "https://h.example/?a=1", "--into", "t.csv"),
            "--prometheus must be an https://",
        ),
        (
            ("pull", "--prometheus", "http://[::1", "--into", "t.csv"),
            "--prometheus must be an https://",
        ),
        (
            ("pull", "--prometheus", "https://h.example"),
            "--into FILE is required: the sample to write",
        ),
        (
            ("pull", "--prometheus", "https://h.example", "--into", "t", "--days", "0"),
            "--days must be a number from 1",
        ),
        (
            (
                "pull",
                "--prometheus",
                "https://h.example",
                "--into",
                "t",
                "--days",
                "1e3",
            ),
            "--days must be a number",
        ),
        (
            (
                "pull",
                "--prometheus",
                "https://h.example",
                "--into",
                "t",
                "--days",
                "99999999",
            ),
            "--days must be a number",
        ),
        (
            ("pull", "r.csv"),
            "FILE is an option of `traffic import`, not of `traffic pull`",
        ),
        (
            ("import", "r.csv", "--days", "3"),
            "--days is an option of `traffic pull`, not of `traffic import`",
        ),
        (("import", "--into", "t.csv"), "traffic import needs FILE"),
        (
            ("import", "r.csv", "--into", "t.csv"),
            "r.csv: the file cannot be read: no such file or directory",
        ),
        (
            ("import", "r", "--into", "t", "--columns", "intent"),
            "--columns must name each attribute once",
        ),
        (
            ("import", "r", "--into", "t", "--columns", "a=b,a=c"),
            "--columns must name each attribute once",
        ),
        (
            ("import", "r", "--into", "t", "--columns", ""),
            "--columns must name each attribute once",
        ),
        (
            ("import", "r", "--into", "t", "--columns", "a=b,count=N"),
            "is in the column `count`",
        ),
        (
            ("import", "r", "--into", "t", "--period", "October"),
            "--period must be two dates, the earlier one first",
        ),
        (
            ("import", "r", "--into", "t", "--period", "2026-11-01 to 2026-10-01"),
            "--period must be two dates",
        ),
        (
            ("import", "r", "--into", "t", "--period", "2026-02-30 to 2026-03-01"),
            "--period must be two dates",
        ),
    ],
)
def test_a_wrong_command_line_is_refused(
    cxroute: Program, words: tuple[str, ...], message: str
) -> None:
    """Exit 64, before anything is asked or written."""
    assert 64 == cxroute("traffic", *words)
    assert message in sentence(cxroute)


@pytest.mark.slow
def test_an_unreachable_server_is_one_sentence(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the retries of every reading request."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with fake_prometheus((200, EVENTS)) as server:
        pass
    assert 1 == pull(cxroute, server.url)
    assert (
        "error: cannot read the counts from Prometheus: 127.0.0.1 cannot be reached"
        == sentence(cxroute)
    )


def test_the_days_of_an_import_are_those_of_the_period(cxroute: Program) -> None:
    """Without --period they are unknown, and the file says so."""
    Path("r.jsonl").write_text(
        "".join(json.dumps({"intent": "a", "confidence": 1}) + "\n" for _ in range(12))
    )
    assert 0 == cxroute(
        "traffic",
        "import",
        "r.jsonl",
        "--into",
        "t.csv",
        "--period",
        "2026-10-01 to 2026-10-31",
    )
    assert (
        "wrote t.csv: 12 conversations in 1 row, 2026-10-01 to 2026-10-31\n"
        == cxroute.out
    )
    assert 0 == cxroute("traffic", "import", "r.jsonl", "--into", "t.csv")
    assert "wrote t.csv: 12 conversations in 1 row\n" == cxroute.out
    assert "# period: unknown\n" in Path("t.csv").read_text()


def test_a_partial_response_is_a_warning_also_in_the_sample(cxroute: Program) -> None:
    """A server in front of several others answers with the counts that it has."""
    with fake_prometheus(
        (200, {**EVENTS, "warnings": ["store-2 cannot be reached\n# period: 1"]})
    ) as server:
        assert 0 == pull(cxroute, server.url)
    output = "counts may be missing: store-2 cannot be reached"
    assert f"warning: {output}" in cxroute.err
    assert f"\n# warning: {output}" in Path("t.csv").read_text("utf-8")
    assert "\n# period: 1\n" not in Path("t.csv").read_text("utf-8")


def test_a_column_that_is_probably_the_intent_is_a_warning(cxroute: Program) -> None:
    """As it would be in each plan with the sample: no rule would get credit for an intent."""
    Path("r.csv").write_text("Intent,Score\n" + "a,0.9\n" * 12)
    assert 0 == cxroute("traffic", "import", "r.csv", "--into", "t.csv")
    assert (
        'warning: column "Intent" is read as an attribute of that name; did you mean "intent"?\n'
        in cxroute.err
    )
    assert 0 == cxroute(
        "traffic",
        "import",
        "r.csv",
        "--into",
        "t.csv",
        "--columns",
        "intent=Intent,confidence=Score",
    )
    assert "warning" not in cxroute.err


@pytest.mark.slow
def test_a_file_that_no_plan_could_read_is_not_written(cxroute: Program) -> None:
    """Such as one of more than 5 MiB."""
    Path("r.csv").write_text(
        "tier,count\n"
        + "".join(f"{'x' * 600}{number},10\n" for number in range(10_000))
    )
    assert 3 == cxroute("traffic", "import", "r.csv", "--into", "t.csv")
    assert (
        "t.csv:1:1: error[CXR230]: the traffic sample is larger than 5 MiB"
        in cxroute.err
    )
    assert not Path("t.csv").exists()


@pytest.mark.parametrize("into", ["r.csv", "./r.csv", "link.csv"])
def test_the_records_are_not_overwritten(cxroute: Program, into: str) -> None:
    """They are the only copy, perhaps."""
    Path("r.csv").write_text("intent,count\na,12\n")
    Path("link.csv").symlink_to("r.csv")
    assert 64 == cxroute("traffic", "import", "r.csv", "--into", into)
    assert "--into is the file with the records" in sentence(cxroute)
    assert "intent,count\na,12\n" == Path("r.csv").read_text()


def test_a_wrong_row_is_an_error_in_the_file(cxroute: Program) -> None:
    """And not in the manifests."""
    Path("r.csv").write_text("intent,count\na,x\n")
    assert 3 == cxroute("traffic", "import", "r.csv", "--into", "t.csv")
    assert cxroute.err.endswith("\n1 error in r.csv.\n")


def test_an_import_of_a_sample_is_the_sample(cxroute: Program) -> None:
    """Comments are skipped, and no cell is merged again."""
    Path("r.csv").write_text("intent,confidence,count\na,0.93,12\n(other),,30\n")
    assert 0 == cxroute("traffic", "import", "r.csv", "--into", "t.csv")
    first = rows()
    assert 0 == cxroute("traffic", "import", "t.csv", "--into", "u.csv")
    assert first == rows("u.csv") == {("a", 0.93): 12, ("(other)", None): 30}
