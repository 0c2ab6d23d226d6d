"""The published tables of several instances in Redis.

The current table is a hash, and so is each kept version: its tag, its facts, and the table. One
script compares the tag and writes both, so that no reader finds a part of a publication.
"""

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Any, Final

from reconciler.core.target import Author
from reconciler.core.text.json_values import parse_object
from reconciler.features.endpoint.conversations import LockUnavailableError
from reconciler.features.endpoint.redis.connection import SharedRedis
from reconciler.targets.decide.publication import (
    KEPT_VERSIONS,
    Publication,
    StoreUnavailableError,
    VersionFacts,
    decoding_steps,
    encode_facts,
    encode_publication,
    next_publication,
    parse_facts,
    table_text_steps,
)
from reconciler.targets.decide.slices import in_slices
from reconciler.targets.decide.table import PublishedTable, TableError

_TAG: Final = "tag"
_FACTS: Final = "facts"
_TABLE: Final = "table"
# KEYS: the current table, its version, the version to forget. ARGV: the expected tag, empty for no
# table; the new tag, facts and table.
_PUBLISH: Final = """
if (redis.call('HGET', KEYS[1], 'tag') or '') ~= ARGV[1] then return 0 end
for _, key in ipairs({KEYS[1], KEYS[2]}) do
  redis.call('HSET', key, 'tag', ARGV[2], 'facts', ARGV[3], 'table', ARGV[4])
end
redis.call('DEL', KEYS[3])
return 1
"""


class RedisTables:
    """A store of published tables (`TableStore`) that all instances share."""

    def __init__(self, redis: SharedRedis) -> None:
        self._redis = redis
        self._publish_script = redis.client.register_script(_PUBLISH)
        # one value: a look at the store and a publication may be under way at the same time
        self._known: tuple[bytes, Publication | None] = (b"", None)

    async def current(self) -> Publication | None:
        """Return the published table, which is fetched only if its tag is new."""
        key = self._current_key
        tag = await self._call(self._redis.client.hget(key, _TAG))
        known_tag, publication = self._known
        if tag is None:
            return None
        if tag != known_tag:
            publication = await self._fetch(key)
            if publication is not None:
                self._known = (publication.etag.encode(), publication)
        return publication

    async def publish(
        self, table: PublishedTable, expected: str | None, author: Author, now: datetime
    ) -> Publication:
        """Replace the table by compare-and-set (`TableStore.publish`)."""
        table_text = await in_slices(table_text_steps(table))
        current = await self.current()
        publication = next_publication(current, table, expected, author, now)
        content = encode_publication(publication.facts, table_text)
        version = publication.facts.version
        keys = [
            self._current_key,
            self._version_key(version),
            self._version_key(version - KEPT_VERSIONS),
        ]
        facts = encode_facts(publication.facts)
        arguments: list[str | bytes] = [
            expected or "",
            publication.etag,
            facts,
            content,
        ]
        is_published = await self._call(
            self._publish_script(keys=keys, args=arguments),
            "it is not known whether the table was published: read the rules again",
        )
        if not is_published:
            # another publication came between the two; its tag is what the caller needs
            next_publication(await self.current(), table, expected, author, now)
            raise StoreUnavailableError("Redis lost the table during the publication")
        self._known = (publication.etag.encode(), publication)
        return publication

    async def versions(self) -> Sequence[VersionFacts]:
        """Return the kept versions, the newest first."""
        current = await self.current()
        if current is None:
            return ()
        newest = current.facts.version
        numbers = range(newest, max(newest - KEPT_VERSIONS, 0), -1)
        async with self._redis.client.pipeline(transaction=False) as pipeline:
            for number in numbers:
                pipeline.hget(self._version_key(number), _FACTS)
            found = await self._call(pipeline.execute())
        return [_parse_facts(text) for text in found if text is not None]

    async def version(self, number: int) -> Publication | None:
        """Return a kept version, or None."""
        return await self._fetch(self._version_key(number))

    async def _fetch(self, key: str) -> Publication | None:
        content = await self._call(self._redis.client.hget(key, _TABLE))
        if content is None:
            return None
        try:
            return await in_slices(decoding_steps(content))
        except TableError as error:
            raise _unreadable(error) from error

    async def _call(
        self,
        command: Awaitable[Any],
        problem: str = "the table can be neither read nor published",
    ) -> Any:  # noqa: ANN401 - what Redis answers
        try:
            return await self._redis.call(command)
        except LockUnavailableError as error:
            raise StoreUnavailableError(f"Redis does not respond; {problem}") from error

    @property
    def _current_key(self) -> str:
        return self._redis.key("table")

    def _version_key(self, number: int) -> str:
        return self._redis.key("table", str(number))


def _parse_facts(text: bytes) -> VersionFacts:
    try:
        return parse_facts(parse_object(text))
    except TableError as error:
        raise _unreadable(error) from error


def _unreadable(error: TableError) -> StoreUnavailableError:
    return StoreUnavailableError(f"the table in Redis cannot be read: {error}")
