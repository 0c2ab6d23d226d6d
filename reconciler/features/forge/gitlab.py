"""GitLab: the run from a job's variables, and the REST API (version 4) with an access token."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

from reconciler.core.text.json_values import (
    as_object,
    list_objects,
    moment_at,
    number_at,
    text_at,
)
from reconciler.features.forge import forge
from reconciler.features.forge.step import StepVariables
from reconciler.rest.client import MISSING, Purpose, RestClient, RestDialect, RestError

DIALECT: Final = RestDialect(
    name="GitLab",
    token_variable="CXROUTE_GITLAB_TOKEN",  # noqa: S106 - the name of a variable
    permission_advice="the token needs {}",
    missing_advice="it does not exist, or the token needs {}",
    token_header=("PRIVATE-TOKEN", "{}"),
)
LABEL: Final = "cxroute-drift"
# with subgroups
_PROJECT: Final = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_.][A-Za-z0-9._-]*)+"
)
_ACTOR: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")
_OWNER: Final = re.compile(
    r"@([A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_.][A-Za-z0-9._-]*)*)"
)
_QUICK_ACTION: Final = re.compile("^/", re.MULTILINE)
_QUOTED_ACTION: Final = re.compile(r"^\\/", re.MULTILINE)
_REPORTER: Final = "the scope api and the role Reporter"
_DEVELOPER: Final = "the scope api and the role Developer"
_REFUSED: Final = 400


def read_run(variables: Mapping[str, str]) -> forge.PipelineRun:
    """Return the pipeline of a job from its variables. Raises UsageError outside of a pipeline."""
    step = StepVariables(variables, "GitLab")
    # In a pipeline of merged results, CI_COMMIT_SHA is a temporary merge; elsewhere the other
    # variable is empty.
    is_merge = bool(variables.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"))
    return forge.PipelineRun(
        repository=step.matching("CI_PROJECT_PATH", _PROJECT),
        id=step.number("CI_PIPELINE_ID"),
        # a repeated job has a new, larger id in the same pipeline
        attempt=step.number("CI_JOB_ID"),
        sha=step.sha(
            "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA" if is_merge else "CI_COMMIT_SHA"
        ),
        is_manual=variables.get("CI_PIPELINE_SOURCE") == "web",
        actor=step.matching("GITLAB_USER_LOGIN", _ACTOR, "nobody"),
        api=step.address("CI_API_V4_URL"),
        link=f"[job]({step.address('CI_JOB_URL')})",
        pull_request=step.optional_number("CI_MERGE_REQUEST_IID"),
        git=f"{step.address('CI_PROJECT_URL')}.git",
        is_queued=variables.get("CI_MERGE_REQUEST_EVENT_TYPE") == "merge_train",
    )


def authorize_git(token: str) -> str:
    """Return the header's value for git: with an access token, any name of a user is accepted."""
    return forge.basic_authorization("oauth2", token)


