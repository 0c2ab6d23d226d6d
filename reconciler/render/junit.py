"""Route tests as JUnit XML, for whatever shows test results beside a build.

Valid by both schemas in use: that of Jenkins, and the stricter one of Ant (windyroad/JUnit-Schema), which is why
`testsuites` has no attributes, a `testcase` no file or line, and each suite its empty parts.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from reconciler.render.told_change import place
from reconciler.words import conversation_phrase, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from reconciler.verify import Tried


def junit(tried: Sequence[Tried], labels: Mapping[str, Mapping[str, str]], now: datetime) -> str:
    """Return the document: a suite for each environment and document. `labels` are each environment's."""
    root = ET.Element("testsuites")
    for at, ((environment, _, name), tests) in enumerate(groupby(tried, _suite)):
        root.append(_element(at, plain(name), list(tests), labels[environment], now))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(tried: Tried) -> tuple[str, str, str]:
    return tried.environment, tried.source.file, tried.document


def _element(at: int, name: str, tests: Sequence[Tried], labels: Mapping[str, str], now: datetime) -> ET.Element:
    environment = tests[0].environment
    failed = sum(one.failure is not None for one in tests)
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
    for one in tests:
        said = f"{one.number}. {conversation_phrase(one.given, labels)}"
        case = ET.SubElement(suite, "testcase", name=said, classname=f"{environment}.{name}", time="0")
        if one.failure:
            message = plain(one.failure.message)
            failure = ET.SubElement(case, "failure", message=message, type=one.failure.code)
            failure.text = f"{place(one.source)}: {message}"
    ET.SubElement(suite, "system-out")
    ET.SubElement(suite, "system-err")
    return suite
