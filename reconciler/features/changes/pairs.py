"""The hook `pair_checks`: what a proposed change does together with another one.

Both are first merged into the tip of their branch, so that an old head reverts nothing. The two
results are then merged with the tip as their base.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from reconciler.cli.command_line import utc_now
from reconciler.cli.git import GitError
from reconciler.cli.git_manifests import Contents, UnreadableFileError
from reconciler.cli.git_merge import GitMerge, commit_tree, merge_sides
from reconciler.cli.hooks import (
    PairReport,
    PairResult,
    PreparePairs,
    ProposedChange,
    UncheckedPairsError,
)
from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.model.finding import Finding
from reconciler.core.text.escape import (
    MAX_ITEMS,
    join_first,
    pluralize,
    quote_name,
    sanitize,
    sanitize_message,
)
from reconciler.features.changes.merge_behaviour import MergeBehaviour
from reconciler.features.changes.merge_check import (
    CheckedVersion,
    MergeReport,
    check_version,
    compare_versions,
    refuse_other_reading,
)
from reconciler.features.changes.merge_text import merge_headline, rows_markdown
from reconciler.features.changes.merge_versions import (
    VersionPlace,
    load_version,
    read_merge,
)
from reconciler.features.changes.merge_winners import (
    BASE,
    MERGED,
    OURS,
    THEIRS,
    VERSIONS,
)
from reconciler.render.escape_markdown import code_span, escape_markdown

_ROOM: Final = 8 << 20  # bytes of manifests that a stranger's change may have


class _IncomparableError(Exception):
    """A version cannot be compared. The text says why."""


class _BrokenMergeError(Exception):
    """The merge of two valid changes is not valid. `findings` are its errors."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        super().__init__()
        self.findings = tuple(findings)


class _Side(NamedTuple):
    """A change, merged into the tip of its branch, with the tree of its manifests' folder."""

    merge: GitMerge
    folder: str | None


class _Pairs:
    """A change, ready to be compared with others."""

    def __init__(self, change: ProposedChange) -> None:
        self._change = change
        self._repository = change.repository
        self._branch = quote_name(change.branch)
        self._instant = utc_now()
        base = self._merge_into_branch(change.base)
        self._base_folder = base.folder
        self._base_contents = self._read(base.merge, f"into {self._branch}")
        own = self._merge_into_branch(change.head)
        contents = self._read(own.merge, f"it into {self._branch}")
        self._own_tree = own.merge.tree
        self._room = max(_ROOM, 2 * _size_of(contents))
        place = f"the manifests of {self._branch}"
        self._checked = (
            self._check(BASE, self._base_contents, place),
            self._check(OURS, contents, "its manifests"),
        )

    def report(self, head: str) -> PairReport:
        """Return what the change and that of another commit do together."""
        try:
            theirs = self._merge_into_branch(head)
            contents = self._base_contents
            # git leaves the branch's own version of a file that only the change deletes
            if theirs.folder != self._base_folder or theirs.merge.conflicts:
                contents = self._read(theirs.merge, f"it into {self._branch}")
            if contents == self._base_contents:
                return PairReport("unchanged", "It changes no manifests.")
            return _report(self._merge(theirs, contents))
        except _BrokenMergeError as broken:
            return _report_broken(broken.findings)
        except _IncomparableError as error:
            return PairReport("not compared", f"Not compared: {error}.")

    def _merge_into_branch(self, head: str) -> _Side:
        """Merge a commit into the tip of the branch. Raises _IncomparableError."""
        try:
            merge = merge_sides(self._repository, (self._change.base, head))
            return _Side(merge, self._folder_of(merge.tree))
        except GitError as error:
            raise _IncomparableError(
                f"git cannot merge it into {self._branch} ({sanitize(str(error))})"
            ) from None

    def _read(self, merge: GitMerge, what: str) -> Contents:
        """Return the manifests of a merge; `what` follows "git cannot merge".

        Raises _IncomparableError.
        """
        try:
            contents, conflicts = read_merge(merge, self._change.directory)
        except (GitError, UnreadableFileError) as error:
            raise _IncomparableError(
                f"git cannot merge {what} ({sanitize(str(error))})"
            ) from None
        if conflicts:
            where = join_first(conflicts, MAX_ITEMS)
            raise _IncomparableError(
                f"git cannot merge {what}, because both change the same lines or files: {where}"
            )
        return contents

    def _folder_of(self, tree: str) -> str | None:
        """Return the tree of the manifests in one of the repository. Raises GitError."""
        with self._repository.open_objects() as objects:
            return objects.find_folder(tree, self._repository.prefix)

    def _check(self, number: int, contents: Contents, whose: str) -> CheckedVersion:
        """Return the rules of a version. Raises _IncomparableError."""
        label = VERSIONS[number]
        name = self._change.environment
        try:
            version = load_version(
                contents, VersionPlace(label, whose, ""), self._instant
            )
            return check_version(label, version, name)
        except ManifestError as error:
            if number == MERGED:
                raise _BrokenMergeError(error.findings) from None
            raise _IncomparableError(
                f"{whose} have {_errors_phrase(error.findings)}"
            ) from None
        except UsageError as error:
            raise _IncomparableError(f"{whose}: {sanitize(str(error))}") from None

    def _merge(self, theirs: _Side, contents: Contents) -> MergeReport:
        """Merge both changes, and compare where conversations go.

        Raises _IncomparableError and _BrokenMergeError.
        """
        if _size_of(contents) > self._room:
            raise _IncomparableError(
                f"its manifests have more than {self._room >> 20} MiB"
            )
        other = self._check(THEIRS, contents, "its manifests")
        both = self._read(self._merge_both(theirs.merge.tree), "the two")
        merged = self._check(MERGED, both, "the merged manifests")
        versions = [*self._checked, other, merged]
        name = self._change.environment
        try:
            refuse_other_reading(
                [each.version.manifests.environment(name) for each in versions]
            )
        except UsageError as error:
            raise _IncomparableError(sanitize(str(error))) from None
        return MergeReport(environments=(compare_versions(name, versions),), others=())

    def _merge_both(self, their_tree: str) -> GitMerge:
        """Merge the two changes. Raises _IncomparableError."""
        base = self._change.base
        try:
            ours, theirs = (
                commit_tree(self._repository, tree, base)
                for tree in (self._own_tree, their_tree)
            )
            return merge_sides(self._repository, (ours, theirs), base)
        except GitError as error:
            raise _IncomparableError(
                f"git cannot merge the two ({sanitize(str(error))})"
            ) from None


