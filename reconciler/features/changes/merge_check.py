"""Four versions of manifests -> what their merge does in each Environment. Pure."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import NamedTuple

from reconciler.core.behaviour.endpoint_stage import EndpointStage, common_types
from reconciler.core.behaviour.routing_entry import RoutingEntry, order_entries
from reconciler.core.checks.route_tests import (
    Checked,
    CheckResult,
    RouteTestResult,
    check,
    with_promises,
)
from reconciler.core.desired.calendar import ALWAYS, Interval
from reconciler.core.desired.desired import DesiredState, state_at
from reconciler.core.desired.expand_dates import zone_of
from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.manifest.kinds.environment import SANDBOX, Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.finding import Finding
from reconciler.core.plan.routing_table import desired_entries, entry_name
from reconciler.core.plan.words import Names
from reconciler.core.text.escape import quote, sanitize
from reconciler.core.text.phrases import Labels, merge_labels
from reconciler.features.changes.merge_behaviour import MergeBehaviour, check_merge
from reconciler.features.changes.merge_ties import MergedTie, find_merged_ties
from reconciler.features.changes.merge_winners import MERGED, OURS, THEIRS, VERSIONS


class Version(NamedTuple):
    """A version of the manifests; `title` is its revision or directory."""

    title: str
    manifests: Manifests


class CheckedVersion(NamedTuple):
    """A version, and its rules in one Environment."""

    version: Version
    checked: Checked


class MergeTime(NamedTuple):
    """What a merge does in an interval; the one of now has no start.

    `behaviour` is that of a tenant which tries rules of equal priority by name, and `ties` are
    those rules that neither change has both of.
    """

    interval: Interval
    behaviour: MergeBehaviour
    ties: tuple[MergedTie, ...]

    @property
    def is_as_expected(self) -> bool:
        """Return whether every conversation is proven to go where it is expected."""
        return self.behaviour.is_as_expected and not self.ties


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedEnvironment:
    """What a merge does in one Environment.

    `times` are the intervals from now on, each with other rows than the one before; without dates
    there is one. `failures` are the route tests and promises that fail in the merged version, and
    in neither change.
    """

    name: str
    times: tuple[MergeTime, ...]
    queues: Names
    labels: Labels
    failures: tuple[Finding, ...]
    # in which times are shown
    zone: tzinfo

    @property
    def unexpected_times(self) -> tuple[MergeTime, ...]:
        """Return the intervals in which not all is proven to be as expected."""
        return tuple(each for each in self.times if not each.is_as_expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeReport:
    """What a merge does; `others` are the Environments that not every version has."""

    environments: tuple[MergedEnvironment, ...]
    others: tuple[str, ...]

    @property
    def failures(self) -> tuple[Finding, ...]:
        """Return the failures of all Environments, each once."""
        failures = (each.failures for each in self.environments)
        return tuple(dict.fromkeys(finding for some in failures for finding in some))

    @property
    def is_as_expected(self) -> bool:
        """Return whether every conversation of an Environment is proven to go where it is expected,
        at every time from now on; without an Environment, nothing is proven.
        """
        if not self.environments:
            return False
        return not any(each.unexpected_times for each in self.environments)


def report_merge(
    versions: Sequence[Version], names: Sequence[str] | None = None
) -> MergeReport:
    """Return what a merge does; `versions` are in the order of `VERSIONS`.

    `names` are Environments that all versions have; by default all of these. Raises ManifestError,
    and UsageError.
    """
    known = [_environment_names(version.manifests) for version in versions]
    shared = [name for name in known[MERGED] if all(name in each for each in known)]
    if names is not None:
        _require_environments(names, versions)
        shared = list(names)
    every = sorted({name for each in known for name in each})
    return MergeReport(
        environments=tuple(check_environment(versions, name) for name in shared),
        others=tuple(name for name in every if not all(name in each for each in known)),
    )


def _environment_names(manifests: Manifests) -> tuple[str, ...]:
    """Return the Environments of a version; without any, the sandbox."""
    return tuple(manifests.environments or (SANDBOX,))


def _require_environments(names: Iterable[str], versions: Iterable[Version]) -> None:
    for label, version in zip(VERSIONS, versions, strict=True):
        for name in names:
            try:
                version.manifests.environment(name)
            except UsageError as error:
                raise UsageError(
                    f"{_version_phrase(label, version)}: {error}"
                ) from None


def _version_phrase(label: str, version: Version) -> str:
    return f"{label} ({sanitize(version.title)})"


def check_environment(versions: Sequence[Version], name: str) -> MergedEnvironment:
    """Return what a merge does in one Environment. Raises ManifestError, and UsageError."""
    refuse_other_reading([version.manifests.environment(name) for version in versions])
    return compare_versions(
        name,
        [
            check_version(label, version, name)
            for label, version in zip(VERSIONS, versions, strict=True)
        ],
    )


def compare_versions(
    name: str, versions: Sequence[CheckedVersion]
) -> MergedEnvironment:
    """Return what a merge does in an Environment; the versions are in the order of `VERSIONS`.

    All of them read the same attributes of the bot (`refuse_other_reading`).
    """
    states = [_state_of(each.checked) for each in versions]
    queues: dict[str, str] = {}
    for each in versions:
        queues.update(each.checked.queues)
    return MergedEnvironment(
        name=name,
        times=tuple(_merged_times(states)),
        queues=queues,
        labels=merge_labels([state.labels for state in states]),
        failures=tuple(_failures_of_merge(versions)),
        zone=zone_of(versions[MERGED].checked.environment.timezone),
    )


def _merged_times(states: Sequence[DesiredState]) -> Iterator[MergeTime]:
    """Yield what a merge does from now on, with equal neighbours as one interval."""
    now = _merged_at(states)
    for boundary in _boundaries_of(states):
        after = _merged_at([state_at(state, boundary) for state in states])
        if _told(after) != _told(now):
            yield now._replace(interval=Interval(now.interval.start, boundary))
            now = after._replace(interval=Interval(boundary, None))
    yield now


def _boundaries_of(states: Sequence[DesiredState]) -> list[datetime]:
    """Return the times from now on at which the rules of some version change."""
    calendars = [state.calendar for state in states if state.calendar is not None]
    boundaries = {
        boundary for calendar in calendars for boundary in calendar.boundaries_until()
    }
    return sorted(boundaries)


def _merged_at(states: Sequence[DesiredState]) -> MergeTime:
    """Return what a merge does at the time of its versions' states."""
    stages = compared_stages([state.endpoint for state in states])
    lists = [
        _ordered_events(state, stage)
        for state, stage in zip(states, stages, strict=True)
    ]
    types = common_types(stages)
    return MergeTime(ALWAYS, check_merge(lists, types), find_merged_ties(lists, types))


