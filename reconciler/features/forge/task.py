"""A step of a pipeline that runs a task: its options, its run, and the forge behind its token."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from reconciler.cli.clients import open_rest_http
from reconciler.cli.command_line import require_single
from reconciler.cli.options import CommonOptions
from reconciler.cli.output import Output
from reconciler.core.errors import UsageError
from reconciler.features.forge.consent import MEMBERS_TOKEN, Voters
from reconciler.features.forge.forge import Forge, ForgeModule, PipelineRun
from reconciler.features.forge.step import StepFiles
from reconciler.rest.client import RestClient

_LONGEST_NUMBER: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions(CommonOptions):
    """The options of the command of a forge; a forge without issues has no plan and body."""

    forge: str
    task: str
    author: str | None
    report: str | None
    applied: str | None
    outdated: str | None
    pull_request: str | None
    out: str | None
    unchanged: bool
    workflow: str
    plan: str | None = None
    body: str | None = None


def required(value: str | None, option: str) -> str:
    """Return the value of an option. Raises UsageError without one."""
    if not value:
        raise UsageError(f"{option} is required")
    return value


class Step(NamedTuple):
    """A step of a pipeline: its options, its output, the forge, and the files that the forge
    reads.
    """

    options: StepOptions
    output: Output
    module: ForgeModule
    files: StepFiles

    @property
    def environment(self) -> str:
        """Return the environment. Raises UsageError without one, and for several."""
        return require_single(required(self.options.environment, "-e ENV"))

    def read_run(self) -> PipelineRun:
        """Return the run of this step, with the pull request of --pull-request.

        Raises UsageError.
        """
        run = self.module.read_run(os.environ)
        number = self.options.pull_request
        if not number:
            return run
        is_number = number.isascii() and number.isdecimal()
        if not is_number or len(number) >= _LONGEST_NUMBER:
            raise UsageError(f"--pull-request {number}: not a number")
        return replace(run, pull_request=int(number))

    def read_token(self, token_variable: str = "") -> str:
        """Return the token of the step. Raises UsageError without one."""
        variable = token_variable or self.module.DIALECT.token_variable
        token = os.environ.get(variable, "").strip()
        if not token or not token.isascii() or not token.isprintable():
            raise UsageError(
                f"{variable} is not set or not valid. Set it for this step only"
            )
        return token

    @contextmanager
    def connect(self, run: PipelineRun, token_variable: str = "") -> Iterator[Forge]:
        """Connect with the token of the step, which is sent only to the API.

        Raises UsageError without a token.
        """
        token = self.read_token(token_variable)
        with open_rest_http() as http:
            client = RestClient(
                dialect=self.module.DIALECT, http=http, base=run.api, token=token
            )
            yield self.module.ADAPTER(client, run)

    @contextmanager
    def connect_voters(
        self, run: PipelineRun, forge: Forge, number: int, head: str
    ) -> Iterator[Voters]:
        """Connect with the token that can read members, if there is one."""
        has_token = os.environ.get(MEMBERS_TOKEN, "").strip()
        with (
            self.connect(run, MEMBERS_TOKEN)
            if has_token
            else nullcontext(forge) as directory
        ):
            yield Voters(forge, directory, number, head)

    def author(self, forge: Forge) -> str:
        """Return the login of --author, or of the token: only notes by that login are edited."""
        return self.options.author or forge.fetch_login()
