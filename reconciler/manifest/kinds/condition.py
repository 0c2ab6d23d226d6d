"""A condition of a rule, `{attribute: a, OPERATOR: value}`, and suggestions for an invalid one."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError, core_schema

from reconciler.manifest.kinds.fields import REFERENCE
from reconciler.manifest.yaml_writer import format_flow, format_pair
from reconciler.model.rule import EXISTENCE, OPERATORS, ORDERS, PATTERNS, SETS, Scalar, parse_number
from reconciler.text.escape import is_visible, quote_name
from reconciler.text.suggest import suggest

EXAMPLE_CONDITION: Final = "{attribute: language, equals: fr}"
_MAX_LENGTH: Final = 120
_SIGNS: Final = {
    "==": "equals",
    "=": "equals",
    "!=": "notEquals",
    "<>": "notEquals",
    ">=": "greaterThanOrEqual",
    "<=": "lessThanOrEqual",
    ">": "greaterThan",
    "<": "lessThan",
}
_TEXT: Final = re.compile(rf"\s*([\w.-]+)\s*(==|!=|<>|>=|<=|=|>|<|\b(?:{'|'.join(sorted(OPERATORS))})\b)\s*(\S.*?)\s*")
_API_FIELDS: Final = frozenset({"type", "attribute", "attributeName", "operator", "value"})


def is_api_form(condition: Mapping[str, object]) -> bool:
    """Return whether a condition has the API's form, with its operator as a value."""
    return "operator" in condition and condition.keys() <= _API_FIELDS


def suggest_condition(value: object) -> str:
    """Return the likely condition of a text or a mapping of another form, or ""."""
    fields = _parse_text(value) if isinstance(value, str) else _parse_mapping(value) if isinstance(value, dict) else {}
    text = format_flow(fields) if fields else ""
    return text if len(text) <= _MAX_LENGTH and is_visible(text) else ""


def _parse_text(text: str) -> dict[str, Any] | None:
    """Read `language == de`, `confidence >= 0.7`, `tier in [gold, platinum]`."""
    match = _TEXT.fullmatch(text[: _MAX_LENGTH + 1])
    if match is None:
        return None
    name, sign, operand = match.groups()
    operator = _SIGNS.get(sign, sign)
    items = re.fullmatch(r"[\[(](.*)[\])]", operand)
    if operator in SETS:
        return {"attribute": name, operator: list(map(_parse_scalar, (items[1] if items else operand).split(",")))}
    if items or operator in EXISTENCE or operator == "between":
        return None
    return {"attribute": name, operator: _parse_scalar(operand)}


def _parse_scalar(text: str) -> str | int | float:
    bare = text.strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "'\"":
        return bare[1:-1]
    try:
        return parse_number(bare)
    except ValueError:
        return bare


