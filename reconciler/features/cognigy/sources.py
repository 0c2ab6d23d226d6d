"""Reads a bot from a folder of the Cognigy CLI, from exported intents, or from the API, with GET
requests only.
"""

import os
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from reconciler.core.text.escape import quote_name, sanitize
from reconciler.core.text.files import MIB, read_file
from reconciler.core.text.json_values import (
    STRICT_DECODER,
    as_object,
    as_text,
    list_objects,
    text_at,
)
from reconciler.features.cognigy.bot import (
    Bot,
    BotError,
    BotIntent,
    LookupCase,
    merge_bot,
)
from reconciler.rest.client import (
    ListPage,
    Purpose,
    RestClient,
    RestDialect,
    RestResponse,
)

_MAX_BYTES: Final = 32 * MIB  # of one file; intents have many example sentences
_MAX_FILES: Final = 2_000  # flows of a folder, times locales
_MAX_NAME: Final = 256  # characters, as the endpoint accepts
_MAX_LABEL: Final = 97  # characters before the `...` of a cut label
_PAGE: Final = 100  # items of a page, the most that the API sends


def read_bot(path: Path) -> Bot:
    """Return the bot of a folder or a file. Raises BotError."""
    if not os.path.isdir(path):  # noqa: PTH112 - `Path.is_dir` raises an error in a folder without permission
        return merge_bot(_parse_intents(*_read_json(path, path)))
    folders = (path / "agent/flows", path / "flows")
    root = next((folder for folder in folders if folder.is_dir()), path)
    intents: list[BotIntent] = []
    cases: list[LookupCase] = []
    for flow, file in _list_flow_files(path, root):
        intents += _parse_intents(*_read_json(file, root))
        chart = file.with_name("chart.json")
        if chart.exists():
            cases += _parse_cases(*_read_json(chart, root), flow)
    return merge_bot(intents, cases)


def _list_flow_files(path: Path, root: Path) -> list[tuple[str, Path]]:
    """Return each flow with a file of its intents: by flow, then by the order of the locales.

    Raises BotError.
    """
    # As a pattern it also finds a link to nothing: its intents must not count as removed.
    files = list(islice(root.glob("*/*/intents.jso[n]"), _MAX_FILES + 1))
    if not 0 < len(files) <= _MAX_FILES:
        count = "too many" if files else "no"
        advice = "name a folder of the Cognigy CLI, with agent/flows/FLOW/LOCALE/intents.json"
        raise BotError(
            f"{sanitize(str(path))} has {count} files with intents; {advice}"
        )
    locales_file = root / "locales.json"
    locales: dict[str, str] = {}
    if locales_file.exists():
        locales = _parse_locales(*_read_json(locales_file, root))
    ranks = {name: rank for rank, name in enumerate(locales)}

    keyed = []
    for file in files:
        flow, locale, _ = file.parts[-3:]
        keyed.append((flow, ranks.get(locale, len(ranks)), locale, file))
    return [(flow, file) for flow, _, _, file in sorted(keyed)]


def read_limited(path: Path, limit: int) -> bytes:
    """Return the bytes of a file of at most `limit` bytes. Raises BotError."""
    try:
        return read_file(path, limit)
    except OSError as error:
        raise BotError(f"cannot read {sanitize(str(path))}: {error.strerror}") from None


def _read_json(path: Path, root: Path) -> tuple[Any, str]:
    """Return a file's JSON, and its path for messages. Raises BotError."""
    place = sanitize(str(path))
    try:
        if path != root and not path.resolve().is_relative_to(root.resolve()):
            raise BotError(
                f"{place} is a link that leaves the folder; copy the file instead"
            )
        text = read_limited(path, _MAX_BYTES).decode("utf-8-sig")
        return STRICT_DECODER.decode(text), place
    except (ValueError, RecursionError):
        raise BotError(f"{place} is not JSON in UTF-8; export it again") from None


def _parse_intents(payload: object, place: str) -> list[BotIntent]:
    """Return the intents of one flow and locale, as the API and the exported files hold them.

    Raises BotError.
    """
    items = _require_named(
        payload,
        f"{place}: not a list of intents with names; export the flow's intents as JSON",
    )
    names = {}
    for item in items:
        for field in ("_id", "referenceId"):
            names[as_text(item.get(field))] = item["name"]
    return [_parse_intent(item, names) for item in items]


def _require_named(payload: object, message: str) -> list[dict[str, Any]]:
    """Return a list of objects, each with a name. Raises BotError with the message."""
    if not isinstance(payload, list):
        raise BotError(message)
    for item in payload:
        name = as_object(item).get("name")
        if not isinstance(name, str):
            raise BotError(message)
    return payload


