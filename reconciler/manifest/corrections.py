"""The corrected text of an entry with an ordinary mistake, each one proven by the model of its field."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError

from reconciler.manifest.model_paths import models_at
from reconciler.manifest.source_map import PathStep, SourceMap
from reconciler.manifest.yaml_writer import format_pair
from reconciler.model.rule import JSON_NUMBER, parse_number
from reconciler.text.escape import is_visible

Json = Any

_MAX_LENGTH: Final = 160  # characters of a corrected entry; a message shows no longer one
_MAX_PERCENT: Final = 100
_WORDS: Final[dict[str, bool]] = {
    **dict.fromkeys(("yes", "on", "true", "y"), True),
    **dict.fromkeys(("no", "off", "false", "n"), False),
}
_TYPES: Final[dict[str, str]] = {
    **dict.fromkeys(("string", "str"), "text"),
    **dict.fromkeys(("int", "integer", "float", "double", "numeric"), "number"),
    "bool": "boolean",
}
_SYNONYMS: Final[dict[str, tuple[str, ...]]] = {
    "disabled": ("enabled",),
    **dict.fromkeys(("then", "output"), ("expect", "queue")),
    **dict.fromkeys(("when", "input"), ("given",)),
    "if": ("given", "for", "when"),
    **dict.fromkeys(("skill", "to", "destination"), ("queue",)),
}
"""A field's name in other programs -> the names of fields that it may mean here."""
_NUMBER_TEXT: Final = re.compile(
    r"\s*+(?:>=|=>|==|=|<=|<|>|≥|≤)?\s*+([-+]?(?:[0-9]++(?:[.,][0-9]++)?|[.,][0-9]++))\s*+(%?)\s*+", re.ASCII
)
_NOT_IN_SLUGS: Final = re.compile("[^a-z0-9]+", re.ASCII)
_ENTRY_TEXT: Final = re.compile(r"([A-Za-z]+)(?:\s*=\s*|\s*:\s*|\s+)(\S.*)")


class _Entry(NamedTuple):
    """A field's name and its value."""

    name: str
    value: Json


def corrected_entry(kind: type[BaseModel], source_map: SourceMap, path: Sequence[PathStep], start: int = 0) -> str:
    """Return `name: value` as the field at a path, or the nearest one above it, should be; "" if unknown.

    The model describes the values from `start` steps of the path on.
    """
    steps = [*path]
    while len(steps) > start:
        name = steps.pop()
        if isinstance(name, str):
            value = source_map.value([*steps, name])
            if text := _first_valid(kind, steps[start:], _Entry(name, value)):
                return text
    return ""


def corrected_name(kind: type[BaseModel], path: Sequence[PathStep], name: str, value: Json) -> str:
    """Return the entry under another name, also where its value needs another form; "" if unknown."""
    return _first_valid(kind, path, _Entry(name, value), _Entry(name, value))


def translated_entry(kind: type[BaseModel], parents: Sequence[PathStep], name: str, value: Json) -> str:
    """Return the entry for a field of another program, such as `disabled: true`; "" if unknown."""
    for synonym in _SYNONYMS.get(name, ()):
        negated = not value if name == "disabled" and isinstance(value, bool) else value
        if text := corrected_name(kind, parents, synonym, negated):
            return text
    return ""


def extra_attribute(kind: type[BaseModel], parents: Sequence[PathStep], name: str, value: Json) -> str:
    """Return the condition of an attribute that stands among a promise's fields; "" if there is none."""
    if [*parents][-1:] != ["for"] or isinstance(value, (dict, list)) or value is None:
        return ""
    return corrected_name(kind, parents, "when", [{"attribute": name, "equals": value}])


def entry_of_text(kind: type[BaseModel], path: Sequence[PathStep], text: str) -> str:
    """Return the entry that a text without a colon and a blank stands for: `queue=cards`, `queue cards`."""
    match = _ENTRY_TEXT.fullmatch(text)
    if match is None:
        return ""
    name, value = match.groups()
    return corrected_name(kind, path, name, _scalar(value))


def _first_valid(kind: type[BaseModel], parents: Sequence[PathStep], entry: _Entry, *first: _Entry) -> str:
    models = models_at(kind, parents)
    for candidate in (*first, *_candidates(entry)):
        if any(_is_valid(model, candidate) for model in models):
            text = format_pair(candidate.name, candidate.value)
            return text if len(text) <= _MAX_LENGTH and is_visible(text) else ""
    return ""


