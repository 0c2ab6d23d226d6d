"""An apply of a saved plan: what binds it to what was reviewed."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.errors import RefusedError, UsageError
from reconciler.plan.document import ReviewedPlan, read_saved_plan
from reconciler.text.files import MIB, read_text
from reconciler.traffic.sample import load_traffic

if TYPE_CHECKING:
    from reconciler.cli.session import Session

_LARGEST: Final = 128 * MIB
_SEVERAL: Final = re.compile(r'\s*\{\s*"environments"\s*:')
"""How a file begins that holds the plans of several environments: it has this one field."""


def read_saved_plans(options: argparse.Namespace) -> ReviewedPlan | dict[str, ReviewedPlan | str]:
    """Return the saved plan, or plans by environment, with an error's text for a failed one. Raises UsageError."""
    path = Path(options.plan)
    try:
        text = read_text(path, _LARGEST)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if _SEVERAL.match(text):
        return _plans(text, path.name)
    reviewed = read_saved_plan(text, path.name)
    if options.all or options.shard:
        raise UsageError(f"{path.name} is a plan for {reviewed.environment} alone: leave out --all and --shard")
    if options.environment and options.environment != reviewed.environment:
        raise UsageError(f"{path.name} is a plan for {reviewed.environment}, not for {options.environment}")
    return reviewed


def _plans(text: str, name: str) -> dict[str, ReviewedPlan | str]:
    try:
        forms = json.loads(text)["environments"]
        plans = {str(form["environment"]): _plan(form, name) for form in forms}
    except (ValueError, RecursionError, LookupError, TypeError):
        raise UsageError(f"{name} holds no plans: write them with `cxroute plan --all --out {name}`") from None
    if len(plans) < len(forms) or not plans:
        raise UsageError(f"{name} does not hold one plan for each of some environments")
    return plans


def _plan(form: Any, name: str) -> ReviewedPlan | str:  # noqa: ANN401 - any JSON
    return str(form["error"]["message"]) if "error" in form else read_saved_plan(json.dumps(form), name)


def bind_to_review(session: Session, reviewed: ReviewedPlan) -> Session:
    """Return the session with a reviewed plan's options and traffic sample. Raises RefusedError if these changed."""
    if session.environment.owner != reviewed.owner:
        owners = f"{reviewed.owner!r}, and {reviewed.environment} is now owned by {session.environment.owner!r}"
        raise RefusedError(f"the plan was made for owner {owners}; plan again")
    sample = session.sample
    if reviewed.traffic is not None:
        path, digest = str(reviewed.traffic["file"]), reviewed.traffic["digest"]
        if sample is None or sample.digest != digest:
            sample = load_traffic(path, session.environment.attributes)
        if sample.digest != digest:
            raise RefusedError(f"the traffic sample {path} changed since the plan was made; plan again")
    return replace(session, options=replace(reviewed.options, prune=session.options.prune), sample=sample)
