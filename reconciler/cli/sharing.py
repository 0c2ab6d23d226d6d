"""What several machines share for `serve`: where its Redis is, and the endpoint's memory there."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from reconciler.cli.discretion import DISCRETION
from reconciler.cli.extra import missing_extra
from reconciler.cli.log import log
from reconciler.context.app import Memory, Surroundings
from reconciler.context.order import Lines
from reconciler.errors import UsageError
from reconciler.regular_file import MIB, read_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from reconciler.cxone.context import ContextClient

    Among = Callable[[Surroundings], Surroundings]
    """Makes of the surroundings of one process those of one of several."""

_SHARED: Final = "CXROUTE_SHARED"
_SEEN: Final = (
    "--shared holds a password, and everybody on this machine can see its command lines: put the URL into a file, and"
    f" the file's name into {_SHARED}_FILE"
)


def shared_url(option: str | None) -> str:
    """Return the URL of --shared, or of its variable, or of the file that names; "" where nothing is shared.

    Raises UsageError, which repeats none of it: it may hold a password.
    """
    said = option if option is not None else os.environ.get(_SHARED, "") or _filed()
    if not said:
        return ""
    DISCRETION.keep(said)
    try:
        from reconciler.context.redis_line import connection_to, url_parts  # noqa: PLC0415 - an extra that few need
    except ImportError as error:
        raise missing_extra("--shared") from error
    password = url_parts(said).password
    DISCRETION.keep(*([password, unquote(password)] if password else []))
    try:
        connection_to(said, None)
    except ValueError as error:
        raise UsageError(f"--shared, or ${_SHARED}: {error}") from None
    if option and password:
        log(json.dumps({"event": "advice", "advice": _SEEN}))
    return said


def _filed() -> str:
    file = os.environ.get(f"{_SHARED}_FILE")
    if not file:
        return ""
    try:
        said = read_text(file, MIB).strip()
    except OSError as error:
        raise UsageError(f"the file that {_SHARED}_FILE names cannot be read: {error.strerror}") from None
    if not said:
        raise UsageError(f"the file that {_SHARED}_FILE names is empty")
    return said


@asynccontextmanager
async def sharing(url: str, environment: str, client: ContextClient) -> AsyncIterator[Among]:
    """Take part in what the machines of an environment share; without a URL nothing is shared."""
    if not url:
        yield lambda alone: alone
        return
    from reconciler.context.keeper import Keeper, Pace  # noqa: PLC0415 - see above
    from reconciler.context.redis_line import RedisLine, connection_to  # noqa: PLC0415 - see above
    from reconciler.context.shared import Shared  # noqa: PLC0415 - see above
    from reconciler.context.shared_ids import SharedIds  # noqa: PLC0415 - see above
    from reconciler.context.shared_turns import SharedTurns  # noqa: PLC0415 - see above

    connect = connection_to(url, os.environ.get("CXROUTE_CA_FILE"))
    shared = Shared(lambda broken: RedisLine(connect, broken), f"cxroute:{environment}")
    turns, ids = SharedTurns(shared, Lines(time.monotonic)), SharedIds(shared, time.monotonic)
    keeper = Keeper(shared, turns, ids, Pace(client.pacer.part, client.pacer.hold, lambda: client.pacer.held), log)

    def among(alone: Surroundings) -> Surroundings:
        async def ready() -> bool:
            return shared.is_open and await alone.ready()

        def gauges() -> dict[str, float]:
            return {**alone.gauges(), "cxroute_shared_away": not shared.is_open}

        memory = Memory(turns, ids)
        return replace(alone, memory=memory, ready=ready, gauges=gauges, part=lambda: 1 / keeper.instances)

    keeping = asyncio.create_task(keeper.keep())
    try:
        yield among
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await keeper.leave()
