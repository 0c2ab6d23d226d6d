"""The loop from events to a sample with a real Prometheus: two endpoints, one of which is
restarted.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.traffic.sample import read_traffic
from tests.features.endpoint.in_process_endpoint import event
from tests.features.endpoint.processes import MANIFEST, caller
from tests.support.ports import free_ports
from tests.support.program import Program
from tests.support.real_prometheus import prometheus
from tests.support.server_process import server_process

pytestmark = pytest.mark.slow

EVENTS = {
    ("billing", 0.93): 40,
    ("billing", 0.41): 15,
    ("billing", 1): 12,
    ("billing", None): 11,
    ("gossip", 0.7): 22,
}
"""Of each batch: conversations by what the bot sends."""
CELLS = {
    ("billing", 0.9): 40,
    ("billing", 0.4): 15,
    ("billing", 1): 12,
    ("billing", None): 11,
    ("(other)", 0.7): 22,
}
"""The same conversations in the cells of a sample."""
BATCHES = 4
SCRAPES = 20
"""As many at least, so that the extrapolation is less than 6 %."""


def post(url: str, batch: int) -> None:
    """Post a batch of events, each of a conversation of its own, and one of them twice."""
    with caller(url) as http:
        for (intent, confidence), count in EVENTS.items():
            for number in range(count):
                conversation = f"c-{batch}-{intent}-{confidence}-{number}"
                form = event(
                    conversationId=conversation, intent=intent, confidence=confidence
                )
                assert 200 == http.post("/api/route", json=form).status_code
        assert 200 == http.post("/api/route", json=form).status_code


@pytest.mark.usefixtures("access")
def test_a_pull_gives_back_the_shares_that_were_posted(
    tmp_path: Path, cxroute: Program
) -> None:
    """After a restart of one of two endpoints; an extrapolation of at most 1.1 scrapes is all that
    is added.

    Each process is scraped at 0 before its first event, and after its last one. So increase()
    misses none, and extrapolates only from the last scrape to the query, by 1.1 intervals at most.
    """
    batch = sum(EVENTS.values())
    total = "sum(cxroute_events_total)"
    ports = free_ports(2)

    def serve(port: str, name: str) -> Any:
        return server_process(
            tmp_path, "serve", "-e", "prod", "--port", port, name=name
        )

    with (
        server_process(
            tmp_path, "simulate", "--port", "0", "--state", "state.json"
        ) as (_, upstream),
        prometheus(tmp_path, *ports) as server,
    ):
        (tmp_path / "manifests").mkdir()
        (tmp_path / "manifests/all.yaml").write_text(
            MANIFEST.format(url=upstream), encoding="utf-8"
        )
        with serve(ports[1], "second") as (_, second):
            with serve(ports[0], "first") as (_, first):
                server.wait("count(group by (instance) (cxroute_events_total))", 2)
                assert 0 == server.value(total)
                post(first, 0)
                post(second, 1)
                server.wait(total, 2 * batch)
            with serve(ports[0], "restarted") as (_, first):
                server.wait(
                    f'sum(cxroute_events_total{{instance="127.0.0.1:{ports[0]}"}})', 0
                )
                post(first, 2)
                post(second, 3)
                server.wait(total, 3 * batch)
                server.wait("max(resets(cxroute_events_total[1h]))", 1)
                server.wait(
                    f"min(count_over_time(cxroute_events_total[1h])) >= bool {SCRAPES}",
                    1,
                )
                scrapes = server.value("min(count_over_time(cxroute_events_total[1h]))")
                assert 0 == cxroute(
                    "traffic",
                    "pull",
                    "--prometheus",
                    server.url,
                    "--days",
                    "9",
                    "--into",
                    "t.csv",
                )
    attributes = BotAttributes(intent="intent", confidence="confidence")
    sample = read_traffic(Path("t.csv").read_bytes(), "t.csv", attributes)
    actual = Counter(
        {
            (row.attributes["intent"], row.attributes["confidence"]): row.count
            for row in sample.rows
        }
    )
    assert scrapes
    assert sample.last_day
    assert sample.period in {
        f"{sample.last_day - timedelta(days=days)} to {sample.last_day}"
        for days in (0, 1)
    }
    added = 1.1 / (scrapes - 1)  # 1.1 intervals of those between the scrapes
    assert set(CELLS) == set(actual)
    for cell, count in CELLS.items():
        posted = BATCHES * count
        assert posted - 0.5 <= actual[cell] <= posted * (1 + added) + 0.5, (cell, added)
        share = 0.5 / (BATCHES * batch)  # of the rounding
        assert (
            abs(actual[cell] / sample.total - count / batch)
            <= (count / batch) * added + 2 * share
        )
