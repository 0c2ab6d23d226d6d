"""Metadata of a package: its links point to the documents of the same version."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK: Final = re.compile(r"(!?\[[^\]]*\]\()(?!\w+:|#)([^)\s]+)\)")


class VersionedLinks(MetadataHookInterface):
    """Sets the project's addresses, and its README with full addresses: a package index shows it without the files."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `urls` and `readme`, whose links contain the tag of the version."""
        repository, tag = self.config["repository"], f"v{metadata['version']}"
        metadata["urls"] = {
            "Repository": repository,
            "Documentation": f"{repository}/tree/{tag}/docs",
            "Changelog": f"{repository}/blob/{tag}/CHANGELOG.md",
            "Issues": f"{repository}/issues",
        }
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": with_full_links(text, repository, tag),
        }


def with_full_links(text: str, repository: str, tag: str) -> str:
    """Return Markdown whose relative links, as in a file at the top of the repository, are addresses at a tag."""

    def full(link: re.Match[str]) -> str:
        view = "raw" if link[1].startswith("!") else "blob"
        return f"{link[1]}{repository}/{view}/{tag}/{link[2]})"

    return _LINK.sub(full, text)