def _parse_intent(item: dict[str, Any], names: dict[str, str]) -> BotIntent:
    """Return an intent; `names` are the names of its flow's intents by id."""
    name = item["name"]
    exclusion = ""
    if item.get("isDisabled") is True:
        exclusion = "disabled"
    elif item.get("isRejectIntent") is True:
        exclusion = "reject"
    elif not name.strip() or len(name) > _MAX_NAME or _encodable(name) != name:
        exclusion = "unusable name"

    description = as_text(item.get("description"))
    label = sanitize(" ".join(description.split()), _MAX_LABEL)
    # The API names the parent by its id, which may be unknown; an exported file by its name.
    parent = as_text(item.get("parent") or item.get("parentIntentId"))
    above = ""
    if parent:
        above = names.get(parent, parent if "parent" in item else "")
    reference = as_text(item.get("referenceId"))
    return BotIntent(name, label, _encodable(above), _encodable(reference), exclusion)


def _encodable(text: str) -> str:
    """Return the text with `?` for the unpaired surrogates that JSON can hold and a file cannot."""
    return text.encode("utf-8", "replace").decode()


def _parse_cases(payload: object, place: str, flow: str) -> list[LookupCase]:
    """Return the cases of the Lookup nodes on the intent in a flow's chart. Raises BotError."""
    chart = as_object(payload)
    if not isinstance(chart.get("nodes"), list):
        raise BotError(
            f"{place}: not a chart with nodes; pull the flow again with the Cognigy CLI"
        )
    nodes = {text_at(node, "_id"): node for node in list_objects(chart, "nodes")}
    cases = []
    for relation in list_objects(chart, "relations"):
        lookup = nodes.get(text_at(relation, "node"), {})
        is_on_intent = (
            lookup.get("type") == "switch"
            and text_at(lookup, "config", "switch", "type") == "intent"
        )
        children = relation.get("children")
        if not is_on_intent or not isinstance(children, list):
            continue
        if lookup.get("isDisabled") is True:
            continue
        for child in children:
            case = nodes.get(as_text(child), {})
            intent = text_at(case, "config", "case", "value")
            if case.get("type") == "case" and intent:
                cases.append(LookupCase(_encodable(intent), flow))
    return cases


def _parse_locales(payload: object, place: str) -> dict[str, str]:
    """Return the ids of a project's locales by name, the primary one first. Raises BotError."""
    message = (
        f"{place}: not a list of locales with names; pull the flows again with the Cognigy "
        f"CLI"
    )
    ordered = sorted(
        _require_named(payload, message),
        key=lambda item: (item.get("primary") is not True, item["name"]),
    )
    return {item["name"]: str(item.get("_id") or "") for item in ordered}


def page_by_cursor(response: RestResponse, payload: object) -> ListPage:
    """Return the page of `{items, nextCursor}`: not more items than requested, and a cursor to
    another page.
    """
    form = as_object(payload)
    items = form.get("items")
    cursor = form.get("nextCursor")
    is_repeated = bool(cursor) and cursor == response.url.params.get("next")
    if (
        not isinstance(items, list)
        or len(items) > _PAGE
        or not isinstance(cursor, str | None)
        or is_repeated
    ):
        return ListPage(None, None)
    if not cursor:
        return ListPage(items, None)
    return ListPage(items, str(response.url.copy_set_param("next", cursor)))


DIALECT: Final = RestDialect(
    name="Cognigy",
    token_variable="COGNIGY_API_KEY",  # noqa: S106 - the name of a variable
    permission_advice="the user of the key needs access to the {}",
    missing_advice="check --project and --url (/v2.0 or /new/v2.0); the user of the key needs access to the {}",
    headers={"Accept": "application/json"},
    token_header=("X-API-Key", "{}"),
    page=page_by_cursor,
)


def read_project(client: RestClient, project: str) -> Bot:
    """Return the bot of a project. Raises RestError and BotError."""
    fields = {"projectId": project}
    flows = _list(client, "/flows", fields, Purpose("list the flows", "project"))
    items = _list(client, "/locales", fields, Purpose("list the locales", "project"))
    locales = _parse_locales(items, "the list of locales")
    intents: list[BotIntent] = []
    for flow in sorted(flows, key=lambda item: as_text(item.get("name"))):
        place = f"the intents of flow {quote_name(as_text(flow.get('name')))}"
        purpose = Purpose(f"list {place}", "flow")
        flow_id = quote(as_text(flow.get("_id")), safe="")
        path = f"/flows/{flow_id}/intents"
        for locale in locales.values():
            fields = {"includeChildren": "true", "preferredLocaleId": locale}
            items = _list(client, path, fields, purpose)
            intents += _parse_intents(items, place)
    return merge_bot(intents)


def _list(
    client: RestClient,
    path: str,
    fields: dict[str, str],
    purpose: Purpose,
) -> list[dict[str, Any]]:
    query = urlencode({**fields, "limit": _PAGE})
    return list(client.pages(f"{path}?{query}", purpose))
