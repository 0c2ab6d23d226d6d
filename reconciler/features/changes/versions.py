"""The versions of the manifests along the first parents of HEAD, each evaluated for a conversation.

Each distinct tree of their folder is read once, when the search needs it. No work tree is touched.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.cli.command_line import choose_environment
from reconciler.cli.git import (
    GitCommit,
    GitError,
    GitObjects,
    GitRepository,
    NoFolderError,
    NoRepositoryError,
)
from reconciler.cli.git_manifests import (
    Contents,
    UnreadableFileError,
    has_contents,
    refuse_linked_folder,
    tree_contents,
)
from reconciler.core.behaviour.evaluate import route_conversation
from reconciler.core.behaviour.routing_entry import destination_of_rule, order_entries
from reconciler.core.desired.desired import desire_offline, endpoint_stage
from reconciler.core.errors import CxrouteError, ManifestError, UsageError
from reconciler.core.manifest.kinds.environment import (
    SANDBOX,
    BotAttributes,
    Environment,
)
from reconciler.core.manifest.load import (
    FileCache,
    Manifests,
    is_no_manifests,
    load_contents,
)
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Source
from reconciler.core.plan.routing_table import desired_entries
from reconciler.core.text.escape import sanitize
from reconciler.features.changes.search import (
    Boundary,
    Broken,
    SearchedVersion,
    VersionRoute,
)

_NO_MANIFESTS = "CXR115"
Event = Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Conversation:
    """The event of a bot: its attributes, and how the rules at HEAD name those of the bot."""

    environment: str  # the name of the Environment
    event: Event
    names: BotAttributes

    def named_as(self, names: BotAttributes) -> dict[str, str | int | float]:
        """Return the event as a version with other names has it."""
        renamed = {
            self.names.intent: names.intent,
            self.names.confidence: names.confidence,
        }
        others = {
            name: value for name, value in self.event.items() if name not in renamed
        }
        own = {
            renamed[name]: value
            for name, value in self.event.items()
            if name in renamed
        }
        return {**others, **own}


@dataclass(frozen=True, slots=True)
class HeadState:
    """The manifests at HEAD, and their Environment."""

    commit: GitCommit
    manifests: Manifests
    environment: Environment
    differs: bool  # whether the work tree has other manifests


@dataclass(slots=True, kw_only=True)
class ManifestHistory:
    """The manifests of a directory at HEAD and before."""

    repository: GitRepository
    objects: GitObjects
    directory: str
    commits: list[GitCommit]  # newest first; one more than the limit, if there are more
    limit: int
    # for rules with dates, the same for all versions; a local time is one of HEAD's Environment
    instant: datetime | None
    # of the whole repository -> of the folder; None without one
    _folders: dict[str, str | None] = field(default_factory=dict)
    _states: dict[str, VersionRoute | Broken | None] = field(default_factory=dict)
    _files: FileCache = field(default_factory=FileCache)

    def read_head(self, environment: str | None) -> HeadState:
        """Return the manifests at HEAD; `environment` is the value of -e.

        Raises ManifestError, UsageError and CxrouteError.
        """
        commit = self.commits[0]
        contents = self._head_contents(commit)
        manifests = load_contents(contents, self._files, self.instant)
        chosen = choose_environment(manifests, environment)
        self.instant = manifests.instant_in(chosen)
        manifests = manifests.at(self.instant)
        differs = not has_contents(self.directory, contents)
        return HeadState(commit, manifests, chosen, differs)

    def earlier_versions(self, conversation: Conversation) -> Iterator[SearchedVersion]:
        """Yield the versions before HEAD, newest first. Raises GitError."""
        for commit in self.commits[1 : self.limit]:
            try:
                tree = self._folder(commit)
            except NoFolderError as error:
                yield SearchedVersion(commit, commit.tree, Broken(str(error)))
                continue
            if tree is None:
                yield SearchedVersion(commit, "", None)
                return
            if tree not in self._states:
                self._states[tree] = self._evaluate(tree, conversation)
            yield SearchedVersion(commit, tree, self._states[tree])

    def boundary(self) -> Boundary | None:
        """Return what hides the commits before the oldest one; None if there are none."""
        if len(self.commits) > self.limit:
            return "limit"
        has_parents = self.objects.has_parents(self.commits[-1].name)
        return "shallow" if has_parents else None

    def _head_contents(self, commit: GitCommit) -> Contents:
        tree = self._folder(commit)
        try:
            contents = tree_contents(self.objects, tree, self.directory)
        except UnreadableFileError as error:
            raise CxrouteError(f"HEAD cannot be read: {error}") from None
        if _is_empty(contents):
            raise ManifestError([_no_manifests(self.directory)])
        return contents

    def _folder(self, commit: GitCommit) -> str | None:
        if commit.tree not in self._folders:
            folder = self.objects.find_folder(commit.tree, self.repository.prefix)
            self._folders[commit.tree] = folder
        return self._folders[commit.tree]

    def _evaluate(
        self, tree: str, conversation: Conversation
    ) -> VersionRoute | Broken | None:
        """Return where the manifests of a tree send the conversation."""
        try:
            contents = tree_contents(self.objects, tree, self.directory)
            if _is_empty(contents):
                return None
            manifests = load_contents(contents, self._files, self.instant)
            name = conversation.environment
            if name not in manifests.environments and name != SANDBOX:
                return None
            return evaluate(manifests, manifests.environment(name), conversation)
        except ManifestError as error:
            return Broken(_first_problem(error))
        except (UnreadableFileError, CxrouteError) as error:
            return Broken(str(error))


def evaluate(
    manifests: Manifests, environment: Environment, conversation: Conversation
) -> VersionRoute:
    """Return where manifests send a conversation, behind their own fallback of the endpoint.

    Raises ManifestError.
    """
    desired, queues = desire_offline(manifests, environment)
    event = conversation.named_as(environment.attributes)
    context, _ = endpoint_stage(manifests, environment).context(event)
    ordered = order_entries(desired_entries(desired), desired.evaluation)
    winner = route_conversation(ordered, context).winner
    name = winner.name if winner else None
    destination = destination_of_rule(winner)
    names = queues.names
    taken = {queue: names[queue] for queue, _ in destination or ()}
    return VersionRoute(name, destination, taken)


@contextmanager
def open_history(
    directory: str, limit: int, instant: datetime
) -> Iterator[ManifestHistory]:
    """Open the history of the manifests of a directory, at most `limit` commits.

    `instant` is the time for rules with dates.

    Raises UsageError without a history, and CxrouteError if git cannot read it.
    """
    try:
        repository, commits = _find_commits(directory, limit)
        with repository.open_objects() as objects:
            yield ManifestHistory(
                repository=repository,
                objects=objects,
                directory=directory,
                commits=commits,
                limit=limit,
                instant=instant,
            )
    except GitError as error:
        raise CxrouteError(f"git cannot read the history: {error}") from None


def _find_commits(directory: str, limit: int) -> tuple[GitRepository, list[GitCommit]]:
    """Return the repository and the commits. Raises UsageError and GitError."""
    try:
        repository = GitRepository.find(directory)
        refuse_linked_folder(repository, directory)
    except (NoRepositoryError, UnreadableFileError) as error:
        raise UsageError(
            f"{sanitize(directory)} has no history: {error}. Set -m to a folder of manifests in "
            f"a clone"
        ) from None
    try:
        head = repository.find_commit("HEAD")
    except GitError as error:
        raise UsageError(
            f"{sanitize(directory)} has no history: {error}. Commit the manifests first"
        ) from None
    return repository, repository.list_first_parents(head, limit + 1)


def _is_empty(contents: Contents) -> bool:
    return any(is_no_manifests(data) for _, data in contents)


def _no_manifests(directory: str) -> Finding:
    return Finding(
        code=_NO_MANIFESTS,
        severity="error",
        message="HEAD has no *.yaml or *.yml file in this directory",
        source=Source(sanitize(directory), 1, 1),
        hint="commit the manifests first",
    )


def _first_problem(error: ManifestError) -> str:
    first = next(each for each in error.findings if each.severity == "error")
    source = first.source
    return f"{source.file}:{source.line}: {first.message}" if source else first.message
