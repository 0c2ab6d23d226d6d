"""A hand-written SELECT or SWITCH as rules. What rules cannot say exactly is an error with its line, never lost."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from reconciler.errors import CxrouteError
from reconciler.model.rule import JSON_NUMBER, Target
from reconciler.studio.conditions import (
    TESTS,
    Alternative,
    ConditionReader,
    NotUnderstoodError,
    find_helpers,
    negated,
    read_literal,
    read_number,
    read_shares,
)
from reconciler.studio.language import Expression, Statement, format_expression, parse_snippet
from reconciler.studio.layout import BlockLayout
from reconciler.text.escape import pluralize, quote

_MAX_PROBLEMS: Final = 50
_COMMENT: Final = re.compile(r'[^"/]*(?:"[^"]*"[^"/]*)*// *([^\s/].*)')


class ImportedRule(NamedTuple):
    """The conditions of a CASE, its skills, its line, and the comment beside or above the skill."""

    conditions: Alternative
    targets: tuple[Target, ...]
    line: int
    comment: str


class ImportedSnippet(NamedTuple):
    """The rules in order, the variable of the skill, and notes about what stays in the script."""

    rules: tuple[ImportedRule, ...]
    skill: str
    notes: tuple[str, ...]


def import_snippet(text: str, layout: BlockLayout) -> ImportedSnippet:
    """Return the rules of the decision in a snippet. Raises CxrouteError with every line that is not understood."""
    return _Importer(text, layout).read()


class _HandWrittenReader(ConditionReader):
    """Reads comparisons of the script's own variables, too."""

    assigned: frozenset[str] = frozenset()  # the variables that the snippet assigns: their values are not an attribute

    def compare(self, node: Expression, symbol: str, left: Expression, right: Expression) -> list[Alternative]:
        """Return the alternatives of a comparison. A missing value is an empty text, and the number 0."""
        is_raw = left.kind == "variable" and left.text not in self.assigned and not left.text.endswith("$")
        if not is_raw or right.kind not in ("text", "number", "operation"):
            return super().compare(node, symbol, left, right)
        if symbol == "!=":
            return negated(self.compare(node, "=", left, right), node)
        if right.kind == "text":
            name = "equals" if right.text else "notExists"
            if symbol != "=" or JSON_NUMBER.fullmatch(right.text):  # texts of digits compare as numbers
                raise NotUnderstoodError(format_expression(node))
            return [(self.condition(left.spelling, name, read_literal(right) if right.text else None),)]
        missing = [(self.condition(left.spelling, "notExists", None),)]
        number = read_number(right)
        return [self.number_test(left.spelling, symbol, number), *(missing if TESTS[symbol](0, number) else [])]


class _Importer:
    def __init__(self, text: str, layout: BlockLayout) -> None:
        self.lines = text.splitlines()
        self.statements = parse_snippet(text)
        self.problems: list[tuple[int, str]] = []
        self.notes: list[str] = []
        assigned = [each for each in _walk(self.statements) if each.kind == "assign"]
        names = [each.text for each in assigned if each.expressions[0].kind == "number"]
        is_known = layout.skill.lower() in names
        self.skill = layout.skill.lower() if is_known else Counter(names).most_common(1)[0][0] if names else ""
        self.rule = layout.rule.lower()
        helpers = find_helpers([each for each in self.statements if each.kind in ("assign", "if")])
        self.reader = _HandWrittenReader(replace(layout, skill=self.skill or layout.skill), helpers)
        self.reader.assigned = frozenset(each.text for each in assigned)

    def read(self) -> ImportedSnippet:
        decisions = [each for each in self.statements if each.kind in ("select", "switch")]
        rules = tuple(self._rules(decisions[0])) if len(decisions) == 1 and self.skill else ()
        for each in self.statements:
            if each.kind == "assign" and each.text == self.skill:
                self.notes.append(f"line {each.line} assigns {each.text} before or after the decision: keep it there")
            elif each.kind not in ("comment", "trace", "assign", "if") and each not in decisions[:1]:
                self.problems.append((each.line, "only one SELECT or SWITCH can be imported"))
        if not rules and not self.problems:
            self.problems.append((1, "there is no SELECT or SWITCH whose CASEs assign the number of a skill"))
        if self.problems:
            places = [f"\n  line {line}: {message}" for line, message in sorted({*self.problems})]
            more = f"\n  and {len(places) - _MAX_PROBLEMS:,} more" if len(places) > _MAX_PROBLEMS else ""
            head = (
                f"{pluralize(len(places), 'part')} of the snippet cannot be written as rules, and nothing was written"
            )
            raise CxrouteError(f"{head}{''.join(places[:_MAX_PROBLEMS])}{more}")
        return ImportedSnippet(rules, self.skill, tuple(self.notes))

    def _rules(self, decision: Statement) -> Iterator[ImportedRule]:
        default: list[ImportedRule] = []
        for branch in decision.body:
            if branch.kind not in ("case", "default", "comment"):
                self.problems.append((branch.line, f"{branch.kind} {quote(branch.text[:80])}"))
            elif branch.kind != "comment":
                listed = [*self._branch(decision, branch)]
                default += listed if branch.kind == "default" else []
                yield from listed if branch.kind == "case" else ()
        yield from default

    def _branch(self, decision: Statement, branch: Statement) -> Iterator[ImportedRule]:
        subject = decision.expressions
        nodes = [Expression("operation", "=", (*subject, each)) if subject else each for each in branch.expressions]
        several = Expression("operation", " ".join("|" * (len(nodes) - 1)), tuple(nodes))
        try:
            alternatives = self.reader.alternatives(several if len(nodes) > 1 else nodes[0]) if nodes else [()]
            targets = self._targets(branch)
        except NotUnderstoodError as error:
            self.problems.append((branch.line, f"rules cannot say {quote(str(error)[:80])}"))
            return
        for conditions in alternatives:
            yield ImportedRule(conditions, targets, branch.line, self._comment(branch))

    def _targets(self, branch: Statement) -> tuple[Target, ...]:
        body = [each for each in branch.body if each.kind not in ("comment", "trace")]
        others = [each for each in body if each.kind == "assign" and each.text not in (self.skill, self.rule)]
        for each in others:
            self.notes.append(f"line {each.line} assigns {each.text}, which rules do not do: keep it in the script")
        kept = [each for each in body if each not in others and each.text != self.rule]
        shares = read_shares(kept, self.skill, self.reader.helpers, 0)
        if not shares:
            raise NotUnderstoodError(kept[0].text or kept[0].kind if kept else "a branch that assigns no skill")
        return tuple(Target(queue, percent if len(shares) > 1 else 1) for queue, percent in sorted(shares.items()))

    def _comment(self, branch: Statement) -> str:
        """Return the comment beside the skill, or beside or above the CASE."""
        skill = [each.line for each in _walk(branch.body) if each.kind == "assign" and each.text == self.skill]
        for line in (*skill, branch.line, branch.line - 1):
            if line and (match := _COMMENT.fullmatch(self.lines[line - 1])):
                return match[1].strip()
        return ""


def _walk(statements: Sequence[Statement]) -> Iterator[Statement]:
    for statement in statements:
        yield statement
        yield from _walk((*statement.body, *statement.otherwise))
