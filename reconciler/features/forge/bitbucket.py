"""Bitbucket Cloud: the run of a pipeline, and the repository behind its REST API."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NoReturn
from urllib.parse import quote

from reconciler.core.text.json_values import (
    as_object,
    as_text,
    list_objects,
    moment_at,
    number_at,
    text_at,
)
from reconciler.features.forge import forge
from reconciler.features.forge.step import StepVariables
from reconciler.rest.client import (
    MISSING,
    ListPage,
    Purpose,
    RestClient,
    RestDialect,
    RestError,
    RestResponse,
)

# stands for the author of signed notes: an access token cannot read its own account
SELF: Final = "cxroute's token"
_SITE: Final = "https://bitbucket.org"
_MAX_KEY: Final = 40  # characters of a status's key
_FULL_SHA: Final = 40
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")
_ACTOR: Final = re.compile(r"\{[0-9A-Fa-f-]{36}\}|unknown")
_OWNER: Final = re.compile(r"@([0-9A-Za-z-]{1,64})")
_NOTES: Final = "Pull requests: Write"
_CODE: Final = "Repositories: Read"
_STATES: Final = {"pending": "INPROGRESS", "success": "SUCCESSFUL", "failure": "FAILED"}
_MARKER: Final = re.compile(r"^<!-- (cxroute:[^\n]*) -->$", re.MULTILINE)
# a link definition that nothing uses
_HIDDEN: Final = re.compile(r"^\[//\]: # \((cxroute:[^\n]*)\)$", re.MULTILINE)
_ALERT: Final = re.compile(r"^> \[!([A-Z])([A-Z]+)\]$", re.MULTILINE)
_TAG: Final = re.compile(
    r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)|<br>|</?(?:sub|details|summary)>|\\<", re.DOTALL
)
_REPLACED: Final = {"<br>": "; ", "<summary>": "**", "</summary>": "** ", "\\<": "<"}


def page_by_next(_response: RestResponse, payload: object) -> ListPage:
    """Return the page in an object with `values` and the address of the `next` page."""
    page = as_object(payload)
    values = page.get("values")
    items = values if isinstance(values, list) else None
    next_url = as_text(page.get("next")) or None
    return ListPage(items, next_url)


DIALECT: Final = RestDialect(
    name="Bitbucket",
    token_variable="CXROUTE_BITBUCKET_TOKEN",  # noqa: S106 - the name of a variable
    permission_advice="the access token needs the permission `{}`",
    missing_advice="it does not exist, or the access token lacks the permission `{}`",
    page=page_by_next,
)


def read_run(variables: Mapping[str, str]) -> forge.PipelineRun:
    """Return the run from the step's variables. Raises UsageError outside of a pipeline."""
    step = StepVariables(variables, "Bitbucket")
    repository = step.matching("BITBUCKET_REPO_FULL_NAME", _REPOSITORY)
    run = step.number("BITBUCKET_BUILD_NUMBER")
    return forge.PipelineRun(
        repository=repository,
        id=run,
        attempt=step.number("BITBUCKET_STEP_RUN_NUMBER", "1"),
        sha=step.sha("BITBUCKET_COMMIT"),
        # no variable of Bitbucket says it
        is_manual=variables.get("CXROUTE_BITBUCKET_MANUAL") == "true",
        actor=step.matching("BITBUCKET_STEP_TRIGGERER_UUID", _ACTOR, "unknown"),
        api=step.address("CXROUTE_BITBUCKET_API", "https://api.bitbucket.org/2.0"),
        link=f"[run]({_run_address(repository, run)})",
        pull_request=step.optional_number("BITBUCKET_PR_ID"),
        git=f"{step.address('CXROUTE_BITBUCKET_GIT', _SITE)}/{repository}.git",
    )


def authorize_git(token: str) -> str:
    """Return the header's value for git."""
    return forge.basic_authorization("x-token-auth", token)


def _run_address(repository: str, run: int) -> str:
    return f"{_SITE}/{repository}/pipelines/results/{run}"


