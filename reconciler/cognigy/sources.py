"""Reads a bot from a folder of the Cognigy CLI, from exported intents, or from the API, with GET requests only."""

from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from reconciler.cognigy.bot import (
    Bot,
    BotError,
    BotIntent,
    LookupCase,
    merge_bot,
    parse_cases,
    parse_intents,
    require_named,
)
from reconciler.rest.client import ListPage, Purpose, RestClient, RestDialect, RestResponse
from reconciler.text.escape import quote_name, sanitize
from reconciler.text.files import MIB, read_file
from reconciler.text.json_values import STRICT_DECODER, as_object, as_text

_MAX_BYTES: Final = 32 * MIB  # of one file; intents have many example sentences
_MAX_FILES: Final = 2_000  # flows of a folder, times locales
_PAGE: Final = 100  # items of a page, the most that the API sends


def read_bot(path: Path) -> Bot:
    """Return the bot of a folder or a file. Raises BotError."""
    place = sanitize(str(path))
    try:
        is_folder = path.is_dir()
    except OSError as error:  # in a folder without permission
        raise BotError(f"cannot read {place}: {error.strerror}") from None
    if not is_folder:
        return merge_bot(parse_intents(_read_json(path, path), place))
    root = next((each for each in (path / "agent/flows", path / "flows") if each.is_dir()), path)
    files = list(islice(root.glob("*/*/intents.json"), _MAX_FILES + 1))
    if not 0 < len(files) <= _MAX_FILES:
        advice = "name a folder of the Cognigy CLI, with agent/flows/FLOW/LOCALE/intents.json"
        raise BotError(f"{place} has {'too many' if files else 'no'} files with intents; {advice}")
    listed = root / "locales.json"
    locales = parse_locales(_read_json(listed, root), sanitize(str(listed))) if listed.exists() else {}
    ranks = {name: rank for rank, name in enumerate(locales)}
    intents: list[BotIntent] = []
    cases: list[LookupCase] = []
    for flow, _, locale in sorted(
        (file.parts[-3], ranks.get(file.parts[-2], len(ranks)), file.parts[-2]) for file in files
    ):
        folder = root / flow / locale
        intents += parse_intents(_read_json(folder / "intents.json", root), sanitize(str(folder / "intents.json")))
        chart = folder / "chart.json"
        if chart.exists():
            cases += parse_cases(_read_json(chart, root), flow, sanitize(str(chart)))
    return merge_bot(intents, cases)


def parse_locales(payload: object, place: str) -> dict[str, str]:
    """Return the ids of a project's locales by name, the primary one first. Raises BotError."""
    message = f"{place}: not a list of locales with names; pull the flows again with the Cognigy CLI"
    ordered = sorted(require_named(payload, message), key=lambda item: (item.get("primary") is not True, item["name"]))
    return {item["name"]: str(item.get("_id") or "") for item in ordered}


def read_limited(path: Path, limit: int) -> bytes:
    """Return the bytes of a file of at most `limit` bytes. Raises BotError."""
    try:
        return read_file(path, limit)
    except OSError as error:
        raise BotError(f"cannot read {sanitize(str(path))}: {error.strerror}") from None


def _read_json(path: Path, root: Path) -> Any:  # noqa: ANN401 - any JSON
    place = sanitize(str(path))
    try:
        if path != root and not path.resolve().is_relative_to(root.resolve()):
            raise BotError(f"{place} is a link that leaves the folder; copy the file instead")
        return STRICT_DECODER.decode(read_limited(path, _MAX_BYTES).decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise BotError(f"{place} is not JSON in UTF-8; export it again") from None


def page_by_cursor(response: RestResponse, payload: object) -> ListPage:
    """Return the page of `{items, nextCursor}`: not more items than requested, and a cursor to another page."""
    form = as_object(payload)
    items, cursor = form.get("items"), form.get("nextCursor")
    is_repeated = bool(cursor) and cursor == response.url.params.get("next")
    if not isinstance(items, list) or len(items) > _PAGE or not isinstance(cursor, str | None) or is_repeated:
        return ListPage(None, None)
    return ListPage(items, str(response.url.copy_set_param("next", cursor)) if cursor else None)


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
    listed = _list(client, "/locales", fields, Purpose("list the locales", "project"))
    locales = parse_locales(listed, "the list of locales")
    intents: list[BotIntent] = []
    for flow in sorted(flows, key=lambda item: as_text(item.get("name"))):
        place = f"the intents of flow {quote_name(as_text(flow.get('name')))}"
        for locale in locales.values():
            fields = {"includeChildren": "true", "preferredLocaleId": locale}
            path = f"/flows/{quote(as_text(flow.get('_id')), safe='')}/intents"
            intents += parse_intents(_list(client, path, fields, Purpose(f"list {place}", "flow")), place)
    return merge_bot(intents)


def _list(client: RestClient, path: str, fields: dict[str, str], purpose: Purpose) -> list[dict[str, Any]]:
    return list(client.pages(f"{path}?{urlencode({**fields, 'limit': _PAGE})}", purpose))
