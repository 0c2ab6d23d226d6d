"""The reviewed plan: from the commit to its pull request, to the run that planned it, to the file in its artifact."""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from reconciler.errors import RefusedError
from reconciler.github.actions import MANUAL_EVENT, WorkflowRun, as_object, list_objects
from reconciler.github.api import GitHub, Purpose

_ENCRYPTED: Final = 0x1
_MAX_ENTRIES: Final = 1000  # entries of an archive


def read_archive_file(archive: bytes, name: str, max_bytes: int) -> bytes:
    """Return the file of that exact name. Raises RefusedError if there is none, two, or a larger one."""
    # Nothing is written to a disk, no other entry is unpacked, and sizes in the archive are not trusted.
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries = [entry for entry in opened.infolist()[: _MAX_ENTRIES + 1] if entry.filename == name]
            if len(opened.infolist()) > _MAX_ENTRIES or len(entries) != 1:
                raise RefusedError(f"the artifact must contain exactly one {name}")
            (entry,) = entries
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & _ENCRYPTED:
                raise RefusedError(f"{name} in the artifact has an unexpected compression or is encrypted")
            with opened.open(entry) as file:
                content = file.read(max_bytes + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, OSError):
        raise RefusedError("the artifact is not a valid archive; plan again") from None
    if len(content) > max_bytes:
        raise RefusedError(f"{name} in the artifact is larger than {max_bytes >> 20} MiB, the limit for a plan")
    return content


_PAUSES: Final = (2.0, 8.0)  # seconds
_MAX_BYTES: Final = 128 << 20  # of an archive, and of a plan
_MANUAL_ADVICE: Final = (
    "Start the apply workflow manually (Actions, Run workflow): it plans, waits for approval, and applies."
)


class MergedPullRequest(NamedTuple):
    """The pull request of a commit, and its head commit, which was planned."""

    number: int
    head: str


class BranchTip(NamedTuple):
    """The default branch, and its commit."""

    branch: str
    sha: str


def fetch_branch_tip(github: GitHub) -> BranchTip:
    """Return the tip of the default branch."""
    purpose = Purpose("find the tip of the default branch", "contents: read")
    branch = str(github.get_object("", purpose).get("default_branch"))
    ref = github.get_object(f"/git/ref/heads/{quote(branch)}", purpose)
    return BranchTip(branch, str(as_object(ref.get("object")).get("sha")))


def find_merged_pull_request(github: GitHub, run: WorkflowRun, tip: BranchTip) -> MergedPullRequest | None:
    """Return the pull request of this commit; None if there is none. Raises RefusedError."""
    purpose = Purpose("find the pull request of this commit", "pull-requests: read")
    for pause in (*_PAUSES, None):  # after a merge, GitHub may need a few seconds
        listed = github.pages(f"/commits/{run.sha}/pulls?per_page=100", purpose)
        if pulls := [pull for pull in listed if _is_merge_of(pull, run, tip)]:
            break
        if pause is None:
            return None
        github.time.sleep(pause)
    pull = max(pulls, key=lambda pull: str(pull["merged_at"]))
    head = as_object(pull.get("head"))
    if as_object(head.get("repo")).get("full_name") != run.repository:
        text = f"pull request {pull['number']} is from a fork, which gets no credentials, so its plan was not reviewed."
        raise RefusedError(f"{text} {_MANUAL_ADVICE}")
    return MergedPullRequest(int(pull["number"]), str(head.get("sha")))


def check_is_tip(run: WorkflowRun, tip: BranchTip) -> None:
    """Raise RefusedError if the commit is not the tip of the default branch."""
    if tip.sha != run.sha:
        text = f"commit {run.sha[:8]} is not the tip of {tip.branch}: the run of {tip.sha[:8]} applies what remains."
        raise RefusedError(f"{text} To go back, merge a revert; old runs are not applied again.")


