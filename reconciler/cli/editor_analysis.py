"""Manifests in an editor: the findings of `validate`, who reaches a rule, and where a queue is defined."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from reconciler.behaviour.diff.difference import BehaviourChange, compare_behaviour
from reconciler.behaviour.routing_entry import Evaluation, RoutingEntry, destination_of
from reconciler.behaviour.space.value_type import Types
from reconciler.checks.route_tests import Checked
from reconciler.cli.validation import check_environments, sort_findings, validate
from reconciler.desired.desired import DesiredRule, DesiredState
from reconciler.errors import CxrouteError, ManifestError
from reconciler.manifest.files import read_files
from reconciler.manifest.load import Manifests, load_contents
from reconciler.model.finding import Finding
from reconciler.model.rule import Source, Target
from reconciler.plan.routing_table import desired_entries, destination_phrase
from reconciler.render.escape_markdown import escape_markdown
from reconciler.render.impact import summarize_impact

_REACHED: Final = "\0reached"  # a queue that no tenant has
_WORD: Final = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|[^\s,\[\]{}:#"']+""")
_SUGGESTION: Final = re.compile(r'(?:did you mean|put it in quotes:) "([^"\\]+)"')
_UNDECIDED: Final = "Not known for all conversations: the rules overlap in too many ways."


class Analysis(NamedTuple):
    """Manifests with all errors, or valid ones with the rules of each environment."""

    findings: list[Finding]  # errors and warnings of the files; without tests and promises
    manifests: Manifests | None  # None if they are invalid
    checked: list[Checked]

    def all_findings(self, only: str | None, directory: str) -> list[Finding]:
        """Return the findings of `validate`, without those that manifests accept."""
        if self.manifests is None:
            return self.findings
        return validate(self.manifests, self.checked, only, directory).findings

    def describe_rule(self, file: str, line: int) -> str:
        """Return Markdown about the rule at a line (from 1): its queue, and exactly who reaches it; "" without one."""
        for each in self.checked:
            if each.desired and (rule := _rule_at(each.desired, file, line)):
                return "\n\n".join(_describe(each.desired, rule, each.queues))
        return ""

    def find_queue(self, name: str) -> Source | None:
        """Return the position of a queue's alias."""
        documents = self.manifests.queues if self.manifests else ()
        found = (each.source_of("queues", name) for each in documents if name in each.document.queues)
        return next(found, None)


def analyze(directory: Path, buffers: Mapping[str, bytes], only: str | None) -> Analysis:
    """Check the manifests of a directory, with the texts of an editor in place of files (path -> content)."""
    contents = {**dict(read_files(directory)), **buffers}
    if buffers:
        contents.pop(directory.as_posix(), None)  # the finding that there is no manifest yet
    try:
        manifests = load_contents(sorted(contents.items()))
        checked = check_environments(manifests, only)
    except ManifestError as error:
        return Analysis(list(error.findings), None, [])
    except CxrouteError as error:  # of -e: such as an environment that does not exist (any more)
        source = Source(min(contents), 1, 1)
        return Analysis([Finding(code="CXR113", severity="error", message=str(error), source=source)], None, [])
    errors = [finding for each in checked if each.desired is None for finding in each.findings]
    return Analysis(sort_findings([*manifests.warnings, *errors]), manifests, checked)


def find_reach(entries: Sequence[RoutingEntry], name: str, evaluation: Evaluation, types: Types) -> BehaviourChange:
    """Return the conversations that a rule takes: exactly those that would go elsewhere if its queue changed."""
    marked = [
        replace(entry, rule=replace(entry.rule, targets=(Target(_REACHED, 1),))) if entry.whole.name == name else entry
        for entry in entries
    ]
    return compare_behaviour(entries, marked, evaluation, types=types)


def word_at(line: str, column: int) -> str:
    """Return the scalar at a column (from 0) of a line of YAML, without its quotes."""
    words = (word[0].strip("\"'") for word in _WORD.finditer(line) if word.start() <= column <= word.end())
    return next(words, "")


def suggested_name(finding: Finding) -> str:
    """Return the name or the text in quotes that a finding suggests; "" without one."""
    suggestion = _SUGGESTION.search(finding.hint)
    return suggestion[1] if suggestion else ""


def _rule_at(desired: DesiredState, file: str, line: int) -> DesiredRule | None:
    rules = desired.rules.values()
    before = [rule for rule in rules if rule.source and rule.source.file == file and rule.source.line <= line]
    return max(before, key=lambda rule: rule.source or Source("", 0, 0), default=None)


def _describe(desired: DesiredState, rule: DesiredRule, queues: Mapping[str, str]) -> Iterator[str]:
    entries = desired.endpoint.pull_back(desired_entries(desired))
    destination = escape_markdown(destination_phrase(destination_of(rule.rule.targets), queues))
    yield f"{escape_markdown(str(rule.address))} in {escape_markdown(desired.environment)}: {destination}"
    if not rule.rule.enabled:
        yield "The rule is switched off: it takes no conversation."
        return
    behaviour = find_reach(entries, str(rule.address), desired.evaluation, desired.endpoint.types)
    summary = summarize_impact(behaviour, {}, desired.labels)
    if not summary.cases:
        yield _UNDECIDED if summary.unknown else "No conversation reaches this rule: earlier rules take all of them."
        return
    yield "Reached by" if behaviour.complete else f"{_UNDECIDED} Reached by, among others"
    yield "\n".join(f"- {escape_markdown(f'{case.callers}; example: {case.example}')}" for case in summary.cases)
    if rest := summary.rest_text():
        yield escape_markdown(rest)
