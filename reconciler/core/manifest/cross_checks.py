"""Checks of several fields and documents.

They work on raw values, so that one run reports all errors.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from reconciler.core.manifest.documents import (
    TYPE_PHRASES,
    AttributeEntry,
    Attributes,
    Intents,
    fits_type,
)
from reconciler.core.manifest.kinds.environment import SANDBOX, Environment
from reconciler.core.manifest.source_map import (
    List,
    LoadedDocument,
    Map,
    PathStep,
    SourceMap,
)
from reconciler.core.model.grouping import group_pairs
from reconciler.core.plugins import QueueSources, built_in_names, load_plugin
from reconciler.core.text.escape import quote_name, sanitize

_ALL_ENVIRONMENTS: Final = ""
# kinds with `environments`, also of items
_ITEMS_IN_ENVIRONMENTS: Final = {
    "RuleSet": "rules",
    "Promises": "promises",
}


class DocumentProblem(NamedTuple):
    """An error at a path of a document; `unknown_name` is the name for which a hint names the
    nearest candidate.
    """

    source_map: SourceMap
    code: str
    path: Sequence[PathStep]
    message: str
    unknown_name: str = ""
    candidates: frozenset[str] = frozenset()
    # the fields of which one is missing: a misspelt one is an error of its own
    missing: tuple[str, ...] = ()


def _check_rules(source_map: SourceMap) -> Iterator[DocumentProblem]:
    for index, rule in _items(source_map, "rules"):
        yield from _check_choice(source_map, ("rules", index), rule, "queue", "targets")
        yield from _check_choice(
            source_map,
            ("rules", index),
            rule,
            "intent",
            "intents",
        )
        if "queue" not in rule and "targets" not in rule:
            message = 'missing field "queue" (or "targets")'
            yield DocumentProblem(
                source_map,
                "CXR103",
                ("rules", index),
                message,
                missing=("queue", "targets"),
            )
        if "steps" in rule and "targets" not in rule:
            yield DocumentProblem(
                source_map,
                "CXR103",
                ("rules", index),
                '"steps" needs "targets", whose weights it changes',
                missing=("targets",),
            )


def _check_choice(
    source_map: SourceMap,
    path: tuple[PathStep, ...],
    fields: object,
    first: str,
    second: str,
) -> Iterator[DocumentProblem]:
    if isinstance(fields, Map) and first in fields and second in fields:
        message = f'a {str(path[0]).removesuffix("s")} has either "{first}" or "{second}", not both'
        yield DocumentProblem(source_map, "CXR104", (*path, second), message)


def _check_promises(source_map: SourceMap) -> Iterator[DocumentProblem]:
    first: dict[str, int] = {}
    for index, promise in _items(source_map, "promises"):
        yield from _check_choice(
            source_map,
            ("promises", index, "for"),
            promise.get("for"),
            "intent",
            "intents",
        )
        name = promise.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            line = source_map.text.source(
                source_map.index(("promises", first[name]))
            ).line
            message = (
                f"promise {quote_name(name)} is already in line {line} of this file"
            )
            yield DocumentProblem(
                source_map,
                "CXR111",
                ("promises", index, "name"),
                message,
            )


def _items(source_map: SourceMap, field: str) -> Iterator[tuple[int, Map]]:
    """Yield the mappings in a list of a document, with their positions."""
    items = source_map.root.get(field)
    if isinstance(items, List):
        for index, item in enumerate(items):
            if isinstance(item, Map):
                yield index, item


def _check_environment(source_map: SourceMap) -> Iterator[DocumentProblem]:
    root = source_map.root
    if root.get("name") == SANDBOX:
        for name in ("tenant", "api", "credentials"):
            if name in root and not (name == "api" and _needs_no_platform(root[name])):
                message = f'the sandbox is built in and contacts no tenant: it must not set "{name}"'
                yield DocumentProblem(source_map, "CXR104", (name,), message)
    api: Mapping[str, object] = root["api"] if isinstance(root.get("api"), Map) else {}
    if root.get("name") == SANDBOX:
        yield from _check_target(source_map, api)
        return
    needs_tenant = not _needs_no_platform(api)
    if (
        needs_tenant
        and "tenant" not in root
        and not {"baseUrl", "issuer", "area"}.intersection(api)
    ):
        yield DocumentProblem(
            source_map,
            "CXR103",
            (),
            'missing field "tenant"',
            missing=("tenant",),
        )
    yield from _check_target(source_map, api)
    yield from _check_access(source_map, api)


def _needs_no_platform(api: object) -> bool:
    """Return whether rules are kept at a place without the tenant's login."""
    if not isinstance(api, Map):
        return False
    target = load_plugin(str(api.get("rules", "")))
    return target is not None and not target.uses_platform


