"""`cxroute init`: a first set of manifests that works in the sandbox as it is; with --github, the workflows too."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from reconciler.cli.files import write_text
from reconciler.cli.output import Output
from reconciler.errors import CxrouteError, UsageError
from reconciler.text.files import MIB, read_file

SCHEMA: Final = ".schema/manifest.v1.json"
WORKFLOWS: Final = Path(".github/workflows")
_STARTER: Final = tuple(
    f"{name}.yaml" for name in ("environments/sandbox", "environments/prod", "queues", "routing", "intents", "tests")
)


def options(parser: argparse.ArgumentParser) -> None:
    """Add init's options."""
    add = parser.add_argument
    add("directory", nargs="?", metavar="DIR", help="where to (default: what -m says, manifests)")
    add(
        "--github",
        action="store_true",
        help="write workflows for GitHub too; manifests that are there, and edited workflows, stay as they are",
    )
    add(
        "--action",
        metavar="OWNER/REPO@COMMIT",
        help="where workflows get cxroute from (default: what it was installed from, else what the workflows say)",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Write the files. Existing files are kept, except for unedited workflows, which are updated."""
    check(options)
    directory = Path(options.directory or options.manifests)
    texts = dict(starter())
    existing = [directory / name for name in texts if (directory / name).exists()] or sorted(directory.rglob("*.y*ml"))
    if existing and not options.github:
        raise UsageError(f"{existing[0]} exists already; nothing was written. Choose another directory.")
    if options.github:
        check_workflows(directory, options.action)
    for name, text in {} if existing else texts.items():
        write(directory / name, text)
        output.result(f"wrote {directory / name}\n")
    if options.github:
        write_workflows(directory, options.action, output)
    if not existing:
        chosen = "" if str(directory) == "manifests" else f" -m {shlex.quote(str(directory))}"
        output.result(f"\nNext: cxroute{chosen} plan   (in the sandbox: simulated, no tenant is contacted)\n")
    return 0


def check(options: argparse.Namespace) -> None:
    """Refuse options that would have no effect. Raises UsageError."""
    if options.action and not options.github:
        raise UsageError("--action has no effect without --github, which writes the workflows that it is for")
    if options.directory and options.manifests not in ("manifests", options.directory):
        raise UsageError(f"-m {options.manifests} has no effect beside {options.directory}: leave out one of them")


def starter() -> Iterator[tuple[str, str]]:
    """Yield each file's name and text; the first line tells editors where the schema lies."""
    from reconciler.manifest.documents import manifest_schema  # noqa: PLC0415 - pydantic's import is not free

    source = files("reconciler") / "starter"
    for name in _STARTER:
        up = "../" * name.count("/")
        text = source.joinpath(name).read_text(encoding="utf-8")
        yield name, f"# yaml-language-server: $schema={up}{SCHEMA}\n{text}"
    yield SCHEMA, json.dumps(manifest_schema(), indent=2) + "\n"


def check_workflows(directory: Path, action: str | None) -> None:
    """Raise UsageError where workflows could not be written, or --action changes none, before anything is written."""
    from reconciler.github import workflow_files as github  # noqa: PLC0415 - not for `init` alone

    source = action or installed_from() or github.UNKNOWN_ACTION
    github.check_settings(github.WorkflowSettings(source, directory.as_posix(), ()))
    existing = existing_workflows()
    if action and len(existing) == len(github.WORKFLOW_FILES) and all(map(github.is_edited, existing.values())):
        stale = [str(WORKFLOWS / name) for name, text in existing.items() if github.current_action(text) != action]
        if stale:
            raise UsageError(
                f"--action has no effect: workflows that were edited are kept, and these are: {', '.join(stale)}."
                f" Put `uses: {action}` there by hand, or remove the files to have them written anew"
            )


def existing_workflows() -> dict[str, str]:
    """Return the text of each workflow that is there, by its file's name. Raises CxrouteError."""
    from reconciler.github.workflow_files import WORKFLOW_FILES  # noqa: PLC0415 - not for `init` alone

    try:
        return {
            name: read_file(WORKFLOWS / name, MIB).decode(errors="replace").replace("\r\n", "\n")
            for name in WORKFLOW_FILES
            if (WORKFLOWS / name).exists()
        }
    except OSError as error:
        raise CxrouteError(f"cannot read {error.filename}: {error.strerror}") from error


def write_workflows(directory: Path, action: str | None, output: Output) -> None:
    """Write each workflow that is missing or unedited, and print the steps to set up GitHub."""
    from reconciler.github import workflow_files as github  # noqa: PLC0415 - not for `init` alone
    from reconciler.manifest.load import load_manifests  # noqa: PLC0415 - likewise

    needed = credentials_by_environment(directory)
    named = needed.values() or [("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET")]
    variables = tuple(sorted({name for names in named for name in names}))
    existing = existing_workflows()
    used = map(github.current_action, existing.values())
    known = next((name for name in used if name not in (None, github.UNKNOWN_ACTION)), github.UNKNOWN_ACTION)
    source = action or installed_from() or known
    for name, text in tuple(github.build_workflows(github.WorkflowSettings(source, directory.as_posix(), variables))):
        path, before = WORKFLOWS / name, existing.get(name)
        if before is None:
            write(path, text)
            output.result(f"wrote {path}\n")
        elif before != text and not github.is_edited(before):
            write_text(path, text)
            output.result(f"rewrote {path}\n")
        elif before == text:
            output.result(f"unchanged {path}\n")
        else:
            output.result(f"kept {path}, which was edited by hand\n")
    placeholders = [
        f"{loaded.file}: replace the placeholder of `tenant`"
        for loaded in load_manifests(directory).environments.values()
        if loaded.document.is_placeholder
    ]
    steps = [*_source(directory), *placeholders, *_steps(needed)]
    lines = [f"  {number}. {step}" for number, step in enumerate(steps, 1)]
    output.result("\n".join(["", "To be set up on GitHub, in this order (docs/github.md of cxroute):", *lines, ""]))


def _source(directory: Path) -> Iterator[str]:
    from reconciler.github.workflow_files import UNKNOWN_ACTION, is_edited  # noqa: PLC0415 - not for `init` alone

    unknown = {name: is_edited(text) for name, text in existing_workflows().items() if UNKNOWN_ACTION in text}
    where = "" if str(directory) == "manifests" else f" {shlex.quote(str(directory))}"
    if not all(unknown.values()):
        yield (
            f"replace {UNKNOWN_ACTION}, by the repository that your cxroute comes from and the hash of a commit in it:"
            f" cxroute init{where} --github --action OWNER/cxroute@COMMIT"
        )
    if edited := [str(WORKFLOWS / name) for name, by_hand in unknown.items() if by_hand]:
        yield f"replace {UNKNOWN_ACTION} by hand in {', '.join(edited)}"


def credentials_by_environment(directory: Path) -> dict[str, tuple[str, ...]]:
    """Return the variables of the credentials that each environment needs, by its name. Raises ManifestError."""
    from reconciler.cli.clients import credential_variables  # noqa: PLC0415 - not for `init` alone
    from reconciler.manifest.kinds.environment import SANDBOX  # noqa: PLC0415 - not for `init` alone
    from reconciler.manifest.load import load_manifests  # noqa: PLC0415 - likewise

    documents = {name: loaded.document for name, loaded in load_manifests(directory).environments.items()}
    documents.pop(SANDBOX, None)
    return {name: tuple(filter(None, credential_variables(document))) for name, document in documents.items()}


def installed_from() -> str | None:
    """Return the repository and commit that this cxroute was installed from, where pip noted a place on GitHub."""
    try:
        form = json.loads(distribution("cxroute").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return None
    return action_of(form)


def action_of(form: Mapping[str, Any]) -> str | None:
    """Return OWNER/REPO@COMMIT out of what pip noted; None where it is of another kind."""
    commit = (form.get("vcs_info") or {}).get("commit_id")
    place = urlsplit(str(form.get("url", "")))
    if not commit or place.hostname != "github.com":
        return None
    return f"{place.path.strip('/').removesuffix('.git')}@{commit}"


def _steps(credentials: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    if not credentials:
        yield "the manifests: an Environment that is not the sandbox, with `owner` and `tenant`"
        return
    for name, variables in credentials.items():
        secrets = " and ".join(variables)
        yield f"environment cxone-{name}-plan: secrets {secrets}, of a client that can only read"
        yield f"environment cxone-{name}: the same secrets, of a client that writes; default branch alone, reviewers"
    yield f"variable CXROUTE_ENVIRONMENTS: {json.dumps(list(credentials))} - until then nothing is planned or applied"
    yield 'branch protection: require the check "Routing plan", and up-to-date branches'


def write(path: Path, text: str) -> None:
    """Write one new file and the directories above it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CxrouteError(f"cannot write {path}: {error.strerror}") from error
