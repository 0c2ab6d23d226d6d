"""A fake GitLab: the parts of its REST API that cxroute calls, over a real socket, with all data
kept.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, get_args
from urllib.parse import parse_qs, unquote

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
from tests.support.git_server import GitHost
from tests.support.threaded_server import HttpReply, HttpRequest, threaded_server

PROJECT: Final = "acme/platform/routing"  # in a subgroup
PROJECT_ID = 42
FORK_ID = 77
TOKEN: Final = "glpat-Zq7Lw2Xv9Kd4Rt6Yb1Nm"
NUMBER: Final = 7
_BEGIN: Final = datetime(2026, 11, 24, 10, tzinfo=UTC)


@dataclass
class FakeGitLab:
    """One project.

    Lists are in the order of GitLab: notes oldest first, pipelines and versions newest first.
    """

    name: str = "gitlab"
    token_variable: str = "CXROUTE_GITLAB_TOKEN"
    page_size: int = 100
    faults: list[FakeFault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    tokens: dict[str, set[str]] = field(
        default_factory=lambda: {TOKEN: set(get_args(Permission))}
    )
    tip: str = HEAD
    requests: dict[int, dict[str, Any]] = field(default_factory=dict)
    commits: dict[int, set[str]] = field(default_factory=dict)
    versions: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    approvals: list[dict[str, Any]] = field(default_factory=list)
    reviewers: dict[str, str] = field(default_factory=dict)
    request_notes: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    kept_issues: list[dict[str, Any]] = field(default_factory=list)
    issue_notes: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    groups: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    pipelines: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[int, dict[str, bytes]] = field(default_factory=dict)
    commit_statuses: list[dict[str, Any]] = field(default_factory=list)
    git: GitHost | None = None
    url: str = ""
    ids: int = 9000

    def __post_init__(self) -> None:
        """Open the merge request."""
        self.open(NUMBER, HEAD)

    def number(self) -> int:
        """Return the next id."""
        self.ids += 1
        return self.ids

    def now(self) -> str:
        """Return a time that is later with each call."""
        return (
            (_BEGIN + timedelta(seconds=self.number()))
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z")
        )

    def open(
        self,
        number: int,
        sha: str,
        source: int = PROJECT_ID,
        title: str = "",
        branch: str = "main",
    ) -> None:
        """Open a merge request."""
        self.requests[number] = {
            "iid": number,
            "title": title,
            "state": "opened",
            "sha": sha,
            "author": {"username": OWNER_OF_REQUEST},
            "source_project_id": source,
            "target_project_id": PROJECT_ID,
            "target_branch": branch,
            "merge_commit_sha": None,
            "squash_commit_sha": None,
            "merged_at": None,
        }
        self.push(sha, number)

    @contextmanager
    def serving(self) -> Iterator[FakeGitLab]:
        """Serve on loopback."""
        with threaded_server(self._respond) as self.url:
            yield self

    def _respond(self, request: HttpRequest) -> HttpReply:
        path = request.parts.path
        self.asked.append(f"{request.method} {path}")
        if path == "/check-in":
            return HttpReply(200)
        if self.git and (answer := self.git.answer(request, f"/{PROJECT}.git")):
            return answer
        granted = self.tokens.get(request.headers.get("PRIVATE-TOKEN", ""))
        return self.answer(
            (request.method, path), parse_qs(request.parts.query), request.form, granted
        )

    def variables(self, run: FakeRun) -> dict[str, str]:
        """Return the variables of a job."""
        source = (
            "web"
            if run.is_manual
            else "merge_request_event"
            if run.pull_request
            else "push"
        )
        declared = {
            "CI_API_V4_URL": f"{self.url}/api/v4",
            "CI_PROJECT_PATH": PROJECT,
            "CI_PROJECT_URL": f"{self.url}/{PROJECT}",
            "CI_PIPELINE_ID": str(run.id),
            "CI_JOB_ID": str(run.id * 1000 + run.attempt),
            "CI_JOB_URL": f"{self.url}/{PROJECT}/-/jobs/{run.id}",
            "CI_PIPELINE_SOURCE": source,
            "CI_COMMIT_SHA": run.sha,
            "CI_MERGE_REQUEST_IID": str(run.pull_request or ""),
            "GITLAB_USER_LOGIN": "anna",
        }
        return {**declared, self.token_variable: TOKEN}

    def token(self, *permissions: Permission) -> str:
        """Return a token with these permissions alone."""
        token = f"{TOKEN[:-4]}{self.number()}"
        self.tokens[token] = set(permissions)
        return token

    def add_note(self, author: str, body: str, number: int = NUMBER) -> dict[str, Any]:
        """Write a note on a merge request."""
        note = {
            "id": self.number(),
            "author": {"username": author},
            "body": body,
            "system": False,
        }
        self.request_notes.setdefault(number, []).append(note)
        return note

    def notes(self, number: int = NUMBER) -> list[FakeNote]:
        """Return the notes of a merge request, without those of GitLab."""
        listed = self.request_notes.get(number, [])
        return [
            FakeNote(note["author"]["username"], note["body"])
            for note in listed
            if not note["system"]
        ]

    def issues(self) -> list[FakeIssue]:
        """Return the issues."""
        return [
            FakeIssue(
                issue["title"],
                issue["description"],
                issue["state"] == "opened",
                [note["body"] for note in self.issue_notes.get(issue["iid"], [])],
            )
            for issue in self.kept_issues
        ]

    def push(self, sha: str, number: int = NUMBER) -> None:
        """Push a commit. Approvals stay, as in a project that does not remove them."""
        self.requests[number]["sha"] = sha
        self.commits.setdefault(number, set()).add(sha)
        version = {
            "id": self.number(),
            "head_commit_sha": sha,
            "created_at": self.now(),
        }
        self.versions.setdefault(number, []).insert(0, version)

    def approve(self, login: str) -> None:
        """Approve; a user who approved before has to revoke that approval."""
        self.revoke(login)
        self.reviewers[login] = "approved"
        self.approvals.append({"user": {"username": login}, "approved_at": self.now()})

    def revoke(self, login: str) -> None:
        """Revoke an approval."""
        self.approvals = [
            approval
            for approval in self.approvals
            if approval["user"]["username"] != login
        ]

    def request_changes(self, login: str) -> None:
        """Request changes, which also revokes an approval."""
        self.revoke(login)
        self.reviewers[login] = "requested_changes"

    def set_members(self, owner: str, *logins: str) -> None:
        """Define a group, with one member who is not active."""
        active = [{"username": login, "state": "active"} for login in logins]
        self.groups[owner.removeprefix("@")] = [
            *active,
            {"username": "gone", "state": "blocked"},
        ]

    def move_to_fork(self) -> None:
        """Make the merge request one of a fork."""
        self.requests[NUMBER]["source_project_id"] = FORK_ID

    def merge(self, sha: str = MERGE, number: int = NUMBER) -> None:
        """Merge with a merge commit."""
        self.tip = sha
        self.commits[number].add(sha)
        self.requests[number] |= {
            "state": "merged",
            "merge_commit_sha": sha,
            "merged_at": self.now(),
        }

    def store_plan(
        self, environment: str, plan: bytes, *, run: int = 100, succeeded: bool = True
    ) -> None:
        """Store the plan of a pipeline of the merge request, which is a fork's if the merge request
        is.
        """
        request = self.requests[NUMBER]
        if not any(pipeline["id"] == run for pipeline in self.pipelines):
            self.add_pipeline(run, request["sha"], request["source_project_id"])
        job = self.add_job(
            run, f"cxroute-plan: [{environment}]", "success" if succeeded else "failed"
        )
        self.artifacts[job] = {f"out/{environment}/plan.json": plan}

    def add_pipeline(
        self,
        run: int,
        sha: str,
        project: int = PROJECT_ID,
        source: str = "merge_request_event",
    ) -> None:
        """Record a pipeline."""
        form = {
            "id": run,
            "project_id": project,
            "sha": sha,
            "source": source,
            "ref": "refs/merge-requests/7/head",
        }
        self.pipelines.insert(0, form)

    def add_job(
        self, run: int, name: str, status: str, parents: tuple[str, ...] = ()
    ) -> int:
        """Record a job in place of an older one of that name, and return its id."""
        self.jobs = [
            job for job in self.jobs if (job["run"], job["name"]) != (run, name)
        ]
        job = {
            "id": self.number(),
            "run": run,
            "name": name,
            "status": status,
            "commit": {"parent_ids": [*parents]},
        }
        self.jobs.append(job)
        return int(str(job["id"]))

    def host_git(self, folder: Path) -> GitHost:
        """Serve a repository to the token, as the password of any user."""
        user = b64encode(f"oauth2:{TOKEN}".encode()).decode()
        self.git = GitHost.create(folder, f"Basic {user}")
        return self.git

    def open_request(self, other: FakeRequest) -> None:
        """Open a merge request, with its ref."""
        assert self.git is not None
        self.git.set_ref(f"refs/merge-requests/{other.number}/head", other.head)
        source = FORK_ID if other.is_from_fork else PROJECT_ID
        self.open(other.number, other.head, source, other.title, other.branch)

    def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        """Return the last status of each name."""
        words = {"failed": "failure"}
        return {
            statuse["name"]: (
                words.get(statuse["state"], statuse["state"]),
                statuse["description"],
            )
            for statuse in self.commit_statuses
            if statuse["sha"] == sha
        }

    def answer(
        self,
        asked: tuple[str, str],
        query: Mapping[str, list[str]],
        form: Any,
        granted: set[str] | None,
    ) -> HttpReply:
        """Execute a request if the token has the permission."""
        method, path = asked
        for number, fault in enumerate(self.faults):
            if re.search(fault.pattern, f"{method} {path}"):
                del self.faults[number]
                return HttpReply(fault.status, fault.body, fault.headers)
        if granted is None:
            return HttpReply(401, {"message": "401 Unauthorized"})
        for asks, pattern, does, needs in _ROUTES:
            match = re.fullmatch(
                f"/api/v4{pattern.replace('PROJECT', PROJECT.replace('/', '%2F'))}",
                path,
            )
            if match and asks == method:
                if needs and not granted & set(needs.split()):
                    scope = {
                        "error": "insufficient_scope",
                        "error_description": "The request requires higher rights.",
                    }
                    return HttpReply(403, scope)
                return self._paged(
                    path, does(self, query, form, *map(unquote, match.groups())), query
                )
        return HttpReply(404, {"message": "404 Project Not Found"})

    def _paged(
        self, path: str, reply: HttpReply, query: Mapping[str, list[str]]
    ) -> HttpReply:
        if not isinstance(reply.form, list) or reply.status != 200:
            return reply
        size = min(self.page_size, int(query.get("per_page", ["20"])[0]))
        page = int(query.get("page", ["1"])[0])
        further = "&".join(
            f"{name}={values[0]}" for name, values in query.items() if name != "page"
        )
        following = f'<{self.url}{path}?{further}&page={page + 1}>; rel="next"'
        headers = {} if len(reply.form) <= page * size else {"Link": following}
        return HttpReply(200, reply.form[(page - 1) * size : page * size], headers)


_NOT_FOUND: Final = HttpReply(404, {"message": "404 Not found"})


def _user(_hub: FakeGitLab, _query: object, _form: object) -> HttpReply:
    return HttpReply(200, {"username": BOT})


def _project(_hub: FakeGitLab, _query: object, _form: object) -> HttpReply:
    return HttpReply(
        200,
        {"id": PROJECT_ID, "default_branch": "main", "path_with_namespace": PROJECT},
    )


def _branch(hub: FakeGitLab, _query: object, _form: object, name: str) -> HttpReply:
    return (
        HttpReply(200, {"name": name, "commit": {"id": hub.tip}})
        if name == "main"
        else _NOT_FOUND
    )


def _requests_of(hub: FakeGitLab, _query: object, _form: object, sha: str) -> HttpReply:
    return HttpReply(
        200,
        [
            request
            for number, request in hub.requests.items()
            if sha in hub.commits[number]
        ],
    )


def _open_requests(
    hub: FakeGitLab, query: Mapping[str, list[str]], _form: object
) -> HttpReply:
    assert (["opened"], ["created_at"], ["desc"]) == (
        query["state"],
        query["order_by"],
        query["sort"],
    )
    listed = sorted(hub.requests.items(), reverse=True)
    return HttpReply(
        200, [request for _, request in listed if request["state"] == "opened"]
    )


def _request(hub: FakeGitLab, _query: object, _form: object, number: str) -> HttpReply:
    return HttpReply(200, hub.requests[int(number)])


def _versions(hub: FakeGitLab, _query: object, _form: object, number: str) -> HttpReply:
    return HttpReply(200, hub.versions[int(number)])


def _approvals(
    hub: FakeGitLab, _query: object, _form: object, _number: str
) -> HttpReply:
    return HttpReply(
        200, {"approved": bool(hub.approvals), "approved_by": hub.approvals}
    )


def _reviewers(
    hub: FakeGitLab, _query: object, _form: object, _number: str
) -> HttpReply:
    return HttpReply(
        200,
        [
            {"user": {"username": login}, "state": state}
            for login, state in hub.reviewers.items()
        ],
    )


def _notes(
    hub: FakeGitLab, query: Mapping[str, list[str]], _form: object, number: str
) -> HttpReply:
    listed = hub.request_notes.get(int(number), [])
    return HttpReply(200, listed if query.get("sort") == ["asc"] else listed[::-1])


def _write_note(
    hub: FakeGitLab, _query: object, form: Any, number: str, note: str = ""
) -> HttpReply:
    body = form["body"]
    # a quick action: GitLab executes it, and removes the line
    if re.search(r"^/\w", body, re.MULTILINE):
        return HttpReply(202, {"commands_changes": {}})
    if len(body) > 1_000_000:
        return HttpReply(
            400, {"message": {"note": ["is too long (maximum is 1000000 characters)"]}}
        )
    if not note:
        return HttpReply(201, hub.add_note(BOT, body, int(number)))
    for item in hub.request_notes.get(int(number), []):
        if item["id"] == int(note) and item["author"]["username"] == BOT:
            item["body"] = body
            return HttpReply(200, item)
    return _NOT_FOUND


def _issues(
    hub: FakeGitLab, query: Mapping[str, list[str]], _form: object
) -> HttpReply:
    state = query["state"][0]
    label = query["labels"][0]
    return HttpReply(
        200,
        [
            issue
            for issue in hub.kept_issues[::-1]
            if issue["state"] == state and label in issue["labels"]
        ],
    )


def _add_issue(hub: FakeGitLab, _query: object, form: Any) -> HttpReply:
    labels = form["labels"].split(",")
    number = len(hub.kept_issues) + 1
    issue = {
        **form,
        "iid": number,
        "labels": labels,
        "state": "opened",
        "author": {"username": BOT},
    }
    hub.kept_issues.append(issue)
    return HttpReply(201, issue)


def _edit_issue(hub: FakeGitLab, _query: object, form: Any, number: str) -> HttpReply:
    issue = hub.kept_issues[int(number) - 1]
    issue["description"] = form.get("description", issue["description"])
    issue["state"] = "closed" if form.get("state_event") == "close" else issue["state"]
    return HttpReply(200, issue)


def _note_issue(hub: FakeGitLab, _query: object, form: Any, number: str) -> HttpReply:
    hub.issue_notes.setdefault(int(number), []).append(form)
    return HttpReply(201, form)


def _pipelines(
    hub: FakeGitLab, _query: object, _form: object, number: str
) -> HttpReply:
    return HttpReply(
        200,
        [
            pipeline
            for pipeline in hub.pipelines
            if pipeline["sha"] in hub.commits[int(number)]
        ],
    )


def _jobs(hub: FakeGitLab, _query: object, _form: object, run: str) -> HttpReply:
    return HttpReply(200, [job for job in hub.jobs if job["run"] == int(run)][::-1])


def _artifact(
    hub: FakeGitLab, _query: object, _form: object, job: str, path: str
) -> HttpReply:
    content = hub.artifacts.get(int(job), {}).get(path)
    return _NOT_FOUND if content is None else HttpReply(200, content)


def _members(hub: FakeGitLab, _query: object, _form: object, group: str) -> HttpReply:
    return (
        HttpReply(200, hub.groups[group])
        if group in hub.groups
        else HttpReply(404, {"message": "404 Group"})
    )


def _status(hub: FakeGitLab, _query: object, form: Any, sha: str) -> HttpReply:
    before = [
        statuse
        for statuse in hub.commit_statuses
        if (statuse["sha"], statuse["name"]) == (sha, form["name"])
    ]
    if before and before[-1]["state"] == form["state"] == "pending":
        return HttpReply(
            400, {"message": "Cannot transition status via :enqueue from :pending"}
        )
    hub.commit_statuses.append({**form, "sha": sha})
    return HttpReply(201, form)


_REQUEST: Final = r"/projects/PROJECT/merge_requests/(\d+)"
_ROUTES: Final[list[tuple[str, str, Callable[..., HttpReply], str]]] = [
    ("GET", "/user", _user, ""),
    ("GET", "/projects/PROJECT", _project, "code plans"),
    ("GET", "/projects/PROJECT/repository/branches/([^/]+)", _branch, "code"),
    (
        "GET",
        "/projects/PROJECT/repository/commits/([0-9a-f]+)/merge_requests",
        _requests_of,
        "code",
    ),
    ("GET", "/projects/PROJECT/merge_requests", _open_requests, "code"),
    ("GET", _REQUEST, _request, "code approvals"),
    ("GET", f"{_REQUEST}/versions", _versions, "approvals"),
    ("GET", f"{_REQUEST}/approvals", _approvals, "approvals"),
    ("GET", f"{_REQUEST}/reviewers", _reviewers, "approvals"),
    ("GET", f"{_REQUEST}/notes", _notes, "notes code"),
    ("POST", f"{_REQUEST}/notes", _write_note, "notes"),
    ("PUT", rf"{_REQUEST}/notes/(\d+)", _write_note, "notes"),
    ("GET", "/projects/PROJECT/issues", _issues, "issues code"),
    ("POST", "/projects/PROJECT/issues", _add_issue, "issues"),
    ("PUT", r"/projects/PROJECT/issues/(\d+)", _edit_issue, "issues"),
    ("POST", r"/projects/PROJECT/issues/(\d+)/notes", _note_issue, "issues"),
    ("GET", f"{_REQUEST}/pipelines", _pipelines, "plans"),
    ("GET", r"/projects/PROJECT/pipelines/(\d+)/jobs", _jobs, "plans"),
    ("GET", r"/projects/PROJECT/jobs/(\d+)/artifacts/(.+)", _artifact, "plans"),
    ("GET", "/groups/([^/]+)/members/all", _members, "members"),
    ("POST", "/projects/PROJECT/statuses/([0-9a-f]+)", _status, "statuses"),
]
"""Requests, and their permissions, each of which is sufficient."""


def fake_forge() -> FakeGitLab:
    """Return the fake of the contract suite."""
    return FakeGitLab()
