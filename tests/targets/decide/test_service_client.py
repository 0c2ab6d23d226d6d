"""The client of a decision service: what each answer means, and where the key goes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.core import errors
from reconciler.core.behaviour.endpoint_stage import NO_FALLBACK, TableSettings
from reconciler.core.model.live import LiveRule, Marker, fingerprint
from reconciler.core.model.rule import Queue
from reconciler.core.target import Author
from reconciler.targets.decide.client import ServicePublisher
from reconciler.targets.decide.file_tables import FileTables
from reconciler.targets.decide.rules_routes import RulesRequest, respond
from reconciler.targets.platform.service import (
    ServiceConnection,
    check_service_host,
    service_settings,
)
from reconciler.targets.platform.transport.request import ApiRequest, ApiResponse
from tests.support.builders import address, rule
from tests.support.fake_clock import FakeClock
from tests.support.served_tables import a_table, rule_json

KEY = "the-key-of-the-test"
NAMES = {"4001": "Fraud Desk", "4002": "Billing"}
Answer = Callable[[ApiRequest], Awaitable[ApiResponse]]


class Service:
    """The routes of a service over a file; keeps each request."""

    def __init__(self, folder: Path) -> None:
        self.tables = FileTables(folder / "table.json")
        self.requests: list[ApiRequest] = []
        self.answers: list[ApiResponse | None] = []  # in place of the next ones

    async def send(self, request: ApiRequest) -> ApiResponse:
        """Answer a request."""
        self.requests.append(request)
        instead = self.answers.pop(0) if self.answers else None
        if instead is not None:
            return instead._replace(call=request.call)
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = RulesRequest(request.method, request.target, headers, request.content)
        answer = await respond(asked, self.tables, lambda: datetime.now(UTC))
        return ApiResponse(request.call, answer.status, answer.headers, answer.body)

    def client(self, url: str = "http://localhost:3000") -> ServicePublisher:
        """Return a client that publishes."""
        time = FakeClock().time
        connection = ServiceConnection(self.send, service_settings(url), KEY, time)

        async def list_queues(published: Mapping[str, str]) -> tuple[Queue, ...]:
            del published
            return tuple(Queue(*pair) for pair in NAMES.items())

        return ServicePublisher(connection, list_queues, Author("alice ä", "0123abc"))


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A service without a table."""
    return Service(tmp_path)


def settings() -> TableSettings:
    return a_table().settings.table_settings


def new_rule(key: str) -> LiveRule:
    """Return a rule that a plan creates."""
    made = rule(key, targets=[])
    marker = Marker("acme", address(f"cards/{key}"), fingerprint(made)[:8])
    return LiveRule(f"cards/{key}", made, marker, {})


async def publish(client: ServicePublisher, *keys: str) -> None:
    """Publish the rules of the last read and new ones."""
    before = await client.rules()
    after = [*before, *map(new_rule, keys)]
    await client.save(before, after, NAMES, settings())


def answered(status: int, content: Any = None, **headers: str) -> ApiResponse:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return ApiResponse("", status, headers, body)


def test_the_first_table_and_the_next_one(service: Service) -> None:
    """Each publication says which table it replaces, who publishes, and the commit."""

    async def work() -> None:
        client = service.client()
        assert await client.rules() == ()
        assert await client.table_settings() == TableSettings(NO_FALLBACK, "")
        assert await client.last_save() is None
        await publish(client, "lost")
        await publish(client, "fee")
        ids = {live.id for live in await client.rules()}
        assert ids == {"acme/cards/lost", "acme/cards/fee"}
        assert await client.table_settings() == settings()

    asyncio.run(work())
    first, second = (each for each in service.requests if each.method == "PUT")
    assert first.headers["If-None-Match"] == "*"
    assert second.headers["If-Match"].startswith('"1-')
    assert first.headers["x-cxroute-author"] == "alice ?"
    assert first.headers["x-cxroute-commit"] == "0123abc"
    assert {each.headers["Authorization"] for each in service.requests} == {
        f"Bearer {KEY}"
    }


def test_a_path_before_the_routes_is_kept(service: Service) -> None:
    """A service behind a reverse proxy has a prefix."""
    service.answers = [answered(404)]
    client = service.client("http://localhost:3000/routing/")
    assert asyncio.run(client.rules()) == ()
    assert service.requests[0].target == "/routing/rules"


