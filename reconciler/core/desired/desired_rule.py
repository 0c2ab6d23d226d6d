"""One desired rule, with its position in the manifests."""

from dataclasses import dataclass

from reconciler.core.manifest.kinds.ruleset import AdoptById, Hold
from reconciler.core.model.rule import Address, Rule, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredRule:
    """A rule that should be live, and its position in the manifests; None if its source is not a
    manifest.
    """

    address: Address
    rule: Rule
    fingerprint: str
    source: Source | None = None
    hold: Hold | None = None
    adopt: str | AdoptById | None = None
    # the id of the live rule whose adoption is undone: it stays live, and becomes unmanaged
    unadopted_id: str = ""

    @property
    def marker_digest(self) -> str:
        """The digest in the marker of the written rule."""
        return self.fingerprint[:8]

    @property
    def location(self) -> str:
        """The file and line of the rule in its manifest; empty if its source is not a manifest."""
        return f"{self.source.file}:{self.source.line}" if self.source else ""
