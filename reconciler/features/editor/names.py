"""The names in manifests: which place means a queue, an intent, an attribute, a value or a rule."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, Literal, NamedTuple

from reconciler.core.desired.expand import slug_of
from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.manifest.kinds.fields import REFERENCE
from reconciler.core.manifest.syntax_tree import (
    Place,
    SyntaxDocument,
    SyntaxNode,
    read_syntax,
)
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.operators import EXISTENCE, OPERATORS

Role = Literal[
    "queue", "intent", "attribute", "value", "rule", "environment", "profile", "finding"
]

# A step of a pattern: a field, `*` an item of a list, `?` any name, `@` an operator. `#` at the
# end: the name itself.
_CONVERSATIONS: Final[dict[str, Role]] = {
    "intent": "intent",
    "intents/*": "intent",
    "when/*/attribute": "attribute",
    "when/*/@": "value",
    "when/*/@/*": "value",
}


def _below(parent: str) -> dict[str, Role]:
    return {f"{parent}/{pattern}": role for pattern, role in _CONVERSATIONS.items()}


_USES: Final[Mapping[str, Mapping[str, Role]]] = {
    "RuleSet": {
        **_below("rules/*"),
        "environments/*": "environment",
        "rules/*/environments/*": "environment",
        "rules/*/queue": "queue",
        "rules/*/targets/*/queue": "queue",
        "rules/*/steps/*/weights/#": "queue",
        "rules/*/accept/#": "finding",
    },
    "Promises": {
        **_below("promises/*/for"),
        "environments/*": "environment",
        "promises/*/environments/*": "environment",
        "promises/*/always/queues/*": "queue",
        "promises/*/never/queues/*": "queue",
        "promises/*/split/#": "queue",
        "promises/*/decidedBy": "rule",
    },
    "RouteTests": {
        "tests/*/given/intent": "intent",
        "tests/*/given/attributes/#": "attribute",
        "tests/*/given/attributes/?": "value",
        "tests/*/given/context/#": "attribute",
        "tests/*/given/context/?": "value",
        "tests/*/expect/queue": "queue",
        "tests/*/expect/split/#": "queue",
    },
    "Environment": {
        "guard/protected/*": "rule",
        "accept/*/address": "rule",
        "accept/*/code": "finding",
        "context/below/intent": "intent",
        "api/profile": "profile",
    },
    "Queues": {"queues/?/#": "environment"},
}
"""Kind -> the places that mean a name."""
_DEFINITIONS: Final[Mapping[str, Mapping[str, Role]]] = {
    "Queues": {"queues/#": "queue"},
    "Intents": {"intents/*": "intent", "intents/*/name": "intent"},
    "Attributes": {
        "attributes/#": "attribute",
        "attributes/?/values/*": "value",
        "attributes/?/values/#": "value",
    },
    "Environment": {
        "name": "environment",
        "attributes/intent": "attribute",
        "attributes/confidence": "attribute",
        "attributes/updatedAt": "attribute",
    },
    "Profile": {"name": "profile"},
}
"""Kind -> the places that define a name."""
_TABLES: Final = {"use": _USES, "definition": _DEFINITIONS}
_OPERATORS_WITH_VALUES: Final = OPERATORS.keys() - EXISTENCE
_VARIABLE_STEPS: Final = 2  # vars, and the name
_ITEM: Final = "*"
_KEY: Final = "#"
_NOT_FILLED: Final = frozenset(
    {"Queues", "Intents", "Attributes", "Environment", "Profile"}
)
"""Kinds in whose texts `$` is an ordinary character."""
_SHORT_NAMES: Final = frozenset({"intent", "confidence"})
"""In `given: {context: ...}` these stand for the Environment's names."""
_QUEUE_FIELDS: Final = frozenset({"id", "name", "owners"})
_DEFAULT_ATTRIBUTES: Final = BotAttributes()


class Mention(NamedTuple):
    """A place that means a name."""

    role: Role
    name: str
    file: str
    node: SyntaxNode
    is_definition: bool
    target: SyntaxNode  # of a definition: what the name stands for
    attribute: str = ""  # of a value


@dataclass(frozen=True)
class SourceFile:
    """The present text of a manifest, and its documents, which are read when a request needs
    them.
    """

    text: str

    @cached_property
    def documents(self) -> tuple[SyntaxDocument, ...]:
        """Return the documents of the text, also of an invalid one."""
        return read_syntax(self.text)


