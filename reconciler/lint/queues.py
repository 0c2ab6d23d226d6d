"""Names of queues that no queue can have where queues are skills of the platform (CXR210)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from reconciler.catalogue import aliases
from reconciler.draft import split
from reconciler.manifest.documents import QueueRef
from reconciler.substitution import fill
from reconciler.words import value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.findings import Finding
    from reconciler.manifest.environment import Environment
    from reconciler.manifest.load import Manifests
    from reconciler.manifest.origin import Loaded, Step
    from reconciler.manifest.ruleset import RuleSet

_SKILL: Final = re.compile(r"[A-Za-z0-9_.:-]{2,30}", re.ASCII)
"""Of public documents: 2 to 30 characters, and which."""


def about_queues(manifests: Manifests, environment: Environment) -> Iterator[Finding]:
    """Yield a finding for each name, where a rule of the environment first names it."""
    if environment.api.queues != "acd-skills":
        return
    meant = aliases(manifests, environment.name)
    seen: set[str] = set()
    for loaded, written, place in _named(manifests, environment):
        try:
            filled = fill(written, environment.vars)
        except (KeyError, ValueError):
            continue  # which is an error of its own
        name = _live_name(filled, meant) if isinstance(filled, str) else None
        if name is None or name in seen:
            continue
        seen.add(name)
        if not _SKILL.fullmatch(name):
            message = f"queue {value(name)} is no name of a skill: 2 to 30 of letters, digits, -, _, . and :"
            hint = "correct it, or write the skill's id in a Queues document"
            yield loaded.finding("CXR210", message, *place, severity="warning", hint=hint)


def _named(manifests: Manifests, environment: Environment) -> Iterator[tuple[Loaded[RuleSet], str, tuple[Step, ...]]]:
    """Yield each name that a rule of the environment gives a queue, and where."""
    for loaded in manifests.rulesets:
        if loaded.document.environments is None or environment.name in loaded.document.environments:
            for index, entry in enumerate(loaded.document.rules):
                if entry.environments is None or environment.name in entry.environments:
                    for written, _, path in split(entry):
                        yield loaded, written, ("rules", index, *path)


def _live_name(name: str, meant: Mapping[str, str | QueueRef | None]) -> str | None:
    """Return what the live queue is called; None where it is named by its id."""
    found = meant.get(name, name)
    return found.name if isinstance(found, QueueRef) else found
