"""Live rules: read from the tenant, or from a JSON file instead (no access, no credentials, no network)."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Final

from reconciler.cli.environments.choose import expected_queues
from reconciler.cli.session import LiveFile, Session
from reconciler.cli.signals import Cancellation
from reconciler.cxone.rule_json import read_rules_file
from reconciler.errors import UsageError
from reconciler.model.finding import Finding
from reconciler.model.rule import Queue
from reconciler.plan.plan import LiveState
from reconciler.text.escape import pluralize, sanitize

_UNLISTED: Final = (
    "a rule looks changed if the file has only the id of its queue: add `queues`, each with id and name, next to"
    " `rules`"
)


def options(parser: argparse.ArgumentParser) -> None:
    """Add the option --live of plan and export."""
    parser.add_argument(
        "--live",
        metavar="FILE",
        help="read rules and queues from a JSON file in the API's format instead of the tenant; needs no access to it",
    )


def check(options: argparse.Namespace) -> None:
    """Raise UsageError if --live is combined with several environments."""
    if options.live is not None:
        raise UsageError("--live is for one tenant: set -e to the name of one environment")


def with_live_file(session: Session, path: str | None) -> Session:
    """Return the session with the file instead of the tenant, if a path is given. Raises UsageError."""
    if path is None:
        return session
    export, name = read_rules_file(path), sanitize(Path(path).name)
    message = f"the live rules come from {name}, and no tenant was contacted; apply reads the tenant itself"
    queues = tuple(Queue(*pair) for pair in sorted(export.queues.items()))
    if not export.lists_queues:
        names, ids = ({queue.name for queue in queues}, {queue.id for queue in queues})
        expected = expected_queues(session.manifests, session.environment.name)
        assumed = tuple(queue for queue in expected if queue.name not in names and queue.id not in ids)
        queues += assumed
        message += f". It lists no queues; assumed from the manifests: {pluralize(len(assumed), 'queue')}"
    hint = "" if export.lists_queues else _UNLISTED
    finding = Finding(code="CXR320", severity="warning", message=message, hint=hint)
    return replace(session, live_file=LiveFile(name, LiveState(export.rules, queues), finding))


def read_tenant(session: Session) -> LiveState:
    """Read every rule and queue, with a client that cannot write."""
    from reconciler.cli.clients import open_reading_client  # noqa: PLC0415 - imports HTTP, which is not needed offline
    from reconciler.cli.signals import run_interruptibly  # noqa: PLC0415 - not needed offline

    async def read_all(_stop: Cancellation) -> LiveState:
        async with open_reading_client(session) as client:
            return await session.read(client)

    return run_interruptibly(read_all)
