"""The rules of a managed block, as they are: an edit by hand is read, or becomes an opaque part."""

import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Final, NamedTuple

from reconciler.behaviour.evaluate import POSITIVE_OF_NEGATIVE
from reconciler.model.rule import (
    Address,
    Condition,
    Opaque,
    Rule,
    Target,
    Value,
    make_condition,
    make_opaque,
    normalized_conditions,
    parse_number,
    sorted_targets,
)
from reconciler.studio.build import (
    DISABLED,
    METHODS,
    NO_CONDITION,
    SPLIT_LINE,
    SYMBOLS,
    BlockEntry,
    build_block,
    condition_text,
    number_helpers,
    text_helper,
)
from reconciler.studio.language import Expression, SnippetError, Statement, format_expression, parse_snippet
from reconciler.studio.layout import QUEUE_ID, BlockLayout, NotStorableError, canonical_number

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_SLUG: Final = "([a-z0-9][a-z0-9-]{0,63})"
_JSON_TEXT: Final = r'("(?:[^"\\]|\\.)*")'
_RULE_COMMENT: Final = re.compile(
    rf"// cxroute:rule {_SLUG}/{_SLUG}#([0-9a-f]{{8}}) priority=(-?[0-9]{{1,15}}(?:\.[0-9]{{1,400}})?)( enabled=false)?"
    rf" name={_JSON_TEXT}(?: description={_JSON_TEXT})?",
    re.ASCII,
)
_QUEUE_COMMENT: Final = re.compile(r"// ([0-9]{1,18}) (.*)", re.ASCII)
_HELPER: Final = re.compile(r"cxr_(?:(?:text|num|isnum)_(\w+)\$?|split)", re.ASCII | re.IGNORECASE)
_SPLIT_TEST: Final = re.compile(r"\( cxr_split < ([1-9][0-9]?) \)", re.IGNORECASE)
_LEAF: Final = re.compile(
    r'\( cxr_text_(?P<text>\w+)\$ (?P<relation>[=>]) "(?P<literal>[^"{}]*)" \)'
    r'|\( (?P<receiver>\w+)\.(?P<method>contains|beginswith)\("(?P<piece>[^"{}]*)"\) \)'
    r"|\( cxr_num_(?P<number>\w+) (?P<symbol>[<>=]+) (?:\( 0 - (?P<negative>[0-9.]+) \)|(?P<positive>[0-9.]+)) \)",
    re.ASCII | re.IGNORECASE,
)
_OPERATOR_OF: Final = {text: name for name, text in [*SYMBOLS.items(), *METHODS.items()]}
_NEGATIVE_OF: Final = {positive: negative for negative, positive in POSITIVE_OF_NEGATIVE.items()}
_STEP: Final = 10
_MAX_STRAYS: Final = 1000


class BlockRule(NamedTuple):
    """A rule of a block. Without an address it is not managed. `text` has its lines; `queue_names` is by queue id."""

    id: str
    rule: Rule
    address: Address | None
    digest: str
    line: int
    text: str
    queue_names: Mapping[str, str]


class ReadBlock(NamedTuple):
    """The rules in the order of evaluation. `is_canonical`: the text is what `build_block` makes of these rules."""

    rules: tuple[BlockRule, ...]
    queue_names: Mapping[str, str]
    is_canonical: bool


def read_block(text: str, layout: BlockLayout, first_line: int = 1) -> ReadBlock:
    """Return the rules of a block; its first line has the number `first_line`. Raises SnippetError."""
    try:
        rules = _Reader(text, layout, first_line).read()
    except SnippetError as error:
        raise SnippetError(error.line + first_line - 1, error.message) from None
    ordered = _with_priorities(rules, layout)
    queue_names = {queue_id: name for rule in ordered for queue_id, name in rule.queue_names.items()}
    entries = [BlockEntry(rule.rule, rule.address, rule.digest, "") for rule in ordered]
    try:
        is_canonical = all(rule.address for rule in ordered) and build_block(entries, layout, queue_names) == text
    except NotStorableError:
        is_canonical = False
    return ReadBlock(ordered, queue_names, is_canonical)