def _told(time: MergeTime) -> Hashable:
    """Return what people read of a time; equal for two whose reports are equal."""
    ties = [(tie.first.name, tie.second.name, tie.example is None) for tie in time.ties]
    return tuple(ties), _rows_of(time.behaviour)


def _rows_of(behaviour: MergeBehaviour) -> Hashable:
    """Return what people read of a behaviour; equal for two whose reports are equal."""
    rows = [
        (
            row.where,
            row.destinations,
            row.expected,
            tuple(entry_name(rule) if rule else "" for rule in row.rules),
            tuple(
                (entry_name(rule.entry.whole), rule.entry.rule.conditions)
                for rule in row.earlier
            ),
        )
        for row in (*behaviour.surprises, *behaviour.conflicts)
    ]
    return tuple(rows), behaviour.undecided


def refuse_other_reading(environments: Sequence[Environment]) -> None:
    """Raise UsageError if the versions read other attributes of the bot."""
    first = environments[0]
    for environment in environments:
        for field in ("attributes", "context.writer"):
            texts = [_setting(each, field) for each in (first, environment)]
            if texts[0] != texts[1]:
                raise UsageError(
                    f"the Environment {quote(first.name)} has other `{field}` in one of the "
                    f"versions, and rules on both cannot be compared"
                )


def _setting(environment: Environment, field: str) -> object:
    if field == "attributes":
        return environment.attributes
    return environment.context.writer


def check_version(label: str, version: Version, name: str) -> CheckedVersion:
    """Return the rules of a version in an Environment. Raises ManifestError, and UsageError."""
    checked = check(version.manifests, version.manifests.environment(name))
    wrong = [finding for finding in checked.findings if finding.severity == "error"]
    if wrong:
        raise ManifestError(wrong, _version_phrase(label, version))
    return CheckedVersion(version, checked)


def _state_of(checked: Checked) -> DesiredState:
    if checked.desired is None:
        raise AssertionError(checked)
    return checked.desired


def compared_stages(stages: Sequence[EndpointStage]) -> list[EndpointStage]:
    """Return the endpoint of each version, compared with one that has another fallback, if a
    version has one.
    """
    compared = []
    for stage in stages:
        others = [
            other for other in stages if other.fallback.digest != stage.fallback.digest
        ]
        compared.append(stage.compared_with(others[0] if others else stage))
    return compared


def _ordered_events(
    state: DesiredState, stage: EndpointStage
) -> tuple[RoutingEntry, ...]:
    """Return the rules of a version on events, in the order of evaluation."""
    return order_entries(stage.pull_back(desired_entries(state)), state.evaluation)


def _failures_of_merge(versions: Sequence[CheckedVersion]) -> Iterator[Finding]:
    """Yield the failures of the merged version that neither change has."""
    failed = dict(_failed_checks(versions[MERGED]))
    if not failed:
        return
    known: set[Hashable] = set()
    for number in (OURS, THEIRS):
        known.update(key for key, _ in _failed_checks(versions[number]))
    for key, finding in failed.items():
        if key not in known:
            yield finding


def _failed_checks(each: CheckedVersion) -> Iterator[tuple[Hashable, Finding]]:
    """Yield each failed route test and promise with what names it in every version."""
    for result in with_promises(each.checked).tried:
        failure = result.failure
        if failure is not None and failure.severity == "error":
            yield _identity_of(each.version, result), failure


def _identity_of(version: Version, result: CheckResult) -> Hashable:
    if not isinstance(result, RouteTestResult):
        return "promise", result.document, result.name
    (document,) = [
        loaded.document
        for loaded in version.manifests.route_tests
        if loaded.document.name == result.document
    ]
    test = document.tests[result.number - 1]
    return "test", result.document, test.model_dump_json()
