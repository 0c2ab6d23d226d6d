"""Where a plan was made: which repository, commit and run, for links that are ours."""

from __future__ import annotations

from dataclasses import dataclass
from posixpath import normpath
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from reconciler.model.rule import Source


@dataclass(frozen=True, slots=True)
class SourceLinks:
    """All of it may be unknown (empty); then nothing is linked."""

    repository: str = ""  # its address, `https://github.com/acme/routing`
    commit: str = ""
    run: str = ""  # the address of the run's log
    prefix: str = ""  # what stands before a manifest's path in the repository: `teams/emea/`, or nothing

    def link(self, source: Source) -> str:
        """Return the permanent address of a manifest's line; empty where it is not known, or not in the repository."""
        path = normpath(f"{self.prefix}{source.file}")
        if not self.repository or not self.commit or path.startswith(("/", "..")):
            return ""
        try:
            # The bytes of a name that is not UTF-8 are kept as the operating system has them.
            path = quote(path, safe="/", errors="surrogateescape")
        except UnicodeEncodeError:
            return ""
        return f"{self.repository}/blob/{self.commit}/{path}#L{source.line}"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What stands under a plan: its name, when live was read, and where it was made."""

    plan_id: str
    read_at: str
    links: SourceLinks
    banner: str = ""  # what stands above everything: that all is simulated
