"""The reviewed plan: from the commit to its pull request, to the run that planned it, to the file
that it stored.
"""

from collections.abc import Callable
from typing import Final

from reconciler.core.errors import RefusedError
from reconciler.core.text.json_values import as_object, parse_object
from reconciler.features.forge.forge import BranchTip, Forge, MergedRequest, PipelineRun

_PAUSES: Final = (2.0, 8.0)  # seconds


def find_merged_request(
    forge: Forge,
    run: PipelineRun,
    tip: BranchTip,
    sleep: Callable[[float], object],
) -> MergedRequest | None:
    """Return the pull request of this commit; None if there is none. Raises RefusedError."""
    for pause in (*_PAUSES, None):  # after a merge, the forge may need a few seconds
        if source := forge.find_merged_request(run.sha, tip):
            if source.is_from_fork:
                text = f"{forge.request} {source.number} is from a fork, which gets no credentials"
                raise RefusedError(
                    f"{text}, so its plan was not reviewed. {forge.manual_advice}"
                )
            return source
        if pause is not None:
            sleep(pause)
    return None


def check_is_tip(run: PipelineRun, tip: BranchTip) -> None:
    """Raise RefusedError if the commit is not the tip of the default branch."""
    if tip.sha != run.sha:
        text = (
            f"commit {run.sha[:8]} is not the tip of {tip.branch}: the run of {tip.sha[:8]} "
            f"applies what remains."
        )
        raise RefusedError(
            f"{text} To go back, merge a revert; old runs are not applied again."
        )


def fetch_reviewed_plan(
    forge: Forge,
    run: PipelineRun,
    environment: str,
    pipeline: str,
    source: MergedRequest | None,
) -> str:
    """Return the plan that was reviewed for this commit. Raises RefusedError if there is none."""
    if run.is_manual:
        return _fetch_plan(
            forge,
            run.id,
            environment,
            f"this run has no plan for {environment}",
        )
    if source is None:
        text = f"commit {run.sha[:8]} has no {forge.request}, so its plan was not reviewed."
        raise RefusedError(f"{text} {forge.manual_advice}")
    plan_run = forge.find_plan_run(source.head, pipeline)
    if plan_run is None or not plan_run.succeeded:
        state = "has no run" if plan_run is None else "did not succeed in its last run"
        where = f"{source.head[:8]}, the head of {forge.request} {source.number}"
        advice = (
            f"Open a {forge.request} from the tip of the default branch, have its plan reviewed, "
            f"and merge that."
        )
        other = f"Or: {forge.manual_advice[0].lower()}{forge.manual_advice[1:]}"
        raise RefusedError(f"{pipeline} {state} for {where}. {advice} {other}")
    missing_text = (
        f"the plan for {environment} of {forge.request} {source.number} is not stored, or no "
        f"longer stored"
    )
    return _fetch_plan(forge, plan_run.id, environment, missing_text)


def _fetch_plan(forge: Forge, run: int, environment: str, missing_text: str) -> str:
    content = forge.fetch_plan(run, environment)
    if content is None:
        raise RefusedError(f"{missing_text}. {forge.manual_advice}")
    document = parse_object(content)
    if document.get("environment") != environment:
        raise RefusedError(
            f"the artifact contains no plan for {environment}; plan again"
        )
    if as_object(document.get("options")).get("undo") is not None:
        # The author of a branch can create its artifact, but their choices must be in the
        # manifests; an undo is not.
        raise RefusedError(
            f"the artifact contains an undo, which a pull request cannot request. "
            f"{forge.manual_advice}"
        )
    return content.decode()
