"""The endpoint with a decision service in this process, over a store in files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from reconciler.core.target import Author
from reconciler.features.endpoint.auth import ApiKeys, SignatureVerifier
from reconciler.features.endpoint.decide.service import (
    DecisionService,
    RouteKeys,
    ServiceSurroundings,
)
from reconciler.targets.decide.file_tables import FileTables
from reconciler.targets.decide.publication import Publication, TableStore
from reconciler.targets.decide.table import PublishedTable
from tests.features.endpoint.in_process_endpoint import NOW, Endpoint, Reply, Upstream

JSON: Final = (b"content-type", b"application/json")
Header = tuple[bytes, bytes]


def route_keys(
    decide: Iterable[str] = (),
    read: Iterable[str] = (),
    publish: Iterable[str] = (),
    secrets: Iterable[str] = (),
) -> RouteKeys:
    """Return keys; none by default, which opens every route."""
    signatures = SignatureVerifier(secrets)
    return RouteKeys(ApiKeys(decide), ApiKeys(read), ApiKeys(publish), signatures)


class DecisionEndpoint:
    """An endpoint that decides, its store, and the lines of its log."""

    def __init__(
        self,
        store: TableStore,
        keys: RouteKeys | None = None,
        api_keys: Sequence[str] = (),
        upstream: Upstream | None = None,
    ) -> None:
        self.store = store
        self.lines: list[dict[str, Any]] = []
        surroundings = ServiceSurroundings(
            now=lambda: NOW, log=lambda line: self.lines.append(json.loads(line))
        )
        self.service = DecisionService(store, keys or route_keys(), surroundings)
        self.endpoint = Endpoint(upstream, keys=api_keys, decisions=self.service)

    @property
    def log(self) -> list[dict[str, Any]]:
        """Return the lines of the endpoint and those of the service."""
        return [*self.endpoint.log, *self.lines]

    async def publish(self, table: PublishedTable) -> Publication:
        """Publish a table over the present one, and decide by it."""
        before = await self.store.current()
        tag = before.etag if before else None
        published = await self.store.publish(table, tag, Author("test"), NOW)
        await self.service.follower.look()
        return published

    async def post(
        self, path: str, form: Any, headers: Sequence[Header] = (JSON,)
    ) -> Reply:
        """Post a body: bytes unchanged, other values as JSON."""
        body = form if isinstance(form, bytes) else json.dumps(form).encode()
        return await self.endpoint.request("POST", path, body, headers)

    async def decide(self, **form: Any) -> Any:
        """Return the answer of /decide to a question, which must be accepted."""
        reply = await self.post("/decide", form)
        assert reply.status == 200, reply.body
        return reply.form

    async def exchange(self, form: Any) -> Any:
        """Return the answer of /exchange."""
        reply = await self.post("/exchange", form)
        assert reply.status == 200, reply.body
        return reply.form

    async def page(self) -> str:
        """Return the metrics."""
        return (await self.endpoint.request("GET", "/metrics")).body.decode()


def in_folder(folder: Path, **said: Any) -> DecisionEndpoint:
    """Return an endpoint whose table is in a folder."""
    return DecisionEndpoint(FileTables(folder / "table.json"), **said)
