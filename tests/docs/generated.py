"""Which pages are made from the program, and by what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.docs.commands import codes_page, commands_page
from tests.docs.manifests import manifests_page
from tests.docs.page import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MADE: Final[dict[Path, Callable[[], str]]] = {
    ROOT / "docs/manifests.md": manifests_page,
    ROOT / "docs/commands.md": commands_page,
    ROOT / "docs/codes.md": codes_page,
}
