"""The pipelines of a repository with manifests, from templates; those for GitHub are this project's
own workflows.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

from reconciler.cli.hooks import JournalCopies
from reconciler.core.errors import UsageError
from reconciler.core.text.pages import page

# in our workflows; docs/forges.md explains the comment
OWN_ACTION: Final = "./ # zizmor: ignore[self-repository]"
UNKNOWN_ACTION: Final = f"OWNER/cxroute@{'0' * 40}"  # placeholder without --action
_ACTION: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}(/[A-Za-z0-9._-]+)*@([0-9a-f]{40}|[0-9a-f]{64})"
)
_ACTION_LINE: Final = re.compile(
    rf"^( *(?:- )?uses: )({re.escape(OWN_ACTION)}|{_ACTION.pattern})$", re.MULTILINE
)
"""The action of cxroute; other actions have their version behind the hash."""
# with any version's words
_SIGNED: Final = re.compile(
    "# Written by `cxroute init --[a-z]+`[^\n]*: ([0-9a-f]{16})\n"
)
_FOLDER: Final = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
# One copy for each secret. Azure DevOps maps a secret into a step only by its name. GitHub's lines
# name CXROUTE_HOSTS, too: the repository's settings, and not a manifest, allow other hosts for
# secrets.
_SECRET: Final = re.compile("^.*@SECRET@.*\n", re.MULTILINE)
# one copy for each environment
_EACH: Final = re.compile("^ *# @EACH@\n(.*?)^ *# @END@\n", re.MULTILINE | re.DOTALL)
# one copy for each environment that has a `schedule`
_DATES: Final = re.compile("^# @DATES@\n(.*?)^# @END@\n", re.MULTILINE | re.DOTALL)
# only if there is an environment
_ANY: Final = re.compile("^# @ANY@\n(.*?)^# @END@\n", re.MULTILINE | re.DOTALL)
_SHORTEST: Final = 5  # minutes between two runs of a forge's schedule
_PAST_HOUR: Final = 3  # minutes
_HOUR: Final = 60  # minutes
_DAY: Final = 24  # hours
_VARIABLE: Final = re.compile(r"(?!GITHUB_)[A-Z][A-Z0-9_]*")


class DateRuns(NamedTuple):
    """When a pipeline makes what a date requires, and in which Environments."""

    cron: str  # "3-59/10 * * * *", in UTC
    environments: tuple[str, ...]


class PipelineSettings(NamedTuple):
    """Differences between repositories."""

    action: str  # OWNER/REPOSITORY@COMMIT; only workflows of GitHub have it
    manifests: str
    variables: tuple[str, ...]  # variables of credentials, and names of the secrets
    # of the manifests; only pipelines whose matrix is fixed have them
    environments: tuple[str, ...] = ("prod",)
    # None if no Environment has a `schedule`
    dates: DateRuns | None = None


class PipelineKind(NamedTuple):
    """The pipelines of one forge: option of `init`, name, and files."""

    option: str  # "github": of `init --github` and of the folder of templates
    forge: str  # "GitHub"
    # from the root of the repository; the template has the last part of the name
    files: tuple[str, ...]
    journal_artifact: str  # where a run's journal is, in words
    # makes what a date requires; empty where a file cannot state a schedule
    dates_file: str = ""

    @property
    def all_files(self) -> tuple[str, ...]:
        """Return the files of a repository with dates."""
        return (*self.files, self.dates_file) if self.dates_file else self.files

    def read_template(self, name: str) -> str:
        """Return the text of a template."""
        template = files(__package__).joinpath("templates", self.option, name)
        return template.read_text(encoding="utf-8")


WORKFLOW_FILES: Final = (
    "routing-plan.yml",
    "routing-apply.yml",
    "routing-drift.yml",
    "routing-consent.yml",
)
_AZURE_FILES: Final = (
    "routing-plan.yml",
    "routing-apply.yml",
    "routing-drift.yml",
    "routing-install.yml",
)
PIPELINES: Final = {
    kind.option: kind
    for kind in (
        PipelineKind(
            "github",
            "GitHub",
            tuple(f".github/workflows/{name}" for name in WORKFLOW_FILES),
            "`gh run download RUN-ID --name routing-journal-ENV-1` (of the run of Routing apply) "
            "writes journal.jsonl",
            ".github/workflows/routing-dates.yml",
        ),
        PipelineKind(
            "gitlab",
            "GitLab",
            (".gitlab/cxroute.yml", ".gitlab-ci.yml"),
            "download routing-journal-ENV of the job cxroute-apply; the file is "
            "out/ENV/journal.jsonl",
        ),
        PipelineKind(
            "azure",
            "Azure DevOps",
            tuple(f".azure-pipelines/{name}" for name in _AZURE_FILES),
            "download routing-journal-ENV-1 of the run of routing-apply; the file is journal.jsonl",
            ".azure-pipelines/routing-dates.yml",
        ),
        PipelineKind(
            "bitbucket",
            "Bitbucket",
            ("bitbucket-pipelines.yml",),
            "download routing-journal-ENV of the step `Apply to ENV`; the file is "
            "out/journal-ENV.jsonl",
        ),
    )
}


def _journal_copies() -> Iterator[str]:
    """Yield where the pipelines of this repository keep their journals, in words."""
    for kind in PIPELINES.values():
        if any(Path(name).exists() for name in kind.all_files):
            yield kind.journal_artifact


JOURNAL_COPIES: Final[JournalCopies] = _journal_copies


def build_pipelines(
    kind: PipelineKind, settings: PipelineSettings
) -> Iterator[tuple[str, str]]:
    """Yield each pipeline's file, from the root of the repository, and its text.

    Raises UsageError.
    """
    check_settings(kind, settings)
    for name in kind.files:
        yield name, _build_pipeline(kind, settings, name)
    dates = settings.dates
    if dates and kind.dates_file:
        dated = settings._replace(environments=dates.environments)
        yield kind.dates_file, _build_pipeline(kind, dated, kind.dates_file)


def _build_pipeline(kind: PipelineKind, settings: PipelineSettings, name: str) -> str:
    """Return the text of a pipeline, with the line that tells an edited one."""
    values = {
        "@ACTION@": settings.action,
        "@MANIFESTS@": settings.manifests,
        "@PAGE@": setup_page(kind),
        "@CRON@": settings.dates.cron if settings.dates else "",
        "@ENVIRONMENTS@": json.dumps(settings.environments),
        "@SECRETS@": " ".join(settings.variables),
    }
    text = kind.read_template(name.rpartition("/")[2])
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    text = _repeat_each(text, settings.environments)
    text = _SECRET.sub(
        lambda line: "".join(
            line[0].replace("@SECRET@", variable) for variable in settings.variables
        ),
        text,
    )
    # the last of several copies ends with an empty line
    text = text.rstrip("\n") + "\n"
    head = f"# Written by `cxroute init --{kind.option}`, which replaces it unless it was edited: "
    return f"{head}{_digest(text)}\n{text}"


def _repeat_each(text: str, environments: Sequence[str]) -> str:
    """Return a text with a copy of each marked part for every Environment."""
    return _EACH.sub(
        lambda part: "".join(_fill(part[1], name) for name in environments), text
    )


def setup_page(kind: PipelineKind) -> str:
    """Return where to read how a forge is set up, for people in another repository."""
    place = page("forges.md", kind.forge)
    return f"cxroute's {place}" if place.startswith("docs/") else place


def setup_steps(
    kind: PipelineKind,
    credentials: Mapping[str, Sequence[str]],
    dates: DateRuns | None = None,
) -> list[str]:
    """Return what remains to be set up on a forge, given the variables of the credentials by
    environment.
    """
    text = _ANY.sub(
        lambda part: part[1] if credentials else "", kind.read_template("setup.txt")
    )
    dated = dates.environments if dates else ()
    text = _DATES.sub(
        lambda part: "".join(_fill(part[1], name) for name in dated), text
    )
    text = text.replace("@ENVIRONMENTS@", json.dumps(list(credentials)))
    for_each = {
        name: " and ".join(variables) for name, variables in credentials.items()
    }
    return _EACH.sub(
        lambda part: "".join(
            _fill(part[1], name).replace("@SECRETS@", secrets)
            for name, secrets in for_each.items()
        ),
        text,
    ).splitlines()


def _fill(text: str, environment: str) -> str:
    return text.replace("@ENVIRONMENT@", environment).replace(
        "@ID@", re.sub("[^A-Za-z0-9]", "_", environment)
    )


def current_action(text: str) -> str | None:
    """Return the action of cxroute in a workflow; None if it is not in the form of the
    templates.
    """
    line = _ACTION_LINE.search(text)
    return line[2] if line else None


def is_edited(text: str) -> bool:
    """Return whether a pipeline was edited or written manually; another commit of cxroute is not an
    edit.
    """
    signed = _SIGNED.match(text)
    return signed is None or signed[1] != _digest(text[signed.end() :])


def check_settings(kind: PipelineKind, settings: PipelineSettings) -> None:
    """Raise UsageError for text that could have another meaning in a pipeline, and for an action
    that is not pinned.
    """
    if settings.action != OWN_ACTION and not _ACTION.fullmatch(settings.action):
        source = "the source of cxroute as OWNER/REPOSITORY@COMMIT, with a commit's full hash"
        raise UsageError(
            f"--action {settings.action}: specify {source}: a tag can be moved to other code"
        )
    parts = settings.manifests.split("/")
    if (
        not _FOLDER.fullmatch(settings.manifests)
        or ".." in parts
        or settings.manifests.startswith("-")
    ):
        text = f"for {'workflows' if kind.option == 'github' else 'pipelines'}"
        text = f"{text}, specify a folder below this one, of letters, digits, . _ -"
        raise UsageError(f"-m {settings.manifests}: {text}")
    wrong = [name for name in settings.variables if not _VARIABLE.fullmatch(name)]
    if wrong:
        allowed = "use A-Z, 0-9 and _, without GITHUB_"
        raise UsageError(
            f"the variable {wrong[0]} cannot be a secret of {kind.forge}: {allowed}"
        )


def _digest(text: str) -> str:
    return sha256(_ACTION_LINE.sub(r"\1", text).encode()).hexdigest()[:16]


def cron_of(every: timedelta) -> str:
    """Return a schedule whose runs are at most this far apart, in cron's form.

    Forges start nothing more often than every five minutes. No run is on the hour, when forges are
    late.
    """
    minutes = max(int(every / timedelta(minutes=1)), _SHORTEST)
    if minutes < _HOUR:
        step = max(each for each in range(_SHORTEST, minutes + 1) if _HOUR % each == 0)
        return f"{_PAST_HOUR}-59/{step} * * * *"
    hours = min(minutes // _HOUR, _DAY)
    step = max(each for each in range(1, hours + 1) if _DAY % each == 0)
    when = {1: "*", _DAY: "0"}.get(step, f"*/{step}")
    return f"{_PAST_HOUR} {when} * * *"