def to_bitbucket(body: str) -> str:
    """Return Markdown without HTML, which Bitbucket shows as text; markers are hidden as unused
    link definitions.
    """
    text = _TAG.sub(
        lambda match: match[0] if match[1] else _REPLACED.get(match[0], ""), body
    )
    text = _ALERT.sub(lambda match: f"> **{match[1]}{match[2].lower()}**\n>", text)
    return _MARKER.sub(r"[//]: # (\1)", text)


def sign_note(key: bytes, number: int, first_line: str) -> str:
    """Return the line, hidden below a note's first one, that only a process with the token, the
    key, can write.
    """
    digest = hmac.new(
        key,
        f"{number} {first_line}".encode(),
        hashlib.sha256,
    ).hexdigest()
    return f"[//]: # (cxroute:key {digest[:32]})"


class Bitbucket:
    """A repository on Bitbucket Cloud."""

    request = "pull request"
    manual_advice = (
        "Run the pipeline `custom: routing-apply` on the default branch: it plans, waits, and "
        "applies."
    )
    max_text = 32_768

    def __init__(self, http: RestClient, run: forge.PipelineRun) -> None:
        self._http = http
        self._run = run
        self._key = http.token.encode()
        self._path = f"/repositories/{run.repository}"

    def fetch_login(self) -> str:
        """Return the author of signed notes."""
        return SELF

    def list_notes(self, number: int) -> list[forge.Post]:
        """Return every comment of a pull request.

        Of several with one signature the first counts: others are copies.
        """
        purpose = Purpose(f"read the comments of pull request {number}", _NOTES)
        path = f"{self._path}/pullrequests/{number}/comments?pagelen=100"
        comments = self._http.pages(path, purpose)
        items = [item for item in comments if item.get("deleted") is not True]
        signatures = set()
        posts = []
        for item in sorted(items, key=lambda item: number_at(item, "id")):
            author = _account(item)
            body = text_at(item, "content", "raw").replace("\r\n", "\n")
            first, _, rest = body.partition("\n")
            line, _, below = rest.partition("\n")
            if line not in signatures and self._is_signature(line, number, first):
                signatures.add(line)
                author = SELF
                body = f"{first}\n{below}"
            text = _HIDDEN.sub(r"<!-- \1 -->", body)
            posts.append(forge.Post(number_at(item, "id"), author, text))
        return posts

    def _is_signature(self, line: str, number: int, first: str) -> bool:
        signature = sign_note(self._key, number, first)
        return hmac.compare_digest(line.encode(), signature.encode())

    def write_note(self, number: int, body: str, note: int | None = None) -> None:
        """Write a comment, or replace the text of one."""
        first, _, rest = to_bitbucket(body).partition("\n")
        signature = sign_note(self._key, number, first)
        text = f"{first}\n{signature}\n{rest}"
        # conversion can add text
        content = {"content": {"raw": text[: self.max_text]}}
        purpose = Purpose(f"write the comment of pull request {number}", _NOTES)
        path = f"{self._path}/pullrequests/{number}/comments"
        if note is None:
            self._http.send("POST", path, content, purpose)
        else:
            self._http.send("PUT", f"{path}/{note}", content, purpose)

    def _refuse_issues(self, *_arguments: object, **_options: object) -> NoReturn:
        """Raise RestError: Bitbucket removed its issues in August 2026."""
        raise RestError(
            "Bitbucket has no issues: the failed step of the drift check shows the difference"
        )

    list_drift_issues = open_drift_issue = change_drift_issue = _refuse_issues

    def fetch_branch_tip(self) -> forge.BranchTip:
        """Return the tip of the default branch."""
        purpose = Purpose("find the tip of the default branch", _CODE)
        branch = text_at(
            self._http.get_object(self._path, purpose),
            "mainbranch",
            "name",
        )
        ref = self._http.get_object(
            f"{self._path}/refs/branches/{quote(branch, safe='')}", purpose
        )
        return forge.BranchTip(branch, text_at(ref, "target", "hash"))

    def find_merged_request(
        self,
        sha: str,
        tip: forge.BranchTip,
    ) -> forge.MergedRequest | None:
        """Return the pull request whose merge is this commit."""
        # Not /commit/SHA/pullrequests: it needs an app, and does not promise the commit of a merge
        # or squash.
        purpose = Purpose("find the pull request of this commit", "Pull requests: Read")
        since = _moment(self._commit(sha, purpose), "date", purpose)
        path = f"{self._path}/pullrequests?state=MERGED&sort=-updated_on&pagelen=50"
        for pull in self._http.pages(path, purpose):
            if _moment(pull, "updated_on", purpose) < since:
                return None  # merged before this commit was made
            if text_at(pull, "destination", "branch", "name") != tip.branch:
                continue
            merge = text_at(pull, "merge_commit", "hash")
            if not merge or not sha.startswith(merge):
                continue
            if self._resolve(merge, purpose) != sha:
                continue
            source = text_at(pull, "source", "repository", "full_name")
            is_from_fork = source != self._run.repository
            head = text_at(pull, "source", "commit", "hash")
            if not is_from_fork:
                head = self._resolve(head, purpose)
            return forge.MergedRequest(number_at(pull, "id"), head, is_from_fork)
        return None

    def list_open_requests(self) -> list[forge.OpenRequest]:
        """Return every open pull request; the head of a fork is in the fork alone."""
        purpose = Purpose("list the open pull requests", "Pull requests: Read")
        path = f"{self._path}/pullrequests?state=OPEN&sort=-created_on&pagelen=50"
        requests = []
        for pull in self._http.pages(path, purpose):
            branch = text_at(pull, "source", "branch", "name")
            source = text_at(pull, "source", "repository", "full_name")
            is_from_fork = source != self._run.repository
            request = forge.OpenRequest(
                number_at(pull, "id"),
                text_at(pull, "title"),
                text_at(pull, "destination", "branch", "name"),
                text_at(pull, "source", "commit", "hash"),
                "" if is_from_fork else f"refs/heads/{branch}",
            )
            requests.append(request)
        return requests

    def find_plan_run(self, head: str, pipeline: str) -> forge.PlanRun | None:
        """Return the newest finished pipeline of the pull request's head commit; `pipeline` is the
        only file.
        """
        purpose = Purpose(f"list the runs of {pipeline}", "Pipelines: Read")
        path = f"{self._path}/pipelines?target.commit.hash={quote(head)}&sort=-created_on&pagelen=100"
        runs = []
        for item in self._http.pages(path, purpose):
            commit = text_at(item, "target", "commit", "hash")
            result = text_at(item, "state", "result", "name")
            facts = (text_at(item, "target", "type"), text_at(item, "state", "name"))
            if facts != ("pipeline_pullrequest_target", "COMPLETED"):
                continue
            if result != "STOPPED" and commit and head.startswith(commit):
                number = number_at(item, "build_number")
                runs.append(forge.PlanRun(number, result == "SUCCESSFUL"))
        return max(runs, default=None)

    def fetch_plan(self, run: int, environment: str) -> bytes | None:
        """Return the plan in the repository's downloads."""
        name = quote(f"cxroute-plan-{environment}-{run}.json")
        path = f"{self._path}/downloads/{name}"
        purpose = Purpose("fetch the reviewed plan", _CODE)
        try:
            return self._http.download(path, forge.MAX_PLAN_BYTES, purpose)
        except RestError as error:
            if error.status == MISSING:
                return None
            raise

    def fetch_approvals(self, number: int) -> forge.Approvals:
        """Return who approved after the last update of the pull request; a later withdrawal
        counts.
        """
        purpose = Purpose(
            f"read the approvals of pull request {number}", "Pull requests: Read"
        )
        path = f"{self._path}/pullrequests/{number}"
        activity = list(self._http.pages(f"{path}/activity?pagelen=50", purpose))
        # read second: it has a withdrawal that the activity lacks
        pull = self._http.get_object(path, purpose)
        author = _account(pull, "author")
        head = text_at(pull, "source", "commit", "hash")
        updated_at = _last_update(activity, head, purpose)
        if not author or not head or updated_at is None:
            raise RestError(
                f"cannot {purpose.task}: its activity does not show the update to its head commit"
            )

        current = {
            _account(person)
            for person in list_objects(pull, "participants")
            if person.get("approved") is True and person.get("state") == "approved"
        }
        in_time = set(_approvers_since(updated_at, activity, purpose))
        approvers = frozenset(in_time & current) - {author, ""}
        return forge.Approvals(self._resolve(head, purpose), approvers)

    def fetch_members(self, owner: str) -> frozenset[str]:
        """Return a user, by the UUID of their account: nicknames are not unique, and users change
        them.
        """
        name = _OWNER.fullmatch(owner)
        if name is None:
            groups = "Bitbucket's API does not show the members of a group to an access token"
            raise RestError(
                f"{owner} is not an owner on Bitbucket: name a user as @UUID. {groups}"
            )
        return frozenset({name[1].lower()})

    def set_status(self, sha: str, status: forge.CommitStatus) -> None:
        """Set a status of a commit."""
        key = status.name
        if len(key) > _MAX_KEY:
            key = hashlib.sha256(key.encode()).hexdigest()[:32]
        fields = {
            "key": key,
            "name": status.name,
            "state": _STATES[status.state],
            "description": status.text,
            "url": _run_address(self._run.repository, self._run.id),
        }
        purpose = Purpose(f"set the status of {sha[:8]}", "Repositories: Write")
        self._http.send(
            "POST",
            f"{self._path}/commit/{sha}/statuses/build",
            fields,
            purpose,
        )

    def _commit(self, sha: str, purpose: Purpose) -> dict[str, Any]:
        return self._http.get_object(
            f"{self._path}/commit/{quote(sha, safe='')}", purpose
        )

    def _resolve(self, sha: str, purpose: Purpose) -> str:
        """Return the full hash: lists of pull requests have its first 12 digits, which two commits
        can share.
        """
        full = sha
        if len(sha) != _FULL_SHA:
            full = text_at(self._commit(sha, purpose), "hash")
        if len(full) != _FULL_SHA or not full.startswith(sha):
            raise RestError(
                f"cannot {purpose.task}: Bitbucket has no full hash of {sha}"
            )
        return full


