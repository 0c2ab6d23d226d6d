"""A fake Azure DevOps: the parts of its REST API that cxroute calls, with all data kept."""

from __future__ import annotations

import html
import io
import json
import re
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from tests.features.forge.contract import (
    BOT,
    HEAD,
    MERGE,
    OWNER_OF_REQUEST,
    FakeFault,
    FakeIssue,
    FakeNote,
    FakeRequest,
    FakeRun,
    Permission,
)
from tests.support.fallback_project import git
from tests.support.git_server import GitHost
from tests.support.threaded_server import HttpReply, HttpRequest, threaded_server

PROJECT: Final = "6ce954b1-ce1f-45d1-b94d-e6bf2464ba2c"
REPOSITORY: Final = "2f3d611a-f012-4b39-b157-8db63f380226"
PIPELINE: Final = 12
PULL: Final = 7
PERMISSIONS: Final[tuple[Permission, ...]] = (
    "notes",
    "issues",
    "code",
    "plans",
    "approvals",
    "members",
    "statuses",
)
_COLLECTION: Final = "/acme"
_START: Final = datetime(2026, 11, 24, 10, tzinfo=UTC)
_COMMENT_LIMIT: Final = 150_000
_CATEGORIES: Final = {
    "To Do": "Proposed",
    "Doing": "InProgress",
    "Won't do": "Removed",
    "Done": "Completed",
}
_SIGN_IN: Final = b"<html>Sign in</html>"


class AzureRequest(NamedTuple):
    """A request: its query by name, its JSON, its media type, and the permissions of its token."""

    method: str
    path: str
    query: dict[str, str]
    form: Any
    content_type: str
    granted: frozenset[str] | None  # None: an unknown token


