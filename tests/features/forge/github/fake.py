"""A fake GitHub: the parts of its REST API that cxroute calls, with all data kept."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from tests.support.git_server import GitHost
from tests.support.threaded_server import HttpReply

REPOSITORY: Final = "acme/routing"
TOKEN: Final = "ghs_Zq7Lw2Xv9Kd4Rt6Yb1Nm8Pc3Fj5Hs0Gu"
BOT: Final = "github-actions[bot]"
EVERYTHING: Final = {
    "actions": "read",
    "contents": "read",
    "issues": "write",
    "pull-requests": "write",
    "statuses": "write",
}
MAX_BODY: Final = 65_536
HEAD: Final = "a" * 40
MERGE: Final = "b" * 40


@dataclass
class FakeGitHub:
    """One repository.

    `writes` are the requests that changed something; `faults` are the next replies, in order.
    """

    tip: str = MERGE
    me: str = BOT
    page: int = 100
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    issues: list[dict[str, Any]] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    pulls: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    created_pulls: list[dict[str, Any]] = field(default_factory=list)
    open_pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    reviews: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    teams: dict[str, list[str]] = field(default_factory=dict)
    statuses: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[int, tuple[dict[str, Any], bytes]] = field(default_factory=dict)
    faults: list[tuple[str, HttpReply]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    tokens: dict[str, dict[str, str]] = field(
        default_factory=lambda: {TOKEN: EVERYTHING}
    )
    token_sent_elsewhere: bool = False
    git: GitHost | None = None
    url: str = ""
    blobs: str = ""
    ids: int = 1000

    @property
    def writes(self) -> list[str]:
        """Return the requests that changed something."""
        return [item for item in self.asked if not item.startswith("GET ")]

    def issue_token(self, permissions: dict[str, str]) -> str:
        """Return the token of a job with those permissions."""
        token = f"{TOKEN[:-4]}{self.number():04}"
        self.tokens[token] = permissions
        return token

    def forget(self, run: int, name: str) -> None:
        """Delete the artifact of that name, as an upload that overwrites does."""
        removed = [
            key
            for key, (item, _) in self.artifacts.items()
            if (item["workflow_run"]["id"], item["name"]) == (run, name)
        ]
        for key in removed:
            del self.artifacts[key]

    def number(self) -> int:
        """Return the next id; ids only grow, as GitHub's do."""
        self.ids += 1
        return self.ids

    def comment(self, pull: int, body: str, author: str = BOT) -> dict[str, Any]:
        """Write a comment by this author."""
        created = {"id": self.number(), "user": {"login": author}, "body": body}
        self.comments.setdefault(pull, []).append(created)
        return created

    def bodies(self, pull: int, author: str = BOT) -> list[str]:
        """Return the comments by this author."""
        return [
            item["body"]
            for item in self.comments.get(pull, [])
            if item["user"]["login"] == author
        ]

    def merge(
        self,
        number: int = 7,
        sha: str = MERGE,
        head: str = HEAD,
        repository: str = REPOSITORY,
    ) -> None:
        """Record that a commit of main is the merge of that pull request."""
        repo = {"full_name": repository}
        own_side = {"full_name": REPOSITORY}
        pull = {
            "number": number,
            "merged_at": "2026-11-24T10:30:00Z",
            "merge_commit_sha": sha,
        }
        pull |= {
            "head": {"sha": head, "repo": repo},
            "base": {"ref": "main", "repo": own_side},
        }
        self.pulls.setdefault(sha, []).append(pull)

    def run(
        self,
        head: str = HEAD,
        conclusion: str | None = "success",
        repository: str = REPOSITORY,
    ) -> int:
        """Record a run of the workflow that plans."""
        created = {
            "id": self.number(),
            "head_sha": head,
            "event": "pull_request",
            "conclusion": conclusion,
        }
        created |= {
            "path": ".github/workflows/routing-plan.yml",
            "head_repository": {"full_name": repository},
        }
        self.runs.append(created)
        return int(str(created["id"]))

    def keep(self, run: int, name: str, archive: bytes, **more: Any) -> int:
        """Store an artifact of a run."""
        created = {
            "id": self.number(),
            "name": name,
            "expired": False,
            "workflow_run": {"id": run},
        }
        created |= {"digest": f"sha256:{hashlib.sha256(archive).hexdigest()}", **more}
        self.artifacts[int(str(created["id"]))] = (created, archive)
        return int(str(created["id"]))

    def review(self, login: str, state: str, number: int = 7) -> None:
        """Submit a review of a pull request's current commit."""
        head = self.open_pulls[number]["head"]["sha"]
        created = {
            "id": self.number(),
            "user": {"login": login},
            "state": state,
            "commit_id": head,
        }
        self.reviews.setdefault(number, []).append(created)

    def take_fault(self, asked: str) -> HttpReply | None:
        """Return the reply that replaces the real one this time."""
        for number, (pattern, reply) in enumerate(self.faults):
            if re.search(pattern, asked):
                del self.faults[number]
                return reply
        return None

    def answer(
        self,
        asked: tuple[str, str],
        query: Mapping[str, list[str]],
        form: Any,
        granted: Mapping[str, str],
    ) -> HttpReply:
        """Execute a request if the token has the permission."""
        method, path = asked
        if fault := self.take_fault(f"{method} {path}"):
            return fault
        if path == "/user":
            return (
                HttpReply(403, {"message": "Resource not accessible by integration"})
                if self.me == BOT
                else self._me()
            )
        for asks, pattern, does, needs in _ROUTES:
            actual = re.fullmatch(
                pattern
                if pattern.startswith("/orgs/")
                else f"/repos/{REPOSITORY}{pattern}",
                path,
            )
            if actual and asks == method:
                allowed = any(
                    _allows(granted.get(name), method) for name in needs.split()
                )
                return (
                    does(self, query, form, *actual.groups()) if allowed else _FORBIDDEN
                )
        return HttpReply(404, {"message": "Not Found"})

    def _me(self) -> HttpReply:
        return HttpReply(200, {"login": self.me})

    def paged(
        self, path: str, reply: HttpReply, query: Mapping[str, list[str]]
    ) -> HttpReply:
        """Return one page of a list, and the link to the next."""
        if not isinstance(reply.form, list) or reply.status != 200:
            return reply
        size = min(self.page, int(query.get("per_page", ["30"])[0]))
        number = int(query.get("page", ["1"])[0])
        last = len(reply.form) <= number * size
        further = urlencode(
            {name: values[0] for name, values in query.items()} | {"page": number + 1}
        )
        following = f'<{self.url}{path}?{further}>; rel="next"'
        headers = {} if last else {"Link": following}
        return HttpReply(200, reply.form[(number - 1) * size : number * size], headers)


