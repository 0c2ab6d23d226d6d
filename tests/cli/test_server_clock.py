"""A tenant whose clock is wrong: nothing is written while a date lies between the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support import canary_secrets as canary
from tests.support.program import Program
from tests.support.watch_process import WatchSetup, watch_setup


def with_date(app: Any, ahead: timedelta) -> Any:
    """Return a tenant whose responses have the time of a clock that is ahead."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(datetime.now(UTC) + ahead, usegmt=True)
                headers = [*message["headers"], (b"date", date.encode())]
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, sending)

    return answer


@pytest.mark.parametrize(("minutes", "code"), [(-5, 1), (5, 0), (0, 0)])
def test_an_apply_stops_before_its_first_write(
    elsewhere: Path,
    cxroute: Program,
    monkeypatch: pytest.MonkeyPatch,
    minutes: int,
    code: int,
) -> None:
    """The rule began two minutes ago by the clock here, and not yet by the tenant's."""
    monkeypatch.setenv("CXONE_CLIENT_ID", canary.CLIENT)
    monkeypatch.delenv("CXROUTE_PROXY")
    with watch_setup(elsewhere) as here:
        serve(here, timedelta(minutes=minutes))
        here.write("billing")
        start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=2)
        path = here.folder / "manifests" / "cards.yaml"
        rule = f"- {{intent: fraud, queue: Billing, from: {start.isoformat()}}}\n"
        path.write_text(path.read_text("utf-8") + rule, "utf-8")
        assert code == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
        assert (code == 1) is ("the tenant's clock shows" in cxroute.err)
        assert (code == 0) is bool(here.somebody().rules())
        assert cxroute("plan", "-e", "prod") in (0, 2)
        here.write("billing", "fraud")
        assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err


def serve(here: WatchSetup, ahead: timedelta) -> None:
    """Serve a tenant with a clock of its own."""
    here.serve_tenant()
    here.server.app = with_date(here.server.app, ahead)
