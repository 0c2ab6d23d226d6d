"""What fields and documents mean together. On the values as they were read, so that every error is told at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.manifest.kinds.environment import SANDBOX, Environment
from reconciler.manifest.text import List, Map
from reconciler.text.escape import quote_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.manifest.documents import Queues
    from reconciler.manifest.source_map import Loaded, Origin, Step


_EVERYWHERE: Final = ""
_NOT_IN_SANDBOX: Final = ("tenant", "api", "credentials")


class Problem(NamedTuple):
    """An error at a path of a document; `unknown` is the name that the nearest known one is looked for."""

    origin: Origin
    code: str
    path: Sequence[Step]
    message: str
    unknown: str = ""
    known: frozenset[str] = frozenset()


def of_document(origin: Origin) -> Iterator[Problem]:
    """Yield what is wrong inside one document, beyond what single fields may be."""
    kind = origin.root.get("kind")
    if kind == "RuleSet":
        yield from _of_rules(origin)
    if kind == "Environment":
        yield from _of_environment(origin)


def _of_rules(origin: Origin) -> Iterator[Problem]:
    """A rule has one way of saying where to, and one of saying which intent."""
    rules = origin.root.get("rules")
    for place, rule in enumerate(rules if isinstance(rules, List) else ()):
        if not isinstance(rule, Map):
            continue
        if ("queue" in rule) == ("targets" in rule):
            if "queue" in rule:
                message = 'a rule has either "queue" or "targets", not both'
                yield Problem(origin, "CXR104", ("rules", place, "targets"), message)
            else:
                yield Problem(origin, "CXR103", ("rules", place), 'missing field "queue" (or "targets")')
        if "intent" in rule and "intents" in rule:
            message = 'a rule has either "intent" or "intents", not both'
            yield Problem(origin, "CXR104", ("rules", place, "intents"), message)


def _of_environment(origin: Origin) -> Iterator[Problem]:
    """The sandbox contacts nobody; every other environment must say whom."""
    root = origin.root
    if root.get("name") == SANDBOX:
        for name in _NOT_IN_SANDBOX:
            if name in root:
                message = f'the sandbox is built in and contacts no tenant: it may not set "{name}"'
                yield Problem(origin, "CXR104", (name,), message)
        return
    api = root.get("api")
    known = api if isinstance(api, Map) else {}
    if "tenant" not in root and not {"baseUrl", "issuer", "area"}.intersection(known):
        yield Problem(origin, "CXR103", (), 'missing field "tenant"')
    yield from _of_access(origin, known)


def _of_access(origin: Origin, api: Mapping[str, object]) -> Iterator[Problem]:
    """An access key needs to know where it opens; a client's id and secret have no use for that."""
    said = [name for name in ("issuer", "area") if name in api]
    if api.get("auth", "client-credentials") == "client-credentials":
        for name in said:
            yield Problem(origin, "CXR104", ("api", name), f'"{name}" goes with "auth: access-key" alone')
    if api.get("auth") != "access-key":
        return
    if not said:
        yield Problem(origin, "CXR103", ("api",), 'missing field "issuer" (or "area")')
    if len(said) > 1:
        yield Problem(origin, "CXR104", ("api", "area"), 'an access key needs either "issuer" or "area", not both')
    elif "issuer" in api and "tokenUrl" in api:
        message = 'the issuer says where tokens are issued: "tokenUrl" may not stand beside it'
        yield Problem(origin, "CXR104", ("api", "tokenUrl"), message)


def duplicates(origins: Iterable[Origin]) -> Iterator[Problem]:
    """Yield documents whose kind and name another has. RuleSets that meet in no environment may share a name."""
    taken: dict[tuple[str, str], dict[str, Origin]] = {}
    for origin in origins:
        kind, name = str(origin.root.get("kind")), origin.root.get("name")
        if not isinstance(name, str):
            continue
        where = _environments(origin) if kind == "RuleSet" else [_EVERYWHERE]
        homes = taken.setdefault((kind, name), {})
        other = _first_in(homes, where)
        if other is not None:
            source = other.text.source(other.index(("name",)))
            message = f"{kind} {quote_name(name)} is already in {source.file}:{source.line}"
            yield Problem(origin, "CXR111", ("name",), message)
        for environment in where:
            homes.setdefault(environment, origin)