@dataclass
class FakeAzure:
    """One repository of Azure Repos, with one pull request."""

    name: str = "azure"
    token_variable: str = "SYSTEM_ACCESSTOKEN"
    page_size: int = 100
    url: str = ""
    blobs: str = ""
    sign_in_status: int = 203
    token_sent_elsewhere: bool = False
    with_folder: bool = True  # in the archive of an artifact
    tip: str = "0" * 40
    reason: str = ""  # in place of that of the run
    faults: list[FakeFault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    tokens: dict[str, frozenset[str]] = field(default_factory=dict)
    threads: list[dict[str, Any]] = field(default_factory=list)
    iterations: list[dict[str, Any]] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    builds: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[tuple[int, str], bytes] = field(default_factory=dict)
    posted: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    teams: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    number: int = 0
    git: GitHost | None = None
    git_token: str = ""
    others: dict[int, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Open the pull request."""
        self.pull: dict[str, Any] = {
            "pullRequestId": PULL,
            "status": "active",
            "createdBy": identity(OWNER_OF_REQUEST),
            "targetRefName": "refs/heads/main",
            "reviewers": [],
        }
        self.push(HEAD)

    def next(self) -> int:
        """Return the next number; they only grow."""
        self.number += 1
        return self.number

    def moment(self) -> str:
        """Return the next second, as Azure DevOps writes it."""
        return f"{_START + timedelta(seconds=self.next()):%Y-%m-%dT%H:%M:%S}.1234567Z"

    # The interface of the contract suite

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve the API on one port of loopback, and the artifacts on another."""
        with (
            threaded_server(self._respond) as self.url,
            threaded_server(self._respond) as self.blobs,
        ):
            yield

    def _respond(self, request: HttpRequest) -> HttpReply:
        path = unquote(request.parts.path)
        self.asked.append(f"{request.method} {path}")
        if path == "/check-in":
            return HttpReply(200)
        if path.startswith("/blob/"):
            self.token_sent_elsewhere |= "Authorization" in request.headers
            run, name = request.parts.path.removeprefix("/blob/").split("/")
            return self.take_fault(f"GET {request.parts.path}") or HttpReply(
                200, self.artifacts[int(run), name]
            )
        home = f"{_COLLECTION}/{PROJECT}/_git/{REPOSITORY}"
        if self.git and (answer := self.git.answer(request, home)):
            return answer
        granted = self.tokens.get(
            request.headers.get("Authorization", "").removeprefix("Bearer ")
        )
        query = dict(parse_qsl(request.parts.query))
        kind = request.headers.get("Content-Type", "")
        return self.answer(
            AzureRequest(request.method, path, query, request.form, kind, granted)
        )

    def variables(self, run: FakeRun) -> dict[str, str]:
        """Return the variables of a step."""
        merge = {
            "BUILD_SOURCEVERSION": "e" * 40,
            "BUILD_SOURCEBRANCH": f"refs/pull/{PULL}/merge",
        }
        pull = {
            "PULLREQUESTID": str(run.pull_request or ""),
            "SOURCECOMMITID": run.sha if run.pull_request else "",
        }
        return {
            "SYSTEM_COLLECTIONURI": f"{self.url}{_COLLECTION}/",
            "SYSTEM_TEAMPROJECTID": PROJECT,
            "BUILD_REPOSITORY_ID": REPOSITORY,
            "BUILD_BUILDID": str(run.id),
            "BUILD_REASON": "Manual"
            if run.is_manual
            else "PullRequest"
            if run.pull_request
            else "IndividualCI",
            "BUILD_REQUESTEDFOR": "Anna <b>",
            "BUILD_SOURCEVERSION": run.sha,
            "BUILD_SOURCEBRANCH": "refs/heads/main",
            **(merge if run.pull_request else {}),
            "SYSTEM_JOBATTEMPT": str(run.attempt),
            **{f"SYSTEM_PULLREQUEST_{name}": value for name, value in pull.items()},
            self.token_variable: self.git_token or self.token(*PERMISSIONS),
        }

    def token(self, *permissions: Permission) -> str:
        """Return a token with these permissions alone."""
        token = f"eyJ0eXAiOiJKV1Qi.Zq7Lw2Xv9Kd4Rt6Yb1Nm8Pc{self.next():06}"
        self.tokens[token] = frozenset(permissions)
        return token

    def add_note(self, author: str, body: str) -> None:
        """Write a comment in a thread of its own."""
        self.add_thread(
            [{"author": identity(author), "content": body, "commentType": "text"}]
        )

    def add_thread(self, comments: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Add a thread, whose comments count from 1."""
        numbered = [
            {"id": place, "parentCommentId": 0, **comment}
            for place, comment in enumerate(comments, 1)
        ]
        thread = {
            "id": self.next(),
            "publishedDate": self.moment(),
            "comments": numbered,
            "isDeleted": False,
            **more,
        }
        self.threads.append(thread)
        return thread

    def notes(self) -> list[FakeNote]:
        """Return the comments."""
        first = [thread["comments"][0] for thread in self.threads]
        return [
            FakeNote(item["author"]["uniqueName"], item["content"])
            for item in first
            if item["commentType"] == "text"
        ]

    def issues(self) -> list[FakeIssue]:
        """Return the tasks, as a reader sees them."""
        issues = []
        for item in self.items:
            fields = item["fields"]
            body = html.unescape(re.sub("<[^>]*>", "", fields["System.Description"]))
            is_open = _CATEGORIES[fields["System.State"]] in ("Proposed", "InProgress")
            issues.append(
                FakeIssue(fields["System.Title"], body, is_open, item["history"])
            )
        return issues

    def push(self, sha: str) -> None:
        """Push a commit: a new iteration; the votes stay, unless a policy resets them."""
        number = len(self.iterations) + 1
        author = self.pull["createdBy"]
        self.iterations.append(
            {
                "id": number,
                "author": author,
                "createdDate": self.moment(),
                "sourceRefCommit": {"commitId": sha},
            }
        )
        self.pull["lastMergeSourceCommit"] = {"commitId": sha}

    @property
    def head(self) -> str:
        """Return the head of the pull request."""
        return str(self.iterations[-1]["sourceRefCommit"]["commitId"])

    def vote(self, login: str, vote: int, **more: Any) -> None:
        """Vote; the system records it in a thread."""
        declared = [
            item for item in self.pull["reviewers"] if item["uniqueName"] != login
        ]
        self.pull["reviewers"] = [*declared, {**identity(login), "vote": vote, **more}]
        texts = {
            "CodeReviewThreadType": "VoteUpdate",
            "CodeReviewVoteResult": str(vote),
            "CodeReviewVotedByIdentity": "1",
        }
        properties = {
            name: {"$type": "System.String", "$value": text}
            for name, text in texts.items()
        }
        comment = {
            "author": identity(login),
            "content": f"{login} voted {vote}",
            "commentType": "system",
        }
        self.add_thread(
            [comment], properties=properties, identities={"1": identity(login)}
        )

    def approve(self, login: str) -> None:
        """Approve."""
        self.vote(login, 10)

    def request_changes(self, login: str) -> None:
        """Reject."""
        self.vote(login, -10)

    def set_members(self, owner: str, *logins: str) -> None:
        """Define a team."""
        project, _, team = owner.removeprefix("@").partition("/")
        self.teams[project, team] = list(logins)

    def move_to_fork(self) -> None:
        """Make the source branch one of a fork."""
        self.pull["forkSource"] = {
            "name": "refs/heads/change",
            "repository": {"id": str(uuid.uuid4())},
        }

    def merge(self, sha: str = MERGE) -> None:
        """Complete the pull request."""
        self.tip = sha
        if self.pull["status"] == "active":
            self.pull |= {
                "status": "completed",
                "closedDate": self.moment(),
                "lastMergeCommit": {"commitId": sha},
            }

    def store_plan(
        self, environment: str, plan: bytes, *, run: int = 100, succeeded: bool = True
    ) -> None:
        """Record a build of the plan pipeline, with its artifact."""
        self.build(run, "succeeded" if succeeded else "failed")
        self.publish(
            run, f"routing-plan-{environment}-1", {"plan.json": plan, "plan.md": b"x"}
        )

    def build(self, run: int, result: str | None, **more: Any) -> None:
        """Record a build of the pull request's merge; without a result, one that still runs."""
        parameters = {
            "system.pullRequest.pullRequestId": str(PULL),
            "system.pullRequest.sourceCommitId": self.head,
        }
        build = {
            "id": run,
            "reason": "pullRequest",
            "status": "completed" if result else "inProgress",
            "result": result,
            "definition": {"id": PIPELINE},
            "sourceVersion": "e" * 40,
            "sourceBranch": f"refs/pull/{PULL}/merge",
            "parameters": json.dumps(parameters),
            **more,
        }
        self.builds = [build for build in self.builds if build["id"] != run] + [build]

    def publish(self, run: int, name: str, files: Mapping[str, bytes]) -> None:
        """Store an artifact, whose name must be new for the build."""
        assert (run, name) not in self.artifacts, name
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, content in files.items():
                archive.writestr(
                    f"{name}/{file}" if self.with_folder else file, content
                )
        self.artifacts[run, name] = buffer.getvalue()

    def host_git(self, folder: Path) -> GitHost:
        """Serve a repository to one token."""
        self.git_token = self.token(*PERMISSIONS)
        self.git = GitHost.create(folder, f"Bearer {self.git_token}")
        return self.git

    def open_request(self, other: FakeRequest) -> None:
        """Open a pull request.

        Only a merge of it has a ref of its own; a branch that is not of a fork is here.
        """
        assert self.git is not None
        ref = f"refs/heads/{other.source}"
        tip = f"refs/heads/{other.branch}"
        words = ("commit-tree", f"{other.head}^{{tree}}", "-p", tip, "-p", other.head)
        merge = git(*words, "-m", "merge", at=str(self.git.folder))
        self.git.set_ref(f"refs/pull/{other.number}/merge", merge.strip())
        pull = {
            "pullRequestId": other.number,
            "title": other.title,
            "status": "active",
            "createdBy": identity(OWNER_OF_REQUEST),
            "sourceRefName": ref,
            "targetRefName": tip,
            "lastMergeSourceCommit": {"commitId": other.head},
        }
        if other.is_from_fork:
            fork = {"name": ref, "repository": {"id": str(uuid.uuid4())}}
            pull["forkSource"] = fork
        else:
            self.git.set_ref(ref, other.head)
        if other.number == PULL:
            self.pull |= pull
        else:
            self.others[other.number] = pull

    def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        """Return the statuses of a commit, in the words of the interface."""
        return self.posted.get(sha, {})

    # The API

    def answer(self, request: AzureRequest) -> HttpReply:
        """Execute a request if the token has the permission."""
        if fault := self.take_fault(f"{request.method} {request.path}"):
            return fault
        if request.granted is None:
            return HttpReply(
                self.sign_in_status, _SIGN_IN, {"Location": f"{self.url}/_signin"}
            )
        for method, pattern, does, needs in _ROUTES:
            actual = re.fullmatch(_COLLECTION + pattern, request.path)
            if actual and method == request.method:
                assert request.query.get("api-version", "").startswith("7."), (
                    request.path
                )
                return (
                    does(self, request, *actual.groups())
                    if _allows(request.granted, needs)
                    else _FORBIDDEN
                )
        return _MISSING

    def take_fault(self, asked: str) -> HttpReply | None:
        """Return the next fault for that request, once."""
        for number, fault in enumerate(self.faults):
            if re.search(fault.pattern, asked):
                del self.faults[number]
                return HttpReply(fault.status, fault.body, fault.headers)
        return None

    def page(self, request: AzureRequest, items: list[Any]) -> HttpReply:
        """Return a page of a list that has continuation tokens."""
        start = int(request.query.get("continuationToken", "0"))
        end = start + self.page_size
        headers = {"x-ms-continuationtoken": str(end)} if end < len(items) else {}
        return HttpReply(
            200, {"count": len(items[start:end]), "value": items[start:end]}, headers
        )


def identity(login: str) -> dict[str, Any]:
    """Return an account, whose id follows from its name."""
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, login)),
        "uniqueName": login,
        "displayName": login.title(),
    }


