"""Messages to the web hook that an Environment names: only from `apply` and `watch`, which may write anyway.

`plan`, `drift` and all else that runs for a pull request send nothing but reads and the request for a token (R10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from reconciler.cli.discretion import DISCRETION
from reconciler.errors import ApiError, CxrouteError, ManifestError
from reconciler.news import News
from reconciler.outbox import Outbox
from reconciler.render.notification import notification
from reconciler.rounds import Round

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from reconciler.cli.session import Session
    from reconciler.news import Kind
    from reconciler.plan import Plan, Report

_COMMANDS: Final[dict[Kind, str]] = {
    "drift": "drift",
    "refused": "plan",
    "applied": "plan",
    "failed": "plan",
    "recovered": "plan",
}


class Ended(Protocol):
    """How an apply ended: what was planned, and what became of it where anything was begun."""

    @property
    def made(self) -> Plan:
        """Return the plan."""

    @property
    def report(self) -> Report | None:
        """Return what became of it."""


AnyEnded = TypeVar("AnyEnded", bound=Ended)


async def announced(session: Session, running: Awaitable[AnyEnded]) -> AnyEnded:
    """Tell the web hook what an apply made, or that the tenant failed it; a refusal is told by whoever is refused."""
    try:
        ended = await running
    except ApiError as error:
        await _announce(session, Round(session.clock(), error=error, heals=True))
        raise
    if ended.report is not None:
        await _announce(session, Round(session.clock(), plan=ended.made, report=ended.report, heals=True))
    return ended


async def _announce(session: Session, one: Round) -> None:
    outbox = Outbox()
    for kind in News().of(one, 0.0):
        outbox.put(message(session, kind, one))
    await deliver(session, outbox)


def message(session: Session, kind: Kind, one: Round) -> dict[str, Any]:
    """Return the message, without any secret."""
    command = "validate" if isinstance(one.error, ManifestError) else _COMMANDS[kind]
    form: dict[str, Any] = DISCRETION.within(
        notification(kind, one, session.environment.name, session.command(command))
    )
    return form


async def deliver(session: Session, outbox: Outbox) -> tuple[int, int]:
    """Send what waits; return how many were sent, and how many tries failed. It is said, and stops nothing."""
    if not outbox.waiting or session.environment.notify is None:
        outbox.waiting.clear()
        return 0, 0
    from reconciler.cli.hook import hook  # noqa: PLC0415 - httpx, which nothing else of an apply needs

    try:
        async with hook(session) as webhook:
            sent, why = await outbox.deliver(webhook.send)
    except CxrouteError as error:
        session.output.warn(f"nobody was notified: {error}")
        return 0, 1
    if why:
        session.output.warn(f"nobody was notified: {why}")
    return sent, int(bool(why))
