"""Writes decisions to GitHub: comments of a pull request, issues of the repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, assert_never

from reconciler.github.api import GitHub, GitHubError, Purpose
from reconciler.github.drift_issue import LABEL, CloseIssue, EditIssue, Issue, OpenIssue, SkipIssue
from reconciler.github.plan_comment import Comment, CreateComment, EditComment

if TYPE_CHECKING:
    from reconciler.github import drift_issue, plan_comment

BOT: Final = "github-actions[bot]"  # who the token of a workflow is
_NO_ACCESS_STATUSES: Final = (403, 404)
_EXISTS: Final = 422
_COMMENTS: Final = "pull-requests: write"
_ISSUES: Final = "issues: write"


def fetch_login(github: GitHub) -> str:
    """Return the login of the token. A workflow's token has no permission to read it."""
    try:
        login = github.get("/user", Purpose("ask whose token this is", "none"))
    except GitHubError as error:
        if error.status in _NO_ACCESS_STATUSES:
            return BOT
        raise
    return str(login["login"]) if isinstance(login, dict) and login.get("login") else BOT


def list_comments(github: GitHub, number: int) -> list[Comment]:
    """Return every comment of a pull request, oldest first."""
    purpose = Purpose(f"read the comments of pull request {number}", _COMMENTS)
    found = github.pages(f"/issues/{number}/comments?per_page=100", purpose)
    return [Comment(int(one.get("id") or 0), _author(one), _text(one.get("body"))) for one in found]


def write_comment(github: GitHub, number: int, decision: plan_comment.CommentDecision) -> str:
    """Execute a decision, and return its description."""
    purpose = Purpose(f"write the comment of pull request {number}", _COMMENTS)
    match decision:
        case CreateComment():
            github.post(f"/issues/{number}/comments", {"body": decision.body}, purpose)
            return f"wrote a comment on pull request {number}"
        case EditComment():
            github.patch(f"/issues/comments/{decision.id}", {"body": decision.body}, purpose)
            return f"edited the comment on pull request {number}"
        case _:
            return f"left the comments of pull request {number} as they are: {decision.reason}"


def list_open_issues(github: GitHub) -> list[Issue]:
    """Return the open issues on drift, by any author."""
    purpose = Purpose("list the issues about drift", _ISSUES)
    found = github.pages(f"/issues?state=open&labels={LABEL}&per_page=100", purpose)
    mine = [one for one in found if "pull_request" not in one and LABEL in _labels(one)]
    return [Issue(int(one.get("number") or 0), _author(one), _text(one.get("body"))) for one in mine]


def write_issue(github: GitHub, decision: drift_issue.IssueDecision) -> str:
    """Execute a decision, and return its description. The issue comes before the remark, which may get lost."""
    purpose = Purpose("write the issue about drift", _ISSUES)
    match decision:
        case OpenIssue():
            _ensure_label(github)
            form = {"title": decision.title, "body": decision.body, "labels": [LABEL]}
            made = github.post("/issues", form, purpose)
            return f"opened issue {int(made.get('number') or 0)}"
        case EditIssue():
            github.patch(f"/issues/{decision.number}", {"body": decision.body}, purpose)
            github.post(f"/issues/{decision.number}/comments", {"body": decision.remark}, purpose)
            return f"edited issue {decision.number}"
        case CloseIssue():
            github.patch(f"/issues/{decision.number}", {"state": "closed", "state_reason": "completed"}, purpose)
            github.post(f"/issues/{decision.number}/comments", {"body": decision.remark}, purpose)
            return f"closed issue {decision.number}"
        case SkipIssue():
            return f"left the issues as they are: {decision.reason}"
        case _:
            assert_never(decision)


def _ensure_label(github: GitHub) -> None:
    """Create the label if it is missing. Without it, the next run would not find the issue."""
    form = {"name": LABEL, "color": "d93f0b", "description": "Routing rules differ from the manifests"}
    try:
        github.post("/labels", form, Purpose(f"make the label {LABEL}", _ISSUES))
    except GitHubError as error:
        if error.status != _EXISTS:
            raise


def _author(one: dict[str, Any]) -> str:
    user = one.get("user")
    return str(user.get("login")) if isinstance(user, dict) else ""


def _labels(one: dict[str, Any]) -> list[object]:
    labels = one.get("labels")
    return [label.get("name") for label in labels if isinstance(label, dict)] if isinstance(labels, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
