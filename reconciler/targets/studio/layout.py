"""The settings of a managed block, and the form in which it can hold a rule."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

from reconciler.core.behaviour.routing_entry import destination_of
from reconciler.core.model.operators import OPERATORS, Scalar
from reconciler.core.model.rule import (
    Condition,
    Rule,
    Target,
    make_condition,
    normalized_conditions,
    sorted_targets,
)
from reconciler.core.target import NotStorableError
from reconciler.core.text.escape import join_first, pluralize, quote, quote_name
from reconciler.targets.studio.settings import SkillForm

# Each further target is one IF deeper, and a reader bounds the depth.
MAX_TARGETS: Final = 50
_MAX_PRIORITY: Final = 1e15
_MAX_INTEGER: Final = 10**400
_VARIABLE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}", re.ASCII)
_RESERVED: Final = frozenset(
    {
        "contactid",
        "assign",
        "if",
        "else",
        "select",
        "case",
        "default",
        "switch",
        "trace",
        "dynamic",
        "for",
        "foreach",
    }
)
_UNSAFE: Final = re.compile('["{}\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')
_SINGLE: Final = {"in": "equals", "notIn": "notEquals"}
_SKILL_ID: Final = "0|[1-9][0-9]{0,17}"
_QUEUE_GUID: Final = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
ID_PATTERN: Final = f"{_SKILL_ID}|{_QUEUE_GUID}"
"""The id of a skill, or of a digital routing queue."""
_IDS: Final = {
    "id": re.compile(_SKILL_ID),
    "routing-queue": re.compile(_QUEUE_GUID),
    "name": re.compile(ID_PATTERN),
}
_ID_NAMES: Final = {
    "id": "a skill id, a number",
    "routing-queue": "the id of a digital routing queue, such as "
    "43dba2dc-d05c-5c74-bf32-aad2ef367801",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLayout:
    """The names of a block.

    `variables` maps attributes to script variables; others have the attribute's own name.
    """

    owner: str
    block: str
    variables: Mapping[str, str]
    skill: str = "cxr_skill"
    rule: str = "cxr_rule"
    skill_as: SkillForm = "id"
    # The ids of known queues by name, for a script that assigns names (`unique_ids`).
    queue_ids: Mapping[str, str] = field(default_factory=dict)
    is_digital: bool = False  # its contacts are digital: they wait in a skill already
    highest_first: bool = False
    # What is known of the script's dialect.
    facts: Mapping[str, bool] = field(default_factory=dict)
    end: ClassVar[str] = "// cxroute:end"  # the block's last line

    @property
    def begin(self) -> str:
        """Return the block's first line."""
        return f"// cxroute:begin {self.owner}/{self.block}"

    def variable(self, attribute: str, part: Condition | None = None) -> str:
        """Return the script variable of an attribute.

        Raises NotStorableError for a name that is not a variable.
        """
        name = self.variables.get(attribute, attribute)
        lower = name.lower()
        own_variables = (self.skill.lower(), self.rule.lower())
        reason = ""
        if lower in _RESERVED or lower in own_variables or lower.startswith("cxr_"):
            reason = "has a meaning of its own in Studio"
        elif not _VARIABLE.fullmatch(name):
            reason = "is not letters, digits and _"
        if reason:
            message = (
                f"the attribute {quote_name(attribute)} has the script variable "
                f"{quote_name(name)}"
            )
            hint = "specify another variable in `api.studio.variables`"
            raise NotStorableError(f"{message}, which {reason}; {hint}", part)
        return name

    def attribute(self, variable: str) -> str | None:
        """Return the attribute of a script variable, or None if no attribute has it."""
        attributes = {
            name.lower(): attribute for attribute, name in self.variables.items()
        }
        own_attribute = None if variable in self.variables else variable
        return attributes.get(variable.lower(), own_attribute)

    def skill_text(self, queue_id: str, queue_names: Mapping[str, str]) -> str:
        """Return a queue as the block assigns it to the variable of the skill.

        Raises NotStorableError, as `skill_problem` says.
        """
        problem = self.skill_problem(queue_id, queue_names)
        if problem:
            raise NotStorableError(problem)
        if self.skill_as == "id":
            return queue_id
        if self.skill_as == "name":
            return f'"{queue_names.get(queue_id, queue_id)}"'
        return f'"{queue_id}"'

    def skill_problem(self, queue_id: str, queue_names: Mapping[str, str]) -> str:
        """Return why the block cannot assign a queue; an empty text if it can."""
        if self.skill_as != "name":
            if _IDS[self.skill_as].fullmatch(queue_id):
                return ""
            kind = _ID_NAMES[self.skill_as]
            return f"the queue id {quote_name(queue_id)} is not {kind}; use a queue of the tenant"

        name = queue_names.get(queue_id, queue_id)
        if _UNSAFE.search(name) or name != name.strip() or not name:
            return (
                f"the skill name {quote(name)} is empty, begins or ends with a blank, or has a quote, a brace, "
                f"a backslash or a control character, which a Studio script cannot hold; rename the skill"
            )
        same = sorted(key for key, value in queue_names.items() if value == name)
        if len(same) > 1:
            return (
                f"{len(same)} skills have the name {quote(name)} (ids {join_first(same, 3)}), and a script that "
                f"assigns names cannot tell them apart; rename one of them, or use `result: {{as: id}}`"
            )
        return ""

    def is_known_offline(self, queue_id: str) -> bool:
        """Return whether a block can be built with a queue of the manifests alone.

        There, a queue without an id has its name as its id.
        """
        is_id = _IDS[self.skill_as].fullmatch(queue_id) is not None
        return is_id != (self.skill_as == "name")

    def queue_id(self, kind: str, text: str) -> str | None:
        """Return the queue that an assigned literal means, by its kind `number` or `text`; None for
        a literal of another form.

        A name of no known queue is its own id; one that looks like an id is in quotes, because it is none.
        """
        if self.skill_as == "name":
            if kind != "text" or not text or _UNSAFE.search(text):
                return None
            own_id = f'"{text}"' if _IDS["name"].fullmatch(text) else text
            return self.queue_ids.get(text, own_id)
        expected = "number" if self.skill_as == "id" else "text"
        is_id = kind == expected and _IDS[self.skill_as].fullmatch(text)
        return text if is_id else None

    def order_key(self, rule: Rule, rule_id: str) -> tuple[float, str, str]:
        """Return the key by which rules are evaluated, lowest first."""
        rank = rule.priority
        if self.highest_first:
            rank = -rank
        return rank, rule.name, rule_id


