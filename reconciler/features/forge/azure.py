"""Azure DevOps: the run of a pipeline, and a repository of Azure Repos behind its REST API."""

import html
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final
from urllib.parse import quote, urlencode

from reconciler.core.text.json_values import (
    as_object,
    as_text,
    list_objects,
    moment_at,
    number_at,
    parse_object,
    text_at,
)
from reconciler.features.forge import forge
from reconciler.features.forge.plan_report import read_archive_file
from reconciler.features.forge.step import StepVariables
from reconciler.rest.client import (
    ListPage,
    Purpose,
    RestClient,
    RestDialect,
    RestError,
    RestResponse,
)

TAG: Final = "cxroute-drift"
# of Azure DevOps Services, and of Azure DevOps Server since 2022
_VERSION: Final = "7.0"
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
# Azure DevOps documents neither HTML comments nor alerts in a pull request's Markdown. What
# replaces them has their length: a definition of a link, which is not shown, and a word.
_MARKER: Final = re.compile(r"^<!-- (cxroute:[^()\n]*) -->$", re.MULTILINE)
_HIDDEN: Final = re.compile(r"^\[/\]: # \((cxroute:[^()\n]*)\)$", re.MULTILINE)
_ALERT: Final = re.compile(r"^> \[!(NOTE|WARNING|CAUTION)\]$", re.MULTILINE)
_TITLE: Final = re.compile(r"^> \*(Note|Warning|Caution):\*$", re.MULTILINE)
_LINK: Final = re.compile(r"\[([^\]\n]{0,1000})\]\((https?://[^)\s]*)\)")
_ELEMENT: Final = re.compile(r"<[^>]*>")


def _read_page(response: RestResponse, payload: object) -> ListPage:
    """Return a page of `value`: the next one has a continuation token, or an offset if the list
    takes `$top`.
    """
    items = as_object(payload).get("value")
    url = response.url
    token = response.headers.get("x-ms-continuationtoken")
    next_url = None
    if token:
        next_url = str(url.copy_set_param("continuationToken", token))
    elif items and "$top" in url.params:
        offset = int(url.params.get("$skip", "0")) + len(items)
        next_url = str(url.copy_set_param("$skip", offset))
    return ListPage(items if isinstance(items, list) else None, next_url)


DIALECT: Final = RestDialect(
    name="Azure DevOps",
    token_variable="SYSTEM_ACCESSTOKEN",  # noqa: S106 - the name of a variable
    permission_advice="the build service's account needs the permission: {}",
    missing_advice="it does not exist, or the build service's account lacks the permission: {}",
    page=_read_page,
    sign_in_statuses=(203, 302),
)


def read_run(variables: Mapping[str, str]) -> forge.PipelineRun:
    """Return the run from the step's variables.

    Raises UsageError outside of a pipeline of Azure Repos.
    """
    step = StepVariables(variables, "Azure DevOps")
    project = step.matching("SYSTEM_TEAMPROJECTID", _GUID)
    repository = step.matching("BUILD_REPOSITORY_ID", _GUID)
    api = step.address("SYSTEM_COLLECTIONURI")
    run = step.number("BUILD_BUILDID")
    number = step.optional_number("SYSTEM_PULLREQUEST_PULLREQUESTID")
    sha_variable = (
        "SYSTEM_PULLREQUEST_SOURCECOMMITID" if number else "BUILD_SOURCEVERSION"
    )
    actor = _NAME.sub("", variables.get("BUILD_REQUESTEDFOR", ""))[:60]
    return forge.PipelineRun(
        repository=f"{project}/{repository}",
        id=run,
        attempt=step.number("SYSTEM_JOBATTEMPT", "1"),
        sha=step.sha(sha_variable),
        is_manual=variables.get("BUILD_REASON") == "Manual",
        actor=actor or "nobody",
        api=api,
        link=f"[run]({api}/{project}/_build/results?buildId={run})",
        pull_request=number,
        git=f"{api}/{project}/_git/{repository}",
    )


def authorize_git(token: str) -> str:
    """Return the header's value for git."""
    return f"Bearer {token}"


