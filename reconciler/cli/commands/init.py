"""`cxroute init`: a first set of manifests that works in the sandbox; with --github and others,
also pipelines.
"""

import argparse
import json
import shlex
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from reconciler.cli.clients import credential_variables
from reconciler.cli.files import write_new, write_text
from reconciler.cli.output import Output
from reconciler.errors import CxrouteError, UsageError
from reconciler.forge import pipeline_files as pipelines
from reconciler.forge.pipeline_files import PIPELINES, PipelineKind, PipelineSettings
from reconciler.forge.rollout import order_environments
from reconciler.manifest.documents import manifest_schema_text
from reconciler.manifest.kinds.environment import SANDBOX
from reconciler.manifest.load import load_manifests
from reconciler.text.files import MIB, read_file

SCHEMA: Final = ".schema/manifest.v1.json"
_STARTER: Final = (
    "environments/sandbox",
    "environments/prod",
    "queues",
    "routing",
    "intents",
    "tests",
)


def options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "directory",
        nargs="?",
        metavar="DIR",
        help="directory to create (default: that of -m, manifests)",
    )
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
    add("--action", metavar="OWNER/REPO@COMMIT", help=source)


def run(options: argparse.Namespace, output: Output) -> int:
    """Write the files.

    Existing files are kept, except for unedited pipelines, which are updated.
    """
    kind = PIPELINES.get(options.forge)
    if options.action and (kind is None or kind.option != "github"):
        raise UsageError(
            "--action has no effect without --github, which writes the workflows"
        )
    if options.directory and options.manifests not in ("manifests", options.directory):
        raise UsageError(
            f"-m {options.manifests} has no effect with {options.directory}: remove one of them"
        )
    directory = Path(options.directory or options.manifests)
    texts = dict(_starter())
    existing = [
        directory / name for name in texts if (directory / name).exists()
    ] or sorted(directory.rglob("*.y*ml"))
    if existing and kind is None:
        raise UsageError(
            f"{existing[0]} already exists; nothing was written. Choose another directory."
        )
    if kind:
        _check_pipelines(kind, directory, options.action)
    for name, text in {} if existing else texts.items():
        write_new(directory / name, text)
        output.result(f"wrote {directory / name}\n")
    if kind:
        _write_pipelines(kind, directory, options.action, output)
    if not existing:
        chosen = (
            ""
            if str(directory) == "manifests"
            else f" -m {shlex.quote(str(directory))}"
        )
        for step in _manifest_steps(directory, {"": ()}):
            output.result(
                f"\nBefore `cxroute validate`, and the pre-commit hook that runs it, can pass: "
                f"{step}\n"
            )
        output.result(
            f"\nNext: cxroute{chosen} plan   (in the sandbox: simulated, no tenant is contacted)\n"
        )
    return 0


def _starter() -> Iterator[tuple[str, str]]:
    """Yield each file's name and text; the first line gives editors the path of the schema."""
    for name in map("{}.yaml".format, _STARTER):
        text = files("reconciler").joinpath("starter", name).read_text(encoding="utf-8")
        yield (
            name,
            f"# yaml-language-server: $schema={'../' * name.count('/')}{SCHEMA}\n{text}",
        )
    yield SCHEMA, manifest_schema_text()


def _check_pipelines(kind: PipelineKind, directory: Path, action: str | None) -> None:
    """Raise UsageError if pipelines cannot be written, or --action has no effect, before anything
    is written.
    """
    source = action or _installed_from() or pipelines.UNKNOWN_ACTION
    pipelines.check_settings(kind, PipelineSettings(source, directory.as_posix(), ()))
    existing = _existing_pipelines(kind)
    if (
        action
        and len(existing) == len(kind.files)
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
            for name in kind.files
            if Path(name).exists()
        }
    except OSError as error:
        raise CxrouteError(f"cannot read {error.filename}: {error.strerror}") from error
    return {
        name: data.decode(errors="replace").replace("\r\n", "\n")
        for name, data in existing.items()
    }