def _is_valid(model: type[BaseModel], entry: _Entry) -> bool:
    """Return whether a model has the field, and accepts its value."""
    if all(field.alias != entry.name for field in model.model_fields.values()):
        return False
    try:
        model.model_validate({entry.name: entry.value})
    except ValidationError as error:
        return all(details["loc"][:1] != (entry.name,) for details in error.errors(include_url=False))
    return True


def _candidates(entry: _Entry) -> Iterator[_Entry]:
    """Yield what an author may have meant, the most likely first."""
    name, value = entry
    yield from _by_name(name, value)
    for changed in _by_shape(value):
        yield _Entry(name, changed)


def _by_name(name: str, value: Json) -> Iterator[_Entry]:
    """Yield the forms of fields that people write in another way."""
    if forms := _FORMS.get(name):
        yield from forms(name, value)


def _conversations(name: str, value: Json) -> Iterator[_Entry]:
    if isinstance(value, str):
        yield _Entry(name, {"intent": value})
    if isinstance(value, list):
        yield _Entry(name, {"intents": value})


def _given(name: str, value: Json) -> Iterator[_Entry]:
    if isinstance(value, list) and all(map(_is_equality, value)):
        yield _Entry(name, {item["attribute"]: item["equals"] for item in value})
    yield from _conversations(name, value)


def _is_equality(value: Json) -> bool:
    return isinstance(value, dict) and value.keys() == {"attribute", "equals"}


def _rules(name: str, value: Json) -> Iterator[_Entry]:
    """Yield the list of rules for a mapping whose keys are the intents."""
    if isinstance(value, dict) and "queue" not in value:
        yield _Entry(name, list(map(_rule, value.items())))
    if isinstance(value, dict):
        yield _Entry(name, [value])


def _rule(pair: tuple[str, Json]) -> Json:
    intent, fields = pair
    return {"intent": intent, **(fields if isinstance(fields, dict) else {"queue": fields})}


def _attributes(name: str, value: Json) -> Iterator[_Entry]:
    if isinstance(value, list):
        yield _Entry(name, {str(item): {} for item in value})


def _aliases(name: str, value: Json) -> Iterator[_Entry]:
    if isinstance(value, list):
        yield _Entry(name, {str(item): item for item in value})


def _labelled(name: str, value: Json) -> Iterator[_Entry]:
    """Yield the list of a bot's intents for a mapping of names to labels, or to further fields."""
    if isinstance(value, dict):
        yield _Entry(name, [{"name": intent, **_described(entry)} for intent, entry in value.items()])


def _described_values(name: str, value: Json) -> Iterator[_Entry]:
    """Yield the mapping of an attribute's values for a list of mappings, which is the form of intents."""
    if isinstance(value, list) and all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in value):
        yield _Entry(name, {item["name"]: {key: item[key] for key in item if key != "name"} for item in value})


def _described(entry: Json) -> dict[str, Json]:
    """Return the fields of an intent or a value, for which the label alone may stand."""
    return entry if isinstance(entry, dict) else {"label": entry}


def _type(name: str, value: Json) -> Iterator[_Entry]:
    if isinstance(value, str) and value.lower() in _TYPES:
        yield _Entry(name, _TYPES[value.lower()])


def _shares(name: str, value: Json) -> Iterator[_Entry]:
    if isinstance(value, dict):
        yield _Entry(name, {queue: {"least": least} for queue, least in value.items()})
    if isinstance(value, list):
        yield _Entry(name, dict.fromkeys(map(str, value), 1))


def _inside(field: str, kind: type) -> Callable[[str, Json], Iterator[_Entry]]:
    """Return the form of a field whose value was written instead of a mapping with it."""

    def form(name: str, value: Json) -> Iterator[_Entry]:
        if isinstance(value, kind):
            yield _Entry(name, {field: value})

    return form


def _intents(_name: str, value: Json) -> Iterator[_Entry]:
    if isinstance(value, list):
        yield _Entry("intents", value)


def _reason(name: str, value: Json) -> Iterator[_Entry]:
    if isinstance(value, str):
        yield _Entry(name, {value: "the reason"})


def _version(name: str, _value: Json) -> Iterator[_Entry]:
    yield _Entry(name, "routing/v1")


