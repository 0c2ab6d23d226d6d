"""The environments of a command: -e a,b, --all, --shard, or those of a saved plan."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from reconciler.cli.command_line import CommandLine
from reconciler.cli.environments.choose import choose_environment, chosen_name, split_names
from reconciler.cli.output import Output
from reconciler.cli.session import Session, build_session, load_selected_manifests
from reconciler.errors import UsageError
from reconciler.manifest.kinds.environment import SANDBOX
from reconciler.manifest.load import Manifests, load_manifests
from reconciler.plan.document import ReviewedPlan
from reconciler.text.escape import pluralize

INDEX: Final = "JOB_COMPLETION_INDEX"  # set by Kubernetes: the index of this pod in an Indexed Job, from 0
_SHAPE: Final = re.compile(r"([0-9]{1,6})?/([0-9]{1,6})", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` shares; `index` counts from 0."""

    index: int
    count: int

    def includes(self, name: str) -> bool:
        """Return whether an environment is in this share: by the digest of its name, modulo the count."""
        return int.from_bytes(sha256(name.encode()).digest()[:8], "big") % self.count == self.index

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def parse_shard(text: str, variables: Mapping[str, str]) -> Shard:
    """Read INDEX/COUNT, or /COUNT with the index in a variable. Raises UsageError."""
    parts = _SHAPE.fullmatch(text)
    if parts is None:
        raise UsageError(f"--shard {text[:100]!r}: must be INDEX/COUNT, such as 0/4, or /4 with the index in ${INDEX}")
    index, count = parts[1] or variables.get(INDEX, ""), int(parts[2])
    if not index:
        raise UsageError(f"--shard {text}: ${INDEX} has no index. Specify INDEX/COUNT, such as 0/{count}")
    if not _NUMBER.fullmatch(index):
        raise UsageError(f"--shard {text}: ${INDEX} is {index[:100]!r}, which is not a number")
    if int(index) >= count:
        raise UsageError(f"--shard {index}/{count}: indexes count from 0, so the last of {count} is {count - 1}")
    return Shard(int(index), count)


def add_selection_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose several environments."""
    add = parser.add_argument
    add("--all", action="store_true", help="every Environment except the sandbox; -e also takes several")
    shard_help = f"with --all: only this share, counted from 0; /COUNT takes the index from ${INDEX}"
    add("--shard", metavar="INDEX/COUNT", help=shard_help)


def is_list(options: argparse.Namespace) -> bool:
    """Return whether the options request a list of environments, even if the shard leaves none or one."""
    return options.all or options.shard is not None or "," in chosen_name(options.environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSelection:
    """The environments of one command, and the values that they share. One environment is the usual case."""

    manifests: Manifests
    names: tuple[str, ...]
    options: argparse.Namespace
    output: Output
    listed: bool = False
    """The report is a list, with a table and a part for each environment, even for one environment or none."""
    nothing: str = ""  # why the list is empty

    @classmethod
    def of(
        cls, options: argparse.Namespace, output: Output, saved: Mapping[str, ReviewedPlan | str] | None = None
    ) -> EnvironmentSelection:
        """Load the manifests and choose environments, or those of saved plans. Raises ManifestError and UsageError."""
        if saved is None and not is_list(options):
            return cls.single(options, output, options.environment, None)
        manifests = load_manifests(Path(options.manifests))
        names = _chosen(manifests, options, None if saved is None else tuple(saved))
        nothing = ""
        if options.shard is not None:
            shard, total = parse_shard(options.shard, os.environ), pluralize(len(names), "environment")
            names = tuple(filter(shard.includes, names))
            listed = f": {', '.join(names)}" if names else ""
            output.note(f"Shard {shard} takes {len(names)} of {total}{listed}.")
            nothing = f"Shard {shard} has no environments: nothing to do.\n"
        return cls(manifests=manifests, names=names, options=options, output=output, listed=True, nothing=nothing)

    @classmethod
    def single(
        cls, options: argparse.Namespace, output: Output, name: str | None, undo: str | None
    ) -> EnvironmentSelection:
        """Load the manifests and choose one environment. Raises ManifestError and UsageError."""
        manifests = load_selected_manifests(options, name, undo)
        names = (choose_environment(manifests, name).name,)
        return cls(manifests=manifests, names=names, options=options, output=output)

    def session(self, name: str, output: Output) -> Session:
        """Return one environment's session."""
        return build_session(self.manifests, self.options, output, name)

    def folder(self, path: str, name: str) -> Path:
        """Return the folder of one environment's report. In a list, each environment has its own."""
        return Path(path) / name if self.listed else Path(path)

    @property
    def command_line(self) -> CommandLine:
        """Return the words that a further command about these environments repeats."""
        first = self.session(self.names[0], self.output).command_line
        return replace(first, selection=self.words) if self.listed else first

    @property
    def words(self) -> tuple[str, ...]:
        """Return the words that choose the environments of a list."""
        return (*(("--all",) if self.options.all else ("-e", chosen_name(self.options.environment))), *self.share)

    @property
    def share(self) -> tuple[str, ...]:
        """Return the words that choose a share of the environments."""
        return ("--shard", self.options.shard) if self.options.shard else ()


def _chosen(manifests: Manifests, options: argparse.Namespace, among: Sequence[str] | None) -> tuple[str, ...]:
    if options.all and options.environment:
        raise UsageError("specify --all or -e, not both")
    if among is not None and not options.environment:
        return tuple(among)
    if options.all:
        defined = sorted(set(manifests.environments) - {SANDBOX})
        if not defined:
            raise UsageError("--all: the manifests define no Environment except the sandbox")
        return tuple(defined)
    if "," not in chosen_name(options.environment) and among is None:
        raise UsageError("--shard divides several environments: specify --all, or several with -e")
    names = split_names(chosen_name(options.environment))
    if strange := [name for name in names if among is not None and name not in among]:
        raise UsageError(f"the saved plan does not contain {strange[0]}; it contains {', '.join(among or ())}")
    return tuple(choose_environment(manifests, name).name for name in names)
