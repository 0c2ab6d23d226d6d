"""The settings of a managed block, and the form in which it can hold a rule."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from reconciler.behaviour.routing_entry import destination_of
from reconciler.model.rule import (
    EXISTENCE,
    RANGES,
    Condition,
    Opaque,
    Rule,
    Target,
    Value,
    canonical_scalar,
    make_condition,
    normalized_conditions,
    parse_number,
    sorted_targets,
)
from reconciler.text.escape import pluralize, quote, quote_name

MAX_TARGETS: Final = 50  # each further target is one IF deeper, and a reader bounds the depth
_MAX_PRIORITY: Final = 1e15
_MAX_INTEGER: Final = 10**400
_VARIABLE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}", re.ASCII)
_RESERVED: Final = frozenset(
    {"contactid", "assign", "if", "else", "select", "case", "default", "switch", "trace", "dynamic", "for", "foreach"}
)
_UNSAFE: Final = re.compile('["{}\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')
QUEUE_ID: Final = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


class NotStorableError(Exception):
    """A rule that Studio cannot hold. `part` is the condition or target, or None for the whole rule."""

    code: Final = "CXR125"

    def __init__(self, message: str, part: Condition | Target | Opaque | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.part = part


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLayout:
    """The names of a block. `variables` maps attributes to script variables; others have the attribute's own name."""

    owner: str
    block: str
    variables: Mapping[str, str]
    skill: str = "cxr_skill"
    rule: str = "cxr_rule"
    highest_first: bool = False

    @property
    def begin(self) -> str:
        """Return the block's first line."""
        return f"// cxroute:begin {self.owner}/{self.block}"

    @property
    def end(self) -> str:
        """Return the block's last line."""
        return "// cxroute:end"

    def variable(self, attribute: str) -> str:
        """Return the script variable of an attribute. Raises NotStorableError for a name that is not a variable."""
        name = self.variables.get(attribute, attribute)
        lower = name.lower()
        is_reserved = lower in _RESERVED or lower.startswith("cxr_") or lower in (self.skill.lower(), self.rule.lower())
        if is_reserved or not _VARIABLE.fullmatch(name):
            reason = "has a meaning of its own in Studio" if is_reserved else "is not letters, digits and _"
            hint = "specify another variable in `api.studio.variables`"
            message = (
                f"the attribute {quote_name(attribute)} has the script variable {quote_name(name)}, which {reason}"
            )
            raise NotStorableError(f"{message}; {hint}")
        return name

    def attribute(self, variable: str) -> str | None:
        """Return the attribute of a script variable, or None if no attribute has it."""
        for attribute, name in self.variables.items():
            if name.lower() == variable.lower():
                return attribute
        return None if variable in self.variables else variable

    def order_key(self, rule: Rule, rule_id: str) -> tuple[float, str, str]:
        """Return the key by which rules are evaluated, lowest first."""
        return -rule.priority if self.highest_first else rule.priority, rule.name, rule_id


def storable_rule(rule: Rule, layout: BlockLayout) -> Rule:
    """Return the rule in the form in which a block holds it. Raises NotStorableError."""
    if not abs(rule.priority) < _MAX_PRIORITY:
        raise NotStorableError(f"the priority {rule.priority} is too large for a Studio script; use a smaller number")
    conditions = normalized_conditions(_storable_condition(part, layout) for part in rule.conditions)
    priority = canonical_number(rule.priority)
    return replace(rule, priority=priority, conditions=conditions, targets=_storable_targets(rule))


def canonical_number(number: float) -> int | float:
    """Return an equal number: an integer, if it is integral. Raises OverflowError if it is not finite."""
    if not abs(number) < _MAX_INTEGER:
        raise OverflowError
    return number if number % 1 else int(number)


