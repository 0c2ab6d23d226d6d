"""Desired rules, beside the live ones that are not managed -> what is most likely wrong with them, as findings.

Never an error: each of these may be meant. Of the rules of others nothing is said that is not about a rule of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.behaviour.lint import facts
from reconciler.lint.attributes import about_attributes
from reconciler.lint.confidence import about_confidence
from reconciler.lint.intents import about_intents
from reconciler.lint.queues import about_queues
from reconciler.lint.rules import about_rules
from reconciler.lint.view import View
from reconciler.lint.writer import about_writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.behaviour.entry import Entry
    from reconciler.desired import Desired
    from reconciler.findings import Finding
    from reconciler.manifest.environment import Environment
    from reconciler.manifest.load import Manifests


def lint(
    desired: Desired,
    unmanaged: Iterable[Entry],
    manifests: Manifests,
    environment: Environment,
    queues: Mapping[str, str],
) -> tuple[Finding, ...]:
    """Return the findings about the rules of one environment, by place.

    `unmanaged` are the live rules that stay as they are (none offline), under their live names and without an address.
    `queues` are the names of queues by id. What could not be decided within the bound of work is a finding, too.
    """
    if not desired.rules:
        return ()
    view = View(desired, unmanaged, manifests, environment, queues)
    known = facts(view.slices)
    found = [*about_rules(view, known), *about_intents(view, known), *about_attributes(view), *about_confidence(view)]
    found += [*about_queues(manifests, environment), *about_writer(manifests, environment)]
    return tuple(sorted(found, key=lambda finding: (finding.source or ("", 0, 0), finding.code)))
