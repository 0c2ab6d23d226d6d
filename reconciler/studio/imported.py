"""A hand-written SELECT or SWITCH as rules. What rules cannot say exactly is an error with its line, never lost."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from reconciler.errors import CxrouteError
from reconciler.model import rule as model
from reconciler.model.rule import Condition, Opaque, Rule, Target
from reconciler.studio import conditions as read
from reconciler.studio.conditions import Alternative, ConditionReader, NotUnderstoodError
from reconciler.studio.language import Expression, Statement, format_expression, parse_snippet
from reconciler.studio.layout import BlockLayout, NotStorableError, storable_rule
from reconciler.text.escape import pluralize, quote

_MAX_LISTED: Final = 50
_MAX_RULES: Final = 10_000
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_NO_EFFECT: Final = ("comment", "trace")
_EMPTY: Final = (Expression("text", ""), Expression("number", "0"))
_NO_SKILL: Final = "this CASE assigns no skill, and rules cannot keep its conversations from later rules"
_NOT_IMPORTED: Final = "only one SELECT or SWITCH can be imported, and no other statement may assign the skill"


class ImportedSnippet(NamedTuple):
    """The rules in their order, names of queues from comments, the skill's variable, and what is not in the rules.

    The rules have no names, and priorities from 1.
    """

    rules: Sequence[Rule]
    queue_names: Mapping[str, str]
    skill: str
    notes: Sequence[str]


def import_snippet(text: str, layout: BlockLayout) -> ImportedSnippet:
    """Return the rules of a hand-written snippet. Raises CxrouteError with every line that is not understood."""
    return _Importer(text, layout).read()


class _HandWrittenReader(ConditionReader):
    """Reads comparisons of the script's own variables, too."""

    assigned: frozenset[str] = frozenset()  # variables that the snippet assigns before: they are no attributes

    def condition(self, variable: str, name: str, value: model.Value) -> Condition:
        """Return a condition on a variable that the snippet does not assign. Raises NotUnderstoodError."""
        if variable.lower() in self.assigned:
            raise NotUnderstoodError(variable)
        return super().condition(variable, name, value)

    def compare(self, node: Expression, symbol: str, left: Expression, right: Expression) -> list[Alternative]:
        """Return the alternatives of a comparison. A missing value is an empty text, and the number 0."""
        is_raw = left.kind == "variable" and left.text not in self.helpers and not left.text.endswith("$")
        if not is_raw or right.kind not in ("text", "number", "operation"):
            return super().compare(node, symbol, left, right)
        if symbol == "!=":
            return read.negated(self.compare(node, "=", left, right), node)
        if right == Expression("text", "") and symbol in "=>":
            return [(self.condition(left.spelling, "notExists" if symbol == "=" else "exists", None),)]
        if right.kind == "text" and symbol == "=" and not model.JSON_NUMBER.fullmatch(right.text):
            return [(self.condition(left.spelling, "equals", read.read_literal(right)),)]
        if right.kind == "text":  # the order of texts, and texts of digits, which may compare as numbers
            raise NotUnderstoodError(format_expression(node))
        number, missing = read.read_number(right), self.condition(left.spelling, "notExists", None)
        alternatives = [self.number_test(left.spelling, symbol, number)]
        return [*alternatives, (missing,)] if read.TESTS[symbol](0, number) else alternatives