def _check_access(
    source_map: SourceMap, api: Mapping[str, object]
) -> Iterator[DocumentProblem]:
    issuers = [name for name in ("issuer", "area") if name in api]
    if api.get("auth", "client-credentials") == "client-credentials":
        for name in issuers:
            message = f'"{name}" requires "auth: access-key"'
            yield DocumentProblem(source_map, "CXR104", ("api", name), message)
    if api.get("auth") != "access-key":
        return
    if not issuers:
        message = 'missing field "issuer" (or "area")'
        yield DocumentProblem(source_map, "CXR103", ("api",), message)
    if len(issuers) > 1:
        message = 'an access key needs either "issuer" or "area", not both'
        yield DocumentProblem(source_map, "CXR104", ("api", "area"), message)
    elif "issuer" in api and "tokenUrl" in api:
        message = (
            '"tokenUrl" conflicts with "issuer", which determines the address of tokens'
        )
        yield DocumentProblem(source_map, "CXR104", ("api", "tokenUrl"), message)


def _check_target(
    source_map: SourceMap, api: Mapping[str, object]
) -> Iterator[DocumentProblem]:
    """Yield how `api` misses its target's own part, or has that of another target."""
    chosen = str(api.get("rules", ""))
    for name in dict.fromkeys((*built_in_names(), chosen)):
        target = load_plugin(name)
        if target is None:
            continue
        if target.settings is not None and name in api and name != chosen:
            message = f'"{name}" requires "rules: {name}"'
            yield DocumentProblem(source_map, "CXR104", ("api", name), message)
        if name != chosen:
            continue
        if target.settings is not None and name not in api:
            message = f'missing field "{name}"'
            yield DocumentProblem(source_map, "CXR103", ("api",), message)
        message = _queues_problem(target.queue_sources(api.get(name, {})), api)
        if message:
            yield DocumentProblem(source_map, "CXR104", ("api", "rules"), message)


def _queues_problem(sources: QueueSources, api: Mapping[str, object]) -> str:
    """Return why `api.queues` does not fit the target; an empty text if it does."""
    if not sources.allowed or api.get("queues") in sources.allowed:
        return ""
    allowed = " or ".join(sources.allowed)
    return f'"rules: {api["rules"]}" requires "queues: {allowed}", because {sources.reason}'


def find_duplicates(source_maps: Iterable[SourceMap]) -> Iterator[DocumentProblem]:
    """Yield documents whose kind and name exist.

    Those of different environments may share a name.
    """
    documents: dict[tuple[str, str], dict[str, SourceMap]] = {}
    for source_map in source_maps:
        kind = str(source_map.root.get("kind"))
        name = source_map.root.get("name")
        if not isinstance(name, str):
            continue
        environments = _environments_of(source_map, kind)
        by_environment = documents.setdefault((kind, name), {})
        first = _find_rival(by_environment, environments)
        if first is not None:
            source = first.text.source(first.index(("name",)))
            place = f"{source.file}:{source.line}"
            message = f"{kind} {quote_name(name)} is already in {place}"
            yield DocumentProblem(source_map, "CXR111", ("name",), message)
        for environment in environments:
            by_environment.setdefault(environment, source_map)


def _environments_of(source_map: SourceMap, kind: str) -> list[str]:
    """Return the names of a document's environments, or the mark for all of them."""
    if kind not in _ITEMS_IN_ENVIRONMENTS or "environments" not in source_map.root:
        return [_ALL_ENVIRONMENTS]
    entries = source_map.root["environments"]
    if not isinstance(entries, List):
        return []
    return [entry for entry in entries if isinstance(entry, str)]


def _find_rival(
    by_environment: Mapping[str, SourceMap], environments: Sequence[str]
) -> SourceMap | None:
    """Return the first document that has one of the environments, too."""
    if not environments:
        return None
    names: Iterable[str] = (_ALL_ENVIRONMENTS, *environments)
    if _ALL_ENVIRONMENTS in environments:
        names = by_environment
    for name in names:
        if name in by_environment:
            return by_environment[name]
    return None


