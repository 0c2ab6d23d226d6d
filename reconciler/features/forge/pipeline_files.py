"""The pipelines of a repository with manifests, from templates; those for GitHub are this project's
own workflows.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
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
# only if there is an environment
_ANY: Final = re.compile("^# @ANY@\n(.*?)^# @END@\n", re.MULTILINE | re.DOTALL)
_VARIABLE: Final = re.compile(r"(?!GITHUB_)[A-Z][A-Z0-9_]*")


class PipelineSettings(NamedTuple):
    """Differences between repositories."""

    action: str  # OWNER/REPOSITORY@COMMIT; only workflows of GitHub have it
    manifests: str
    variables: tuple[str, ...]  # variables of credentials, and names of the secrets
    # of the manifests; only pipelines whose matrix is fixed have them
    environments: tuple[str, ...] = ("prod",)


class PipelineKind(NamedTuple):
    """The pipelines of one forge: option of `init`, name, and files."""

    option: str  # "github": of `init --github` and of the folder of templates
    forge: str  # "GitHub"
    # from the root of the repository; the template has the last part of the name
    files: tuple[str, ...]
    journal_artifact: str  # where a run's journal is, in words

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
        if any(Path(name).exists() for name in kind.files):
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
        text = kind.read_template(name.rpartition("/")[2])
        text = text.replace("@ACTION@", settings.action).replace(
            "@MANIFESTS@", settings.manifests
        )
        text = text.replace("@PAGE@", setup_page(kind))
        text = text.replace("@ENVIRONMENTS@", json.dumps(settings.environments))
        text = text.replace("@SECRETS@", " ".join(settings.variables))
        text = _EACH.sub(
            lambda part: "".join(
                _fill(part[1], name) for name in settings.environments
            ),
            text,
        )
        text = _SECRET.sub(
            lambda line: "".join(
                line[0].replace("@SECRET@", name) for name in settings.variables
            ),
            text,
        )
        # the last of several copies ends with an empty line
        text = text.rstrip("\n") + "\n"
        head = (
            f"# Written by `cxroute init --{kind.option}`, which replaces it unless it was edited: "
            f""
        )
        yield name, f"{head}{_digest(text)}\n{text}"


def setup_page(kind: PipelineKind) -> str:
    """Return where to read how a forge is set up, for people in another repository."""
    place = page("forges.md", kind.forge)
    return f"cxroute's {place}" if place.startswith("docs/") else place


def setup_steps(
    kind: PipelineKind, credentials: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return what remains to be set up on a forge, given the variables of the credentials by
    environment.
    """
    text = _ANY.sub(
        lambda part: part[1] if credentials else "", kind.read_template("setup.txt")
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
