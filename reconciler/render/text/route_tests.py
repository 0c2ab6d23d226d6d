"""The results of route tests as one line, as JSON, and as JUnit XML.

The XML is valid by the schemas of Jenkins and of Ant (windyroad/JUnit-Schema): `testsuites` has no attributes, a
`testcase` no file or line, and each suite its empty parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from xml.etree import ElementTree as ET

from reconciler.checks.route_tests import RouteTestResult
from reconciler.render.change_summary import source_location
from reconciler.text.escape import pluralize, sanitize
from reconciler.text.phrases import conversation_phrase


def tests_line(results: Sequence[RouteTestResult]) -> str:
    """Return the sum: `75 route tests passed in prod and staging.`, or how many failed where."""
    if not results:
        return "No route test was tried."
    by_environment: dict[str, list[RouteTestResult]] = {}
    for result in results:
        by_environment.setdefault(result.environment, []).append(result)
    failed = {name: sum(result.failure is not None for result in tests) for name, tests in by_environment.items()}
    each = max(map(len, by_environment.values()))
    wrong = [(name, count) for name, count in failed.items() if count]
    if not wrong:
        return f"{pluralize(each, 'route test')} passed in {join_names(failed)}."
    (first, count), *others = wrong
    text = f"{count:,} of {pluralize(each, 'route test')} failed in {sanitize(first)}"
    text += "".join(f", {count:,} in {sanitize(name)}" for name, count in others)
    passed = [name for name, count in failed.items() if not count]
    return f"{text}; all passed in {join_names(passed)}." if passed else f"{text}."


def tests_document(results: Sequence[RouteTestResult]) -> dict[str, Any]:
    """Return the sum and every test as JSON."""
    failed = sum(result.failure is not None for result in results)
    tests = [_document(result) for result in results]
    return {"passed": not failed, "tests": len(results), "failed": failed, "results": tests}


def join_names(names: Iterable[str]) -> str:
    """Return `prod`, `prod and staging`, `prod, sandbox and staging`."""
    *first, last = map(sanitize, names)
    return f"{', '.join(first)} and {last}" if first else last


def _document(tried: RouteTestResult) -> dict[str, Any]:
    return {
        "environment": tried.environment,
        "document": tried.document,
        "test": tried.number,
        "source": tried.source._asdict(),
        "input": dict(tried.conversation),
        "winner": tried.winner.name if tried.winner else None,
        "passed": tried.failure is None,
        "message": tried.failure.message if tried.failure else None,
    }


def junit_document(results: Sequence[RouteTestResult], labels: Mapping[str, Mapping[str, str]], now: datetime) -> str:
    """Return the document: a suite for each environment and document. `labels` are each environment's."""
    root = ET.Element("testsuites")
    suites = groupby(results, lambda result: (result.environment, result.source.file, result.document))
    for at, ((environment, _, name), tests) in enumerate(suites):
        root.append(_element(at, sanitize(name), list(tests), labels[environment], now))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _element(
    at: int, name: str, tests: Sequence[RouteTestResult], labels: Mapping[str, str], now: datetime
) -> ET.Element:
    environment = tests[0].environment
    failed = sum(test.failure is not None for test in tests)
    suite = ET.Element(
        "testsuite",
        id=str(at),
        package=environment,
        name=f"{name} in {environment}",
        timestamp=f"{now:%Y-%m-%dT%H:%M:%S}",
        hostname="localhost",
        tests=str(len(tests)),
        failures=str(failed),
        errors="0",
        time="0",
    )
    ET.SubElement(suite, "properties")
    for test in tests:
        title = f"{test.number}. {conversation_phrase(test.conversation, labels)}"
        case = ET.SubElement(suite, "testcase", name=title, classname=f"{environment}.{name}", time="0")
        if test.failure:
            message = sanitize(test.failure.message)
            failure = ET.SubElement(case, "failure", message=message, type=test.failure.code)
            failure.text = f"{source_location(test.source)}: {message}"
    ET.SubElement(suite, "system-out")
    ET.SubElement(suite, "system-err")
    return suite
