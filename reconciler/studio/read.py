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
from itertools import pairwise
from typing import Final, NamedTuple

from reconciler.errors import CxrouteError
from reconciler.model.grouping import longest_rise
from reconciler.model.rule import (
    Address,
    Condition,
    Opaque,
    Rule,
    Target,
    make_opaque,
    normalized_conditions,
    sorted_targets,
)
from reconciler.studio.build import DISABLED
from reconciler.studio.conditions import (
    ConditionReader,
    NotUnderstoodError,
    either,
    find_helpers,
    symbols_of,
)
from reconciler.studio.language import (
    Expression,
    SnippetError,
    Statement,
    format_expression,
    parse_snippet,
)
from reconciler.studio.layout import (
    BlockLayout,
    NotStorableError,
    canonical_number,
    storable_rule,
)
from reconciler.text.escape import sanitize

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_SLUG: Final = "([a-z0-9][a-z0-9-]{0,63})"
_JSON_TEXT: Final = r'("(?:[^"\\]|\\.)*")'
_RULE_COMMENT: Final = re.compile(
    rf"// cxroute:rule {_SLUG}/{_SLUG}#([0-9a-f]{{8}}) "
    rf"priority=(-?(?:0|[1-9][0-9]{{0,14}})(?:\.[0-9]{{1,400}})?)"
    rf"(?: enabled=false)? name={_JSON_TEXT}(?: description={_JSON_TEXT})?",
    re.ASCII,
)
_NO_NOTE: Final = re.compile(
    r"// *(?:cxroute:|CASE\b)", re.IGNORECASE
)  # the end of a rule's comment lines
_QUEUE_COMMENT: Final = re.compile(rf"(?:{DISABLED})?// ([0-9]{{1,18}}) (.*)", re.ASCII)
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
    text: str, layout: BlockLayout, first_line: int = 1
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
        self.comment: BlockRule | None = (
            None  # the next rule, as far as its comment line says
        )
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
                    (
                        self._read_branch
                        if item.kind in ("case", "default")
                        else self._read_item
                    )(item)
            elif place > self.at or not self._is_own(statement):
                self._read_item(statement)
        self._end_comment()
        return _with_priorities(
            [rule for rules in self.rules.values() for rule in rules], self.layout
        )

    def _is_own(self, item: Statement) -> bool:
        """Return whether a statement only assigns variables of cxroute, which have no effect
        outside of the block.
        """
        if item.text == self.layout.rule.lower() and item.expressions == (
            Expression("text", ""),
        ):
            return True
        parts = [*item.body, *item.otherwise] if item.kind == "if" else [item]
        texts = [
            part.text
            for part in parts
            if part.kind == "assign" and part.expressions[0].kind != "unknown"
        ]
        return len(texts) == len(parts) > 0 and all(map(_OWN_VARIABLE.fullmatch, texts))

    def _read_item(self, item: Statement) -> None:
        """Read a comment, or a statement that is not understood."""
        if item.kind == "comment" and self.comment:
            if name := _QUEUE_COMMENT.fullmatch(item.text):
                self.comment.queue_names[name[1]] = name[2]
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
        self._add(
            branch.kind.upper(),
            branch.line,
            branch.last_line,
            self._parts(branch, self.lines),
        )
        self.comment = None

    def _end_comment(self) -> None:
        """Read the disabled rule that ends here, if there is one."""
        if self.comment and self.disabled:
            lines = [item.text.removeprefix(DISABLED).strip() for item in self.disabled]
            parts: _Parts = (_opaque(*lines),), (_opaque(*lines),)
            with suppress(SnippetError):
                statements = [
                    item
                    for item in parse_snippet("\n".join(lines))
                    if item.kind != "comment"
                ]
                if [item.kind for item in statements] == ["case"]:
                    parts = self._parts(statements[0], lines)
            self._add("CASE", self.comment.line, self.disabled[-1].line, parts)
        self.comment, self.disabled = None, []

    def _add(self, kind: str, line: int, last_line: int, parts: _Parts) -> None:
        found = self.comment or _bare_rule(line, f"{kind} in line {line}")
        self.ids[found.id] += 1
        rule_id = (
            found.id
            if self.ids[found.id] == 1
            else f"{found.id} ({self.ids[found.id]})"
        )
        rule = replace(
            found.rule, enabled=not self.disabled, conditions=parts[0], targets=parts[1]
        )
        text = "\n".join(self.lines[found.line - 1 : last_line])
        self.rules[kind].append(found._replace(id=rule_id, rule=rule, text=text))

    def _parts(self, branch: Statement, lines: Sequence[str]) -> _Parts:
        """Return the conditions and the targets of a CASE in these lines."""
        parts = (
            self._conditions(either(branch.expressions)) if branch.expressions else ()
        )
        conditions = normalized_conditions(parts)
        if shares := self._shares(
            [item for item in branch.body if item.kind != "comment"]
        ):
            targets = [
                Target(queue_id, percent if len(shares) > 1 else 1)
                for queue_id, percent in shares.items()
            ]
            return conditions, sorted_targets(targets)
        first, last = (
            (branch.body[0].line, branch.body[-1].last_line) if branch.body else (1, 0)
        )
        return conditions, (_opaque(*lines[first - 1 : last]),)

    def _conditions(self, node: Expression) -> Iterator[Condition | Opaque]:
        """Yield the conditions of an expression; an opaque one for a part that they do not say
        exactly.
        """
        if symbols_of(node) == {"&"} and {part.kind for part in node.parts} == {
            "group"
        }:
            for part in node.parts:
                yield from self._conditions(part)
            return
        try:
            alternatives = self.conditions.alternatives(node)
        except NotUnderstoodError:
            alternatives = []
        yield from (
            alternatives[0]
            if len(alternatives) == 1
            else (_opaque(format_expression(node)),)
        )

    def _shares(self, statements: list[Statement]) -> Counter[str] | None:
        label: tuple[Expression, ...] = ()
        if statements and (statements[-1].kind, statements[-1].text) == (
            "assign",
            self.layout.rule.lower(),
        ):
            label = statements.pop().expressions
        if self.comment and label != (Expression("text", str(self.comment.address)),):
            return None
        return self.conditions.shares(statements)


