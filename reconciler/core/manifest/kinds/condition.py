"""A condition of a rule, `{attribute: a, OPERATOR: value}`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import (
    InitErrorDetails,
    PydanticCustomError,
    ValidationError,
    core_schema,
)

from reconciler.core.manifest.kinds.fields import REFERENCE
from reconciler.core.manifest.yaml_writer import format_pair
from reconciler.core.model.operators import (
    EXISTENCE,
    INTERVALS,
    OPERATORS,
    SETS,
    OperatorKind,
    Scalar,
)

_EXAMPLE: Final = "{attribute: language, equals: fr}"
SORTED_OPERATORS: Final = tuple(sorted(OPERATORS))
_LIST_OPERATORS: Final = SETS | INTERVALS
_SCALAR_TYPES: Final = frozenset({str, bool, int, float})
_SCALAR_MESSAGE: Final = "must be text, a number, true or false"


@dataclass(frozen=True, slots=True)
class ConditionEntry:
    """A test of one attribute.

    `model.rule.make_condition` checks the value's type after ${vars} are filled in.
    """

    attribute: str
    operator: str
    value: Scalar | tuple[Scalar, ...]

    @classmethod
    def __get_pydantic_core_schema__(
        cls,
        source: object,
        handler: object,
    ) -> core_schema.CoreSchema:
        """Validate in one function, which is faster and clearer than a model with a field for each
        operator.
        """
        return core_schema.no_info_plain_validator_function(_validate_entry)

    @classmethod
    def __get_pydantic_json_schema__(
        cls,
        schema: object,
        handler: object,
    ) -> dict[str, Any]:
        """Describe one alternative for each operator."""
        return {
            "title": "Condition",
            "description": "A test of one attribute: its name, one operator and its value.",
            "type": "object",
            "properties": {
                "attribute": {
                    "type": "string",
                    "minLength": 1,
                    "description": "Name of the attribute of the conversation.",
                    "examples": ["customerTier"],
                },
                **{
                    name: {
                        "description": OPERATORS[name].description,
                        **_operand_type(OPERATORS[name].kind),
                        "examples": [OPERATORS[name].example],
                    }
                    for name in SORTED_OPERATORS
                },
            },
            "required": ["attribute"],
            "additionalProperties": False,
            "minProperties": 2,
            "maxProperties": 2,
            "examples": [{"attribute": "customerTier", "in": ["gold", "platinum"]}],
        }


def _validate_entry(value: object) -> ConditionEntry:
    if not isinstance(value, dict):
        raise PydanticCustomError("CXR104", f"must be a mapping, such as {_EXAMPLE}")
    if errors := list(_errors(value)):
        raise ValidationError.from_exception_data("condition", errors)
    (operator,) = value.keys() - {"attribute"}
    operand = value[operator]
    if isinstance(operand, list):
        operand = tuple(operand)
    return ConditionEntry(value["attribute"], operator, operand)


def _errors(value: dict[str, object]) -> Iterator[InitErrorDetails]:
    if "attribute" not in value or len(value) == 1:
        message = f"a condition is one test of one attribute, such as {_EXAMPLE}"
        yield _error("CXR103", message, value)
        return
    name = value["attribute"]
    if type(name) is not str or not name:
        yield _error("CXR104", "must be the name of an attribute", name, "attribute")
    tests = [key for key in value if key != "attribute"]
    unknown = [key for key in tests if key not in OPERATORS]
    if unknown:
        yield _error("CXR112", "", value, unknown[0])
        return
    for extra in tests[1:]:
        message = (
            f"a second operator after {tests[0]}: write a separate condition for it"
        )
        yield _error("CXR102", message, value, extra)
    for operator in tests:
        yield from _operand_errors(operator, value[operator])


def _operand_errors(operator: str, operand: object) -> Iterator[InitErrorDetails]:
    if operator in EXISTENCE:
        if operand is not True:
            opposite = OPERATORS[operator].complement
            message = f"must be true (its opposite is {opposite}: true)"
            yield _wrong_operand(message, operand, operator)
    elif operator not in _LIST_OPERATORS:
        if type(operand) not in _SCALAR_TYPES:
            message = f"{_SCALAR_MESSAGE} (a list needs `in` or `notIn`)"
            yield _wrong_operand(message, operand, operator)
    elif isinstance(operand, list):
        for index, item in enumerate(operand):
            if type(item) not in _SCALAR_TYPES:
                yield _wrong_operand(_SCALAR_MESSAGE, item, operator, index)
    elif not (isinstance(operand, str) and REFERENCE.fullmatch(operand)):
        yield _wrong_operand("must be a list", operand, operator)


def _wrong_operand(
    message: str,
    value: object,
    operator: str,
    *item: int,
) -> InitErrorDetails:
    context = {"example": format_pair(operator, OPERATORS[operator].example)}
    error = PydanticCustomError("CXR104", message, context)
    return InitErrorDetails(type=error, loc=(operator, *item), input=value)


def _error(code: str, message: str, value: object, *loc: str | int) -> InitErrorDetails:
    return InitErrorDetails(
        type=PydanticCustomError(code, message),
        loc=loc,
        input=value,
    )


def _operand_type(kind: OperatorKind) -> dict[str, Any]:
    """Return the schema of the value of an operator."""
    variable = {"type": "string", "pattern": f"^{REFERENCE.pattern}$"}
    match kind:
        case "existence":
            return {"const": True}
        case "equality":
            return _any_of("string", "number", "boolean")
        case "set":
            values = {"type": "array", "items": _any_of("string", "number", "boolean")}
            return {"anyOf": [values, variable]}
        case "pattern":
            return {"type": "string"}
        case "bound":
            return _any_of("string", "number")
        case "interval":
            pair = {
                "type": "array",
                "items": _any_of("string", "number"),
                "minItems": 2,
                "maxItems": 2,
            }
            return {"anyOf": [pair, variable]}


def _any_of(*types: str) -> dict[str, Any]:
    """Return the schema of several types; strict validators refuse a list of types."""
    return {"anyOf": [{"type": name} for name in types]}
