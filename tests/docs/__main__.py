"""`make docs`: updates the outputs in the pages, and writes the generated pages."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.docs.generated import MADE
from tests.docs.page import PAGES, ROOT
from tests.docs.pages import before, filled, followed
from tests.docs.session import session


def write(page: Path, text: str) -> None:
    """Write a page if it changed."""
    if not page.exists() or text != page.read_text(encoding="utf-8"):
        page.write_text(text, encoding="utf-8")
        print(f"wrote {page.relative_to(ROOT)}")  # noqa: T201 - its result


for made, make in MADE.items():
    write(made, make())
for page in PAGES:
    with tempfile.TemporaryDirectory() as folder, session(Path(folder)) as reader:
        for earlier in before(page):
            list(followed(earlier, reader))
        write(page, filled(page, reader))
