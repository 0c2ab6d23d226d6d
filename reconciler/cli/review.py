"""An apply of a saved plan: what binds it to what was reviewed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.errors import RefusedError, UsageError
from reconciler.plan.document import ReviewedPlan, read_saved_plan, unreviewed_changes, unreviewed_impact
from reconciler.text.escape import join_first, pluralize, quote
from reconciler.text.files import MIB, read_text
from reconciler.traffic.sample import TrafficSample, load_traffic

if TYPE_CHECKING:
    import argparse

    from reconciler.cli.session import Session
    from reconciler.plan.plan import Plan


_LARGEST: Final = 128 * MIB
_SEVERAL: Final = re.compile(r'\s*\{\s*"environments"\s*:')
"""How a file begins that holds the plans of several environments: it has this one field."""


def read_reviewed(options: argparse.Namespace) -> ReviewedPlan:
    """Read the saved plan. Raises UsageError where it is none, or is for another environment than -e says."""
    path = Path(options.plan)
    reviewed = read_saved_plan(_text(path), path.name)
    if options.all or options.shard:
        raise UsageError(f"{path.name} is a plan for {reviewed.environment} alone: leave out --all and --shard")
    if options.environment and options.environment != reviewed.environment:
        raise UsageError(f"{path.name} is a plan for {reviewed.environment}, not for {options.environment}")
    return reviewed


def read_plans(options: argparse.Namespace) -> dict[str, ReviewedPlan | str]:
    """Read the plans of a file that holds those of several environments, by name; none from a plan of one.

    For an environment that was not planned it is why not. Raises UsageError, and RefusedError as `read` does.
    """
    path = Path(options.plan)
    text = _text(path)
    if not _SEVERAL.match(text):
        return {}
    try:
        forms = json.loads(text)["environments"]
        plans = {str(form["environment"]): _plan(form, path.name) for form in forms}
    except (ValueError, RecursionError, LookupError, TypeError):
        raise UsageError(
            f"{path.name} holds no plans: write them with `cxroute plan --all --out {path.name}`"
        ) from None
    if len(plans) < len(forms) or not plans:
        raise UsageError(f"{path.name} does not hold one plan for each of some environments")
    return plans


def _plan(form: Any, name: str) -> ReviewedPlan | str:  # noqa: ANN401 - any JSON
    return str(form["error"]["message"]) if "error" in form else read_saved_plan(json.dumps(form), name)


def _text(path: Path) -> str:
    try:
        return read_text(path, _LARGEST)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def bound(session: Session, reviewed: ReviewedPlan) -> Session:
    """Return the session with the reviewed plan's options. Raises RefusedError where the owner is another."""
    if session.environment.owner != reviewed.owner:
        owners = f"{reviewed.owner!r}, and {reviewed.environment} is now owned by {session.environment.owner!r}"
        raise RefusedError(f"the plan was made for owner {owners}; plan again")
    options = replace(reviewed.options, prune=session.options.prune)
    return replace(session, options=options, sample=_sample(session, reviewed))


def _sample(session: Session, reviewed: ReviewedPlan) -> TrafficSample | None:
    """Return the traffic sample that the plan was made with. Raises RefusedError where it is no longer that."""
    if reviewed.traffic is None:
        return session.sample
    path, digest = str(reviewed.traffic["file"]), reviewed.traffic["digest"]
    sample = session.sample
    if sample is None or sample.digest != digest:
        sample = load_traffic(path, session.environment.attributes)
    if sample.digest != digest:
        raise RefusedError(f"the traffic sample {path} changed since the plan was made; plan again")
    return sample


def refuse_unreviewed(made: Plan, reviewed: ReviewedPlan, plan_again: str) -> None:
    """Raise RefusedError when a fresh plan has a change, or moves conversations, that the reviewed one does not."""
    new = unreviewed_changes(made, reviewed)
    again = f"Nothing was written. Plan again, review, apply: {plan_again}"
    moved = unreviewed_impact(made, reviewed)
    if moved and not new:
        example = moved[0].example.attributes
        raise RefusedError(
            "rules that the plan does not change, or the Environment, were changed since it was made, and it would now"
            f" send conversations elsewhere that plan {reviewed.plan_id} of {reviewed.generated_at} does not:"
            f" {quote(example)}. {again}"
        )
    if new:
        named = join_first(new, 5, lambda change: f"{change.action} {change.address}")
        since = f"plan {reviewed.plan_id} of {reviewed.generated_at} does not have: {named}"
        raise RefusedError(
            f"manifests or tenant changed since the plan was made. A fresh plan has {pluralize(len(new), 'change')}"
            f" that {since}. {again}"
        )
