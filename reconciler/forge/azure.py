"""Azure DevOps: the run of a pipeline, and a repository of Azure Repos behind its REST API."""

import html
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx

from reconciler.forge.archive import read_archive_file
from reconciler.forge.forge import (
    MAX_PLAN_BYTES,
    PLAN_FILE,
    Approvals,
    BranchTip,
    CommitStatus,
    Forge,
    MergedRequest,
    PipelineRun,
    PlanRun,
    Post,
)
from reconciler.forge.variables import StepVariables
from reconciler.rest.client import ListPage, Purpose, RestClient, RestDialect, RestError, RestResponse
from reconciler.text.json_values import as_object, as_text, list_objects

TAG: Final = "cxroute-drift"
_VERSION: Final = "7.0"  # of Azure DevOps Services, and of Azure DevOps Server since 2022
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_OWNER: Final = re.compile(r"@([^\s/]+)(?:/([^\s/]+))?")
_NAME: Final = re.compile(r"[^\w .'-]")
_DRIFT_QUERY: Final = (
    "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = @project"
    " AND [System.WorkItemType] = 'Task' AND [System.Tags] CONTAINS 'cxroute-drift'"
)
_PATCH: Final = "application/json-patch+json"
_NOTE: Final = "Contribute to pull requests"
_READ: Final = "Read (of the repository)"
_BUILDS: Final = "View builds"
_ITEMS: Final = "Edit work items in this node"
_ITEM_FIELDS: Final = ("System.CreatedBy", "System.State", "System.Description")
_TOP: Final = {"$top": "100"}
_BATCH: Final = 200  # work items of one request
_MAX_BUILDS: Final = 2000  # of pull requests, newest first
_APPROVED: Final = (5, 10)  # with suggestions, and without
_STATES: Final = {"success": "succeeded", "failure": "failed"}
# Azure DevOps documents neither HTML comments nor alerts in a pull request's Markdown. What replaces them has their
# length: a definition of a link, which is not shown, and a word.
_MARKER: Final = re.compile(r"^<!-- (cxroute:[^()\n]*) -->$", re.MULTILINE)
_HIDDEN: Final = re.compile(r"^\[/\]: # \((cxroute:[^()\n]*)\)$", re.MULTILINE)
_ALERT: Final = re.compile(r"^> \[!(NOTE|WARNING|CAUTION)\]$", re.MULTILINE)
_TITLE: Final = re.compile(r"^> \*(Note|Warning|Caution):\*$", re.MULTILINE)
_LINK: Final = re.compile(r"\[([^\]\n]*)\]\((https?://[^)\s]*)\)")
_ELEMENT: Final = re.compile(r"<[^>]*>")


def _read_page(response: RestResponse, payload: object) -> ListPage:
    """Return a page of `value`: the next one has a continuation token, or an offset if the list takes `$top`."""
    items, url = as_object(payload).get("value"), response.url
    token, next_url = response.headers.get("x-ms-continuationtoken"), None
    if token:
        next_url = str(url.copy_set_param("continuationToken", token))
    elif items and "$top" in url.params:
        next_url = str(url.copy_set_param("$skip", int(url.params.get("$skip", "0")) + len(items)))
    return ListPage(items if isinstance(items, list) else None, next_url)


DIALECT: Final = RestDialect(
    name="Azure DevOps",
    token_variable="SYSTEM_ACCESSTOKEN",  # noqa: S106 - the name of a variable
    permission_advice="the build service's account needs the permission: {}",
    missing_advice="it does not exist, or the build service's account lacks the permission: {}",
    page=_read_page,
    sign_in_statuses=(203, 302),
)