def fetch_reviewed_plan(
    github: GitHub, run: WorkflowRun, environment: str, workflow: str, source: MergedPullRequest | None
) -> str:
    """Return the plan that was reviewed for this commit. Raises RefusedError if there is none."""
    if run.event == MANUAL_EVENT:
        return _fetch_plan(github, run.id, environment, f"this run has no plan for {environment}")
    if source is None:
        text = f"commit {run.sha[:8]} has no pull request, so its plan was not reviewed."
        raise RefusedError(f"{text} {_MANUAL_ADVICE}")
    plan_run = _latest_run(github, run, workflow, source.head)
    if plan_run is None or plan_run.get("conclusion") != "success":
        state = "has no run" if plan_run is None else "did not succeed in its last run"
        where = f"{source.head[:8]}, the head of pull request {source.number}"
        advice = "Open a pull request from the tip of the default branch, have its plan reviewed, and merge that. Or:"
        other = f"{_MANUAL_ADVICE[0].lower()}{_MANUAL_ADVICE[1:]}"
        raise RefusedError(f"{workflow} {state} for {where}. {advice} {other}")
    missing_text = f"the plan for {environment} of pull request {source.number} is not stored, or no longer stored"
    return _fetch_plan(github, int(plan_run["id"]), environment, missing_text)


def _is_merge_of(pull: Mapping[str, Any], run: WorkflowRun, tip: BranchTip) -> bool:
    base = as_object(pull.get("base"))
    target = (as_object(base.get("repo")).get("full_name"), base.get("ref"), pull.get("merge_commit_sha"))
    return bool(pull.get("merged_at")) and target == (run.repository, tip.branch, run.sha)


def _latest_run(github: GitHub, run: WorkflowRun, workflow: str, head: str) -> dict[str, Any] | None:
    """Return the newest finished run. A fork's run is its owner's, workflow file and artifact included."""
    path = f"/actions/workflows/{quote(workflow, safe='')}/runs?event=pull_request&head_sha={quote(head)}&per_page=100"
    payload = github.get_object(path, Purpose(f"list the runs of {workflow}", "actions: read"))
    finished = [
        candidate
        for candidate in list_objects(payload, "workflow_runs")
        if as_object(candidate.get("head_repository")).get("full_name") == run.repository
        and (candidate.get("event"), candidate.get("head_sha")) == ("pull_request", head)
        and str(candidate.get("path", "")).split("@")[0] == f".github/workflows/{workflow}"
        and candidate.get("conclusion") not in (None, "cancelled", "skipped")
    ]
    return max(finished, key=lambda candidate: int(candidate["id"]), default=None)


def _fetch_plan(github: GitHub, run: int, environment: str, missing_text: str) -> str:
    purpose = Purpose("fetch the reviewed plan", "actions: read")
    name = f"routing-plan-{environment}"
    payload = github.get_object(f"/actions/runs/{run}/artifacts?name={name}&per_page=100", purpose)
    artifacts = list_objects(payload, "artifacts")
    valid = [entry for entry in artifacts if entry.get("name") == name and entry.get("expired") is False]
    if not valid:
        raise RefusedError(f"{missing_text}. {_MANUAL_ADVICE}")
    artifact = max(valid, key=lambda entry: int(entry["id"]))
    archive = github.download(f"/actions/artifacts/{int(artifact['id'])}/zip", _MAX_BYTES, purpose)
    digest = artifact.get("digest")
    if digest and digest != f"sha256:{hashlib.sha256(archive).hexdigest()}":
        raise RefusedError("the downloaded artifact does not have the run's digest; try again")
    document: Mapping[str, Any] = {}
    with suppress(ValueError, RecursionError):
        plan = read_archive_file(archive, "plan.json", _MAX_BYTES).decode("utf-8")
        document = as_object(json.loads(plan))
    if document.get("environment") != environment:
        raise RefusedError(f"the artifact contains no plan for {environment}; plan again")
    if as_object(document.get("options")).get("undo") is not None:
        # The author of a branch can create its artifact, but their choices must be in the manifests; an undo is not.
        raise RefusedError(f"the artifact contains an undo, which a pull request cannot request. {_MANUAL_ADVICE}")
    return plan