def form_of_skill(text: str) -> SkillForm | None:
    """Return what an assigned text is: the id of a skill or of a routing queue, or a skill's name;
    None if it can be none of them.
    """
    for form in ("id", "routing-queue"):
        if _IDS[form].fullmatch(text):
            return form
    is_name = not _UNSAFE.search(text) and text == text.strip()
    return "name" if is_name and not text.isdecimal() and text else None


def unique_ids(names: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the ids of queues by name, from pairs of id and name; names of two queues are omitted."""
    pairs = list(dict.fromkeys(names))
    counts = Counter(name for _, name in pairs)
    return {name: queue_id for queue_id, name in pairs if counts[name] == 1}


def storable_rule(rule: Rule, layout: BlockLayout) -> Rule:
    """Return the rule in the form in which a block holds it. Raises NotStorableError."""
    if not abs(rule.priority) < _MAX_PRIORITY:
        raise NotStorableError(
            f"the priority {rule.priority} is too large for a Studio script; use a smaller number"
        )
    conditions, targets = known_parts(rule)
    stored_conditions = [_storable_condition(part, layout) for part in conditions]
    stored_targets = _storable_targets(targets)
    return replace(
        rule,
        priority=canonical_number(rule.priority),
        conditions=normalized_conditions(stored_conditions),
        targets=sorted_targets(stored_targets),
    )


def known_parts(rule: Rule) -> tuple[list[Condition], list[Target]]:
    """Return the conditions and the targets of a rule.

    Raises NotStorableError for a part of an unknown type.
    """
    conditions = [part for part in rule.conditions if isinstance(part, Condition)]
    targets = [part for part in rule.targets if isinstance(part, Target)]
    if len(conditions) + len(targets) < len(rule.conditions) + len(rule.targets):
        raise NotStorableError(
            "a part of an unknown type cannot be written to a Studio script; remove it"
        )
    return conditions, targets


def canonical_number(number: float) -> int | float:
    """Return an equal number: an integer, if it is integral."""
    return number if number % 1 else int(number)


def compare_with(attribute: str, operator: str, values: list[Scalar]) -> Condition:
    """Return a condition; the text of a list of one value is that of the value alone."""
    if len(values) != 1:
        return make_condition(attribute, operator, values or None)
    operator = _SINGLE.get(operator, operator)
    return make_condition(attribute, operator, values[0])


def compared_kinds(condition: Condition) -> set[str]:
    """Return `text` and `number`, as far as a condition compares its attribute so."""
    return {
        "text" if isinstance(value, str) else "number" for value in condition.values
    }


def find_conflicts(
    rules: Iterable[Rule], layout: BlockLayout
) -> tuple[tuple[Rule, str], ...]:
    """Return rules that a block cannot hold beside the rules before them, each with the reason
    (CXR126).
    """
    kinds: dict[str, tuple[str, Rule]] = {}
    attributes: dict[str, str] = {}
    conflicts: dict[tuple[Rule, str], None] = {}
    for rule, part in _conditions_of(rules):
        attribute = part.attribute
        variable = layout.variable(attribute)
        first_attribute = attributes.setdefault(variable.lower(), attribute)
        if first_attribute != attribute:
            names = f"{quote_name(first_attribute)} and {quote_name(attribute)}"
            conflicts[rule, _same_variable(names, variable)] = None

        for problem in _kind_conflicts(rule, part, kinds):
            conflicts[rule, problem] = None
    return tuple(conflicts)


def _kind_conflicts(
    rule: Rule,
    part: Condition,
    kinds: dict[str, tuple[str, Rule]],
) -> Iterator[str]:
    """Yield why a condition does not compare like the first one; `kinds` gets the first one of
    each attribute.
    """
    for kind in sorted(compared_kinds(part)):
        first_kind, first_rule = kinds.setdefault(part.attribute, (kind, rule))
        if kind != first_kind:
            rival = "this rule, too"
            if first_rule is not rule:
                rival = f"the rule {quote_name(first_rule.name)}"
            uses = f"{kind} here and as a {first_kind} by {rival}"
            yield _different_kinds(part.attribute, uses)


def _conditions_of(rules: Iterable[Rule]) -> Iterator[tuple[Rule, Condition]]:
    for rule in rules:
        for part in rule.conditions:
            if isinstance(part, Condition):
                yield rule, part


def _same_variable(names: str, variable: str) -> str:
    return (
        f"the attributes {names} have one script variable, {variable}; specify two variables in "
        f"`api.studio.variables`"
    )


def _different_kinds(attribute: str, uses: str) -> str:
    return (
        f"{quote_name(attribute)} is compared as a {uses}, and Studio may not tell them apart; "
        f"compare it in one way"
    )


def _storable_condition(part: Condition, layout: BlockLayout) -> Condition:
    layout.variable(part.attribute, part)
    name = part.operator
    values = part.values
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if not isinstance(value, str)]
    unsafe = next(filter(_UNSAFE.search, texts), "")
    problem = ""
    if not OPERATORS[name].studio:
        problem = f"a Studio script cannot hold `{name}`; use another operator"
    elif part.value == ():
        problem = (
            "a Studio script cannot hold an empty list; add a value, or remove the rule"
        )
    elif not all(map(str.strip, texts)):
        problem = (
            "in Studio, an empty text is a missing value; use `exists` or `notExists`"
        )
    elif unsafe:
        problem = (
            f"the text {quote(unsafe)} has a quote, a brace, a backslash or a control "
            f"character"
        )
        problem += ", which a Studio script cannot hold; use `startsWith` or `contains`"
    elif not all(abs(number) < _MAX_INTEGER for number in numbers):
        problem = "the number is not finite, or too large; use a smaller number"
    if problem:
        raise NotStorableError(problem, part)
    stored = [
        value if isinstance(value, str) else canonical_number(value) for value in values
    ]
    return compare_with(part.attribute, name, stored)


def _storable_targets(targets: Sequence[Target]) -> list[Target]:
    percents = {
        queue_id: share * 100 for queue_id, share in destination_of(targets) or ()
    }
    if not 0 < len(percents) <= MAX_TARGETS:
        message = f"a rule in a Studio script needs 1 to {MAX_TARGETS} queues with a weight above 0"
        number = pluralize(len(percents), "queue")
        raise NotStorableError(f"{message}; this rule has {number}")
    for queue_id, percent in percents.items():
        if percent.denominator != 1:
            message = (
                f"the queue {queue_id} gets {float(percent):.4g} % of the conversations"
            )
            raise NotStorableError(
                f"{message}; Studio splits by whole percents, so set weights that add up to 100"
            )
    if len(percents) == 1:
        return [Target(queue_id, 1) for queue_id in percents]
    return [Target(queue_id, int(percent)) for queue_id, percent in percents.items()]