def read_run(variables: Mapping[str, str]) -> PipelineRun:
    """Return the run from the step's variables. Raises UsageError outside of a pipeline of Azure Repos."""
    step = StepVariables(variables, "Azure DevOps")
    project, repository = step.matching("SYSTEM_TEAMPROJECTID", _GUID), step.matching("BUILD_REPOSITORY_ID", _GUID)
    api, run = step.address("SYSTEM_COLLECTIONURI"), step.number("BUILD_BUILDID")
    number = step.optional_number("SYSTEM_PULLREQUEST_PULLREQUESTID")
    return PipelineRun(
        repository=f"{project}/{repository}",
        id=run,
        attempt=step.number("SYSTEM_JOBATTEMPT", "1"),
        sha=step.sha("SYSTEM_PULLREQUEST_SOURCECOMMITID" if number else "BUILD_SOURCEVERSION"),
        is_manual=variables.get("BUILD_REASON") == "Manual",
        actor=_NAME.sub("", variables.get("BUILD_REQUESTEDFOR", ""))[:60] or "nobody",
        api=api,
        link=f"[run]({api}/{project}/_build/results?buildId={run})",
        pull_request=number,
    )


class AzureDevOps:
    """A repository of Azure Repos. An account is its id: it is in every response, and a person cannot change it."""

    name = "Azure DevOps"
    request = "pull request"
    manual_advice = "Run the apply pipeline manually (Pipelines, Run pipeline): it plans, waits for approval, applies."
    max_text = 70_000  # a comment has 150,000 units of UTF-16, of which a character takes at most 2

    def __init__(self, http: RestClient, run: PipelineRun) -> None:
        project, repository = run.repository.split("/")
        self._http, self._run, self._project = http, run, f"/{project}/_apis"
        self._git = f"{self._project}/git/repositories/{repository}"

    def fetch_login(self) -> str:
        """Return the id of the token's account."""
        purpose = Purpose("read the token's account", "none")
        data = self._http.get_object(_address("/_apis/connectionData", version="7.0-preview"), purpose)
        login = as_text(as_object(data.get("authenticatedUser")).get("id"))
        if not login:
            raise RestError(f"cannot {purpose.task}: the response has no account")
        return login

    def list_notes(self, number: int) -> list[Post]:
        """Return the first comment of every thread that is not of the system, oldest first."""
        posts, purpose = [], Purpose(f"read the comments of pull request {number}", _READ)
        for thread in self._list_of_pull(number, "threads", purpose):
            first = next(iter(list_objects(thread, "comments")), {})
            if first.get("commentType") == "text" and not first.get("isDeleted"):
                author = as_text(as_object(first.get("author")).get("id"))
                posts.append(Post(_number(thread), author, _from_azure(as_text(first.get("content")))))
        return posts

    def create_note(self, number: int, body: str) -> None:
        """Write a comment in a thread without a status: a branch policy does not wait for its resolution."""
        comment = {"parentCommentId": 0, "content": _to_azure(body), "commentType": "text"}
        self._write_note("POST", f"{number}/threads", {"comments": [comment]}, number)

    def edit_note(self, number: int, note: int, body: str) -> None:
        """Replace the text of a thread's first comment."""
        self._write_note("PATCH", f"{number}/threads/{note}/comments/1", {"content": _to_azure(body)}, number)

    def _write_note(self, method: str, path: str, fields: object, number: int) -> None:
        purpose = Purpose(f"write the comment of pull request {number}", _NOTE)
        self._http.send(method, _address(f"{self._git}/pullRequests/{path}"), fields, purpose)

    def _list_of_pull(self, number: int, what: str, purpose: Purpose) -> list[dict[str, Any]]:
        path = _address(f"{self._git}/pullRequests/{number}/{what}")
        return sorted(self._http.pages(path, purpose), key=_number)

    def list_drift_issues(self) -> list[Post]:
        """Return the open tasks with our tag."""
        purpose = Purpose("list the tasks about drift", _ITEMS)
        found = self._http.send("POST", _address(f"{self._project}/wit/wiql"), {"query": _DRIFT_QUERY}, purpose)
        ids, closed = [str(_number(item)) for item in list_objects(found, "workItems")], self._closed_states(purpose)
        posts = []
        for start in range(0, len(ids), _BATCH):
            options = {"ids": ",".join(ids[start : start + _BATCH]), "fields": ",".join(_ITEM_FIELDS)}
            for item in self._http.pages(_address(f"{self._project}/wit/workitems", **options), purpose):
                author, state, text = map(as_object(item.get("fields")).get, _ITEM_FIELDS)
                if state not in closed:
                    body = html.unescape(_ELEMENT.sub("", as_text(text)))
                    posts.append(Post(_number(item), as_text(as_object(author).get("id")), body))
        return posts

    def _closed_states(self, purpose: Purpose) -> list[str]:
        """Return the names of the closed states of a task, which the process of the project decides; done first."""
        states = list(self._http.pages(_address(f"{self._project}/wit/workitemtypes/Task/states"), purpose))
        closed = ("Completed", "Removed")
        names = [as_text(state.get("name")) for kind in closed for state in states if state.get("category") == kind]
        if not names:
            raise RestError(f"cannot {purpose.task}: tasks of this project have no closed state")
        return names

    def open_drift_issue(self, title: str, body: str) -> int:
        """Open a task with our tag."""
        fields = {"System.Title": title, "System.Description": _preformatted(body), "System.Tags": TAG}
        return _number(self._write_item("POST", "$Task", fields))

    def edit_drift_issue(self, issue: int, body: str, remark: str) -> None:
        """Replace a task's text, with a remark in its discussion."""
        self._write_item("PATCH", issue, {"System.Description": _preformatted(body), "System.History": _linked(remark)})

    def close_drift_issue(self, issue: int, remark: str) -> None:
        """Close a task, with a remark in its discussion."""
        state = self._closed_states(Purpose("read the states of a task", _ITEMS))[0]
        self._write_item("PATCH", issue, {"System.State": state, "System.History": _linked(remark)})

    def _write_item(self, method: str, item: int | str, fields: Mapping[str, str]) -> dict[str, Any]:
        patch = [{"op": "add", "path": f"/fields/{name}", "value": value} for name, value in fields.items()]
        path, purpose = _address(f"{self._project}/wit/workitems/{item}"), Purpose("write the task about drift", _ITEMS)
        return self._http.send(method, path, patch, purpose, _PATCH)

    def fetch_branch_tip(self) -> BranchTip:
        """Return the tip of the default branch."""
        purpose = Purpose("find the tip of the default branch", _READ)
        ref = as_text(self._http.get_object(_address(self._git), purpose).get("defaultBranch"))
        path = _address(f"{self._git}/refs", filter=ref.removeprefix("refs/"))
        for found in self._http.pages(path, purpose) if ref else ():  # all refs that start with that name
            if found.get("name") == ref:
                return BranchTip(ref.removeprefix("refs/heads/"), as_text(found.get("objectId")))
        raise RestError(f"cannot {purpose.task}: the repository has none")

    def find_merged_request(self, sha: str, tip: BranchTip) -> MergedRequest | None:
        """Return the completed pull request whose merge, in any of its forms, is this commit."""
        query, pulls = {"queries": [{"type": "lastMergeCommit", "items": [sha]}]}, []
        purpose = Purpose("find the pull request of this commit", _READ)
        found = self._http.send("POST", _address(f"{self._git}/pullrequestquery"), query, purpose)
        for pull in (pull for result in list_objects(found, "results") for pull in list_objects(result, sha)):
            place = (pull.get("status"), pull.get("targetRefName"), _commit(pull, "lastMergeCommit"))
            if place == ("completed", f"refs/heads/{tip.branch}", sha):
                pulls.append(pull)
        if not pulls:
            return None
        pull = max(pulls, key=lambda pull: as_text(pull.get("closedDate")))
        head, is_from_fork = _commit(pull, "lastMergeSourceCommit"), pull.get("forkSource") is not None
        return MergedRequest(_number(pull, "pullRequestId"), head, is_from_fork)

    def find_plan_run(self, head: str, pipeline: str) -> PlanRun | None:
        """Return the newest finished build for a pull request with this head, by the pipelines of that file."""
        purpose = Purpose(f"list the runs of {pipeline}", _BUILDS)
        repository = {"repositoryId": self._run.repository.partition("/")[2], "repositoryType": "TfsGit"}
        path = _address(f"{self._project}/build/definitions", **repository, includeAllProperties="true")
        definitions = [
            str(_number(item))
            for item in self._http.pages(path, purpose)
            if as_text(as_object(item.get("process")).get("yamlFilename")).lstrip("/") == pipeline
        ]
        options = {**repository, "reasonFilter": "pullRequest", "queryOrder": "queueTimeDescending"}
        path = _address(f"{self._project}/build/builds", **options, definitions=",".join(definitions))
        for build in islice(self._http.pages(path, purpose), _MAX_BUILDS) if definitions else ():
            facts = (build.get("reason"), build.get("status"), _built_commit(build))
            if facts == ("pullRequest", "completed", head) and build.get("result") != "canceled":
                return PlanRun(_number(build), build.get("result") == "succeeded")
        return None

    def fetch_plan(self, run: int, environment: str) -> bytes | None:
        """Return the plan in the artifact of the last attempt: an attempt cannot replace the artifact of another."""
        purpose = Purpose("fetch the reviewed plan", _BUILDS)
        name = re.compile(rf"(routing-plan-{re.escape(environment)}-)([1-9][0-9]{{0,5}})")
        listed = self._http.pages(_address(f"{self._project}/build/builds/{run}/artifacts"), purpose)
        names = [match for item in listed if (match := name.fullmatch(as_text(item.get("name"))))]
        if not names:
            return None
        artifact = max(names, key=lambda match: int(match[2]))[0]
        build = self._http.get_object(_address(f"{self._project}/build/builds/{run}"), purpose)
        path = f"{self._project}/pipelines/{_number(as_object(build.get('definition')))}/runs/{run}/artifacts"
        path = _address(path, **{"artifactName": artifact, "$expand": "signedContent"})
        signed = as_object(self._http.get_object(path, purpose).get("signedContent"))
        archive = self._http.download_from(as_text(signed.get("url")), MAX_PLAN_BYTES, purpose)
        return read_archive_file(archive, PLAN_FILE, MAX_PLAN_BYTES, artifact)

    def fetch_approvals(self, number: int) -> Approvals:
        """Return who approved the last push: a vote stays after a push, so the record of the vote must be younger."""
        purpose = Purpose(f"read the votes on pull request {number}", _READ)
        pull = self._http.get_object(_address(f"{self._git}/pullRequests/{number}"), purpose)
        last: dict[str, Any] = next(reversed(self._list_of_pull(number, "iterations", purpose)), {})
        head, pushed = _commit(last, "sourceRefCommit"), _moment(last.get("createdDate"))
        authors = {
            as_text(as_object(pull.get("createdBy")).get("id")),
            as_text(as_object(last.get("author")).get("id")),
        }
        if not head or pushed is None or "" in authors:
            raise RestError(f"cannot {purpose.task}: the response has no last push, or not its author")
        votes: dict[str, str] = {}
        for thread in self._list_of_pull(number, "threads", purpose):
            voted = _moment(thread.get("publishedDate"))
            if _property(thread, "CodeReviewThreadType") == "VoteUpdate" and voted is not None and voted > pushed:
                key = _property(thread, "CodeReviewVotedByIdentity")
                voter = as_object(as_object(thread.get("identities")).get(key))
                votes[as_text(voter.get("id"))] = _property(thread, "CodeReviewVoteResult")
        approvers = set()
        for reviewer in list_objects(pull, "reviewers"):  # a group gets the vote of a member, who is listed too
            identity, vote = as_text(reviewer.get("id")), reviewer.get("vote")
            is_current = vote in _APPROVED and votes.get(identity) == str(vote)
            if is_current and identity not in {"", *authors} and not reviewer.get("isContainer"):
                approvers.add(as_text(reviewer.get("uniqueName")).lower())
        return Approvals(head, frozenset(approvers - {""}))

    def fetch_members(self, owner: str) -> frozenset[str]:
        """Return a user, or the direct members of a team (`@PROJECT/TEAM`): groups in a team are not read."""
        name = _OWNER.fullmatch(owner)
        if name is None:
            raise RestError(f"{owner} is not an owner as Azure DevOps names them: @USER, or @PROJECT/TEAM")
        if name[2] is None:
            return frozenset({name[1].lower()})
        path = f"/_apis/projects/{quote(name[1], safe='')}/teams/{quote(name[2], safe='')}/members"
        purpose = Purpose(f"read the members of {owner}", "View project-level information")
        identities = (as_object(member.get("identity")) for member in self._http.pages(_address(path, **_TOP), purpose))
        people = (identity for identity in identities if not identity.get("isContainer"))
        return frozenset(as_text(person.get("uniqueName")).lower() for person in people) - {""}

    def set_status(self, sha: str, status: CommitStatus) -> None:
        """Set a status of a commit; in a pull request's run, of its push: a branch policy can only require that."""
        number, purpose = self._run.pull_request, Purpose(f"set the status of {sha[:8]}", _NOTE)
        if number is None:
            return self._post_status(f"commits/{sha}", status, purpose)
        try:
            pushes = self._list_of_pull(number, "iterations", purpose)
        except RestError:  # an earlier success must not stay
            self._post_status(f"pullRequests/{number}", status._replace(state="failure"), purpose)
            raise
        ids = [_number(push) for push in pushes if _commit(push, "sourceRefCommit") == sha]
        if not ids:
            raise RestError(f"cannot {purpose.task}: it is not a head of pull request {number}")
        return self._post_status(f"pullRequests/{number}/iterations/{ids[-1]}", status, purpose)

    def _post_status(self, path: str, status: CommitStatus, purpose: Purpose) -> None:
        genre, _, name = status.name.rpartition("/")
        state = _STATES.get(status.state, status.state)
        fields = {"state": state, "description": status.text, "context": {"genre": genre, "name": name}}
        self._http.send("POST", _address(f"{self._git}/{path}/statuses"), fields, purpose)


