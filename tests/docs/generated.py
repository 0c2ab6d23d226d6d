"""The generated pages, and their generators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.docs.commands import codes_page, commands_page
from tests.docs.layout import contributing_page
from tests.docs.manifests import manifest_pages
from tests.docs.page import CONTRIBUTING, ROOT

MADE: Final[dict[Path, Callable[[], str]]] = {
    CONTRIBUTING: contributing_page,
    **manifest_pages(),
    ROOT / "docs/commands.md": commands_page,
    ROOT / "docs/codes.md": codes_page,
}
