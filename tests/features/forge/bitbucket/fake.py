"""A fake Bitbucket Cloud: the parts of its REST API that cxroute calls, over a real socket, with
all data kept.
"""

from __future__ import annotations

import contextlib
import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from reconciler.features.forge.bitbucket import sign_note, to_bitbucket
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

REPOSITORY: Final = "acme/routing"
TOKEN: Final = "ATCTT3xFfGN0Zq7Lw2Xv9Kd4Rt6Yb1Nm8Pc3Fj5Hs0Gu"
SCOPES: Final[Mapping[Permission, tuple[str, ...]]] = {
    "notes": ("pullrequest:write",),
    "issues": (),
    "code": ("repository", "pullrequest"),
    "plans": ("repository", "pipeline"),
    "approvals": ("repository", "pullrequest"),
    "members": (),
    "statuses": ("repository:write",),
}
LACKS: Final = ("issues", "members")
"""What Bitbucket does not offer, so that the contract does not ask for it."""
_STATES: Final = {"INPROGRESS": "pending", "SUCCESSFUL": "success", "FAILED": "failure"}
_SHORT: Final = 12  # digits of a hash in a pull request and its activity


def _error(status: int, message: str, **detail: object) -> HttpReply:
    return HttpReply(
        status, {"type": "error", "error": {"message": message, "detail": detail}}
    )


def _user(login: str) -> dict[str, str]:
    return {
        "type": "user",
        "account_id": "712020:0",
        "nickname": "alice",
        "uuid": f"{{{login}}}",
    }