class AzureDevOps:
    """A repository of Azure Repos.

    An account is its id: it is in every response, and a person cannot change it.
    """

    request = "pull request"
    manual_advice = (
        "Run the apply pipeline manually (Pipelines, Run pipeline): it plans, waits for approval, "
        "applies."
    )
    max_text = 70_000  # a comment has 150,000 units of UTF-16, of which a character takes at most 2

    def __init__(self, http: RestClient, run: forge.PipelineRun) -> None:
        project, repository = run.repository.split("/")
        self._http = http
        self._run = run
        self._project = f"/{project}/_apis"
        self._git = f"{self._project}/git/repositories/{repository}"

    def fetch_login(self) -> str:
        """Return the id of the token's account."""
        purpose = Purpose("read the token's account", "none")
        data = self._http.get_object(
            _address("/_apis/connectionData", version="7.0-preview"), purpose
        )
        login = text_at(data, "authenticatedUser", "id")
        if not login:
            raise RestError(f"cannot {purpose.task}: the response has no account")
        return login

    def list_notes(self, number: int) -> list[forge.Post]:
        """Return the first comment of every thread that is not of the system, oldest first."""
        purpose = Purpose(f"read the comments of pull request {number}", _READ)
        posts = []
        for thread in self._list_of_pull(number, "threads", purpose):
            first = next(iter(list_objects(thread, "comments")), {})
            if first.get("commentType") == "text" and not first.get("isDeleted"):
                author = text_at(first, "author", "id")
                body = _from_azure(text_at(first, "content"))
                posts.append(forge.Post(number_at(thread, "id"), author, body))
        return posts

    def write_note(self, number: int, body: str, note: int | None = None) -> None:
        """Write the first comment of a new thread, or of that one."""
        purpose = Purpose(f"write the comment of pull request {number}", _NOTE)
        path = f"{self._git}/pullRequests/{number}/threads"
        content = {"content": _to_azure(body)}
        if note is not None:
            address = _address(f"{path}/{note}/comments/1")
            self._http.send("PATCH", address, content, purpose)
            return
        comment = {"parentCommentId": 0, "commentType": "text", **content}
        # without a status: a branch policy does not wait for its resolution
        thread = {"comments": [comment]}
        self._http.send("POST", _address(path), thread, purpose)

    def _list_of_pull(
        self,
        number: int,
        what: str,
        purpose: Purpose,
    ) -> list[dict[str, Any]]:
        path = _address(f"{self._git}/pullRequests/{number}/{what}")
        return sorted(
            self._http.pages(path, purpose), key=lambda item: number_at(item, "id")
        )

    def list_drift_issues(self) -> list[forge.Post]:
        """Return the open tasks with our tag."""
        purpose = Purpose("list the tasks about drift", _ITEMS)
        address = _address(f"{self._project}/wit/wiql")
        response = self._http.send("POST", address, {"query": _DRIFT_QUERY}, purpose)
        items = list_objects(response, "workItems")
        ids = [str(number_at(item, "id")) for item in items]
        closed = self._closed_states(purpose)
        posts = []
        for item in self._fetch_tasks(ids, purpose):
            fields = as_object(item.get("fields"))
            author, state, text = map(fields.get, _ITEM_FIELDS)
            if state not in closed:
                number = number_at(item, "id")
                body = html.unescape(_ELEMENT.sub("", as_text(text)))
                posts.append(forge.Post(number, text_at(author, "id"), body))
        return posts

    def _fetch_tasks(
        self,
        ids: Sequence[str],
        purpose: Purpose,
    ) -> Iterator[dict[str, Any]]:
        """Yield the tasks with these ids; a request has a limited number of them."""
        for start in range(0, len(ids), _BATCH):
            address = _address(
                f"{self._project}/wit/workitems",
                ids=",".join(ids[start : start + _BATCH]),
                fields=",".join(_ITEM_FIELDS),
            )
            yield from self._http.pages(address, purpose)

    def _closed_states(self, purpose: Purpose) -> list[str]:
        """Return the names of the closed states of a task, which the process of the project
        decides; done first.
        """
        address = _address(f"{self._project}/wit/workitemtypes/Task/states")
        states = list(self._http.pages(address, purpose))
        names = []
        for category in ("Completed", "Removed"):
            names += [
                text_at(state, "name")
                for state in states
                if state.get("category") == category
            ]
        if not names:
            raise RestError(
                f"cannot {purpose.task}: tasks of this project have no closed state"
            )
        return names

    def open_drift_issue(self, title: str, body: str) -> int:
        """Open a task with our tag."""
        fields = {
            "System.Title": title,
            "System.Description": _preformatted(body),
            "System.Tags": TAG,
        }
        return number_at(self._write_item("POST", "$Task", fields), "id")

    def change_drift_issue(self, issue: int, body: str | None, remark: str) -> None:
        """Replace a task's text or close it, with a remark in its discussion."""
        if body is None:
            purpose = Purpose("read the states of a task", _ITEMS)
            change = {"System.State": self._closed_states(purpose)[0]}
        else:
            change = {"System.Description": _preformatted(body)}
        self._write_item("PATCH", issue, {**change, "System.History": _linked(remark)})

    def _write_item(
        self,
        method: str,
        item: int | str,
        fields: Mapping[str, str],
    ) -> dict[str, Any]:
        patch = [
            {"op": "add", "path": f"/fields/{name}", "value": value}
            for name, value in fields.items()
        ]
        path = _address(f"{self._project}/wit/workitems/{item}")
        purpose = Purpose("write the task about drift", _ITEMS)
        return self._http.send(method, path, patch, purpose, _PATCH)

    def fetch_branch_tip(self) -> forge.BranchTip:
        """Return the tip of the default branch."""
        purpose = Purpose("find the tip of the default branch", _READ)
        repository = self._http.get_object(_address(self._git), purpose)
        name = text_at(repository, "defaultBranch")
        path = _address(f"{self._git}/refs", filter=name.removeprefix("refs/"))
        # all refs that start with that name
        refs = self._http.pages(path, purpose) if name else ()
        for ref in refs:
            if ref.get("name") == name:
                branch = name.removeprefix("refs/heads/")
                return forge.BranchTip(branch, text_at(ref, "objectId"))
        raise RestError(f"cannot {purpose.task}: the repository has none")

    def find_merged_request(
        self,
        sha: str,
        tip: forge.BranchTip,
    ) -> forge.MergedRequest | None:
        """Return the completed pull request whose merge, in any of its forms, is this commit."""
        query = {"queries": [{"type": "lastMergeCommit", "items": [sha]}]}
        purpose = Purpose("find the pull request of this commit", _READ)
        address = _address(f"{self._git}/pullrequestquery")
        response = self._http.send("POST", address, query, purpose)
        requests_by_date = {}
        for result in list_objects(response, "results"):
            for pull in list_objects(result, sha):
                place = (
                    pull.get("status"),
                    pull.get("targetRefName"),
                    text_at(pull, "lastMergeCommit", "commitId"),
                )
                if place == ("completed", f"refs/heads/{tip.branch}", sha):
                    date = text_at(pull, "closedDate")
                    requests_by_date[date] = _merged_request(pull)
        return requests_by_date[max(requests_by_date)] if requests_by_date else None

    def list_open_requests(self) -> list[forge.OpenRequest]:
        """Return every active pull request; the head of a fork is a parent of its merge."""
        purpose = Purpose("list the active pull requests", _READ)
        options = {"searchCriteria.status": "active", **_TOP}
        path = _address(f"{self._git}/pullrequests", **options)
        requests = []
        for pull in self._http.pages(path, purpose):
            number = number_at(pull, "pullRequestId")
            ref = text_at(pull, "sourceRefName")
            if pull.get("forkSource") is not None:
                ref = f"refs/pull/{number}/merge"
            request = forge.OpenRequest(
                number,
                text_at(pull, "title"),
                text_at(pull, "targetRefName").removeprefix("refs/heads/"),
                text_at(pull, "lastMergeSourceCommit", "commitId"),
                ref,
            )
            requests.append(request)
        return requests

    def find_plan_run(self, head: str, pipeline: str) -> forge.PlanRun | None:
        """Return the newest finished build for a pull request with this head, by the pipelines of
        that file.
        """
        purpose = Purpose(f"list the runs of {pipeline}", _BUILDS)
        repository = {
            "repositoryId": self._run.repository.partition("/")[2],
            "repositoryType": "TfsGit",
        }
        path = _address(
            f"{self._project}/build/definitions",
            **repository,
            includeAllProperties="true",
        )
        definitions = [
            str(number_at(item, "id"))
            for item in self._http.pages(path, purpose)
            if text_at(item, "process", "yamlFilename").lstrip("/") == pipeline
        ]
        options = {
            **repository,
            "reasonFilter": "pullRequest",
            "queryOrder": "queueTimeDescending",
        }
        path = _address(
            f"{self._project}/build/builds",
            **options,
            definitions=",".join(definitions),
        )
        if not definitions:
            return None
        for build in islice(self._http.pages(path, purpose), _MAX_BUILDS):
            facts = (build.get("reason"), build.get("status"), _built_commit(build))
            result = build.get("result")
            if facts == ("pullRequest", "completed", head) and result != "canceled":
                return forge.PlanRun(number_at(build, "id"), result == "succeeded")
        return None

    def fetch_plan(self, run: int, environment: str) -> bytes | None:
        """Return the plan in the artifact of the last attempt: an attempt cannot replace the
        artifact of another.
        """
        purpose = Purpose("fetch the reviewed plan", _BUILDS)
        artifact = self._newest_artifact(run, environment, purpose)
        if artifact is None:
            return None
        build_path = _address(f"{self._project}/build/builds/{run}")
        build = self._http.get_object(build_path, purpose)
        pipeline = number_at(as_object(build.get("definition")), "id")
        path = f"{self._project}/pipelines/{pipeline}/runs/{run}/artifacts"
        path = _address(path, **{"artifactName": artifact, "$expand": "signedContent"})
        link = text_at(self._http.get_object(path, purpose), "signedContent", "url")
        archive = self._http.download_from(link, forge.MAX_PLAN_BYTES, purpose)
        return read_archive_file(
            archive,
            forge.PLAN_FILE,
            forge.MAX_PLAN_BYTES,
            artifact,
        )

    def _newest_artifact(
        self,
        run: int,
        environment: str,
        purpose: Purpose,
    ) -> str | None:
        """Return the name of the artifact of the last attempt; None without one."""
        name = re.escape(environment)
        pattern = re.compile(rf"routing-plan-{name}-([1-9][0-9]{{0,5}})")
        path = _address(f"{self._project}/build/builds/{run}/artifacts")
        items = self._http.pages(path, purpose)
        attempts = filter(None, (pattern.fullmatch(text_at(i, "name")) for i in items))
        newest = max(attempts, key=lambda match: int(match[1]), default=None)
        return newest[0] if newest else None

    def fetch_approvals(self, number: int) -> forge.Approvals:
        """Return who approved the last push: a vote stays after a push, so the record of the vote
        must be younger.
        """
        purpose = Purpose(f"read the votes on pull request {number}", _READ)
        address = _address(f"{self._git}/pullRequests/{number}")
        pull = self._http.get_object(address, purpose)
        iterations = self._list_of_pull(number, "iterations", purpose)
        last_push = iterations[-1] if iterations else {}
        head = text_at(last_push, "sourceRefCommit", "commitId")
        pushed_at = moment_at(last_push, "createdDate")
        authors = {text_at(pull, "createdBy", "id"), text_at(last_push, "author", "id")}
        if not head or pushed_at is None or "" in authors:
            raise RestError(
                f"cannot {purpose.task}: the response has no last push, or not its author"
            )

        votes = _votes_since(pushed_at, self._list_of_pull(number, "threads", purpose))
        approvers = {
            text_at(reviewer, "uniqueName").lower()
            for reviewer in list_objects(pull, "reviewers")
            if _has_approved(reviewer, votes, authors)
        }
        return forge.Approvals(head, frozenset(approvers - {""}))

    def fetch_members(self, owner: str) -> frozenset[str]:
        """Return a user, or the direct members of a team (`@PROJECT/TEAM`): groups in a team are
        not read.
        """
        name = _OWNER.fullmatch(owner)
        if name is None:
            raise RestError(
                f"{owner} is not an owner as Azure DevOps names them: @USER, or @PROJECT/TEAM"
            )
        if name[2] is None:
            return frozenset({name[1].lower()})
        path = f"/_apis/projects/{quote(name[1], safe='')}/teams/{quote(name[2], safe='')}/members"
        purpose = Purpose(
            f"read the members of {owner}", "View project-level information"
        )
        members = set()
        for member in self._http.pages(_address(path, **_TOP), purpose):
            identity = as_object(member.get("identity"))
            if not identity.get("isContainer"):
                members.add(text_at(identity, "uniqueName").lower())
        return frozenset(members - {""})

    def set_status(self, sha: str, status: forge.CommitStatus) -> None:
        """Set a status of a commit; in a pull request's run, of its push: a branch policy can only
        require that.
        """
        number = self._run.pull_request
        purpose = Purpose(f"set the status of {sha[:8]}", _NOTE)
        if number is None:
            return self._post_status(f"commits/{sha}", status, purpose)
        try:
            pushes = self._list_of_pull(number, "iterations", purpose)
        except RestError:  # an earlier success must not stay
            self._post_status(
                f"pullRequests/{number}",
                status._replace(state="failure"),
                purpose,
            )
            raise
        ids = [
            number_at(push, "id")
            for push in pushes
            if text_at(push, "sourceRefCommit", "commitId") == sha
        ]
        if not ids:
            raise RestError(
                f"cannot {purpose.task}: it is not a head of pull request {number}"
            )
        return self._post_status(
            f"pullRequests/{number}/iterations/{ids[-1]}",
            status,
            purpose,
        )

    def _post_status(
        self,
        path: str,
        status: forge.CommitStatus,
        purpose: Purpose,
    ) -> None:
        genre, _, name = status.name.rpartition("/")
        state = _STATES.get(status.state, status.state)
        fields = {
            "state": state,
            "description": status.text,
            "context": {"genre": genre, "name": name},
        }
        self._http.send(
            "POST",
            _address(f"{self._git}/{path}/statuses"),
            fields,
            purpose,
        )