def _address(path: str, *, version: str = _VERSION, **options: str) -> str:
    return f"{path}?{urlencode({**options, 'api-version': version})}"


def _number(item: Mapping[str, Any], name: str = "id") -> int:
    value = item.get(name)
    return value if isinstance(value, int) else 0


def _commit(item: Mapping[str, Any], name: str) -> str:
    return as_text(as_object(item.get(name)).get("commitId"))


def _property(thread: Mapping[str, Any], name: str) -> str:
    """Return a property of a thread of the system: `{"$type": "System.String", "$value": "10"}`."""
    return str(as_object(as_object(thread.get("properties")).get(name)).get("$value", ""))


def _moment(text: object) -> datetime | None:
    with suppress(ValueError):
        moment = datetime.fromisoformat(as_text(text))
        return moment if moment.tzinfo else None
    return None


def _built_commit(build: Mapping[str, Any]) -> str:
    """Return the head of the pull request that a build merged. A build has it in one of two places."""
    parameters: dict[str, Any] = {}
    with suppress(ValueError, RecursionError):
        parameters = as_object(json.loads(as_text(build.get("parameters"))))
    head = parameters.get("system.pullRequest.sourceCommitId")
    return as_text(head or as_object(build.get("triggerInfo")).get("pr.sourceSha"))


def _to_azure(text: str) -> str:
    text = _ALERT.sub(lambda match: f"> *{match[1].capitalize()}:*", text)
    return _MARKER.sub(r"[/]: # (\1)", text)


def _from_azure(text: str) -> str:
    text = _TITLE.sub(lambda match: f"> [!{match[1].upper()}]", text.replace("\r\n", "\n"))
    return _HIDDEN.sub(r"<!-- \1 -->", text)


def _preformatted(text: str) -> str:
    """Return Markdown as HTML, in which a server keeps every character: its cleaning removes comments."""
    return f"<pre>{html.escape(text, quote=False)}</pre>"


def _linked(remark: str) -> str:
    return _LINK.sub(r'<a href="\2">\1</a>', html.escape(remark, quote=True))


def connect(http: httpx.Client, run: PipelineRun, token: str) -> Forge:
    """Connect to the repository of a run."""
    authorization = {"Authorization": f"Bearer {token}"}
    return AzureDevOps(RestClient(dialect=DIALECT, http=http, base=run.api, authorization=authorization), run)
