"""A hand-written SELECT or SWITCH as rules. What rules cannot say exactly is an error with its line, never lost."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from reconciler.errors import CxrouteError
from reconciler.model.rule import JSON_NUMBER, Rule, Target
from reconciler.studio import conditions as read
from reconciler.studio.conditions import ConditionReader, Helper, NotUnderstoodError
from reconciler.studio.language import Expression, Statement, parse_snippet
from reconciler.studio.layout import BlockLayout, NotStorableError, storable_rule
from reconciler.text.escape import sanitize

_MAX_LISTED: Final = 50
_MAX_RULES: Final = 10_000
_NO_EFFECT: Final = ("comment", "trace")
_EMPTY: Final = (Expression("text", ""), Expression("number", "0"))
_NO_SKILL: Final = "this CASE assigns no skill, and rules cannot keep its conversations from later rules"
_REFUSED: Final = (
    "nothing was written: in a snippet to import, one SELECT or SWITCH, and nothing else, assigns the skill"
)


class _HandWrittenReader(ConditionReader):
    """Reads comparisons of the script's own variables, too."""

    def subject(self, left: Expression, right: Expression) -> Helper | str | None:
        """Return what is compared: a variable of the script has a value of the type of the literal."""
        is_raw = left.kind == "variable" and left.text not in self.helpers and not left.text.endswith("$")
        if not is_raw or JSON_NUMBER.fullmatch(right.text if right.kind == "text" else ""):  # may compare as numbers
            return super().subject(left, right)
        return Helper("raw text" if right.kind == "text" else "raw number", left.spelling)


class ImportedSnippet:
    """A hand-written snippet: its rules in order, names of queues from comments, and notes on what rules do not hold.

    The rules have no names, priorities from 0, and their lines as descriptions. `skill` is the variable of the skill.
    """

    def __init__(self, text: str, layout: BlockLayout) -> None:
        """Read the snippet. Raises CxrouteError with every line that cannot be a rule."""
        self._statements, self._layout = parse_snippet(text), layout
        self._lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._problems: list[tuple[int, str]] = []
        self._notes: list[tuple[int, str]] = []
        self.rules: list[Rule] = []
        self.queue_names: dict[str, str] = {}
        self._comments = {
            each.line: each.text.strip("/ ") for each in _walk(self._statements) if each.kind == "comment"
        }
        at = next((at for at, each in enumerate(self._statements) if each.kind in ("select", "switch")), None)
        if at is None:
            raise CxrouteError(f"{_REFUSED}; this one has neither")
        self._decision, before = self._statements[at], self._statements[:at]
        inside = [each for each in _walk(self._decision.body) if each.kind == "assign"]
        counts = Counter(each.text for each in inside if each.expressions[0].kind == "number")
        own = layout.skill.lower()
        self.skill = max(counts, key=lambda name: (name == own, "skill" in name, counts[name]), default=own)
        helpers = read.find_helpers(before)
        for each in inside:
            helpers.pop(each.text, None)
        assigned = {each.text for each in _walk(before) if each.kind == "assign"}
        self._reader = _HandWrittenReader(replace(layout, skill=self.skill), helpers, assigned)
        self._read()
        self.notes = _listed(self._notes)

    def _read(self) -> None:
        for statement in self._statements:
            parts = (*statement.body, *statement.otherwise) if statement.kind == "if" else (statement,)
            if statement is not self._decision and not all(map(self._is_harmless, parts)):
                self._refuse(statement)
        branches = [each for each in self._decision.body if each.kind not in _NO_EFFECT]
        defaults = [each for each in branches if each.kind == "default"]
        for branch in sorted(branches, key=lambda each: each.kind == "default"):
            if branch.kind not in ("case", "default") or branch in defaults[1:]:
                self._refuse(branch)
            elif len(self.rules) <= _MAX_RULES:
                self._read_branch(branch)
        if len(self.rules) > _MAX_RULES or not (self.rules or self._problems):
            reason = f"more than {_MAX_RULES:,} rules" if self.rules else "no CASE assigns the number of a skill"
            self._problems.append((self._decision.line, reason))
        if self._problems:
            raise CxrouteError("\n  ".join([_REFUSED, *_listed(self._problems)]))
        known = {self.skill, *self._reader.helpers}
        for each in _walk(self._statements):
            if each.kind == "assign" and each.text not in known and not each.text.startswith("cxr_"):
                self._notes.append((each.line, f"rules do not assign {each.text}: keep it in the script"))
                known.add(each.text)

    def _refuse(self, statement: Statement, text: str = "") -> None:
        text = text or self._lines[statement.line - 1].strip()
        self._problems.append((statement.line, f"cannot be a rule: {sanitize(text[:100])}"))

    def _is_harmless(self, statement: Statement) -> bool:
        """Return whether a statement beside the decision leaves the skill as it is, or empties it before."""
        if statement.kind == "assign" and statement.text == self.skill:
            return statement.line < self._decision.line and statement.expressions[0] in _EMPTY
        return statement.kind in ("assign", *_NO_EFFECT)

    def _read_branch(self, branch: Statement) -> None:
        subject, targets = self._decision.expressions, self._targets(branch)
        nodes = [Expression("operation", "=", (*subject, each)) if subject else each for each in branch.expressions]
        try:
            alternatives = self._reader.alternatives(read.either(nodes)) if nodes else [()]
            for conditions in alternatives if targets else ():
                rule = Rule(
                    name="",
                    description=f"line {branch.line}",
                    priority=len(self.rules),
                    enabled=True,
                    conditions=conditions,
                    targets=targets,
                )
                self.rules.append(storable_rule(rule, self._layout))
            if not alternatives:
                self._notes.append((branch.line, "no conversation meets this CASE: it became no rule"))
        except (NotUnderstoodError, NotStorableError) as error:
            self._refuse(branch, str(error))

    def _targets(self, branch: Statement) -> tuple[Target, ...]:
        """Return the queues of a branch; none for a DEFAULT that leaves conversations to the default routing."""
        body = [each for each in branch.body if each.kind not in _NO_EFFECT]
        body = [each for each in body if each.kind != "assign" or each.text == self.skill]
        shares = read.read_shares(body, self.skill, self._reader.helpers, 0) or Counter[str]()
        if body and not shares:
            self._refuse(body[-1])
        elif not body and branch.kind == "case":
            self._problems.append((branch.line, _NO_SKILL))
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
    return lines if len(lines) <= _MAX_LISTED else [*lines[:_MAX_LISTED], f"and {len(lines) - _MAX_LISTED:,} more"]