def _allows(granted: frozenset[str], needs: str) -> bool:
    return not needs or bool(granted & set(needs.split()))


def _listed(items: list[Any]) -> HttpReply:
    return HttpReply(200, {"count": len(items), "value": items})


def _connection(_hub: FakeAzure, _request: AzureRequest) -> HttpReply:
    return HttpReply(200, {"authenticatedUser": identity(BOT)})


def _threads(hub: FakeAzure, _request: AzureRequest) -> HttpReply:
    return _listed(hub.threads)


def _write_thread(hub: FakeAzure, request: AzureRequest) -> HttpReply:
    (comment,) = request.form["comments"]
    if len(comment["content"].encode("utf-16-le")) > 2 * _COMMENT_LIMIT:
        return HttpReply(
            400,
            {
                "message": "A discussion comment cannot be longer than 150000 characters."
            },
        )
    return HttpReply(200, hub.add_thread([{**comment, "author": identity(BOT)}]))


def _edit_comment(
    hub: FakeAzure, request: AzureRequest, thread: str, comment: str
) -> HttpReply:
    for element in (
        item
        for actual in hub.threads
        if actual["id"] == int(thread)
        for item in actual["comments"]
    ):
        if element["id"] == int(comment):
            element["content"] = request.form["content"]
            return HttpReply(200, element)
    return _MISSING


