"""Whether promises hold: proven for all conversations, or broken, with examples."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from reconciler.core.checks.checked_rules import expand_checked
from reconciler.core.checks.route_tests import Checked, check, check_live, with_promises
from reconciler.core.desired.queues import QueueResolver, resolve_aliases
from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.model.finding import Document
from reconciler.core.plan.finding_json import finding_to_json, source_to_json
from reconciler.core.plan.promises import PromiseResult
from reconciler.core.text.escape import join_first, pluralize, quote_name
from reconciler.core.text.suggest import suggest
from reconciler.features.assistant.answer import MAX_ITEMS, MAX_PARTS, LeftOut
from reconciler.features.assistant.arguments import PromiseArguments
from reconciler.features.assistant.project import AssistantProject

if TYPE_CHECKING:
    from reconciler.core.plan.plan_json import ViolationJson

_MAX_BRIEF: Final = 40
_FEW: Final = 3  # promises that are told in full


def check_promise(project: AssistantProject, arguments: PromiseArguments) -> Document:
    """Return whether the promises with these words in their names hold, and what breaks them."""
    checked = _check(project, arguments)
    results = [each for each in checked.tried if isinstance(each, PromiseResult)]
    chosen = results
    if arguments.promise is not None:
        chosen = _named(results, arguments.promise)
    left_out = LeftOut()
    is_brief = arguments.promise is None or len(chosen) > _FEW
    limit = _MAX_BRIEF if is_brief else MAX_ITEMS
    broken_first = sorted(chosen, key=lambda each: each.facts.holds is True)
    shown = left_out.first("promises", broken_first, limit)
    results_of = Counter(each.facts.holds for each in chosen)
    return {
        "environment": checked.environment.name,
        "rules": checked.rules,
        "found": len(chosen),
        "hold": results_of[True],
        "broken": results_of[False],
        "undecided": results_of[None],
        "promises": [
            _brief(each)
            if is_brief and each.facts.holds
            else _in_full(each, checked, left_out)
            for each in shown
        ],
        **left_out.document(),
    }


def _check(project: AssistantProject, arguments: PromiseArguments) -> Checked:
    """Return the promises on the rules of the manifests, or on all live rules."""
    manifests = project.manifests()
    environment = project.environment_of(manifests, arguments.environment)
    if arguments.rules == "manifests":
        checked = with_promises(check(manifests, environment))
        if checked.desired is None:
            raise ManifestError(checked.findings)
        return checked
    live = project.live_state(manifests, environment)
    aliases = resolve_aliases(manifests, environment.name)
    resolver = QueueResolver(environment.name, aliases, live.queues)
    desired = expand_checked(manifests, environment, resolver)
    return check_live(manifests, environment, desired, live)


def _named(results: Sequence[PromiseResult], text: str) -> list[PromiseResult]:
    """Return the promise of that name, or those whose names have all words of a text.

    Raises UsageError if there is none.
    """
    exact = [each for each in results if each.name == text]
    words = text.casefold().split()
    found = exact or [
        each for each in results if all(word in each.name.casefold() for word in words)
    ]
    if found:
        return found
    names = [each.name for each in results]
    hint = suggest(text, names)
    if not hint:
        known = join_first(names, MAX_PARTS, quote_name)
        hint = (
            f"{pluralize(len(names), 'promise')}: {known}" if names else "there is none"
        )
    raise UsageError(f"no promise has the words {quote_name(text)} in its name; {hint}")


def _brief(result: PromiseResult) -> Document:
    return {
        "name": result.name,
        "holds": result.facts.holds,
        "source": source_to_json(result.finding.source),
    }


def _reason(violation: "ViolationJson") -> Document:
    """Return why a violation has no example."""
    reason = violation.get("noExample")
    return {"noExample": reason} if reason else {}


def _in_full(result: PromiseResult, checked: Checked, left_out: LeftOut) -> Document:
    """Return a promise with what it requires, and the conversations that break it."""
    form = result.to_json(checked.queues)
    violations = left_out.first("violations", form["violations"], MAX_PARTS)
    rules = checked.desired.rules if checked.desired else {}
    places = {str(address): rule.source for address, rule in rules.items()}
    return {
        **_brief(result),
        "requires": result.requirement,
        "severity": form["severity"],
        "finding": finding_to_json(result.failure) if result.failure else None,
        "violations": [
            {
                "destination": each["destination"],
                "rule": each["rule"],
                "source": source_to_json(places.get(each["rule"] or "")),
                "example": each["witness"],
                **_reason(each),
            }
            for each in violations
        ],
    }
