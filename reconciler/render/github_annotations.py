"""Findings as annotations of a pull request, and text that a GitHub runner takes for nothing but text.

A runner reads commands out of whatever a step prints, on stdout and stderr alike: `::error file=a.yaml::message` at the
beginning of a line and, from older times, `##[error]message` anywhere in one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from reconciler.model.finding import CODES, Finding
from reconciler.render.summary import MAX_NAMED, finding_members, subject_prefix
from reconciler.text.escape import join_first, sanitize

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ANNOTATIONS: Final = 10
"""Errors, and warnings, that GitHub shows of one step; what is printed after them is dropped in silence."""
_MAX_SUMMARY_BYTES: Final = 900_000  # bytes. GitHub drops the whole summary of a step above 1 MiB.
_TOKEN: Final = re.compile("[0-9a-f]{16,}")


def annotate_findings(findings: Sequence[Finding], rest: str = "see the summary") -> str:
    """Return a command for each of the worst findings, and for all others one notice that says where they are.

    Errors stand before warnings, each in the order given; what is merely worth knowing is no annotation. Files must be
    paths from the repository's root: GitHub shows others beside no line.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    warnings = [finding for finding in findings if finding.severity == "warning"]
    listed = [*errors[:MAX_ANNOTATIONS], *warnings[:MAX_ANNOTATIONS]]
    commands = [_command(finding) for finding in listed]
    hidden = len(errors) + len(warnings) - len(listed)
    if hidden:
        commands.append(f"::notice::{_data(f'and {hidden:,} more, {rest}')}")
    return "".join(f"{command}\n" for command in commands)


def quote_for_runner(text: str, token: str) -> str:
    """Return text in which a runner finds no command: it stops looking for any until it sees the token again.

    The token is hexadecimal, made for this one text by a source of secrets: who could guess it could write it into a
    name. Where the text holds it all the same, in letters of either case, it is taken out.
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError("a token is 16 hexadecimal digits or more")
    if not text:
        return ""
    harmless = re.sub(token, "[token]", text, flags=re.IGNORECASE)
    end = "" if harmless.endswith("\n") else "\n"
    return f"::stop-commands::{token}\n{harmless}{end}::{token}::\n"


def job_summary(text: str) -> str:
    """Return text as one code block of a job summary, cut at a line where GitHub would drop all of it."""
    lines = text.splitlines(keepends=True)
    room, count = _MAX_SUMMARY_BYTES, 0
    for line in lines:
        room -= len(line.encode("utf-8", "replace"))
        if room < 0:
            break
        count += 1
    summary = "".join(lines[:count])
    if count < len(lines):
        summary += f"and {len(lines) - count:,} more lines\n"
    # Longer than any run of backticks inside, so that no name closes the block.
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", summary)), default=0))
    end = "" if summary.endswith("\n") else "\n"
    return f"{fence}text\n{summary}{end}{fence}\n"


def _command(finding: Finding) -> str:
    code = CODES.get(finding.code)
    properties = {"title": f"{finding.code}: {code.title}" if code else sanitize(finding.code)}
    if finding.source:
        # Each character by itself: a path is not cut, however long.
        file = "".join(map(sanitize, finding.source.file))
        place = {"file": file, "line": str(finding.source.line), "col": str(finding.source.column)}
        properties = place | properties
    parameters = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    lines = [sanitize(part) for part in (finding.message, finding.hint) if part]
    if finding.repeats:
        lines = [f"{subject_prefix(finding)}{lines[0]}", *lines[1:], join_first(finding_members(finding), MAX_NAMED)]
    message = "\n".join(lines)
    return f"::{finding.severity} {parameters}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
