"""RouteTests on the command line: their environments, and the findings about failures."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from reconciler.checks.route_tests import Checked, RouteTestResult
from reconciler.cli.command_line import program
from reconciler.cli.conversation import conversation_words
from reconciler.cli.environments.choose import choose_environment, split_names
from reconciler.manifest.kinds.environment import SANDBOX
from reconciler.manifest.load import Manifests
from reconciler.model.finding import Finding
from reconciler.render.text.route_tests import join_names


def test_environments(manifests: Manifests, names: str | None) -> tuple[str, ...]:
    """Return the environments in -e; by default all, and the sandbox. Raises UsageError for an unknown one."""
    if names:
        return tuple(choose_environment(manifests, name).name for name in split_names(names))
    return tuple(dict.fromkeys((*manifests.environments, SANDBOX)))


def runs_route_tests(manifests: Manifests, only: str | None, name: str) -> bool:
    """Return whether route tests run in an environment: in the built-in sandbox only if it is named or the only one."""
    return name != SANDBOX or bool(only) or SANDBOX in manifests.environments or not manifests.environments


def failure_findings(checked: Sequence[Checked], directory: str) -> list[Finding]:
    """Return a finding for each distinct failure; the hint is the command that explains it."""
    alike: dict[Finding, list[RouteTestResult]] = {}
    for result in (result for each in checked for result in each.tried):
        if result.failure:
            alike.setdefault(result.failure, []).append(result)
    environments = {each.environment.name: each for each in checked}
    findings = [_finding(failure, results, environments, directory) for failure, results in alike.items()]
    return sorted(findings, key=lambda finding: finding.source or ("", 0, 0))


def _finding(
    failure: Finding, results: Sequence[RouteTestResult], environments: Mapping[str, Checked], directory: str
) -> Finding:
    where = f", in {join_names(result.environment for result in results)}" if len(environments) > 1 else ""
    checked = environments[results[0].environment]
    words = conversation_words(results[0].conversation, checked.environment.attributes)
    live = ["--live"] * (checked.rules == "live")
    command = [*program(directory), "explain", "-e", checked.environment.name, *live, *words]
    why = f"why: {shlex.join(command)}" if words else ""
    hint = "; ".join(filter(None, (failure.hint, why)))
    return replace(failure, message=f"{failure.message}{where}", hint=hint)