class _Reader:
    def __init__(self, text: str, layout: BlockLayout, first_line: int) -> None:
        self.layout = layout
        self.first_line = first_line
        self.lines = _LINE_END.split(text)
        self.statements = parse_snippet(text)
        self.spellings: dict[str, str] = {}  # the variables whose text is known: as written, by the lower-case name
        self.numbers: set[str] = set()  # those whose number is known, in lower case
        self.helpers: dict[str, list[Statement]] = {}  # the assignments of helper variables
        self.cache: dict[str, Condition | None] = {}
        self.counts: dict[str, int] = {}  # of the ids
        self.comment: tuple[Statement, re.Match[str], Rule] | None = None  # of the next rule
        self.disabled: list[Statement] = []  # the lines of a disabled rule
        self.queue_names: dict[str, str] = {}
        self.strays: list[BlockRule] = []  # statements that are not understood
        self.cases: list[BlockRule] = []
        self.defaults: list[BlockRule] = []

    def read(self) -> list[BlockRule]:
        """Return the rules: first what may override all others, last DEFAULT."""
        kinds = [statement.kind for statement in self.statements]
        at = kinds.index("select") if "select" in kinds else len(kinds)
        for statement in self.statements[:at]:
            if helper := _helper_of(statement):
                self.helpers.setdefault(helper, []).append(statement)
        for helper in self.helpers:
            self._check_helper(helper)
        for item in self.statements[:at]:
            is_reset = item.text == self.layout.rule.lower() and item.expressions == (Expression("text", ""),)
            if not (_helper_of(item) or is_reset):
                self._read_item(item)
        for item in self.statements[at].body if at < len(kinds) else ():
            (self._read_branch if item.kind in ("case", "default") else self._read_item)(item)
        for item in self.statements[at + 1 :]:
            self._read_item(item)
        self._end_comment()
        return [*self.strays, *self.cases, *self.defaults]

    def _check_helper(self, helper: str) -> None:
        statements = self.helpers[helper]
        if helper == "split":
            self.numbers.update({helper} if tuple(statements) == parse_snippet(SPLIT_LINE) else ())
            return
        texts = [statement for statement in statements if statement.text.startswith("cxr_text_")]
        variable = texts[0].expressions[0].text.strip("{}") if texts else ""
        if variable.lower() == helper:
            expected = parse_snippet("\n".join([text_helper(variable), *number_helpers(variable)]))
            if texts == [expected[0]]:
                self.spellings[helper] = variable
                self.numbers.update({helper} if tuple(statements) == expected else ())

    def _read_item(self, item: Statement) -> None:
        """Read a comment, or a statement that is not understood."""
        if item.kind == "comment" and self.comment:
            if item.text.startswith(DISABLED):
                self.disabled.append(item)
                return
            if (name := _QUEUE_COMMENT.fullmatch(item.text)) and not self.disabled:
                self.queue_names[name[1]] = name[2]
                return
        self._end_comment()
        if item.kind == "comment":
            self.comment = _parse_comment(item)
        else:
            if len(self.strays) == _MAX_STRAYS:
                raise SnippetError(item.line, f"more than {_MAX_STRAYS:,} statements are not understood; remove them")
            part = self._opaque("\n".join(line.strip() for line in self.lines[item.line - 1 : item.last_line]))
            self.strays.append(self._rule(item, "statement", (part,), (part,)))

    def _read_branch(self, branch: Statement) -> None:
        if self.disabled or branch.kind == "default":
            self._end_comment()
        if branch.kind == "default":
            self.defaults.append(self._rule(branch, "DEFAULT", (), self._targets(branch, None, self.lines)))
        else:
            address = Address(self.comment[1][1], self.comment[1][2]) if self.comment else None
            targets = self._targets(branch, address, self.lines)
            self.cases.append(self._rule(branch, "CASE", self._conditions(branch.expressions), targets))
        self._end_comment()

    def _end_comment(self) -> None:
        """Read the disabled rule that ends here, if there is one."""
        if self.comment and self.disabled:
            lines = [line.text.removeprefix(DISABLED) for line in self.disabled]
            case = Statement(kind="case", line=1, last_line=1, expressions=(Expression("unknown", "\n".join(lines)),))
            with suppress(SnippetError):
                selection, *others = parse_snippet("\n".join(["SELECT {", *lines, "}"]))
                comments = [_QUEUE_COMMENT.fullmatch(item.text) for item in selection.body]
                self.queue_names |= {name[1]: name[2] for name in comments if name}
                branches = [item for item in selection.body if item.kind != "comment"]
                case = branches[0] if not others and [item.kind for item in branches] == ["case"] else case
            targets = self._targets(case, Address(self.comment[1][1], self.comment[1][2]), ["", *lines])
            last = replace(case, last_line=self.disabled[-1].line)
            self.cases.append(self._rule(last, "", self._conditions(case.expressions), targets))
        self.comment, self.disabled, self.queue_names = None, [], {}

    def _rule(
        self,
        item: Statement,
        noun: str,
        conditions: tuple[Condition | Opaque, ...],
        targets: tuple[Target | Opaque, ...],
    ) -> BlockRule:
        """Return the rule of the current comment, or the unmanaged rule of a statement that the noun names."""
        start = self.comment[0].line if self.comment else item.line
        line = start + self.first_line - 1
        if self.comment:
            _, fields, rule = self.comment
            address, digest = Address(fields[1], fields[2]), fields[3]
        else:
            address, digest, name = None, "", f"{noun} in line {line}"
            rule = Rule(name=name, description="", priority=0, enabled=True, conditions=(), targets=())
        rule = replace(rule, enabled=not self.disabled, conditions=conditions, targets=targets)
        rule_id = str(address or f"line {line}")
        count = self.counts[rule_id] = self.counts.get(rule_id, 0) + 1
        rule_id = rule_id if count == 1 else f"{rule_id} ({count})"
        text = "\n".join(self.lines[start - 1 : item.last_line])
        return BlockRule(rule_id, rule, address, digest, line, text, self.queue_names)

    def _conditions(self, expressions: Sequence[Expression]) -> tuple[Condition | Opaque, ...]:
        if len(expressions) != 1:
            return (self._opaque(" | ".join(f"( {format_expression(part)} )" for part in expressions)),)
        expression = expressions[0]
        parts: tuple[Expression, ...] = (expression,)
        if expression.kind == "operation" and {*expression.text.split()} == {"&"}:
            parts = expression.parts if all(part.kind == "group" for part in expression.parts) else parts
        conjuncts = []
        for part in parts:
            text = format_expression(part)
            if text not in self.cache:
                self.cache[text] = self._condition(text if part.kind == "group" else f"( {text} )")
            conjuncts.append(self.cache[text] or self._opaque(text))
        return () if conjuncts == [self._opaque(NO_CONDITION)] else normalized_conditions(conjuncts)

    def _condition(self, text: str) -> Condition | None:
        """Return the condition whose expression has exactly this text, or None."""
        leaves = list(_LEAF.finditer(text))
        negation = len(leaves) > 1 and text.startswith("( ( cxr_text_") and text.endswith(" = 0 ) )")
        tests = leaves[1:] if negation else leaves
        values = [value for value in map(_leaf_value, tests) if value is not None]
        if not tests or len(values) < len(tests):
            return None
        variables = [leaf["text"] or leaf["receiver"] or leaf["number"] for leaf in leaves]
        lower = variables[0].lower()
        variable = self.spellings.get(lower, variables[0])
        attribute = self.layout.attribute(variable)
        is_proven = all(
            leaf["receiver"] or lower in (self.spellings if leaf["text"] else self.numbers) for leaf in leaves
        )
        if attribute is None or not is_proven:
            return None
        for operator, value in _meanings(tests[0], values):
            name = _NEGATIVE_OF.get(operator, "") if negation else operator
            try:
                expected = condition_text(Condition(attribute, name, value, value), self.layout) if name else ""
            except NotStorableError:
                return None
            if expected == text or _folded(expected) == _folded(text):
                return make_condition(attribute, name, list(value) if isinstance(value, tuple) else value)
        return None

    def _opaque(self, text: str) -> Opaque:
        """Return an unknown part, with the assignments of helper variables that `build_block` would write otherwise."""
        helpers = {}
        for match in _HELPER.finditer(text):
            helper = match[1].lower() if match[1] else "split"
            if helper not in (self.spellings if match[0][4] in "tT" else self.numbers) and helper in self.helpers:
                spans = [(item.line, item.last_line) for item in self.helpers[helper]]
                helpers[helper] = [line.strip() for first, last in spans for line in self.lines[first - 1 : last]]
        return make_opaque({"type": "studio", "text": text} | ({"helpers": helpers} if helpers else {}))

    def _targets(self, branch: Statement, address: Address | None, lines: Sequence[str]) -> tuple[Target | Opaque, ...]:
        statements = [statement for statement in branch.body if statement.kind != "comment"]
        label = None
        if statements and statements[-1].kind == "assign" and statements[-1].text == self.layout.rule.lower():
            label = statements.pop().expressions[0]
        is_labelled = address is None or label == Expression("text", str(address))
        shares: dict[str, int] = {}
        if is_labelled and self._add_shares(shares, statements, 0):
            if len(shares) == 1:
                return (Target(next(iter(shares)), 1),)
            return sorted_targets(Target(queue_id, percent) for queue_id, percent in shares.items())
        source = lines[branch.body[0].line - 1 : branch.body[-1].last_line] if branch.body else ()
        return (self._opaque("\n".join(line.strip() for line in source)),)

    def _add_shares(self, shares: dict[str, int], statements: Sequence[Statement], percent: int) -> bool:
        """Add the percents of a split from `percent` on; return whether the statements are understood."""
        if len(statements) != 1:
            return False
        (statement,) = statements
        expression = next(iter(statement.expressions), Expression("unknown", ""))
        if statement.kind == "assign" and statement.text == self.layout.skill.lower() and expression.kind == "number":
            shares[expression.text] = shares.get(expression.text, 0) + 100 - percent
            return QUEUE_ID.fullmatch(expression.text) is not None
        test = _SPLIT_TEST.fullmatch(format_expression(expression))
        if statement.kind != "if" or test is None or "split" not in self.numbers or int(test[1]) <= percent:
            return False
        limit = int(test[1])
        first: dict[str, int] = {}
        is_understood = self._add_shares(first, statement.body, 100 - limit + percent)
        for queue_id, share in first.items():
            shares[queue_id] = shares.get(queue_id, 0) + share
        return (
            is_understood
            and statement.body[0].kind == "assign"
            and self._add_shares(shares, statement.otherwise, limit)
        )


