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
    exclusion: str = ""  # why it never arrives at the endpoint: "disabled", "reject"; "" if it does


class LookupCase(NamedTuple):
    """A case of a Lookup node on the intent: the flow itself decides for this intent."""

    intent: str
    flow: str


class Bot(NamedTuple):
    """A bot's intents by name: those that can arrive, and those that are left out."""

    intents: tuple[BotIntent, ...]
    excluded: tuple[BotIntent, ...] = ()
    cases: tuple[LookupCase, ...] = ()
    relabelled: tuple[str, ...] = ()  # intents with several descriptions, of which the first is the label

    @property
    def names(self) -> dict[str, None]:
        """Return the names of the intents that can arrive, in order."""
        return dict.fromkeys(intent.name for intent in self.intents)

    @property
    def names_by_id(self) -> dict[str, str]:
        """Return the names of the intents that have a reference id."""
        return {intent.id: intent.name for intent in self.intents if intent.id}


def sort_key(name: str) -> tuple[str, str]:
    """Return the key of the order of intents: by letter, and upper case first."""
    return name.casefold(), name


def merge_bot(intents: Iterable[BotIntent], cases: Iterable[LookupCase]) -> Bot:
    """Return the bot of the intents of all flows and locales, the primary locale first. Raises BotError."""
    by_name: dict[str, BotIntent] = {}
    relabelled: set[str] = set()
    for intent in intents:
        first = by_name.get(intent.name, intent)
        if first.label and intent.label and first.label != intent.label:
            relabelled.add(intent.name)
        label, parent, id_ = (first[at] or intent[at] for at in (1, 2, 3))
        exclusion = first.exclusion and intent.exclusion  # one that is enabled somewhere can arrive
        by_name[intent.name] = BotIntent(intent.name, label, parent, id_, exclusion)
    if len(by_name) > MAX_INTENTS:
        raise BotError(f"the bot has more than {MAX_INTENTS:,} intents; check the source")
    merged = sorted(by_name.values(), key=lambda intent: sort_key(intent.name))
    included = tuple(intent for intent in merged if not intent.exclusion)
    if not included:
        raise BotError("the bot has no intents; check the source, and --locale")
    excluded = tuple(intent for intent in merged if intent.exclusion)
    return Bot(included, excluded, tuple(dict.fromkeys(cases)), tuple(sorted(relabelled & {*by_name})))


def parse_intents(payload: object, place: str) -> list[BotIntent]:
    """Return the intents of one flow and locale, as the API and the exported files hold them. Raises BotError."""
    items = payload if isinstance(payload, list) else None
    if items is None or not all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in items):
        raise BotError(f"{place}: not a list of intents with names; export the intents of a flow as JSON")
    names = {
        item[field]: item["name"] for item in items for field in ("_id", "referenceId") if as_text(item.get(field))
    }
    return [_parse_intent(item, names) for item in items]


def _parse_intent(item: dict[str, Any], names: dict[str, str]) -> BotIntent:
    """Return an intent; `names` are the names of its flow's intents by id."""
    name, parent = item["name"], as_text(item.get("parent"))
    states = {"disabled": item.get("isDisabled") is True, "reject": item.get("isRejectIntent") is True}
    states["without a name"] = not name.strip()
    states[f"longer than {_MAX_NAME} characters"] = len(name) > _MAX_NAME
    states["not valid text"] = not _is_text(name)
    label = sanitize(" ".join(as_text(item.get("description")).split()), _MAX_LABEL)
    above = names.get(as_text(item.get("parentIntentId"))) or names.get(parent, parent)
    reference = as_text(item.get("referenceId"))
    return BotIntent(
        name=name,
        label=label,
        parent=above if _is_text(above) else "",
        id=reference if _is_text(reference) else "",
        exclusion=next((state for state, holds in states.items() if holds), ""),
    )


def _is_text(text: str) -> bool:
    """Return whether a text can be written: without the unpaired surrogates that JSON can hold."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def parse_cases(payload: object, flow: str, place: str) -> list[LookupCase]:
    """Return the cases of the Lookup nodes on the intent in a flow's chart. Raises BotError."""
    if not isinstance(payload, dict) or not isinstance(payload.get("nodes"), list):
        raise BotError(f"{place}: not a chart with nodes; pull the flow again with the Cognigy CLI")
    nodes = {as_text(node.get("_id")): node for node in list_objects(payload, "nodes")}
    lookups = [name for name, node in nodes.items() if name and _is_lookup(node)]
    children = {as_text(each.get("node")): each.get("children") for each in list_objects(payload, "relations")}
    cases = []
    for name in lookups:
        below = children.get(name)
        for child in below if isinstance(below, list) else ():
            node = as_object(nodes.get(as_text(child)))
            intent = as_object(as_object(node.get("config")).get("case")).get("value")
            if node.get("type") == "case" and isinstance(intent, str) and intent and _is_text(intent):
                cases.append(LookupCase(intent, flow))
    return cases


def _is_lookup(node: dict[str, Any]) -> bool:
    switch = as_object(as_object(node.get("config")).get("switch"))
    return node.get("type") == "switch" and switch.get("type") == "intent" and node.get("isDisabled") is not True
