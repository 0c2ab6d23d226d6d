"""The tenant's live rules, read by a client that cannot write: the only module of this feature that
contacts a tenant. `cxroute mcp` imports it under --live alone.
"""

import asyncio

from reconciler.cli.clients import open_source
from reconciler.cli.options import SessionOptions
from reconciler.cli.rule_lists import refuse_other_reading
from reconciler.cli.session import Session, build_session
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.plan.stages import LiveState
from reconciler.features.assistant.project import SILENT, ReadLive


def live_reader(directory: str) -> ReadLive:
    """Return the function that reads the live rules of an Environment of the manifests."""

    def read(manifests: Manifests, environment: Environment) -> LiveState:
        options = SessionOptions(
            environment=environment.name,
            manifests=directory,
            color=SILENT.colour,
            loudness=SILENT.loudness,
            log_format=SILENT.log_format,
            no_input=True,
        )
        session = build_session(manifests, options, SILENT, environment.name)
        live = asyncio.run(_read(session))
        refuse_other_reading(manifests, environment, live)
        return live

    return read


async def _read(session: Session) -> LiveState:
    async with open_source(session, "read") as source:
        return await session.read(source)