def _helper_of(statement: Statement) -> str:
    """Return the variable of the helper variables that a statement assigns, "split", or the empty text."""
    parts = [statement] if statement.kind == "assign" else [*statement.body, *statement.otherwise]
    if statement.kind not in ("assign", "if"):
        return ""
    names = {match[1] or "split" if (match := _HELPER.fullmatch(part.text)) else "" for part in parts}
    is_assigned = all(part.kind == "assign" for part in parts)
    return names.pop() if len(names) == 1 and is_assigned else ""


def _folded(text: str) -> str:
    """Return an expression with its names in lower case."""
    return '"'.join(part if index % 2 else part.lower() for index, part in enumerate(text.split('"')))


def _parse_comment(item: Statement) -> tuple[Statement, re.Match[str], Rule] | None:
    fields = _RULE_COMMENT.fullmatch(item.text)
    if fields is None:
        return None
    try:
        priority = canonical_number(parse_number(fields[4]))
        name, description = json.loads(fields[6]), json.loads(fields[7] or '""')
    except ValueError:
        return None
    rule = Rule(name=name, description=description, priority=priority, enabled=True, conditions=(), targets=())
    return item, fields, rule


def _leaf_value(leaf: re.Match[str]) -> str | int | float | None:
    """Return the value of a test; None for a number that no number of a rule equals exactly."""
    number = leaf["positive"] or leaf["negative"]
    if number is None:
        return leaf["piece"] if leaf["literal"] is None else leaf["literal"]
    try:
        value = parse_number(number)
    except ValueError:
        return None
    return -value if leaf["negative"] else value