def _parse_mapping(mapping: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read the API's form, `{language: de}`, and the manifest's form."""
    if is_api_form(mapping):
        name, operator = mapping.get("attribute") or mapping.get("attributeName"), mapping["operator"]
        if isinstance(name, str) and isinstance(operator, str) and operator in OPERATORS:
            return {"attribute": name, operator: True if operator in EXISTENCE else mapping.get("value")}
        return None
    if "attribute" in mapping:
        return dict(mapping)
    if len(mapping) != 1:
        return None
    ((name, value),) = mapping.items()
    if is_logic(mapping) or name in OPERATORS or suggest(name, OPERATORS) or isinstance(value, dict) or value is None:
        return None
    return {"attribute": name, ("in" if isinstance(value, list) else "equals"): value}


_ALTERNATIVES: Final = frozenset({"or", "any", "anyOf", "oneOf", "either"})
_ALL: Final = frozenset({"and", "all", "allOf", "every"})
_NEGATIONS: Final = frozenset({"not", "none", "noneOf"})


def is_logic(condition: Mapping[str, object]) -> bool:
    """Return whether a mapping joins conditions, as other languages do: `{or: [...]}`."""
    if len(condition) != 1:
        return False
    ((word, parts),) = condition.items()
    if word not in _ALTERNATIVES | _ALL | _NEGATIONS:
        return False
    if isinstance(parts, list):
        return not parts or any(type(part) not in _SCALAR_TYPES for part in parts)
    return isinstance(parts, dict)


def without_logic(condition: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the conditions that together mean the same as joined ones; none if a rule cannot express it."""
    ((word, parts),) = condition.items()
    read = [_parse_any(part) for part in (parts if isinstance(parts, list) else [parts])]
    known = [part for part in read if part]
    if len(known) != len(read):
        return []
    if word in _ALL:
        return known
    if word in _NEGATIONS:
        return [] if len(known) > 1 else _negated(known[0])
    names = {part["attribute"] for part in known}
    if len(names) > 1 or any(part.keys() - {"attribute", "equals", "in"} for part in known):
        return []
    values = [value for part in known for value in part.get("in", [part.get("equals")])]
    return [{"attribute": names.pop(), "in": values}]


def _parse_any(part: object) -> dict[str, Any] | None:
    if isinstance(part, str):
        return _parse_text(part)
    return _parse_mapping(part) if isinstance(part, dict) else None


def _negated(condition: Mapping[str, Any]) -> list[dict[str, Any]]:
    operators = [name for name in condition if name in OPERATORS]
    for operator in operators:
        plain = operator.removeprefix("not")
        opposite = f"not{operator[0].upper()}{operator[1:]}" if plain == operator else plain[0].lower() + plain[1:]
        if len(operators) == 1 and opposite in OPERATORS:
            return [{"attribute": condition["attribute"], opposite: condition[operator]}]
    return []


def suggest_conditions(value: object) -> list[dict[str, Any]]:
    """Return the likely conditions of a value in place of a list of conditions: a text, or a mapping."""
    if isinstance(value, dict) and is_logic(value):
        return without_logic(value)
    if isinstance(value, dict) and len(value) > 1 and "attribute" not in value and not is_api_form(value):
        each = [_parse_mapping({name: part}) for name, part in value.items()]
        return [part for part in each if part] if all(each) else []
    known = _parse_any(value)
    return [known] if known else []


def _corrected_operand(operator: str, operand: object) -> str:
    """Return an operator and its value as they should be; "" if unknown."""
    lists = {"equals": "in", "notEquals": "notIn"}
    candidates: list[tuple[str, object]] = []
    if isinstance(operand, list) and operator in lists:
        candidates = [(lists[operator], operand)]
    elif isinstance(operand, list) and len(operand) == 1:
        candidates = [(operator, operand[0])]
    elif operator in SETS and isinstance(operand, str):
        candidates = [(operator, list(map(_parse_scalar, operand.strip("()").split(","))))]
    elif operator == "between" and isinstance(operand, str):
        limits = _RANGE.fullmatch(operand)
        candidates = [(operator, list(map(_parse_scalar, limits.groups())))] if limits else []
    elif operator in SETS and type(operand) in _SCALAR_TYPES:
        candidates = [(operator, [operand])]
    elif operator in EXISTENCE:
        is_opposite = operand is False or str(operand).lower() in ("false", "no", "off")
        opposite = "exists" if operator == "notExists" else "notExists"
        candidates = [(opposite if is_opposite else operator, True)]
    for name, value in candidates:
        text = format_pair(name, value)
        if not any(True for _ in _operand_errors(name, value)) and len(text) <= _MAX_LENGTH and is_visible(text):
            return text
    return ""


_SYNONYMS: Final = {
    **dict.fromkeys(("is", "eq", "equal", "equalTo", "=", "=="), "equals"),
    **dict.fromkeys(("isNot", "ne", "neq", "not", "!=", "<>"), "notEquals"),
    **dict.fromkeys(("anyOf", "oneOf", "isOneOf", "isIn", "values"), "in"),
    **dict.fromkeys(("noneOf", "nin"), "notIn"),
    **dict.fromkeys(("gte", "min", "atLeast", "least", ">="), "greaterThanOrEqual"),
    **dict.fromkeys(("lte", "max", "atMost", "most", "<="), "lessThanOrEqual"),
    **dict.fromkeys(("gt", "above", "over", ">"), "greaterThan"),
    **dict.fromkeys(("lt", "below", "under", "<"), "lessThan"),
    "value": "equals",
}


def suggest_operator(word: str, operand: object) -> str:
    """Return the operator and the value that another language's word means: `write in: [a, b]`; "" if unknown."""
    operator = _SYNONYMS.get(word, "")
    if not operator:
        return ""
    if any(True for _ in _operand_errors(operator, operand)):
        entry = _corrected_operand(operator, operand)
    else:
        entry = format_pair(operator, operand)
    return f"write {entry}" if entry and len(entry) <= _MAX_LENGTH and is_visible(entry) else ""


SORTED_OPERATORS: Final = tuple(sorted(OPERATORS))
_RANGE: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(?:-|\.\.|,|and|to)\s*([0-9]+(?:\.[0-9]+)?)\s*", re.ASCII)
_LIST_OPERATORS: Final = SETS | {"between"}
_SCALAR_TYPES: Final = frozenset({str, bool, int, float})
_SCALAR_MESSAGE: Final = "must be text, a number, true or false"


@dataclass(frozen=True, slots=True)
class ConditionEntry:
    """A test of one attribute. `model.rule.make_condition` checks the value's type after ${vars} are filled in."""

    attribute: str
    operator: str
    value: Scalar | tuple[Scalar, ...]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> core_schema.CoreSchema:
        """Validate in one function, which is faster and clearer than a model with a field for each operator."""
        return core_schema.no_info_plain_validator_function(_validate_entry)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: object, handler: object) -> dict[str, Any]:
        """Describe one alternative for each operator."""
        return {
            "title": "Condition",
            "description": "A test of one attribute of a conversation: its name, one operator and its value.",
            "type": "object",
            "properties": {
                "attribute": {
                    "type": "string",
                    "minLength": 1,
                    "description": "Name of the attribute of the conversation.",
                    "examples": ["customerTier"],
                },
                **{
                    operator: {"description": description, **_operand_type(operator), "examples": [example]}
                    for operator, (description, example) in sorted(_OPERATOR_HELP.items())
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
        example = suggest_condition(value) or EXAMPLE_CONDITION
        raise PydanticCustomError("CXR104", f"must be a mapping, such as {example}")
    if errors := list(_errors(value)):
        raise ValidationError.from_exception_data("condition", errors)
    (operator,) = value.keys() - {"attribute"}
    operand = value[operator]
    return ConditionEntry(value["attribute"], operator, tuple(operand) if isinstance(operand, list) else operand)


def _errors(value: dict[str, object]) -> Iterator[InitErrorDetails]:
    if error := _error_of_form(value):
        yield error
        return
    operators = [key for key in value if key in OPERATORS]
    for key in value:
        if key != "attribute" and key not in OPERATORS:
            yield _error("CXR112", "", value, key)
    if "attribute" not in value:
        yield InitErrorDetails(type="missing", loc=("attribute",), input=value)
    elif type(value["attribute"]) is not str or not value["attribute"]:
        yield _error("CXR104", "must be the name of an attribute", value["attribute"], "attribute")
    if not operators and len(value) <= 1:
        yield _error("CXR103", "the condition has no operator, such as equals", value)
    for extra in operators[1:]:
        message = f"a second operator after {operators[0]}: write a separate condition for it"
        yield _error("CXR102", message, value, extra)
    for operator in operators:
        yield from _operand_errors(operator, value[operator])


def _error_of_form(value: dict[str, object]) -> InitErrorDetails | None:
    """Return the error of a condition in the form of another language."""
    if is_logic(value):
        (word,) = value
        message = f"conditions have no {quote_name(word)}: all conditions of `when` must hold"
        return _error("CXR102", message, value, replacement=without_logic(value))
    if is_api_form(value):
        form = suggest_condition(value) or EXAMPLE_CONDITION
        return _error("CXR102", f"this condition has the form of the API: write {form}", value)
    if "attribute" not in value and (form := suggest_condition(value)):
        return _error("CXR103", f"this condition names no attribute: write {form}", value)
    return None


def _operand_errors(operator: str, operand: object) -> Iterator[InitErrorDetails]:
    if operator in EXISTENCE:
        if operand is not True:
            opposite = "exists" if operator == "notExists" else "notExists"
            message = f"must be true (its opposite is {opposite}: true)"
            yield _error("CXR104", message, operand, operator, corrected=_corrected_operand(operator, operand))
    elif operator not in _LIST_OPERATORS:
        if type(operand) not in _SCALAR_TYPES:
            corrected = _corrected_operand(operator, operand)
            yield _error("CXR104", _SCALAR_MESSAGE, operand, operator, corrected=corrected)
    elif isinstance(operand, list):
        for index, item in enumerate(operand):
            if type(item) not in _SCALAR_TYPES:
                yield _error("CXR104", _SCALAR_MESSAGE, item, operator, index)
    elif not (isinstance(operand, str) and REFERENCE.fullmatch(operand)):
        yield _error("CXR104", "must be a list", operand, operator, corrected=_corrected_operand(operator, operand))


def _error(code: str, message: str, value: object, *loc: str | int, **context: Any) -> InitErrorDetails:  # noqa: ANN401 - what `error_messages` adds to the message
    return InitErrorDetails(type=PydanticCustomError(code, message, context or None), loc=loc, input=value)


def _operand_type(operator: str) -> dict[str, Any]:
    if operator in EXISTENCE:
        return {"const": True}
    variable = {"type": "string", "pattern": f"^{REFERENCE.pattern}$"}
    if operator == "between":
        pair = {"type": "array", "items": _any_of("string", "number"), "minItems": 2, "maxItems": 2}
        return {"anyOf": [pair, variable]}
    if operator in SETS:
        return {"anyOf": [{"type": "array", "items": _any_of("string", "number", "boolean")}, variable]}
    if operator in PATTERNS:
        return {"type": "string"}
    return _any_of("string", "number") if operator in ORDERS else _any_of("string", "number", "boolean")


def _any_of(*types: str) -> dict[str, Any]:
    """Return the schema of several types; strict validators refuse a list of types."""
    return {"anyOf": [{"type": name} for name in types]}


_OPERATOR_HELP: Final[dict[str, tuple[str, object]]] = {
    "equals": ("The attribute equals this value exactly; text is case-sensitive.", "gold"),
    "notEquals": ("The attribute exists and does not equal this value.", "fr"),
    "in": ("The attribute equals one of these values.", ["gold", "platinum"]),
    "notIn": ("The attribute exists and equals none of these values.", ["fr", "it"]),
    "contains": ("The attribute is text that contains this text (case-sensitive).", "card"),
    "notContains": ("The attribute exists and is not text that contains this text.", "test"),
    "startsWith": ("The attribute is text that begins with this text (case-sensitive).", "+49"),
    "notStartsWith": ("The attribute exists and is not text that begins with this text.", "+49"),
    "endsWith": ("The attribute is text that ends with this text (case-sensitive).", "@example.com"),
    "notEndsWith": ("The attribute exists and is not text that ends with this text.", "@example.com"),
    "exists": ("The attribute exists, with any value. The opposite is notExists.", True),
    "notExists": ("The attribute is missing. Every other operator requires that it exists.", True),
    "greaterThan": ("The attribute is a number above this number.", 1000),
    "greaterThanOrEqual": ("The attribute is this number or a higher one.", 0.7),
    "lessThan": ("The attribute is a number below this number.", 18),
    "lessThanOrEqual": ("The attribute is this number or a lower one.", 3),
    "between": ("The attribute is a number from the first number to the second, both included.", [0.4, 0.7]),
}  # the meaning of each operator, and an example of its value