def _has_approved(
    reviewer: Mapping[str, Any],
    votes: Mapping[str, str],
    authors: Container[str],
) -> bool:
    """Return whether a person other than an author has a vote that approves and was recorded."""
    identity = text_at(reviewer, "id")
    vote = reviewer.get("vote")
    is_current = vote in _APPROVED and votes.get(identity) == str(vote)
    # a group gets the vote of a member, who is listed too
    is_person = bool(identity) and not reviewer.get("isContainer")
    return is_current and is_person and identity not in authors


def _address(path: str, *, version: str = _VERSION, **options: str) -> str:
    query = urlencode({**options, "api-version": version})
    return f"{path}?{query}"


def _merged_request(pull: Mapping[str, Any]) -> forge.MergedRequest:
    number = number_at(pull, "pullRequestId")
    head = text_at(pull, "lastMergeSourceCommit", "commitId")
    is_from_fork = pull.get("forkSource") is not None
    return forge.MergedRequest(number, head, is_from_fork)


def _votes_since(
    moment: datetime, threads: Iterable[Mapping[str, Any]]
) -> dict[str, str]:
    """Return the last vote of each person after that moment, by the person's id."""
    votes = {}
    for thread in threads:
        published_at = moment_at(thread, "publishedDate")
        if published_at is None or published_at <= moment:
            continue
        if _property(thread, "CodeReviewThreadType") != "VoteUpdate":
            continue
        key = _property(thread, "CodeReviewVotedByIdentity")
        voter = text_at(thread, "identities", key, "id")
        votes[voter] = _property(thread, "CodeReviewVoteResult")
    return votes


