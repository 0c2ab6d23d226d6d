"""A bot: its intents of all flows and locales, each name once, and the Lookup cases that decide in the flow."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from reconciler.errors import CxrouteError
from reconciler.text.escape import sanitize
from reconciler.text.json_values import as_object, as_text, list_objects

MAX_INTENTS: Final = 10_000  # of one bot
_MAX_NAME: Final = 256  # characters, as the endpoint accepts
_MAX_LABEL: Final = 97  # characters before the `...` of a cut label


class BotError(CxrouteError, kind="Bot"):
    """A bot cannot be read: the message names the file or the call, the problem and the fix."""


class BotIntent(NamedTuple):
    """An intent; "" stands for a missing text."""

    name: str
    label: str = ""  # its description on one line
    parent: str = ""  # the name of the intent above it
    id: str = ""  # its reference id, which stays when the intent is renamed
    exclusion: str = ""  # why it never arrives: "disabled", "reject", "unusable name"; "" if it does


class LookupCase(NamedTuple):
    """A case of a Lookup node on the intent: the flow itself decides for this intent."""

    intent: str
    flow: str


class Bot(NamedTuple):
    """A bot's intents in order: those that can arrive, by name, and those that are left out."""

    intents: dict[str, BotIntent]
    excluded: list[BotIntent]
    cases: list[LookupCase]

    @property
    def names_by_id(self) -> dict[str, str]:
        """Return the names of the intents that have a reference id."""
        return {intent.id: intent.name for intent in self.intents.values() if intent.id}


def sort_key(name: str) -> tuple[str, str]:
    """Return the key of the order of intents: by letter, and upper case first."""
    return name.casefold(), name


def merge_bot(intents: Iterable[BotIntent], cases: Iterable[LookupCase] = ()) -> Bot:
    """Return the bot of the intents of all flows and locales, the primary locale first. Raises BotError."""
    by_name: dict[str, BotIntent] = {}
    for intent in intents:
        first = by_name.get(intent.name, intent)
        label, parent, reference = (first[at] or intent[at] for at in (1, 2, 3))
        # An intent that is enabled in one place can arrive.
        by_name[intent.name] = BotIntent(intent.name, label, parent, reference, first.exclusion and intent.exclusion)
    merged = [by_name[name] for name in sorted(by_name, key=sort_key)]
    included = {intent.name: intent for intent in merged if not intent.exclusion}
    if not 0 < len(included) <= MAX_INTENTS:
        raise BotError(f"the bot has {len(included):,} intents, not 1 to {MAX_INTENTS:,}; check the source")
    return Bot(included, [each for each in merged if each.exclusion], list(dict.fromkeys(cases)))


def parse_intents(payload: object, place: str) -> list[BotIntent]:
    """Return the intents of one flow and locale, as the API and the exported files hold them. Raises BotError."""
    items = require_named(payload, f"{place}: not a list of intents with names; export the flow's intents as JSON")
    names = {as_text(item.get(field)): item["name"] for item in items for field in ("_id", "referenceId")}
    return [_parse_intent(item, names) for item in items]


def require_named(payload: object, message: str) -> list[dict[str, Any]]:
    """Return a list of objects, each with a name. Raises BotError with the message."""
    items: list[Any] = payload if isinstance(payload, list) else [None]
    if not all(isinstance(as_object(item).get("name"), str) for item in items):
        raise BotError(message)
    return items


def _parse_intent(item: dict[str, Any], names: dict[str, str]) -> BotIntent:
    """Return an intent; `names` are the names of its flow's intents by id."""
    name, parent = item["name"], as_text(item.get("parent") or item.get("parentIntentId"))
    unusable = not name.strip() or len(name) > _MAX_NAME or _encodable(name) != name
    exclusions = (("disabled", "isDisabled"), ("reject", "isRejectIntent"))
    exclusion = next((word for word, field in exclusions if item.get(field) is True), "unusable name" * unusable)
    label = sanitize(" ".join(as_text(item.get("description")).split()), _MAX_LABEL)
    # The API names the parent by its id, which may be unknown; an exported file by its name.
    above = names.get(parent, parent if "parent" in item else "") if parent else ""
    return BotIntent(name, label, _encodable(above), _encodable(as_text(item.get("referenceId"))), exclusion)


def _encodable(text: str) -> str:
    """Return the text with `?` for the unpaired surrogates that JSON can hold and a file cannot."""
    return text.encode("utf-8", "replace").decode()


def parse_cases(payload: object, flow: str, place: str) -> list[LookupCase]:
    """Return the cases of the Lookup nodes on the intent in a flow's chart. Raises BotError."""
    chart = as_object(payload)
    if not isinstance(chart.get("nodes"), list):
        raise BotError(f"{place}: not a chart with nodes; pull the flow again with the Cognigy CLI")
    nodes = {as_text(node.get("_id")): node for node in list_objects(chart, "nodes")}
    cases = []
    for relation in list_objects(chart, "relations"):
        lookup, below = as_object(nodes.get(as_text(relation.get("node")))), relation.get("children")
        if _part(lookup, "switch").get("type") != "intent" or lookup.get("isDisabled") is True:
            continue
        for child in below if isinstance(below, list) else ():
            intent = as_text(_part(as_object(nodes.get(as_text(child))), "case").get("value"))
            cases += [LookupCase(_encodable(intent), flow)] if intent else []
    return cases


def _part(node: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the settings of a node that has the type `name`."""
    return as_object(as_object(node.get("config")).get(name)) if node.get("type") == name else {}
