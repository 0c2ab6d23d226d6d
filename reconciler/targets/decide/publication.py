"""Publications: tables with a version each, in a store that replaces them by compare-and-set."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol

from reconciler.core.target import Author
from reconciler.core.text.json_values import STRICT_DECODER, as_object
from reconciler.targets.decide.slices import Steps, finish
from reconciler.targets.decide.table import (
    MAX_TABLE_BYTES,
    PublishedTable,
    TableError,
    encoding_steps,
    table_steps,
)

KEPT_VERSIONS: Final = 50
MAX_STORED_BYTES: Final = (
    2 * MAX_TABLE_BYTES
)  # numbers may be longer than they were sent
_STORED_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_DIGEST_IN_TAG: Final = 16  # hex digits
_MAX_FACT: Final = 200  # characters of a name or a commit
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\uffff]")


class PublishConflictError(Exception):
    """Another publication came first. `current` is the present one, None for none."""

    def __init__(self, current: "Publication | None") -> None:
        super().__init__("another table was published since the one that was read")
        self.current = current


class StoreUnavailableError(Exception):
    """The store cannot be read or written now. The text says so if it is not known whether a
    publication was stored; else nothing was changed.
    """


class VersionFacts(NamedTuple):
    """What a list of versions says of each one."""

    version: int
    digest: str
    published_at: str
    published_by: str
    commit: str

    def to_json(self) -> dict[str, Any]:
        """Return the facts with the names that a table has, too."""
        return {
            "version": self.version,
            "digest": self.digest,
            "publishedAt": self.published_at,
            "publishedBy": self.published_by,
            "commit": self.commit,
        }


@dataclass(frozen=True, slots=True)
class Publication:
    """A published table, and the facts about its publication."""

    table: PublishedTable
    facts: VersionFacts

    @property
    def etag(self) -> str:
        """Return the entity tag, new with each publication."""
        return f'"{self.facts.version}-{self.facts.digest[:_DIGEST_IN_TAG]}"'

    def to_json(self) -> dict[str, Any]:
        """Return the table with the facts of the service."""
        return {**self.table.to_json(), **self.facts.to_json()}


class TableStore(Protocol):
    """Where a service keeps its tables. Each call raises StoreUnavailableError."""

    async def current(self) -> Publication | None:
        """Return the published table; None before the first publication."""

    async def publish(
        self, table: PublishedTable, expected: str | None, author: Author, now: datetime
    ) -> Publication:
        """Replace the table if the present one has the expected entity tag (None: if there is
        none).

        Raises PublishConflictError, and TableError for a table that the store cannot hold; then
        nothing has changed.
        """

    async def versions(self) -> Sequence[VersionFacts]:
        """Return the kept versions, the newest first: `KEPT_VERSIONS` of them at most."""

    async def version(self, number: int) -> Publication | None:
        """Return a kept version, or None."""


def next_publication(
    current: Publication | None,
    table: PublishedTable,
    expected: str | None,
    author: Author,
    now: datetime,
) -> Publication:
    """Return the publication that follows the current one. Raises PublishConflictError."""
    tag = current.etag if current else None
    if tag != expected:
        raise PublishConflictError(current)
    version = current.facts.version + 1 if current else 1
    at = now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    facts = VersionFacts(
        version=version,
        digest=table.digest,
        published_at=at,
        published_by=_plain(author.name),
        commit=_plain(author.commit),
    )
    return Publication(table, facts)


def table_text_steps(table: PublishedTable) -> Steps[str]:
    """Encode a table in steps, for `encode_publication`."""
    return encoding_steps(table.to_json(), _STORED_JSON)


def encode_publication(facts: VersionFacts, table_text: str) -> bytes:
    """Return a publication as a store keeps it: JSON whose first line has the facts.

    Raises TableError for one that could not be read again: it is too large, or not valid text.
    """
    facts_text = _STORED_JSON.encode(facts.to_json())
    joined = f"{facts_text[:-1]},\n{table_text[1:]}"
    try:
        content = joined.encode()
    except UnicodeEncodeError:
        raise TableError(
            "the table has half a character, an unpaired surrogate"
        ) from None
    if len(content) > MAX_STORED_BYTES:
        raise TableError(f"the table has more than {MAX_STORED_BYTES // 2**20} MiB")
    return content


def decoding_steps(content: bytes) -> Steps[Publication]:
    """Decode in steps the publication that `encode_publication` wrote. Raises TableError."""
    data = _decode_object(content)
    yield
    return (yield from _publication_steps(data))


def decode_facts(first_line: bytes) -> VersionFacts:
    """Return the facts in the first line of a stored publication. Raises TableError."""
    return parse_facts(_decode_object(first_line.rstrip(b",\n") + b"}"))


def _decode_object(content: bytes) -> dict[str, Any]:
    try:
        data = STRICT_DECODER.decode(content.decode())
    except (ValueError, RecursionError):
        raise TableError("it is not valid JSON") from None
    if not isinstance(data, dict):
        raise TableError("it is not a JSON object")
    return data


def encode_facts(facts: VersionFacts) -> str:
    """Return facts as JSON, for a list of versions; `parse_facts` reads their object."""
    return json.dumps(facts.to_json())


def parse_publication(data: object) -> Publication:
    """Return the publication in JSON that `Publication.to_json` made. Raises TableError."""
    return finish(_publication_steps(data))


def _publication_steps(data: object) -> Steps[Publication]:
    table = yield from table_steps(data)
    facts = parse_facts(as_object(data))
    if facts.digest != table.digest:
        raise TableError("the digest is not that of the content")
    return Publication(table, facts)


def parse_facts(data: dict[str, Any]) -> VersionFacts:
    """Return the facts of a publication's JSON. Raises TableError."""
    version = data.get("version")
    texts = [
        data.get(name) for name in ("digest", "publishedAt", "publishedBy", "commit")
    ]
    if type(version) is not int or version < 1:
        raise TableError("version: must be a number from 1 on")
    if not all(isinstance(text, str) for text in texts):
        raise TableError("digest, publishedAt, publishedBy and commit must be texts")
    digest, published_at, published_by, commit = map(str, texts)
    return VersionFacts(version, digest, published_at, published_by, commit)


def _plain(text: str) -> str:
    return _UNPRINTABLE.sub("", text)[:_MAX_FACT]
