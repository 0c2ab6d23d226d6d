"""Manifests from live rules, and edits of manifests, as files: written only after a proof, all or none."""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from reconciler.cli.command_line import SIMULATED, utc_now
from reconciler.cli.commands.init import SCHEMA
from reconciler.cli.files import new_folder, refuse_secrets, write_all
from reconciler.cli.session import Session
from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.queues import QueueResolver, resolve_aliases
from reconciler.core.errors import CxrouteError, ManifestError, RefusedError, UsageError
from reconciler.core.export import export as exports
from reconciler.core.export.export import (
    ExportedManifests,
    ExportVerification,
    ManifestHeader,
    TenantSnapshot,
)
from reconciler.core.export.names import find_free_name
from reconciler.core.manifest.kinds.environment import SANDBOX
from reconciler.core.manifest.load import Manifests, load_with_changes
from reconciler.core.manifest.yaml_reader import MAX_FILE_BYTES
from reconciler.core.model.live import LiveRule
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.ownership import classify_by_owner
from reconciler.core.plan.stages import LiveState
from reconciler.core.text.escape import pluralize, sanitize
from reconciler.core.text.files import read_file
from reconciler.render.effects import summarize_effects
from reconciler.render.text.effects import effects_lines, headline_lines
from reconciler.version import __version__


def snapshot(session: Session, live: LiveState) -> TenantSnapshot:
    """Return the live rules beside the manifests. Raises ManifestError."""
    environment = session.environment
    desired = session.planner(live).desired
    aliases = resolve_aliases(session.manifests, environment.name)
    return TenantSnapshot(
        rules=live.rules,
        queues=live.queues,
        resolver=QueueResolver(environment.name, aliases, live.queues),
        environment=environment,
        desired=desired,
    )


_MAX_LISTED: Final = 20


class ExportTarget(NamedTuple):
    """A file or a folder, or None for stdout; `manifests` is the directory of -m."""

    path: Path | None
    is_folder: bool
    manifests: Path

    @property
    def read(self) -> bool:
        """Return whether cxroute reads the target, because it is below the manifests' directory."""
        return self.path is not None and self.path.resolve().is_relative_to(
            self.manifests.resolve()
        )

    def texts(
        self, exported: ExportedManifests, header: ManifestHeader
    ) -> dict[str, str]:
        """Return the files' texts by their paths. Raises UsageError for a file that exists."""
        if self.path and self.is_folder:
            files = exports.format_files(exported, header)
            texts = {self.path / name: text for name, text in files.items()}
            for path in texts:
                _refuse_existing(path)
        else:
            path = self.path or self.manifests / "exported.yaml"
            texts = {path: exports.format_one_file(exported, header)}

        schema = self.manifests / SCHEMA
        if self.read and schema.exists():
            for path, text in texts.items():
                schema_path = os.path.relpath(schema, path.parent)
                head = f"# yaml-language-server: $schema={schema_path}"
                texts[path] = f"{head}\n{text}"
        return {path.as_posix(): text for path, text in texts.items()}


def parse_target(text: str | None, manifests: Path) -> ExportTarget:
    """Return the target of --into.

    Raises UsageError for a file that exists, or that cxroute would not read.
    """
    if text is None:
        return ExportTarget(None, is_folder=False, manifests=manifests)
    path = Path(text)
    if text.endswith(("/", os.sep)) or path.is_dir():
        return ExportTarget(path, is_folder=True, manifests=manifests)
    if path.suffix not in (".yaml", ".yml"):
        raise UsageError(
            f"--into {sanitize(text)}: the name of a file must end in .yaml, the name of a folder "
            f"in /"
        )
    _refuse_existing(path)
    return ExportTarget(path, is_folder=False, manifests=manifests)


def _refuse_existing(path: Path) -> None:
    """Raise UsageError where the path exists: files are never overwritten."""
    if path.exists() or path.is_symlink():
        name = sanitize(str(path))
        raise UsageError(
            f"{name} exists already; nothing was written. Choose another file, or move this one"
        )


def export_new(
    session: Session,
    tenant: TenantSnapshot,
    rules: Sequence[LiveRule],
    into: ExportTarget,
) -> ExportedManifests:
    """Write manifests for the rules, except for rules that have one or cannot have one; return the
    export.
    """
    rulesets = {
        loaded.document.name: loaded.file for loaded in session.manifests.rulesets
    }
    owned = classify_by_owner(tenant.rules, tenant.desired.owner)
    chosen = exports.select_rules(rules, owned, tenant.desired, rulesets)
    composed = exports.export_rules(
        chosen.rules,
        tenant,
        {*rulesets, *(address.ruleset for address in owned.managed)},
    )
    exported = replace(composed, skipped=(*chosen.skipped, *composed.skipped))
    _print_skipped(session, exported, chosen)
    if not exported.rules:
        count = pluralize(len(chosen.already_in_manifests), "rule")
        hint = (
            f"; the manifests define {count} already (-v lists them)"
            if chosen.already_in_manifests
            else ""
        )
        session.output.note(f"Nothing to export from {session.environment.name}{hint}.")
        return exported
    proof, _ = write_new(session, tenant, exported, into)
    _print_result(session, exported, proof, into)
    return exported


