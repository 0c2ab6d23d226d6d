"""A conversation on the command line: --intent, --confidence and --attr, read and written; and
failed route tests.
"""

import argparse
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from reconciler.cli.command_line import add_at_option, program
from reconciler.cli.options import SessionOptions
from reconciler.core.checks.route_tests import Checked, CheckResult
from reconciler.core.errors import UsageError
from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.model.finding import Finding
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.rule import JSON_NUMBER, parse_number
from reconciler.core.text.escape import join_all, sanitize
from reconciler.core.text.local_time import shown_instant

_LONGEST: Final = 60

HELP: Final = (
    "A value of --attr is a number if it is one in JSON (n=1, n=0.5), and text otherwise; "
    "n='\"1\"', in JSON quotes,\n"
    "is the text 1. true and false are texts, as in rules. An attribute that is not given is "
    "missing."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationOptions(SessionOptions):
    """The options that describe a conversation."""

    intent: str | None
    confidence: str | None
    attr: Sequence[str]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that describe a conversation."""
    add = parser.add_argument
    add("--intent", metavar="X", help="the intent that the bot detected")
    add("--confidence", metavar="N", help="its confidence, from 0 to 1")
    add(
        "--attr",
        action="append",
        metavar="K=V",
        default=[],
        help="a further attribute; may be repeated",
    )
    add_at_option(parser)


def read_conversation(
    options: ConversationOptions, names: BotAttributes
) -> dict[str, str | int | float]:
    """Return the attributes by the names that rules use. Raises UsageError."""
    attributes: dict[str, str | int | float] = {}
    if options.intent is not None:
        attributes[names.intent] = options.intent
    if options.confidence is not None:
        try:
            confidence = parse_number(options.confidence)
        except ValueError:
            confidence = -1
        if not 0 <= confidence <= 1:
            raise UsageError(
                f"--confidence {_quoted(options.confidence)}: must be a number from 0 to 1"
            )
        attributes[names.confidence] = confidence
    for text in options.attr:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UsageError(f"--attr {_quoted(text)}: must be NAME=VALUE")
        if name in attributes:
            raise UsageError(f"--attr {_quoted(text)}: {_quoted(name)} is given twice")
        attributes[name] = _value(value)
    return attributes


def conversation_words(
    attributes: Mapping[str, str | int | float], names: BotAttributes
) -> list[str]:
    """Return the options that describe the conversation; none if an attribute's name cannot be an
    option.
    """
    if any("=" in name or not name for name in attributes):
        return []
    words: list[str] = []
    for name, value in attributes.items():
        if name == names.intent and isinstance(value, str):
            option = "--intent"
            text = value
        elif (
            name == names.confidence and not isinstance(value, str) and 0 <= value <= 1
        ):
            option = "--confidence"
            text = json.dumps(value)
        else:
            option = "--attr"
            text = f"{name}={_quote_value(value)}"
        words += [f"{option}={text}"] if text.startswith("-") else [option, text]
    return words


def _quote_value(value: str | float) -> str:
    """Return a value as `--attr` takes it: a text that looks like JSON is in quotes."""
    if not isinstance(value, str):
        return json.dumps(value)
    if value.startswith('"') or JSON_NUMBER.fullmatch(value):
        return json.dumps(value)
    return value


def _value(text: str) -> str | int | float:
    if JSON_NUMBER.fullmatch(text):
        try:
            return parse_number(text)
        except ValueError:
            raise UsageError(
                f"--attr: the number {_quoted(text)} is too large; in JSON quotes it is text"
            ) from None
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        raise UsageError(
            f"--attr: {_quoted(text)} begins with a quote but is not a JSON string"
        ) from None


def _quoted(text: str) -> str:
    if len(text) <= _LONGEST:
        return repr(text)
    return repr(f"{text[:_LONGEST]}...")


def failure_findings(checked: Sequence[Checked], directory: str) -> list[Finding]:
    """Return a finding for each distinct failure of a test or promise; the hint is the command that
    explains it.
    """
    results = [result for each in checked for result in each.tried]
    grouped = group_pairs(
        (result.failure, result) for result in results if result.failure
    )
    environments = {each.environment.name: each for each in checked}
    findings = []
    for failure, failed in grouped.items():
        message = failure.message
        if len(environments) > 1:
            names = join_all((each.environment for each in failed), "and", sanitize)
            message += f", in {names}"
        command = _explain_command(environments, failed[0], directory)
        reason = f"why: {command}" if command else ""
        hint = "; ".join(filter(None, (failure.hint, reason)))
        findings.append(replace(failure, message=message, hint=hint))
    return sorted(findings, key=lambda finding: finding.source or ("", 0, 0))


def _is_of_now(checked: Checked, start: datetime) -> bool:
    """Return whether the interval with a start is that of now."""
    calendar = checked.desired.calendar if checked.desired else None
    return calendar is not None and calendar.interval.start == start


def _explain_command(
    environments: Mapping[str, Checked], result: CheckResult, directory: str
) -> str:
    """Return the command that explains a failure; empty if it cannot name the conversation."""
    checked = environments[result.environment]
    environment = checked.environment
    words = conversation_words(result.conversation, environment.attributes)
    if not words:
        return ""
    live = ["--live"] if checked.rules == "live" else []
    command = [*program(directory), "explain", "-e", environment.name, *live, *words]
    start = result.interval.start if result.interval else None
    if start is not None and not live and not _is_of_now(checked, start):
        command += ["--at", shown_instant(start)]
    return shlex.join(command)
