"""The decision of a hand-written snippet: which contacts get which skill.

A decision is a list of branches: the first one that a contact meets decides. A later statement that
assigns the skill comes before an earlier one, because the last assignment counts.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from reconciler.core.model.rule import Target
from reconciler.targets.studio.conditions import (
    Alternative,
    Helper,
    NotUnderstoodError,
    either,
)
from reconciler.targets.studio.language import (
    Expression,
    Statement,
    assignments,
    plain,
    walk,
)
from reconciler.targets.studio.layout import form_of_skill
from reconciler.targets.studio.settings import SkillForm
from reconciler.targets.studio.snippet_conditions import SnippetConditionReader, nested

NO_EFFECT: Final = ("comment", "trace")
_ALWAYS: Final[tuple[Alternative, ...]] = ((),)
EMPTY: Final = (
    Expression("text", ""),
    Expression("number", "0"),
    Expression("text", "0"),
)
"""Values of the variable of the skill that mean no skill."""
_ALL: Final = 100  # percent
_MAX_BRANCHES: Final = 10_000
_Lines = dict[str, int]  # of the assignments before, by the variable


class Branch(NamedTuple):
    """Contacts, and their skill: `targets` is empty for no skill, and None where it stays."""

    line: int
    alternatives: Sequence[Alternative]
    targets: tuple[Target, ...] | None

    @property
    def takes_all(self) -> bool:
        """Return whether every contact meets it."""
        return () in self.alternatives


class SkillUse(NamedTuple):
    """An assignment of a skill, in the branch that begins in the line `branch`.

    A name is the id of its queue, until the queue is known.
    """

    line: int
    branch: int
    form: SkillForm
    queue_id: str


class DecisionReader:
    """Reads the decision of one snippet.

    `problems` and `notes` have lines; `uses` are the assignments of skills.
    """

    def __init__(
        self, reader: SnippetConditionReader, skill: str, lines: Sequence[str]
    ) -> None:
        """`skill` is the variable of the skill, in lower case; `lines` are those of the snippet."""
        self._reader = reader
        self._skill = skill
        self._lines = lines
        self.problems: list[tuple[int, str]] = []
        self.notes: list[tuple[int, str]] = []
        self.uses: list[SkillUse] = []

    def read(self, statements: Sequence[Statement]) -> list[Branch]:
        """Return the branches of the snippet, the first one first."""
        return self._run(statements, {}, 0)

    def _run(
        self, statements: Sequence[Statement], assigned: _Lines, place: int
    ) -> list[Branch]:
        """Return the branches of statements; `place` is the line of the branch with them, or 0."""
        branches: list[Branch] = []
        for statement in statements:
            later = self._step(statement, assigned, place or statement.line)
            try:
                branches = _sequence(branches, later)
            except NotUnderstoodError as error:
                self._refuse(statement.line, error)
                branches = []  # too many to go on with
        return branches

    def _step(
        self, statement: Statement, assigned: _Lines, place: int
    ) -> Sequence[Branch]:
        """Return the branches of one statement."""
        if statement.kind in NO_EFFECT:
            return ()
        if statement.kind == "assign":
            assigned[statement.text] = statement.line
            if statement.text != self._skill:
                return ()
            targets = self._targets(statement, place)
            return () if targets is None else (Branch(place, _ALWAYS, targets),)

        if statement.kind in ("if", "select", "switch"):
            if self._assigns_skill(statement):
                return self._decide(statement, assigned, place)
        else:
            self._check_unknown(statement)
        _note_assignments(statement, assigned)
        return ()

    def _decide(
        self, statement: Statement, assigned: _Lines, place: int
    ) -> Sequence[Branch]:
        if statement.kind != "if":
            return self._select(statement, assigned)
        share = self._split_percent(statement)
        if share is not None:
            targets = self._split(statement, 0, place)
            return () if targets is None else (Branch(place, _ALWAYS, targets),)

        line = statement.line
        test = self._read_test(statement, statement.expressions, assigned)
        chosen = _then(test, line, self._run(statement.body, dict(assigned), line))
        others = self._run(statement.otherwise, dict(assigned), line)
        _note_assignments(statement, assigned)
        return [*chosen, *others]

    def _select(self, statement: Statement, assigned: _Lines) -> Sequence[Branch]:
        """Return the branches of a SELECT or a SWITCH; the first CASE that is true decides."""
        cases = [each for each in statement.body if each.kind not in NO_EFFECT]
        defaults = [each for each in cases if each.kind == "default"]
        branches: list[Branch] = []
        for case in sorted(cases, key=lambda each: each.kind == "default"):
            if case.kind not in ("case", "default") or case in defaults[1:]:
                kind = statement.kind.upper()
                reason = f"a {kind} has CASEs, and one DEFAULT"
                self._refuse(case.line, NotUnderstoodError("", reason))
                continue
            expressions = [
                Expression("operation", "=", (*statement.expressions, each))
                if statement.expressions
                else each
                for each in case.expressions
            ]
            test = self._read_test(case, expressions, assigned)
            body = self._run(case.body, dict(assigned), case.line)
            branches += _then(test, case.line, body)
        _note_assignments(statement, assigned)
        return branches

    def _read_test(
        self,
        branch: Statement,
        expressions: Sequence[Expression],
        assigned: Mapping[str, int],
    ) -> Sequence[Alternative]:
        """Return the alternatives of a branch, one of whose expressions must be true."""
        if not expressions:
            return _ALWAYS
        for line, expression in zip(branch.expression_lines, expressions, strict=True):
            try:
                self._reader.read(expression, assigned)
            except NotUnderstoodError as error:
                self._refuse(line, error)
                return ()
        try:
            alternatives = self._reader.read(either(expressions), assigned)
        except NotUnderstoodError as error:
            self._refuse(branch.line, error)
            return ()
        if not alternatives:
            note = "no conversation meets this CASE: it became no rule"
            self.notes.append((branch.line, note))
        return alternatives

    def _targets(self, statement: Statement, place: int) -> tuple[Target, ...] | None:
        """Return the skill that a statement assigns; None for one that is not understood."""
        literal = plain(statement.expressions[0])
        if literal in EMPTY:
            return ()
        form = None
        if literal.kind in ("text", "number"):
            form = form_of_skill(literal.text)
        if form is None or (form == "name" and literal.kind == "number"):
            reason = "the skill must get the id or the name of one skill"
            self._refuse(statement.line, NotUnderstoodError("", reason))
            return None
        self.uses.append(SkillUse(statement.line, place, form, literal.text))
        return (Target(literal.text, 1),)

    def _split_percent(self, statement: Statement) -> int | None:
        """Return the percent of an IF that splits contacts; None for another IF."""
        if statement.kind != "if":
            return None
        match plain(statement.expressions[0]):
            case Expression("operation", "<", (left, right)):
                match plain(left), plain(right):
                    case Expression("variable", name), Expression("number", number):
                        is_split = self._reader.helpers.get(name) == Helper("split", "")
                        if is_split and number.isdecimal() and len(number) <= len("99"):
                            return int(number)
        return None

    def _split(
        self, statement: Statement, percent: int, place: int
    ) -> tuple[Target, ...] | None:
        """Return the shares of the skills of a split, from `percent` on."""
        shares = self._shares(statement, percent, place)
        if shares is None:
            return None
        return tuple(Target(*share) for share in shares.items())

    def _shares(
        self, statement: Statement, percent: int, place: int
    ) -> Counter[str] | None:
        limit = self._split_percent(statement)
        if limit is None or limit <= percent:
            reason = "the percents of a split must rise"
            self._refuse(statement.line, NotUnderstoodError("", reason))
            return None
        first = self._part(statement, statement.body, limit - percent, place)
        rest = [each for each in statement.otherwise if self._matters(each)]
        if [each.kind for each in rest] == ["if"]:
            remaining = self._shares(rest[0], limit, place)
        else:
            remaining = self._part(statement, statement.otherwise, _ALL - limit, place)
        return first + remaining if first and remaining else None

    def _part(
        self,
        split: Statement,
        statements: Sequence[Statement],
        percent: int,
        place: int,
    ) -> Counter[str] | None:
        """Return the percent of the one skill that statements assign."""
        effective = [each for each in statements if self._matters(each)]
        if [each.kind for each in effective] != ["assign"]:
            reason = "each part of a split must assign one skill"
            self._refuse(split.line, NotUnderstoodError("", reason))
            return None
        targets = self._targets(effective[0], place)
        return Counter({each.queue_id: percent for each in targets or ()}) or None

    def _matters(self, statement: Statement) -> bool:
        return statement.kind == "unknown" or self._assigns_skill(statement)

    def _assigns_skill(self, statement: Statement) -> bool:
        """Return whether a statement may change the skill."""
        return any(
            (each.kind == "unknown" and not self._is_object(each))
            or (each.kind == "assign" and each.text == self._skill)
            for each in walk([statement])
        )

    def _is_object(self, statement: Statement) -> bool:
        """Return whether a statement makes or changes an object, and not the skill."""
        head = statement.text.lower().split()
        has_member = head[1:2] == ["."] and "=" in head
        is_object = head[:1] == ["dynamic"] or has_member
        return is_object and not statement.body and self._skill not in head

    def _check_unknown(self, statement: Statement) -> None:
        """Report a statement that may change the skill, or a variable of a condition."""
        if self._is_object(statement):
            return
        reason = "cxroute does not know what this statement changes"
        if statement.text.lower().startswith("else"):
            reason = "an IF has no ELSE IF: write ELSE { IF ... }"
        self._refuse(statement.line, NotUnderstoodError("", reason))

    def _refuse(self, line: int, error: NotUnderstoodError) -> None:
        construct = error.text or self._lines[line - 1].strip()
        self.problems.append((line, f"{error.reason}: `{construct}`"))


def _note_assignments(statement: Statement, assigned: _Lines) -> None:
    for each in assignments([statement]):
        assigned.setdefault(each.text, each.line)


def _then(
    test: Sequence[Alternative], line: int, body: Sequence[Branch]
) -> list[Branch]:
    """Return the branches of a block that only contacts of a test reach."""
    branches = [
        each._replace(alternatives=nested(test, each.alternatives)) for each in body
    ]
    if not any(each.takes_all for each in body):
        branches.append(Branch(line, test, None))
    return [each for each in branches if each.alternatives]


def _sequence(first: Sequence[Branch], later: Sequence[Branch]) -> list[Branch]:
    """Return the branches of two statements that follow each other.

    Raises NotUnderstoodError for too many.
    """
    branches: list[Branch] = []
    for place, branch in enumerate(later):
        if branch.targets is not None:
            branches.append(branch)
        elif _is_taken_later(branch, later[place + 1 :]):
            branches += _kept(branch, first)
        if len(branches) > _MAX_BRANCHES:
            reason = f"the skill has more than {_MAX_BRANCHES:,} branches"
            raise NotUnderstoodError("", reason)
    if not any(branch.takes_all for branch in branches):
        branches += first
    return branches


def _is_taken_later(branch: Branch, later: Sequence[Branch]) -> bool:
    """Return whether contacts that keep their skill meet another branch of the statement, too."""
    return any(
        each.targets is not None and nested(branch.alternatives, each.alternatives)
        for each in later
    )


def _kept(branch: Branch, first: Sequence[Branch]) -> Iterator[Branch]:
    """Yield the branches of contacts that keep the skill of the statements before."""
    for before in first:
        both = nested(branch.alternatives, before.alternatives)
        if both:
            line = before.line if before.targets else branch.line
            yield before._replace(line=line, alternatives=both)
    if not any(before.takes_all for before in first):
        yield branch
