"""The origin of a plan: the repository, the commit and the run, for links."""

from __future__ import annotations

from dataclasses import dataclass
from posixpath import normpath
from urllib.parse import quote

from reconciler.model.rule import Source


@dataclass(frozen=True, slots=True)
class SourceLinks:
    """The parts of a link to a manifest; without a repository or a commit there is no link."""

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
    """The foot of a plan: its id, the time at which the live rules were read, and its origin."""

    plan_id: str
    read_at: str
    links: SourceLinks
    banner: str = ""  # what stands above everything: that all is simulated