class GitLab:
    """A project on GitLab."""

    request = "merge request"
    manual_advice = (
        "Start a pipeline of the default branch manually (Build, Pipelines, New pipeline): "
        "it plans, waits for approval, and applies."
    )
    max_text = 1_000_000

    def __init__(self, http: RestClient, run: forge.PipelineRun) -> None:
        project = quote(run.repository, safe="")
        self._http = http
        self._path = f"/projects/{project}"

    def fetch_login(self) -> str:
        """Return the login of the token's user; that of a project's token is its bot."""
        purpose = Purpose("read the token's account", "the scope api")
        login = text_at(self._http.get_object("/user", purpose), "username")
        if not login:
            raise RestError(f"cannot {purpose.task}: the response has no login")
        return login

    def _list(self, path: str, task: str) -> Iterator[dict[str, Any]]:
        separator = "&" if "?" in path else "?"
        purpose = Purpose(task, _REPORTER)
        return self._http.pages(f"{path}{separator}per_page=100", purpose)

    def _write(
        self,
        method: str,
        path: str,
        fields: Mapping[str, str],
        target: str,
    ) -> dict[str, Any]:
        # In each text, GitLab would execute a line such as "/close".
        texts = {
            name: _QUICK_ACTION.sub(r"\\/", text)[: self.max_text]
            for name, text in fields.items()
        }
        return self._http.send(
            method,
            self._path + path,
            texts,
            Purpose(f"write {target}", _REPORTER),
        )

    def list_notes(self, number: int) -> list[forge.Post]:
        """Return every note of a merge request, oldest first."""
        path = (
            f"{self._path}/merge_requests/{number}/notes?sort=asc&order_by=created_at"
        )
        listed = self._list(path, f"read the notes of merge request {number}")
        return [
            _parse_post(item, "id", "body")
            for item in listed
            if item.get("system") is not True
        ]

    def write_note(self, number: int, body: str, note: int | None = None) -> None:
        """Write a note, or replace the text of one."""
        path = f"/merge_requests/{number}/notes"
        target = f"the note of merge request {number}"
        if note is None:
            self._write("POST", path, {"body": body}, target)
        else:
            self._write("PUT", f"{path}/{note}", {"body": body}, target)

    def list_drift_issues(self) -> list[forge.Post]:
        """Return the open issues with our label."""
        listed = self._list(
            f"{self._path}/issues?state=opened&labels={LABEL}",
            "list the issues about drift",
        )
        return [_parse_post(issue, "iid", "description") for issue in listed]

    def open_drift_issue(self, title: str, body: str) -> int:
        """Open an issue with our label, which GitLab creates."""
        fields = {"title": title, "description": body, "labels": LABEL}
        issue = self._write("POST", "/issues", fields, "the issue about drift")
        return number_at(issue, "iid")

    def change_drift_issue(self, issue: int, body: str | None, remark: str) -> None:
        """Replace an issue's text or close it, and add a note."""
        fields = {"state_event": "close"} if body is None else {"description": body}
        self._write("PUT", f"/issues/{issue}", fields, "the issue about drift")
        self._write(
            "POST",
            f"/issues/{issue}/notes",
            {"body": remark},
            "the issue about drift",
        )

    @cached_property
    def _project(self) -> dict[str, Any]:
        purpose = Purpose("read the project", _REPORTER)
        return self._http.get_object(self._path, purpose)

    def fetch_branch_tip(self) -> forge.BranchTip:
        """Return the tip of the default branch."""
        branch = str(self._project.get("default_branch"))
        purpose = Purpose("find the tip of the default branch", _REPORTER)
        tip = self._http.get_object(
            f"{self._path}/repository/branches/{quote(branch, safe='')}", purpose
        )
        return forge.BranchTip(branch, text_at(tip, "commit", "id"))

    def find_merged_request(
        self,
        sha: str,
        tip: forge.BranchTip,
    ) -> forge.MergedRequest | None:
        """Return the merge request whose merge is this commit: a merge commit, a squash, or its
        head itself.
        """
        found: dict[str, forge.MergedRequest] = {}
        for item in self._list_requests(sha):
            is_merge = sha in (
                item.get("merge_commit_sha"),
                item.get("squash_commit_sha"),
                item.get("sha"),
            )
            if is_merge and (item.get("state"), item.get("target_branch")) == (
                "merged",
                tip.branch,
            ):
                is_from_fork = item.get("source_project_id") != item.get(
                    "target_project_id"
                )
                request = forge.MergedRequest(
                    number_at(item, "iid"),
                    text_at(item, "sha"),
                    is_from_fork,
                )
                found[text_at(item, "merged_at")] = request
        return found[max(found)] if found else None

    def _list_requests(self, sha: str) -> list[dict[str, Any]]:
        """Return the merge requests into this project that contain a commit."""
        path = f"{self._path}/repository/commits/{sha}/merge_requests"
        listed = self._list(path, "find the merge request of this commit")
        return [
            item
            for item in listed
            if item.get("target_project_id") == self._project.get("id")
        ]

    def list_open_requests(self) -> list[forge.OpenRequest]:
        """Return every open merge request; GitLab has the heads of forks, too."""
        path = f"{self._path}/merge_requests?state=opened&order_by=created_at&sort=desc"
        requests = []
        for item in self._list(path, "list the open merge requests"):
            number = number_at(item, "iid")
            request = forge.OpenRequest(
                number,
                text_at(item, "title"),
                text_at(item, "target_branch"),
                text_at(item, "sha"),
                f"refs/merge-requests/{number}/head",
            )
            requests.append(request)
        return requests

    def find_plan_run(self, head: str, pipeline: str) -> forge.PlanRun | None:
        """Return the newest pipeline whose jobs named `pipeline` ended.

        A fork's pipeline is its owner's.
        """
        runs = {}
        for request in self._list_requests(head):
            path = f"{self._path}/merge_requests/{int(request['iid'])}/pipelines"
            for run in self._list(path, "list the pipelines of the merge request"):
                if (run.get("source"), run.get("project_id")) == (
                    "merge_request_event",
                    self._project.get("id"),
                ):
                    runs[int(run["id"])] = run
        for number in sorted(runs, reverse=True):
            # The name of a job ends with the values of its matrix: "cxroute-plan: [prod]".
            jobs = [
                job
                for job in self._list_jobs(number)
                if text_at(job, "name").split(": [")[0] == pipeline
            ]
            states = {job.get("status") for job in jobs}
            if (
                jobs
                and states <= {"success", "failed"}
                and all(_is_of(job, runs[number], head) for job in jobs)
            ):
                return forge.PlanRun(number, states == {"success"})
        return None

    def _list_jobs(self, run: int) -> Iterator[dict[str, Any]]:
        return self._list(
            f"{self._path}/pipelines/{run}/jobs", f"list the jobs of pipeline {run}"
        )

    def fetch_plan(self, run: int, environment: str) -> bytes | None:
        """Return the plan in the artifact of the environment's job; only this file is
        downloaded.
        """
        name = f"cxroute-plan: [{environment}]"
        planned = [
            int(job["id"]) for job in self._list_jobs(run) if job.get("name") == name
        ]
        if not planned:
            return None
        path = f"{self._path}/jobs/{max(planned)}/artifacts/out/{quote(environment)}/{forge.PLAN_FILE}"
        try:
            return self._http.get_file(
                path,
                forge.MAX_PLAN_BYTES,
                Purpose("fetch the reviewed plan", _REPORTER),
            )
        except RestError as error:
            if error.status == MISSING:
                return None
            raise

    def fetch_approvals(self, number: int) -> forge.Approvals:
        """Return who approved after the newest push.

        GitLab removes older approvals only if it is set up so.
        """
        task = f"read the approvals of merge request {number}"
        purpose = Purpose(task, _REPORTER)
        path = f"{self._path}/merge_requests/{number}"
        request = self._http.get_object(path, purpose)
        head = text_at(request, "sha")
        author = _login(request, "author")
        pushed_at = _pushed_at(head, self._list(f"{path}/versions", task))
        if not author or pushed_at is None:
            raise RestError(
                f"cannot {task}: the response has no author, or no version of the head commit"
            )

        refused = _refusers(self._list(f"{path}/reviewers", task))
        approvals = self._http.get_object(f"{path}/approvals", purpose)
        if not isinstance(approvals.get("approved_by"), list):
            raise RestError(f"cannot {task}: the response has no approvals")
        approvers = _approvers_since(pushed_at, list_objects(approvals, "approved_by"))
        return forge.Approvals(head, frozenset(approvers - refused - {author, ""}))

    def fetch_members(self, owner: str) -> frozenset[str]:
        """Return the members of a group, inherited ones included; another name is that of a
        user.
        """
        name = _OWNER.fullmatch(owner)
        if name is None:
            raise RestError(
                f"{owner} is not an owner as GitLab names them: @USER, @GROUP or @GROUP/SUBGROUP"
            )
        purpose = Purpose(
            f"read the members of {owner}",
            "to see the group: make it a token of the group",
        )
        path = f"/groups/{quote(name[1], safe='')}/members/all?per_page=100"
        try:
            members = [
                member
                for member in self._http.pages(path, purpose)
                if member.get("state") == "active"
            ]
        except RestError as error:
            if error.status != MISSING or "/" in name[1]:
                raise
            # users and groups share their names, so no user has a group's
            return frozenset({name[1].lower()})
        return frozenset(map(_login, members)) - {""}

    def set_status(self, sha: str, status: forge.CommitStatus) -> None:
        """Set a status of a commit.

        That a status is already pending is not an error, although GitLab refuses it.
        """
        state = "failed" if status.state == "failure" else status.state
        fields = {"state": state, "name": status.name, "description": status.text}
        purpose = Purpose(f"set the status of {sha[:8]}", _DEVELOPER)
        try:
            self._http.send("POST", f"{self._path}/statuses/{sha}", fields, purpose)
        except RestError as error:
            if (
                error.status != _REFUSED
                or state != "pending"
                or "Cannot transition" not in str(error)
            ):
                raise


