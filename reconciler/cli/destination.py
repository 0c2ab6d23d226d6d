"""Where exported manifests go: to stdout, into one new file, or into a folder, a file for each RuleSet."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.discretion import DISCRETION
from reconciler.cli.init import SCHEMA
from reconciler.cli.whole_file import new_folder, write_all
from reconciler.errors import RefusedError, UsageError
from reconciler.export.text import one_file, several_files
from reconciler.words import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.export.export import Exported
    from reconciler.export.text import Setting

_ENDINGS = (".yaml", ".yml")
_STDOUT = "exported.yaml"


@dataclass(frozen=True, slots=True)
class Destination:
    """A file, or a folder, or neither for stdout; `manifests` is the directory that -m names."""

    file: Path | None
    folder: Path | None
    manifests: Path

    @property
    def printed(self) -> bool:
        """Say whether the manifests go to stdout."""
        return self.file is None and self.folder is None

    @property
    def read(self) -> bool:
        """Say whether cxroute finds there what is written: below the manifests' directory."""
        place = self.file or self.folder
        return place is not None and place.resolve().is_relative_to(self.manifests.resolve())

    def texts(self, made: Exported, setting: Setting) -> dict[str, str]:
        """Return the files' texts by their paths. Raises UsageError where one is there already."""
        if self.folder is None:
            path = self.file or self.manifests / _STDOUT
            return {path.as_posix(): self._modeline(path) + one_file(made, setting)}
        found = {self.folder / name: text for name, text in several_files(made, setting).items()}
        for path in found:
            refuse_existing(path)
        return {path.as_posix(): self._modeline(path) + text for path, text in found.items()}

    def write(self, texts: Mapping[str, str]) -> None:
        """Write all files, or none. Raises CxrouteError."""
        for path in texts:
            new_folder(Path(path).parent)
        write_all({Path(path): text for path, text in texts.items()})

    def _modeline(self, path: Path) -> str:
        """Return the line that tells editors where the schema is, where `init` wrote one."""
        schema = self.manifests / SCHEMA
        if self.printed or not self.read or not schema.exists():
            return ""
        return f"# yaml-language-server: $schema={os.path.relpath(schema, path.parent)}\n"


def destination(written: str | None, manifests: Path) -> Destination:
    """Read --into. Raises UsageError for a file that is there, or that cxroute would not read."""
    if written is None:
        return Destination(None, None, manifests)
    path = Path(written)
    if written.endswith(("/", os.sep)) or path.is_dir():
        return Destination(None, path, manifests)
    if path.suffix not in _ENDINGS:
        raise UsageError(f"--into {plain(written)}: manifests end in .yaml (a folder is written with / at its end)")
    refuse_existing(path)
    return Destination(path, None, manifests)


def refuse_secrets(texts: Mapping[str, str]) -> None:
    """Raise RefusedError where a text holds what may not be shown: manifests are read by many."""
    for path, text in texts.items():
        if DISCRETION.hide(text) != text:
            raise RefusedError(
                f"{path} is not written: it would hold one of the secrets that this run was given. Take it out of the"
                " rule, and change the secret"
            )


def refuse_existing(path: Path) -> None:
    """Raise UsageError where something is there: what a person wrote is never overwritten."""
    if path.exists() or path.is_symlink():
        raise UsageError(
            f"{plain(str(path))} is there already; nothing was written. Choose another file, or move it away"
        )