class _Importer:
    """Reads one snippet; `problems` are what rules cannot say."""

    def __init__(self, text: str, layout: BlockLayout) -> None:
        self.lines, self.statements, self.layout = _LINE_END.split(text), parse_snippet(text), layout
        self.problems: list[tuple[int, str]] = []
        self.notes: list[tuple[int, str]] = []
        self.rules: list[Rule] = []
        self.queue_names: dict[str, str] = {}
        self.comments = {each.line: each.text.strip("/ ") for each in _walk(self.statements) if each.kind == "comment"}
        decisions = [each for each in self.statements if each.kind in ("select", "switch")]
        if not decisions:
            raise CxrouteError("nothing was written: the snippet has no SELECT and no SWITCH")
        self.decision = decisions[0]
        before = self.statements[: self.statements.index(self.decision)]
        inside = [each for each in _walk(self.decision.body) if each.kind == "assign"]
        counts, own = (
            Counter(each.text for each in inside if each.expressions[0].kind == "number"),
            layout.skill.lower(),
        )
        self.skill = max(counts, key=lambda name: (name == own, "skill" in name, counts[name]), default=own)
        helpers = read.find_helpers([each for each in before if each.kind in ("assign", "if")])
        for each in inside:
            helpers.pop(each.text, None)
        self.reader = _HandWrittenReader(replace(layout, skill=self.skill), helpers)
        self.reader.assigned = frozenset(each.text for each in _walk(before) if each.kind == "assign")

    def read(self) -> ImportedSnippet:
        for statement in self.statements:
            parts = (*statement.body, *statement.otherwise) if statement.kind == "if" else (statement,)
            if statement is not self.decision and not all(map(self._is_harmless, parts)):
                self._refuse(statement, _NOT_IMPORTED)
        branches = [each for each in self.decision.body if each.kind not in _NO_EFFECT]
        defaults = [each for each in branches if each.kind == "default"]
        for branch in sorted(branches, key=lambda each: each.kind == "default"):
            if branch.kind not in ("case", "default") or branch in defaults[1:]:
                self._refuse(branch, "rules cannot say")
            elif len(self.rules) <= _MAX_RULES:
                self._read_branch(branch)
        if len(self.rules) > _MAX_RULES or not (self.rules or self.problems):
            reason = f"more than {_MAX_RULES:,} rules" if self.rules else "no CASE assigns the number of a skill"
            self.problems.append((self.decision.line, reason))
        if self.problems:
            head = f"nothing was written: {pluralize(len(self.problems), 'part')} of the snippet cannot become rules"
            raise CxrouteError("\n  ".join([head, *_listed(self.problems)]))
        known = {self.skill, *self.reader.helpers}
        for each in _walk(self.statements):
            if each.kind == "assign" and each.text not in known and not each.text.startswith("cxr_"):
                self.notes.append((each.line, f"rules do not assign {each.text}: keep it in the script"))
                known.add(each.text)
        return ImportedSnippet(self.rules, self.queue_names, self.skill, _listed(self.notes))

    def _refuse(self, statement: Statement, reason: str) -> None:
        self.problems.append((statement.line, f"{reason}: {quote(self.lines[statement.line - 1].strip()[:80])}"))

    def _is_harmless(self, statement: Statement) -> bool:
        """Return whether a statement beside the decision leaves the skill as it is, or empties it before."""
        if statement.kind == "assign" and statement.text == self.skill:
            return statement.line < self.decision.line and statement.expressions[0] in _EMPTY
        return statement.kind in ("assign", *_NO_EFFECT)

    def _read_branch(self, branch: Statement) -> None:
        subject, targets = self.decision.expressions, self._targets(branch)
        nodes = [Expression("operation", "=", (*subject, each)) if subject else each for each in branch.expressions]
        several = Expression("operation", " ".join("|" * (len(nodes) - 1)), (*nodes,))
        try:
            alternatives = self.reader.alternatives(several if len(nodes) > 1 else nodes[0]) if nodes else [()]
        except NotUnderstoodError as error:
            self.problems.append((branch.line, f"rules cannot say: {quote(str(error)[:80])}"))
            return
        if not alternatives:
            self.notes.append((branch.line, "no conversation meets this CASE: it became no rule"))
        for conditions in map(model.normalized_conditions, alternatives if targets else ()):
            priority = len(self.rules) + 1
            rule = Rule(
                name="", description="", priority=priority, enabled=True, conditions=conditions, targets=targets
            )
            try:
                self.rules.append(storable_rule(rule, self.layout))
            except NotStorableError as error:
                self.problems.append((branch.line, error.message))

    def _targets(self, branch: Statement) -> tuple[Target | Opaque, ...]:
        """Return the queues of a branch; none for a DEFAULT that leaves conversations to the default routing."""
        body = [each for each in branch.body if each.kind not in _NO_EFFECT]
        body = [each for each in body if each.kind != "assign" or each.text == self.skill]
        shares = read.read_shares(body, self.skill, self.reader.helpers, 0) or {}
        if body and not shares:
            self._refuse(body[-1], "rules cannot say")
        elif not body and branch.kind == "case":
            self.problems.append((branch.line, _NO_SKILL))
        for each in _walk(body):
            name = self.comments.get(each.line) or self.comments.get(branch.line - 1)
            if name and each.kind == "assign":
                self.queue_names.setdefault(each.expressions[0].text, name)
        return model.sorted_targets(
            Target(*share) if len(shares) > 1 else Target(share[0], 1) for share in shares.items()
        )


def _walk(statements: Sequence[Statement]) -> Iterator[Statement]:
    for statement in statements:
        yield statement
        yield from _walk((*statement.body, *statement.otherwise))


def _listed(places: Sequence[tuple[int, str]]) -> list[str]:
    more = f"and {len(places) - _MAX_LISTED:,} more"
    return [f"line {line}: {text}" for line, text in sorted(places)[:_MAX_LISTED]] + [more] * (
        len(places) > _MAX_LISTED
    )
