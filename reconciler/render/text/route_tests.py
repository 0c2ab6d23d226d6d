"""The results of route tests and promises as one line, as JSON, and as JUnit XML; and the adequacy
of both.

The XML is valid by the schemas of Jenkins and Ant (windyroad/JUnit-Schema): no attributes in
`testsuites`, no file or line in a `testcase`, and empty parts in each suite.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

from reconciler.core.behaviour.diff.promises import RuleEdit
from reconciler.core.checks.adequacy import Adequacy, UnnoticedEdit
from reconciler.core.checks.route_tests import CheckResult, RouteTestResult
from reconciler.core.model.finding import Finding
from reconciler.core.plan.behaviour_json import destination_to_json
from reconciler.core.plan.document import rule_to_json
from reconciler.core.plan.interval_json import interval_to_json
from reconciler.core.plan.promises import PromiseResult
from reconciler.core.plan.words import destination_phrase
from reconciler.core.text.escape import (
    join_all,
    pluralize,
    quote,
    sanitize,
    sanitize_message,
)
from reconciler.core.text.phrases import Labels, conversation_phrase
from reconciler.render.change_summary import field_rows, row_phrase
from reconciler.render.finding_subject import source_location

if TYPE_CHECKING:
    from reconciler.render.command_json import AdequacyJson, UnnoticedEditJson

_MAX_LISTED_RULES: Final = (
    20_000  # of all examples in JSON, each of which has a complete list of rules
)


def tests_line(results: Sequence[CheckResult]) -> str:
    """Return `75 route tests passed in prod and staging.`, or the number of failed tests per
    environment.
    """
    tests = [
        (each.environment, bool(each.failure))
        for each in results
        if isinstance(each, RouteTestResult)
    ]
    promises = [
        (each.environment, not each.facts.holds)
        for each in results
        if isinstance(each, PromiseResult)
    ]
    lines = (
        [_totals("route test", "passed", "failed", tests)]
        if tests or not promises
        else []
    )
    # an environment may have promises of its own
    sizes = Counter(name for name, _ in promises)
    groups = (
        [each for each in promises if sizes[each[0]] == size]
        for size in dict.fromkeys(sizes.values())
    )
    return " ".join(
        [*lines, *(_totals("promise", "kept", "not kept", group) for group in groups)]
    )


def _totals(
    noun: str,
    passed: str,
    failed: str,
    results: Sequence[tuple[str, bool]],
) -> str:
    if not results:
        return f"No {noun} was run."
    sizes = Counter(name for name, _ in results)
    failures = Counter(name for name, has_failed in results if has_failed)
    total = pluralize(max(sizes.values()), noun)
    passing = [sanitize(name) for name in sizes if name not in failures]
    failing = [name for name in sizes if name in failures]
    if not failing:
        return f"{total} {passed} in {join_all(passing, 'and')}."
    first, *further = failing
    text = f"{failures[first]:,} of {total} {failed} in {sanitize(first)}"
    for name in further:
        text += f", {failures[name]:,} in {sanitize(name)}"
    if passing:
        text += f"; all {passed} in {join_all(passing, 'and')}"
    return f"{text}."


def tests_document(
    results: Sequence[CheckResult], queues: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return the totals, every test and every promise as JSON; `queues` are the names by id, by
    environment.
    """
    tests = [
        _test_document(result)
        for result in results
        if isinstance(result, RouteTestResult)
    ]
    return {
        "passed": not any(
            result.failure and result.failure.severity == "error" for result in results
        ),
        "tests": len(tests),
        "failed": sum(not test["passed"] for test in tests),
        "results": tests,
        "promises": [
            each.to_json(queues[each.environment])
            for each in results
            if isinstance(each, PromiseResult)
        ],
    }


def _test_document(result: RouteTestResult) -> dict[str, Any]:
    """Return a test as JSON; of a failed one with dates, also the time at which it fails."""
    document = {
        "environment": result.environment,
        "document": result.document,
        "test": result.number,
        "source": result.source._asdict(),
        "input": dict(result.conversation),
        "winner": result.winner.name if result.winner else None,
        "passed": result.failure is None,
        "message": result.failure.message if result.failure else None,
    }
    if result.interval is not None:
        document["interval"] = interval_to_json(result.interval)
    return document


def junit_document(
    results: Sequence[CheckResult],
    labels: Mapping[str, Labels],
    now: datetime,
) -> str:
    """Return the JUnit XML with one suite per environment and document; `labels` are by
    environment.
    """
    root = ET.Element("testsuites")
    suites = groupby(
        results, lambda check: (check.environment, type(check), check.document)
    )
    for number, ((environment, _, name), group) in enumerate(suites):
        root.append(
            _suite(number, sanitize(name), list(group), labels[environment], now)
        )
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _title(check: CheckResult, labels: Labels) -> str:
    if isinstance(check, PromiseResult):
        return f"promise {quote(check.name)}"
    conversation = conversation_phrase(check.conversation, Labels(labels.short))
    return f"{check.number}. {conversation}"


