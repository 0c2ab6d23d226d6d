"""Live rules and the marker, the last line of a managed rule's description (ownership "The
marker").

`[cxroute:OWNER/RULESET/KEY#DIGEST]` replaces a state file. The line must match exactly, but may end
in white space.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

from reconciler.core.model.rule import Address, Rule, canonical_json


@dataclass(frozen=True, slots=True)
class Marker:
    """The owner and the address of a managed rule, and the digest of the last write."""

    owner: str
    address: Address
    digest: str
    copy: bool = False  # true for a temporary copy: its key ends in `~next`


class WritePayload(NamedTuple):
    """Everything that cxroute writes of a rule: the rule, and its marker, or None for an unmanaged
    rule.
    """

    rule: Rule
    marker: Marker | None


@dataclass(frozen=True, slots=True)
class LiveRule:
    """A rule of the tenant. `rule.description` has no marker; `raw` is the server's JSON."""

    id: str
    rule: Rule
    marker: Marker | None
    raw: Mapping[str, Any]

    @property
    def content(self) -> WritePayload:
        """Return the payload that would write the rule as it is."""
        return WritePayload(self.rule, self.marker)

    @property
    def created(self) -> str:
        """Return the server's `dateCreated`, or an empty text."""
        created = self.raw.get("dateCreated")
        return created if isinstance(created, str) else ""


class LastSave(NamedTuple):
    """Who saved the rules last, and when, as the tenant says it."""

    by: str
    at: str


@dataclass(frozen=True, slots=True)
class FetchedRule:
    """One rule, read just before a write.

    `etag` is sent as If-Match, if the server returned one.
    """

    live: LiveRule
    etag: str | None = None


MARKER_OPENING: Final = "[cxroute:"
_NAME_PATTERN: Final = "[a-z0-9][a-z0-9-]{0,63}"
_MARKER_LINE: Final = re.compile(
    rf"(?:\A|\r?\n)\[cxroute:({_NAME_PATTERN})/({_NAME_PATTERN})/({_NAME_PATTERN})(~next)?"
    r"#([0-9a-f]{8})\][ \t\r\n]*\Z",
    re.ASCII,
    # a tenant may append a line end or spaces to every text; other characters may not follow the
    # marker
)
_FOREIGN_MARKER: Final = re.compile(
    r"(?:\A|\n)(\[[A-Za-z][A-Za-z0-9._-]{0,63}:[^\[\]\r\n]{1,200}\])\s*\Z", re.ASCII
)


def parse_marker(description: str) -> tuple[str, Marker | None]:
    """Return the description without its marker (line ends are LF), and the marker; or the
    description and None.
    """
    position = description.rfind(MARKER_OPENING)
    if position < 0:
        return description, None
    match = _MARKER_LINE.search(description, max(position - 2, 0))
    if match is None:
        return description, None

    owner, ruleset, key, copy, digest = match.groups()
    address = Address(ruleset, key)
    marker = Marker(owner, address, digest, copy=copy is not None)
    text = normalize_line_ends(description[: match.start()])
    return text, marker


def normalize_line_ends(text: str) -> str:
    """Return a text with LF for every CR LF."""
    return text.replace("\r\n", "\n")


def format_description(rule: Rule, marker: Marker | None) -> str:
    """Return the description to write to the server: the text, and the marker on the last line."""
    if marker is None:
        return rule.description
    ruleset, key = marker.address
    if marker.copy:
        key += "~next"
    line = f"{MARKER_OPENING}{marker.owner}/{ruleset}/{key}#{marker.digest}]"
    return f"{rule.description}\n{line}" if rule.description else line


def find_foreign_marker(description: str) -> str:
    """Return the marker of another tool, a last line such as `[tool:workspace/rule@4]`, or an empty
    text.
    """
    match = _FOREIGN_MARKER.search(description)
    return "" if match is None or match[1].startswith(MARKER_OPENING) else match[1]


def copy_name(owner: str, address: Address) -> str:
    """Return the name of the temporary copy of a rule (ownership "Temporary copies")."""
    return f"(next) {owner}/{address}"


def fingerprint(rule: Rule) -> str:
    """Return the SHA-256, in hex, of the fields that cxroute writes."""
    return sha256(canonical_json(rule).encode()).hexdigest()


def marker_digest(rule: Rule) -> str:
    """Return the digest of a marker: the first 8 digits of the fingerprint."""
    return fingerprint(rule)[:8]
