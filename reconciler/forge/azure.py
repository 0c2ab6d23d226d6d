"""Azure DevOps: the run of a pipeline, and a repository of Azure Repos behind its REST API."""

import html
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
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
    as_object,
    as_text,
    list_objects,
)
from reconciler.forge.http import ForgeDialect, ForgeError, ForgeHttp, ForgeResponse, ListPage, Purpose
from reconciler.forge.variables import StepVariables

TAG: Final = "cxroute-drift"
_VERSION: Final = "7.0"  # of Azure DevOps Services, and of Azure DevOps Server since 2022
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_OWNER: Final = re.compile(r"@([^\s/]+)(?:/([^\s/]+))?")
_NAME: Final = re.compile(r"[^\w .'-]")
_DRIFT_QUERY: Final = (
    "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = @project"
    f" AND [System.WorkItemType] = 'Task' AND [System.Tags] CONTAINS '{TAG}'"  # noqa: S608 - a constant
)
_PATCH: Final = "application/json-patch+json"
_NOTE: Final = "Contribute to pull requests"
_READ: Final = "Read (of the repository)"
_BUILDS: Final = "View builds"
_ITEMS: Final = "Edit work items in this node"
_BATCH: Final = 200  # work items of one request
_APPROVED: Final = (5, 10)  # with suggestions, and without
_STATES: Final = {"success": "succeeded", "failure": "failed"}
# Azure DevOps documents neither HTML comments nor alerts in a pull request's Markdown.
_MARKER: Final = re.compile(r"^<!-- (cxroute:[^()\n]*) -->$", re.MULTILINE)
_HIDDEN: Final = re.compile(r"^\[//\]: <> \((cxroute:[^()\n]*)\)$", re.MULTILINE)
_ALERT: Final = re.compile(r"^> \[!(NOTE|WARNING|CAUTION)\]$", re.MULTILINE)
_TITLE: Final = re.compile(r"^> \*\*(Note|Warning|Caution)\*\*$", re.MULTILINE)
_LINK: Final = re.compile(r"\[([^\]\n]*)\]\((https?://[^)\s]*)\)")
_ELEMENT: Final = re.compile(r"<[^>]*>")


def _read_page(response: ForgeResponse, payload: object) -> ListPage:
    """Return a page of `value`: the next one has a continuation token, or an offset if the list takes `$top`."""
    items, url = as_object(payload).get("value"), response.url
    token, next_url = response.headers.get("x-ms-continuationtoken"), None
    if token:
        next_url = str(url.copy_set_param("continuationToken", token))
    elif items and "$top" in url.params:
        next_url = str(url.copy_set_param("$skip", int(url.params.get("$skip", "0")) + len(items)))
    return ListPage(items if isinstance(items, list) else None, next_url)