@dataclass(frozen=True)
class Names:
    """All names of the present texts of a folder, by file."""

    files: Mapping[str, SourceFile]

    @cached_property
    def intent_attributes(self) -> frozenset[str]:
        """Return the names of the attribute that holds the intent, of all Environments."""
        names = {_DEFAULT_ATTRIBUTES.intent, "intent"}
        documents = [each for file in self.files.values() for each in file.documents]
        for document in documents:
            if document.kind == "Environment":
                attributes = document.root.get("attributes")
                if attributes is not None:
                    names.add(attributes.text_of("intent"))
        return frozenset(names - {""})

    @cached_property
    def mentions(self) -> tuple[Mention, ...]:
        """Return all mentions, by file and position."""
        return tuple(
            mention for path in sorted(self.files) for mention in self.mentions_in(path)
        )

    @cached_property
    def _by_name(self) -> Mapping[tuple[Role, str], list[Mention]]:
        return group_pairs(
            ((mention.role, mention.name), mention) for mention in self.mentions
        )

    def mentions_in(self, path: str) -> Iterator[Mention]:
        """Yield the mentions of a file."""
        file = self.files.get(path)
        for document in file.documents if file else ():
            for place in document.places:
                if mention := self._mention(path, document, place):
                    yield mention
            yield from _rule_definitions(path, document)

    def mention_at(self, path: str, offset: int) -> Mention | None:
        """Return the name at a character, or behind whose last character it is."""
        at = [
            each
            for each in self.mentions_in(path)
            if each.node.start <= offset <= each.node.end
        ]
        return min(
            at,
            key=lambda mention: mention.role == "rule" and mention.is_definition,
            default=None,
        )

    def written(self, mention: Mention) -> str:
        """Return a name as it stands in its file, with its quotes."""
        text = self.files[mention.file].text
        return text[mention.node.start : mention.node.end]

    def same_name(self, mention: Mention) -> Sequence[Mention]:
        """Return all mentions of the name; of a value only those of the same attribute."""
        key = (mention.role, mention.name)
        return [
            each
            for each in self._by_name.get(key, [])
            if each.attribute == mention.attribute
        ]

    def defined(self, role: Role) -> tuple[str, ...]:
        """Return the names that documents define, in order."""
        return tuple(
            dict.fromkeys(
                each.name
                for each in self.mentions
                if each.role == role and each.is_definition
            )
        )

    def used(self, role: Role) -> tuple[str, ...]:
        """Return all names, also those without a definition, in order."""
        return tuple(
            dict.fromkeys(
                each.name for each in self.mentions if each.role == role and each.name
            )
        )

    def values_of(self, attribute: str) -> tuple[SyntaxNode, ...]:
        """Return the declared values of an attribute; if there are none, those that manifests
        compare it with.
        """
        values = [
            each
            for each in self.mentions
            if each.role == "value" and each.attribute == attribute
        ]
        declared = [each for each in values if each.is_definition]
        return tuple(
            {
                (each.name, bool(each.node.style)): each.node
                for each in declared or values
            }.values()
        )

    @cached_property
    def queue_variables(self) -> frozenset[str]:
        """Return the variables (`vars`) that texts use as a whole queue, and nowhere else."""
        used: set[str] = set()
        elsewhere: set[str] = set()
        for file in self.files.values():
            for document in file.documents:
                for place in (
                    document.places if document.kind not in _NOT_FILLED else ()
                ):
                    text = place.node.text or ""
                    is_queue = (
                        REFERENCE.fullmatch(text)
                        and use_of(document.kind, place) == "queue"
                    )
                    (used if is_queue else elsewhere).update(REFERENCE.findall(text))
        return frozenset(reference[2:-1] for reference in used - elsewhere)

    def role_of(self, kind: str, place: Place) -> tuple[Role, str] | None:
        """Return what a place means, and for a value its attribute."""
        role = use_of(kind, place) or definition_of(kind, place)
        if role is None and kind == "Environment" and self._is_queue_variable(place):
            return "queue", ""
        if role != "value":
            return (role, "") if role else None
        attribute = _attribute_of(place)
        return (
            ("intent", "")
            if attribute in self.intent_attributes
            else ("value", attribute)
        )

    def _is_queue_variable(self, place: Place) -> bool:
        path = place.path
        return (
            len(path) == _VARIABLE_STEPS
            and path[0] == "vars"
            and not place.is_key
            and path[1] in self.queue_variables
        )

    def _mention(
        self,
        path: str,
        document: SyntaxDocument,
        place: Place,
    ) -> Mention | None:
        kind = document.kind
        meaning = self.role_of(kind, place)
        name = place.node.text or ""
        if meaning is None or _is_field(meaning[0], place):
            return None
        is_definition = definition_of(kind, place) is not None
        target = place.owner.get(name) if place.is_key else None
        if kind not in _NOT_FILLED and "${" not in name:
            name = name.replace("$$", "$")
        return Mention(
            meaning[0],
            name,
            path,
            place.node,
            is_definition,
            target or place.node,
            meaning[1],
        )