def _targets(_name: str, value: Json) -> Iterator[_Entry]:
    if isinstance(value, str):
        yield _Entry("queue", value)
    if isinstance(value, dict):
        yield _Entry("targets", [value])
        yield _Entry("targets", [_with_number(value)])
        yield _Entry("targets", list(map(_target, value.items())))
    if isinstance(value, list):
        if len(value) == 1 and isinstance(value[0], str):
            yield _Entry("queue", value[0])
        pairs = (item.items() if isinstance(item, dict) and "queue" not in item else [item] for item in value)
        yield _Entry("targets", [_target(pair) for items in pairs for pair in items])


def _target(pair: Json) -> Json:
    """Return a target for `{queue: weight}` or a queue's name."""
    if isinstance(pair, tuple):
        queue, weight = pair
        return {"queue": queue, "weight": _number(weight) if isinstance(weight, str) else weight}
    return _with_number(pair) if isinstance(pair, dict) else {"queue": pair}


def _with_number(target: Mapping[str, Json]) -> Json:
    weight = target.get("weight")
    return {**target, "weight": _number(weight)} if isinstance(weight, str) else dict(target)


def _destinations(name: str, value: Json) -> Iterator[_Entry]:
    if value == "default":
        yield _Entry(name, {"default": True})
    if isinstance(value, str):
        yield _Entry(name, {"queue": value})
    if isinstance(value, list) and len(value) == 1:
        yield _Entry(name, {"queue": value[0]})
    if isinstance(value, list):
        yield _Entry(name, {"split": dict.fromkeys(map(str, value), 1)})
    if isinstance(value, dict):
        yield _Entry(name, {"split": value})


def _queues(name: str, value: Json) -> Iterator[_Entry]:
    if value == "default":
        yield _Entry(name, {"default": True})
    if isinstance(value, str):
        yield _Entry(name, {"queues": [value]})
    if isinstance(value, list):
        yield _Entry(name, {"queues": value})
    if isinstance(value, dict) and isinstance(value.get("queue"), str):
        yield _Entry(name, {"queues": [value["queue"]]})


_FORMS: Final[Mapping[str, Callable[[str, Json], Iterator[_Entry]]]] = {
    "queue": _targets,
    "targets": _targets,
    "intent": _intents,
    "expect": _destinations,
    "always": _queues,
    "never": _queues,
    "given": _given,
    "rules": _rules,
    "attributes": _attributes,
    "queues": _aliases,
    "intents": _labelled,
    "values": _described_values,
    "type": _type,
    "for": _conversations,
    "below": _inside("intent", str),
    "hold": _inside("until", str),
    "deletes": _inside("count", int),
    "changes": _inside("count", int),
    "split": _shares,
    "accept": _reason,
    "apiVersion": _version,
}


def _by_shape(value: Json) -> Iterator[Json]:
    """Yield the value as another type: what it would be without quotes, as a list, as a text."""
    if isinstance(value, str):
        yield from _text_as_value(value)
    elif isinstance(value, bool):
        yield str(value).lower()
    elif isinstance(value, (int, float)):
        if isinstance(value, int):
            yield str(value)
        if value == int(value):
            yield int(value)
        if 1 < value <= _MAX_PERCENT:
            yield value / _MAX_PERCENT
    elif isinstance(value, list) and len(value) == 1:
        yield value[0]
    elif isinstance(value, list):
        yield list(map(_as_text, value))
    if isinstance(value, (str, Mapping, int, float)):
        yield [value]
        yield [_as_text(value)]


def _text_as_value(text: str) -> Iterator[Json]:
    if text.lower() in _WORDS:
        yield _WORDS[text.lower()]
    number = _number(text)
    if not isinstance(number, str):
        yield number
        if number == int(number):
            yield int(number)
        yield number / _MAX_PERCENT
    if "," in text:
        parts = [part.strip() for part in text.split(",")]
        yield parts
    yield _NOT_IN_SLUGS.sub("-", text.lower()).strip("-")


def _number(text: str) -> Json:
    """Return the number of a text such as `0.6`, `60 %`, `>= 0.6` or `0,6`; the text itself otherwise."""
    match = _NUMBER_TEXT.fullmatch(text)
    if match is None:
        return text
    digits = match[1].replace(",", ".").lstrip("+")
    number = float(digits)
    return int(number) if number == int(number) else number


def _scalar(text: str) -> Json:
    """Return a scalar as `yaml_reader` reads it, and a text in quotes without them."""
    bare = text.strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "'\"":
        return bare[1:-1]
    if bare in ("true", "false"):
        return bare == "true"
    return parse_number(bare) if JSON_NUMBER.fullmatch(bare) else bare


def _as_text(value: Json) -> Json:
    """Return a number or a boolean as a text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value
