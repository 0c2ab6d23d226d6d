"""The generated pages and the schema, and their generators.

`python -m tests.docs.generated` writes them in seconds; `make docs` also fills in what the other
pages show.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from reconciler.core.manifest.documents import manifest_schema_text
from tests.docs.commands import codes_page, commands_page
from tests.docs.layout import contributing_page
from tests.docs.manifests import manifest_pages
from tests.docs.page import CONTRIBUTING, ROOT

GENERATED: Final[dict[Path, Callable[[], str]]] = {
    CONTRIBUTING: contributing_page,
    **manifest_pages(),
    ROOT / "docs/commands.md": commands_page,
    ROOT / "docs/codes.md": codes_page,
    ROOT / "schema/manifest.v1.json": manifest_schema_text,
}


def write_page(page: Path, text: str) -> None:
    """Write a page if it changed."""
    if not page.exists() or text != page.read_text(encoding="utf-8"):
        page.write_text(text, encoding="utf-8")
        print(f"wrote {page.relative_to(ROOT)}")  # noqa: T201 - its result


def write_generated_pages() -> None:
    """Write each generated page that changed."""
    for page, generate in GENERATED.items():
        write_page(page, generate())


if __name__ == "__main__":
    write_generated_pages()
