"""The hooks: what the commands of the core ask of features, with the answer if there is none.

A feature provides an object for a hook by `FEATURE.hooks` (`reconciler.cli.feature`). It declares
the object with the Protocol below as its type: mypy checks it, as it checks the calls.
"""

from abc import ABC, abstractmethod
from argparse import ArgumentParser
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, NoReturn, Protocol

from reconciler.cli.feature import load_hooks
from reconciler.cli.undo import Undo
from reconciler.core.apply.settings import StepRecorder
from reconciler.core.errors import ApiError, CxrouteError, UsageError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.model.finding import Document
from reconciler.core.model.rule import Address, Queue
from reconciler.core.target import Access

if TYPE_CHECKING:
    from reconciler.cli.conversation import ConversationOptions
    from reconciler.cli.git import GitRepository
    from reconciler.cli.output import Output
    from reconciler.cli.session import Session
    from reconciler.core.apply.progress import ApplyReport
    from reconciler.core.plan.stages import Plan
    from reconciler.targets.decide.publication import TableStore
    from reconciler.targets.platform.transport.request import Transport


class OpenSandbox(Protocol):
    """The hook `sandbox`: opens the simulated tenant of an Environment.

    It is called by each command that connects to an Environment without a tenant, before the
    first request. Without a feature for it, such a command is a usage error; what works offline,
    such as `validate` and `explain`, still does.
    """

    def __call__(
        self, environment: Environment, queues: Iterable[Queue], access: Access
    ) -> AbstractContextManager["Transport"]:
        """Return a transport to the tenant, which has at least these queues.

        With "read", nothing is stored.
        """


def open_sandbox(
    environment: Environment, queues: Iterable[Queue], access: Access
) -> AbstractContextManager["Transport"]:
    """Open the simulated tenant of an Environment. Raises UsageError without the hook."""
    providers: Iterator[OpenSandbox] = load_hooks("sandbox")
    provider = next(providers, None)
    if provider is None:
        raise UsageError(
            f"this installation has no feature that simulates the tenant of "
            f"{environment.name}: set -e to an Environment with a tenant"
        )
    return provider(environment, queues, access)


class OpenSandboxTables(Protocol):
    """The hook `sandbox_tables`: opens the tables of the simulated decision service.

    `serve --decide` calls it for an Environment without a tenant. Without a feature for it, this is
    a usage error.
    """

    def __call__(self) -> "TableStore":
        """Return the store of the tables in the sandbox's state."""


def open_sandbox_tables() -> "TableStore":
    """Open the tables of the simulated decision service. Raises UsageError without the hook."""
    providers: Iterator[OpenSandboxTables] = load_hooks("sandbox_tables")
    provider = next(providers, None)
    if provider is None:
        raise UsageError(
            "this installation has no feature that simulates a tenant: set -e to an Environment "
            "that is not simulated"
        )
    return provider()


class RunRecorder(StepRecorder):
    """Records a run, and its end. This base class records nothing."""

    @property
    def name(self) -> str:
        """Return the name of the run, by which `--undo` finds it; empty if there is no record."""
        return ""

    def end(self, report: "ApplyReport") -> None:
        """Record the outcome of each change, and close."""

    def given_up(self, why: str) -> None:
        """Record the reason why nothing was written, and close."""


class FirstRun(NamedTuple):
    """A run of the journal: its name, the time of its start, and who started it."""

    run: str
    at: str
    who: str


