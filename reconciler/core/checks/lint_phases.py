"""The lint of rules with dates: of now, and of every later time.

A rule that another one hides for a time is not a mistake: a campaign does that. So a finding that a
rule has no effect is one only if it holds at every time at which the rule exists, from now on. All
other findings are reported if they hold at some time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Final, NamedTuple

from reconciler.core.checks.lint import lint, lint_work
from reconciler.core.checks.lint_dates import check_dates
from reconciler.core.checks.lint_view import LintView
from reconciler.core.checks.route_tests import Checked
from reconciler.core.desired.calendar import Interval, interval_phrase
from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.expand_dates import zone_of
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Source

NO_EFFECT: Final = frozenset({"CXR202", "CXR203"})
"""Findings that a rule has no effect beside the others of its time."""


class _LintedPhase(NamedTuple):
    """The findings about the rules of one time, and the positions of these rules."""

    interval: Interval
    findings: Sequence[Finding]
    sources: frozenset[Source | None]

    def idle(self) -> frozenset[tuple[str, Source | None]]:
        """Return which rules have no effect, by the code of the finding."""
        return frozenset(
            (each.code, each.source) for each in self.findings if each.code in NO_EFFECT
        )


def lint_phases(checked: Checked, manifests: Manifests) -> list[Finding]:
    """Return the findings about the valid rules of an environment, now and later."""
    now = checked.desired
    assert now is not None  # noqa: S101 - invalid rules have no lint
    first_view = _view(now, checked, manifests)
    present = lint(first_view)
    if not checked.phases:
        return [*present]

    later = [phase for phase in checked.phases[1:] if not phase.steps_back]
    phases = [_LintedPhase(checked.phases[0].interval, present, _sources(now))]
    for phase in later:
        view = _view(phase.state, checked, manifests)
        work = lint_work(len(view.ordered)) // len(later)
        found = lint(view, work)
        phases.append(_LintedPhase(phase.interval, found, _sources(phase.state)))
    zone = zone_of(checked.environment.timezone)
    return [*check_dates(first_view), *_reported(phases, zone)]


def lint_now(findings: Iterable[Finding], desired: DesiredState) -> Iterator[Finding]:
    """Yield the findings about the rules of now; those that a rule has no effect say until when."""
    calendar = desired.calendar
    end = calendar.interval.end if calendar else None
    for finding in findings:
        if calendar is None or end is None or finding.code not in NO_EFFECT:
            yield finding
        else:
            until = interval_phrase(Interval(None, end), calendar.zone)
            yield replace(finding, message=f"{finding.message}, {until}")


def _view(state: DesiredState, checked: Checked, manifests: Manifests) -> LintView:
    return LintView(state, (), manifests, checked.environment, checked.queues)


def _sources(state: DesiredState) -> frozenset[Source | None]:
    return frozenset(rule.source for rule in state.rules.values())


def _reported(phases: Sequence[_LintedPhase], zone: tzinfo) -> Iterator[Finding]:
    """Yield each finding once, with the first time at which it holds if that is later."""
    idle = [phase.idle() for phase in phases]
    seen = set[object]()
    for number, phase in enumerate(phases):
        for finding in phase.findings:
            subject: object = (finding.code, finding.source, finding.message)
            if finding.code in NO_EFFECT:
                key = (finding.code, finding.source)
                subject = key
                has_effect = any(
                    finding.source in each.sources and key not in found
                    for each, found in zip(phases, idle, strict=True)
                )
                if has_effect:
                    continue
            if subject in seen:
                continue
            seen.add(subject)
            if number == 0:
                yield finding
            else:
                when = interval_phrase(phase.interval, zone)
                yield replace(finding, message=f"{finding.message}, {when}")
