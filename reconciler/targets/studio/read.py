"""The rules of a managed block, as they are, and of a hand-written SELECT or SWITCH.

In a block, an edit by hand is read, or becomes an opaque part. In a hand-written snippet, what
rules cannot say exactly is an error with its line, never lost.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, pairwise
from typing import Final, NamedTuple

from reconciler.core.model.grouping import longest_rise
from reconciler.core.model.rule import (
    Address,
    Condition,
    Opaque,
    Rule,
    Target,
    make_opaque,
    normalized_conditions,
    sorted_targets,
)
from reconciler.targets.studio.build import DISABLED
from reconciler.targets.studio.conditions import (
    ConditionReader,
    NotUnderstoodError,
    either,
    find_helpers,
    symbols_of,
)
from reconciler.targets.studio.language import (
    Expression,
    SnippetError,
    Statement,
    format_expression,
    parse_snippet,
)
from reconciler.targets.studio.layout import (
    ID_PATTERN,
    BlockLayout,
    canonical_number,
)

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_SLUG: Final = "([a-z0-9][a-z0-9-]{0,63})"
_JSON_TEXT: Final = r'("(?:[^"\\]|\\.)*")'
_RULE_COMMENT: Final = re.compile(
    rf"// cxroute:rule {_SLUG}/{_SLUG}#([0-9a-f]{{8}}) "
    rf"priority=(-?(?:0|[1-9][0-9]{{0,14}})(?:\.[0-9]{{1,400}})?)"
    rf"(?: enabled=false)? name={_JSON_TEXT}(?: description={_JSON_TEXT})?",
    re.ASCII,
)
# The end of a rule's comment lines.
_NO_NOTE: Final = re.compile(r"// *(?:cxroute:|CASE\b)", re.IGNORECASE)
_QUEUE_COMMENT: Final = re.compile(rf"(?:{DISABLED})?// ({ID_PATTERN}) (.*)", re.ASCII)
_OWN_VARIABLE: Final = re.compile(r"cxr_(?:(?:text|num|isnum)_\w+\$?|split)", re.ASCII)
_STEP: Final = 10
_MAX_LISTED: Final = 50
_MAX_RULES: Final = 10_000
_NO_EFFECT: Final = ("comment", "trace")
_EMPTY: Final = (Expression("text", ""), Expression("number", "0"))
_REFUSED: Final = (
    "nothing was written: one SELECT or SWITCH alone must assign the skill"
)


class BlockRule(NamedTuple):
    """A rule of a block.

    Without an address it is not managed. `text` has its lines; `queue_names` is by queue id.
    """

    id: str
    rule: Rule
    address: Address | None
    digest: str
    line: int
    text: str
    queue_names: dict[str, str]


def read_block(
    text: str,
    layout: BlockLayout,
    first_line: int = 1,
) -> tuple[BlockRule, ...]:
    """Return the rules of a block, whose first line has the number `first_line`, in order.

    Raises SnippetError.
    """
    lines_above = "\n" * (first_line - 1)
    return BlockReader(f"{lines_above}{text}", layout).read()


_Parts = tuple[tuple[Condition | Opaque, ...], tuple[Target | Opaque, ...]]


class BlockReader:
    """Reads a block; `helpers` are the helper variables that it assigns before the rules."""

    def __init__(self, text: str, layout: BlockLayout) -> None:
        """Parse the block. Raises SnippetError."""
        self.layout = layout
        self.lines = _LINE_END.split(text)
        self.statements = parse_snippet(text)
        kinds = [statement.kind for statement in self.statements]
        self.at = kinds.index("select") if "select" in kinds else len(kinds)
        self.helpers = find_helpers(self.statements[: self.at])
        self.conditions = ConditionReader(layout, self.helpers)
        self.ids = Counter[str]()
        # The next rule, as far as its comment line says.
        self.comment: BlockRule | None = None
        self.disabled: list[Statement] = []  # the lines of a disabled rule
        self.rules: dict[str, list[BlockRule]] = {
            "statement": [],
            "CASE": [],
            "DEFAULT": [],
        }

    def read(self) -> tuple[BlockRule, ...]:
        """Return the rules: first what may override all others, last DEFAULT."""
        for place, statement in enumerate(self.statements):
            if place == self.at:
                for item in statement.body:
                    if item.kind in ("case", "default"):
                        self._read_branch(item)
                    else:
                        self._read_item(item)
            elif place > self.at or not self._is_own(statement):
                self._read_item(statement)
        self._end_comment()

        rules = [*chain.from_iterable(self.rules.values())]
        return _with_priorities(rules, self.layout)

    def _is_own(self, item: Statement) -> bool:
        """Return whether a statement only assigns variables of cxroute, which have no effect
        outside of the block.
        """
        is_rule_variable = item.text == self.layout.rule.lower()
        if is_rule_variable and item.expressions == (Expression("text", ""),):
            return True
        parts = [*item.body, *item.otherwise] if item.kind == "if" else [item]
        return bool(parts) and all(map(_assigns_own_variable, parts))

    def _read_item(self, item: Statement) -> None:
        """Read a comment, or a statement that is not understood."""
        if item.kind == "comment" and self.comment:
            queue = _QUEUE_COMMENT.fullmatch(item.text)
            if queue:
                self.comment.queue_names[queue[1]] = queue[2]
            if item.text.startswith(DISABLED):
                self.disabled.append(item)
                return
            if not self.disabled and not _NO_NOTE.match(item.text):
                return
        self._end_comment()

        if item.kind == "comment":
            self.comment = _parse_comment(item)
            return
        part = _opaque(*self.lines[item.line - 1 : item.last_line])
        self._add("statement", item.line, item.last_line, ((part,), (part,)))

    def _read_branch(self, branch: Statement) -> None:
        if self.disabled or branch.kind == "default":
            self._end_comment()
        parts = self._parts(branch, self.lines)
        self._add(branch.kind.upper(), branch.line, branch.last_line, parts)
        self.comment = None

    def _end_comment(self) -> None:
        """Read the disabled rule that ends here, if there is one."""
        if self.comment and self.disabled:
            lines = [item.text.removeprefix(DISABLED).strip() for item in self.disabled]
            parts = self._disabled_parts(lines)
            self._add("CASE", self.comment.line, self.disabled[-1].line, parts)
        self.comment = None
        self.disabled = []

    def _disabled_parts(self, lines: Sequence[str]) -> _Parts:
        """Return the conditions and the targets of a disabled rule in these lines."""
        with suppress(SnippetError):
            statements = [
                item
                for item in parse_snippet("\n".join(lines))
                if item.kind != "comment"
            ]
            if [item.kind for item in statements] == ["case"]:
                return self._parts(statements[0], lines)
        part = _opaque(*lines)
        return (part,), (part,)

    def _add(self, kind: str, line: int, last_line: int, parts: _Parts) -> None:
        block_rule = self.comment or _bare_rule(line, f"{kind} in line {line}")
        rule_id = block_rule.id
        self.ids[rule_id] += 1
        count = self.ids[rule_id]
        if count > 1:
            rule_id = f"{rule_id} ({count})"

        conditions, targets = parts
        rule = replace(
            block_rule.rule,
            enabled=not self.disabled,
            conditions=conditions,
            targets=targets,
        )
        text = "\n".join(self.lines[block_rule.line - 1 : last_line])
        self.rules[kind].append(block_rule._replace(id=rule_id, rule=rule, text=text))

    def _parts(self, branch: Statement, lines: Sequence[str]) -> _Parts:
        """Return the conditions and the targets of a CASE in these lines."""
        conditions: tuple[Condition | Opaque, ...] = ()
        if branch.expressions:
            expression = either(branch.expressions)
            conditions = normalized_conditions(self._conditions(expression))

        statements = [item for item in branch.body if item.kind != "comment"]
        shares = self._shares(statements)
        if shares:
            is_single = len(shares) == 1
            targets = [
                Target(queue_id, 1 if is_single else percent)
                for queue_id, percent in shares.items()
            ]
            return conditions, sorted_targets(targets)

        body_lines: Sequence[str] = ()
        if branch.body:
            body_lines = lines[branch.body[0].line - 1 : branch.body[-1].last_line]
        return conditions, (_opaque(*body_lines),)

    def _conditions(self, node: Expression) -> Iterator[Condition | Opaque]:
        """Yield the conditions of an expression; an opaque one for a part that they do not say
        exactly.
        """
        part_kinds = {part.kind for part in node.parts}
        if symbols_of(node) == {"&"} and part_kinds == {"group"}:
            for part in node.parts:
                yield from self._conditions(part)
            return
        try:
            alternatives = self.conditions.alternatives(node)
        except NotUnderstoodError:
            alternatives = []
        if len(alternatives) == 1:
            yield from alternatives[0]
        else:
            yield _opaque(format_expression(node))

    def _shares(self, statements: list[Statement]) -> Counter[str] | None:
        label: tuple[Expression, ...] = ()
        if statements:
            last = statements[-1]
            if last.kind == "assign" and last.text == self.layout.rule.lower():
                label = last.expressions
                statements = statements[:-1]
        if self.comment:
            own_label = Expression("text", str(self.comment.address))
            if label != (own_label,):
                return None
        return self.conditions.shares(statements)


def _assigns_own_variable(statement: Statement) -> bool:
    return (
        statement.kind == "assign"
        and statement.expressions[0].kind != "unknown"
        and _OWN_VARIABLE.fullmatch(statement.text) is not None
    )


def _opaque(*lines: str) -> Opaque:
    text = "\n".join(line.strip() for line in lines)
    return make_opaque({"type": "studio", "text": text})


def _bare_rule(
    line: int,
    name: str,
    description: str = "",
    priority: float = 0,
) -> BlockRule:
    """Return a rule that is not managed, without its conditions and targets."""
    rule = Rule(
        name=name,
        description=description,
        priority=priority,
        enabled=True,
        conditions=(),
        targets=(),
    )
    return BlockRule(f"line {line}", rule, None, "", line, "", {})


def _parse_comment(item: Statement) -> BlockRule | None:
    """Return the rule of a comment line, or None for another comment."""
    fields = _RULE_COMMENT.fullmatch(item.text)
    if not fields:
        return None
    with suppress(ValueError):
        priority = canonical_number(float(fields[4]))
        name = json.loads(fields[5])
        description = json.loads(fields[6] or '""')
        address = Address(fields[1], fields[2])
        rule = _bare_rule(item.line, name, description, priority)
        return rule._replace(id=str(address), address=address, digest=fields[3])
    return None


def _with_priorities(
    rules: Sequence[BlockRule], layout: BlockLayout
) -> tuple[BlockRule, ...]:
    """Return the rules with priorities for the order of the text: those of the comment lines, where
    they fit.
    """
    enabled = [rule for rule in rules if rule.rule.enabled]
    ranks = iter(_ranks(enabled, layout))
    prioritized: list[BlockRule] = []
    for block_rule in rules:
        rule = block_rule.rule
        if rule.enabled:
            rank = next(ranks)
            priority = canonical_number(-rank if layout.highest_first else rank)
            rule = replace(rule, priority=priority)
        prioritized.append(block_rule._replace(rule=rule))
    return tuple(prioritized)


def _ranks(rules: Sequence[BlockRule], layout: BlockLayout) -> list[float]:
    """Return numbers that rise in the order of the rules: those of the comment lines, where they
    fit.
    """
    keys = [layout.order_key(rule.rule, rule.id) for rule in rules]
    addressed = [place for place, rule in enumerate(rules) if rule.address]
    rising = longest_rise(keys[place] for place in addressed)
    fixed = [addressed[at] for at in rising]

    ranks = [key[0] for key in keys]
    places = [-1, *fixed, len(keys)] if fixed else []
    for before, after in pairwise(places):
        _spread_ranks(ranks, before, after)
    order = [(rank, *key[1:]) for rank, key in zip(ranks, keys, strict=True)]
    if fixed and order == sorted(order):
        return ranks
    return _even_ranks(len(keys), layout)


def _even_ranks(count: int, layout: BlockLayout) -> list[float]:
    start = 0
    if layout.highest_first:
        start = -_STEP * (count + 1)
    return [start + _STEP * number for number in range(1, count + 1)]


def _spread_ranks(ranks: list[float], before: int, after: int) -> None:
    """Give the ranks between two places values at equal distances; -1 and the number of ranks are
    places outside.
    """
    distance = after - before
    low = ranks[before] if before >= 0 else ranks[after] - after - 1
    high = ranks[after] if after < len(ranks) else low + after - before
    step = (high - low) / distance
    for number in range(1, distance):
        ranks[before + number] = low + step * number
