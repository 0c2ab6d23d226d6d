"""Writes decisions to GitHub: comments of a pull request, issues of the repository."""

from __future__ import annotations

from typing import Any, Final, assert_never

from reconciler.github import drift_issue, plan_comment
from reconciler.github.actions import list_objects
from reconciler.github.api import GitHub, GitHubError, Purpose
from reconciler.github.drift_issue import LABEL, CloseIssue, EditIssue, Issue, OpenIssue, SkipIssue
from reconciler.github.plan_comment import Comment, CreateComment, EditComment

BOT: Final = "github-actions[bot]"  # the login of a workflow's token
_NO_ACCESS_STATUSES: Final = (403, 404)
_EXISTS: Final = 422
_COMMENTS: Final = "pull-requests: write"
_ISSUES: Final = "issues: write"


def fetch_login(github: GitHub) -> str:
    """Return the login of the token. A workflow's token has no permission to read it."""
    try:
        login = github.get("/user", Purpose("read the token's account", "none"))
    except GitHubError as error:
        if error.status in _NO_ACCESS_STATUSES:
            return BOT
        raise
    return str(login["login"]) if isinstance(login, dict) and login.get("login") else BOT


def list_comments(github: GitHub, number: int) -> list[Comment]:
    """Return every comment of a pull request, oldest first."""
    purpose = Purpose(f"read the comments of pull request {number}", _COMMENTS)
    comments = github.pages(f"/issues/{number}/comments?per_page=100", purpose)
    return [Comment(int(comment.get("id") or 0), *_author_and_body(comment)) for comment in comments]


def write_comment(github: GitHub, number: int, decision: plan_comment.CommentDecision) -> str:
    """Execute a decision, and return its description."""
    purpose = Purpose(f"write the comment of pull request {number}", _COMMENTS)
    match decision:
        case CreateComment():
            github.send("POST", f"/issues/{number}/comments", {"body": decision.body}, purpose)
            return f"wrote a comment on pull request {number}"
        case EditComment():
            github.send("PATCH", f"/issues/comments/{decision.id}", {"body": decision.body}, purpose)
            return f"edited the comment on pull request {number}"
        case _:
            return f"did not change the comments of pull request {number}: {decision.reason}"


def list_open_issues(github: GitHub) -> list[Issue]:
    """Return the open issues on drift, by any author."""
    purpose = Purpose("list the issues about drift", _ISSUES)
    listed = github.pages(f"/issues?state=open&labels={LABEL}&per_page=100", purpose)
    labelled = (issue for issue in listed if any(label.get("name") == LABEL for label in list_objects(issue, "labels")))
    issues = [issue for issue in labelled if "pull_request" not in issue]
    return [Issue(int(issue.get("number") or 0), *_author_and_body(issue)) for issue in issues]


def write_issue(github: GitHub, decision: drift_issue.IssueDecision) -> str:
    """Execute a decision, and return its description. The issue comes before the remark, which may get lost."""
    purpose = Purpose("write the issue about drift", _ISSUES)
    match decision:
        case OpenIssue():
            _ensure_label(github)
            payload = {"title": decision.title, "body": decision.body, "labels": [LABEL]}
            issue = github.send("POST", "/issues", payload, purpose)
            return f"opened issue {int(issue.get('number') or 0)}"
        case EditIssue():
            fields, verb = {"body": decision.body}, "edited"
        case CloseIssue():
            fields, verb = {"state": "closed", "state_reason": "completed"}, "closed"
        case SkipIssue():
            return f"did not change the issues: {decision.reason}"
        case _:
            assert_never(decision)
    github.send("PATCH", f"/issues/{decision.number}", fields, purpose)
    github.send("POST", f"/issues/{decision.number}/comments", {"body": decision.remark}, purpose)
    return f"{verb} issue {decision.number}"


def _ensure_label(github: GitHub) -> None:
    """Create the label if it is missing. Without it, the next run would not find the issue."""
    label = {"name": LABEL, "color": "d93f0b", "description": "Routing rules differ from the manifests"}
    try:
        github.send("POST", "/labels", label, Purpose(f"create the label {LABEL}", _ISSUES))
    except GitHubError as error:
        if error.status != _EXISTS:
            raise


def _author_and_body(item: dict[str, Any]) -> tuple[str, str]:
    user, body = item.get("user"), item.get("body")
    return str(user.get("login")) if isinstance(user, dict) else "", body if isinstance(body, str) else ""
