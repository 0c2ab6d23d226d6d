"""Checks of fields and documents together, on the values as they were read, so that all errors are reported at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.manifest.kinds.environment import SANDBOX, Environment
from reconciler.manifest.text import List, Map
from reconciler.text.escape import quote_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.manifest.documents import Queues
    from reconciler.manifest.source_map import LoadedDocument, PathStep, SourceMap


_ALL_ENVIRONMENTS: Final = ""
_FORBIDDEN_IN_SANDBOX: Final = ("tenant", "api", "credentials")


class DocumentProblem(NamedTuple):
    """An error at a path of a document; `unknown_name` is the name that the nearest known one is looked for."""

    source_map: SourceMap
    code: str
    path: Sequence[PathStep]
    message: str
    unknown_name: str = ""
    candidates: frozenset[str] = frozenset()


def check_document(source_map: SourceMap) -> Iterator[DocumentProblem]:
    """Yield the problems inside one document that single fields cannot show."""
    kind = source_map.root.get("kind")
    if kind == "RuleSet":
        yield from _check_rules(source_map)
    if kind == "Environment":
        yield from _check_environment(source_map)


def _check_rules(source_map: SourceMap) -> Iterator[DocumentProblem]:
    rules = source_map.root.get("rules")
    for place, rule in enumerate(rules if isinstance(rules, List) else ()):
        if not isinstance(rule, Map):
            continue
        if ("queue" in rule) == ("targets" in rule):
            if "queue" in rule:
                message = 'a rule has either "queue" or "targets", not both'
                yield DocumentProblem(source_map, "CXR104", ("rules", place, "targets"), message)
            else:
                yield DocumentProblem(source_map, "CXR103", ("rules", place), 'missing field "queue" (or "targets")')
        if "intent" in rule and "intents" in rule:
            message = 'a rule has either "intent" or "intents", not both'
            yield DocumentProblem(source_map, "CXR104", ("rules", place, "intents"), message)


def _check_environment(source_map: SourceMap) -> Iterator[DocumentProblem]:
    root = source_map.root
    if root.get("name") == SANDBOX:
        for name in _FORBIDDEN_IN_SANDBOX:
            if name in root:
                message = f'the sandbox is built in and contacts no tenant: it may not set "{name}"'
                yield DocumentProblem(source_map, "CXR104", (name,), message)
        return
    api = root.get("api")
    known = api if isinstance(api, Map) else {}
    if "tenant" not in root and not {"baseUrl", "issuer", "area"}.intersection(known):
        yield DocumentProblem(source_map, "CXR103", (), 'missing field "tenant"')
    yield from _check_access(source_map, known)


def _check_access(source_map: SourceMap, api: Mapping[str, object]) -> Iterator[DocumentProblem]:
    said = [name for name in ("issuer", "area") if name in api]
    if api.get("auth", "client-credentials") == "client-credentials":
        for name in said:
            yield DocumentProblem(source_map, "CXR104", ("api", name), f'"{name}" goes with "auth: access-key" alone')
    if api.get("auth") != "access-key":
        return
    if not said:
        yield DocumentProblem(source_map, "CXR103", ("api",), 'missing field "issuer" (or "area")')
    if len(said) > 1:
        yield DocumentProblem(
            source_map, "CXR104", ("api", "area"), 'an access key needs either "issuer" or "area", not both'
        )
    elif "issuer" in api and "tokenUrl" in api:
        message = 'the issuer says where tokens are issued: "tokenUrl" may not stand beside it'
        yield DocumentProblem(source_map, "CXR104", ("api", "tokenUrl"), message)


def find_duplicates(source_maps: Iterable[SourceMap]) -> Iterator[DocumentProblem]:
    """Yield documents whose kind and name exist already. RuleSets without a common environment may share a name."""
    taken: dict[tuple[str, str], dict[str, SourceMap]] = {}
    for origin in source_maps:
        kind, name = str(origin.root.get("kind")), origin.root.get("name")
        if not isinstance(name, str):
            continue
        where = _list_environments(origin) if kind == "RuleSet" else [_ALL_ENVIRONMENTS]
        homes = taken.setdefault((kind, name), {})
        other = _find_first(homes, where)
        if other is not None:
            source = other.text.source(other.index(("name",)))
            message = f"{kind} {quote_name(name)} is already in {source.file}:{source.line}"
            yield DocumentProblem(origin, "CXR111", ("name",), message)
        for environment in where:
            homes.setdefault(environment, origin)


def _list_environments(source_map: SourceMap) -> list[str]:
    if "environments" not in source_map.root:
        return [_ALL_ENVIRONMENTS]
    listed = source_map.root["environments"]
    return [one for one in listed if isinstance(one, str)] if isinstance(listed, List) else []


def _find_first(by_environment: Mapping[str, SourceMap], environments: Sequence[str]) -> SourceMap | None:
    if _ALL_ENVIRONMENTS in environments:
        return next(iter(by_environment.values()), None)
    return next(
        (by_environment[one] for one in (_ALL_ENVIRONMENTS, *environments) if environments and one in by_environment),
        None,
    )


def find_unknown_environments(source_maps: Sequence[SourceMap]) -> Iterator[DocumentProblem]:
    """Yield names in `environments` without an Environment document, valid or not."""
    written = (origin.root.get("name") for origin in source_maps if origin.root.get("kind") == "Environment")
    names = frozenset(name for name in written if isinstance(name, str)) | {SANDBOX}
    for origin in source_maps:
        if origin.root.get("kind") != "RuleSet":
            continue
        yield from _find_unknown_in(origin, origin.root, (), names)
        rules = origin.root.get("rules")
        for place, rule in enumerate(rules if isinstance(rules, List) else ()):
            if isinstance(rule, Map) and "environments" in rule:
                yield from _find_unknown_in(origin, rule, ("rules", place), names)


def _find_unknown_in(
    source_map: SourceMap, part: Map, path: tuple[PathStep, ...], names: frozenset[str]
) -> Iterator[DocumentProblem]:
    listed = part.get("environments")
    for place, name in enumerate(listed if isinstance(listed, List) else ()):
        if isinstance(name, str) and name not in names:
            message = f"no Environment document is named {quote_name(name)}"
            yield DocumentProblem(source_map, "CXR113", (*path, "environments", place), message, name, names)


def find_unknown_profiles(source_maps: Sequence[SourceMap]) -> Iterator[DocumentProblem]:
    """Yield profiles of Environments without a Profile document, valid or not."""
    written = (origin.root.get("name") for origin in source_maps if origin.root.get("kind") == "Profile")
    names = frozenset(name for name in written if isinstance(name, str))
    for origin in source_maps:
        api = origin.root.get("api") if origin.root.get("kind") == "Environment" else None
        name = api.get("profile") if isinstance(api, Map) else None
        if isinstance(name, str) and name not in names:
            message = f"no Profile document is named {quote_name(name)}"
            yield DocumentProblem(origin, "CXR122", ("api", "profile"), message, name, names)


def find_shared_owners(environments: Iterable[LoadedDocument[Environment]]) -> Iterator[DocumentProblem]:
    """Yield environments with the same host and owner: each would treat the other's rules as its own."""
    first: dict[tuple[str, str], str] = {}
    for loaded in environments:
        one = loaded.document
        other = first.setdefault((one.host, one.owner), one.name)
        if one.name not in {other, SANDBOX}:
            message = f"{quote_name(other)} has the same host and owner: each would delete the other's rules"
            if one.api.auth == "access-key":
                message += '. Where they are two tenants, name each with "tenant"'
            yield DocumentProblem(loaded.source_map, "CXR114", ("owner",), message)


def find_shared_aliases(queues: Iterable[LoadedDocument[Queues]]) -> Iterator[DocumentProblem]:
    """Yield aliases that two Queues documents define."""
    first: dict[str, LoadedDocument[Queues]] = {}
    for loaded in queues:
        for alias in loaded.document.queues:
            other = first.setdefault(alias, loaded)
            if other is not loaded:
                source = other.source_of("queues", alias)
                message = f"alias {quote_name(alias)} is already in {source.file}:{source.line}"
                yield DocumentProblem(loaded.source_map, "CXR118", ("queues", alias), message)
