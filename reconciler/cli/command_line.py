"""The environments of a command line, and suggested commands with the same options."""

import argparse
import getpass
import os
import shlex
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from reconciler.cli.options import CommonOptions
from reconciler.cli.undo import Undo
from reconciler.core.desired.desired import desire_offline
from reconciler.core.errors import UsageError
from reconciler.core.manifest.kinds.environment import SANDBOX, Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Queue
from reconciler.core.plan.stages import PlanOptions
from reconciler.core.text.escape import sanitize
from reconciler.core.text.local_time import TIME_FORMS, InvalidTimeError, parse_time

# who started a pipeline
_USERS: Final = (
    "GITHUB_ACTOR",
    "GITLAB_USER_LOGIN",
    "BUILD_REQUESTEDFOR",
)
SIMULATED: Final = "Simulated: no tenant was contacted.\n"


def expected_queues(manifests: Manifests, name: str) -> tuple[Queue, ...]:
    """Return the queues that the manifests use in an environment, expanded offline.

    Raises ManifestError.
    """
    return tuple(
        desire_offline(manifests, choose_environment(manifests, name))[
            1
        ].queues_by_id.values()
    )


def unset_tenant(manifests: Manifests, name: str) -> list[Finding]:
    """Return a finding if the tenant of an environment is still the placeholder that `init`
    wrote.
    """
    loaded = manifests.environments.get(name)
    if loaded is None or not loaded.document.is_placeholder:
        return []
    message = f'{name} has no tenant yet: "{loaded.document.tenant}" is a placeholder'
    hint = (
        "set the name of your tenant, such as acme for https://acme.my.cxone.com; -e sandbox needs "
        "no tenant"
    )
    return [loaded.finding("CXR104", message, "tenant", hint=hint)]


def utc_now() -> datetime:
    """Return the time now. The command line has no other clock."""
    return datetime.now(UTC)


def add_at_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the time of a run."""
    parser.add_argument(
        "--at",
        metavar="TIME",
        help=f"as if it were this time, for rules with dates: {TIME_FORMS} (default: now)",
    )


def run_time(options: CommonOptions) -> datetime:
    """Return the one time of a run, for rules with dates: that of --at, which may be local, or now.

    Raises UsageError.
    """
    if options.at is None:
        return utc_now().replace(microsecond=0)
    try:
        return parse_time(options.at)
    except InvalidTimeError as error:
        raise UsageError(f"--at {sanitize(options.at[:40])}: {error}") from None


def user_name() -> str:
    """Return the name of the person who runs the command, or who started the pipeline."""
    for variable in _USERS:
        name = os.environ.get(variable)
        if name:
            return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def split_names(names: str) -> tuple[str, ...]:
    """Return the names that -e lists, each once. Raises UsageError for an empty one."""
    parts = [name.strip() for name in names.split(",")]
    if not all(parts):
        raise UsageError(f"-e {names}: empty environment name")
    return tuple(dict.fromkeys(parts))


def require_single(names: str) -> str:
    """Return the one name that -e specifies. Raises UsageError for several."""
    if "," in names:
        several = "validate, test, plan, apply and drift take several"
        raise UsageError(
            f"-e {names[:200]}: this command takes one environment; {several}"
        )
    return names


def env_name(name: str | None) -> str:
    """Return the name of the environment: from -e, then $CXROUTE_ENV, then the sandbox."""
    return name or os.environ.get("CXROUTE_ENV") or SANDBOX


def choose_environment(manifests: Manifests, name: str | None) -> Environment:
    """Return the environment: from -e, then $CXROUTE_ENV, then the sandbox (except in CI).

    Raises UsageError.
    """
    if not (name or os.environ.get("CXROUTE_ENV")) and os.environ.get("CI"):
        names = sorted({*manifests.environments, SANDBOX})
        raise UsageError(
            f"in CI there is no default environment: specify -e with one of {', '.join(names)}"
        )
    return manifests.environment(require_single(env_name(name)))


def tested_environments(manifests: Manifests, names: str | None) -> list[Environment]:
    """Return the environments in -e; by default all, the built-in sandbox if there is no other.

    Raises UsageError.
    """
    if names:
        return [choose_environment(manifests, name) for name in split_names(names)]
    return [
        manifests.environment(name) for name in manifests.environments or (SANDBOX,)
    ]


def program(directory: str) -> list[str]:
    """Return the first words of a command: the program, and -m if it is not the default."""
    return ["cxroute", *([] if directory == "manifests" else ["-m", directory])]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """The words of this command line that a further command repeats."""

    directory: str  # the directory of the manifests, as in the command line
    # the options that select the environments, such as `-e prod`
    selection: tuple[str, ...]
    options: PlanOptions = field(default_factory=PlanOptions)
    undo: Undo | None = None
    base: str | None = None  # --base; a plan without it chooses the base itself

    def command(self, name: str, *words: str) -> str:
        """Return a command for the same manifests, environments and options."""
        options = self.options
        command = [*program(self.directory), name, *self.selection]
        for address in options.only:
            command += ["--only", address]
        if options.due and name == "apply":
            command.append("--due")
        if options.adopt:
            command.append("--adopt")
        if options.keep_drift:
            command.append("--keep-drift")
        if options.traffic:
            command += ["--traffic", options.traffic]
        if self.base:
            command += ["--base", self.base]
        if self.undo:
            command += ["--undo", self.undo.run_id]
        return shlex.join([*command, *self._journal, *words])

    def apply_saved(self, plan: str, *words: str) -> str:
        """Return the command that applies a saved plan, which contains the environments and the
        options.
        """
        return shlex.join(
            [*program(self.directory), "apply", plan, *self._journal, *words]
        )

    @property
    def _journal(self) -> list[str]:
        return (
            ["--journal", self.undo.journal] if self.undo and self.undo.journal else []
        )
