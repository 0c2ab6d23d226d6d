"""`cxroute init`: a first set of manifests that works in the sandbox as it is; with --github, the workflows too."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from reconciler.errors import CxrouteError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from reconciler.cli.output import Output

SCHEMA: Final = ".schema/manifest.v1.json"
WORKFLOWS: Final = Path(".github/workflows")
_STARTER: Final = (
    "environments/sandbox.yaml",
    "environments/prod.yaml",
    "queues.yaml",
    "routing.yaml",
    "intents.yaml",
    "tests.yaml",
)


def options(parser: argparse.ArgumentParser) -> None:
    """Add init's options."""
    parser.add_argument("directory", nargs="?", metavar="DIR", help="where to (default: what -m says, manifests)")
    parser.add_argument(
        "--github",
        action="store_true",
        help="write workflows for GitHub too; manifests that are there stay as they are",
    )
    parser.add_argument(
        "--action",
        metavar="OWNER/REPO@COMMIT",
        help="where workflows get cxroute from (default: the repository and commit that it was installed from)",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Write the files; nothing that exists is overwritten."""
    directory = Path(options.directory or options.manifests)
    texts = dict(starter())
    taken = [directory / name for name in texts if (directory / name).exists()] or sorted(directory.rglob("*.y*ml"))
    if taken and not options.github:
        raise UsageError(f"{taken[0]} exists already; nothing was written. Choose another directory.")
    action = options.action or installed_from() if options.github else None
    if options.github:
        check_workflows(directory, action)
    for name, text in {} if taken else texts.items():
        write(directory / name, text)
        output.result(f"wrote {directory / name}\n")
    if options.github:
        write_workflows(directory, action, output)
    if not taken:
        chosen = "" if str(directory) == "manifests" else f" -m {directory}"
        output.result(f"\nNext: cxroute{chosen} plan   (in the sandbox: simulated, no tenant is contacted)\n")
    return 0


def starter() -> Iterator[tuple[str, str]]:
    """Yield each file's name and text; the first line tells editors where the schema lies."""
    from reconciler.manifest.schema import manifest_schema  # noqa: PLC0415 - pydantic's import is not free

    source = files("reconciler") / "starter"
    for name in _STARTER:
        up = "../" * name.count("/")
        text = source.joinpath(name).read_text(encoding="utf-8")
        yield name, f"# yaml-language-server: $schema={up}{SCHEMA}\n{text}"
    yield SCHEMA, json.dumps(manifest_schema(), indent=2) + "\n"


def check_workflows(directory: Path, action: str | None) -> None:
    """Raise UsageError where no workflows could be written, before anything is."""
    from reconciler.github.workflows import UNKNOWN, Setting, check  # noqa: PLC0415 - not for `init` alone

    check(Setting(action or UNKNOWN, directory.as_posix(), ()))


def write_workflows(directory: Path, action: str | None, output: Output) -> None:
    """Write each workflow that is not there, and say what is to be set up on GitHub."""
    from reconciler.github.workflows import UNKNOWN, Setting, workflows  # noqa: PLC0415 - not for `init` alone

    credentials = credentials_of(directory)
    named = credentials.values() or [("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET")]
    variables = tuple(sorted({name for names in named for name in names}))
    setting = Setting(action or UNKNOWN, directory.as_posix(), variables)
    for name, text in tuple(workflows(setting)):
        path = WORKFLOWS / name
        if path.exists():
            output.result(f"kept {path}, which is there already\n")
            continue
        write(path, text)
        output.result(f"wrote {path}\n")
    output.result(
        "\n".join(["", "To be set up on GitHub, in this order (docs/github.md of cxroute):", *_steps(credentials), ""])
    )
    if action is None:
        output.warn(
            f"where cxroute comes from is not known: in the workflows, replace {UNKNOWN} by its repository and the hash"
            " of a commit, or write them anew with --action OWNER/REPO@COMMIT"
        )


def credentials_of(directory: Path) -> dict[str, tuple[str, ...]]:
    """Return the variables of the credentials that each environment needs, by its name. Raises ManifestError."""
    from reconciler.cli.connect import variables_of  # noqa: PLC0415 - not for `init` alone
    from reconciler.manifest.environment import SANDBOX  # noqa: PLC0415 - not for `init` alone
    from reconciler.manifest.load import load  # noqa: PLC0415 - likewise

    found = {}
    for name, loaded in load(directory).environments.items():
        if name != SANDBOX:
            found[name] = tuple(filter(None, variables_of(loaded.document)))
    return found


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
    """Yield what a person does before the workflows do anything."""
    if not credentials:
        yield "  the manifests: an Environment that is not the sandbox, with `owner` and `tenant`"
        return
    for name, variables in credentials.items():
        secrets = " and ".join(variables)
        yield f"  environment cxone-{name}-plan: secrets {secrets}, of a client that can only read"
        yield f"  environment cxone-{name}: the same secrets, of a client that writes; default branch alone, reviewers"
    yield f"  variable CXROUTE_ENVIRONMENTS: {json.dumps(list(credentials))} - until then nothing is planned or applied"
    yield '  branch protection: require the check "Routing plan", and up-to-date branches'


def write(path: Path, text: str) -> None:
    """Write one new file and the directories above it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CxrouteError(f"cannot write {path}: {error.strerror}") from error
