"""Findings about manifests as text: one line each and, on a terminal, the line of the manifest with
a caret.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from reconciler.core.model.finding import Finding
from reconciler.core.text.escape import (
    join_first,
    pluralize,
    sanitize,
    sanitize_message,
)
from reconciler.render.colour import SEVERITY_COLOURS, Style
from reconciler.render.finding_subject import MAX_NAMED, finding_members, subject_prefix
from reconciler.render.text.wrap import columns

_BAR: Final = "      | "  # under the line number
_MARGIN: Final = len(_BAR)


def findings_text(
    findings: Sequence[Finding],
    style: Style,
    limit: int = MAX_NAMED,
) -> str:
    """Return one line per finding with its hint and up to `limit` of its rules, for logs, pipes and
    editors.
    """
    lines = []
    for finding in findings:
        rules = (
            f"; {join_first(finding_members(finding), limit)}"
            if finding.repeats
            else ""
        )
        hint = f"; {sanitize_message(finding.hint)}" if finding.hint else ""
        lines.append(f"{_head(finding, style)}{hint}{rules}\n")
    return "".join(lines)


def findings_with_carets(
    findings: Sequence[Finding],
    style: Style,
    width: int,
    limit: int = MAX_NAMED,
) -> str:
    """Return the same for a terminal of that width, with the line of the manifest and the hint
    after the caret.
    """
    lines = []
    for finding in findings:
        lines += [_head(finding, style), *_excerpt(finding, style, width - _MARGIN)]
        lines += (
            [f"      {join_first(finding_members(finding), limit)}"]
            if finding.repeats
            else []
        )
    return "".join(f"{line}\n" for line in lines)


def severity_totals(findings: Iterable[Finding], files: int) -> str:
    """Return the number of errors and warnings: `2 errors and 1 warning in 12 files.`."""
    severities = [finding.severity for finding in findings]
    counts = [
        pluralize(severities.count(name), name)
        for name in ("error", "warning")
        if name in severities
    ]
    return f"{' and '.join(counts) or 'No errors'} in {pluralize(files, 'file')}."


def _head(finding: Finding, style: Style) -> str:
    colour = SEVERITY_COLOURS[finding.severity]
    head = style(colour, f"{finding.severity}[{finding.code}]")
    source = finding.source
    if source:
        head = f"{sanitize(source.file)}:{source.line}:{source.column}: {head}"
    number = subject_prefix(finding) if finding.repeats else ""
    return f"{head}: {number}{sanitize_message(finding.message)}"


def _excerpt(finding: Finding, style: Style, width: int) -> Iterator[str]:
    if finding.source is None or not finding.excerpt:
        if finding.hint:
            yield f"      {sanitize_message(finding.hint)}"
        return
    visible, column = _window(finding.excerpt, finding.source.column - 1, width)
    yield style("dim", f"{finding.source.line:>5} | ") + sanitize(visible)

    # An escape is longer than its character, so the position of the caret is computed from the
    # escaped text.
    offset = columns(sanitize(visible[:column]))
    span = max(1, columns(visible[column : column + finding.span]))
    hint = f" {sanitize_message(finding.hint)}" if finding.hint else ""
    caret = _BAR + " " * offset + style("red", "^" * span)
    if offset + span + columns(hint) <= width:
        yield caret + hint
    else:
        yield caret
        yield _BAR.rstrip() + hint


def _window(line: str, column: int, width: int) -> tuple[str, int]:
    """Return as much of a line around a column as fits, and the column there."""
    start = 0
    if columns(line) > width:
        start = max(0, column - width // 3)
    return _cut(line[start:], width), column - start


def _cut(text: str, width: int) -> str:
    """Return as much of a text as a number of columns holds."""
    ends = accumulate(map(columns, text))
    return text[: sum(end <= width for end in ends)]
