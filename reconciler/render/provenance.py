"""The origin of a plan: the repository, the commit and the run, for links."""

from dataclasses import dataclass
from posixpath import normpath
from urllib.parse import quote

from reconciler.core.model.rule import Source


@dataclass(frozen=True, slots=True)
class SourceLinks:
    """The parts of a link to a manifest. `link` needs a repository and a commit."""

    repository: str = ""  # its URL, `https://github.com/acme/routing`
    commit: str = ""
    run: str = ""  # the URL of the run's log
    prefix: str = (
        ""  # the directory of the manifests in the repository: `teams/emea/`, or empty
    )

    def link(self, source: Source) -> str:
        """Return the permanent URL of a manifest's line; empty if unknown or outside the
        repository.
        """
        path = normpath(f"{self.prefix}{source.file}")
        if not self.repository or not self.commit or path.startswith(("/", "..")):
            return ""
        try:
            # A name that is not UTF-8 keeps its bytes.
            path = quote(path, safe="/", errors="surrogateescape")
        except UnicodeEncodeError:
            return ""
        return f"{self.repository}/blob/{self.commit}/{path}#L{source.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The foot of a plan: its id, the time at which the live rules were read, and its origin."""

    plan_id: str
    read_at: str
    links: SourceLinks
    banner: str = ""  # a note at the top of the report, if the tenant is simulated
    explore: str = (
        ""  # the file of `cxroute explore` beside the report, if there is one
    )
