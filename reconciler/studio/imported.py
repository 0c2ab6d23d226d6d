"""A hand-written SELECT or SWITCH as rules. What rules cannot say exactly is an error with its line, never lost."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from reconciler.errors import CxrouteError
from reconciler.model import rule as model
from reconciler.model.rule import Condition, Rule, Target
from reconciler.studio import conditions as read
from reconciler.studio.conditions import Alternative, ConditionReader, NotUnderstoodError
from reconciler.studio.language import Expression, Statement, format_expression, parse_snippet
from reconciler.studio.layout import BlockLayout, NotStorableError, storable_rule
from reconciler.text.escape import quote

_MAX_LISTED: Final = 50
_MAX_RULES: Final = 10_000
_NO_EFFECT: Final = ("comment", "trace")
_EMPTY: Final = (Expression("text", ""), Expression("number", "0"))
_NO_SKILL: Final = "this CASE assigns no skill, and rules cannot keep its conversations from later rules"
_REFUSED: Final = (
    "nothing was written: a snippet is imported if one SELECT or SWITCH, and nothing else, assigns the skill"
)


class ImportedSnippet(NamedTuple):
    """The rules in their order, names of queues from comments, the skill's variable, and what is not in the rules."""

    rules: Sequence[Rule]  # without names, with priorities from 0, and described by their lines
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
    """Reads one snippet; `problems` are what rules cannot say, each with its line."""

    def __init__(self, text: str, layout: BlockLayout) -> None:
        self.statements, self.layout = parse_snippet(text), layout
        self.lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self.problems: list[tuple[int, str]] = []
        self.notes: list[tuple[int, str]] = []
        self.rules: list[Rule] = []
        self.queue_names: dict[str, str] = {}
        self.comments = {each.line: each.text.strip("/ ") for each in _walk(self.statements) if each.kind == "comment"}
        at = next((at for at, each in enumerate(self.statements) if each.kind in ("select", "switch")), None)
        if at is None:
            raise CxrouteError(f"{_REFUSED}; there is none")
        self.decision, before = self.statements[at], self.statements[:at]
        inside = [each for each in _walk(self.decision.body) if each.kind == "assign"]
        counts = Counter(each.text for each in inside if each.expressions[0].kind == "number")
        own = layout.skill.lower()
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
                self._refuse(statement)
        branches = [each for each in self.decision.body if each.kind not in _NO_EFFECT]
        defaults = [each for each in branches if each.kind == "default"]
        for branch in sorted(branches, key=lambda each: each.kind == "default"):
            if branch.kind not in ("case", "default") or branch in defaults[1:]:
                self._refuse(branch)
            elif len(self.rules) <= _MAX_RULES:
                self._read_branch(branch)
        if len(self.rules) > _MAX_RULES or not (self.rules or self.problems):
            reason = f"more than {_MAX_RULES:,} rules" if self.rules else "no CASE assigns the number of a skill"
            self.problems.append((self.decision.line, reason))
        if self.problems:
            raise CxrouteError("\n  ".join([_REFUSED, *_listed(self.problems)]))
        known = {self.skill, *self.reader.helpers}
        for each in _walk(self.statements):
            if each.kind == "assign" and each.text not in known and not each.text.startswith("cxr_"):
                self.notes.append((each.line, f"rules do not assign {each.text}: keep it in the script"))
                known.add(each.text)
        return ImportedSnippet(self.rules, self.queue_names, self.skill, _listed(self.notes))

    def _refuse(self, statement: Statement, text: str = "") -> None:
        text = text or self.lines[statement.line - 1].strip()
        self.problems.append((statement.line, f"rules cannot say: {quote(text[:100])}"))

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
            for conditions in alternatives if targets else ():
                line, at = f"line {branch.line}", len(self.rules)
                rule = Rule(
                    name="", description=line, priority=at, enabled=True, conditions=conditions, targets=targets
                )
                self.rules.append(storable_rule(rule, self.layout))
            if not alternatives:
                self.notes.append((branch.line, "no conversation meets this CASE: it became no rule"))
        except (NotUnderstoodError, NotStorableError) as error:
            self._refuse(branch, str(error))

    def _targets(self, branch: Statement) -> tuple[Target, ...]:
        """Return the queues of a branch; none for a DEFAULT that leaves conversations to the default routing."""
        body = [each for each in branch.body if each.kind not in _NO_EFFECT]
        body = [each for each in body if each.kind != "assign" or each.text == self.skill]
        shares = read.read_shares(body, self.skill, self.reader.helpers, 0) or {}
        if body and not shares:
            self._refuse(body[-1])
        elif not body and branch.kind == "case":
            self.problems.append((branch.line, _NO_SKILL))
        for each in _walk(body):
            name = self.comments.get(each.line) or self.comments.get(branch.line - 1)
            if name and each.kind == "assign":
                self.queue_names.setdefault(each.expressions[0].text, name)
        return tuple(Target(*share) for share in shares.items())


def _walk(statements: Sequence[Statement]) -> Iterator[Statement]:
    for statement in statements:
        yield statement
        yield from _walk((*statement.body, *statement.otherwise))


def _listed(places: Sequence[tuple[int, str]]) -> list[str]:
    lines = [f"line {line}: {text}" for line, text in sorted(places)]
    return lines if len(lines) <= _MAX_LISTED else [*lines[:_MAX_LISTED], f"and {len(lines) - _MAX_LISTED:,} more"]