def _write_pipelines(
    kind: PipelineKind, directory: Path, action: str | None, output: Output
) -> None:
    needed = credentials_by_environment(directory)
    named = needed.values() or [("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET")]
    variables = tuple(sorted({name for names in named for name in names}))
    existing = _existing_pipelines(kind)
    used = map(pipelines.current_action, existing.values())
    known = next(
        (name for name in used if name not in (None, pipelines.UNKNOWN_ACTION)),
        pipelines.UNKNOWN_ACTION,
    )
    source = action or _installed_from() or known
    settings = PipelineSettings(
        source, directory.as_posix(), variables, tuple(needed) or ("prod",)
    )
    for name, text in tuple(pipelines.build_pipelines(kind, settings)):
        path, before = Path(name), existing.get(name)
        if before is None:
            write_new(path, text)
            output.result(f"wrote {path}\n")
        elif before == text:
            output.result(f"unchanged {path}\n")
        elif pipelines.is_edited(before):
            output.result(f"kept {path}, which was edited\n")
        else:
            write_text(path, text)
            output.result(f"rewrote {path}\n")
    steps = [*_manifest_steps(directory, needed), *pipelines.setup_steps(kind, needed)]
    if kind.option == "github":
        steps = [*_action_steps(kind, directory), *steps]
    lines = [f"  {number}. {step}" for number, step in enumerate(steps, 1)]
    output.result(
        "\n".join(
            [
                "",
                f"Set up {kind.forge} in this order ({pipelines.setup_page(kind)}):",
                *lines,
                "",
            ]
        )
    )


def _action_steps(kind: PipelineKind, directory: Path) -> Iterator[str]:
    placeholder, existing = pipelines.UNKNOWN_ACTION, _existing_pipelines(kind)
    unknown = {
        name: pipelines.is_edited(text)
        for name, text in existing.items()
        if placeholder in text
    }
    where = "" if str(directory) == "manifests" else f" {shlex.quote(str(directory))}"
    if not all(unknown.values()):
        command = f"cxroute init{where} --github --action OWNER/cxroute@COMMIT"
        yield (
            f"replace {placeholder} with the repository of your cxroute and the hash of a commit "
            f"in it: {command}"
        )
    if edited := [name for name, by_hand in unknown.items() if by_hand]:
        yield f"replace {placeholder} in {', '.join(edited)}"


def _manifest_steps(
    directory: Path, credentials: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    for loaded in load_manifests(directory).environments.values():
        if loaded.document.is_placeholder:
            yield f"{loaded.file}: replace the placeholder of `tenant`"
    if not credentials:
        yield "add an Environment to the manifests, with `owner` and `tenant`"


def credentials_by_environment(directory: Path) -> dict[str, tuple[str, ...]]:
    """Return the variables of the credentials by environment, production last.

    Raises ManifestError.
    """
    documents = {
        name: loaded.document
        for name, loaded in load_manifests(directory).environments.items()
    }
    documents.pop(SANDBOX, None)
    names = order_environments(documents)
    return {
        name: tuple(filter(None, credential_variables(documents[name])))
        for name in names
    }


def _installed_from() -> str | None:
    """Return the repository and commit of this installation, if pip recorded an address on
    GitHub.
    """
    try:
        return action_of(
            json.loads(distribution("cxroute").read_text("direct_url.json") or "{}")
        )
    except (PackageNotFoundError, ValueError):
        return None


def action_of(form: Mapping[str, Any]) -> str | None:
    """Return OWNER/REPO@COMMIT from the record of pip, or None for another kind of source."""
    commit = (form.get("vcs_info") or {}).get("commit_id")
    place = urlsplit(str(form.get("url", "")))
    if not commit or place.hostname != "github.com":
        return None
    return f"{place.path.strip('/').removesuffix('.git')}@{commit}"