def _comments(hub: FakeGitHub, _query: object, _form: object, number: str) -> HttpReply:
    return HttpReply(200, hub.comments.get(int(number), []))


def _add_comment(hub: FakeGitHub, _query: object, form: Any, number: str) -> HttpReply:
    if len(form["body"]) > MAX_BODY:
        return _TOO_LONG
    return HttpReply(201, hub.comment(int(number), form["body"], hub.me))


def _edit_comment(
    hub: FakeGitHub, _query: object, form: Any, identity: str
) -> HttpReply:
    for element in (
        item
        for selected in hub.comments.values()
        for item in selected
        if item["id"] == int(identity)
    ):
        if len(form["body"]) > MAX_BODY:
            return _TOO_LONG
        element["body"] = form["body"]
        return HttpReply(200, element)
    return HttpReply(404, {"message": "Not Found"})


def _issues(
    hub: FakeGitHub, query: Mapping[str, list[str]], _form: object
) -> HttpReply:
    label = query["labels"][0]
    state = query["state"][0]
    return HttpReply(
        200,
        [
            issue
            for issue in hub.issues
            if issue["state"] == state and {"name": label} in issue["labels"]
        ],
    )


def _add_issue(hub: FakeGitHub, _query: object, form: Any) -> HttpReply:
    retained = [{"name": item} for item in form["labels"] if item in hub.labels]
    number = len(hub.issues) + 1
    created = {
        "number": number,
        "user": {"login": hub.me},
        "state": "open",
        **form,
        "labels": retained,
    }
    hub.issues.append(created)
    return HttpReply(201, created)


def _edit_issue(hub: FakeGitHub, _query: object, form: Any, number: str) -> HttpReply:
    hub.issues[int(number) - 1] |= form
    return HttpReply(200, hub.issues[int(number) - 1])


def _add_label(hub: FakeGitHub, _query: object, form: Any) -> HttpReply:
    if form["name"] in hub.labels:
        return HttpReply(422, {"message": "Validation Failed"})
    hub.labels.add(form["name"])
    return HttpReply(201, form)


def _repository(hub: FakeGitHub, _query: object, _form: object) -> HttpReply:
    return HttpReply(
        200,
        {"default_branch": "main", "full_name": REPOSITORY, "private": hub.tip == ""},
    )


def _tip(hub: FakeGitHub, _query: object, _form: object) -> HttpReply:
    return HttpReply(200, {"ref": "refs/heads/main", "object": {"sha": hub.tip}})


def _pulls(hub: FakeGitHub, _query: object, _form: object, sha: str) -> HttpReply:
    return HttpReply(200, hub.pulls.get(sha, []))


