"""`cxroute init`: a first set of manifests that works in the sandbox, and files of features beside
it, such as pipelines.
"""

import argparse
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from reconciler.cli.files import write_new
from reconciler.cli.hooks import InitFiles, init_files
from reconciler.cli.options import CommonOptions, option_parts
from reconciler.cli.output import Output
from reconciler.core.errors import UsageError
from reconciler.core.manifest.documents import manifest_schema_text
from reconciler.core.manifest.load import load_manifests

SCHEMA: Final = ".schema/manifest.v1.json"
_ENVIRONMENTS: Final = ("sandbox", "prod")
_STARTER: Final = (
    "queues",
    "routing",
    "intents",
    "tests",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InitOptions(CommonOptions):
    """The options of `cxroute init`, and those of features."""

    directory: str | None
    environments: str
    files: tuple[InitFiles, ...] = option_parts(init_files)


def options(parser: argparse.ArgumentParser) -> type[InitOptions]:
    add = parser.add_argument
    add(
        "directory",
        nargs="?",
        metavar="DIR",
        help="directory to create (default: that of -m, manifests)",
    )
    add(
        "--decide",
        action="store_const",
        const="decide",
        default="environments",
        dest="environments",
        help="write Environments whose rules are the table of `cxroute serve --decide`",
    )
    for files_class in init_files():
        files_class.add_options(parser)
    return InitOptions


def run(options: InitOptions, output: Output) -> int:
    """Write the manifests, unless there are some, and the files of features."""
    if options.directory and options.manifests not in ("manifests", options.directory):
        raise UsageError(
            f"-m {options.manifests} has no effect with {options.directory}: remove one of them"
        )
    directory = Path(options.directory or options.manifests)
    texts = {directory / name: text for name, text in _starter(options.environments)}
    existing = [path for path in texts if path.exists()]
    if not existing:
        existing = sorted(directory.rglob("*.y*ml"))
    prepared = [part.prepare(directory) for part in options.files]
    writers = [write for write in prepared if write]
    if existing and not writers:
        raise UsageError(
            f"{existing[0]} already exists; nothing was written. Choose another directory."
        )

    if not existing:
        for path, text in texts.items():
            write_new(path, text)
            output.result(f"wrote {path}\n")
    for write in writers:
        write(output)
    if not existing:
        _print_next(directory, output)
    return 0


def _print_next(directory: Path, output: Output) -> None:
    for step in manifest_steps(directory, {"": ()}):
        output.result(
            f"\nBefore `cxroute validate`, and the pre-commit hook that runs it, can pass: "
            f"{step}\n"
        )
    option = ""
    if str(directory) != "manifests":
        option = f" -m {shlex.quote(str(directory))}"
    output.result(
        f"\nNext: cxroute{option} plan   (in the sandbox: simulated, no tenant is contacted)\n"
    )


def _starter(environments: str) -> Iterator[tuple[str, str]]:
    """Yield each file's name and text; the Environments are those of a folder of the starter."""
    for name in _ENVIRONMENTS:
        text = _starter_text(f"{environments}/{name}.yaml")
        yield _with_schema(f"environments/{name}.yaml", text)
    for name in _STARTER:
        yield _with_schema(f"{name}.yaml", _starter_text(f"{name}.yaml"))
    yield SCHEMA, manifest_schema_text()


def _starter_text(name: str) -> str:
    file = files("reconciler.cli").joinpath("starter", name)
    return file.read_text(encoding="utf-8")


def _with_schema(name: str, text: str) -> tuple[str, str]:
    """Return a file's name and text; the first line gives editors the path of the schema."""
    up = "../" * name.count("/")
    return name, f"# yaml-language-server: $schema={up}{SCHEMA}\n{text}"


def manifest_steps(
    directory: Path, credentials: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    """Yield what remains to be written in the manifests of a directory."""
    for loaded in load_manifests(directory).environments.values():
        if loaded.document.is_placeholder:
            yield f"{loaded.file}: replace the placeholder of `tenant`"
    if not credentials:
        yield "add an Environment to the manifests, with `owner` and `tenant`"
