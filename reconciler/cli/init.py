"""`cxroute init`: a first set of manifests that validates, plans and applies in the sandbox as it is."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.errors import CxrouteError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from reconciler.cli.output import Output

SCHEMA: Final = ".schema/manifest.v1.json"
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


def run(options: argparse.Namespace, output: Output) -> int:
    """Write the files; nothing that exists is overwritten."""
    directory = Path(options.directory or options.manifests)
    texts = dict(starter())
    taken = [directory / name for name in texts if (directory / name).exists()] or sorted(directory.rglob("*.y*ml"))
    if taken:
        raise UsageError(f"{taken[0]} exists already; nothing was written. Choose another directory.")
    for name, text in texts.items():
        write(directory / name, text)
        output.result(f"wrote {directory / name}\n")
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


def write(path: Path, text: str) -> None:
    """Write one new file and the directories above it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CxrouteError(f"cannot write {path}: {error.strerror}") from error
