"""Managed rules that somebody changed in CXone -> edits of their manifests after which these say what is live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.export.kept import Naming, kept
from reconciler.export.queue_names import QueueNames
from reconciler.export.words import NotWritableError
from reconciler.manifest.layout import CannotPatchError
from reconciler.manifest.patch import edited, patch
from reconciler.manifest.spans import node_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.change import LiveRule
    from reconciler.desired import Desired, DesiredRule
    from reconciler.export.export import Tenant
    from reconciler.manifest.documents import RuleSet
    from reconciler.manifest.load import Manifests
    from reconciler.manifest.origin import Loaded
    from reconciler.manifest.patch import Edit
    from reconciler.model import Address


@dataclass(frozen=True, slots=True)
class Kept:
    """A rule whose live values go into its manifest: where it stands, and its fields before and after."""

    live: LiveRule
    desired: DesiredRule
    file: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    edits: Sequence[Edit]

    @property
    def changed(self) -> dict[str, Any]:
        """Return the fields that differ, as they will be."""
        return {name: value for name, value in self.new.items() if name not in self.old or self.old[name] != value}

    @property
    def gone(self) -> list[str]:
        """Return the fields that are taken out."""
        return [name for name in self.old if name not in self.new]


def keeping(live: LiveRule, desired: DesiredRule, manifests: Manifests, tenant: Tenant) -> Kept:
    """Return what is to be changed so that the manifests say what is live. Raises NotWritableError."""
    loaded, index = _home(desired, manifests)
    origin = loaded.origin
    queues = QueueNames(tenant.catalogue, tenant.queues, ())
    naming = Naming(tenant.catalogue.resolve, queues.known)
    old = origin.value(("rules", index))
    new = kept(old, desired.address.key, live.rule, (tenant.environment, loaded.document, naming))
    text = origin.text.text
    try:
        edits = patch(text, node_at(text, origin.index(("rules", index))), old, new)
    except CannotPatchError as error:
        raise NotWritableError(str(error)) from None
    return Kept(live, desired, loaded.file, old, new, edits)


def texts(found: Iterable[Kept], manifests: Manifests) -> dict[str, str]:
    """Return each file's text with all edits made."""
    edits: dict[str, list[Edit]] = {}
    for one in found:
        edits.setdefault(one.file, []).extend(one.edits)
    before = {loaded.file: loaded.origin.text.text for loaded in manifests.rulesets}
    return {file: edited(before[file], more) for file, more in edits.items()}


def unlike(before: Desired, after: Desired, live: Mapping[Address, LiveRule]) -> list[Address]:
    """Return the addresses that the edits change otherwise than meant: those in `live` are to be as they are live."""
    wanted = {address: one.rule for address, one in before.rules.items()}
    wanted |= {address: one.rule for address, one in live.items()}
    said = {address: one.rule for address, one in after.rules.items()}
    others = [
        address
        for address, one in before.rules.items()
        if address in after.rules and (one.hold, one.adopt) != (after.rules[address].hold, after.rules[address].adopt)
    ]
    return sorted({address for address in {*wanted, *said} if wanted.get(address) != said.get(address)} | {*others})


def _home(desired: DesiredRule, manifests: Manifests) -> tuple[Loaded[RuleSet], int]:
    """Return the document that a rule stands in, and its place there."""
    for loaded in manifests.rulesets:
        if loaded.document.name == desired.address.ruleset and desired.source and loaded.file == desired.source.file:
            for index in range(len(loaded.document.rules)):
                if loaded.at("rules", index) == desired.source:
                    return loaded, index
    raise NotWritableError("it stands in no file")
