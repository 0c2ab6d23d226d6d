"""The hook `init_files`: pipelines for a forge, which `init --github` and its kin write."""

import argparse
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from itertools import chain
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from reconciler.cli.clients import needed_variables
from reconciler.cli.commands.init import manifest_steps
from reconciler.cli.files import write_new, write_text
from reconciler.cli.hooks import InitFiles, WriteFiles
from reconciler.cli.output import Output
from reconciler.core.errors import CxrouteError, UsageError
from reconciler.core.manifest.kinds.environment import SANDBOX, Environment
from reconciler.core.manifest.kinds.fields import parse_duration
from reconciler.core.manifest.load import load_manifests
from reconciler.core.text.files import MIB, read_file
from reconciler.features.forge import pipeline_files as pipelines
from reconciler.features.forge.pipeline_files import (
    PIPELINES,
    DateRuns,
    PipelineKind,
    PipelineSettings,
    cron_of,
)
from reconciler.features.forge.rollout import order_environments


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineOptions(InitFiles):
    """The options for pipelines. Edited pipelines are kept, others are updated."""

    forge: str | None
    action: str | None

    @staticmethod
    def add_options(parser: argparse.ArgumentParser) -> None:
        """Add an option for each forge."""
        forges = parser.add_mutually_exclusive_group()
        for kind in PIPELINES.values():
            text = (
                f"also write pipelines for {kind.forge}; existing manifests and edited pipelines are "
                f"kept"
            )
            forges.add_argument(
                f"--{kind.option}",
                action="store_const",
                const=kind.option,
                dest="forge",
                help=text,
            )
        source = (
            "source of cxroute for the workflows (default: that of this installation, or of the "
            "existing workflows)"
        )
        parser.add_argument("--action", metavar="OWNER/REPO@COMMIT", help=source)

    def prepare(self, directory: Path) -> WriteFiles | None:
        """Check the pipelines. Raises UsageError and CxrouteError."""
        kind = PIPELINES[self.forge] if self.forge else None
        if self.action and (kind is None or kind.option != "github"):
            raise UsageError(
                "--action has no effect without --github, which writes the workflows"
            )
        if kind is None:
            return None
        _check_pipelines(kind, directory, self.action)
        return partial(_write_pipelines, kind, directory, self.action)


PIPELINE_FILES: Final[type[InitFiles]] = PipelineOptions


def _check_pipelines(kind: PipelineKind, directory: Path, action: str | None) -> None:
    """Raise UsageError if pipelines cannot be written, or --action has no effect, before anything
    is written.
    """
    source = action or _installed_from() or pipelines.UNKNOWN_ACTION
    pipelines.check_settings(kind, PipelineSettings(source, directory.as_posix(), ()))
    existing = _existing_pipelines(kind)
    if (
        action
        and existing.keys() >= set(kind.files)
        and all(map(pipelines.is_edited, existing.values()))
    ):
        stale = [
            name
            for name, text in existing.items()
            if pipelines.current_action(text) != action
        ]
        if stale:
            remedy = f"Put `uses: {action}` there, or delete the files and run this command again"
            edited = (
                f"edited workflows are kept, and these are edited: {', '.join(stale)}"
            )
            raise UsageError(f"--action has no effect: {edited}. {remedy}")


def _existing_pipelines(kind: PipelineKind) -> dict[str, str]:
    try:
        existing = {
            name: read_file(Path(name), MIB)
            for name in kind.all_files
            if Path(name).exists()
        }
    except OSError as error:
        raise CxrouteError(f"cannot read {error.filename}: {error.strerror}") from error
    return {
        name: data.decode(errors="replace").replace("\r\n", "\n")
        for name, data in existing.items()
    }


def _write_pipelines(
    kind: PipelineKind,
    directory: Path,
    action: str | None,
    output: Output,
) -> None:
    needed = credentials_by_environment(directory)
    existing = _existing_pipelines(kind)
    settings = PipelineSettings(
        action or _installed_from() or _current_action(existing),
        directory.as_posix(),
        _credential_variables(needed),
        tuple(needed) or ("prod",),
        date_runs(directory),
    )
    for name, text in tuple(pipelines.build_pipelines(kind, settings)):
        result = _write_pipeline(Path(name), text, existing.get(name))
        output.result(f"{result}\n")

    steps = _next_steps(kind, directory, needed, settings.dates)
    page = pipelines.setup_page(kind)
    lines = [f"  {number}. {step}\n" for number, step in enumerate(steps, 1)]
    output.result(f"\nSet up {kind.forge} in this order ({page}):\n{''.join(lines)}")


