"""The distinct parts of the rules on the page of `cxroute explore`: the page's data name each by
its position.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from reconciler.core.behaviour.routing_entry import Destination
from reconciler.core.model.finding import Document
from reconciler.core.model.rule import Condition, Opaque, Source, to_api_json
from reconciler.core.plan.words import destination_phrase, target_name
from reconciler.render.escape_markdown import unquote
from reconciler.render.provenance import SourceLinks
from reconciler.render.text.explain import destination_form

# larger integers are texts in the data, because a number would be rounded
_MAX_SAFE_INTEGER: Final = 2**53 - 1


class PageTables:
    """The tables of distinct conditions, destinations and files."""

    def __init__(
        self,
        attributes: Sequence[str],
        queues: Mapping[str, str],
        links: SourceLinks,
    ) -> None:
        self.attributes = [*attributes]
        """The attributes of the page's columns, and behind them others that conditions test."""
        self._queues = queues
        self._links = links
        self._tables: dict[str, dict[str, int]] = {
            "conditions": {},
            "destinations": {},
            "files": {},
        }

    def condition(self, part: Condition | Opaque) -> int:
        """Return the position of a condition."""
        if isinstance(part, Opaque):
            return self._position("conditions", [None, None, encode(to_api_json(part))])
        if part.attribute not in self.attributes:
            self.attributes.append(part.attribute)
        attribute = self.attributes.index(part.attribute)
        return self._position(
            "conditions", [attribute, part.operator, encode(part.raw_value)]
        )

    def destination(self, destination: Destination) -> int:
        """Return the position of a destination: as JSON, in words, and the words for each queue."""
        form = destination_form(destination, self._queues)
        phrase = destination_phrase(destination, self._queues)
        queues = [
            unquote(target_name(queue, self._queues)) for queue, _ in destination or ()
        ]
        return self._position("destinations", [form, phrase, queues])

    def file(self, source: Source) -> int:
        """Return the position of a file: its name, and its link without the line."""
        link = self._links.link(source._replace(line=0)).removesuffix("0")
        return self._position("files", [source.file, link])

    def to_json(self) -> Document:
        """Return the tables."""
        return {
            name: list(map(json.loads, table)) for name, table in self._tables.items()
        }

    def _position(self, name: str, form: Sequence[Any]) -> int:
        table = self._tables[name]
        return table.setdefault(json.dumps(form), len(table))


def encode(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return JSON from which the page's script gets exactly the value: large integers are marked
    texts.
    """
    if isinstance(value, list | tuple):
        return list(map(encode, value))
    if isinstance(value, dict):
        return {"object": {name: encode(part) for name, part in value.items()}}
    return (
        {"big": str(value)}
        if type(value) is int and abs(value) > _MAX_SAFE_INTEGER
        else value
    )