def _add_pull(hub: FakeGitHub, _query: object, form: Any) -> HttpReply:
    if any(pull["head"] == form["head"] for pull in hub.created_pulls):
        return HttpReply(422, {"message": "Validation Failed"})
    hub.created_pulls.append(form)
    return HttpReply(201, form)


def _open_pulls(
    hub: FakeGitHub, query: Mapping[str, list[str]], _form: object
) -> HttpReply:
    assert ["open"] == query["state"]
    assert (["created"], ["desc"]) == (query["sort"], query["direction"])
    pulls = [pull for _, pull in sorted(hub.open_pulls.items(), reverse=True)]
    return HttpReply(200, pulls)


def _pull(hub: FakeGitHub, _query: object, _form: object, number: str) -> HttpReply:
    pull = hub.open_pulls.get(int(number))
    return HttpReply(200, pull) if pull else HttpReply(404, {"message": "Not Found"})


def _reviews(hub: FakeGitHub, _query: object, _form: object, number: str) -> HttpReply:
    return HttpReply(200, hub.reviews.get(int(number), []))


def _members(
    hub: FakeGitHub, _query: object, _form: object, organization: str, team: str
) -> HttpReply:
    logins = hub.teams.get(f"@{organization}/{team}")
    if logins is None:
        return HttpReply(404, {"message": "Not Found"})
    return HttpReply(200, [{"login": login, "type": "User"} for login in logins])


def _add_status(hub: FakeGitHub, _query: object, form: Any, sha: str) -> HttpReply:
    if len(form["description"]) > 140:
        return HttpReply(422, {"message": "Validation Failed"})
    hub.statuses.setdefault(sha, []).append(form)
    return HttpReply(201, form)


def _runs(hub: FakeGitHub, query: Mapping[str, list[str]], _form: object) -> HttpReply:
    head = query["head_sha"][0]
    return HttpReply(
        200, {"workflow_runs": [run for run in hub.runs if run["head_sha"] == head]}
    )


def _artifacts(
    hub: FakeGitHub, query: Mapping[str, list[str]], _form: object, run: str
) -> HttpReply:
    actual = [
        item
        for item, _ in hub.artifacts.values()
        if item["workflow_run"]["id"] == int(run)
    ]
    return HttpReply(
        200,
        {"artifacts": [item for item in actual if item["name"] == query["name"][0]]},
    )


def _zip(hub: FakeGitHub, _query: object, _form: object, identity: str) -> HttpReply:
    return HttpReply(302, None, {"Location": f"{hub.blobs}/blob/{identity}"})


def _allows(granted: str | None, method: str) -> bool:
    return granted == "write" or (granted == "read" and method == "GET")


_TOO_LONG: Final = HttpReply(
    422, {"message": "Body is too long (maximum is 65536 characters)"}
)
_FORBIDDEN: Final = HttpReply(
    403, {"message": "Resource not accessible by integration"}
)
_ROUTES: Final[list[tuple[str, str, Callable[..., HttpReply], str]]] = [
    ("GET", r"/issues/(\d+)/comments", _comments, "issues pull-requests"),
    ("POST", r"/issues/(\d+)/comments", _add_comment, "issues pull-requests"),
    ("PATCH", r"/issues/comments/(\d+)", _edit_comment, "issues pull-requests"),
    ("GET", r"/issues", _issues, "issues"),
    ("POST", r"/issues", _add_issue, "issues"),
    ("PATCH", r"/issues/(\d+)", _edit_issue, "issues"),
    ("POST", r"/labels", _add_label, "issues"),
    ("GET", r"", _repository, "contents"),
    ("GET", r"/git/ref/heads/main", _tip, "contents"),
    ("POST", r"/pulls", _add_pull, "pull-requests"),
    ("GET", r"/pulls", _open_pulls, "pull-requests"),
    ("GET", r"/pulls/(\d+)", _pull, "pull-requests"),
    ("GET", r"/pulls/(\d+)/reviews", _reviews, "pull-requests"),
    ("GET", r"/orgs/([^/]+)/teams/([^/]+)/members", _members, "members"),
    ("POST", r"/statuses/([0-9a-f]{40})", _add_status, "statuses"),
    ("GET", r"/commits/([0-9a-f]+)/pulls", _pulls, "pull-requests"),
    ("GET", r"/actions/workflows/routing-plan.yml/runs", _runs, "actions"),
    ("GET", r"/actions/runs/(\d+)/artifacts", _artifacts, "actions"),
    ("GET", r"/actions/artifacts/(\d+)/zip", _zip, "actions"),
]
"""Requests, and their permissions, each of which is sufficient."""


def zipped(**files: str) -> bytes:
    """Return an archive as the upload of an artifact creates it; `plan_json` is named plan.json."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_", "."), text)
    return buffer.getvalue()
