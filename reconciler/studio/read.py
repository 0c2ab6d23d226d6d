"""The rules of a managed block, as they are: an edit by hand is read, or becomes an opaque part."""

import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Final, NamedTuple

from reconciler.model.rule import (
    Address,
    Condition,
    Opaque,
    Rule,
    Target,
    make_opaque,
    normalized_conditions,
    parse_number,
    sorted_targets,
)
from reconciler.studio.build import DISABLED, BlockEntry, build_block
from reconciler.studio.conditions import ConditionReader, NotUnderstoodError, find_helpers, read_shares
from reconciler.studio.language import Expression, SnippetError, Statement, format_expression, parse_snippet
from reconciler.studio.layout import BlockLayout, NotStorableError, canonical_number

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_SLUG: Final = "([a-z0-9][a-z0-9-]{0,63})"
_JSON_TEXT: Final = r'("(?:[^"\\]|\\.)*")'
_RULE_COMMENT: Final = re.compile(
    rf"// cxroute:rule {_SLUG}/{_SLUG}#([0-9a-f]{{8}}) priority=(-?[0-9]{{1,15}}(?:\.[0-9]{{1,400}})?)( enabled=false)?"
    rf" name={_JSON_TEXT}(?: description={_JSON_TEXT})?",
    re.ASCII,
)
_NO_NOTE: Final = re.compile(r"// *(?:cxroute:|CASE\b)", re.IGNORECASE)  # the end of a rule's comment lines
_QUEUE_COMMENT: Final = re.compile(r"// ([0-9]{1,18}) (.*)", re.ASCII)
_OWN_VARIABLE: Final = re.compile(r"cxr_(?:(?:text|num|isnum)_\w+\$?|split)\Z", re.ASCII)
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
    is_canonical = False
    with suppress(NotStorableError):
        is_canonical = all(rule.address for rule in ordered) and build_block(entries, layout, queue_names) == text
    return ReadBlock(ordered, queue_names, is_canonical)


class _Comment(NamedTuple):
    """The comment line of a rule, and the rule in it, without conditions and targets."""

    line: int
    address: Address
    digest: str
    rule: Rule


