"""Pages as tests run them, and as `python -m tests.docs` fills in what they show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.docs.page import ROOT, Run, continued, steps
from tests.docs.session import Session, alike

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def before(page: Path) -> list[Path]:
    """Return the pages that a reader has been through before this one."""
    name = continued(page.read_text(encoding="utf-8"))
    return [*before(page.parent / name), page.parent / name] if name else []


def followed(page: Path, reader: Session) -> Iterator[tuple[Run, str]]:
    """Take the steps of a page; yield each command that printed something else than is shown, and what it printed."""
    for step in steps(page.read_text(encoding="utf-8")):
        try:
            printed = reader.take(step)
        except AssertionError as error:
            raise AssertionError(f"{page.relative_to(ROOT)}:{step.line}: {error}") from error
        if isinstance(step, Run):
            shown = "\n".join(step.shown)
            reader.learn(shown, printed)
            if not alike(shown, printed):
                yield step, printed


def filled(page: Path, reader: Session) -> str:
    """Return a page with what its commands print now; what is right already stays as it stands."""
    lines = page.read_text(encoding="utf-8").splitlines()
    for step, printed in reversed(list(followed(page, reader))):
        more = [""] if step.end < len(lines) and lines[step.end].startswith("$ ") else []
        lines[step.line : step.end] = [*printed.splitlines(), *more]
    return "\n".join(lines) + "\n"