def _suite(
    number: int,
    name: str,
    checks: Sequence[CheckResult],
    labels: Labels,
    now: datetime,
) -> ET.Element:
    environment = checks[0].environment
    names = {
        "id": str(number),
        "package": environment,
        "name": f"{name} in {environment}",
    }
    run = {"timestamp": f"{now:%Y-%m-%dT%H:%M:%S}", "hostname": "localhost"}
    failures = sum(
        check.failure is not None and check.failure.severity == "error"
        for check in checks
    )
    counts = {
        "tests": str(len(checks)),
        "failures": str(failures),
        "errors": "0",
        "time": "0",
    }
    suite = ET.Element("testsuite", names | run | counts)
    ET.SubElement(suite, "properties")
    warnings = []
    for check in checks:
        case = ET.SubElement(
            suite,
            "testcase",
            name=_title(check, labels),
            classname=f"{environment}.{name}",
            time="0",
        )
        if check.failure:
            warnings += _add_failure(case, check.failure)
    ET.SubElement(suite, "system-out").text = "\n".join(warnings) or None
    ET.SubElement(suite, "system-err")
    return suite


def _add_failure(case: ET.Element, failure: Finding) -> list[str]:
    """Add a failure of severity error to a case; return the text of another one."""
    message = sanitize_message(failure.message)
    text = message
    if failure.source:
        text = f"{source_location(failure.source)}: {message}"
    if failure.severity != "error":
        return [text]
    element = ET.SubElement(case, "failure", message=message, type=failure.code)
    element.text = text
    return []


def adequacy_lines(adequacies: Sequence[Adequacy], limit: int) -> Iterator[str]:
    """Yield up to `limit` unnoticed edits, each once for all environments, and the totals of each
    environment.
    """
    examples: dict[str, str] = {}
    for adequacy in adequacies:
        for unnoticed in adequacy.unnoticed:
            head, example = _unnoticed_lines(unnoticed, adequacy)
            examples.setdefault(head, example)
    for head, example in list(examples.items())[:limit]:
        yield f"{head}\n{example}"
    if len(examples) > limit:
        yield f"  and {pluralize(len(examples) - limit, 'further edit')}: -v lists all"
    for adequacy in adequacies:
        yield _adequacy_line(adequacy)


def _unnoticed_lines(unnoticed: UnnoticedEdit, adequacy: Adequacy) -> tuple[str, str]:
    """Return an unnoticed edit, and a conversation that it moves."""
    labels = adequacy.checked.labels
    queues = adequacy.checked.queues
    entry = unnoticed.edit.before
    edit = _edit_phrase(unnoticed.edit, labels, queues)
    head = f"  {sanitize(entry.name)}: {edit}"
    if entry.source:
        head += f"   {source_location(entry.source)}"
    conversation = conversation_phrase(unnoticed.event, labels)
    before = destination_phrase(unnoticed.before, queues)
    after = destination_phrase(unnoticed.after, queues)
    return head, f"      {conversation}: {before} -> {after}"


def _adequacy_line(adequacy: Adequacy) -> str:
    edits = adequacy.edits
    noticed = edits - len(adequacy.unnoticed)
    count = f"{noticed:,} of {pluralize(edits, 'single edit')} that move callers"
    if edits:
        count += f" ({100 * noticed / edits:.1f} %)"
    if adequacy.undecided:
        count += f"; {pluralize(adequacy.undecided, 'edit')} not decided"
    environment = sanitize(adequacy.checked.environment.name)
    return f"Adequacy in {environment}: the tests and promises notice {count}."


def _edit_phrase(edit: RuleEdit, labels: Labels, queues: Mapping[str, str]) -> str:
    """Return an edit in words: `condition confidence >= 0.4 -> confidence >= 0.45`."""
    if edit.after is None:
        return "without the rule"
    before = edit.before.rule
    after = edit.after.rule
    rows = field_rows(before, after, queues, labels)
    return ", ".join(map(row_phrase, rows))


def adequacy_document(adequacies: Sequence[Adequacy]) -> "AdequacyJson":
    """Return the adequacy of all environments together as JSON, with a limited number of
    examples.
    """
    pairs = [
        (unnoticed, adequacy)
        for adequacy in adequacies
        for unnoticed in adequacy.unnoticed
    ]
    pairs.sort(key=lambda pair: -pair[0].traffic)
    edits = sum(each.edits for each in adequacies)
    limit = 1 + _MAX_LISTED_RULES // max(
        1, *(len(each.rules.ordered) for each in adequacies)
    )
    return {
        "edits": edits,
        "unnoticed": len(pairs),
        "percent": 100 * len(pairs) / edits if edits else 0.0,
        "undecided": sum(each.undecided for each in adequacies),
        "examples": [_example(*pair) for pair in pairs[:limit]],
    }


def _example(unnoticed: UnnoticedEdit, adequacy: Adequacy) -> "UnnoticedEditJson":
    entry, edited = unnoticed.edit
    queues = adequacy.checked.queues
    ordered = (edited if each is entry else each for each in adequacy.rules.ordered)
    return {
        "environment": adequacy.checked.environment.name,
        "edit": _edit_phrase(unnoticed.edit, adequacy.checked.labels, queues),
        "address": entry.name,
        "witness": dict(unnoticed.event),
        "before": destination_to_json(unnoticed.before, queues),
        "after": destination_to_json(unnoticed.after, queues),
        "rules": [
            {"id": each.name, **rule_to_json(each.rule, None, queues)}
            for each in ordered
            if each
        ],
    }
