"""What a tenant says of the places where contacts begin: points of contact, and digital channels.

The calls and the names of their fields are from third parties, who have them from NICE's files; the
shape around the records is not known, so records are found by their fields.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from reconciler.core.text.escape import MAX_NAME_LENGTH, sanitize

POINTS_OF_CONTACT: Final = "points-of-contact"
CHANNELS_PATH: Final = "/dfo/3.0/channels"
_MAX_DEPTH: Final = 3  # of lists and objects around the records
_POINT: Final = "point of contact"
_CHANNEL: Final = "channel"


class EntryPoint(NamedTuple):
    """A place where contacts begin, and the script that they run first; an empty text for an
    unknown part.
    """

    kind: str
    address: str
    script: str
    skill: str  # the id of its default skill

    @property
    def is_digital(self) -> bool:
        """Return whether its contacts are digital."""
        return self.kind == _CHANNEL


def parse_points(payload: object) -> list[EntryPoint]:
    """Return the active points of contact in a response."""
    return list(_parse(payload, _POINT))


def parse_channels(payload: object) -> list[EntryPoint]:
    """Return the active channels in a response."""
    return list(_parse(payload, _CHANNEL))


def _parse(payload: object, kind: str) -> Iterator[EntryPoint]:
    script_field, address_fields = {
        _POINT: ("scriptName", ("contactAddress", "contactDescription")),
        _CHANNEL: ("studioScript", ("name", "id")),
    }[kind]
    for record in find_records(payload, script_field):
        if record.get("isActive", True) in (False, "false", "False"):
            continue
        addresses = (record.get(name) for name in address_fields)
        address = next(filter(None, map(_text, addresses)), "")
        script = _script_name(record[script_field])
        skill = _text(record.get("defaultSkillId"))
        yield EntryPoint(kind, address, script, skill)


def find_records(
    payload: object, field: str, depth: int = _MAX_DEPTH
) -> Iterator[Mapping[str, Any]]:
    """Yield the objects in JSON that have a field, wherever lists and objects hold them."""
    if isinstance(payload, dict):
        if field in payload:
            yield payload
            return
        payload = list(payload.values())
    if depth and isinstance(payload, list):
        for part in payload:
            yield from find_records(part, field, depth - 1)


def _script_name(value: object) -> str:
    """Return the name of a script that a field holds as a text, or in an object."""
    if isinstance(value, dict):
        value = value.get("scriptName") or value.get("path") or value.get("name")
    return _text(value)


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return sanitize(str(value), MAX_NAME_LENGTH)
