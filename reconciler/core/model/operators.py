"""The operators of conditions: one record each, from which every other module takes its part.

To add an operator, add a record to `RECORDS`: manifests and their schema, the evaluation here and in
the browser, the analysis, the words of reports, the cells of tables and the API's forms follow from
it. A record that lacks a part is a TypeError.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, cast

Scalar = str | int | float | bool
Value = Scalar | tuple[Scalar, ...] | None
ValueMasks = tuple[int, int, int]
"""Values of an attribute: `ValueSet` of behaviour/space/domain.py."""

OperatorKind = Literal["existence", "equality", "set", "pattern", "bound", "interval"]
"""What an operator compares with.

existence: nothing. equality: a value. set: a list of values. pattern: a text that a text starts or
ends with or contains. bound: a number. interval: two numbers, the lower one first.
"""


class AttributeValues(Protocol):
    """The values of an attribute, cut into atoms at the values that conditions name."""

    @property
    def missing(self) -> ValueMasks:
        """Return "missing"."""
        ...

    @property
    def present(self) -> ValueMasks:
        """Return all values but "missing"."""
        ...

    def equal_to(self, *values: Scalar) -> ValueMasks:
        """Return these values."""
        ...

    def matching(self, operator: str, text: str) -> ValueMasks:
        """Return the texts that match a pattern."""
        ...

    def below(self, bound: float) -> int:
        """Return the atoms of the numbers below a number that a condition names."""
        ...

    def at(self, bound: float) -> int:
        """Return the atom of a number that a condition names."""
        ...

    def above(self, bound: float) -> int:
        """Return the atoms of the numbers above a number that a condition names."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator; semantics S3 to S9 define what the operators mean.

    `test` and `javascript` are about a value that exists, `atoms` says the same of sets of values.
    """

    name: str  # in manifests, and by default in the API
    kind: OperatorKind
    complement: str  # the operator that holds for all other values that exist; of a bound: numbers
    denies: str  # of a negative operator, the complement, whose meaning defines its own; else empty
    test: Callable[[Scalar, Value], bool]
    atoms: Callable[[AttributeValues, Any], ValueMasks]
    words: str  # before the value, in a condition
    phrase: str  # about conversations; {} is the value
    cell: str  # before the value, in a cell of a table
    description: str
    example: object
    studio: str  # the method or the comparisons of a snippet; empty: Studio has none
    javascript: str  # a function of the operand that returns a test of a value


def _of_numbers(test: Callable[[float, Any], bool]) -> Callable[[Scalar, Value], bool]:
    """Return a test of numbers: on a text it is false (S5)."""
    return lambda value, operand: (
        not isinstance(value, str)
        and not isinstance(operand, str)
        and test(value, operand)
    )


def _of_texts(test: Callable[[str, str], bool]) -> Callable[[Scalar, Value], bool]:
    """Return a test of texts: on a number it is false (S5)."""
    return lambda value, text: (
        isinstance(value, str) and isinstance(text, str) and test(value, text)
    )


def _from_to(values: AttributeValues, low: float, high: float) -> int:
    from_low = values.at(low) | values.above(low)
    to_high = values.below(high) | values.at(high)
    return from_low & to_high


def _negative(
    positive: Operator,
    *,
    words: str,
    cell: str,
    description: str,
    example: object,
) -> Operator:
    """Return the operator that holds for the values that exist and that another one excludes."""
    return Operator(
        name=positive.complement,
        kind=positive.kind,
        complement=positive.name,
        denies=positive.name,
        test=lambda value, operand: not positive.test(value, operand),
        atoms=positive.atoms,
        words=words,
        phrase=f"not {positive.phrase}",
        cell=cell,
        description=description,
        example=example,
        studio=positive.studio,
        javascript=positive.javascript,
    )


def _starts_with(value: str, text: str) -> bool:
    return value.startswith(text)


def _ends_with(value: str, text: str) -> bool:
    return value.endswith(text)


_EQUALS: Final = Operator(
    name="equals",
    kind="equality",
    complement="notEquals",
    denies="",
    test=lambda value, operand: value == operand,
    atoms=lambda values, operand: values.equal_to(operand),
    words="is",
    phrase="{}",
    cell="exactly",
    description="The attribute equals this value exactly; text is case-sensitive.",
    example="gold",
    studio="=",
    javascript="operand => value => isText(value) === isText(operand) && value == operand",
)
_IN: Final = Operator(
    name="in",
    kind="set",
    complement="notIn",
    denies="",
    test=lambda value, operand: value in cast("tuple[Scalar, ...]", operand),
    atoms=lambda values, operand: values.equal_to(*operand),
    words="is one of",
    phrase="{}",
    cell="one of",
    description="The attribute equals one of these values.",
    example=["gold", "platinum"],
    studio="=",
    javascript="""list => {
      const texts = new Set(list.filter(isText)), numbers = list.filter(isNumber);
      return value => isText(value) ? texts.has(value) : numbers.some(number => number == value);
    }""",
)
_CONTAINS: Final = Operator(
    name="contains",
    kind="pattern",
    complement="notContains",
    denies="",
    test=_of_texts(lambda value, text: text in value),
    atoms=lambda values, text: values.matching("contains", text),
    words="contains",
    phrase="containing {}",
    cell="contains",
    description="The attribute is text that contains this text (case-sensitive).",
    example="card",
    studio="contains",
    javascript='text => hasText("", text, "")',
)
_STARTS_WITH: Final = Operator(
    name="startsWith",
    kind="pattern",
    complement="notStartsWith",
    denies="",
    test=_of_texts(_starts_with),
    atoms=lambda values, text: values.matching("startsWith", text),
    words="starts with",
    phrase="starting with {}",
    cell="starts with",
    description="The attribute is text that begins with this text (case-sensitive).",
    example="+49",
    studio="beginswith",
    javascript='text => hasText("^", text, "")',
)
_ENDS_WITH: Final = Operator(
    name="endsWith",
    kind="pattern",
    complement="notEndsWith",
    denies="",
    test=_of_texts(_ends_with),
    atoms=lambda values, text: values.matching("endsWith", text),
    words="ends with",
    phrase="ending with {}",
    cell="ends with",
    description="The attribute is text that ends with this text (case-sensitive).",
    example="@example.com",
    studio="",
    javascript='text => hasText("", text, "$")',
)
_EXISTS: Final = Operator(
    name="exists",
    kind="existence",
    complement="notExists",
    denies="",
    test=lambda _value, _operand: True,
    atoms=lambda values, _operand: values.present,
    words="exists",
    phrase="known",
    cell="present",
    description="The attribute exists, with any value. The opposite is notExists.",
    example=True,
    studio=">",
    javascript="() => () => true",
)

RECORDS: Final[tuple[Operator, ...]] = (
    _EQUALS,
    _negative(
        _EQUALS,
        words="is not",
        cell="not",
        description="The attribute exists and does not equal this value.",
        example="fr",
    ),
    _IN,
    _negative(
        _IN,
        words="is none of",
        cell="none of",
        description="The attribute exists and equals none of these values.",
        example=["fr", "it"],
    ),
    _CONTAINS,
    _negative(
        _CONTAINS,
        words="does not contain",
        cell="does not contain",
        description="The attribute exists and is not text that contains this text.",
        example="test",
    ),
    _STARTS_WITH,
    _negative(
        _STARTS_WITH,
        words="does not start with",
        cell="does not start with",
        description="The attribute exists and is not text that begins with this text.",
        example="+49",
    ),
    _ENDS_WITH,
    _negative(
        _ENDS_WITH,
        words="does not end with",
        cell="does not end with",
        description="The attribute exists and is not text that ends with this text.",
        example="@example.com",
    ),
    _EXISTS,
    Operator(
        name="notExists",
        kind="existence",
        complement="exists",
        denies="",
        test=lambda _value, _operand: False,
        atoms=lambda values, _operand: values.missing,
        words="is missing",
        phrase="not known",
        cell="missing",
        description="The attribute is missing. Every other operator requires that it exists.",
        example=True,
        studio="=",
        javascript="() => () => false",
    ),
    Operator(
        name="greaterThanOrEqual",
        kind="bound",
        complement="lessThan",
        denies="",
        test=_of_numbers(lambda value, bound: value >= bound),
        atoms=lambda values, bound: (values.at(bound) | values.above(bound), 0, 0),
        words=">=",
        phrase=">= {}",
        cell=">=",
        description="The attribute is this number or a higher one.",
        example=0.7,
        studio=">=",
        javascript="bound => value => isNumber(value) && value >= bound",
    ),
    Operator(
        name="greaterThan",
        kind="bound",
        complement="lessThanOrEqual",
        denies="",
        test=_of_numbers(lambda value, bound: value > bound),
        atoms=lambda values, bound: (values.above(bound), 0, 0),
        words=">",
        phrase="> {}",
        cell=">",
        description="The attribute is a number above this number.",
        example=1000,
        studio=">",
        javascript="bound => value => isNumber(value) && value > bound",
    ),
    Operator(
        name="lessThanOrEqual",
        kind="bound",
        complement="greaterThan",
        denies="",
        test=_of_numbers(lambda value, bound: value <= bound),
        atoms=lambda values, bound: (values.below(bound) | values.at(bound), 0, 0),
        words="<=",
        phrase="<= {}",
        cell="<=",
        description="The attribute is this number or a lower one.",
        example=3,
        studio="<=",
        javascript="bound => value => isNumber(value) && value <= bound",
    ),
    Operator(
        name="lessThan",
        kind="bound",
        complement="greaterThanOrEqual",
        denies="",
        test=_of_numbers(lambda value, bound: value < bound),
        atoms=lambda values, bound: (values.below(bound), 0, 0),
        words="<",
        phrase="< {}",
        cell="<",
        description="The attribute is a number below this number.",
        example=18,
        studio="<",
        javascript="bound => value => isNumber(value) && value < bound",
    ),
    Operator(
        name="between",
        kind="interval",
        complement="",
        denies="",
        test=_of_numbers(lambda value, pair: pair[0] <= value <= pair[1]),
        atoms=lambda values, pair: (_from_to(values, *pair), 0, 0),
        words="is between",
        phrase="from {} to {}",
        cell="between",
        description="The attribute is a number from the first number to the second, both included.",
        example=[0.4, 0.7],
        studio=">= <=",
        javascript="([low, high]) => value => isNumber(value) && low <= value && value <= high",
    ),
)

OPERATORS: Final[Mapping[str, Operator]] = {record.name: record for record in RECORDS}
POSITIVE_OF_NEGATIVE: Final[Mapping[str, str]] = {
    record.name: record.denies for record in RECORDS if record.denies
}
"""Each negative operator, and the positive operator that it denies (S6)."""


def operators_of(*kinds: OperatorKind) -> frozenset[str]:
    """Return the names of the operators of some kinds."""
    return frozenset(record.name for record in RECORDS if record.kind in kinds)


EXISTENCE: Final = operators_of("existence")
EQUALITIES: Final = operators_of("equality")
SETS: Final = operators_of("set")
PATTERNS: Final = operators_of("pattern")
BOUNDS: Final = operators_of("bound")
INTERVALS: Final = operators_of("interval")
RANGES: Final = BOUNDS | INTERVALS
"""The operators that compare with numbers alone."""
