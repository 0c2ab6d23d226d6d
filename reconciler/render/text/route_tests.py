"""The results of route tests as one line, as JSON, and as JUnit XML.

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
from reconciler.render.finding_subject import source_location
from reconciler.text.escape import pluralize, sanitize
from reconciler.text.labels import Labels
from reconciler.text.phrases import conversation_phrase


def tests_line(results: Sequence[RouteTestResult]) -> str:
    """Return `75 route tests passed in prod and staging.`, or the number of failed tests per environment."""
    if not results:
        return "No route test was run."
    each = max(Counter(result.environment for result in results).values())
    failed = dict.fromkeys((result.environment for result in results), 0)
    for result in results:
        failed[result.environment] += result.failure is not None
    wrong = [(name, count) for name, count in failed.items() if count]
    if not wrong:
        return f"{pluralize(each, 'route test')} passed in {join_names(failed)}."
    (first, count), *others = wrong
    text = f"{count:,} of {pluralize(each, 'route test')} failed in {sanitize(first)}"
    text += "".join(f", {count:,} in {sanitize(name)}" for name, count in others)
    passed = [name for name, count in failed.items() if not count]
    return f"{text}; all passed in {join_names(passed)}." if passed else f"{text}."


def tests_document(results: Sequence[RouteTestResult]) -> dict[str, Any]:
    """Return the totals and every test as JSON."""
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
    return {"passed": not failed, "tests": len(results), "failed": failed, "results": tests}


def join_names(names: Iterable[str]) -> str:
    """Return `prod`, `prod and staging`, `prod, sandbox and staging`."""
    *first, last = map(sanitize, names)
    return f"{', '.join(first)} and {last}" if first else last


def junit_document(results: Sequence[RouteTestResult], labels: Mapping[str, Labels], now: datetime) -> str:
    """Return the JUnit XML with one suite per environment and document; `labels` are by environment."""
    root = ET.Element("testsuites")
    suites = groupby(results, lambda result: (result.environment, result.source.file, result.document))
    for number, ((environment, _, name), tests) in enumerate(suites):
        root.append(_suite(number, sanitize(name), list(tests), labels[environment], now))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(number: int, name: str, tests: Sequence[RouteTestResult], labels: Labels, now: datetime) -> ET.Element:
    environment = tests[0].environment
    names = {"id": str(number), "package": environment, "name": f"{name} in {environment}"}
    run = {"timestamp": f"{now:%Y-%m-%dT%H:%M:%S}", "hostname": "localhost"}
    failures = sum(test.failure is not None for test in tests)
    counts = {"tests": str(len(tests)), "failures": str(failures), "errors": "0", "time": "0"}
    suite = ET.Element("testsuite", names | run | counts)
    ET.SubElement(suite, "properties")
    for test in tests:
        title = f"{test.number}. {conversation_phrase(test.conversation, labels.names_only)}"
        case = ET.SubElement(suite, "testcase", name=title, classname=f"{environment}.{name}", time="0")
        if test.failure:
            message = sanitize(test.failure.message)
            failure = ET.SubElement(case, "failure", message=message, type=test.failure.code)
            failure.text = f"{source_location(test.source)}: {message}"
    ET.SubElement(suite, "system-out")
    ET.SubElement(suite, "system-err")
    return suite