def _pushed_at(head: str, versions: Iterable[Mapping[str, Any]]) -> datetime | None:
    """Return when the newest version was pushed; None if it is not that of the head commit."""
    newest = max(versions, key=lambda version: number_at(version, "id"), default={})
    if not head or newest.get("head_commit_sha") != head:
        return None
    return moment_at(newest, "created_at")


def _refusers(reviewers: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the reviewers who request changes."""
    return {
        _login(item, "user")
        for item in reviewers
        if item.get("state") == "requested_changes"
    }


def _is_of(job: Mapping[str, Any], run: Mapping[str, Any], head: str) -> bool:
    """Return whether a job is for that commit, or for the temporary merge of it into the target
    branch.
    """
    is_merge = text_at(run, "ref").endswith("/merge")
    parents = as_object(job.get("commit")).get("parent_ids")
    if run.get("sha") == head:
        return True
    return is_merge and isinstance(parents, list) and head in parents


def _approvers_since(
    moment: datetime, approvals: Iterable[Mapping[str, Any]]
) -> set[str]:
    """Return who approved after that moment."""
    approvers = set()
    for approval in approvals:
        # Older versions of GitLab do not report the time.
        approved_at = moment_at(approval, "approved_at")
        if approved_at and approved_at > moment:
            approvers.add(_login(approval, "user"))
    return approvers


def _login(item: Mapping[str, Any], *names: str) -> str:
    login = text_at(item, *names, "username")
    return login.lower()


def _parse_post(item: Mapping[str, Any], id_name: str, text_name: str) -> forge.Post:
    number = number_at(item, id_name)
    author = text_at(item, "author", "username")
    body = _QUOTED_ACTION.sub("/", text_at(item, text_name))
    return forge.Post(number, author, body)


ADAPTER: Final = GitLab