def _names(source_maps: Iterable[SourceMap], kind: str) -> frozenset[str]:
    names = (
        source_map.root.get("name")
        for source_map in source_maps
        if source_map.root.get("kind") == kind
    )
    return frozenset(name for name in names if isinstance(name, str))


def find_unknown_environments(
    source_maps: Sequence[SourceMap],
) -> Iterator[DocumentProblem]:
    """Yield names in `environments` without an Environment document, valid or invalid."""
    names = _names(source_maps, "Environment") | {SANDBOX}
    for source_map in source_maps:
        field = _ITEMS_IN_ENVIRONMENTS.get(str(source_map.root.get("kind")), "")
        parts: list[tuple[tuple[PathStep, ...], Map]] = [((), source_map.root)]
        parts += [((field, index), item) for index, item in _items(source_map, field)]
        for path, part in parts if field else ():
            environments = part.get("environments")
            for index, name in enumerate(
                environments if isinstance(environments, List) else ()
            ):
                if isinstance(name, str) and name not in names:
                    message = f"no Environment document is named {quote_name(name)}"
                    yield DocumentProblem(
                        source_map,
                        "CXR113",
                        (*path, "environments", index),
                        message,
                        name,
                        names,
                    )


def find_unknown_profiles(
    source_maps: Sequence[SourceMap],
) -> Iterator[DocumentProblem]:
    """Yield profiles of Environments without a Profile document, valid or invalid."""
    names = _names(source_maps, "Profile")
    for source_map in source_maps:
        api = (
            source_map.root.get("api")
            if source_map.root.get("kind") == "Environment"
            else None
        )
        name = api.get("profile") if isinstance(api, Map) else None
        if isinstance(name, str) and name not in names:
            message = f"no Profile document is named {quote_name(name)}"
            yield DocumentProblem(
                source_map,
                "CXR122",
                ("api", "profile"),
                message,
                name,
                names,
            )


def find_shared_owners(
    environments: Iterable[LoadedDocument[Environment]],
) -> Iterator[DocumentProblem]:
    """Yield environments with the same owner and place of their rules: each would treat the other's
    rules as its own.
    """
    first: dict[tuple[str, str, str], str] = {}
    for loaded in environments:
        environment = loaded.document
        target, address = environment.api.place
        place = (target, address or environment.host, environment.owner)
        name = first.setdefault(place, environment.name)
        if environment.name not in {name, SANDBOX}:
            message = (
                f"{quote_name(name)} has the same host and owner: each would delete the other's "
                f"rules"
            )
            if environment.api.auth == "access-key":
                message += '. If they are two tenants, set "tenant" in each'
            yield DocumentProblem(loaded.source_map, "CXR114", ("owner",), message)


def find_shared_names(
    documents: Iterable[LoadedDocument[Any]],
    field: str,
    code: str,
    noun: str,
) -> Iterator[DocumentProblem]:
    """Yield names in a mapping that a second document of the kind defines, such as aliases of
    queues.
    """
    first: dict[str, LoadedDocument[Any]] = {}
    for loaded in documents:
        for name in getattr(loaded.document, field):
            earlier = first.setdefault(name, loaded)
            if earlier is not loaded:
                source = earlier.source_of(field, name)
                message = f"{noun} {quote_name(name)} is already in {source.file}:{source.line}"
                yield DocumentProblem(loaded.source_map, code, (field, name), message)


class _DescribedValue(NamedTuple):
    """A value of an attribute, what people read instead of it, its group, and the position of the
    group.
    """

    value: str
    label: str | None
    group: str | None
    source_map: SourceMap
    path: tuple[PathStep, ...]


def find_ambiguous_groups(
    attributes: Iterable[LoadedDocument[Attributes]],
    intents: Iterable[LoadedDocument[Intents]],
) -> Iterator[DocumentProblem]:
    """Yield groups with the name or the label of a value: people could not know which of the two a
    text means.
    """
    for loaded in attributes:
        for name, entry in loaded.document.attributes.items():
            yield from _problems_of_groups(_values_of_attribute(loaded, name, entry))
    yield from _problems_of_groups(
        [value for loaded in intents for value in _values_of_intents(loaded)]
    )