def _opaque(*lines: str) -> Opaque:
    return make_opaque(
        {"type": "studio", "text": "\n".join(line.strip() for line in lines)}
    )


def _bare_rule(
    line: int, name: str, description: str = "", priority: float = 0
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
    if fields := _RULE_COMMENT.fullmatch(item.text):
        with suppress(ValueError):
            priority = canonical_number(float(fields[4]))
            name, description = json.loads(fields[5]), json.loads(fields[6] or '""')
            address, rule = (
                Address(fields[1], fields[2]),
                _bare_rule(item.line, name, description, priority),
            )
            return rule._replace(id=str(address), address=address, digest=fields[3])
    return None


def _with_priorities(
    rules: Sequence[BlockRule], layout: BlockLayout
) -> tuple[BlockRule, ...]:
    """Return the rules with priorities for the order of the text: those of the comment lines, where
    they fit.
    """
    enabled = [rule for rule in rules if rule.rule.enabled]
    keys = [layout.order_key(rule.rule, rule.id) for rule in enabled]
    addressed = [place for place, rule in enumerate(enabled) if rule.address]
    fixed = [addressed[at] for at in longest_rise(keys[place] for place in addressed)]
    ranks = [key[0] for key in keys]
    for before, after in pairwise([-1, *fixed, len(keys)] if fixed else ()):
        low = ranks[before] if before >= 0 else ranks[after] - after - 1
        high = ranks[after] if after < len(ranks) else low + after - before
        step = (high - low) / (after - before)
        ranks[before + 1 : after] = [
            low + step * number for number in range(1, after - before)
        ]
    order = [(rank, *key[1:]) for rank, key in zip(ranks, keys, strict=True)]
    if not fixed or order != sorted(order):
        start = -_STEP * (len(ranks) + 1) if layout.highest_first else 0
        ranks = [start + _STEP * number for number in range(1, len(ranks) + 1)]
    priorities = (
        canonical_number(-rank if layout.highest_first else rank) for rank in ranks
    )
    return tuple(
        rule._replace(rule=replace(rule.rule, priority=next(priorities)))
        if rule.rule.enabled
        else rule
        for rule in rules
    )


class ImportedSnippet:
    """A hand-written snippet: its rules in order, names of queues from comments, and notes on what
    rules do not hold.

    The rules have no names, priorities from 0, and their lines as descriptions. `skill` is the
    variable of the skill.
    """

    def __init__(self, text: str, layout: BlockLayout) -> None:
        """Read the snippet. Raises CxrouteError with every line that cannot be a rule."""
        self._statements, self._layout = parse_snippet(text), layout
        self._lines = _LINE_END.split(text)
        self._problems: list[tuple[int, str]] = []
        self._notes: list[tuple[int, str]] = []
        self.rules: list[Rule] = []
        self.queue_names: dict[str, str] = {}
        comments = (each for each in _walk(self._statements) if each.kind == "comment")
        self._comments = {each.line: each.text.strip("/ ") for each in comments}
        at = next(
            (
                at
                for at, each in enumerate(self._statements)
                if each.kind in ("select", "switch")
            ),
            None,
        )
        if at is None:
            raise CxrouteError(f"{_REFUSED}, and this snippet has neither")
        self._decision, before = self._statements[at], self._statements[:at]
        inside = [each for each in _walk(self._decision.body) if each.kind == "assign"]
        counts = Counter(
            each.text for each in inside if each.expressions[0].kind == "number"
        )
        own = layout.skill.lower()
        self.skill = max(
            counts,
            key=lambda name: (name == own, "skill" in name, counts[name]),
            default=own,
        )
        helpers = find_helpers(before)
        for each in inside:
            helpers.pop(each.text, None)
        assigned = {each.text for each in _walk(before) if each.kind == "assign"}
        self._reader = ConditionReader(
            replace(layout, skill=self.skill), helpers, assigned
        )
        self._read()
        self.notes = _listed(self._notes)

    def _read(self) -> None:
        for statement in self._statements:
            parts = (
                (*statement.body, *statement.otherwise)
                if statement.kind == "if"
                else (statement,)
            )
            if statement is not self._decision and not all(
                map(self._is_harmless, parts)
            ):
                self._refuse_beside(statement)
        branches = [each for each in self._decision.body if each.kind not in _NO_EFFECT]
        defaults = [each for each in branches if each.kind == "default"]
        for branch in sorted(branches, key=lambda each: each.kind == "default"):
            if branch.kind not in ("case", "default") or branch in defaults[1:]:
                self._refuse(branch)
            elif len(self.rules) <= _MAX_RULES:
                self._read_branch(branch)
        if len(self.rules) > _MAX_RULES or not (self.rules or self._problems):
            reason = (
                f"more than {_MAX_RULES:,} rules"
                if self.rules
                else "no CASE assigns the number of a skill"
            )
            self._problems.append((self._decision.line, reason))
        if self._problems:
            raise CxrouteError("\n  ".join([_REFUSED, *_listed(self._problems)]))
        known = {self.skill, *self._reader.helpers}
        for each in _walk(self._statements):
            if (
                each.kind == "assign"
                and each.text not in known
                and not each.text.startswith("cxr_")
            ):
                self._notes.append(
                    (
                        each.line,
                        f"rules do not assign {each.text}: keep it in the script",
                    )
                )
                known.add(each.text)

    def _refuse(self, statement: Statement, text: str = "") -> None:
        text = text or self._lines[statement.line - 1].strip()
        self._problems.append(
            (statement.line, f"cannot be a rule: {sanitize(text[:100])}")
        )

    def _refuse_beside(self, statement: Statement) -> None:
        """Report a statement beside the decision that decides about the skill, too."""
        if statement.kind not in ("select", "switch"):
            self._refuse(statement)
            return
        first = f"the {self._decision.kind.upper()} of line {self._decision.line}"
        problem = (
            f"a second {statement.kind.upper()}, beside {first}: write both as one"
        )
        self._problems.append((statement.line, problem))

    def _is_harmless(self, statement: Statement) -> bool:
        """Return whether a statement beside the decision leaves the skill as it is, or empties it
        before.
        """
        if statement.kind == "assign" and statement.text == self.skill:
            return (
                statement.line < self._decision.line
                and statement.expressions[0] in _EMPTY
            )
        return statement.kind in ("assign", *_NO_EFFECT)

    def _read_branch(self, branch: Statement) -> None:
        subject, targets = self._decision.expressions, self._targets(branch)
        nodes = [
            Expression("operation", "=", (*subject, each)) if subject else each
            for each in branch.expressions
        ]
        try:
            alternatives = self._reader.alternatives(either(nodes)) if nodes else [()]
            for conditions in alternatives if targets else ():
                rule = _bare_rule(
                    branch.line, "", f"line {branch.line}", len(self.rules)
                ).rule
                self.rules.append(
                    storable_rule(
                        replace(rule, conditions=conditions, targets=targets),
                        self._layout,
                    )
                )
            if not alternatives:
                self._notes.append(
                    (branch.line, "no conversation meets this CASE: it became no rule")
                )
        except (NotUnderstoodError, NotStorableError) as error:
            self._refuse(branch, str(error))

    def _targets(self, branch: Statement) -> tuple[Target, ...]:
        """Return the queues of a branch; none for a DEFAULT that leaves conversations to the
        default routing.
        """
        body = [each for each in branch.body if each.kind not in _NO_EFFECT]
        body = [
            each for each in body if each.kind != "assign" or each.text == self.skill
        ]
        shares = self._reader.shares(body) or Counter[str]()
        if body and not shares:
            self._refuse(body[-1])
        elif not body and branch.kind == "case":
            needed = f"`ASSIGN {self.skill} = NUMBER`, the number of the skill of its conversations"
            self._problems.append(
                (
                    branch.line,
                    f"this CASE lacks an assignment of the skill: write {needed}",
                )
            )
        for each in _walk(body):
            name = self._comments.get(each.line) or self._comments.get(branch.line - 1)
            if name and each.kind == "assign":
                self.queue_names.setdefault(each.expressions[0].text, name)
        return tuple(Target(*share) for share in shares.items())


def _walk(statements: Sequence[Statement]) -> Iterator[Statement]:
    for statement in statements:
        yield statement
        yield from _walk((*statement.body, *statement.otherwise))


def _listed(places: Sequence[tuple[int, str]]) -> list[str]:
    lines = [f"line {line}: {text}" for line, text in sorted(places)]
    return (
        lines
        if len(lines) <= _MAX_LISTED
        else [*lines[:_MAX_LISTED], f"and {len(lines) - _MAX_LISTED:,} more"]
    )
