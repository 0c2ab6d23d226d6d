"""Findings about manifests as text: a line each, and on a terminal the manifest's line with a caret under it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.render.finding_subject import FOLDED, about, members
from reconciler.words import counted, cut, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reconciler.findings import Finding
    from reconciler.render.paint import Paint

_WIDEST = 160


def findings_text(findings: Sequence[Finding], paint: Paint, most: int = FOLDED) -> str:
    """Return a line per finding, its hint after it, and up to `most` of its rules: for logs, pipes and editors."""
    return "".join(f"{_line(finding, paint, most)}\n" for finding in findings)


def findings_with_carets(findings: Sequence[Finding], paint: Paint, most: int = FOLDED) -> str:
    """Return the same for a terminal, with the line that is meant and its hint under the caret."""
    lines = (line for finding in findings for line in _with_caret(finding, paint, most))
    return "".join(f"{line}\n" for line in lines)


def totals(findings: Iterable[Finding], files: int) -> str:
    """Return how many were found of each severity: `2 errors and 1 warning in 12 files.`."""
    severities = [finding.severity for finding in findings]
    found = [
        counted(severities.count(severity), severity) for severity in ("error", "warning") if severity in severities
    ]
    return f"{' and '.join(found) or 'No errors'} in {counted(files, 'file')}."


def _line(finding: Finding, paint: Paint, most: int) -> str:
    rules = f"; {cut(members(finding), most)}" if finding.repeats else ""
    return f"{_head(finding, paint)}{_hint(finding, '; ')}{rules}"


def _head(finding: Finding, paint: Paint) -> str:
    colour = {"error": "red", "warning": "yellow", "info": "dim"}[finding.severity]
    source = finding.source
    where = f"{plain(source.file)}:{source.line}:{source.column}: " if source else ""
    number = about(finding) if finding.repeats else ""
    return f"{where}{paint(colour, f'{finding.severity}[{finding.code}]')}: {number}{plain(finding.message)}"


def _hint(finding: Finding, before: str) -> str:
    return f"{before}{plain(finding.hint)}" if finding.hint else ""


def _with_caret(finding: Finding, paint: Paint, most: int) -> Iterator[str]:
    yield _head(finding, paint)
    yield from _excerpt(finding, paint)
    if finding.repeats:
        yield f"      {cut(members(finding), most)}"


def _excerpt(finding: Finding, paint: Paint) -> Iterator[str]:
    if finding.source is None or not finding.excerpt:
        if finding.hint:
            yield f"      {plain(finding.hint)}"
        return
    column = finding.source.column - 1
    start = max(0, column - _WIDEST // 2) if len(finding.excerpt) > _WIDEST else 0
    shown = finding.excerpt[start : start + _WIDEST]
    # An escape is longer than what it stands for, so the caret is put under the escaped text.
    offset = len(plain(shown[: column - start]))
    yield paint("dim", f"{finding.source.line:>5} | ") + plain(shown)
    width = max(1, min(finding.span, len(shown) - (column - start)))
    yield f"{'':>5} | {' ' * offset}{paint('red', '^' * width)}{_hint(finding, ' ')}"
