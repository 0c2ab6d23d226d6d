"""Live rules that no manifest has -> manifests: chosen, composed, proved, and only then printed or written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler import __version__
from reconciler.catalogue import Catalogue, aliases
from reconciler.cli.destination import refuse_secrets
from reconciler.cli.environments import SIMULATED
from reconciler.errors import CxrouteError, ManifestError
from reconciler.export.choose import choose
from reconciler.export.export import Tenant, export
from reconciler.export.proof import NotProvenError, prove
from reconciler.export.text import Setting, told
from reconciler.export.words import free
from reconciler.manifest.environment import SANDBOX
from reconciler.manifest.load import load_with
from reconciler.ownership import own
from reconciler.render.affected import affected
from reconciler.render.behaviour_text import behaviour_lines
from reconciler.words import counted, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.change import LiveRule
    from reconciler.cli.destination import Destination
    from reconciler.cli.session import Session
    from reconciler.export.choose import Chosen
    from reconciler.export.export import Exported
    from reconciler.export.proof import Proof
    from reconciler.plan import Live

_MOST_TOLD: Final = 20


def export_new(session: Session, live: Live, tenant: Tenant, asked: Sequence[LiveRule], into: Destination) -> Exported:
    """Write the manifests of the rules that were asked for, as far as they have none and can have one; return those."""
    rulesets = _rulesets(session)
    owned = own(live.rules, tenant.desired.owner)
    chosen = choose(asked, owned, tenant.desired, rulesets)
    composed = export(chosen.rules, tenant, {*rulesets, *(address.ruleset for address in owned.managed)})
    made = replace(composed, left_out=(*chosen.left_out, *composed.left_out))
    _tell_left_out(session, made, chosen)
    if not made.rules:
        _say_nothing(session, chosen)
        return made
    texts = into.texts(made, _setting(session))
    refuse_secrets(texts)
    proof = _proof(session, live, tenant, made, texts)
    if into.printed:
        session.output.file_text("".join(texts.values()))
    else:
        into.write(texts)
        session.introduce()
        session.output.result("".join(f"wrote {path}\n" for path in texts))
    _conclude(session, made, proof, into)
    return made


def tenant(session: Session, live: Live) -> Tenant:
    """Return what was read beside what the manifests say of it. Raises ManifestError."""
    name = session.environment.name
    catalogue = Catalogue(name, aliases(session.manifests, name), live.queues)
    return Tenant(live.rules, live.queues, catalogue, session.environment, session.desired(live))


def _rulesets(session: Session) -> Mapping[str, str]:
    """Return the file of each RuleSet that there is, whatever environment it is for."""
    return {loaded.document.name: loaded.file for loaded in session.manifests.rulesets}


def _setting(session: Session) -> Setting:
    """Say what stands in every file: where the rules are from, and where they apply if not everywhere."""
    environment = session.environment.name
    others = {name for name in session.manifests.environments if name not in {environment, SANDBOX}}
    names = {loaded.document.name for loaded in session.manifests.queues}
    where = f"{environment} ({session.tenant})"
    head = f"Live rules of {where}, read {session.clock():%Y-%m-%d %H:%M} UTC by cxroute {__version__}."
    if session.simulated:
        head = f"{SIMULATED.strip()} {head}"
    return Setting(head, (environment,) if others else (), free("queues", names))


def _proof(session: Session, live: Live, tenant: Tenant, made: Exported, texts: Mapping[str, str]) -> Proof:
    """Read back what is to be written, beside all other manifests, and hold it against what is live."""
    changed = {path: text.encode() for path, text in texts.items()}
    try:
        manifests = load_with(Path(session.directory), changed)
        return prove(made, tenant, replace(session, manifests=manifests).desired(live))
    except (ManifestError, NotProvenError) as error:
        what = error.findings[0].message if isinstance(error, ManifestError) else str(error)
        raise CxrouteError(
            f"nothing was written: read back, the manifests would not say what is live ({plain(what)})"
        ) from error


def _tell_left_out(session: Session, made: Exported, chosen: Chosen) -> None:
    """Say on stderr which rules are left out, and why; under -v also which ones the manifests have."""
    lines = told(made.left_out)
    shown = lines if session.output.loudness == "verbose" else lines[:_MOST_TOLD]
    for line in shown:
        session.output.warn(f"left out: {line}")
    if len(lines) > len(shown):
        session.output.warn(f"and {len(lines) - len(shown):,} more are left out; -v says which")
    for line in told(chosen.there):
        session.output.detail(f"there already: {line}")


def _say_nothing(session: Session, chosen: Chosen) -> None:
    """Say that there is nothing to write."""
    there = f"; {counted(len(chosen.there), 'rule')} the manifests have already (-v says where)" if chosen.there else ""
    session.output.note(f"Nothing to export from {session.environment.name}{there}.")


def _conclude(session: Session, made: Exported, proof: Proof, into: Destination) -> None:
    """Say what was exported, what is proved of it, and what to do next; on stderr where stdout has the manifests."""
    lines = [f"{counted(len(made.rules), 'rule')} in {counted(len(made.groups), 'RuleSet')}.", *_proved(session, proof)]
    if proof.others:
        changes = counted(proof.others, "other change")
        lines.append(f"The manifests that were there want {changes}, which this is not about; plan shows all of it.")
    if into.read:
        lines.append(f"Next: {session.command('plan')}")
    else:
        lines.append(f"Next: put it below {session.directory}/, then {session.command('plan')}")
    for line in lines:
        if into.printed:
            session.output.note(line)
        else:
            session.output.result(f"{line}\n")


def _proved(session: Session, proof: Proof) -> list[str]:
    """Say that nobody is moved, or for whom that is not known."""
    taken_over = f"{counted(proof.adoptions, 'rule')} as {'it is' if proof.adoptions == 1 else 'they are'}"
    renamed = f"; {proof.renamed:,} of them get a name of their own (`name`)" if proof.renamed else ""
    if proof.behaviour.complete:
        return [f"Proved: the next apply takes over {taken_over}{renamed}, and no conversation goes elsewhere."]
    told = affected(proof.behaviour, {}, proof.labels, most=session.most)
    return [f"The next apply takes over {taken_over}{renamed}.", *behaviour_lines(told, session.output.paint)]