def _wiql(hub: FakeAzure, request: AzureRequest) -> HttpReply:
    assert "[System.TeamProject] = @project" in request.form["query"]
    (tag,) = re.findall(r"\[System\.Tags\] CONTAINS '([^']*)'", request.form["query"])
    actual = [
        item for item in hub.items if tag in item["fields"]["System.Tags"].split("; ")
    ]
    return HttpReply(
        200, {"queryType": "flat", "workItems": [{"id": item["id"]} for item in actual]}
    )


def _items(hub: FakeAzure, request: AzureRequest) -> HttpReply:
    ids = request.query["ids"].split(",")
    names = request.query["fields"].split(",")
    if len(ids) > 200:
        return HttpReply(400, {"message": "VS403474: 200 work items at most."})
    actual = [item for item in hub.items if str(item["id"]) in ids]
    return _listed(
        [
            {"id": item["id"], "fields": {name: item["fields"][name] for name in names}}
            for item in actual
        ]
    )


def _write_item(hub: FakeAzure, request: AzureRequest, which: str) -> HttpReply:
    if request.content_type != "application/json-patch+json":
        return HttpReply(
            415,
            {"message": "The request indicated a Content-Type that is not supported."},
        )
    new: dict[str, Any] = {
        "id": hub.next(),
        "fields": {"System.State": "To Do", "System.CreatedBy": identity(BOT)},
        "history": [],
    }
    item = (
        new
        if which == "$Task"
        else next(item for item in hub.items if str(item["id"]) == which)
    )
    for change in request.form:
        assert "add" == change["op"]
        name = change["path"].removeprefix("/fields/")
        if name == "System.History":
            item["history"].append(change["value"])
        else:
            item["fields"][name] = change["value"]
    hub.items += [new] if item is new else []
    return HttpReply(200, item)