def _next_steps(
    kind: PipelineKind,
    directory: Path,
    needed: Mapping[str, tuple[str, ...]],
    dates: DateRuns | None,
) -> list[str]:
    """Return what the user does after the files are written."""
    steps = [
        *manifest_steps(directory, needed),
        *pipelines.setup_steps(kind, needed, dates),
    ]
    if dates is None and kind.dates_file and Path(kind.dates_file).exists():
        steps = [f"delete {kind.dates_file}: no Environment has a `schedule`", *steps]
    if kind.option == "github":
        steps = [*_action_steps(kind, directory), *steps]
    return steps


def _credential_variables(needed: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Return the variables of all environments, sorted; those of a client without manifests."""
    if not needed:
        return ("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET")
    return tuple(sorted(set(chain.from_iterable(needed.values()))))


def _current_action(existing: Mapping[str, str]) -> str:
    """Return the action that existing workflows use, or `UNKNOWN_ACTION`."""
    for text in existing.values():
        action = pipelines.current_action(text)
        if action not in (None, pipelines.UNKNOWN_ACTION):
            return action
    return pipelines.UNKNOWN_ACTION


def _write_pipeline(path: Path, text: str, before: str | None) -> str:
    """Write a pipeline, unless it was edited, and return what was done."""
    if before is None:
        write_new(path, text)
        return f"wrote {path}"
    if before == text:
        return f"unchanged {path}"
    if pipelines.is_edited(before):
        return f"kept {path}, which was edited"
    write_text(path, text)
    return f"rewrote {path}"


def _action_steps(kind: PipelineKind, directory: Path) -> Iterator[str]:
    placeholder = pipelines.UNKNOWN_ACTION
    unknown = {
        name: pipelines.is_edited(text)
        for name, text in _existing_pipelines(kind).items()
        if placeholder in text
    }
    folder = "" if str(directory) == "manifests" else f" {shlex.quote(str(directory))}"
    if not all(unknown.values()):
        command = f"cxroute init{folder} --github --action OWNER/cxroute@COMMIT"
        yield (
            f"replace {placeholder} with the repository of your cxroute and the hash of a commit "
            f"in it: {command}"
        )
    edited = [name for name, is_edited in unknown.items() if is_edited]
    if edited:
        yield f"replace {placeholder} in {', '.join(edited)}"


def credentials_by_environment(directory: Path) -> dict[str, tuple[str, ...]]:
    """Return the variables of the credentials by environment, production last.

    Raises ManifestError.
    """
    documents = _tenants_environments(directory)
    return {
        name: needed_variables(documents[name])
        for name in order_environments(documents)
    }


def date_runs(directory: Path) -> DateRuns | None:
    """Return the runs that the `schedule` of the Environments asks for; None without any.

    Raises ManifestError.
    """
    documents = _tenants_environments(directory)
    dated = [name for name in order_environments(documents) if documents[name].schedule]
    if not dated:
        return None
    schedules = [documents[name].schedule for name in dated]
    shortest = min(parse_duration(each.every) for each in schedules if each)
    return DateRuns(cron_of(shortest), tuple(dated))


def _tenants_environments(directory: Path) -> dict[str, Environment]:
    """Return all Environments but the sandbox, by name. Raises ManifestError."""
    return {
        name: loaded.document
        for name, loaded in load_manifests(directory).environments.items()
        if name != SANDBOX
    }


def _installed_from() -> str | None:
    """Return the repository and commit of this installation, if pip recorded an address on
    GitHub.
    """
    try:
        text = distribution("cxroute").read_text("direct_url.json")
        return action_of(json.loads(text or "{}"))
    except (PackageNotFoundError, ValueError):
        return None


def action_of(form: Mapping[str, Any]) -> str | None:
    """Return OWNER/REPO@COMMIT from the record of pip, or None for another kind of source."""
    commit = (form.get("vcs_info") or {}).get("commit_id")
    place = urlsplit(str(form.get("url", "")))
    if not commit or place.hostname != "github.com":
        return None
    repository = place.path.strip("/").removesuffix(".git")
    return f"{repository}@{commit}"
