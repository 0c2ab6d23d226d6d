"""The results of route tests and promises as one line, as JSON, and as JUnit XML.

The XML is valid by the schemas of Jenkins and Ant (windyroad/JUnit-Schema): no attributes in `testsuites`, no file or
line in a `testcase`, and empty parts in each suite.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from xml.etree import ElementTree as ET

from reconciler.checks.route_tests import RouteTestResult
from reconciler.plan.promises import PromiseResult
from reconciler.render.finding_subject import source_location
from reconciler.text.escape import pluralize, quote, sanitize
from reconciler.text.phrases import Labels, conversation_phrase


def tests_line(results: Sequence[RouteTestResult], promises: Sequence[PromiseResult]) -> str:
    """Return `75 route tests passed in prod and staging.`, or the number of failed tests per environment."""
    tests = [(result.environment, result.failure is not None) for result in results]
    checked = [(result.environment, result.facts.holds is not True) for result in promises]
    lines = [_totals("route test", "passed", "failed", tests)] if tests or not checked else []
    sizes = Counter(name for name, _ in checked)  # an environment may have promises of its own
    groups = ([each for each in checked if sizes[each[0]] == size] for size in dict.fromkeys(sizes.values()))
    lines += [_totals("promise", "kept", "not kept", group) for group in groups]
    return " ".join(lines)


def _totals(noun: str, passed: str, failed: str, results: Sequence[tuple[str, bool]]) -> str:
    if not results:
        return f"No {noun} was run."
    each = max(Counter(name for name, _ in results).values())
    counts = dict.fromkeys((name for name, _ in results), 0)
    for name, has_failed in results:
        counts[name] += has_failed
    wrong = [(name, count) for name, count in counts.items() if count]
    if not wrong:
        return f"{pluralize(each, noun)} {passed} in {join_names(counts)}."
    (first, count), *others = wrong
    text = f"{count:,} of {pluralize(each, noun)} {failed} in {sanitize(first)}"
    text += "".join(f", {count:,} in {sanitize(name)}" for name, count in others)
    fine = [name for name, count in counts.items() if not count]
    return f"{text}; all {passed} in {join_names(fine)}." if fine else f"{text}."


def tests_document(
    results: Sequence[RouteTestResult],
    promises: Sequence[PromiseResult],
    queues: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """Return the totals, every test and every promise as JSON; `queues` are the names by id, by environment."""
    failed = sum(result.failure is not None for result in results)
    tests = [
        {
            "environment": result.environment,
            "document": result.document,
            "test": result.number,
            "source": result.source._asdict(),
            "input": dict(result.conversation),
            "winner": result.winner.name if result.winner else None,
            "passed": result.failure is None,
            "message": result.failure.message if result.failure else None,
        }
        for result in results
    ]
    broken = any(result.failure and result.failure.severity == "error" for result in promises)
    totals = {"passed": not failed and not broken, "tests": len(results), "failed": failed, "results": tests}
    return {**totals, "promises": [result.to_json(queues[result.environment]) for result in promises]}


def join_names(names: Iterable[str]) -> str:
    """Return `prod`, `prod and staging`, `prod, sandbox and staging`."""
    *first, last = map(sanitize, names)
    return f"{', '.join(first)} and {last}" if first else last


def junit_document(
    results: Sequence[RouteTestResult],
    promises: Sequence[PromiseResult],
    labels: Mapping[str, Labels],
    now: datetime,
) -> str:
    """Return the JUnit XML with one suite per environment and document; `labels` are by environment."""
    root = ET.Element("testsuites")
    checks: list[RouteTestResult | PromiseResult] = [*results, *promises]
    suites = groupby(checks, lambda check: (check.environment, check.source.file, check.document))
    for number, ((environment, _, name), group) in enumerate(suites):
        root.append(_suite(number, sanitize(name), list(group), labels[environment], now))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _title(check: RouteTestResult | PromiseResult, labels: Labels) -> str:
    if isinstance(check, PromiseResult):
        return f"promise {quote(check.name)}"
    return f"{check.number}. {conversation_phrase(check.conversation, Labels(labels.short))}"


def _suite(
    number: int, name: str, checks: Sequence[RouteTestResult | PromiseResult], labels: Labels, now: datetime
) -> ET.Element:
    environment = checks[0].environment
    names = {"id": str(number), "package": environment, "name": f"{name} in {environment}"}
    run = {"timestamp": f"{now:%Y-%m-%dT%H:%M:%S}", "hostname": "localhost"}
    failures = sum(check.failure is not None and check.failure.severity == "error" for check in checks)
    counts = {"tests": str(len(checks)), "failures": str(failures), "errors": "0", "time": "0"}
    suite = ET.Element("testsuite", names | run | counts)
    ET.SubElement(suite, "properties")
    warnings = []
    for check in checks:
        title = _title(check, labels)
        case = ET.SubElement(suite, "testcase", name=title, classname=f"{environment}.{name}", time="0")
        if check.failure:
            message = sanitize(check.failure.message)
            text = f"{source_location(check.source)}: {message}"
            if check.failure.severity == "error":
                ET.SubElement(case, "failure", message=message, type=check.failure.code).text = text
            else:
                warnings.append(text)
    ET.SubElement(suite, "system-out").text = "\n".join(warnings) or None
    ET.SubElement(suite, "system-err")
    return suite
