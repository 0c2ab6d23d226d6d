"""Reads a bot from Cognigy's REST API, with GET requests only."""

from itertools import islice
from typing import Any, Final
from urllib.parse import quote, urlencode

from reconciler.cognigy.bot import MAX_INTENTS, Bot, BotError, BotIntent, merge_bot, parse_intents
from reconciler.cognigy.files import choose_locales, parse_locales
from reconciler.rest.client import ListPage, Purpose, RestClient, RestDialect, RestResponse
from reconciler.text.escape import quote_name
from reconciler.text.json_values import as_object, as_text

_PAGE: Final = 100  # items of a page, the most that the API sends


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
    token_variable="COGNIGY_API_KEY",  # noqa: S106 - the name of a variable
    permission_advice="the user of the key needs access to the {}",
    missing_advice="check --project and --url (/v2.0 or /new/v2.0); the user of the key needs access to the {}",
    headers={"Accept": "application/json"},
    page=page_by_cursor,
)


def read_project(client: RestClient, project: str, locale: str | None) -> Bot:
    """Return the bot of a project; `locale` selects one. Raises RestError and BotError."""
    fields = {"projectId": project}
    flows = _list(client, "/flows", fields, Purpose("list the flows", "project"))
    listed = _list(client, "/locales", fields, Purpose("list the locales", "project"))
    locales = parse_locales(listed, "the list of locales")
    chosen = choose_locales([*locales], locale)
    intents: list[BotIntent] = []
    for flow in sorted(flows, key=lambda item: as_text(item.get("name"))):
        place = f"the intents of flow {quote_name(as_text(flow.get('name')))}"
        for name in chosen:
            fields = {"includeChildren": "true", "preferredLocaleId": locales[name]}
            path = f"/flows/{quote(as_text(flow.get('_id')), safe='')}/intents"
            intents += parse_intents(_list(client, path, fields, Purpose(f"list {place}", "flow")), place)
    return merge_bot(intents)


def _list(client: RestClient, path: str, fields: dict[str, str], purpose: Purpose) -> list[dict[str, Any]]:
    items = list(islice(client.pages(f"{path}?{urlencode({**fields, 'limit': _PAGE})}", purpose), MAX_INTENTS + 1))
    if len(items) > MAX_INTENTS:
        raise BotError(f"cannot {purpose.task}: there are more than {MAX_INTENTS:,}")
    return items
