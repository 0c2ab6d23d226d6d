"""Manifests in an editor: the findings of `validate`, and who reaches a rule."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from reconciler.cli.command_line import utc_now
from reconciler.cli.validation import check_environments, sort_findings, validate
from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.diff.effects import Edit, EditSet
from reconciler.core.behaviour.endpoint_stage import EndpointStage
from reconciler.core.behaviour.routing_entry import (
    Evaluation,
    RoutingEntry,
    destination_of,
)
from reconciler.core.checks.route_tests import Checked
from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.errors import CxrouteError, ManifestError
from reconciler.core.manifest.load import Manifests, load_contents
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Source, Target
from reconciler.core.plan.edits import EditedRule
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.routing_table import desired_entries
from reconciler.core.plan.words import destination_phrase
from reconciler.core.text.escape import pluralize
from reconciler.core.text.phrases import Labels
from reconciler.render.effects import (
    OTHER_TYPES_PLACE,
    RowText,
    summarize_effects,
)
from reconciler.render.escape_markdown import escape_markdown
from reconciler.render.limits import MAX_SHOWN
from reconciler.render.rule_names import EARLIER_KEEP

_REACHED: Final = "\0reached"  # a queue that no tenant has
_UNDECIDED: Final = (
    "Not known for all conversations: the rules overlap in too many ways."
)


class Analysis(NamedTuple):
    """Manifests with all errors, or valid ones with the rules of each environment."""

    # errors and warnings of the files; without tests and promises
    findings: list[Finding]
    manifests: Manifests | None  # None if they are invalid
    checked: list[Checked]

    def all_findings(self, only: str | None, directory: str) -> list[Finding]:
        """Return the findings of `validate`, without those that manifests accept."""
        if self.manifests is None:
            return self.findings
        return validate(self.manifests, self.checked, only, directory).findings

    def describe_rule(self, source: Source) -> str:
        """Return Markdown about the rule at a position: its queue, and exactly who reaches it; ""
        without one.
        """
        for each in self.checked:
            rules = each.desired.rules.values() if each.desired else ()
            for rule in rules:
                if rule.source == source and each.desired:
                    return "\n\n".join(_describe(each.desired, rule, each.queues))
        return ""


def analyze(contents: Mapping[str, bytes | Finding], only: str | None) -> Analysis:
    """Check the files of a directory, by path: their bytes, or why they are unreadable."""
    try:
        manifests = load_contents(sorted(contents.items()), instant=utc_now())
        checked = check_environments(manifests, only)
    except ManifestError as error:
        return Analysis(list(error.findings), None, [])
    except (
        CxrouteError
    ) as error:  # of -e: such as an environment that does not exist (any more)
        finding = Finding(code="CXR113", severity="error", message=str(error))
        return Analysis([finding], None, [])
    errors = [
        finding for each in checked if each.desired is None for finding in each.findings
    ]
    return Analysis(sort_findings([*manifests.warnings, *errors]), manifests, checked)


def find_reach(
    entries: Sequence[RoutingEntry],
    name: str,
    evaluation: Evaluation,
    endpoint: EndpointStage,
) -> Impact:
    """Return the events that a rule takes: exactly those that would go elsewhere if its queue
    changed.
    """
    changed = list(entries)
    edits = []
    for place, entry in enumerate(entries):
        if entry.name == name:
            changed[place] = replace(
                entry, rule=replace(entry.rule, targets=(Target(_REACHED, 1),))
            )
            edits.append(
                EditedRule(edit=Edit(entry, changed[place], name), action="update")
            )

    before = endpoint.pull_back(entries)
    after = endpoint.pull_back(changed)
    edited = EditSet([edited.edit for edited in edits])
    behaviour = compare_behaviour(
        before,
        after,
        evaluation,
        types=endpoint.sent_types,
        edited=edited,
    )
    return Impact(behaviour, edits)


def _describe(
    desired: DesiredState,
    rule: DesiredRule,
    queues: Mapping[str, str],
) -> Iterator[str]:
    destination = escape_markdown(
        destination_phrase(destination_of(rule.rule.targets), queues)
    )
    yield (
        f"{escape_markdown(str(rule.address))} in {escape_markdown(desired.environment)}: "
        f"{destination}"
    )
    if not rule.rule.enabled:
        yield "The rule is switched off: it takes no conversation."
        return
    impact = find_reach(
        desired_entries(desired),
        str(rule.address),
        desired.evaluation,
        desired.endpoint,
    )
    yield from _reach_texts(impact, desired.labels)


def _reach_texts(impact: Impact, labels: Labels) -> Iterator[str]:
    """Yield who reaches a rule as Markdown: each row with an example, then the rules that come
    first.
    """
    summary = summarize_effects(impact, {}, labels)
    notes = [note for effect in summary.effects for note in effect.notes]
    if not summary.rows and not notes:
        yield (
            _UNDECIDED
            if summary.unknown
            else "No conversation reaches this rule: earlier rules take all of them."
        )
        return

    yield (
        "Reached by"
        if impact.behaviour.complete
        else f"{_UNDECIDED} Reached by, among others"
    )
    shown = summary.rows[:MAX_SHOWN]
    if shown:
        yield "\n".join(
            f"- {escape_markdown(f'{row.callers}; {_example(row)}')}" for row in shown
        )
    hidden = len(summary.rows) - len(shown)
    if hidden:
        yield f"and {pluralize(hidden, 'more row')}"
    yield from (f"{escape_markdown(_as_reach(note))}." for note in notes)


def _example(row: RowText) -> str:
    return f"example: {row.example}" if row.example else row.no_example


def _as_reach(note: str) -> str:
    """Return a note about earlier rules for a rule that does not change."""
    return note.removesuffix(OTHER_TYPES_PLACE).replace(
        EARLIER_KEEP, "Earlier rules take theirs first:"
    )
