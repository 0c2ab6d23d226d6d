"""Findings as annotations of a pull request, and text without commands for a GitHub runner.

A runner reads commands from a step's stdout and stderr: `::error file=a.yaml::message`,
`##[error]message`.
"""

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from reconciler.core.model.finding import CODES, Finding
from reconciler.core.text.escape import (
    escape_invisible,
    join_first,
    sanitize,
    sanitize_message,
)
from reconciler.render.escape_markdown import code_block
from reconciler.render.finding_subject import MAX_NAMED, finding_members, subject_prefix

MAX_ANNOTATIONS: Final = (
    10  # GitHub silently drops further errors, and further warnings, of a step
)
_MAX_SUMMARY_BYTES: Final = (
    900_000  # GitHub drops a step's complete summary above 1 MiB
)
_TOKEN: Final = re.compile("[0-9a-f]{16,}")


def annotate_findings(
    findings: Sequence[Finding], rest: str = "see the summary"
) -> str:
    """Return a command for each of the first errors and warnings, and one notice for the rest."""
    # Files must be paths from the repository's root: GitHub does not show annotations of other
    # files at a line.
    errors = [finding for finding in findings if finding.severity == "error"]
    warnings = [finding for finding in findings if finding.severity == "warning"]
    listed = [*errors[:MAX_ANNOTATIONS], *warnings[:MAX_ANNOTATIONS]]
    commands = [_command(finding) for finding in listed]
    hidden = len(errors) + len(warnings) - len(listed)
    if hidden:
        text = _data(f"and {hidden:,} more, {rest}")
        commands.append(f"::notice::{text}")
    return "".join(f"{command}\n" for command in commands)


def annotate_headline(title: str, headline: str) -> str:
    """Return a command for a notice with the first sentence of a plan."""
    return f"::notice title={_property(sanitize(title))}::{_data(headline)}\n"


def quote_for_runner(text: str, token: str) -> str:
    """Return text in which a runner ignores all commands, until the secret token is repeated."""
    if not _TOKEN.fullmatch(token):
        raise ValueError("a token is 16 hexadecimal digits or more")
    if not text:
        return ""
    harmless = re.sub(token, "[token]", text, flags=re.IGNORECASE)
    end = "" if harmless.endswith("\n") else "\n"
    return f"::stop-commands::{token}\n{harmless}{end}::{token}::\n"


def job_summary(text: str) -> str:
    """Return text as one code block of a job summary, cut at a line if GitHub would drop it."""
    lines = text.splitlines(keepends=True)
    sizes = accumulate(len(line.encode("utf-8", "replace")) for line in lines)
    count = sum(size <= _MAX_SUMMARY_BYTES for size in sizes)
    summary = "".join(lines[:count])
    if count < len(lines):
        summary += f"and {len(lines) - count:,} more lines\n"
    return code_block(summary, "text")


def _command(finding: Finding) -> str:
    code = CODES.get(finding.code)
    properties = {
        "title": f"{finding.code}: {code.title}" if code else sanitize(finding.code)
    }
    if finding.source:
        file, line, column = finding.source
        properties = {
            "file": escape_invisible(file),
            "line": str(line),
            "col": str(column),
        } | properties
    parameters = ",".join(
        f"{name}={_property(value)}" for name, value in properties.items()
    )
    lines = [sanitize_message(part) for part in (finding.message, finding.hint) if part]
    if finding.repeats:
        lines = [
            f"{subject_prefix(finding)}{lines[0]}",
            *lines[1:],
            join_first(finding_members(finding), MAX_NAMED),
        ]
    message = "\n".join(lines)
    return f"::{finding.severity} {parameters}::{_data(message)}"


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