@dataclass
class FakeBitbucket:
    """A repository with the pull request number 7, by `anna`, at the commit `HEAD`."""

    name: str = "bitbucket"
    page_size: int = 50
    faults: list[FakeFault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    token_variable: str = "CXROUTE_BITBUCKET_TOKEN"
    tokens: dict[str, set[str]] = field(default_factory=dict)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    activity: list[dict[str, Any]] = field(default_factory=list)
    participants: dict[str, dict[str, Any]] = field(default_factory=dict)
    merged: list[dict[str, Any]] = field(default_factory=list)
    pipelines: list[dict[str, Any]] = field(default_factory=list)
    downloads: dict[str, bytes] = field(default_factory=dict)
    set_statuses: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    commits: dict[str, datetime] = field(default_factory=dict)
    tip: str = MERGE
    head: str = HEAD
    home: str = REPOSITORY  # of the pull request's branch
    token_sent_elsewhere: bool = False
    opened: dict[int, dict[str, Any]] = field(default_factory=dict)
    git: GitHost | None = None
    url: str = ""
    files: str = ""
    ids: int = 1000
    clock: datetime = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)

    def __post_init__(self) -> None:
        """Open the pull request."""
        self.tokens[TOKEN] = {scope for scopes in SCOPES.values() for scope in scopes}
        self.commits[MERGE] = self.clock
        self.push(HEAD)

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Serve the API on one port of loopback, and the files on another."""
        with (
            threaded_server(self._respond) as self.url,
            threaded_server(self._respond) as self.files,
        ):
            yield

    def _respond(self, request: HttpRequest) -> HttpReply:
        if self.git and (answer := self.git.answer(request, f"/{REPOSITORY}.git")):
            return answer
        return self.answer(
            request.method, request.target, dict(request.headers), request.content
        )

    def variables(self, run: FakeRun) -> dict[str, str]:
        """Return the variables of a step, the token's, and the address of this API."""
        declared = {
            "BITBUCKET_REPO_FULL_NAME": REPOSITORY,
            "BITBUCKET_BUILD_NUMBER": str(run.id),
            "BITBUCKET_STEP_RUN_NUMBER": str(run.attempt),
            "BITBUCKET_COMMIT": run.sha,
            "BITBUCKET_STEP_TRIGGERER_UUID": "{5a50dd52-5ab7-4225-831c-4db9451375a2}",
            "CXROUTE_BITBUCKET_API": f"{self.url}/2.0",
            "CXROUTE_BITBUCKET_GIT": self.url,
            self.token_variable: TOKEN,
        }
        declared |= {"CXROUTE_BITBUCKET_MANUAL": "true"} if run.is_manual else {}
        return declared | (
            {"BITBUCKET_PR_ID": str(run.pull_request)} if run.pull_request else {}
        )

    def token(self, *permissions: Permission) -> str:
        """Return a token with these permissions alone."""
        token = f"{TOKEN[:-4]}{self.number():04}"
        self.tokens[token] = {scope for name in permissions for scope in SCOPES[name]}
        return token

    def number(self) -> int:
        """Return the next id; ids only grow."""
        self.ids += 1
        return self.ids

    def now(self) -> str:
        """Return a later time than before."""
        self.clock += timedelta(seconds=1)
        return self.clock.isoformat()

    def add_note(self, author: str, body: str) -> None:
        """Write a comment; one by `BOT` is as cxroute writes it, with the signature of the
        token.
        """
        raw = body
        if author == BOT:
            first, _, rest = to_bitbucket(body).partition("\n")
            raw = f"{first}\n{sign_note(TOKEN.encode(), 7, first)}\n{rest}"
        self._comment(7, raw, author)

    def _comment(self, number: int, raw: str, author: str) -> dict[str, Any]:
        content = {"type": "rendered", "raw": raw, "markup": "markdown", "html": ""}
        created = {
            "id": self.number(),
            "user": _user(author),
            "content": content,
            "deleted": False,
        }
        self.comments.setdefault(number, []).append(created)
        return created

    def notes(self, number: int = 7) -> list[FakeNote]:
        """Return the comments of a pull request, oldest first."""
        return [
            FakeNote(item["user"]["uuid"].strip("{}"), item["content"]["raw"])
            for item in self.comments.get(number, [])
        ]

    def issues(self) -> list[FakeIssue]:
        """Return nothing: Bitbucket has no issues."""
        return []

    def push(self, sha: str) -> None:
        """Push a commit to the pull request.

        Bitbucket keeps approvals unless a merge check resets them.
        """
        self.head = sha
        self.commits[sha] = self.clock
        source = {"commit": {"hash": sha[:_SHORT]}, "branch": {"name": "change"}}
        self.activity.insert(
            0, {"update": {"state": "OPEN", "date": self.now(), "source": source}}
        )

    def approve(self, login: str) -> None:
        """Approve the pull request at its current commit."""
        self.activity.insert(
            0, {"approval": {"date": self.now(), "user": _user(login)}}
        )
        self._participate(login, approved=True, state="approved")

    def request_changes(self, login: str) -> None:
        """BitbucketRequest changes."""
        self.activity.insert(
            0, {"changes_requested": {"date": self.now(), "user": _user(login)}}
        )
        self._participate(login, approved=False, state="changes_requested")

    def unapprove(self, login: str) -> None:
        """Withdraw an approval, of which the activity says nothing."""
        self._participate(login, approved=False, state=None)

    def _participate(self, login: str, **fields: object) -> None:
        self.participants[login] = {
            "type": "participant",
            "user": _user(login),
            "role": "REVIEWER",
            **fields,
        }

    def set_members(self, owner: str, *logins: str) -> None:
        """Do nothing: no API shows the members of a group."""

    def move_to_fork(self) -> None:
        """Make the pull request one from another repository, whose pipelines run there."""
        self.home = "eve/routing"

    def merge(
        self,
        sha: str = MERGE,
        number: int = 7,
        repository: str | None = "",
        branch: str = "main",
    ) -> None:
        """Merge the pull request into the default branch as this commit."""
        self.tip = sha
        self.commits.setdefault(sha, self.clock)
        repo = None if repository is None else {"full_name": repository or self.home}
        pull: dict[str, Any] = {
            "type": "pullrequest",
            "id": number,
            "state": "MERGED",
            "updated_on": self.now(),
        }
        pull |= {"source": {"commit": {"hash": self.head[:_SHORT]}, "repository": repo}}
        pull |= {
            "merge_commit": {"hash": sha[:_SHORT]},
            "destination": {"branch": {"name": branch}},
        }
        self.merged.insert(0, pull)
        self.activity.insert(
            0,
            {
                "update": {
                    "state": "MERGED",
                    "date": self.now(),
                    "source": pull["source"],
                }
            },
        )

    def store_plan(
        self, environment: str, plan: bytes, *, run: int = 100, succeeded: bool = True
    ) -> None:
        """Store the plan of the pull request's commit, and record its pipeline."""
        self.downloads[f"cxroute-plan-{environment}-{run}.json"] = plan
        self.ran(run, "SUCCESSFUL" if succeeded else "FAILED")

    def ran(
        self,
        run: int,
        result: str,
        kind: str = "pipeline_pullrequest_target",
        head: str = "",
    ) -> None:
        """Record a finished pipeline of the pull request's commit."""
        target = {
            "type": kind,
            "commit": {"hash": (head or self.head)[:_SHORT]},
            "pullrequest": {"id": 7},
        }
        state = {"name": "COMPLETED", "result": {"name": result}}
        self.pipelines.insert(
            0, {"build_number": run, "target": target, "state": state}
        )

    def host_git(self, folder: Path) -> GitHost:
        """Serve a repository to the token."""
        user = b64encode(f"x-token-auth:{TOKEN}".encode()).decode()
        self.git = GitHost.create(folder, f"Basic {user}")
        return self.git

    def open_request(self, other: FakeRequest) -> None:
        """Open a pull request, which has no ref: a branch that is not of a fork is here."""
        assert self.git is not None
        if not other.is_from_fork:
            self.git.set_ref(f"refs/heads/{other.source}", other.head)
        repository = "eve/routing" if other.is_from_fork else REPOSITORY
        self.opened[other.number] = {
            "type": "pullrequest",
            "id": other.number,
            "title": other.title,
            "state": "OPEN",
            "source": {
                "branch": {"name": other.source},
                "commit": {"hash": other.head[:_SHORT]},
                "repository": {"full_name": repository},
            },
            "destination": {"branch": {"name": other.branch}},
        }

    def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        """Return the statuses of a commit."""
        actual = self.set_statuses.get(sha, {}).values()
        return {
            item["name"]: (_STATES[item["state"]], item["description"])
            for item in actual
        }

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes
    ) -> HttpReply:
        """Execute a request if the token has the scope."""
        parts = urlsplit(target)
        requested = f"{method} {parts.path}"
        self.asked.append(requested)
        for fault in self.faults:
            if re.search(fault.pattern, requested):
                self.faults.remove(fault)
                return HttpReply(fault.status, fault.body, fault.headers)
        if parts.path.startswith("/file/"):
            self.token_sent_elsewhere |= "Authorization" in headers
            return HttpReply(
                200, self.downloads[unquote(parts.path).removeprefix("/file/")]
            )
        scopes = self.tokens.get(
            headers.get("Authorization", "").removeprefix("Bearer ")
        )
        if scopes is None:
            return _error(
                401, "Token is invalid, expired, or not supported for this endpoint."
            )
        for asks, pattern, does, scope in _ROUTES:
            actual = re.fullmatch(
                f"/2.0/repositories/{REPOSITORY}{pattern}", unquote(parts.path)
            )
            if actual and asks == method:
                if not {scope, f"{scope}:write"} & scopes:
                    message = (
                        "Your credentials lack one or more required privilege scopes."
                    )
                    return _error(
                        403, message, required=[scope], granted=sorted(scopes)
                    )
                query = {
                    name: values[0] for name, values in parse_qs(parts.query).items()
                }
                reply = does(
                    self, BitbucketRequest(query, headers, content), *actual.groups()
                )
                return (
                    self._paged(parts.path, query, reply)
                    if isinstance(reply.form, list)
                    else reply
                )
        return _error(404, "Resource not found")

    def _paged(
        self, path: str, query: Mapping[str, str], reply: HttpReply
    ) -> HttpReply:
        assert isinstance(reply.form, list)
        size = min(self.page_size, int(query.get("pagelen", "10")))
        number = int(query.get("page", "1"))
        form: dict[str, object] = {
            "pagelen": size,
            "values": reply.form[(number - 1) * size : number * size],
        }
        if len(reply.form) > number * size:
            more = {**query, "pagelen": str(size), "page": str(number + 1)}
            form["next"] = f"{self.url}{path}?{urlencode(more)}"
        return HttpReply(200, form)


