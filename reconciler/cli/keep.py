"""`cxroute export --write`: what somebody changed in CXone goes into the manifests; all of it, proved, or nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.catalogue import AssumedCatalogue, aliases
from reconciler.cli.destination import refuse_secrets
from reconciler.cli.whole_file import write_all
from reconciler.desired import desire
from reconciler.errors import CxrouteError, ManifestError, RefusedError
from reconciler.export.keeping import keeping, texts, unlike
from reconciler.export.words import NotWritableError
from reconciler.kept_texts import owned_by
from reconciler.manifest.decode import LARGEST
from reconciler.manifest.environment import SANDBOX
from reconciler.manifest.load import load_with
from reconciler.manifest.yaml_text import mapping
from reconciler.ownership import cause, own
from reconciler.regular_file import read_file
from reconciler.words import counted, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.change import LiveRule
    from reconciler.cli.session import Session
    from reconciler.desired import Desired, DesiredRule
    from reconciler.export.export import Tenant
    from reconciler.export.keeping import Kept
    from reconciler.manifest.load import Manifests
    from reconciler.model import Address
    from reconciler.plan import Live


def keep_all(session: Session, live: Live, tenant: Tenant) -> None:
    """Keep every rule of ours that was changed in CXone, and whose manifest did not move on meanwhile."""
    drifted = []
    for address, rule in sorted(owned_by(live.rules, tenant.desired).managed.items()):
        wanted = tenant.desired.rules.get(address)
        if wanted is None or wanted.rule == rule.rule:
            continue
        made_by = cause(rule, wanted.marker_digest)
        if made_by == "drift":
            drifted.append((rule, wanted))
        elif made_by == "both":
            session.output.warn(f"{address} is left as it is: its manifest moved on too. Name it to keep what is live.")
    _keep(session, live, tenant, drifted)


def keep_named(session: Session, live: Live, tenant: Tenant, asked: Sequence[LiveRule]) -> None:
    """Keep these rules. Raises RefusedError where one is not ours, is in no manifest, or was not changed in CXone."""
    managed = {rule.id: address for address, rule in own(live.rules, tenant.desired.owner).managed.items()}
    drifted, refused = [], []
    for rule in asked:
        address = managed.get(rule.id)
        wanted = tenant.desired.rules.get(address) if address else None
        if wanted is None:
            refused.append(f'"{plain(rule.rule.name)}" is in no manifest: export it without --write')
        elif rule.rule == wanted.rule:
            session.output.note(f"{address} is as its manifest says.")
        elif cause(rule, wanted.marker_digest) == "manifest":
            refused.append(f"{address} was not changed in CXone: its manifest moved on, and is not applied yet")
        else:
            drifted.append((rule, wanted))
    if refused:
        raise RefusedError(f"nothing was written: {'; '.join(refused)}")
    _keep(session, live, tenant, drifted)


def _keep(session: Session, live: Live, tenant: Tenant, drifted: Sequence[tuple[LiveRule, DesiredRule]]) -> None:
    if not drifted:
        session.output.note("Nothing to keep: no rule of ours was changed in CXone.")
        return
    found = _edits(session, tenant, drifted)
    changed = texts(found, session.manifests)
    _prove(session, live, found, changed)
    _write(changed, session.manifests)
    session.introduce()
    for one in found:
        session.output.result(
            f"{one.desired.address}   {_place(one.desired)}: {', '.join([*one.changed, *one.gone])}\n"
        )
    rules = counted(len(found), "rule")
    session.output.result(
        f"Proved: the manifests now say what is live of {rules}; no other rule and no other environment changes.\n"
        f"Next: {session.command('plan')}\n"
    )


def _edits(session: Session, tenant: Tenant, drifted: Sequence[tuple[LiveRule, DesiredRule]]) -> list[Kept]:
    """Return the edits of every rule. Raises RefusedError with all rules for which there are none."""
    found, refused = [], []
    for rule, wanted in drifted:
        try:
            found.append(keeping(rule, wanted, session.manifests, tenant))
        except NotWritableError as error:
            refused.append(f"{wanted.address} ({_place(wanted)}): {plain(str(error))}")
    if refused:
        raise RefusedError(f"nothing was written: {'; '.join(refused)}")
    return found


def _prove(session: Session, live: Live, found: Sequence[Kept], changed: Mapping[str, str]) -> None:
    """Read back what is to be written: just these rules change, in this environment alone. Raises RefusedError."""
    try:
        manifests = load_with(Path(session.directory), {file: text.encode() for file, text in changed.items()})
        after = replace(session, manifests=manifests).desired(live)
    except ManifestError as error:
        where = plain(error.findings[0].message)
        raise CxrouteError(f"nothing was written: the manifests would no longer be valid ({where})") from error
    wrong = unlike(session.desired(live), after, {one.desired.address: one.live for one in found})
    if wrong:
        raise CxrouteError(f"nothing was written: {wrong[0]} would not say what it is to say")
    touched = dict(_elsewhere(session.manifests, manifests, session.environment.name))
    if touched:
        raise RefusedError(_by_hand(found, touched))


def _elsewhere(before: Manifests, after: Manifests, here: str) -> Iterator[tuple[str, list[Address]]]:
    """Yield every other environment that would change, and its rules; the sandbox is nobody's."""
    for name in before.environments:
        if name in (here, SANDBOX):
            continue
        try:
            wrong = unlike(_offline(before, name), _offline(after, name), {})
        except ManifestError as error:
            raise RefusedError(f"nothing was written: what {name} would get is not known ({error})") from error
        if wrong:
            yield name, wrong


def _offline(manifests: Manifests, name: str) -> Desired:
    catalogue = AssumedCatalogue(name, aliases(manifests, name))
    return desire(manifests, manifests.environments[name].document, catalogue)


def _by_hand(found: Sequence[Kept], touched: Mapping[str, Sequence[Address]]) -> str:
    """Say which environments would get the values too, and what to write where that is meant, or where it is not."""
    lines = [f"nothing was written: {' and '.join(touched)} would get these values too. By hand, write"]
    for one in found:
        if any(one.desired.address in addresses for addresses in touched.values()):
            lines.append(f"  {one.desired.address}   {_place(one.desired)}")
            lines += mapping(one.changed, 6)
            lines += [f"      (without {name})" for name in one.gone]
    lines.append("if that is meant, or give this environment a rule of its own there (`environments`).")
    return "\n".join(lines)


def _write(changed: Mapping[str, str], manifests: Manifests) -> None:
    """Write the files in place of those that were read. Raises RefusedError where one is no longer as it was read."""
    refuse_secrets(changed)
    read = {loaded.file: loaded.origin.text.text for loaded in manifests.rulesets}
    whole = {}
    for file, text in changed.items():
        path = Path(file).resolve()
        try:
            there = read_file(path, LARGEST).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise CxrouteError(f"nothing was written: {file} cannot be read") from error
        mark = "\ufeff" if there.startswith("\ufeff") else ""
        if there != mark + read[file]:
            raise RefusedError(f"nothing was written: {file} was changed meanwhile. Run this again")
        whole[path] = mark + text
    write_all(whole)


def _place(desired: DesiredRule) -> str:
    return f"{desired.source.file}:{desired.source.line}" if desired.source else ""