def _environments(origin: Origin) -> list[str]:
    """Return where a RuleSet is meant for."""
    if "environments" not in origin.root:
        return [_EVERYWHERE]
    listed = origin.root["environments"]
    return [one for one in listed if isinstance(one, str)] if isinstance(listed, List) else []


def _first_in(homes: Mapping[str, Origin], where: Sequence[str]) -> Origin | None:
    """Return a document that is already there in one of the environments."""
    if _EVERYWHERE in where:
        return next(iter(homes.values()), None)
    return next((homes[one] for one in (_EVERYWHERE, *where) if where and one in homes), None)


def unknown_environments(origins: Sequence[Origin]) -> Iterator[Problem]:
    """Yield names in `environments` that no Environment document has; valid or not, it counts."""
    written = (origin.root.get("name") for origin in origins if origin.root.get("kind") == "Environment")
    names = frozenset(name for name in written if isinstance(name, str)) | {SANDBOX}
    for origin in origins:
        if origin.root.get("kind") != "RuleSet":
            continue
        yield from _unknown_in(origin, origin.root, (), names)
        rules = origin.root.get("rules")
        for place, rule in enumerate(rules if isinstance(rules, List) else ()):
            if isinstance(rule, Map) and "environments" in rule:
                yield from _unknown_in(origin, rule, ("rules", place), names)


def _unknown_in(origin: Origin, part: Map, path: tuple[Step, ...], names: frozenset[str]) -> Iterator[Problem]:
    listed = part.get("environments")
    for place, name in enumerate(listed if isinstance(listed, List) else ()):
        if isinstance(name, str) and name not in names:
            message = f"no Environment document is named {quote_name(name)}"
            yield Problem(origin, "CXR113", (*path, "environments", place), message, name, names)


def unknown_profiles(origins: Sequence[Origin]) -> Iterator[Problem]:
    """Yield profiles that an Environment names and no Profile document has; valid or not, it counts."""
    written = (origin.root.get("name") for origin in origins if origin.root.get("kind") == "Profile")
    names = frozenset(name for name in written if isinstance(name, str))
    for origin in origins:
        api = origin.root.get("api") if origin.root.get("kind") == "Environment" else None
        name = api.get("profile") if isinstance(api, Map) else None
        if isinstance(name, str) and name not in names:
            message = f"no Profile document is named {quote_name(name)}"
            yield Problem(origin, "CXR122", ("api", "profile"), message, name, names)


def shared_owners(environments: Iterable[Loaded[Environment]]) -> Iterator[Problem]:
    """Yield environments of one host and owner: each would take the other's rules for its own."""
    first: dict[tuple[str, str], str] = {}
    for loaded in environments:
        one = loaded.document
        other = first.setdefault((one.host, one.owner), one.name)
        if one.name not in {other, SANDBOX}:
            message = f"{quote_name(other)} has the same host and owner: each would delete the other's rules"
            if one.api.auth == "access-key":
                message += '. Where they are two tenants, name each with "tenant"'
            yield Problem(loaded.origin, "CXR114", ("owner",), message)


def shared_aliases(queues: Iterable[Loaded[Queues]]) -> Iterator[Problem]:
    """Yield aliases that two Queues documents define."""
    first: dict[str, Loaded[Queues]] = {}
    for loaded in queues:
        for alias in loaded.document.queues:
            other = first.setdefault(alias, loaded)
            if other is not loaded:
                source = other.at("queues", alias)
                message = f"alias {quote_name(alias)} is already in {source.file}:{source.line}"
                yield Problem(loaded.origin, "CXR118", ("queues", alias), message)
