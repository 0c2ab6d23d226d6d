"""Expansion of one manifest rule to the desired rule (docs/manifests/ruleset.md)."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Final, cast

from reconciler.core.desired.queues import QueueError
from reconciler.core.desired.substitution import (
    FLAG,
    MAX_NAME_BYTES,
    MAX_TEXT_BYTES,
    PRIORITY,
    SHARE,
    TEXTS,
    WEIGHT,
    FieldType,
    describe_value,
    fill_variables,
    text_size,
)
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.kinds.ruleset import (
    AdoptById,
    RuleEntry,
    RuleSet,
)
from reconciler.core.model.live import MARKER_OPENING, normalize_line_ends
from reconciler.core.model.rule import (
    Condition,
    Json,
    Queue,
    Rule,
    Target,
    make_condition,
    normalized_conditions,
    sorted_targets,
)
from reconciler.core.text.suggest import suggest

FieldPath = tuple[str | int, ...]
ResolveQueue = Callable[[str], Queue]
_Test = tuple[str, str, Json, FieldPath]

_MIB: Final = 2**20
MAX_FILLED_BYTES_PER_FILE: Final = 5 * _MIB  # bytes of all expanded texts of one file
MAX_FILLED_BYTES_TOTAL: Final = 64 * _MIB

_ITEM_BYTES: Final = 16
"""Bytes that each list item counts in addition to its text, because lists of numbers need a limit
too."""
MAX_KEY_LENGTH: Final = 64
NOT_IN_SLUGS: Final = re.compile(r"[^a-z0-9]+", re.ASCII)


def slug_of(intent: str) -> str:
    """Return the default key of a rule for one intent: lower case, other characters as one dash."""
    return NOT_IN_SLUGS.sub("-", intent.lower()).strip("-")


class InvalidRuleError(Exception):
    """An error of one rule, at `path` below the rule; in the defaults of its RuleSet, below the
    document.
    """

    def __init__(
        self, code: str, message: str, *path: str | int, hint: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.path = path
        self.hint = hint


class SubstitutionLimitError(InvalidRuleError):
    """The variables of the rule's file exceed the text budget: the file's other rules are not
    expanded.
    """


class TextBudget:
    """The remaining bytes of filled-in text of one file; `parent` is the budget of all files."""

    def __init__(
        self, limit: int = MAX_FILLED_BYTES_PER_FILE, parent: "TextBudget | None" = None
    ) -> None:
        self._limit = limit
        self._remaining = limit
        self._parent = parent

    def spend(self, value: Json, path: FieldPath) -> None:
        """Count a value that is inserted at `path`. Raises SubstitutionLimitError."""
        self._remaining -= text_size(value)
        if isinstance(value, tuple):
            self._remaining -= _ITEM_BYTES * len(value)
        if self._remaining < 0:
            is_total = self._limit == MAX_FILLED_BYTES_TOTAL
            whose = "all files together" if is_total else "this file"
            message = (
                f"the variables in {whose} expand to more than {self._limit // _MIB} MiB of "
                f"text"
            )
            raise SubstitutionLimitError(
                "CXR010",
                message,
                *path,
                hint="shorten the variables, or split the file",
            )
        if self._parent is not None:
            self._parent.spend(value, path)


class FieldExpander:
    """Fills variables in fields of manifests, and resolves their queues."""

    def __init__(
        self,
        environment: Environment,
        resolve_queue: ResolveQueue,
        budget: TextBudget | None = None,
    ) -> None:
        """Expand with `resolve_queue`, which raises QueueError, and the file's text budget."""
        self.environment = environment
        self.resolve_queue = resolve_queue
        self._budget = budget or TextBudget()
        self._substituted: dict[tuple[FieldPath, str], Json] = {}

    def queue(self, reference: str, path: FieldPath) -> Queue:
        """Return the live queue of a reference."""
        name = self.fill_text(reference, path)
        try:
            return self.resolve_queue(name)
        except QueueError as error:
            raise InvalidRuleError(
                error.code, str(error), *path, hint=error.hint
            ) from None

    def typed_value(self, raw: Json, field_type: FieldType, *path: str | int) -> Json:
        """Return the value of a field that is not text: its own, or that of its variable."""
        value = raw
        if isinstance(raw, str):
            value = self._substitute_once(raw, path)
        if field_type.accepts(value):
            return value

        actual = f"{raw} is {describe_value(value)} in {self.environment.name}"
        message = f"{path[-1]} must be {field_type.requirement}, and {actual}"
        raise InvalidRuleError("CXR104", message, *path)

    def fill_text(self, text: str, path: FieldPath, limit: int = MAX_TEXT_BYTES) -> str:
        """Return a text with variables filled in."""
        value = self._substitute_once(text, path, limit)
        if isinstance(value, str):
            return value
        message = (
            f"{text} must be a text here, and is {describe_value(value)} in "
            f"{self.environment.name}"
        )
        raise InvalidRuleError(
            "CXR104", message, *path, hint="put the variable's value in quotes"
        )

    def _substitute_once(
        self, text: str, path: FieldPath, limit: int = MAX_TEXT_BYTES
    ) -> Json:
        if "$" not in text:
            return text
        position = (path, text)
        if position not in self._substituted:
            variables = self.environment.vars
            try:
                value = self._substituted[position] = fill_variables(
                    text, variables, limit
                )
            except KeyError as error:
                name = str(error.args[0])
                message = (
                    f"{self.environment.name} has no variable {name!r} in its vars"
                )
                raise InvalidRuleError(
                    "CXR107", message, *path, hint=suggest(name, variables)
                ) from None
            except ValueError as error:
                raise InvalidRuleError("CXR104", str(error), *path) from None
            self._budget.spend(value, path)
        return self._substituted[position]


