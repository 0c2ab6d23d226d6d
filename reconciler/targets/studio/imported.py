"""The rules of a hand-written snippet: what rules cannot say exactly is an error with its line."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.diff.regions import Region
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.errors import CxrouteError
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.rule import Rule, Target
from reconciler.core.target import NotStorableError
from reconciler.core.text.escape import join_first, sanitize
from reconciler.targets.studio.conditions import Alternative
from reconciler.targets.studio.decision import (
    EMPTY,
    Branch,
    DecisionReader,
)
from reconciler.targets.studio.form import BlockForm
from reconciler.targets.studio.language import assignments, parse_snippet, walk
from reconciler.targets.studio.layout import BlockLayout, form_of_skill, storable_rule
from reconciler.targets.studio.settings import SkillForm
from reconciler.targets.studio.snippet_conditions import (
    SnippetConditionReader,
    find_sources,
)

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_MAX_LISTED: Final = 50
_MAX_RULES: Final = 10_000
_MAX_LINES: Final = 20
_MAX_SHOWN: Final = 500  # characters of a problem
_DECISIONS: Final = ("if", "select", "switch")
_REFUSED: Final = "nothing was written: rules cannot say all of this snippet"
# Names of the variable of the skill, the most likely one first.
_SKILL_NAMES: Final = (
    re.compile(r".*skill(?:_?(?:id|no|num|number))?\$?"),
    re.compile(r".*skill_?name\$?"),
    re.compile(r".*queue(?:_?(?:id|no|num|number|name))?\$?"),
    re.compile(r".*(?:skill|queue).*"),
)
_FORMS: Final = {
    "id": "the id of a skill",
    "name": "the name of a skill",
    "routing-queue": "the id of a digital routing queue",
}


def _unnamed_skill(candidates: Sequence[str]) -> str:
    """Return the error of a snippet in which no name tells the variable of the skill."""
    names = join_first(candidates, 3, sanitize)
    return (
        f'no variable of the snippet has "skill" or "queue" in its name; if one of them ({names}) holds '
        f"the skill, set `api.studio.result: {{skill: {sanitize(candidates[0])}}}` in the Environment, and use -e"
    )


class ImportedSnippet:
    """A hand-written snippet: its rules in order, names of queues from comments, and notes on what
    rules do not hold.

    The rules have no names, priorities from 0, and their lines as descriptions. `skill` is the
    variable of the skill. `skill_as` is what the snippet assigns to it. In the rules, the name of a
    skill is the id of its queue.
    """

    def __init__(self, text: str, layout: BlockLayout) -> None:
        """Read the snippet. Raises CxrouteError with every line that cannot be a rule."""
        self._statements = parse_snippet(text)
        self._layout = layout
        self._lines = _LINE_END.split(text)
        self._assigned = assignments(self._statements)
        self.skill = self._skill_variable()
        self._skills = [each for each in self._assigned if each.text == self.skill]
        counts = Counter(each.text for each in self._assigned)
        self._sources = find_sources(self._statements, counts)
        self._sources.pop(self.skill, None)
        self._decision = self._decision_reader()
        self._problems = self._decision.problems
        branches = self._decision.read(self._statements)
        self.skill_as: SkillForm = self._find_form()
        self.rules = self._rules(branches)
        self.queue_names = self._names_in_comments()
        self._refuse_problems()
        self.notes = _listed([*self._decision.notes, *self._variable_notes()])

    def _decision_reader(self) -> DecisionReader:
        layout = replace(self._layout, skill=self.skill)
        reader = SnippetConditionReader(layout, self._sources, self.skill)
        return DecisionReader(reader, self.skill, self._lines)

    def _skill_variable(self) -> str:
        """Return the variable of the skill: the layout's, or one with `skill` or `queue` in its name.

        Raises CxrouteError if it would be a guess: another number may be a priority.
        """
        numbers = Counter[str]()
        texts = Counter[str]()
        for statement in self._assigned:
            value = statement.expressions[0]
            if value in EMPTY:
                continue
            if value.kind == "number":
                numbers[statement.text] += 1
            elif value.kind == "text" and form_of_skill(value.text):
                texts[statement.text] += 1
        own = self._layout.skill.lower()
        named = [name for name in {**numbers, **texts} if _name_rank(name, own)]
        # of a snippet that assigns no skill
        empty = [
            each.text for each in self._assigned if _SKILL_NAMES[0].fullmatch(each.text)
        ]
        names = named or empty
        if names:
            return max(names, key=lambda name: _name_rank(name, own))
        candidates = list({**numbers, **texts})
        if candidates:
            raise CxrouteError(_unnamed_skill(candidates))
        return own

    def _find_form(self) -> SkillForm:
        """Return what the snippet assigns to the variable of the skill; `id` if it assigns names, too.

        Report ids of digital routing queues beside skills.
        """
        first_lines: dict[SkillForm, int] = {}
        for use in sorted(self._decision.uses):
            first_lines.setdefault(use.form, use.line)
        forms = list(first_lines)
        if "routing-queue" in forms and len(forms) > 1:
            first, second = sorted(forms, key=first_lines.__getitem__)[:2]
            problem = (
                f"it assigns {_FORMS[second]}, and line {first_lines[first]} {_FORMS[first]}: a "
                f"block holds one of them; import two snippets"
            )
            self._problems.append((first_lines[second], problem))
        if "name" in forms and "id" in forms:
            note = (
                "the snippet assigns names here and ids elsewhere: a block assigns one of "
                "them to all, ids by default"
            )
            self._decision.notes.append((first_lines["name"], note))
            return "id"
        return forms[0] if forms else "id"

    def _rules(self, branches: Sequence[Branch]) -> list[Rule]:
        rules: list[Rule] = []
        for branch in self._deciding(branches):
            for conditions in branch.alternatives:
                if len(rules) >= _MAX_RULES:
                    self._problems.append(
                        (branch.line, f"more than {_MAX_RULES:,} rules")
                    )
                    return rules
                rule = _unnamed_rule(branch, conditions, branch.targets or ())
                rule = replace(rule, priority=len(rules))
                try:
                    rules.append(storable_rule(rule, self._layout))
                except NotStorableError as error:
                    self._problems.append((branch.line, str(error)))
        if not rules and not self._problems:
            line = max((each.line for each in self._skills), default=1)
            self._problems.append((line, "no contact gets a skill"))
        return rules

    def _deciding(self, branches: Sequence[Branch]) -> list[Branch]:
        """Return the branches with a skill.

        Report a branch without a skill if a later one would take its contacts.
        """
        ends = [place for place, each in enumerate(branches) if each.takes_all]
        if ends and not branches[ends[0]].targets:
            branches = branches[: ends[0]]
        deciding = [branch for branch in branches if branch.targets]
        # without a branch that is not understood, this would not be true
        if len(deciding) < len(branches) and not self._problems:
            self._check_without_skill(branches, deciding)
        return deciding

    def _check_without_skill(
        self, branches: Sequence[Branch], deciding: Sequence[Branch]
    ) -> None:
        last = Branch(0, ((),), ())
        before = list(_entries([*branches, last]))
        types = BlockForm(self._layout).value_types([entry.rule for entry in before])
        change = compare_behaviour(before, _entries([*deciding, last]), types=types)
        regions: dict[int, Region] = {}
        for region in change.regions:
            if region.before_rule:
                regions.setdefault(int(region.before_rule.name), region)
        for line, region in regions.items():
            taker = region.after_rule.name if region.after_rule else "?"
            example = json.dumps(region.example.attributes, ensure_ascii=False)
            problem = (
                f"contacts such as {example} get no skill, and a rule cannot keep them from "
                f"line {taker}: write `ASSIGN {self.skill} = ...` with a skill for them"
            )
            self._problems.append((line, problem))
        if not change.complete:
            self._problems.append(
                (1, "its contacts without a skill are too many to compare")
            )

    def _names_in_comments(self) -> dict[str, str]:
        """Return the names of queues by id: from the comment beside an assignment, or above its branch."""
        comments = {
            statement.line: statement.text.strip("/ ")
            for statement in walk(self._statements)
            if statement.kind == "comment"
        }
        names: dict[str, str] = {}
        for use in sorted(self._decision.uses):
            comment = comments.get(use.line) or comments.get(use.branch - 1)
            if use.form == "name":
                names[use.queue_id] = use.queue_id
            elif comment:
                names.setdefault(use.queue_id, comment)
        return names

    def _variable_notes(self) -> Iterable[tuple[int, str]]:
        """Yield a note for each variable that the snippet assigns and rules do not."""
        known = {self.skill, *self._sources}
        lines = group_pairs((each.text, each.line) for each in self._assigned)
        for statement in self._assigned:
            name = statement.text
            if name not in known and not name.startswith("cxr_"):
                known.add(name)
                more = lines[name][1:]
                listed = join_first(more, _MAX_LINES)
                others = f" (also in {'lines' if len(more) > 1 else 'line'} {listed})"
                others = others if more else ""
                yield (
                    statement.line,
                    f"rules do not assign {name}: keep it in the script{others}",
                )

    def _refuse_problems(self) -> None:
        """Raise CxrouteError with every problem."""
        problems = [
            (line, sanitize(text, _MAX_SHOWN))
            for line, text in dict.fromkeys(self._problems)
        ]
        if not any(each.kind in _DECISIONS for each in self._statements):
            problems = problems or [(1, "there is no IF, SELECT or SWITCH")]
        if problems:
            raise CxrouteError("\n  ".join([f"{_REFUSED}:", *_listed(problems)]))


def _entries(branches: Sequence[Branch]) -> Iterator[RoutingEntry]:
    """Yield branches as rules with their lines as names; no skill is a queue without an id."""
    for place, branch in enumerate(branches):
        targets = branch.targets or (Target("", 1),)
        for conditions in branch.alternatives:
            rule = _unnamed_rule(branch, conditions, targets)
            rule = replace(rule, priority=place)
            yield RoutingEntry(name=str(branch.line), rule=rule)


def _unnamed_rule(
    branch: Branch, conditions: Alternative, targets: tuple[Target, ...]
) -> Rule:
    return Rule(
        name="",
        description=f"line {branch.line}",
        priority=0,
        enabled=True,
        conditions=conditions,
        targets=targets,
    )


def _name_rank(name: str, own: str) -> int:
    """Return how likely a variable is that of the skill, by its name; 0 without a sign."""
    if name == own:
        return len(_SKILL_NAMES) + 1
    matches = (pattern.fullmatch(name) for pattern in _SKILL_NAMES)
    places = [place for place, match in enumerate(matches) if match]
    return len(_SKILL_NAMES) - places[0] if places else 0


def _listed(places: Sequence[tuple[int, str]]) -> list[str]:
    lines = [f"line {line}: {text}" for line, text in sorted(places)]
    excess = len(lines) - _MAX_LISTED
    if excess > 0:
        lines = lines[:_MAX_LISTED]
        lines.append(f"and {excess:,} more")
    return lines
