"""`cxroute serve`: the context endpoint, for a bot to post what it understood."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.cli.admitted import checked
from reconciler.cli.connect import writing_contexts
from reconciler.cli.endpoint import DEADLINE, endpoint, most_calls
from reconciler.cli.environments import expected_queues
from reconciler.cli.extra import missing_extra
from reconciler.cli.log import log
from reconciler.cli.session import open_session
from reconciler.cli.sharing import sharing
from reconciler.context.app import Memory
from reconciler.context.order import Lines
from reconciler.context.partition import Partition
from reconciler.context.replay import Ids
from reconciler.context.work import work
from reconciler.context.workers import Parent
from reconciler.errors import CxrouteError, UsageError

if TYPE_CHECKING:
    import argparse
    import socket
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

    from reconciler.cli.admitted import Admitted
    from reconciler.cli.output import Output
    from reconciler.cli.session import Session
    from reconciler.cli.sharing import Among
    from reconciler.context.app import Surroundings
    from reconciler.context.workers import Worker
    from reconciler.cxone.context import ContextClient

HELP: Final = """\
Keys stand in $CXROUTE_API_KEYS, several with commas between, so that one can be exchanged for another; secrets that
sign as Standard Webhooks says, in $CXROUTE_WEBHOOK_SECRETS. Each can be in a file: $CXROUTE_API_KEYS_FILE. Without
keys and secrets it listens on loopback only.

POST /api/route {"conversationId": "...", "intent": "...", "confidence": 0.9, "timestamp": "2026-02-01T09:00:00Z"}
GET /health, /ready, /metrics. Log: one line of JSON a request, on stderr."""


def options(parser: argparse.ArgumentParser) -> None:
    """Add serve's options."""
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: 127.0.0.1)")
    parser.add_argument("--port", metavar="N", help="0 takes a free one (default: $PORT, else 3000)")
    parser.add_argument("--workers", metavar="N", default="1", help="processes that serve the port (default: 1)")
    parser.add_argument(
        "--shared", metavar="URL", help="a Redis that several machines share, redis://HOST:PORT/DB (or $CXROUTE_SHARED)"
    )
    parser.add_argument("--explain", action="store_true", help="answers say which rule and queue the manifests choose")
    parser.add_argument("--hash-conversations", action="store_true", help="the log names conversations by a hash")
    parser.epilog = HELP


class _Start(NamedTuple):
    """What the endpoint begins with, in one process or in several."""

    options: argparse.Namespace
    session: Session
    admitted: Admitted

    def sharing(self, client: ContextClient) -> AbstractAsyncContextManager[Among | None]:
        """Take part in what several machines share, if they do."""
        return sharing(self.admitted.shared, self.session.environment.name, client)

    def announce(self, where: str) -> None:
        """Say where it listens."""
        name = self.session.environment.name
        self.session.output.result(f"Context endpoint of {name} on {where}   (stop it with Ctrl-C)\n")
        self.session.output.flush()


def run(options: argparse.Namespace, output: Output) -> int:
    """Serve until SIGINT or SIGTERM; finish what was accepted."""
    admitted = checked(options)
    try:
        from reconciler.context.serve import listening_sockets  # noqa: PLC0415 - an extra that only this command needs
    except ImportError as error:
        raise missing_extra("`cxroute serve`") from error
    session = open_session(options, output)
    expected_queues(session.manifests, session.environment.name)
    if session.simulated and admitted.workers > 1:
        raise UsageError("--workers: the sandbox lives in one process; run cxroute simulate, and serve before that")
    try:
        listeners = listening_sockets(options.host, admitted.port, admitted.workers)
    except OSError as error:
        raise CxrouteError(f"cannot listen on {options.host}:{admitted.port}: {error.strerror or error}") from error
    with ExitStack() as stack:
        for listener in listeners:
            stack.enter_context(listener)
        stack.callback(log.close)
        session.introduce()
        return _served(_Start(options, session, admitted), listeners)


def _served(start: _Start, listeners: Sequence[socket.socket]) -> int:
    """Serve in this process, or in several; returns in each of them."""
    from reconciler.context.serve import run, url  # noqa: PLC0415 - see `run` above

    if len(listeners) == 1:
        run(_alone(start._replace(session=_part(start.session, 1)), listeners[0]))
        return 0
    start.session.output.flush()  # or each worker would print it once more
    parent = Parent(listeners, lambda: start.announce(url(listeners[0])), log)
    worker = parent.watch()
    if worker is None:
        return parent.code
    run(_among(start._replace(session=_part(start.session, worker.count)), worker))
    return 0


async def _alone(start: _Start, listener: socket.socket) -> None:
    from reconciler.context.serve import serve  # noqa: PLC0415 - see `run`

    async with writing_contexts(start.session, DEADLINE) as client, start.sharing(client) as among:
        await serve(endpoint(*start, client, among or _as_it_is), listener, start.announce)


def _as_it_is(alone: Surroundings) -> Surroundings:
    return alone


async def _among(start: _Start, worker: Worker) -> None:
    """Serve as one of several workers, each with its part of what is allowed; or of all machines, where they share."""
    from reconciler.context.serve import server  # noqa: PLC0415 - see `run`

    partition = Partition(worker.number, worker.count, Ids(time.monotonic), log)
    async with writing_contexts(start.session, DEADLINE) as client, start.sharing(client) as sharing:

        def among(alone: Surroundings) -> Surroundings:
            async def ready() -> bool:
                return partition.whole and await around.ready()

            around = sharing(alone) if sharing else _of_workers(alone, partition, worker.count)
            return replace(around, ready=ready, shared_out=partition.over, total=partition.total)

        if not sharing:
            client.pacer.part(1 / worker.count)
        client.pacer.told, partition.hold = partition.tell_hold, client.pacer.hold
        app = endpoint(*start, client, among)
        partition.tell_of(app.text, lambda: app.draining)
        await work(worker, partition, lambda announce: server(app, announce))


def _of_workers(alone: Surroundings, partition: Partition, count: int) -> Surroundings:
    """Return the surroundings of one of so many workers that share with nobody else."""
    return replace(alone, memory=Memory(Lines(time.monotonic), partition), part=lambda: 1 / count)


def _part(session: Session, count: int) -> Session:
    """Return the session of one of so many workers: each takes its part of the calls that may be under way."""
    api = session.environment.api
    calls = api.concurrency if "concurrency" in api.model_fields_set else most_calls(api.requests_per_second)
    part = {"concurrency": max(calls // count, 1)}
    environment = session.environment.model_copy(update={"api": api.model_copy(update=part)})
    return replace(session, environment=environment)