def _property(thread: Mapping[str, Any], name: str) -> str:
    """Return a property of a thread of the system: `{"$type": "System.String", "$value": "10"}`."""
    properties = as_object(thread.get("properties"))
    return str(as_object(properties.get(name)).get("$value", ""))


def _built_commit(build: Mapping[str, Any]) -> str:
    """Return the head of the pull request that a build merged.

    A build has it in one of two places.
    """
    parameters = parse_object(text_at(build, "parameters"))
    return text_at(parameters, "system.pullRequest.sourceCommitId") or text_at(
        build,
        "triggerInfo",
        "pr.sourceSha",
    )


def _to_azure(text: str) -> str:
    text = _ALERT.sub(lambda match: f"> *{match[1].capitalize()}:*", text)
    return _MARKER.sub(r"[/]: # (\1)", text)


def _from_azure(text: str) -> str:
    text = _TITLE.sub(
        lambda match: f"> [!{match[1].upper()}]", text.replace("\r\n", "\n")
    )
    return _HIDDEN.sub(r"<!-- \1 -->", text)


def _preformatted(text: str) -> str:
    """Return Markdown as HTML, in which a server keeps every character: its cleaning removes
    comments.
    """
    return f"<pre>{html.escape(text, quote=False)}</pre>"


def _linked(remark: str) -> str:
    return _LINK.sub(r'<a href="\2">\1</a>', html.escape(remark, quote=True))


ADAPTER: Final = AzureDevOps