def find_conflicts(rules: Iterable[Rule], layout: BlockLayout) -> tuple[tuple[Rule, str], ...]:
    """Return rules that a block cannot hold beside the rules before them, each with the reason (CXR126)."""
    kinds: dict[str, str] = {}
    attributes: dict[str, str] = {}
    conflicts: list[tuple[Rule, str]] = []
    for rule in rules:
        for part in rule.conditions:
            if isinstance(part, Condition):
                name, variable = quote_name(part.attribute), layout.variable(part.attribute)
                rival = attributes.setdefault(variable.lower(), part.attribute)
                if rival != part.attribute:
                    message = f"the attributes {quote_name(rival)} and {name} have one script variable, {variable}"
                    conflicts.append((rule, f"{message}; specify two variables in `api.studio.variables`"))
                for kind in compared_kinds(part):
                    if kinds.setdefault(part.attribute, kind) != kind:
                        message = f"{name} is compared as text and as a number, and Studio may not tell them apart"
                        conflicts.append((rule, f"{message}; use two attributes, or compare it in one way"))
    return tuple(dict.fromkeys(conflicts))


def compared_kinds(condition: Condition) -> list[str]:
    """Return `text` and `number`, as far as a condition compares its attribute so."""
    if condition.operator in EXISTENCE:
        return []
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    return sorted({"text" if isinstance(value, str) else "number" for value in values})


def _storable_condition(part: Condition | Opaque, layout: BlockLayout) -> Condition:
    if isinstance(part, Opaque):
        raise NotStorableError("a condition of an unknown type cannot be written to a Studio script; remove it", part)
    try:
        layout.variable(part.attribute)
        stored = _storable_values(part)
    except NotStorableError as error:
        raise NotStorableError(error.message, part) from None
    if not isinstance(part.value, tuple):
        return make_condition(part.attribute, part.operator, stored[0])
    ordered = make_condition(part.attribute, part.operator, stored).value
    return make_condition(part.attribute, part.operator, list(ordered) if isinstance(ordered, tuple) else ordered)


def _storable_values(condition: Condition) -> list[Value]:
    operator, values = condition.operator, condition.value
    if operator in ("endsWith", "notEndsWith"):
        raise NotStorableError(f"a Studio script cannot hold `{operator}`; use another operator")
    if values == ():
        raise NotStorableError("a Studio script cannot hold an empty list; add a value, or remove the rule")
    if operator in EXISTENCE:
        return [None]
    items = [
        canonical_scalar(item) for item in (values if isinstance(values, tuple) else (values,)) if item is not None
    ]
    read = parse_number if operator in RANGES else str
    return [_storable_value(read(item) if isinstance(item, str) else item) for item in items]


def _storable_value(value: str | float) -> str | int | float:
    if not isinstance(value, str):
        try:
            return canonical_number(value)
        except OverflowError:
            raise NotStorableError("the number is not finite, or too large; use a smaller number") from None
    if not value.strip():
        raise NotStorableError("in Studio, an empty text is a missing value; use `exists` or `notExists`")
    if _UNSAFE.search(value):
        message = f"the text {quote(value)} has a quote, a brace, a backslash or a control character"
        raise NotStorableError(f"{message}, which a Studio script cannot hold; use `startsWith` or `contains`")
    return value


def _storable_targets(rule: Rule) -> tuple[Target | Opaque, ...]:
    for target in rule.targets:
        if isinstance(target, Opaque):
            raise NotStorableError("a target of an unknown type cannot be written to a Studio script", target)
    shares = destination_of(rule.targets) or ()
    if not 0 < len(shares) <= MAX_TARGETS:
        message = f"a rule in a Studio script needs 1 to {MAX_TARGETS} queues with a weight above 0"
        raise NotStorableError(f"{message}; this rule has {pluralize(len(shares), 'queue')}")
    if len(shares) == 1:
        return (Target(shares[0][0], 1),)
    for queue_id, share in shares:
        if (share * 100).denominator != 1:
            percent = f"{float(share * 100):.4g}"
            message = f"the queue {queue_id} gets {percent} % of the conversations; Studio splits by whole percents"
            targets = [part for part in rule.targets if isinstance(part, Target) and part.queue_id == queue_id]
            raise NotStorableError(f"{message}, so set weights that add up to 100", targets[0])
    return sorted_targets(Target(queue_id, int(share * Fraction(100))) for queue_id, share in shares)
