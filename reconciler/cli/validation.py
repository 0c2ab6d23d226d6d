"""All checks of manifests that need no tenant: for `validate`, and for editors (`lsp`)."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, NamedTuple

from reconciler.cli.command_line import tested_environments, unset_tenant
from reconciler.cli.conversation import failure_findings
from reconciler.cli.output import Output
from reconciler.core.checks.acknowledgements import left_to_catch_alls, offline_findings
from reconciler.core.checks.route_tests import (
    Checked,
    CheckResult,
    check,
    with_promises,
)
from reconciler.core.desired.desired import DesiredState
from reconciler.core.manifest.kinds.environment import SANDBOX
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.finding import Finding
from reconciler.core.text.escape import join_first, sanitize

_MAX_LISTED: Final = 3


def note_assumed_steps(states: Iterable[DesiredState | None], output: Output) -> None:
    """Print which due steps with a condition count as made, because no live rule was read."""
    for state in states:
        calendar = state.calendar if state else None
        addresses = calendar.assumed if calendar else []
        if state is None or not addresses:
            continue
        names = join_first(addresses, _MAX_LISTED, str)
        output.note(
            f"A due step with `if` counts as made here ({names}): `cxroute plan -e "
            f"{sanitize(state.environment)}` reads from the live rules whether it is."
        )


class Validation(NamedTuple):
    """The result of all checks, by position."""

    findings: list[Finding]  # without acknowledged findings
    acknowledged: list[Finding]
    # intents that only a catch-all takes in some environment
    unhandled_intents: list[str]
    results: tuple[CheckResult, ...]
    # the codes of warnings that an Environment counts as errors
    strict: frozenset[str] = frozenset()


def check_environments(manifests: Manifests, only: str | None) -> list[Checked]:
    """Return the rules of every environment, or of those in -e, with the results of route tests and
    promises.
    """
    checked = [
        with_promises(check(manifests, environment))
        for environment in tested_environments(manifests, only)
    ]
    if not only and all(each.environment.name != SANDBOX for each in checked):
        # The built-in sandbox has other attribute names, so findings about its rules may not apply
        # elsewhere.
        checked.append(
            replace(
                check(manifests, manifests.environment(SANDBOX)), tried=(), desired=None
            )
        )
    return checked


def validate(
    manifests: Manifests, checked: list[Checked], only: str | None, directory: str
) -> Validation:
    """Return the findings about the rules, and the failed tests and promises; `directory` is that
    of the manifests.
    """
    tenants = [
        finding
        for each in checked
        for finding in unset_tenant(manifests, each.environment.name)
    ]
    rules = offline_findings(manifests, checked, tenants, only)
    tests = failure_findings([each for each in checked if each.tried], directory)
    results = tuple(result for each in checked for result in each.tried)
    findings = sort_findings([*rules, *tests])
    acknowledged = [finding for finding in findings if finding.acknowledged]
    remaining = [finding for finding in findings if not finding.acknowledged]
    unhandled = left_to_catch_alls(manifests, checked)
    strict = frozenset(code for each in checked for code in each.environment.strict)
    return Validation(remaining, acknowledged, unhandled, results, strict)


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings by position."""
    return sorted(
        findings, key=lambda finding: (finding.source or ("", 0, 0), finding.code)
    )