def write_new(
    session: Session,
    tenant: TenantSnapshot,
    exported: ExportedManifests,
    into: ExportTarget,
) -> tuple[ExportVerification, tuple[Manifests, DesiredState]]:
    """Print or write manifests, after a proof that they have the live rules; return it, and what
    they are then.
    """
    texts = into.texts(exported, _header(session))
    refuse_secrets({Path(path): text for path, text in texts.items()})
    try:
        after = plan_with(session, tenant, texts)
        proof = exports.verify_export(exported, tenant, after[1])
    except (ManifestError, exports.ExportMismatchError) as error:
        reason = str(error)
        if isinstance(error, ManifestError):
            reason = error.findings[0].message
        mismatch = "the exported manifests would not match the live rules"
        raise CxrouteError(
            f"nothing was written: {mismatch} ({sanitize(reason)})"
        ) from error
    _write_files(session, texts, into)
    return proof, after


def _write_files(
    session: Session, texts: Mapping[str, str], into: ExportTarget
) -> None:
    if into.path is None:
        session.output.file_text("".join(texts.values()))
        return
    for path in texts:
        new_folder(Path(path).parent)
    write_all({Path(path): text for path, text in texts.items()})
    session.print_banner()
    session.output.result("".join(f"wrote {path}\n" for path in texts))


def _header(session: Session) -> ManifestHeader:
    environment = session.environment.name
    is_only = session.manifests.environments.keys() <= {environment, SANDBOX}
    environments = () if is_only else (environment,)

    prefix = f"{SIMULATED.strip()} " if session.simulated else ""
    read_at = f"{utc_now():%Y-%m-%d %H:%M} UTC"
    origin = f"Live rules of {environment} ({session.tenant})"
    head = f"{prefix}{origin}, read {read_at} by cxroute {__version__}."

    names = {loaded.document.name for loaded in session.manifests.queues}
    queues = find_free_name("queues", names)
    return ManifestHeader(head, environments, queues)


def plan_with(
    session: Session, tenant: TenantSnapshot, changed: Mapping[str, str]
) -> tuple[Manifests, DesiredState]:
    """Return the manifests with the changed files, and their desired rules.

    Raises ManifestError.
    """
    contents = {file: text.encode() for file, text in changed.items()}
    manifests = load_with_changes(
        Path(session.directory), contents, session.manifests.instant
    )
    live = LiveState(tenant.rules, tenant.queues)
    planner = replace(session, manifests=manifests).planner(live)
    return manifests, planner.desired


def _print_skipped(
    session: Session, exported: ExportedManifests, chosen: exports.ExportSelection
) -> None:
    output = session.output
    lines = exports.describe_skipped(exported.skipped)
    limit = len(lines) if output.loudness == "verbose" else _MAX_LISTED
    for line in lines[:limit]:
        output.warn(f"skipped: {line}")
    if len(lines) > limit:
        output.warn(f"and {len(lines) - limit:,} more rules are skipped; -v lists them")
    for line in exports.describe_skipped(chosen.already_in_manifests):
        output.detail(f"in the manifests already: {line}")


def _print_result(
    session: Session,
    exported: ExportedManifests,
    proof: ExportVerification,
    into: ExportTarget,
) -> None:
    rules = pluralize(len(exported.rules), "rule")
    rulesets = pluralize(len(exported.rulesets), "RuleSet")
    lines = [f"{rules} in {rulesets}.", *_proof_lines(session, proof)]
    if proof.other_changes:
        changes = pluralize(proof.other_changes, "other change")
        lines.append(
            f"The other manifests lead to {changes}, which this export does not include; `plan` "
            f"shows all changes."
        )
    move = "" if into.read else f"put it below {session.directory}/, then "
    lines.append(f"Next: {move}{session.command_line.command('plan')}")
    for line in lines:
        if into.path is None:
            session.output.note(line)
        else:
            session.output.result(f"{line}\n")


def _proof_lines(session: Session, proof: ExportVerification) -> list[str]:
    """Return what the next apply does with the exported rules."""
    adopted = f"{pluralize(proof.adoptions, 'rule')} unchanged"
    if proof.renamed:
        adopted += f"; {proof.renamed:,} of them get an explicit name (`name`)"
    if proof.behaviour.complete:
        return [
            f"Verified: the next apply adopts {adopted}, and no conversation is routed differently."
        ]
    summary = summarize_effects(
        Impact(proof.behaviour), {}, proof.labels, values=session.limits.values
    )
    return [
        f"The next apply adopts {adopted}.",
        *headline_lines(summary, session.output.paint),
        *effects_lines(summary, session.output.paint),
    ]


def replace_files(changed: Mapping[str, str], manifests: Manifests) -> None:
    """Replace files of manifests.

    Raises RefusedError if one is read-only, or has changed since it was read.
    """
    refuse_secrets({Path(file): text for file, text in changed.items()})
    loaded_texts = {
        loaded.file: loaded.source_map.text.text for loaded in manifests.rulesets
    }
    texts = {}
    for file, text in changed.items():
        path = Path(file).resolve()
        try:
            current = read_file(path, MAX_FILE_BYTES).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise CxrouteError(f"nothing was written: {file} cannot be read") from error
        mark = "\ufeff" if current.startswith("\ufeff") else ""
        if current != mark + loaded_texts[file]:
            raise RefusedError(
                f"nothing was written: {file} changed meanwhile. Run the command again"
            )
        # the replacement of a file ignores this
        if not path.stat().st_mode & stat.S_IWUSR:
            raise RefusedError(f"nothing was written: {file} is read-only")
        texts[path] = mark + text
    write_all(texts)
