"""Clients of rules behind an API. A plan gets the reading one, which has no method that writes."""

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from hashlib import sha256
from typing import ClassVar, Final

from reconciler.core import errors, rule_json
from reconciler.core.model.live import FetchedRule, LiveRule, Marker
from reconciler.core.model.rule import Json, Rule
from reconciler.targets.platform.client import (
    GONE,
    UNSUPPORTED,
    Call,
    PlatformClient,
    object_path,
)
from reconciler.targets.platform.paging import rules_endpoint
from reconciler.targets.platform.transport.sender import RequestKind

_CALLS: Final = {
    **PlatformClient.calls,
    "read": Call("GET", RequestKind.READ, "scope routing:read", GONE),
    "create": Call("POST", RequestKind.WRITE, unsupported=GONE | UNSUPPORTED),
    "update": Call(
        "PUT",
        RequestKind.WRITE,
        gone=frozenset({404}),
        unsupported=UNSUPPORTED | {410},
    ),
    "delete": Call(
        "DELETE",
        RequestKind.DELETE,
        gone=GONE,
        unsupported=UNSUPPORTED | {413, 414, 431},
    ),
}


class ReadingClient(PlatformClient):
    """Reads a tenant's rules and queues."""

    calls: ClassVar[Mapping[str, Call]] = _CALLS

    async def rules(self) -> tuple[LiveRule, ...]:
        """Return every live rule, in no particular order.

        Raises IncompleteReadError for an unproven list.
        """
        entries = await self._read_list(
            rules_endpoint(self._tenant, self._mapper, lambda: self._login.api_server)
        )
        return tuple(map(rule_json.parse_live_rule, entries))

    async def rule(self, rule_id: str) -> FetchedRule | None:
        """Return one rule, or None if it does not exist."""
        try:
            response = await self._call(
                "read", object_path(self._tenant.rules_path, rule_id)
            )
        except errors.RuleNotFoundError:
            return None
        rule = rule_json.parse_live_rule(self._mapper.single_rule(response.payload))
        if rule.id != rule_id:
            text = (
                f"the server returned rule {rule.id[:64]!r} instead of {rule_id[:64]!r}"
            )
            raise errors.UnexpectedResponseError(f"{response.call}: {text}")
        etag = response.headers.get("etag") or ""
        # A rule without an ETag that fits into a header is compared before it is written.
        return FetchedRule(
            rule, etag if etag.isascii() and etag.isprintable() and etag else None
        )


class WritingClient(ReadingClient):
    """Reads, creates, updates and deletes rules."""

    @cached_property
    def _completed_creates(self) -> tuple[str, Counter[str]]:
        """A text that separates the Idempotency-Keys of two runs, and the acknowledged creates of
        each body.
        """
        return repr(self._time.random()), Counter()

    async def create(self, rule: Rule, marker: Marker) -> LiveRule:
        """Create a rule and return it from the response.

        An equal create gets another Idempotency-Key only later.
        """
        body = rule_json.rule_body(rule, marker)
        path = self._tenant.rules_path
        tenant_body = self._mapper.tenant_body(body)
        if not self._tenant.idempotency_keys:
            return await self._write("create", path, tenant_body, {})

        run, completed = self._completed_creates
        text = json.dumps(body, sort_keys=True)
        key = sha256(f"{run} {completed[text]} {text}".encode()).hexdigest()[:32]
        headers = {"Idempotency-Key": key}
        created = await self._write("create", path, tenant_body, headers)
        completed[text] += 1
        return created

    async def update(
        self, read: FetchedRule, rule: Rule, marker: Marker | None
    ) -> LiveRule:
        """Replace a rule that was just read; its unknown fields stay as they are."""
        body = rule_json.rule_body(rule, marker, read.live.raw)
        return await self._replace(read, body)

    async def restore(self, read: FetchedRule, before: LiveRule) -> LiveRule:
        """Restore an earlier state of a rule that was just read, and return the rule from the
        response.
        """
        body = rule_json.rule_body(before.rule, before.marker)
        body |= {name: before.raw[name] for name in body if name in before.raw}
        body = {**before.raw, **read.live.raw, **body}
        return await self._replace(read, body)

    async def delete(self, read: FetchedRule) -> None:
        """Delete a rule that was just read; a missing rule is a success."""
        with suppress(errors.RuleNotFoundError):
            path = object_path(self._tenant.rules_path, read.live.id)
            await self._call("delete", path, headers=_if_match(read))

    async def _replace(self, read: FetchedRule, body: dict[str, Json]) -> LiveRule:
        path = object_path(self._tenant.rules_path, read.live.id)
        tenant_body = self._mapper.update_body(body)
        return await self._write("update", path, tenant_body, _if_match(read))

    async def _write(
        self, call: str, path: str, body: dict[str, Json], headers: dict[str, str]
    ) -> LiveRule:
        content = json.dumps(body, allow_nan=False).encode()
        response = await self._call(call, path, content, headers)
        try:
            return rule_json.parse_live_rule(self._mapper.single_rule(response.payload))
        except errors.UnexpectedResponseError as failure:
            # The write may have been done.
            text = (
                f"the write was answered with status {response.status}, but {failure}"
            )
            raise errors.AmbiguousWriteError(text) from failure


def _if_match(read: FetchedRule) -> dict[str, str]:
    if not read.etag:
        return {}
    return {"If-Match": read.etag}