class RunJournal(Protocol):
    """The hook `journal`: records runs, and finds recorded ones.

    Without a feature for it, an apply is not recorded, drift shows no last runs, and `--undo` is a
    usage error.
    """

    def begin(
        self, session: "Session", plan: "Plan", *, who: str, reason: str
    ) -> RunRecorder:
        """Return the recorder of a run that starts now.

        `apply` and `watch` call it before the first write. Raises UsageError.
        """

    def find_undo(self, session: "Session", run: str, journal: str | None) -> Undo:
        """Return the request to undo a run; `journal` is the value of `--journal`.

        `plan` and `apply` call it before they read the tenant. Raises UsageError and RefusedError.
        """

    def last_runs(self, environment: Environment) -> Mapping[Address, str]:
        """Return the last run of each rule. `drift` and `watch` call it. Raises UsageError."""

    def first_run(
        self, environment: Environment, commits: Collection[str]
    ) -> FirstRun | None:
        """Return the first run that made the manifests of one of these commits live, in full.

        `since` calls it. Raises UsageError.
        """

    def run_names(self) -> Sequence[str]:
        """Return the names of the runs in the journal here.

        `completion` calls it. Raises UsageError.
        """


class _NoJournal:
    """The journal of an installation whose features record no runs."""

    def begin(
        self, session: "Session", plan: "Plan", *, who: str, reason: str
    ) -> RunRecorder:
        """Return a recorder that records nothing."""
        del session, plan, who, reason
        return RunRecorder()

    def find_undo(self, session: "Session", run: str, journal: str | None) -> NoReturn:
        """Raise UsageError."""
        del session, journal
        raise UsageError(
            f"--undo {run}: this installation has no feature that records runs, so there is "
            f"none to undo"
        )

    def last_runs(self, environment: Environment) -> Mapping[Address, str]:
        """Return nothing."""
        del environment
        return {}

    def first_run(self, environment: Environment, commits: Collection[str]) -> None:
        """Return nothing."""
        del environment, commits

    def run_names(self) -> Sequence[str]:
        """Return nothing."""
        return ()


def run_journal() -> RunJournal:
    """Return the journal of this installation."""
    providers: Iterator[RunJournal] = load_hooks("journal")
    return next(providers, _NoJournal())


class JournalCopies(Protocol):
    """The hook `journal_copies`: says where pipelines of this repository keep their journals.

    It is called if a run is not in a journal here. Without a feature for it, no such place is
    named.
    """

    def __call__(self) -> Iterable[str]:
        """Return how to get the journal of each pipeline, in words."""


def journal_copies() -> list[str]:
    """Return how to get the journals of the pipelines of this repository, in words."""
    copies: list[str] = []
    providers: Iterator[JournalCopies] = load_hooks("journal_copies")
    for provider in providers:
        copies += provider()
    return copies


class ApplyEnd(NamedTuple):
    """How an apply ended: with a report of writes, or with the failure before the first one."""

    plan: "Plan | None" = None
    report: "ApplyReport | None" = None
    error: ApiError | None = None


class AfterApply(Protocol):
    """The hook `after_apply`: reports an apply elsewhere.

    `apply` calls it for each environment that was written, or whose tenant failed before; not for
    a plan without changes, and not after a refusal. Without a feature for it, there is no such
    report.
    """

    async def __call__(self, session: "Session", end: ApplyEnd) -> None:
        """Report it. A failure is only a warning: the exit code is that of the apply."""


async def after_apply(session: "Session", end: ApplyEnd) -> None:
    """Call every feature that reports an apply elsewhere."""
    providers: Iterator[AfterApply] = load_hooks("after_apply")
    for provider in providers:
        await provider(session, end)


class ReportPage(NamedTuple):
    """A page beside a plan's report, which the report links to."""

    name: str
    text: str


class BuildReportPage(Protocol):
    """The hook `report_page`: builds the page beside the report of a plan.

    `plan --report` calls it for each environment. Without a feature for it, the report has no
    such page and no link to one.
    """

    def __call__(self, session: "Session", plan: "Plan") -> ReportPage:
        """Return the page; the caller redacts and writes it."""


def report_page(session: "Session", plan: "Plan") -> ReportPage | None:
    """Return the page beside the report of a plan, if a feature builds one."""
    providers: Iterator[BuildReportPage] = load_hooks("report_page")
    provider = next(providers, None)
    return provider(session, plan) if provider else None


