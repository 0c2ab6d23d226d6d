"""Which environments a command is about, where it takes several: -e a,b, --all, --shard, or those of a saved plan."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.environments import choose, separate
from reconciler.cli.session import session_in
from reconciler.cli.shard import INDEX, shard_of
from reconciler.errors import UsageError
from reconciler.manifest.environment import SANDBOX
from reconciler.manifest.load import load
from reconciler.words import counted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from reconciler.cli.output import Output
    from reconciler.cli.session import Session
    from reconciler.manifest.load import Manifests


def choices(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose several environments."""
    parser.add_argument("--all", action="store_true", help="every Environment but the sandbox; -e also takes several")
    parser.add_argument(
        "--shard",
        metavar="INDEX/COUNT",
        help=f"with --all: this share of them, counted from 0; /COUNT takes the index from ${INDEX}",
    )


def are_several(options: argparse.Namespace) -> bool:
    """Say whether the command line asks for several environments, be it that none or one is left of them."""
    return options.all or options.shard is not None or "," in _named(options)


def _named(options: argparse.Namespace) -> str:
    return options.environment or os.environ.get("CXROUTE_ENV") or ""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The environments of one run, and what they share."""

    manifests: Manifests
    names: tuple[str, ...]
    options: argparse.Namespace
    output: Output
    nobody: str
    """Says why there is no environment, where there is none."""

    @classmethod
    def of(cls, options: argparse.Namespace, output: Output, among: Sequence[str] | None = None) -> Fleet:
        """Load the manifests and choose, of a saved plan `among` its own. Raises ManifestError and UsageError."""
        manifests = load(Path(options.manifests))
        names = _chosen(manifests, options, among)
        if options.shard is None:
            return cls(manifests, names, options, output, "")
        shard = shard_of(options.shard, os.environ)
        taken = tuple(name for name in names if shard.takes(name))
        which = f": {', '.join(taken)}" if taken else ""
        output.note(f"Shard {shard} takes {len(taken)} of {counted(len(names), 'environment')}{which}.")
        return cls(manifests, taken, options, output, f"No environment falls into shard {shard}: nothing to do.\n")

    def session(self, name: str, output: Output) -> Session:
        """Return one environment's session."""
        return session_in(self.manifests, self.options, output, name)

    def command(self, name: str, *more: str) -> str:
        """Return a command about all of these environments, as a person types it."""
        return replace(self._first, which=self.chosen).command(name, *more)

    def saved_command(self, plans: str, *more: str) -> str:
        """Return the command that applies saved plans."""
        return self._first.saved_command(plans, *more)

    @property
    def _first(self) -> Session:
        return self.session(self.names[0], self.output)

    @property
    def chosen(self) -> tuple[str, ...]:
        """Return the words that choose these environments."""
        return (*(("--all",) if self.options.all else ("-e", _named(self.options))), *self.share)

    @property
    def share(self) -> tuple[str, ...]:
        """Return the words that choose some of them."""
        return ("--shard", self.options.shard) if self.options.shard else ()


def _chosen(manifests: Manifests, options: argparse.Namespace, among: Sequence[str] | None) -> tuple[str, ...]:
    """Return the environments' names, each once. Raises UsageError."""
    if options.all and options.environment:
        raise UsageError("say --all or -e, not both")
    if among is not None and not options.environment:
        return tuple(among)
    if options.all:
        known = sorted(set(manifests.environments) - {SANDBOX})
        if not known:
            raise UsageError("--all: the manifests have no Environment beside the sandbox")
        return tuple(known)
    if "," not in _named(options) and among is None:
        raise UsageError("--shard shares out several environments: say --all, or several with -e")
    names = separate(_named(options))
    if strange := [name for name in names if among is not None and name not in among]:
        raise UsageError(f"the saved plan has nothing for {strange[0]}; it is for {', '.join(among or ())}")
    return tuple(choose(manifests, name).name for name in names)