def use_of(kind: str, place: Place) -> Role | None:
    """Return the role of a place that uses a name."""
    return _role("use", kind, _shape(place))


def definition_of(kind: str, place: Place) -> Role | None:
    """Return the role of a place that defines a name."""
    return _role("definition", kind, _shape(place))


def rules_of(document: SyntaxDocument) -> Iterator[SyntaxNode]:
    """Yield the rules of a RuleSet that are mappings."""
    if document.kind != "RuleSet":
        return
    rules = document.root.get("rules")
    for item in rules.items() if rules else ():
        if item.is_mapping:
            yield item


def key_node(rule: SyntaxNode) -> SyntaxNode | None:
    """Return the text from which a rule's key follows: `key`, or its only intent."""
    for name in ("key", "intent"):
        node = rule.get(name)
        if node is not None and node.text:
            return node
    intents = rule.get("intents")
    items = intents.items() if intents else []
    if len(items) != 1 or not items[0].text:
        return None
    return items[0]


def address_of(document: SyntaxDocument, rule: SyntaxNode) -> str:
    """Return the address of a rule, `ruleset/key`; "" if its text does not say it."""
    node = key_node(rule)
    text = (node.text or "") if node else ""
    key = text if node is rule.get("key") else slug_of(text)
    if not key or "$" in text:
        return ""
    ruleset = document.root.text_of("name")
    return f"{ruleset}/{key}"


def _rule_definitions(path: str, document: SyntaxDocument) -> Iterator[Mention]:
    for rule in rules_of(document):
        node = key_node(rule)
        address = address_of(document, rule)
        if node is not None and address:
            yield Mention("rule", address, path, node, is_definition=True, target=node)


def _is_field(role: Role, place: Place) -> bool:
    """Return whether a key that could be a name is a field of the manifests."""
    if role == "environment":
        return place.is_key and place.node.text in _QUEUE_FIELDS
    return (
        role == "attribute"
        and place.path[-2:-1] == ("context",)
        and place.node.text in _SHORT_NAMES
    )


def _attribute_of(place: Place) -> str:
    """Return the attribute of a value: of a condition, of its declaration, or of a route test."""
    if "when" in place.path:
        return place.owner.text_of("attribute")
    return str(place.path[1] if place.path[0] == "attributes" else place.path[-1])


def _shape(place: Place) -> tuple[str, ...]:
    """Return the path with `*` for each item, and with `#` behind it for a key."""
    steps = tuple(_ITEM if isinstance(step, int) else step for step in place.path)
    if place.is_key:
        steps += (_KEY,)
    return steps


@lru_cache(maxsize=4096)
def _role(table: str, kind: str, shape: tuple[str, ...]) -> Role | None:
    patterns = _TABLES[table].get(kind, {})
    for pattern, role in patterns.items():
        if _matches(pattern.split("/"), shape):
            return role
    return None


def _matches(pattern: Sequence[str], shape: tuple[str, ...]) -> bool:
    """Return whether a path has a pattern; the pattern's last `#` stands for a name and for that it
    is a key.
    """
    steps = pattern
    if pattern[-1] == _KEY:
        steps = [*pattern[:-1], "?", _KEY]
    if len(steps) != len(shape):
        return False
    return all(map(_fits, steps, shape))


def _fits(expected: str, step: str) -> bool:
    if expected == "@":
        return step in _OPERATORS_WITH_VALUES
    return expected == step or (expected == "?" and step not in (_ITEM, _KEY))
