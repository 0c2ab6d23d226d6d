"""The task `merge-check`: compares a pull request with the other open ones, and writes the part of
its comment.

No finding and no failure of the forge or of git is an error of the check: it ends with a warning.
"""

from functools import partial

from reconciler.cli.git import GitError
from reconciler.cli.git_fetch import GitServer
from reconciler.core.errors import UsageError
from reconciler.core.text.redact import REDACTOR
from reconciler.features.forge.comment import write_note
from reconciler.features.forge.forge import Forge, PipelineRun
from reconciler.features.forge.merge_pairs import (
    MergeChecks,
    PairPlace,
    compare_requests,
    find_own,
)
from reconciler.features.forge.merge_part import DesiredPart, decide_part
from reconciler.features.forge.merge_text import has_news, merge_lines, merge_part
from reconciler.features.forge.step import MAX_SUMMARY_BYTES
from reconciler.features.forge.task import Step
from reconciler.rest.client import RestError


def check_merges(step: Step) -> None:
    """Compare, print the results, and write them into the comment. Raises UsageError."""
    environment = step.environment
    run = step.read_run()
    if run.is_queued:
        step.output.result(
            "a merge queue plans its own merges: merge-check has nothing to do\n"
        )
        return
    number = run.pull_request
    if number is None:
        step.output.note("There is no pull request to compare with others.")
        return
    try:
        with step.connect(run) as forge:
            checks = _compare(step, forge, run, number, environment)
            if checks is None:
                text = f"{forge.request} {number} is not open: nothing is compared\n"
                step.output.result(text)
                return
            for line in merge_lines(checks, forge.request):
                step.output.result(f"{line}\n")
            _publish(step, forge, run, checks, environment)
    except (RestError, GitError, UsageError) as error:
        step.output.warn(f"The merge check is not done: {error}")


def _compare(
    step: Step, forge: Forge, run: PipelineRun, number: int, environment: str
) -> MergeChecks | None:
    """Return the comparisons; None if the request is not open (any more).

    Raises RestError, GitError and UsageError.
    """
    requests = forge.list_open_requests()
    own = find_own(requests, number)
    if own is None:
        return None
    authorization = step.module.authorize_git(step.read_token())
    REDACTOR.add(authorization.partition(" ")[2])
    server = GitServer(run.git, authorization)
    place = PairPlace(environment, step.options.manifests, server)
    return compare_requests(run, own, requests, place)


def _publish(
    step: Step, forge: Forge, run: PipelineRun, checks: MergeChecks, environment: str
) -> None:
    """Write the part into the comment; if that fails, into the summary."""
    text = partial(merge_part, checks, forge.request)
    try:
        desired = DesiredPart(
            environment=environment,
            run=run,
            text=text,
            has_news=has_news(checks),
            author=step.author(forge),
            limit=forge.max_text,
        )
        decision = decide_part(forge.list_notes(checks.number), desired)
        description = write_note(forge, checks.number, decision)
        step.output.result(f"{description}\n")
    except RestError as error:
        place = ""
        if step.files.summary:
            place = "; the result of the merge check is in the job summary"
            step.files.add_summary(text(MAX_SUMMARY_BYTES))
        else:
            step.output.result(f"{text(forge.max_text)}\n")
        step.output.warn(f"{error}{place}")
