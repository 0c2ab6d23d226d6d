"""One question to the analysis of behaviour, in a process of its own: `python
benchmarks/analysis.py WHAT N`.

Builds the workload of N rules, then asks and prints one JSON line: CPU seconds of the answer alone,
the peak memory of the whole process in MiB, how much was found (by which two versions can be
compared), and how much stayed undecided.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence

import mix
from adversarial import LISTS, adversarial

from reconciler.core.behaviour.routing_entry import RoutingEntry, order_entries

Entries = Sequence[RoutingEntry]
Question = Callable[[], tuple[int, int]]

QUERIES = 1_000


def facts_of(entries: Entries, work: int) -> Question:
    """Ask for the facts about a list, within a bound of work; counted are those of all kinds."""
    from reconciler.core.behaviour.facts.rule_facts import analyze_slices
    from reconciler.core.behaviour.space.slices import PivotSlices
    from reconciler.core.behaviour.space.space import Space

    def ask() -> tuple[int, int]:
        ordered = order_entries(entries)
        space = Space((ordered,))
        space.budget.remaining = work
        facts = analyze_slices(PivotSlices(space, ordered))
        actual = (
            len(facts.contradictory)
            + len(facts.shadowed)
            + len(facts.redundant)
            + len(facts.ties)
        )
        return actual, len(facts.undecided)

    return ask


def lint_of(entries: Entries) -> Question:
    """Ask for the facts about a list."""
    from reconciler.core.behaviour.budget import DEFAULT_WORK

    return facts_of(entries, DEFAULT_WORK)


def bounded_lint_of(entries: Entries) -> Question:
    """Ask what `validate` asks of the rules, within its bound of work; counted are facts, and rules
    not checked.
    """
    from reconciler.core.checks.lint import lint_work

    return facts_of(entries, lint_work(len(entries)))


def difference_of(old: Entries, new: Entries) -> Question:
    """Ask what a change moves; counted are regions."""
    from reconciler.core.behaviour.diff.difference import compare_behaviour

    def ask() -> tuple[int, int]:
        behaviour = compare_behaviour(old, new)
        return len(behaviour.regions), len(behaviour.undecided)

    return ask


def promises_of(count: int) -> Question:
    """Ask whether 100 promises hold, behind an endpoint; counted are regions, and promises without
    a result.
    """
    from reconciler.core.behaviour.diff.promises import check_promises
    from reconciler.core.behaviour.endpoint_stage import EndpointStage, FallbackPolicy

    entries = mix.mix(count)
    promises = mix.promises(100, count)
    stage = EndpointStage(fallback=FallbackPolicy("none", 0.35, frozenset()))

    def ask() -> tuple[int, int]:
        results = check_promises(stage.pull_back(entries), promises, types=stage.types)
        return sum(len(result.violations) for result in results), sum(
            not result.complete for result in results
        )

    return ask


def order_of(old: Entries, new: Entries) -> Question:
    """Ask for a safe order of a change; counted are its waves."""
    from reconciler.core.behaviour.ordering.constraints import Move
    from reconciler.core.behaviour.ordering.order import order_moves

    before, after = ({entry.name: entry for entry in entries} for entries in (old, new))
    names = dict.fromkeys([*before, *after])
    moves = [
        Move(before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    ]
    fixed = [item for name, item in before.items() if after.get(name) == item]

    def ask() -> tuple[int, int]:
        actual = order_moves(moves, fixed, "lowest-first")
        return len(actual.waves), len(actual.unproven)

    return ask


def explain_of(entries: Entries) -> Question:
    """Ask who takes each of some conversations, the filing included; counted are those that a rule
    takes.
    """
    from reconciler.core.behaviour.evaluate import RuleIndex

    requested = mix.conversations(QUERIES, len(entries))

    def ask() -> tuple[int, int]:
        filed = RuleIndex(order_entries(entries))
        return sum(filed.find_winner(item) is not None for item in requested), 0

    return ask


def adequacy_of(entries: Entries) -> Question:
    """Ask which single edits 1,000 route tests and 100 promises do not notice; counted are all that
    move callers.
    """
    from reconciler.core.behaviour.endpoint_stage import EndpointStage, FallbackPolicy
    from reconciler.core.behaviour.space.value_type import ANY_TEXT, SHARE
    from reconciler.core.checks.adequacy import measure_adequacy
    from reconciler.core.checks.route_tests import (
        Checked,
        RouteTestResult,
        with_promises,
    )
    from reconciler.core.desired.desired import DesiredState
    from reconciler.core.desired.desired_rule import DesiredRule
    from reconciler.core.desired.expand import StatedPromise
    from reconciler.core.manifest.kinds.environment import Environment
    from reconciler.core.model.finding import Finding
    from reconciler.core.model.rule import Source
    from reconciler.core.text.phrases import Labels

    environment = Environment(name="sandbox", owner="bench")
    types = {mix.INTENT: ANY_TEXT, mix.CONFIDENCE: SHARE}
    endpoint = EndpointStage(fallback=FallbackPolicy("none", 0.35), context_types=types)
    rules = {
        entry.address: DesiredRule(
            address=entry.address,
            rule=entry.rule,
            fingerprint="",
            source=None,
            hold=None,
            adopt=None,
        )
        for entry in entries
        if entry.address
    }
    state = {
        "environment": "sandbox",
        "owner": "bench",
        "rules": rules,
        "rulesets": frozenset(),
        "findings": (),
    }
    finding = Finding(code="CXR221", severity="error", message="")
    promises = tuple(
        StatedPromise(
            document="all",
            name=str(number),
            promise=promise,
            finding=finding,
            requirement="",
        )
        for number, promise in enumerate(mix.promises(100, len(entries)))
    )
    desired = DesiredState(
        **state, labels=Labels(), endpoint=endpoint, promises=promises
    )  # type: ignore[arg-type]
    tests = tuple(
        RouteTestResult(
            environment="sandbox",
            document="all",
            number=number,
            source=Source("tests.yaml", number, 1),
            conversation=conversation,
            context=endpoint.context(conversation).attributes,
            winner=None,
            failure=None,
        )
        for number, conversation in enumerate(
            mix.conversations(QUERIES, len(entries)), 1
        )
    )
    checked = Checked(
        environment=environment, findings=(), tried=tests, desired=desired, queues={}
    )
    checked = with_promises(checked)

    def ask() -> tuple[int, int]:
        adequacy = measure_adequacy(checked)
        return adequacy.edits, adequacy.undecided

    return ask


def _mixed(
    edit: Callable[[Entries], Entries], ask: Callable[[Entries, Entries], Question]
) -> Callable[[int], Question]:
    """Make a question about a change of the mix."""

    def question(count: int) -> Question:
        old = mix.mix(count)
        return ask(old, edit(old))

    return question


def _edits(count: int) -> Callable[[Entries], Entries]:
    return lambda entries: mix.edited(entries, count)


def _hard(entries: Callable[[int], Entries]) -> Callable[[int], Question]:
    """Make a question about one change of a list that is meant to be hard."""

    def question(count: int) -> Question:
        old = entries(count)
        return difference_of(old, mix.one_changed(old))

    return question


QUESTIONS: dict[str, Callable[[int], Question]] = {
    "lint": lambda count: lint_of(mix.mix(count)),
    "difference-10": _mixed(_edits(10), difference_of),
    "difference-100": _mixed(_edits(100), difference_of),
    "order-10": _mixed(_edits(10), order_of),
    "order-100": _mixed(_edits(100), order_of),
    "retargeted": _mixed(mix.retargeted, difference_of),
    "renumbered": _mixed(mix.renumbered, difference_of),
    "promises": promises_of,
    "explain": lambda count: explain_of(mix.mix(count)),
    "adequacy": lambda count: adequacy_of(mix.mix(count)),
    "boxes-lint": lambda count: lint_of(mix.boxes(count)),
    "boxes-difference": _hard(mix.boxes),
    "patterns-lint": lambda count: lint_of(mix.boxes_and_patterns(count)),
    "patterns-difference": _hard(mix.boxes_and_patterns),
    **{
        f"adversarial-{kind}": lambda count, kind=kind: bounded_lint_of(
            adversarial(kind, count)
        )
        for kind in LISTS
    },
    **{
        f"adversarial-{kind}-difference": lambda count, kind=kind: difference_of(
            adversarial(kind, count), mix.edited(adversarial(kind, count), count // 20)
        )
        for kind in LISTS
    },
}


def main() -> None:
    subject = sys.argv[1]
    count = int(sys.argv[2])
    gc.set_threshold(100_000, 20, 50)  # as the command line does
    ask = QUESTIONS[subject](count)
    before = time.process_time()
    actual, undecided = ask()
    seconds = time.process_time() - before
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    output = {
        "what": subject,
        "rules": count,
        "seconds": seconds,
        "mib": memory,
        "found": actual,
        "undecided": undecided,
    }
    print(json.dumps(output))


if __name__ == "__main__":
    main()
