"""RouteTests on the command line: which environments they run in, and what is said of those that fail."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from reconciler.checks.route_tests import RouteTestResult, run_route_tests, run_route_tests_live
from reconciler.cli.conversation import arguments
from reconciler.cli.environments.choose import choose, separate
from reconciler.desired.desired import DesiredState, expand_manifests
from reconciler.desired.queues import OfflineQueueResolver, QueueResolver, resolve_aliases
from reconciler.errors import ManifestError
from reconciler.manifest.kinds.environment import SANDBOX, Environment
from reconciler.plan.routing_table import live_entries
from reconciler.render.text.route_tests import join_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.manifest.load import Manifests
    from reconciler.model.finding import Finding
    from reconciler.plan.plan import LiveState


DEFAULT = "manifests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One environment's rules, expanded offline: what was found in them, and what became of each route test."""

    environment: Environment
    findings: tuple[Finding, ...]
    tried: tuple[RouteTestResult, ...]
    labels: Mapping[str, str]
    """What people call the attributes that the API knows by longer names."""
    desired: DesiredState | None
    """The rules; None where they are wrong."""
    queues: Mapping[str, str]
    """Queues that the rules name, by id: offline their names are taken to be known."""
    rules: Literal["manifests", "live"] = "manifests"
    """The rules that the tests were tried on."""


def check(manifests: Manifests, environment: Environment) -> Checked:
    """Expand the rules of one environment offline and try every route test. Where rules are wrong, none is tried."""
    catalogue = OfflineQueueResolver(environment.name, resolve_aliases(manifests, environment.name))
    try:
        desired = expand_manifests(manifests, environment, catalogue)
    except ManifestError as error:
        return Checked(environment=environment, findings=error.findings, tried=(), labels={}, desired=None, queues={})
    tried = run_route_tests(manifests.route_tests, environment, catalogue, desired)
    queues = {queue.id: queue.name for queue in catalogue.assumed_queues.values()}
    return Checked(
        environment=environment,
        findings=desired.findings,
        tried=tried,
        labels=desired.labels,
        desired=desired,
        queues=queues,
    )


def asked_for(manifests: Manifests, names: str | None) -> tuple[str, ...]:
    """Return the environments that -e names, else all and the sandbox. Raises UsageError for an unknown one."""
    if names:
        return tuple(choose(manifests, name).name for name in separate(names))
    return tuple(dict.fromkeys((*manifests.environments, SANDBOX)))


def check_live(manifests: Manifests, environment: Environment, desired: DesiredState, live: LiveState) -> Checked:
    """Try every route test on all live rules, those that are not managed included."""
    catalogue = QueueResolver(environment.name, resolve_aliases(manifests, environment.name), live.queues)
    entries = live_entries(live.rules, desired)
    tried = run_route_tests_live(manifests.route_tests, environment, catalogue, entries)
    queues = {queue.id: queue.name for queue in live.queues}
    return Checked(
        environment=environment,
        findings=(),
        tried=tried,
        labels=desired.labels,
        desired=desired,
        queues=queues,
        rules="live",
    )


def tested(manifests: Manifests, only: str | None, name: str) -> bool:
    """Say whether the route tests are meant for an environment.

    They are not for the built-in sandbox, unless -e names it, it has a document of its own, or there is no other.
    """
    return name != SANDBOX or bool(only) or SANDBOX in manifests.environments or not manifests.environments


def failures(checked: Sequence[Checked], directory: str) -> list[Finding]:
    """Return a finding for each test that fails; one that fails alike in several environments is said once.

    The hint is the command that explains the conversation, with the manifests of `directory`.
    """
    alike: dict[Finding, list[RouteTestResult]] = {}
    for tried in (one for each in checked for one in each.tried):
        if tried.failure:
            alike.setdefault(tried.failure, []).append(tried)
    environments = {each.environment.name: each for each in checked}
    found = [_finding(failure, tried, environments, directory) for failure, tried in alike.items()]
    return sorted(found, key=lambda finding: finding.source or ("", 0, 0))


def _finding(
    failure: Finding, tried: Sequence[RouteTestResult], environments: Mapping[str, Checked], directory: str
) -> Finding:
    where = f", in {join_names(one.environment for one in tried)}" if len(environments) > 1 else ""
    why = _explaining(tried[0], environments[tried[0].environment], directory)
    hint = "; ".join(filter(None, (failure.hint, why)))
    return replace(failure, message=f"{failure.message}{where}", hint=hint)


def _explaining(tried: RouteTestResult, checked: Checked, directory: str) -> str:
    """Return the command that says why the conversation goes where it goes."""
    environment = checked.environment
    words = arguments(tried.conversation, environment.attributes)
    if not words:
        return ""
    words = ["--live"] * (checked.rules == "live") + words
    manifests = [] if directory == DEFAULT else ["-m", directory]
    return "why: " + shlex.join(["cxroute", *manifests, "explain", "-e", environment.name, *words])