class _Reader:
    def __init__(self, text: str, layout: BlockLayout, first_line: int) -> None:
        self.layout, self.first_line = layout, first_line
        self.lines = _LINE_END.split(text)
        self.statements = parse_snippet(text)
        self.ids = Counter[str]()
        self.comment: _Comment | None = None  # of the next rule
        self.disabled: list[Statement] = []  # the lines of a disabled rule
        self.queue_names: dict[str, str] = {}
        self.strays: list[BlockRule] = []  # statements that are not understood
        self.rules: list[BlockRule] = []
        self.defaults: list[BlockRule] = []

    def read(self) -> list[BlockRule]:
        """Return the rules: first what may override all others, last DEFAULT."""
        kinds = [statement.kind for statement in self.statements]
        at = kinds.index("select") if "select" in kinds else len(kinds)
        before, after = self.statements[:at], self.statements[at + 1 :]
        self.helpers = find_helpers(before)
        self.conditions = ConditionReader(self.layout, self.helpers)
        for item in before:
            is_reset = item.text == self.layout.rule.lower() and item.expressions == (Expression("text", ""),)
            if not (is_reset or _is_own(item)):
                self._read_item(item)
        for item in self.statements[at].body if at < len(kinds) else ():
            (self._read_branch if item.kind in ("case", "default") else self._read_item)(item)
        for item in after:
            self._read_item(item)
        self._end_comment()
        return [*self.strays, *self.rules, *self.defaults]

    def _read_item(self, item: Statement) -> None:
        """Read a comment, or a statement that is not understood."""
        if item.kind == "comment" and self.comment:
            if item.text.startswith(DISABLED):
                self.disabled.append(item)
                return
            if not self.disabled and not _NO_NOTE.match(item.text):
                if name := _QUEUE_COMMENT.fullmatch(item.text):
                    self.queue_names[name[1]] = name[2]
                return
        self._end_comment()
        if item.kind == "comment":
            self.comment = _parse_comment(item)
            return
        if len(self.strays) == _MAX_STRAYS:
            raise SnippetError(item.line, f"more than {_MAX_STRAYS:,} statements are not understood; remove them")
        part = _opaque(self._source(item.line, item.last_line))
        self.strays.append(self._rule(item, "statement", (part,), (part,)))

    def _read_branch(self, branch: Statement) -> None:
        is_default = branch.kind == "default"
        if self.disabled or is_default:
            self._end_comment()
        targets = self._targets(branch, self._source(*_body_lines(branch)))
        conditions = () if is_default else self._conditions(branch.expressions)
        rule = self._rule(branch, "DEFAULT" if is_default else "CASE", conditions, targets)
        (self.defaults if is_default else self.rules).append(rule)
        self._end_comment()

    def _end_comment(self) -> None:
        """Read the disabled rule that ends here, if there is one."""
        if self.comment and self.disabled:
            lines = [line.text.removeprefix(DISABLED) for line in self.disabled]
            case, body = None, "\n".join(lines)
            with suppress(SnippetError):
                selection, *others = parse_snippet("\n".join(["SELECT {", *lines, "}"]))
                comments = [_QUEUE_COMMENT.fullmatch(item.text) for item in selection.body]
                self.queue_names |= {name[1]: name[2] for name in comments if name}
                branches = [item for item in selection.body if item.kind != "comment"]
                case = branches[0] if not others and [item.kind for item in branches] == ["case"] else None
            if case:
                first, last = _body_lines(case)
                body = "\n".join(line.strip() for line in lines[first - 2 : last - 1])
            conditions = self._conditions(case.expressions) if case else (_opaque(body),)
            targets = self._targets(case, body) if case else (_opaque(body),)
            self.rules.append(self._rule(self.disabled[-1], "", conditions, targets))
        self.comment, self.disabled, self.queue_names = None, [], {}

    def _rule(
        self,
        item: Statement,
        noun: str,
        conditions: tuple[Condition | Opaque, ...],
        targets: tuple[Target | Opaque, ...],
    ) -> BlockRule:
        """Return the rule of the current comment, or the unmanaged rule of a statement that the noun names."""
        start, comment = self.comment.line if self.comment else item.line, self.comment
        line = start + self.first_line - 1
        name = f"{noun} in line {line}"
        rule = Rule(name=name, description="", priority=0, enabled=True, conditions=(), targets=())
        rule = replace(
            comment.rule if comment else rule, enabled=not self.disabled, conditions=conditions, targets=targets
        )
        rule_id = str(comment.address) if comment else f"line {line}"
        self.ids[rule_id] += 1
        return BlockRule(
            id=rule_id if self.ids[rule_id] == 1 else f"{rule_id} ({self.ids[rule_id]})",
            rule=rule,
            address=comment.address if comment else None,
            digest=comment.digest if comment else "",
            line=line,
            text="\n".join(self.lines[start - 1 : item.last_line]),
            queue_names=self.queue_names,
        )

    def _source(self, first: int, last: int) -> str:
        return "\n".join(line.strip() for line in self.lines[first - 1 : last])

    def _conditions(self, expressions: Sequence[Expression]) -> tuple[Condition | Opaque, ...]:
        if len(expressions) != 1:
            return (_opaque(" | ".join(f"( {format_expression(part)} )" for part in expressions)),)
        (node,) = expressions
        is_list = node.kind == "operation" and {*node.text.split()} == {"&"}
        parts = node.parts if is_list and all(part.kind == "group" for part in node.parts) else (node,)
        read = [condition for part in parts for condition in self._conjunct(part)]
        return normalized_conditions(read)

    def _conjunct(self, node: Expression) -> Sequence[Condition | Opaque]:
        """Return the conditions of an expression; an opaque one where they do not say exactly the same."""
        with suppress(NotUnderstoodError):
            alternatives = self.conditions.alternatives(node)
            if len(alternatives) == 1:
                return alternatives[0]
        return [_opaque(format_expression(node))]

    def _targets(self, branch: Statement, source: str) -> tuple[Target | Opaque, ...]:
        statements = [statement for statement in branch.body if statement.kind != "comment"]
        label = None
        if statements and statements[-1].kind == "assign" and statements[-1].text == self.layout.rule.lower():
            label = statements.pop().expressions[0]
        is_labelled = not self.comment or label == Expression("text", str(self.comment.address))
        shares = read_shares(statements, self.layout.skill.lower(), self.helpers, 0) if is_labelled else None
        if not shares:
            return (_opaque(source),)
        if len(shares) == 1:
            return (Target(next(iter(shares)), 1),)
        return sorted_targets(Target(queue_id, percent) for queue_id, percent in shares.items())


def _opaque(text: str) -> Opaque:
    return make_opaque({"type": "studio", "text": text})


def _body_lines(branch: Statement) -> tuple[int, int]:
    """Return the first and the last line of a branch's body; without a body, no line."""
    return (branch.body[0].line, branch.body[-1].last_line) if branch.body else (1, 0)


def _is_own(item: Statement) -> bool:
    """Return whether a statement only assigns variables of cxroute, which have no effect outside of the block."""
    parts = [item] if item.kind == "assign" else [*item.body, *item.otherwise]
    is_assigned = item.kind in ("assign", "if") and all(part.kind == "assign" for part in parts)
    return bool(parts) and is_assigned and all(_OWN_VARIABLE.match(part.text) for part in parts)


def _parse_comment(item: Statement) -> _Comment | None:
    fields = _RULE_COMMENT.fullmatch(item.text)
    if fields is None:
        return None
    try:
        priority = canonical_number(parse_number(fields[4]))
        name, description = json.loads(fields[6]), json.loads(fields[7] or '""')
    except ValueError:
        return None
    rule = Rule(name=name, description=description, priority=priority, enabled=True, conditions=(), targets=())
    return _Comment(item.line, Address(fields[1], fields[2]), fields[3], rule)


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