def _approvers_since(
    updated_at: datetime,
    activity: Iterable[Mapping[str, Any]],
    purpose: Purpose,
) -> Iterator[str]:
    """Yield who approved after a moment."""
    for item in activity:
        approval = as_object(item.get("approval"))
        if "approval" in item and _moment(approval, "date", purpose) > updated_at:
            yield _account(approval)


def _account(item: Mapping[str, Any], name: str = "user") -> str:
    uuid = text_at(item, name, "uuid")
    return uuid.strip("{}").lower()


def _moment(item: Mapping[str, Any], name: str, purpose: Purpose) -> datetime:
    moment = moment_at(item, name)
    if moment is None:
        raise RestError(
            f"cannot {purpose.task}: Bitbucket's response has no valid {name}"
        )
    return moment


def _last_update(
    activity: Iterable[Mapping[str, Any]],
    head: str,
    purpose: Purpose,
) -> datetime | None:
    """Return when a pull request got its head commit; None if its last update is not to that."""
    updates = []
    for item in activity:
        update = as_object(item.get("update"))
        # the merge is one, too
        if "update" in item and update.get("state") != "MERGED":
            updates.append((_moment(update, "date", purpose), update))
    if not updates:
        return None
    updated_at, newest = max(updates, key=lambda pair: pair[0])
    if text_at(newest, "source", "commit", "hash") != head:
        return None
    return updated_at


ADAPTER: Final = Bitbucket