class RuleExpander(FieldExpander):
    """Expands one manifest rule to a desired rule."""

    def __init__(
        self,
        environment: Environment,
        resolve_queue: ResolveQueue,
        ruleset: RuleSet,
        entry: RuleEntry,
        budget: TextBudget | None = None,
    ) -> None:
        super().__init__(environment, resolve_queue, budget)
        self.ruleset = ruleset
        self.entry = entry
        self.operators: Collection[str] = environment.api.operators

    def rule(self) -> Rule:
        """Return the desired rule. Raises InvalidRuleError at the first error."""
        queues = [self.queue(name, path) for name, _, path in list_targets(self.entry)]
        queue_ids = [queue.id for queue in queues]
        return Rule(
            name=self.name(),
            description=self.description(queues),
            priority=self.priority(),
            enabled=self.enabled(),
            conditions=normalized_conditions([test for test, _ in self.conditions()]),
            targets=sorted_targets(list(map(Target, queue_ids, self.weights()))),
        )

    def collect_errors(self) -> list[InvalidRuleError]:
        """Return all errors of the rule: each part is expanded separately."""
        targets = list_targets(self.entry)
        parts: list[Callable[[], object]] = [
            self.key,
            self.adopt,
            self.name,
            lambda: self.description(()),
            self.priority,
            self.enabled,
            *(partial(self.weight, weight, path) for _, weight, path in targets),
            self.weights,
            *(partial(self.queue, name, path) for name, _, path in targets),
            *(partial(self.condition, test) for test in self._tests()),
        ]

        errors: dict[object, InvalidRuleError] = {}
        for part in parts:
            try:
                part()
            except InvalidRuleError as error:
                errors.setdefault((error.path, str(error)), error)
        return list(errors.values())

    def is_implicit_catch_all(self) -> bool:
        """Return whether the rule matches every conversation without an explicit `when: []`."""
        return "when" not in self.entry.model_fields_set and not any(self._tests())

    def intents(self) -> tuple[str, ...]:
        """Return the intents of `intent` or `intents`."""
        if self.entry.intent is not None:
            return (self.fill_text(self.entry.intent, ("intent",)),)
        intents = self.entry.intents or ()
        if isinstance(intents, str):
            return cast("tuple[str, ...]", self.typed_value(intents, TEXTS, "intents"))
        return tuple(
            self.fill_text(text, ("intents", index))
            for index, text in enumerate(intents)
        )

    def key(self) -> str:
        """Return the rule's `key`, or the slug of its only intent: lower case, other characters as
        one dash.
        """
        if self.entry.key is not None:
            return self.entry.key
        intents = self.intents()
        if len(intents) != 1:
            reason = "it has several intents" if intents else "it has no intent"
            message = f"this rule needs a `key`, because {reason}"
            raise InvalidRuleError(
                "CXR108", message, hint="write a `key`, such as key: card-help"
            )
        key = slug_of(intents[0])
        if not 0 < len(key) <= MAX_KEY_LENGTH:
            message = f"intent {intents[0]!r} cannot be converted to a key"
            if key:
                message += ": it is too long"
            name = "intent" if self.entry.intent is not None else "intents"
            raise InvalidRuleError("CXR108", message, name, hint="write a `key`")
        return key

    def name(self) -> str:
        """Return the rule's `name`, or the default name with the intent or key."""
        if self.entry.name is not None:
            name = self.fill_text(self.entry.name, ("name",), MAX_NAME_BYTES)
        else:
            name = f"Cognigy Intent Route: {self._subject()}"
        if text_size(name) > MAX_NAME_BYTES:
            message = f"a name must have at most {MAX_NAME_BYTES:,} bytes"
            raise InvalidRuleError(
                "CXR104", message, "name", hint="write a shorter `name`"
            )
        return name

    def _subject(self) -> str:
        """Return the intent, with the key where the key says more; without a single intent, the
        key.
        """
        intents = self.intents()
        if len(intents) != 1:
            return self.key()

        (intent,) = intents
        key = self.entry.key
        if key in (None, slug_of(intent)):
            return intent
        return f"{intent} ({key})"

    def description(self, queues: Sequence[Queue]) -> str:
        """Return the `description`, or a default with intents and queues; "" for a rule without
        intents.
        """
        raw = self.entry.description
        text = (
            self._default_description(queues)
            if raw is None
            else self.fill_text(raw, ("description",))
        )
        text = normalize_line_ends(text)

        if text_size(text) > MAX_TEXT_BYTES:
            message = f"a description must have at most {MAX_TEXT_BYTES:,} bytes"
            raise InvalidRuleError(
                "CXR104", message, "description", hint="write a shorter `description`"
            )
        if raw is not None and MARKER_OPENING in text:
            raise InvalidRuleError(
                "CXR104",
                f"a description must not contain {MARKER_OPENING!r}",
                "description",
            )
        # it would be read as part of the line end before the marker
        if text.endswith("\r"):
            hint = ""
            if raw is None:
                hint = "the queue's name ends in one: write a `description`"
            message = "a description must not end in a carriage return"
            raise InvalidRuleError("CXR104", message, "description", hint=hint)
        return text

    def _default_description(self, queues: Sequence[Queue]) -> str:
        intents = self.intents()
        if not intents:
            return ""
        names = tuple(queue.name for queue in queues)
        self._budget.spend(names, ())
        quoted = ", ".join(f"'{intent}'" for intent in intents)
        noun = "intents" if len(intents) > 1 else "intent"
        return f"Routes conversations with {noun} {quoted} to {', '.join(names)}"

    def adopt(self) -> str | AdoptById | None:
        """Return which unmanaged live rule to take over, if any."""
        adopt = self.entry.adopt
        if isinstance(adopt, str):
            return self.fill_text(adopt, ("adopt",))
        return adopt

    def weight(self, raw: str | float, path: FieldPath) -> int | float:
        """Return a target's weight; `path` is its queue's."""
        weight = self.typed_value(raw, WEIGHT, *path[:-1], "weight")
        return cast("int | float", weight)

    def weights(self) -> list[int | float]:
        """Return the weight of each target. An enabled rule requires a positive weight."""
        weights = [
            self.weight(weight, path) for _, weight, path in list_targets(self.entry)
        ]
        if any(weight > 0 for weight in weights) or not self.enabled():
            return weights
        message = (
            "no target has a positive weight, so the conversations of this rule would reach no "
            "queue"
        )
        hint = "set a weight above 0; to switch the rule off, set `enabled: false`"
        raise InvalidRuleError("CXR123", message, "targets", hint=hint)

    def priority(self) -> int:
        """Return the rule's priority, or the default."""
        return cast("int", self._value_or_default("priority", PRIORITY))

    def enabled(self) -> bool:
        """Return whether the rule is enabled, by itself or by default."""
        return cast("bool", self._value_or_default("enabled", FLAG))

    def condition(self, test: _Test) -> Condition:
        """Return one condition with variables filled in. Raises InvalidRuleError."""
        attribute, operator, value, path = test
        if operator not in self.operators:
            message = (
                f"{self.environment.name} does not support operator {operator!r} "
                f"(api.operators)"
            )
            raise InvalidRuleError("CXR119", message, *path)
        filled = self._operand(value, path)
        try:
            return make_condition(self.fill_text(attribute, path), operator, filled)
        except ValueError as error:
            message = f"{operator} {error}"
            if isinstance(value, str):
                message += f", and {value} is {describe_value(filled)} in {self.environment.name}"
            raise InvalidRuleError("CXR104", message, *path) from None

    def _operand(self, value: Json, path: FieldPath) -> Json:
        if path == ("intent",):
            return self.fill_text(value, path)
        if path == ("intents",):
            return self.intents()
        if path == ("minConfidence",) and self.entry.min_confidence is None:
            return self.typed_value(value, SHARE, "defaults", "minConfidence")
        if path in (("minConfidence",), ("belowConfidence",)):
            return self.typed_value(value, SHARE, *path)
        return self._fill_value(value, path)

    def conditions(self) -> list[tuple[Condition, FieldPath]]:
        """Return each condition and its path. Raises InvalidRuleError."""
        conditions = []
        for test in self._tests():
            *_, path = test
            conditions.append((self.condition(test), path))
        return conditions

    def _tests(self) -> Iterable[_Test]:
        entry = self.entry
        intent = self.environment.attributes.intent
        confidence = self.environment.attributes.confidence
        if entry.intent is not None:
            yield intent, "equals", entry.intent, ("intent",)
        elif entry.intents:
            yield intent, "in", entry.intents, ("intents",)

        lowest = entry.min_confidence
        is_stated = "min_confidence" in entry.model_fields_set
        if lowest is None and (entry.intent or entry.intents) and not is_stated:
            lowest = self.ruleset.defaults.min_confidence
        if lowest is not None:
            yield confidence, "greaterThanOrEqual", lowest, ("minConfidence",)
        highest = entry.below_confidence
        if highest is not None:
            yield confidence, "lessThan", highest, ("belowConfidence",)

        for index, test in enumerate(entry.when or ()):
            path = ("when", index, test.operator)
            yield test.attribute, test.operator, test.value, path

    def _fill_value(self, value: Json, path: FieldPath) -> Json:
        if isinstance(value, str):
            return self._substitute_once(value, path)
        if isinstance(value, tuple):
            return tuple(self._fill_value(item, path) for item in value)
        return value

    def _value_or_default(self, name: str, field_type: FieldType) -> Json:
        raw: Json = getattr(self.entry, name)
        if raw is None:
            default = getattr(self.ruleset.defaults, name)
            return self.typed_value(default, field_type, "defaults", name)
        return self.typed_value(raw, field_type, name)


def list_targets(entry: RuleEntry) -> list[tuple[str, str | int | float, FieldPath]]:
    """Return queue, weight and path of each target of the rule, without expansion."""
    if entry.queue is not None:
        return [(entry.queue, 1, ("queue",))]
    return [
        (target.queue, target.weight, ("targets", index, "queue"))
        for index, target in enumerate(entry.targets or ())
    ]
