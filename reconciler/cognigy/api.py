"""Reads a bot from Cognigy's REST API, with GET requests only."""

from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

from reconciler.cognigy.bot import MAX_INTENTS, Bot, BotError, BotIntent, merge_bot, parse_intents
from reconciler.cognigy.files import parse_locales
from reconciler.rest.client import ListPage, Purpose, RestClient, RestDialect, RestResponse
from reconciler.text.escape import quote_name
from reconciler.text.json_values import as_object, as_text

KEY_VARIABLE: Final = "COGNIGY_API_KEY"
_PAGE: Final = 100  # items of a page, the most that the API sends
_MAX_FLOWS: Final = 2_000


def page_by_cursor(response: RestResponse, payload: object) -> ListPage:
    """Return the page of `{items, nextCursor}`; a cursor that leads to the same page is not a page."""
    form = as_object(payload)
    items, cursor = form.get("items"), form.get("nextCursor")
    is_repeated = bool(cursor) and cursor == response.url.params.get("next")
    if not isinstance(items, list) or not isinstance(cursor, str | None) or is_repeated:
        return ListPage(None, None)
    return ListPage(items, str(response.url.copy_set_param("next", cursor)) if cursor else None)


DIALECT: Final = RestDialect(
    name="Cognigy",
    token_variable=KEY_VARIABLE,
    permission_advice="the user of the key needs access to the {}",
    missing_advice="check --project and --url (/v2.0 or /new/v2.0); the user of the key needs access to the {}",
    headers={"Accept": "application/json"},
    page=page_by_cursor,
)


def read_project(client: RestClient, project: str, locale: str | None) -> Bot:
    """Return the bot of a project; `locale` selects one. Raises RestError and BotError."""
    own = {"projectId": project}
    flows = _list(client, "/flows", own, Purpose("list the flows", "project"), _MAX_FLOWS)
    listed = _list(client, "/locales", own, Purpose("list the locales", "project"), _MAX_FLOWS)
    locales = parse_locales(listed, "the list of locales", locale)
    if not all(_is_id(item.get("_id")) and isinstance(item.get("name"), str) for item in flows):
        raise BotError("the list of flows: a flow has no id or no name; check --url")
    intents: list[BotIntent] = []
    for flow in sorted(flows, key=lambda item: str(item["name"])):
        for each in locales:
            place = f"the intents of flow {quote_name(flow['name'])}"
            fields = {"includeChildren": "true", "preferredLocaleId": each.id}
            purpose = Purpose(f"list {place}", "flow")
            path = f"/flows/{flow['_id']}/intents"
            intents += parse_intents(_list(client, path, fields, purpose, MAX_INTENTS), place)
    return merge_bot(intents, ())


def _list(client: RestClient, path: str, fields: dict[str, str], purpose: Purpose, limit: int) -> list[dict[str, Any]]:
    query = urlencode({**fields, "limit": _PAGE})
    items = list(islice(client.pages(f"{path}?{query}", purpose), limit + 1))
    if len(items) > limit:
        raise BotError(f"cannot {purpose.task}: there are more than {limit:,}")
    return items


def _is_id(value: object) -> bool:
    """Return whether a value can be a part of a path."""
    text = as_text(value)
    return text.isascii() and text.replace("-", "").isalnum()