WriteFiles = Callable[["Output"], None]
"""Writes files, and prints which, and the next steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitFiles(ABC):
    """The hook `init_files`: the class of the options for files that `init` writes beside the
    manifests.

    Without a feature for it, `init` writes manifests alone and has no such options.
    """

    @staticmethod
    @abstractmethod
    def add_options(parser: ArgumentParser) -> None:
        """Add the options to those of `init`; each is a field of the class."""

    @abstractmethod
    def prepare(self, directory: Path) -> WriteFiles | None:
        """Return the function that writes the files, or None if no option asks for them.

        `init` calls it before it writes anything, and the function after the manifests of
        `directory` are written. Raises UsageError and CxrouteError.
        """


def init_files() -> list[type[InitFiles]]:
    """Return the classes of the options that features add to `init`."""
    return list(load_hooks("init_files"))


class ExplainAddition(NamedTuple):
    """What a feature adds to the answer of `explain`, as text and as fields of its document."""

    text: str
    fields: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainPart(ABC):
    """The hook `explain_parts`: the class of an option that adds to the answer of `explain`.

    Without a feature for it, `explain` has no such option.
    """

    option: ClassVar[str]

    @staticmethod
    @abstractmethod
    def add_option(parser: ArgumentParser) -> None:
        """Add the option to those of `explain`; it is a field of the class."""

    @property
    @abstractmethod
    def is_given(self) -> bool:
        """Return whether the option stands in the command line."""

    @abstractmethod
    def answer(
        self, options: "ConversationOptions", output: "Output"
    ) -> ExplainAddition:
        """Return the addition for a conversation and the rules of the manifests.

        `explain` calls it if the option is given. Raises CxrouteError.
        """


def explain_parts() -> list[type[ExplainPart]]:
    """Return the classes of the options that features add to `explain`."""
    return list(load_hooks("explain_parts"))


class ProposedChange(NamedTuple):
    """A change of an Environment's manifests that is not merged yet, and the branch that it is for.

    `base` and `head` are commits of the repository, which has the history of both and no work tree.
    New objects are written to it.
    """

    repository: "GitRepository"
    base: str  # the tip of the branch
    branch: str  # its name
    head: str
    environment: str
    directory: str  # of the manifests, as messages show it


PairResult = Literal["unchanged", "expected", "unexpected", "undecided", "not compared"]


class PairReport(NamedTuple):
    """What two proposed changes do together.

    unchanged: the other one changes no manifests. expected: each conversation is proven to go where
    it is expected, and what passes with each change passes with both. unexpected: this is not so.
    undecided: the analysis stopped at its bound of work. not compared: the sentence says why.
    """

    result: PairResult
    sentence: str  # one or more, without markup; it may contain names from outside
    markdown: str = ""  # the rows of an unexpected or undecided result


class PairCheck(Protocol):
    """A proposed change that is ready to be compared with others."""

    def report(self, head: str) -> PairReport:
        """Return what the change and that of another commit, for the same branch, do together."""


class UncheckedPairsError(CxrouteError, kind="UncheckedPairs"):
    """A proposed change cannot be compared with others; the message says why."""


class PreparePairs(Protocol):
    """The hook `pair_checks`: prepares the comparison of a proposed change with others.

    `merge-check` of a forge calls it once. Without a feature for it, this is a usage error.
    """

    def __call__(self, change: ProposedChange) -> PairCheck:
        """Return the change, merged into its branch. Raises UncheckedPairsError."""


def prepare_pairs(change: ProposedChange) -> PairCheck:
    """Prepare the comparison of a change with others.

    Raises UncheckedPairsError, and UsageError without the hook.
    """
    providers: Iterator[PreparePairs] = load_hooks("pair_checks")
    provider = next(providers, None)
    if provider is None:
        raise UsageError(
            "this installation has no feature that compares two changes with each other"
        )
    return provider(change)