def _report(report: MergeReport) -> PairReport:
    failures = report.failures
    if report.is_as_expected and not failures:
        return PairReport("expected", merge_headline(report))
    sentences = [] if report.is_as_expected else [merge_headline(report)]
    if len(failures) == 1:
        sentences.append(
            "Merged, a route test or promise fails, and it fails with neither change alone."
        )
    elif failures:
        sentences.append(
            f"Merged, {len(failures)} route tests or promises fail, and they fail with neither "
            f"change alone."
        )
    rows = rows_markdown(report)
    result: PairResult = "undecided"
    behaviours = [time.behaviour for each in report.environments for time in each.times]
    if failures or any(map(_has_rows, behaviours)):
        result = "unexpected"
    return PairReport(result, " ".join(sentences), rows)


def _has_rows(behaviour: MergeBehaviour) -> bool:
    return bool(behaviour.surprises or behaviour.conflicts)


def _report_broken(findings: tuple[Finding, ...]) -> PairReport:
    errors = [each for each in findings if each.severity == "error"]
    shown = [f"- {_placed(each)}" for each in errors]
    if len(shown) > MAX_ITEMS:
        shown[MAX_ITEMS:] = [f"- and {len(shown) - MAX_ITEMS} more"]
    return PairReport(
        "unexpected",
        f"Each is valid, and merged, the manifests have {_errors_phrase(findings)}.",
        "\n".join(shown) + "\n",
    )


def _placed(finding: Finding) -> str:
    """Return a finding in Markdown, with its place."""
    message = escape_markdown(sanitize_message(finding.message))
    if finding.source is None:
        return message
    place = code_span(f"{finding.source.file}:{finding.source.line}")
    return f"{place}: {message}"


def _errors_phrase(findings: Iterable[Finding]) -> str:
    """Return the number of errors, and the first one: "1 error (the queue ...)"."""
    errors = [each for each in findings if each.severity == "error"]
    return f"{pluralize(len(errors), 'error')} ({sanitize(errors[0].message)})"


def _size_of(contents: Contents) -> int:
    return sum(len(data) for _, data in contents if isinstance(data, bytes))


def _prepare_pairs(change: ProposedChange) -> _Pairs:
    """Return the change, merged into its branch. Raises UncheckedPairsError."""
    try:
        return _Pairs(change)
    except _IncomparableError as error:
        raise UncheckedPairsError(str(error)) from None


PAIR_CHECKS: Final[PreparePairs] = _prepare_pairs