def _meanings(test: re.Match[str], values: Sequence[str | int | float]) -> Iterator[tuple[str, Value]]:
    """Yield the operators and values that tests may stand for; the text of one of them, if any, is the expression."""
    if test["method"]:
        yield _OPERATOR_OF[test["method"].lower()], values[0]
        return
    if test["literal"] == "":
        yield "exists" if test["relation"] == ">" else "notExists", None
        return
    if test["symbol"] in _OPERATOR_OF:
        yield _OPERATOR_OF[test["symbol"]], values[0]
        if len(values) == 2:  # noqa: PLR2004 - the lowest and the highest
            yield "between", tuple(values)
    yield "equals", values[0]
    yield "in", tuple(values)


def _with_priorities(rules: Sequence[BlockRule], layout: BlockLayout) -> tuple[BlockRule, ...]:
    """Return the rules with priorities for the order of the text: those of the comment lines, where they fit."""
    sign = -1 if layout.highest_first else 1
    enabled = [rule for rule in rules if rule.rule.enabled]
    kept = _longest_rise([layout.order_key(rule.rule, rule.id) if rule.address else None for rule in enabled])
    priorities: list[float] = [sign * rule.rule.priority for rule in enabled]
    for before, after in pairwise([-1, *kept, len(enabled)]):
        count = after - before
        start = -_STEP * count if layout.highest_first else 0
        high = Fraction(priorities[after]) if after < len(enabled) else None
        low = Fraction(priorities[before]) if before >= 0 else Fraction(start) if high is None else high - count
        step = Fraction(1 if kept else _STEP) if high is None else (high - low) / count
        for position in range(before + 1, after):
            exact = low + step * (position - before)
            priorities[position] = floor(exact) if step >= 1 else canonical_number(float(exact))
    updated = [_with_priority(rule, sign * number) for rule, number in zip(enabled, priorities, strict=True)]
    if sorted(updated, key=lambda rule: layout.order_key(rule.rule, rule.id)) != updated:
        count = len(updated)
        numbers = range(_STEP * count, 0, -_STEP) if layout.highest_first else range(_STEP, _STEP * count + 1, _STEP)
        updated = [_with_priority(rule, number) for rule, number in zip(updated, numbers, strict=True)]
    waiting = iter(updated)
    return tuple(next(waiting) if rule.rule.enabled else rule for rule in rules)


def _with_priority(rule: BlockRule, priority: float) -> BlockRule:
    return rule if rule.rule.priority == priority else rule._replace(rule=replace(rule.rule, priority=priority))


def _longest_rise(keys: Sequence[tuple[float, str, str] | None]) -> list[int]:
    """Return the positions of a longest part whose keys rise; None is never in it."""
    ends: list[tuple[float, str, str]] = []  # the least last key of a rise of each length
    positions: list[int] = []
    previous: list[int] = []
    for position, key in enumerate(keys):
        previous.append(-1)
        if key is not None:
            length = bisect_left(ends, key)
            ends[length : length + 1] = [key]
            positions[length : length + 1] = [position]
            previous[-1] = positions[length - 1] if length else -1
    rise = []
    position = positions[-1] if positions else -1
    while position >= 0:
        rise.append(position)
        position = previous[position]
    return rise[::-1]
