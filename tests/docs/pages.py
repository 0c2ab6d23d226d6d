"""Pages as tests run them, and as `python -m tests.docs` updates their outputs."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import groupby
from pathlib import Path

from tests.docs.page import GAP, ROOT, Run, continued, steps
from tests.docs.session import Session, alike


def before(page: Path) -> list[Path]:
    """Return the pages that a reader has completed before this one."""
    name = continued(page.read_text(encoding="utf-8"))
    return [*before(page.parent / name), page.parent / name] if name else []


def followed(page: Path, reader: Session) -> Iterator[tuple[Run, str]]:
    """Take the steps of a page; yield each command whose output differs from the page, and its
    output.
    """
    for step in steps(page.read_text(encoding="utf-8")):
        try:
            printed = reader.take(step)
        except AssertionError as error:
            raise AssertionError(
                f"{page.relative_to(ROOT)}:{step.line}: {error}"
            ) from error
        if isinstance(step, Run):
            displayed = "\n".join(step.shown)
            reader.learn(displayed, printed)
            if not alike(displayed, printed):
                yield step, printed


def filled(page: Path, reader: Session) -> str:
    """Return a page with the current outputs of its commands; correct and shortened outputs
    stay.
    """
    lines = page.read_text(encoding="utf-8").splitlines()
    for step, printed in reversed(list(followed(page, reader))):
        further = (
            [""] if step.end < len(lines) and lines[step.end].startswith("$ ") else []
        )
        lines[step.line : step.end] = [
            *shortened(list(step.shown), printed.splitlines()),
            *further,
        ]
    return "\n".join(lines) + "\n"


def shortened(shown: list[str], printed: list[str]) -> list[str]:
    """Return an output with the omissions of the page's output, each at its most similar
    position.
    """
    if GAP not in shown:
        return printed
    place = shown.index(GAP)
    retained = printed[:place]
    for part in [
        list(part)
        for left_out, part in groupby(shown[place:], GAP.__eq__)
        if not left_out
    ]:
        starts = range(place, len(printed) - len(part) + 1)
        likeness = {
            start: _likeness(part, printed[start : start + len(part)])
            for start in starts
        }
        start = max(likeness, key=likeness.__getitem__, default=place)
        place = start + len(part)
        retained += [GAP, *printed[start:place]]
    retained += [GAP] * (shown[-1] == GAP)
    return retained if alike("\n".join(retained), "\n".join(printed)) else printed


def _likeness(one: list[str], other: list[str]) -> float:
    return SequenceMatcher(
        None, "\n".join(one), "\n".join(other), autojunk=False
    ).ratio()
