"""Conditions of a hand-written snippet, as conditions of rules.

A variable that the snippet does not assign is an attribute of the contact. A missing value counts
as 0 beside a number, and as the empty text beside a text.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from reconciler.core.model.operators import RECORDS, Scalar
from reconciler.core.model.rule import JSON_NUMBER, Condition, make_condition
from reconciler.targets.studio.conditions import (
    TESTS,
    Alternative,
    ConditionReader,
    Helper,
    NotUnderstoodError,
    conjunction,
    find_helpers,
)
from reconciler.targets.studio.evaluate import BROAD
from reconciler.targets.studio.language import (
    Expression,
    Statement,
    format_expression,
    plain,
)
from reconciler.targets.studio.layout import BlockLayout, compare_with

_OPPOSITES: Final = {
    record.name: record.complement for record in RECORDS if record.complement
}
_MIRRORED: Final = {
    "=": "=",
    "!=": "!=",
    ">": "<",
    ">=": "<=",
    "<": ">",
    "<=": ">=",
}
_START: Final = "left"
_LITERALS: Final = ("text", "number")


def find_sources(
    statements: Sequence[Statement], assigned: Counter[str]
) -> dict[str, Helper]:
    """Return what variables hold that a snippet assigns once, and outside of each decision.

    `copy`: the value of another variable; `text copy`: its text, in a variable without `$`.
    `assigned` counts the assignments of the whole snippet.
    """
    sources = find_helpers(statements)
    for statement in statements:
        if statement.kind == "assign":
            helper = _find_copy(statement)
            if helper is not None:
                sources.setdefault(statement.text, helper)
    return {
        name: helper
        for name, helper in sources.items()
        if assigned[name] == (2 if helper.kind == "check" else 1)
    }


def _find_copy(statement: Statement) -> Helper | None:
    match plain(statement.expressions[0]):
        case Expression("variable", spelling=variable) if variable.lower() not in (
            "contactid",
            statement.text,
        ):
            return Helper("copy", variable)
        case Expression("text", text) if text[:1] == "{" and text[-1:] == "}":
            return Helper("text copy", text[1:-1].strip())
    return None


class SnippetConditionReader(ConditionReader):
    """Reads the conditions of one hand-written snippet."""

    def __init__(
        self, layout: BlockLayout, sources: Mapping[str, Helper], skill: str
    ) -> None:
        """`skill` is the variable of the skill, in lower case."""
        super().__init__(layout, sources)
        self._skill = skill

    def read(self, node: Expression, assigned: Mapping[str, int]) -> list[Alternative]:
        """Return lists of conditions, one of which holds exactly where the expression is true.

        `assigned` has the lines of the assignments before. Raises NotUnderstoodError.
        """
        for variable in _variables(node):
            self._check_value(variable, assigned)
        return self.alternatives(node)

    def _check_value(self, variable: str, assigned: Mapping[str, int]) -> None:
        """Raise NotUnderstoodError for a variable that does not hold an attribute of the contact."""
        name = variable.lower()
        while name in self.helpers and name != self._skill:
            if name not in assigned:
                raise NotUnderstoodError(variable, "the snippet assigns it only later")
            name = self.helpers[name].variable.lower()
        if name in assigned:
            line = assigned[name]
            raise NotUnderstoodError(variable, f"line {line} assigns {name} before")
        if name == self._skill:
            reason = (
                "it is the variable of the skill, with a value from before the snippet"
            )
            raise NotUnderstoodError(variable, reason)

    def _find_attribute(self, variable: str) -> str:
        name = variable
        while name.lower() in self.helpers:
            name = self.helpers[name.lower()].variable
        if name.endswith("$"):
            raise NotUnderstoodError(
                name, "a variable with $ is another one than that without it"
            )
        return super()._find_attribute(name)

    def _subject(self, left: Expression, right: Expression) -> Helper | str | None:
        if left.kind != "variable":
            return left.kind
        helper = self.helpers.get(left.text)
        if helper is not None and helper.kind == "split":
            reason = "a split by ContactID is an IF with < alone, and ELSE"
            raise NotUnderstoodError("", reason)
        if helper is not None and helper.kind not in ("copy", "text copy"):
            return helper
        if right.kind in ("number", "operation"):
            if helper is not None and helper.kind == "text copy":
                reason = "a text is compared with a number"
                raise NotUnderstoodError("", reason)
            return Helper("raw number", left.spelling)
        if right.kind != "text":
            return None
        if JSON_NUMBER.fullmatch(right.text):
            reason = "a text of digits may compare as a number: write it without quotes"
            raise NotUnderstoodError("", reason)
        return Helper("raw text", left.spelling)

    def _compare(
        self,
        node: Expression,
        symbol: str,
        left: Expression,
        right: Expression,
    ) -> list[Alternative]:
        is_mirrored = left.kind in _LITERALS and right.kind not in _LITERALS
        if is_mirrored and symbol in _MIRRORED:
            return self._compare(node, _MIRRORED[symbol], right, left)
        if left.kind == "call" and left.text == _START:
            return self._compare_start(node, symbol, left, right)
        try:
            return super()._compare(node, symbol, left, right)
        except NotUnderstoodError as error:
            text = format_expression(node)
            if not error.text:
                raise NotUnderstoodError(text, error.reason) from None
            # a part of it has its own reason
            if error.text != text:
                raise
            raise NotUnderstoodError(text, _reason(symbol, left, right)) from None

    def _compare_start(
        self,
        node: Expression,
        symbol: str,
        call: Expression,
        literal: Expression,
    ) -> list[Alternative]:
        """Return the comparison of the first letters of a variable with a text of as many."""
        match call.parts, literal:
            case (
                (
                    Expression("variable"),
                    Expression("number", count),
                ),
                Expression("text", text),
            ) if text and symbol in ("=", "!="):
                pass
            case _:
                raise NotUnderstoodError(format_expression(node))
        if JSON_NUMBER.fullmatch(text):
            reason = "a text of digits may compare as a number: use .beginswith"
            raise NotUnderstoodError(format_expression(node), reason)
        if count != str(len(text)):
            reason = f"the text has {len(text)} letters, and .left takes {count}"
            raise NotUnderstoodError(format_expression(node), reason)
        literal_call = Expression("call", "beginswith", (call.parts[0], literal))
        starts = self._alternatives(literal_call)
        return starts if symbol == "=" else self._negated(node, starts)

    def _negated(
        self, node: Expression, positive: list[Alternative]
    ) -> list[Alternative]:
        negated: list[Alternative] = [()]
        for alternative in positive:
            options = [
                option for part in alternative for option in _opposites(node, part)
            ]
            negated = conjunction(negated, list(dict.fromkeys(options)))
        return negated


def nested(
    outer: Sequence[Alternative], inner: Sequence[Alternative]
) -> list[Alternative]:
    """Return the alternatives of a decision inside another one, without those that no contact meets.

    Raises NotUnderstoodError for too many.
    """
    found = [_simplified(each) for each in conjunction(outer, inner)]
    return [each for each in dict.fromkeys(found) if each is not None]


def _simplified(alternative: Alternative) -> Alternative | None:
    """Return an alternative with one condition for the lists of values of an attribute; None if no
    value is in all of them, in any dialect.
    """
    merged: dict[object, Condition] = {}
    for part in alternative:
        is_list = part.operator in ("equals", "in")
        key: object = part.attribute if is_list else part
        before = merged.get(key)
        if before is None or not is_list:
            merged[key] = part
            continue
        common = _common_values(before, part)
        if common is None:
            merged[part] = part
        elif not common:
            return None
        else:
            merged[key] = compare_with(part.attribute, "in", common)
    return tuple(merged.values())


def _common_values(first: Condition, second: Condition) -> list[Scalar] | None:
    """Return the values of both lists; None if a dialect may find others equal."""
    values = [value for value in first.values if value in second.values]
    second_keys = {_key(value) for value in second.values}
    alike = [value for value in first.values if _key(value) in second_keys]
    return values if values == alike else None


def _key(value: Scalar) -> Scalar:
    return BROAD.text_key(value) if isinstance(value, str) else value


def _opposites(node: Expression, part: Condition) -> list[Alternative]:
    """Return the alternatives that hold where a condition does not."""
    opposite = _OPPOSITES.get(part.operator)
    if opposite is None:
        raise NotUnderstoodError(
            format_expression(node), "rules cannot say the opposite of its parts"
        )
    negative = make_condition(part.attribute, opposite, part.value)
    missing = make_condition(part.attribute, "notExists", None)
    return [(negative,), (missing,)] if part.values else [(negative,)]


def _variables(node: Expression) -> Iterator[str]:
    if node.kind == "variable":
        yield node.spelling
    for part in node.parts:
        yield from _variables(part)


def _reason(symbol: str, left: Expression, right: Expression) -> str:
    """Return why a comparison is not understood."""
    if symbol not in (*TESTS, "!="):
        return "its operator does not compare"
    if left.kind == "call":
        return f"rules have no condition for .{left.text} and this comparison"
    if left.kind == "operation" or right.kind == "operation":
        return "rules do not calculate"
    if symbol == "!=":
        return "no document names != for a variable with $"
    if right.kind == "text":
        return "rules do not order texts"
    return "rules compare a variable with a text or a number"