def _states(_hub: FakeAzure, _request: AzureRequest) -> HttpReply:
    return _listed(
        [{"name": name, "category": category} for name, category in _CATEGORIES.items()]
    )


def _repository(_hub: FakeAzure, _request: AzureRequest) -> HttpReply:
    return HttpReply(200, {"id": REPOSITORY, "defaultBranch": "refs/heads/main"})


def _refs(hub: FakeAzure, request: AzureRequest) -> HttpReply:
    refs = [
        {"name": f"refs/heads/{name}", "objectId": "1" * 40}
        for name in ("maintenance", "main-old")
    ]
    refs.append({"name": "refs/heads/main", "objectId": hub.tip})
    return hub.page(
        request,
        [
            ref
            for ref in refs
            if ref["name"].startswith("refs/" + request.query["filter"])
        ],
    )


def _query_pulls(hub: FakeAzure, request: AzureRequest) -> HttpReply:
    (query,) = request.form["queries"]
    assert "lastMergeCommit" == query["type"]
    (sha,) = query["items"]
    is_found = hub.pull.get("lastMergeCommit") == {"commitId": sha}
    return HttpReply(
        200, {"queries": [query], "results": [{sha: [hub.pull]} if is_found else {}]}
    )


def _definitions(hub: FakeAzure, request: AzureRequest) -> HttpReply:
    assert "true" == request.query["includeAllProperties"]
    declared = {11: "/other.yml", PIPELINE: "/.azure-pipelines/routing-plan.yml"}
    return hub.page(
        request,
        [
            {"id": item, "process": {"type": 2, "yamlFilename": file}}
            for item, file in declared.items()
        ],
    )


def _builds(hub: FakeAzure, request: AzureRequest) -> HttpReply:
    expected = request.query["definitions"].split(",")
    assert ("queueTimeDescending", "pullRequest") == (
        request.query["queryOrder"],
        request.query["reasonFilter"],
    )
    builds = sorted(hub.builds, key=lambda build: -int(build["id"]))
    return hub.page(
        request,
        [build for build in builds if str(build["definition"]["id"]) in expected],
    )


def _build(hub: FakeAzure, _request: AzureRequest, run: str) -> HttpReply:
    actual = [build for build in hub.builds if build["id"] == int(run)]
    return HttpReply(200, actual[0]) if actual else _MISSING


def _artifacts(hub: FakeAzure, _request: AzureRequest, run: str) -> HttpReply:
    names = [name for build, name in hub.artifacts if build == int(run)]
    url = f"{hub.blobs}/unsigned"
    return _listed(
        [
            {"name": name, "resource": {"type": "PipelineArtifact", "downloadUrl": url}}
            for name in names
        ]
    )


def _artifact(
    hub: FakeAzure, request: AzureRequest, pipeline: str, run: str
) -> HttpReply:
    name = request.query["artifactName"]
    is_of_pipeline = any(
        (build["id"], build["definition"]["id"]) == (int(run), int(pipeline))
        for build in hub.builds
    )
    if not is_of_pipeline or (int(run), name) not in hub.artifacts:
        return _MISSING
    assert "signedContent" == request.query["$expand"]
    return HttpReply(
        200,
        {
            "name": name,
            "signedContent": {"url": f"{hub.blobs}/blob/{run}/{name}?urlSignature=x"},
        },
    )


def _open_pulls(hub: FakeAzure, request: AzureRequest) -> HttpReply:
    assert "active" == request.query["searchCriteria.status"]
    pulls = [*sorted(hub.others.items(), reverse=True), (PULL, hub.pull)]
    active = [pull for _, pull in pulls if pull["status"] == "active"]
    start = int(request.query.get("$skip", "0"))
    size = min(int(request.query["$top"]), hub.page_size)
    return _listed(active[start : start + size])


def _pull(hub: FakeAzure, _request: AzureRequest) -> HttpReply:
    return HttpReply(200, hub.pull)


def _iterations(hub: FakeAzure, _request: AzureRequest) -> HttpReply:
    return _listed(hub.iterations)


