"""A trial of a hand-written snippet: it is run on examples, and decides as its rules do."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, Final, NamedTuple

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.evaluate import route_conversation
from reconciler.core.behaviour.routing_entry import RoutingEntry, destination_of_rule
from reconciler.core.errors import CxrouteError
from reconciler.core.model.rule import Json
from reconciler.core.text.escape import pluralize, sanitize
from reconciler.targets.studio.evaluate import Dialect, possible_dialects, run_snippet
from reconciler.targets.studio.form import BlockForm
from reconciler.targets.studio.imported import ImportedSnippet
from reconciler.targets.studio.language import SnippetError, Statement, parse_snippet
from reconciler.targets.studio.layout import BlockLayout

_TRIAL_WORK: Final = 20_000  # CASEs that each dialect evaluates


def try_snippet(snippet: str, imported: ImportedSnippet, layout: BlockLayout) -> str:
    """Return what came of running the snippet itself; differences become notes.

    Raises CxrouteError for wrong rules.
    """
    entries = [RoutingEntry(name="", rule=rule) for rule in imported.rules]
    examples = _trial_examples(entries, BlockForm(layout))
    dialects = possible_dialects(layout.facts)
    trial = _Trial(parse_snippet(snippet), entries, layout.variables, imported.skill)
    try:
        differing = _differing_dialects(trial, examples, dialects)
    except SnippetError as error:
        imported.notes.append(f"the snippet itself was not run: {error}")
        return ""

    trials = f"The snippet itself was run on {pluralize(len(examples), 'example')}"
    if not differing:
        return (
            f"{trials}, in every possible dialect of Studio, and assigns the skills of the rules. "
            f"This holds where each variable has a value of the type that it is compared with."
        )
    difference = next(iter(differing.values()))
    if len(differing) == len(dialects):
        raise CxrouteError(f"nothing was written. {trials}: {difference}")
    imported.notes.append(
        f"in {len(differing)} of {len(dialects)} possible dialects of Studio, the snippet does not "
        f"decide as its rules: {difference}. Run `cxroute studio probe`"
    )
    return f"{trials}."


class _Trial(NamedTuple):
    """A snippet to run, the rules read from it, the variables by attribute, and the variable of
    the skill.
    """

    statements: Sequence[Statement]
    entries: Sequence[RoutingEntry]
    variables: Mapping[str, str]
    skill: str

    def find_difference(self, example: Mapping[str, Any], dialect: Dialect) -> str:
        """Return how the snippet decides differently from the rules; empty if it does not.

        Raises SnippetError.
        """
        winner = route_conversation(self.entries, example).winner
        expected = dict(destination_of_rule(winner) or {"": 1})
        values = {
            self.variables.get(name, name): value for name, value in example.items()
        }
        difference = ""
        for contact in (0, 99)[: len(expected)]:
            result = run_snippet(self.statements, values, dialect, contact)
            skill = result.get(self.skill) or ""
            if str(skill) not in expected:
                queues = " or ".join(expected)
                text = f"it assigns {skill or 'no skill'} for {example}, and the rules {queues}"
                difference = difference or sanitize(text)
        return difference


def _trial_examples(
    entries: Sequence[RoutingEntry], form: BlockForm
) -> list[Mapping[str, Json]]:
    """Return a conversation without attributes, and examples that the rules decide: their values have
    the types of those that the rules compare them with.
    """
    types = form.value_types([entry.rule for entry in entries])
    regions = compare_behaviour((), entries, types=types).regions
    step = 1 + len(regions) * len(entries) // _TRIAL_WORK
    return [{}, *(region.example.attributes for region in regions[::step])]


def _differing_dialects(
    trial: _Trial,
    examples: Iterable[Mapping[str, Json]],
    dialects: Iterable[Dialect],
) -> dict[Dialect, str]:
    """Return the dialects in which the snippet assigns another skill than the rules, each with its
    first difference.

    Raises SnippetError.
    """
    differing: dict[Dialect, str] = {}
    for example, dialect in product(examples, dialects):
        difference = trial.find_difference(example, dialect)
        if difference:
            differing.setdefault(dialect, difference)
    return differing
