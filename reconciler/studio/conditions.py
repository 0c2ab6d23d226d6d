"""Expressions of a snippet as conditions of rules. What rules cannot say exactly is not understood."""

import operator
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import prod
from typing import Final, Literal, NamedTuple

from reconciler.behaviour.evaluate import POSITIVE_OF_NEGATIVE
from reconciler.model.rule import Condition, Value, make_condition, parse_number
from reconciler.studio.build import METHODS, SYMBOLS, number_helpers
from reconciler.studio.language import Expression, Statement, format_expression, parse_snippet
from reconciler.studio.layout import QUEUE_ID, BlockLayout, NotStorableError

Alternative = tuple[Condition, ...]  # conditions that all hold

_OPERATOR_OF: Final = {text: name for name, text in [*SYMBOLS.items(), *METHODS.items(), ("equals", "=")]}
_NEGATIVE_OF: Final = {positive: negative for negative, positive in POSITIVE_OF_NEGATIVE.items()}
TESTS: Final = {"=": operator.eq, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_BOUNDS: Final = ["greaterThanOrEqual", "lessThanOrEqual"]
_MAX_PRODUCT: Final = 64  # alternatives of an expression of parts that must all hold
_MAX_ALTERNATIVES: Final = 1000
_CONTACT_ID: Final = Expression("variable", "contactid")


class NotUnderstoodError(Exception):
    """An expression that conditions cannot say. Its argument is the expression's text."""


class Helper(NamedTuple):
    """What a helper variable holds: the text or number of a script's variable, whether it has a number, or a split."""

    kind: Literal["text", "number", "check", "split"]
    variable: str


def find_helpers(statements: Sequence[Statement]) -> dict[str, Helper]:
    """Return the helper variables that statements assign, by their names in lower case. Others may have any value."""
    names = Counter(
        each.text for statement in statements for each in (statement, *statement.body, *statement.otherwise)
    )
    single = [each for each in statements if each.kind == "assign" and names[each.text] == 1]
    helpers = {each.text: helper for each in single if (helper := _helper(each.text, plain(each.expressions[0])))}
    for name, helper in [*helpers.items()]:
        if name == f"cxr_num_{helper.variable}".lower() and f"cxr_text_{helper.variable}$".lower() in helpers:
            _, *check = parse_snippet("\n".join(number_helpers(helper.variable)))
            if names[check[0].text] == len(check) and {*check} <= {*statements}:
                helpers[check[0].text] = Helper("check", helper.variable)
    return helpers


def _helper(name: str, value: Expression) -> Helper | None:
    """Return what a variable with this value holds. cxroute's own variables hold what their names say, or nothing."""
    own, helper = "cxr_split", None
    match value:
        case Expression("text", text) if text[:1] == "{" and text[-1:] == "}" and text[1:-1].strip().isidentifier():
            helper = Helper("text", text[1:-1].strip())
            own = f"cxr_text_{helper.variable}$"
        case Expression("operation", "+", (Expression("variable") as variable, Expression("number", "0"))):
            helper = Helper("number", variable.spelling)
            own = f"cxr_num_{helper.variable}"
        case Expression("operation", "%", (first, Expression("number", "100"))) if first == _CONTACT_ID:
            helper = Helper("split", "")
    return helper if name == own.lower() or not name.startswith("cxr_") else None


def plain(node: Expression) -> Expression:
    """Return an expression without parentheses around it."""
    while node.kind == "group":
        node = node.parts[0]
    return node


class ConditionReader:
    """Reads the expressions of one block."""

    def __init__(self, layout: BlockLayout, helpers: Mapping[str, Helper]) -> None:
        self.layout, self.helpers = layout, helpers
        self._spellings = {helper.variable.lower(): helper.variable for helper in helpers.values()}

    def alternatives(self, node: Expression) -> list[Alternative]:
        """Return lists of conditions, one of which holds exactly where the expression is true; no list: nowhere."""
        node = plain(node)
        symbols = {*node.text.split()} if node.kind == "operation" else set()
        if symbols == {"|"}:
            return _any_of(each for part in node.parts for each in self.alternatives(part))
        if symbols == {"&"}:
            return self._all_of(node.parts)
        if len(symbols) == 1 and len(node.parts) == 2:  # noqa: PLR2004 - a comparison
            return self.compare(node, symbols.pop(), *map(plain, node.parts))
        if node.kind == "call" and node.text in METHODS.values():
            receiver, argument = node.parts[0], node.parts[1:]
            if receiver.kind == "variable" and [part.kind for part in argument] == ["text"]:
                return [(self.condition(receiver.spelling, _OPERATOR_OF[node.text], read_literal(argument[0])),)]
        raise NotUnderstoodError(format_expression(node))

    def compare(self, node: Expression, symbol: str, left: Expression, right: Expression) -> list[Alternative]:
        """Return the alternatives of a comparison."""
        helper = self.helpers.get(left.text) if left.kind == "variable" else None
        if left.kind == right.kind == "number" and symbol in TESTS:
            return [()] if TESTS[symbol](Fraction(left.text), Fraction(right.text)) else []
        if symbol == "=" and right == Expression("number", "0") and left.kind in ("operation", "call"):
            return negated(self.alternatives(left), node)
        if helper and helper.kind == "text" and left.text.endswith("$") and right.kind == "text":
            if right.text == "" and symbol in "=>":
                return [(self.condition(helper.variable, "notExists" if symbol == "=" else "exists", None),)]
            if symbol == "=":
                return [(self.condition(helper.variable, "equals", read_literal(right)),)]
        if helper and helper.kind == "number" and symbol in TESTS:
            number = read_number(right)
            if not TESTS[symbol](0, number):  # a missing value and a text have the number 0
                return [self.number_test(helper.variable, symbol, number)]
        raise NotUnderstoodError(format_expression(node))

    def _all_of(self, parts: Sequence[Expression]) -> list[Alternative]:
        checked = {name for part in parts if (name := self._checked(plain(part)))}
        lists = [
            self._number_test(part, checked) or self.alternatives(part)
            for part in parts
            if not self._checked(plain(part))
        ]
        if prod(map(len, lists)) > _MAX_PRODUCT:
            raise NotUnderstoodError(" & ".join(map(format_expression, parts)))
        combined = [each for each in map(_combined, product(*lists)) if each is not None]
        attributes = {self.layout.attribute(name) for name in checked}
        for alternative in combined:
            if not attributes <= {
                part.attribute for part in alternative if part.operator in (*SYMBOLS, "equals", "between")
            }:
                raise NotUnderstoodError(" & ".join(map(format_expression, parts)))
        return combined

    def _checked(self, node: Expression) -> str:
        """Return the script's variable that an expression requires to be a number, or an empty text."""
        if node.kind == "operation" and node.text == "=" and node.parts[1] == Expression("number", "1"):
            helper = self.helpers.get(plain(node.parts[0]).text)
            return helper.variable if helper and helper.kind == "check" else ""
        return ""

    def _number_test(self, node: Expression, checked: set[str]) -> list[Alternative]:
        """Return a test of a variable that is a number, as another part of the expression says; else an empty list."""
        node = plain(node)
        if node.kind == "operation" and node.text in TESTS:
            left, right = map(plain, node.parts)
            helper = self.helpers.get(left.text)
            if helper and helper.kind == "number" and helper.variable in checked:
                return [self.number_test(helper.variable, node.text, read_number(right))]
        return []

    def number_test(self, variable: str, symbol: str, number: float) -> Alternative:
        """Return the condition of a comparison with a number, on a variable that holds one."""
        return (self.condition(variable, _OPERATOR_OF[symbol], number),)

    def condition(self, variable: str, name: str, value: Value) -> Condition:
        """Return a condition on the attribute of a script's variable. Raises NotUnderstoodError without one."""
        attribute = self.layout.attribute(self._spellings.setdefault(variable.lower(), variable))
        try:
            if attribute is not None and self.layout.variable(attribute):
                return make_condition(attribute, name, value)
        except NotStorableError:
            pass
        raise NotUnderstoodError(variable)


def read_literal(node: Expression) -> str:
    """Return the text of a literal. Raises NotUnderstoodError if it is empty or has a variable in it."""
    if node.kind != "text" or not node.text or {"{", "}"} & {*node.text}:
        raise NotUnderstoodError(format_expression(node))
    return node.text


def read_number(node: Expression) -> int | float:
    """Return the number of a literal. Raises NotUnderstoodError if no number of a rule equals it exactly."""
    if node.kind == "operation" and node.text == "-" and node.parts[0] == Expression("number", "0"):
        return -read_number(plain(node.parts[1]))
    try:
        value = parse_number(node.text if node.kind == "number" else "")
    except ValueError:
        raise NotUnderstoodError(format_expression(node)) from None
    if Fraction(str(value)) != Fraction(node.text):
        raise NotUnderstoodError(format_expression(node))
    return value


def _any_of(alternatives: Iterable[Alternative]) -> list[Alternative]:
    """Return the alternatives; those of values of one attribute become one."""
    values: dict[str, list[Value]] = {}
    others: dict[Alternative, None] = {}
    for each in alternatives:
        if len(each) == 1 and each[0].operator in ("equals", "in"):
            value = each[0].value
            values.setdefault(each[0].attribute, []).extend(value if isinstance(value, tuple) else [value])
        else:
            others[each] = None
        if len(others) > _MAX_ALTERNATIVES:
            raise NotUnderstoodError(f"more than {_MAX_ALTERNATIVES:,} alternatives")
    sets = ((name, [*dict.fromkeys(listed)]) for name, listed in values.items())
    return [(make_condition(name, *(("in", s) if len(s) > 1 else ("equals", s[0]))),) for name, s in sets] + [*others]


def _combined(parts: Sequence[Alternative]) -> Alternative | None:
    """Return the conditions of all parts, or None if they contradict each other."""
    conditions = [*dict.fromkeys(condition for part in parts for condition in part)]
    missing = {part.attribute for part in conditions if part.operator == "notExists"}
    present = {part.attribute for part in conditions if part.operator not in ("exists", "notExists")}
    if missing & {part.attribute for part in conditions if part.operator != "notExists"}:
        return None
    remaining = [part for part in conditions if part.operator != "exists" or part.attribute not in present]
    if [part.operator for part in remaining] == _BOUNDS and len(present) == 1:
        return (make_condition(remaining[0].attribute, "between", [part.value for part in remaining]),)
    return tuple(remaining)


def negated(alternatives: Sequence[Alternative], node: Expression) -> list[Alternative]:
    """Return where none of the alternatives holds; the node is for the error. Raises NotUnderstoodError."""
    if len(alternatives) == 1 and len(alternatives[0]) == 1:
        (condition,) = alternatives[0]
        missing = (make_condition(condition.attribute, "notExists", None),)
        if condition.operator == "exists":
            return [missing]
        if condition.operator == "notExists":
            return [(make_condition(condition.attribute, "exists", None),)]
        if negative := _NEGATIVE_OF.get(condition.operator):
            value = [*condition.value] if isinstance(condition.value, tuple) else condition.value
            return [(make_condition(condition.attribute, negative, value),), missing]
    raise NotUnderstoodError(format_expression(node))


def read_shares(
    statements: Sequence[Statement], skill: str, helpers: Mapping[str, Helper], percent: int
) -> Counter[str] | None:
    """Return the percents of the queues in a split, from `percent` on; None if a statement is not understood."""
    if len(statements) != 1:
        return None
    (statement,) = statements
    node = plain(statement.expressions[0]) if statement.expressions else Expression("unknown", "")
    if statement.kind == "assign":
        is_skill = statement.text == skill and node == statement.expressions[0]
        return Counter({node.text: 100 - percent}) if is_skill and QUEUE_ID.fullmatch(node.text) else None
    if statement.kind != "if" or node.kind != "operation" or node.text != "<":
        return None
    left, right = map(plain, node.parts)
    helper = helpers.get(left.text)
    limit = int(right.text) if right.kind == "number" and right.text.isdecimal() else 0
    if not helper or helper.kind != "split" or not percent < limit < 100:  # noqa: PLR2004 - percent
        return None
    first = read_shares(statement.body, skill, helpers, 100 - limit + percent)
    rest = read_shares(statement.otherwise, skill, helpers, limit)
    return first + rest if first and rest and statement.body[0].kind == "assign" else None