def test_a_late_publication_changes_nothing(service: Service) -> None:
    """Neither over a table that was published since, nor over the first one."""

    async def work() -> None:
        early = service.client()
        late = service.client()
        assert await late.rules() == ()
        await publish(early, "lost")
        with pytest.raises(errors.ConcurrentChangeError):
            await late.save((), [new_rule("fee")], NAMES, settings())
        before = await late.rules()
        await publish(early, "other")
        with pytest.raises(errors.ConcurrentChangeError):
            await late.save(before, [*before, new_rule("fee")], NAMES, settings())
        with pytest.raises(errors.ConcurrentChangeError):
            await late.save((), [new_rule("fee")], NAMES, settings())
        names = {live.rule.name for live in await late.rules()}
        assert names == {"lost", "other"}

    asyncio.run(work())


def test_a_moved_rule_keeps_its_id_and_a_new_one_gets_another(service: Service) -> None:
    """The id of an address may be in use by a rule that had this address before."""

    async def work() -> None:
        client = service.client()
        await publish(client, "lost")
        (lost,) = await client.rules()
        moved_rule = rule("stolen", targets=[])
        marker = Marker("acme", address("cards/stolen"), fingerprint(moved_rule)[:8])
        moved = LiveRule(lost.id, moved_rule, marker, lost.raw)
        await client.save([lost], [moved, new_rule("lost")], NAMES, settings())
        ids = {live.rule.name: live.id for live in await client.rules()}
        assert ids == {"stolen": "acme/cards/lost", "lost": "acme/cards/lost~2"}

    asyncio.run(work())


ERRORS: dict[str, tuple[ApiResponse, type[Exception], str]] = {
    "a wrong key": (
        answered(401, {"error": "no key"}),
        errors.CredentialsError,
        "keyEnv",
    ),
    "another program": (
        answered(200, b"<html>"),
        errors.UnexpectedResponseError,
        "HTML",
    ),
    "another JSON": (
        answered(200, {"a": 1}),
        errors.UnexpectedResponseError,
        "another answer",
    ),
    "another table": (
        answered(200, {**a_table(rule_json("x")).to_json(), "version": 1}),
        errors.UnexpectedResponseError,
        "another answer",
    ),
    "no such route": (answered(410, {}), errors.UnsupportedCallError, "served.url"),
}


@pytest.mark.parametrize(("answer", "kind", "words"), ERRORS.values(), ids=ERRORS)
def test_an_answer_that_is_not_a_table(
    service: Service, answer: ApiResponse, kind: type[Exception], words: str
) -> None:
    """One sentence says what to correct; the key is in none."""
    service.answers = [answer] * 9
    with pytest.raises(kind, match=words) as raised:
        asyncio.run(service.client().rules())
    assert KEY not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_refused_table_is_not_published_again(service: Service) -> None:
    """The service's own words are shown, escaped; a lost answer leaves the outcome open."""

    async def work() -> None:
        client = service.client()
        assert await client.rules() == ()
        service.answers = [answered(422, {"error": "rule \x1b[31m: targets"})]
        with pytest.raises(errors.RejectedError, match="u001b"):
            await client.save((), [new_rule("fee")], NAMES, settings())
        service.answers = [answered(503, {"error": "the store is away"})]
        with pytest.raises(errors.AmbiguousWriteError):
            await client.save((), [new_rule("fee")], NAMES, settings())
        assert len(service.requests) == 3

    asyncio.run(work())


def test_the_key_goes_to_named_hosts_alone() -> None:
    """A host of the tenant's platform is none of them."""
    check_service_host("http://127.0.0.1:3000", frozenset())
    check_service_host(
        "https://routing.acme.example", frozenset({"routing.ACME.example"})
    )
    for url in ("https://routing.acme.example", "https://acme.my.cxone.com"):
        with pytest.raises(errors.CredentialsError, match="CXROUTE_HOSTS"):
            check_service_host(url, frozenset({"other.example"}))
    with pytest.raises(errors.UsageError, match="TLS"):
        check_service_host(
            "http://routing.acme.example", frozenset({"routing.acme.example"})
        )
