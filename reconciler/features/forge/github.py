"""GitHub: the run of a workflow, and the repository behind its REST API."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from reconciler.core.errors import RefusedError
from reconciler.core.text.json_values import as_object, list_objects, number_at, text_at
from reconciler.features.forge import forge
from reconciler.features.forge.plan_report import read_archive_file, read_json_object
from reconciler.features.forge.step import StepVariables
from reconciler.rest.client import (
    FORBIDDEN,
    MISSING,
    Purpose,
    RestClient,
    RestDialect,
    RestError,
)

BOT: Final = "github-actions[bot]"  # the login of a workflow's token
DIALECT: Final = RestDialect(
    name="GitHub",
    token_variable="GITHUB_TOKEN",  # noqa: S106 - the name of a variable
    permission_advice="the job needs `permissions: {}`",
    missing_advice="it does not exist, or the job lacks `permissions: {}`",
    headers={
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    },
)
LABEL: Final = "cxroute-drift"
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_PULL: Final = re.compile(r"refs/pull/([1-9][0-9]{0,11})/(merge|head)")
_ACTOR: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,60}(\[bot\])?")
_OWNER: Final = re.compile(r"@([A-Za-z0-9-]+)(?:/([A-Za-z0-9._-]+))?")
_COMMENT: Final = "pull-requests: write"
_ISSUE: Final = "issues: write"
_EXISTS: Final = 422


def read_run(variables: Mapping[str, str]) -> forge.PipelineRun:
    """Return the run from the step's variables and its event.

    Raises UsageError outside of a workflow.
    """
    step = StepVariables(variables, "GitHub")
    event_file = variables.get("GITHUB_EVENT_PATH")
    event = read_json_object(Path(event_file)) if event_file else {}
    pull = as_object(event.get("pull_request"))
    number = number_at(pull, "number")
    if not number:
        ref = _PULL.fullmatch(variables.get("GITHUB_REF", ""))
        number = int(ref[1]) if ref else 0

    repository = step.matching("GITHUB_REPOSITORY", _REPOSITORY)
    run = step.number("GITHUB_RUN_ID")
    attempt = step.number("GITHUB_RUN_ATTEMPT", "1")
    server = step.address("GITHUB_SERVER_URL", "https://github.com")
    return forge.PipelineRun(
        repository=repository,
        id=run,
        attempt=attempt,
        sha=_head_commit(step, pull),
        is_manual=variables.get("GITHUB_EVENT_NAME") == "workflow_dispatch",
        actor=step.matching("GITHUB_ACTOR", _ACTOR, "nobody"),
        api=step.address("GITHUB_API_URL", "https://api.github.com"),
        link=f"[run]({server}/{repository}/actions/runs/{run}/attempts/{attempt})",
        pull_request=number if number > 0 else None,
        git=f"{server}/{repository}.git",
        is_queued=variables.get("GITHUB_EVENT_NAME") == "merge_group",
    )


def authorize_git(token: str) -> str:
    """Return the header's value for git."""
    return forge.basic_authorization("x-access-token", token)


def _head_commit(step: StepVariables, pull: Mapping[str, Any]) -> str:
    """Return the head of a pull request, or the commit of the run without one."""
    if "head" not in pull:
        return step.sha("GITHUB_SHA")
    head = {"GITHUB_SHA": text_at(pull, "head", "sha")}
    return StepVariables(head, "GitHub").sha("GITHUB_SHA")


