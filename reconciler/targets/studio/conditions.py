"""Expressions of a snippet as conditions of rules.

What rules cannot say exactly is not understood.
"""

import operator
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import cache, lru_cache
from typing import Final, NamedTuple

from reconciler.core.model.operators import (
    EQUALITIES,
    POSITIVE_OF_NEGATIVE,
    RANGES,
    RECORDS,
    SETS,
    Scalar,
    Value,
)
from reconciler.core.model.rule import (
    Condition,
    make_condition,
    parse_number,
)
from reconciler.core.target import NotStorableError
from reconciler.targets.studio.build import METHODS, SYMBOLS, number_helpers
from reconciler.targets.studio.language import (
    Expression,
    Statement,
    format_expression,
    parse_snippet,
    plain,
)
from reconciler.targets.studio.layout import (
    BlockLayout,
    compare_with,
    compared_kinds,
)

Alternative = tuple[Condition, ...]  # conditions that all hold

TESTS: Final = {
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_OPERATOR_OF: Final = {
    text: name for name, text in (*METHODS.items(), *SYMBOLS.items(), ("equals", "="))
}
_NEGATIVE_OF: Final = {
    record.name: record.complement
    for record in RECORDS
    if record.name not in RANGES and not record.denies
}
# where the values are numbers
_COMPARES_NUMBERS: Final = (EQUALITIES | SETS | RANGES) - POSITIVE_OF_NEGATIVE.keys()
# this and the next are operators inside an expression, which no rule has
_NUMBER: Final = "is a number"
_NO_NUMBER: Final = "is not a number"
_EXCLUDED: Final = {
    "notExists": {"exists", _NUMBER, "number", "text"},
    _NO_NUMBER: {_NUMBER, "number"},
}
_IMPLIED_BY: Final = {"exists": {_NUMBER, "number", "text"}, _NUMBER: {"number"}}
_MAX_ALTERNATIVES: Final = 1000
_MAX_PARTS: Final = 200
_MAX_DIGITS: Final = 1000


class NotUnderstoodError(Exception):
    """An expression that conditions cannot say: its text, empty for all of it, and the reason."""

    def __init__(self, text: str, reason: str = "rules have no such condition") -> None:
        super().__init__(text, reason)
        self.text = text
        self.reason = reason


class Helper(NamedTuple):
    """What a helper variable holds: `text` or `number` of a script's variable, `check`: if it has a
    number, `split`.

    `raw text` and `raw number` are the script's variable itself, with a value of that type, or
    without a value.
    """

    kind: str
    variable: str


def find_helpers(statements: Sequence[Statement]) -> dict[str, Helper]:
    """Return the helper variables that statements assign, by their names in lower case.

    Others may have any value.
    """
    names = Counter(
        part.text for each in statements for part in (each, *each.body, *each.otherwise)
    )
    helpers: dict[str, Helper] = {}
    for statement in statements:
        if statement.kind != "assign" or names[statement.text] > 1:
            continue
        helper = _helper(statement.text, plain(statement.expressions[0]))
        if helper:
            helpers[statement.text] = helper
    return helpers | _find_checks(statements, helpers, names)


def _find_checks(
    statements: Sequence[Statement],
    helpers: Mapping[str, Helper],
    names: Mapping[str, int],
) -> dict[str, Helper]:
    """Return the variables that tell whether a variable of the script has a number."""
    places = {statement: place for place, statement in enumerate(statements)}
    assigned = {each.text: places[each] for each in statements if each.kind == "assign"}
    checks: dict[str, Helper] = {}
    for name, helper in helpers.items():
        text = name.replace("num", "text", 1) + "$"
        if not name.startswith("cxr_num_") or text not in helpers:
            continue
        _, start, change = parse_snippet("\n".join(number_helpers(helper.variable)))
        if names[start.text] != 2 or not {start, change} <= places.keys():  # noqa: PLR2004 - both statements assign it
            continue
        if max(assigned[name], assigned[text], places[start]) < places[change]:
            checks[start.text] = Helper("check", helper.variable)
    return checks


def _helper(name: str, value: Expression) -> Helper | None:
    """Return what a variable with this value holds. cxroute's own variables hold what their names
    say, or nothing.
    """
    match value:
        case Expression("text", text) if (
            text[:1] == "{" and text[-1:] == "}" and name.endswith("$")
        ):
            helper = Helper("text", text[1:-1].strip())
            own = f"cxr_text_{helper.variable}$"
        case Expression(
            "operation",
            "+",
            (Expression("variable", spelling=variable), Expression("number", "0")),
        ):
            helper = Helper("number", variable)
            own = f"cxr_num_{variable}"
        case Expression(
            "operation",
            "%",
            (Expression("variable", "contactid"), Expression("number", "100")),
        ):
            helper = Helper("split", "")
            own = "cxr_split"
        case _:
            return None
    return helper if name == own.lower() or not name.startswith("cxr_") else None


def symbols_of(node: Expression) -> set[str]:
    """Return the symbols of an operation; none for another expression."""
    return {*node.text.split()} if node.kind == "operation" else set()


def either(nodes: Sequence[Expression]) -> Expression:
    """Return the expression that is true where one of the expressions is."""
    groups = tuple(Expression("group", "", (node,)) for node in nodes)
    return (
        nodes[0]
        if len(nodes) == 1
        else Expression("operation", " ".join("|" * (len(nodes) - 1)), groups)
    )


class ConditionReader:
    """Reads the expressions of one snippet."""

    def __init__(self, layout: BlockLayout, helpers: Mapping[str, Helper]) -> None:
        self.layout, self.helpers = layout, helpers
        self._spellings = {
            helper.variable.lower(): helper.variable for helper in helpers.values()
        }
        self._attribute = cache(self._find_attribute)
        # many rules have the same bounds
        self._alternatives = lru_cache(4096)(self._find_alternatives)

    def alternatives(self, node: Expression) -> list[Alternative]:
        """Return lists of conditions, one of which holds exactly where the expression is true; no
        list: nowhere.
        """
        alternatives = self._alternatives(node)
        if any(
            part.operator in (_NUMBER, _NO_NUMBER)
            for each in alternatives
            for part in each
        ):
            raise NotUnderstoodError(format_expression(node))
        return alternatives

    def shares(
        self,
        statements: Sequence[Statement],
        percent: int = 0,
    ) -> Counter[str] | None:
        """Return the percents of the queues in a split, from `percent` on; None if a statement is
        not understood.
        """
        match statements:
            case [
                Statement(
                    kind="assign", text=variable, expressions=(Expression(kind, text),)
                )
            ]:
                if variable != self.layout.skill.lower():
                    return None
                queue_id = self.layout.queue_id(kind, text)
                return Counter({queue_id: 100 - percent}) if queue_id else None
            case [
                Statement(
                    kind="if", expressions=(test,), body=(Statement(kind="assign"),)
                ) as split
            ]:
                match plain(test):
                    case Expression(
                        "operation",
                        "<",
                        (Expression("variable", name), Expression("number", number)),
                    ):
                        limit = (
                            int(number) if number.isdecimal() and len(number) < 3 else 0  # noqa: PLR2004 - percent
                        )
                        is_split = (
                            self.helpers.get(name) == Helper("split", "")
                            and percent < limit
                        )
                        first = (
                            self.shares(split.body, 100 - limit + percent)
                            if is_split
                            else None
                        )
                        rest = self.shares(split.otherwise, limit)
                        return first + rest if first and rest else None
        return None

    def _find_alternatives(self, node: Expression) -> list[Alternative]:
        node = plain(node)
        symbols = symbols_of(node)
        # which is first is unknown
        if symbols & {*"&|"} and any(
            symbols_of(part) & {*"&|~"} for part in node.parts
        ):
            raise NotUnderstoodError(
                format_expression(node),
                "no document says which of its operators comes first: add parentheses",
            )
        if symbols == {"|"}:
            return _any_of(
                each for part in node.parts for each in self._alternatives(part)
            )
        if symbols == {"&"}:
            return self._all_of(node)
        if len(symbols) == 1 and len(node.parts) == 2:  # noqa: PLR2004 - a comparison
            return self._compare(node, symbols.pop(), *map(plain, node.parts))
        match node:
            case Expression(
                "call",
                method,
                (
                    Expression("variable", spelling=variable),
                    Expression("text") as literal,
                ),
            ) if method in METHODS.values():
                text = _read_literal(literal)
                return _only(self._condition(variable, _OPERATOR_OF[method], text))
        raise NotUnderstoodError(format_expression(node))

    def _all_of(self, node: Expression) -> list[Alternative]:
        """Return the alternatives in which one of each part of an expression holds."""
        if len(node.parts) > _MAX_PARTS:
            reason = f"it has more than {_MAX_PARTS} parts"
            raise NotUnderstoodError("", reason)
        combined: list[Alternative] = [()]
        for part in node.parts:
            combined = conjunction(combined, self._alternatives(part))
        return combined

    def _subject(self, left: Expression, right: Expression) -> Helper | str | None:
        """Return what the left side of a comparison is: what its variable holds, or the kind of the
        expression.
        """
        del right
        if left.kind != "variable":
            return left.kind
        return self.helpers.get(left.text)

    def _compare(
        self,
        node: Expression,
        symbol: str,
        left: Expression,
        right: Expression,
    ) -> list[Alternative]:
        match self._subject(left, right), symbol, right:
            case Helper("raw text" | "raw number"), "!=", _:
                return self._negated(node, self._compare(node, "=", left, right))
            case "operation" | "call", "=", Expression("number", "0"):
                return self._negated(node, self._alternatives(left))
            case Helper("text" | "raw text", variable), _, Expression("text"):
                return self._compare_text(node, symbol, variable, right)
            case Helper("check", variable), "=", Expression("number", "1"):
                return _only(Condition(self._attribute(variable), _NUMBER, None, None))
            case ((Helper("number" | "raw number") as helper), _, _) if symbol in TESTS:
                return self._compare_number(helper, symbol, right)
            case "number", _, Expression("number") if symbol in TESTS:
                return _compare_literals(node, symbol, left, right)
        raise NotUnderstoodError(format_expression(node))

    def _compare_text(
        self,
        node: Expression,
        symbol: str,
        variable: str,
        literal: Expression,
    ) -> list[Alternative]:
        """Return the comparison of a variable with a text; only an empty text has an order."""
        if not literal.text and symbol in ("=", ">"):
            name = "notExists" if symbol == "=" else "exists"
            return _only(self._condition(variable, name, None))
        if symbol == "=":
            return _only(self._condition(variable, "equals", _read_literal(literal)))
        raise NotUnderstoodError(format_expression(node))

    def _compare_number(
        self,
        helper: Helper,
        symbol: str,
        right: Expression,
    ) -> list[Alternative]:
        """Return the comparison of a variable with a number."""
        number = _read_number(right)
        name = _NO_NUMBER if helper.kind == "number" else "notExists"
        absent = Condition(self._attribute(helper.variable), name, None, None)
        test = self._condition(helper.variable, _OPERATOR_OF[symbol], number)
        # a missing value and a text have the number 0
        is_absent = TESTS[symbol](0, number)
        return [(test,), (absent,)] if is_absent else [(test,)]

    def _negated(
        self, node: Expression, positive: list[Alternative]
    ) -> list[Alternative]:
        """Return the alternatives of an expression that is true where none of these holds."""
        match positive:
            case [(Condition(name, operator) as condition,)] if (
                operator in _NEGATIVE_OF
            ):
                negative = replace(condition, operator=_NEGATIVE_OF[operator])
                missing = make_condition(name, "notExists", None)
                return [(negative,), (missing,)] if condition.values else [(negative,)]
        raise NotUnderstoodError(format_expression(node))

    def _condition(self, variable: str, name: str, value: Value) -> Condition:
        return make_condition(self._attribute(variable), name, value)

    def _find_attribute(self, variable: str) -> str:
        attribute = self.layout.attribute(
            self._spellings.setdefault(variable.lower(), variable)
        )
        with suppress(NotStorableError):
            if attribute is not None and self.layout.variable(attribute):
                return attribute
        raise NotUnderstoodError(variable, "this variable cannot be an attribute")


def _only(condition: Condition) -> list[Alternative]:
    return [(condition,)]


def _compare_literals(
    node: Expression,
    symbol: str,
    left: Expression,
    right: Expression,
) -> list[Alternative]:
    """Return the comparison of two numbers, which always holds or never."""
    if len(left.text + right.text) > _MAX_DIGITS:
        raise NotUnderstoodError(format_expression(node))
    is_true = TESTS[symbol](Fraction(left.text), Fraction(right.text))
    return [()] if is_true else []


def _read_literal(node: Expression) -> str:
    """Return the text of a literal.

    Raises NotUnderstoodError if it is empty or has a variable in it.
    """
    if not node.text or {"{", "}"} & {*node.text}:
        reason = "a text to compare with must not be empty or contain a brace"
        raise NotUnderstoodError(format_expression(node), reason)
    return node.text


def _read_number(node: Expression) -> int | float:
    """Return the number of a literal.

    Raises NotUnderstoodError if no number of a rule equals it exactly.
    """
    match node:
        case Expression("operation", "-", (Expression("number", "0"), operand)):
            return -_read_number(plain(operand))
    with suppress(ValueError):
        value = parse_number(node.text if node.kind == "number" else "")
        if str(value) == node.text or Fraction(str(value)) == Fraction(node.text):
            return value
    raise NotUnderstoodError(format_expression(node))


def _any_of(alternatives: Iterable[Alternative]) -> list[Alternative]:
    """Return the alternatives; those of values of one attribute become one."""
    values: dict[str, dict[Scalar, None]] = {}
    others: dict[Alternative, None] = {}
    for each in alternatives:
        if len(each) == 1 and each[0].operator in ("equals", "in"):
            values.setdefault(each[0].attribute, {}).update(
                dict.fromkeys(each[0].values)
            )
        else:
            others[each] = None
    if len(others) > _MAX_ALTERNATIVES:
        reason = f"it has more than {_MAX_ALTERNATIVES:,} alternatives"
        raise NotUnderstoodError("", reason)
    return [
        *((compare_with(name, "in", [*each]),) for name, each in values.items()),
        *others,
    ]


def conjunction(
    first: Sequence[Alternative], second: Sequence[Alternative]
) -> list[Alternative]:
    """Return the alternatives in which one of the first and one of the second ones hold.

    Raises NotUnderstoodError for too many.
    """
    if len(first) * len(second) > _MAX_ALTERNATIVES:
        reason = f"its conditions have more than {_MAX_ALTERNATIVES:,} combinations"
        raise NotUnderstoodError("", reason)
    pairs = [_combined(each, other) for each in first for other in second]
    return [each for each in pairs if each is not None]


def _combined(first: Alternative, second: Alternative) -> Alternative | None:
    """Return the conditions of both, or None if they contradict each other."""
    conditions = [*dict.fromkeys((*first, *second))]
    roles: dict[str, set[str]] = {}
    for part in conditions:
        is_number = part.operator in _COMPARES_NUMBERS and compared_kinds(part) == {
            "number"
        }
        role = "number" if is_number else "text" if part.values else part.operator
        roles.setdefault(part.attribute, set()).add(role)
    if any(
        _EXCLUDED.get(part.operator, set()) & roles[part.attribute]
        for part in conditions
    ):
        return None
    parts = [
        part
        for part in conditions
        if not _IMPLIED_BY.get(part.operator, set()) & roles[part.attribute]
    ]
    if [part.operator for part in parts] == [
        "greaterThanOrEqual",
        "lessThanOrEqual",
    ] and len(roles) == 1:
        return (
            make_condition(
                parts[0].attribute,
                "between",
                [part.value for part in parts],
            ),
        )
    return tuple(parts)