class BitbucketRequest(NamedTuple):
    """The parts of a request that a route needs."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes

    @property
    def form(self) -> Any:
        """Return the JSON."""
        return json.loads(self.content)


def _list_comments(
    hub: FakeBitbucket, _request: BitbucketRequest, number: str
) -> HttpReply:
    return HttpReply(200, hub.comments.get(int(number), []))


def _add_comment(
    hub: FakeBitbucket, request: BitbucketRequest, number: str
) -> HttpReply:
    raw = request.form["content"]["raw"]
    return (
        _error(400, "content: too long")
        if len(raw) > 32768
        else HttpReply(201, hub._comment(int(number), raw, BOT))
    )


def _edit_comment(
    hub: FakeBitbucket, request: BitbucketRequest, number: str, identity: str
) -> HttpReply:
    for item in hub.comments.get(int(number), []):
        if item["id"] == int(identity) and item["user"]["uuid"] == f"{{{BOT}}}":
            item["content"]["raw"] = request.form["content"]["raw"]
            return HttpReply(200, item)
    return _error(403, "This comment is by another author")


def _repository(_hub: FakeBitbucket, _request: BitbucketRequest) -> HttpReply:
    return HttpReply(
        200, {"full_name": REPOSITORY, "mainbranch": {"type": "branch", "name": "main"}}
    )


def _branch(hub: FakeBitbucket, _request: BitbucketRequest) -> HttpReply:
    return HttpReply(200, {"name": "main", "target": {"hash": hub.tip}})


def _commit(hub: FakeBitbucket, _request: BitbucketRequest, prefix: str) -> HttpReply:
    actual = [sha for sha in hub.commits if sha.startswith(prefix)]
    if len(actual) != 1:
        return _error(404, "Commit not found")
    return HttpReply(
        200, {"hash": actual[0], "date": hub.commits[actual[0]].isoformat()}
    )


def _list_requests(hub: FakeBitbucket, request: BitbucketRequest) -> HttpReply:
    requested = (
        request.query.get("state", "MERGED"),
        request.query.get("sort", "-updated_on"),
    )
    if requested == ("OPEN", "-created_on"):
        listed = sorted(hub.opened.items(), reverse=True)
        return HttpReply(200, [pull for _, pull in listed])
    return (
        HttpReply(200, hub.merged)
        if requested == ("MERGED", "-updated_on")
        else _error(400, "not recorded")
    )


def _pull(hub: FakeBitbucket, _request: BitbucketRequest, number: str) -> HttpReply:
    people = list(hub.participants.values())
    source = {
        "commit": {"hash": hub.head[:_SHORT]},
        "repository": {"full_name": REPOSITORY},
    }
    return HttpReply(
        200,
        {
            "id": int(number),
            "author": _user(OWNER_OF_REQUEST),
            "source": source,
            "participants": people,
        },
    )


def _list_activity(
    hub: FakeBitbucket, _request: BitbucketRequest, _number: str
) -> HttpReply:
    return HttpReply(200, hub.activity)


def _list_pipelines(hub: FakeBitbucket, request: BitbucketRequest) -> HttpReply:
    requested = request.query.get("target.commit.hash", "")
    return HttpReply(
        200,
        [
            pipeline
            for pipeline in hub.pipelines
            if requested.startswith(pipeline["target"]["commit"]["hash"])
        ],
    )


def _download(hub: FakeBitbucket, _request: BitbucketRequest, name: str) -> HttpReply:
    if name not in hub.downloads:
        return _error(404, f"Resource not found: {name}")
    return HttpReply(302, b"", {"Location": f"{hub.files}/file/{name}"})


def _upload(hub: FakeBitbucket, request: BitbucketRequest) -> HttpReply:
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + request.content)
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        hub.downloads[str(part.get_filename())] = content
    return HttpReply(201, b"")


def _set_status(hub: FakeBitbucket, request: BitbucketRequest, sha: str) -> HttpReply:
    form = request.form
    if not form.get("url") or len(form["key"]) > 40:
        return _error(400, "url: required, key: at most 40 characters")
    hub.set_statuses.setdefault(sha, {})[form["key"]] = form
    return HttpReply(201, form)


_ROUTES: Final[list[tuple[str, str, Any, str]]] = [
    ("GET", r"/pullrequests/(\d+)/comments", _list_comments, "pullrequest"),
    ("POST", r"/pullrequests/(\d+)/comments", _add_comment, "pullrequest:write"),
    ("PUT", r"/pullrequests/(\d+)/comments/(\d+)", _edit_comment, "pullrequest:write"),
    ("GET", r"", _repository, "repository"),
    ("GET", r"/refs/branches/main", _branch, "repository"),
    ("GET", r"/commit/([0-9a-f]+)", _commit, "repository"),
    ("GET", r"/pullrequests", _list_requests, "pullrequest"),
    ("GET", r"/pullrequests/(\d+)", _pull, "pullrequest"),
    ("GET", r"/pullrequests/(\d+)/activity", _list_activity, "pullrequest"),
    ("GET", r"/pipelines", _list_pipelines, "pipeline"),
    ("GET", r"/downloads/(.+)", _download, "repository"),
    ("POST", r"/downloads", _upload, "repository:write"),
    ("POST", r"/commit/([0-9a-f]+)/statuses/build", _set_status, "repository:write"),
]
"""Requests, and the scope for each; the scope to write includes the one to read."""


def fake_forge() -> FakeBitbucket:
    """Return a repository for the contract."""
    return FakeBitbucket()