class GitHub:
    """A repository on GitHub."""

    request = "pull request"
    manual_advice = (
        "Start the apply workflow manually (Actions, Run workflow): it plans, waits for approval, "
        "and applies."
    )
    max_text = 65_536

    def __init__(self, http: RestClient, run: forge.PipelineRun) -> None:
        self._http = http
        self._repository = run.repository
        self._path = f"/repos/{run.repository}"

    def fetch_login(self) -> str:
        """Return the login of the token. A workflow's token has no permission to read it."""
        try:
            login = self._http.get_object(
                "/user", Purpose("read the token's account", "none")
            )
        except RestError as error:
            if error.status in (FORBIDDEN, MISSING):
                return BOT
            raise
        return str(login.get("login") or BOT)

    def list_notes(self, number: int) -> list[forge.Post]:
        """Return every comment of a pull request, oldest first."""
        purpose = Purpose(f"read the comments of pull request {number}", _COMMENT)
        listed = self._http.pages(
            f"{self._path}/issues/{number}/comments?per_page=100", purpose
        )
        return [_parse_post(item, "id") for item in listed]

    def write_note(self, number: int, body: str, note: int | None = None) -> None:
        """Write a comment, or replace the text of one."""
        purpose = Purpose(f"write the comment of pull request {number}", _COMMENT)
        content = {"body": body}
        path = f"{self._path}/issues"
        if note is None:
            self._http.send("POST", f"{path}/{number}/comments", content, purpose)
        else:
            self._http.send("PATCH", f"{path}/comments/{note}", content, purpose)

    def list_drift_issues(self) -> list[forge.Post]:
        """Return the open issues with our label."""
        purpose = Purpose("list the issues about drift", _ISSUE)
        listed = self._http.pages(
            f"{self._path}/issues?state=open&labels={LABEL}&per_page=100", purpose
        )
        labelled = (
            issue
            for issue in listed
            if any(one.get("name") == LABEL for one in list_objects(issue, "labels"))
        )
        return [
            _parse_post(issue, "number")
            for issue in labelled
            if "pull_request" not in issue
        ]

    def open_drift_issue(self, title: str, body: str) -> int:
        """Open an issue with our label, which is created first: without it, the next run would not
        find the issue.
        """
        label = {
            "name": LABEL,
            "color": "d93f0b",
            "description": "Routing rules differ from the manifests",
        }
        try:
            self._http.send(
                "POST",
                f"{self._path}/labels",
                label,
                Purpose(f"create the label {LABEL}", _ISSUE),
            )
        except RestError as error:
            if error.status != _EXISTS:
                raise
        return number_at(
            self._write_issue(
                "POST",
                "",
                {"title": title, "body": body, "labels": [LABEL]},
            ),
            "number",
        )

    def change_drift_issue(self, issue: int, body: str | None, remark: str) -> None:
        """Replace an issue's text or close it, and add a comment."""
        fields = {"body": body}
        if body is None:
            fields = {"state": "closed", "state_reason": "completed"}
        self._write_issue("PATCH", f"/{issue}", fields)
        self._write_issue("POST", f"/{issue}/comments", {"body": remark})

    def _write_issue(self, method: str, path: str, fields: object) -> dict[str, Any]:
        purpose = Purpose("write the issue about drift", _ISSUE)
        return self._http.send(method, f"{self._path}/issues{path}", fields, purpose)

    def fetch_branch_tip(self) -> forge.BranchTip:
        """Return the tip of the default branch."""
        purpose = Purpose("find the tip of the default branch", "contents: read")
        branch = str(self._http.get_object(self._path, purpose).get("default_branch"))
        ref = self._http.get_object(
            f"{self._path}/git/ref/heads/{quote(branch)}", purpose
        )
        return forge.BranchTip(branch, text_at(ref, "object", "sha"))

    def find_merged_request(
        self,
        sha: str,
        tip: forge.BranchTip,
    ) -> forge.MergedRequest | None:
        """Return the pull request whose merge is this commit."""
        purpose = Purpose("find the pull request of this commit", "pull-requests: read")
        path = f"{self._path}/commits/{sha}/pulls?per_page=100"
        requests_by_date: dict[str, forge.MergedRequest] = {}
        for pull in self._http.pages(path, purpose):
            base = as_object(pull.get("base"))
            merged_at = text_at(pull, "merged_at")
            place = (
                text_at(base, "repo", "full_name"),
                base.get("ref"),
                pull.get("merge_commit_sha"),
            )
            if merged_at and place == (self._repository, tip.branch, sha):
                number = number_at(pull, "number")
                head = text_at(pull, "head", "sha")
                source = text_at(pull, "head", "repo", "full_name")
                is_from_fork = source != self._repository
                request = forge.MergedRequest(number, head, is_from_fork)
                requests_by_date[merged_at] = request
        return requests_by_date[max(requests_by_date)] if requests_by_date else None

    def list_open_requests(self) -> list[forge.OpenRequest]:
        """Return every open pull request; GitHub has the heads of forks, too."""
        purpose = Purpose("list the open pull requests", "pull-requests: read")
        path = f"{self._path}/pulls?state=open&sort=created&direction=desc&per_page=100"
        requests = []
        for pull in self._http.pages(path, purpose):
            number = number_at(pull, "number")
            request = forge.OpenRequest(
                number,
                text_at(pull, "title"),
                text_at(pull, "base", "ref"),
                text_at(pull, "head", "sha"),
                f"refs/pull/{number}/head",
            )
            requests.append(request)
        return requests

    def find_plan_run(self, head: str, pipeline: str) -> forge.PlanRun | None:
        """Return the newest finished run.

        A fork's run is its owner's, workflow file and artifact included.
        """
        path = f"/actions/workflows/{quote(pipeline, safe='')}/runs"
        query = f"?event=pull_request&head_sha={quote(head)}&per_page=100"
        purpose = Purpose(f"list the runs of {pipeline}", "actions: read")
        payload = self._http.get_object(f"{self._path}{path}{query}", purpose)
        file = f".github/workflows/{pipeline}"
        expected = (self._repository, "pull_request", head, file)
        finished = [
            run
            for run in list_objects(payload, "workflow_runs")
            if _facts_of_run(run) == expected
            and run.get("conclusion") not in (None, "cancelled", "skipped")
        ]
        newest = max(finished, key=lambda run: int(run["id"]), default=None)
        if newest is None:
            return None
        is_success = newest.get("conclusion") == "success"
        return forge.PlanRun(int(newest["id"]), is_success)

    def fetch_plan(self, run: int, environment: str) -> bytes | None:
        """Return the plan in the newest artifact of that name; checks the digest of the
        artifact.
        """
        purpose = Purpose("fetch the reviewed plan", "actions: read")
        name = f"routing-plan-{environment}"
        path = f"{self._path}/actions/runs/{run}/artifacts?name={name}&per_page=100"
        payload = self._http.get_object(path, purpose)
        valid = [
            entry
            for entry in list_objects(payload, "artifacts")
            if entry.get("name") == name and entry.get("expired") is False
        ]
        if not valid:
            return None
        artifact = max(valid, key=lambda entry: int(entry["id"]))
        path = f"{self._path}/actions/artifacts/{int(artifact['id'])}/zip"
        archive = self._http.download(path, forge.MAX_PLAN_BYTES, purpose)
        digest = artifact.get("digest")
        if digest and digest != f"sha256:{hashlib.sha256(archive).hexdigest()}":
            raise RefusedError(
                "the downloaded artifact does not have the run's digest; try again"
            )
        return read_archive_file(archive, forge.PLAN_FILE, forge.MAX_PLAN_BYTES)

    def fetch_approvals(self, number: int) -> forge.Approvals:
        """Return who approved the head commit; a later request for changes, or a dismissal,
        withdraws an approval.
        """
        purpose = Purpose(
            f"read the reviews of pull request {number}", "pull-requests: read"
        )
        pull = self._http.get_object(f"{self._path}/pulls/{number}", purpose)
        head = text_at(pull, "head", "sha")
        author = text_at(pull, "user", "login").lower()
        if not head or not author:
            raise RestError(
                f"cannot {purpose.task}: the response has no head commit or no author"
            )
        path = f"{self._path}/pulls/{number}/reviews?per_page=100"
        approvers = set()
        for review in self._http.pages(path, purpose):
            login = text_at(review, "user", "login").lower()
            state = review.get("state")
            # a comment changes nothing
            if state not in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED"):
                continue
            if state == "APPROVED" and review.get("commit_id") == head:
                approvers.add(login)
            else:
                approvers.discard(login)
        return forge.Approvals(head, frozenset(approvers - {author, ""}))

    def fetch_members(self, owner: str) -> frozenset[str]:
        """Return a user, or the members of a team: to read these, a token needs the organization's
        permission.
        """
        name = _OWNER.fullmatch(owner)
        if name is None:
            raise RestError(
                f"{owner} is not an owner as GitHub names them: @USER, or @ORGANIZATION/TEAM"
            )
        if name[2] is None:
            return frozenset({name[1].lower()})
        purpose = Purpose(
            f"read the members of {owner}", "members: read (of the organization)"
        )
        members = self._http.pages(
            f"/orgs/{name[1]}/teams/{name[2]}/members?per_page=100", purpose
        )
        return frozenset(text_at(member, "login").lower() for member in members) - {""}

    def set_status(self, sha: str, status: forge.CommitStatus) -> None:
        """Set a status of a commit."""
        fields = {
            "context": status.name,
            "state": status.state,
            "description": status.text,
        }
        purpose = Purpose(f"set the status of {sha[:8]}", "statuses: write")
        self._http.send("POST", f"{self._path}/statuses/{sha}", fields, purpose)


def _facts_of_run(run: Mapping[str, Any]) -> tuple[object, ...]:
    """Return the repository of a run's head, its event, its commit and its workflow file."""
    repository = text_at(run, "head_repository", "full_name")
    file = str(run.get("path", "")).split("@")[0]
    return repository, run.get("event"), run.get("head_sha"), file


def _parse_post(item: Mapping[str, Any], id_name: str) -> forge.Post:
    number = number_at(item, id_name)
    author = text_at(item, "user", "login")
    return forge.Post(number, author, text_at(item, "body"))


ADAPTER: Final = GitHub