def _members(
    hub: FakeAzure, request: AzureRequest, project: str, team: str
) -> HttpReply:
    if (project, team) not in hub.teams:
        return HttpReply(404, {"message": f"The team with id '{team}' does not exist."})
    start = int(request.query.get("$skip", "0"))
    size = min(int(request.query["$top"]), hub.page_size)
    group = {"identity": {**identity("nested"), "isContainer": True}}
    members = [
        group,
        *({"identity": identity(login)} for login in hub.teams[project, team]),
    ]
    return _listed(members[start : start + size])


def _set_status(hub: FakeAzure, request: AzureRequest, which: str) -> HttpReply:
    form = request.form
    iteration = which.rpartition("/iterations/")[2]
    is_push = iteration.isdecimal() and iteration != which
    sha = (
        hub.iterations[int(iteration) - 1]["sourceRefCommit"]["commitId"]
        if is_push
        else which.partition("/")[2]
    )
    sha = hub.head if which == "pullRequests/7" else sha
    state = {"succeeded": "success", "failed": "failure", "pending": "pending"}[
        form["state"]
    ]
    name = f"{form['context']['genre']}/{form['context']['name']}"
    hub.posted.setdefault(sha, {})[name] = (state, form["description"])
    return HttpReply(200, form)


_MISSING: Final = HttpReply(
    404, {"message": "TF401019: it does not exist or you do not have permissions."}
)
_FORBIDDEN: Final = HttpReply(
    403, {"message": "TF401027: You need the permission to perform this action."}
)
_PROJECT: Final = f"/{PROJECT}/_apis"
_GIT: Final = f"{_PROJECT}/git/repositories/{REPOSITORY}"
_READ: Final = "code notes approvals statuses plans"
_ROUTES: Final[list[tuple[str, str, Callable[..., HttpReply], str]]] = [
    ("GET", r"/_apis/connectionData", _connection, ""),
    ("GET", rf"{_GIT}/pullRequests/7", _pull, "approvals code"),
    ("GET", rf"{_GIT}/pullRequests/7/threads", _threads, "approvals notes code"),
    (
        "GET",
        rf"{_GIT}/pullRequests/7/iterations",
        _iterations,
        "approvals statuses code",
    ),
    ("POST", rf"{_GIT}/pullRequests/7/threads", _write_thread, "notes"),
    (
        "PATCH",
        rf"{_GIT}/pullRequests/7/threads/(\d+)/comments/(\d+)",
        _edit_comment,
        "notes",
    ),
    (
        "POST",
        rf"{_GIT}/(pullRequests/7|pullRequests/7/iterations/\d+|commits/\w+)/statuses",
        _set_status,
        "statuses",
    ),
    ("POST", rf"{_PROJECT}/wit/wiql", _wiql, "issues"),
    ("GET", rf"{_PROJECT}/wit/workitems", _items, "issues"),
    ("GET", rf"{_PROJECT}/wit/workitemtypes/Task/states", _states, "issues"),
    ("POST", rf"{_PROJECT}/wit/workitems/(\$Task)", _write_item, "issues"),
    ("PATCH", rf"{_PROJECT}/wit/workitems/(\d+)", _write_item, "issues"),
    ("GET", _GIT, _repository, _READ),
    ("GET", rf"{_GIT}/refs", _refs, _READ),
    ("GET", rf"{_GIT}/pullrequests", _open_pulls, _READ),
    ("POST", rf"{_GIT}/pullrequestquery", _query_pulls, _READ),
    ("GET", rf"{_PROJECT}/build/definitions", _definitions, "plans"),
    ("GET", rf"{_PROJECT}/build/builds", _builds, "plans"),
    ("GET", rf"{_PROJECT}/build/builds/(\d+)", _build, "plans"),
    ("GET", rf"{_PROJECT}/build/builds/(\d+)/artifacts", _artifacts, "plans"),
    ("GET", rf"{_PROJECT}/pipelines/(\d+)/runs/(\d+)/artifacts", _artifact, "plans"),
    ("GET", r"/_apis/projects/([^/]+)/teams/([^/]+)/members", _members, "members"),
]
"""Requests, and their permissions, each of which is sufficient."""


def fake_forge() -> FakeAzure:
    """Return the fake of the contract suite."""
    return FakeAzure()