DIALECT: Final = ForgeDialect(
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

    def __init__(self, http: ForgeHttp, run: PipelineRun) -> None:
        project, repository = run.repository.split("/")
        self._http, self._run, self._project = http, run, f"/{project}/_apis"
        self._git = f"{self._project}/git/repositories/{repository}"

    def fetch_login(self) -> str:
        """Return the id of the token's account."""
        purpose = Purpose("read the token's account", "none")
        data = self._http.get_object(_address("/_apis/connectionData", version="7.0-preview"), purpose)
        login = as_text(as_object(data.get("authenticatedUser")).get("id"))
        if not login:
            raise ForgeError(f"cannot {purpose.task}: the response has no account")
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
        purpose = Purpose("list the work items about drift", _ITEMS)
        query = _DRIFT_QUERY + "".join(
            f" AND [System.State] <> {_quoted(name)}" for name in self._closed_states(purpose)
        )
        found = self._http.send("POST", _address(f"{self._project}/wit/wiql"), {"query": query}, purpose)
        ids = [str(_number(item)) for item in list_objects(found, "workItems")]
        posts = []
        for start in range(0, len(ids), _BATCH):
            names = "System.CreatedBy,System.Description"
            path = _address(f"{self._project}/wit/workitems", ids=",".join(ids[start : start + _BATCH]), fields=names)
            for item in self._http.pages(path, purpose):
                fields = as_object(item.get("fields"))
                author = as_text(as_object(fields.get("System.CreatedBy")).get("id"))
                text = html.unescape(_ELEMENT.sub("", as_text(fields.get("System.Description"))))
                posts.append(Post(_number(item), author, text))
        return posts

    def _closed_states(self, purpose: Purpose) -> list[str]:
        """Return the names of the closed states of a task, which the process of the project decides; done first."""
        states = list(self._http.pages(_address(f"{self._project}/wit/workitemtypes/Task/states"), purpose))
        closed = ("Completed", "Removed")
        names = [as_text(state.get("name")) for kind in closed for state in states if state.get("category") == kind]
        if not names:
            raise ForgeError(f"cannot {purpose.task}: tasks of this project have no closed state")
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
        for found in self._http.pages(path, purpose):  # all refs that start with that name
            if ref and found.get("name") == ref:
                return BranchTip(ref.removeprefix("refs/heads/"), as_text(found.get("objectId")))
        raise ForgeError(f"cannot {purpose.task}: the repository has none")

    def find_merged_request(self, sha: str, tip: BranchTip) -> MergedRequest | None:
        """Return the completed pull request whose merge, in any of its forms, is this commit."""
        purpose, target = Purpose("find the pull request of this commit", _READ), f"refs/heads/{tip.branch}"
        pulls = [
            pull
            for pull in self._search_pulls("lastMergeCommit", sha, purpose)
            if (pull.get("status"), pull.get("targetRefName")) == ("completed", target)
            and _commit(pull, "lastMergeCommit") == sha
        ]
        if not pulls:
            return None
        pull = max(pulls, key=lambda pull: as_text(pull.get("closedDate")))
        head, is_from_fork = _commit(pull, "lastMergeSourceCommit"), pull.get("forkSource") is not None
        return MergedRequest(_number(pull, "pullRequestId"), head, is_from_fork)

    def _search_pulls(self, kind: str, sha: str, purpose: Purpose) -> list[dict[str, Any]]:
        query = {"queries": [{"type": kind, "items": [sha]}]}
        found = self._http.send("POST", _address(f"{self._git}/pullrequestquery"), query, purpose)
        return [pull for result in list_objects(found, "results") for pull in list_objects(result, sha)]

    def find_plan_run(self, head: str, pipeline: str) -> PlanRun | None:
        """Return the newest finished build of the merge of this commit's pull request, by pipelines of that file."""
        purpose = Purpose(f"list the runs of {pipeline}", _BUILDS)
        repository = {"repositoryId": self._run.repository.partition("/")[2], "repositoryType": "TfsGit"}
        path = _address(f"{self._project}/build/definitions", **repository, includeAllProperties="true")
        definitions = [
            str(_number(item))
            for item in self._http.pages(path, purpose)
            if as_text(as_object(item.get("process")).get("yamlFilename")).lstrip("/") == pipeline
        ]
        runs = []
        for pull in self._search_pulls("commit", head, purpose) if definitions else ():
            if _commit(pull, "lastMergeSourceCommit") == head and pull.get("forkSource") is None:
                branch = f"refs/pull/{_number(pull, 'pullRequestId')}/merge"
                options = {**repository, "branchName": branch, "reasonFilter": "pullRequest"}
                path = _address(f"{self._project}/build/builds", **options, definitions=",".join(definitions))
                runs += [build for build in self._http.pages(path, purpose) if _is_finished(build, head, branch)]
        newest = max(runs, key=_number, default=None)
        return PlanRun(_number(newest), newest.get("result") == "succeeded") if newest else None

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
        last = next(reversed(self._list_of_pull(number, "iterations", purpose)), {})
        head, pushed = _commit(last, "sourceRefCommit"), _moment(last.get("createdDate"))
        author, pusher = (
            as_text(as_object(form.get(name)).get("id")) for form, name in ((pull, "createdBy"), (last, "author"))
        )
        if not head or pushed is None or not author:
            raise ForgeError(f"cannot {purpose.task}: the response has no last push or no author")
        votes: dict[str, str] = {}
        for thread in self._list_of_pull(number, "threads", purpose):
            voted = _moment(thread.get("publishedDate"))
            if _property(thread, "CodeReviewThreadType") == "VoteUpdate" and voted is not None and voted > pushed:
                key = _property(thread, "CodeReviewVotedByIdentity")
                voter = as_object(as_object(thread.get("identities")).get(key))
                votes[as_text(voter.get("id"))] = _property(thread, "CodeReviewVoteResult")
        approvers = (
            as_text(reviewer.get("uniqueName")).lower()
            for reviewer in list_objects(pull, "reviewers")  # a group gets the vote of a member, who is listed too
            if not reviewer.get("isContainer") and reviewer.get("id") not in ("", author, pusher)
            if (vote := reviewer.get("vote")) in _APPROVED and votes.get(as_text(reviewer.get("id"))) == str(vote)
        )
        return Approvals(head, frozenset(approvers) - {""})

    def fetch_members(self, owner: str) -> frozenset[str]:
        """Return a user (`@anna@acme.example`), or the direct members of a team (`@PROJECT/TEAM`)."""
        name = _OWNER.fullmatch(owner)
        if name is None:
            raise ForgeError(f"{owner} is not an owner as Azure DevOps names them: @USER, or @PROJECT/TEAM")
        if name[2] is None:
            return frozenset({name[1].lower()})
        path = f"/_apis/projects/{quote(name[1], safe='')}/teams/{quote(name[2], safe='')}/members"
        purpose = Purpose(f"read the members of {owner}", "View project-level information")
        members = self._http.pages(_address(path, **{"$top": "100"}), purpose)
        identities = [as_object(member.get("identity")) for member in members]
        return frozenset(as_text(one.get("uniqueName")).lower() for one in identities if not one.get("isContainer")) - {
            ""
        }

    def set_status(self, sha: str, status: CommitStatus) -> None:
        """Set a status of a commit; in the run of a pull request, its status: a branch policy can only require that."""
        genre, _, name = status.name.rpartition("/")
        state = _STATES.get(status.state, status.state)
        fields: dict[str, Any] = {"state": state, "description": status.text, "context": {"genre": genre, "name": name}}
        path, purpose = f"commits/{sha}", Purpose(f"set the status of {sha[:8]}", "Contribute to pull requests")
        if number := self._run.pull_request:
            pushes = [
                push
                for push in self._list_of_pull(number, "iterations", purpose)
                if _commit(push, "sourceRefCommit") == sha
            ]
            if not pushes:
                raise ForgeError(f"cannot {purpose.task}: it is not a head of pull request {number}")
            path = f"pullRequests/{number}"
            fields["iterationId"] = _number(pushes[-1])
        self._http.send("POST", _address(f"{self._git}/{path}/statuses"), fields, purpose)


def _address(path: str, *, version: str = _VERSION, **options: str) -> str:
    return f"{path}?{urlencode({**options, 'api-version': version})}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


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


def _is_finished(build: Mapping[str, Any], head: str, branch: str) -> bool:
    """Return whether a build ended, was not cancelled, and was of this commit. It names it in one of two places."""
    parameters: dict[str, Any] = {}
    with suppress(ValueError, RecursionError):
        parameters = as_object(json.loads(as_text(build.get("parameters"))))
    built = parameters.get("system.pullRequest.sourceCommitId") or as_object(build.get("triggerInfo")).get(
        "pr.sourceSha"
    )
    facts = (build.get("reason"), build.get("status"), build.get("sourceBranch"), built)
    return facts == ("pullRequest", "completed", branch, head) and build.get("result") != "canceled"


def _to_azure(text: str) -> str:
    text = _ALERT.sub(lambda match: f"> **{match[1].capitalize()}**", text)
    return _MARKER.sub(r"[//]: <> (\1)", text)


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
    return AzureDevOps(ForgeHttp(dialect=DIALECT, http=http, base=run.api, authorization=authorization), run)