def _values_of_attribute(
    loaded: LoadedDocument[Attributes],
    name: str,
    entry: AttributeEntry,
) -> Sequence[_DescribedValue]:
    labels = entry.value_labels
    groups = entry.value_groups
    if not groups:
        return ()
    return [
        _DescribedValue(
            value=value,
            label=labels.get(value),
            group=groups.get(value),
            source_map=loaded.source_map,
            path=("attributes", name, "values", value, "group"),
        )
        for value in map(str, entry.values or ())
    ]


def _values_of_intents(loaded: LoadedDocument[Intents]) -> Iterator[_DescribedValue]:
    for index, entry in enumerate(loaded.document.entries):
        path = ("intents", index, "group")
        yield _DescribedValue(
            entry.name,
            entry.label,
            entry.group,
            loaded.source_map,
            path,
        )


def _problems_of_groups(
    values: Iterable[_DescribedValue],
) -> Iterator[DocumentProblem]:
    described = list(values)
    yield from _ambiguous_groups(described)
    yield from _groups_that_look_alike(described)


def _ambiguous_groups(values: Sequence[_DescribedValue]) -> Iterator[DocumentProblem]:
    """Yield one problem for each group of an attribute that a value's name or label makes
    ambiguous.
    """
    members = group_pairs(
        (sanitize(each.group), each.value) for each in values if each.group
    )
    named = group_pairs((sanitize(each.value), each.value) for each in values)
    labelled = group_pairs(
        (sanitize(each.label), each.value) for each in values if each.label
    )
    for text, each in _first_of_groups(values).items():
        homonyms = [*named.get(text, []), *labelled.get(text, [])]
        is_same_value = len({*homonyms, *members[text]}) == 1
        if not homonyms or is_same_value:
            continue

        meaning = f"the label of {quote_name(homonyms[0])}: rename one of them"
        if text in named:
            meaning = "a value: give the group another name"
        message = f"the group {quote_name(each.group or '')} is also {meaning}"
        yield DocumentProblem(each.source_map, "CXR132", each.path, message)


def _groups_that_look_alike(
    values: Sequence[_DescribedValue],
) -> Iterator[DocumentProblem]:
    """Yield one problem for each name of a group that other characters print, too."""
    names = group_pairs(
        (sanitize(each.group), each.group) for each in values if each.group
    )
    for text, each in _first_of_groups(values).items():
        if len(set(names[text])) > 1:
            message = (
                f"the group {quote_name(text)} is written with different characters that are "
                f"printed alike: use one of them, or give one group another name"
            )
            yield DocumentProblem(each.source_map, "CXR132", each.path, message)


def _first_of_groups(values: Iterable[_DescribedValue]) -> dict[str, _DescribedValue]:
    """Return the first value of each group, by the group's name."""
    first: dict[str, _DescribedValue] = {}
    for each in values:
        name = sanitize(each.group or "")
        if name:
            first.setdefault(name, each)
    return first


def _check_attributes(source_map: SourceMap) -> Iterator[DocumentProblem]:
    attributes = source_map.root.get("attributes")
    for name, entry in attributes.items() if isinstance(attributes, Map) else ():
        declared, values = (
            (entry.get("type"), entry.get("values"))
            if isinstance(entry, Map)
            else (None, None)
        )
        if (
            not isinstance(declared, str)
            or declared not in TYPE_PHRASES
            or not isinstance(values, Map | List)
        ):
            continue
        steps: Iterable[PathStep] = (
            values if isinstance(values, Map) else range(len(values))
        )
        for step, value in zip(steps, values, strict=True):
            if isinstance(value, str | int | float) and not fits_type(value, declared):
                message = f'an item of "values" must be {TYPE_PHRASES[declared]}, as its "type" says'
                yield DocumentProblem(
                    source_map,
                    "CXR104",
                    ("attributes", name, "values", step),
                    message,
                )


# of several fields of one document, by its kind
DOCUMENT_CHECKS: Final[
    Mapping[str, Callable[[SourceMap], Iterator[DocumentProblem]]]
] = {
    "RuleSet": _check_rules,
    "Environment": _check_environment,
    "Attributes": _check_attributes,
    "Promises": _check_promises,
}
