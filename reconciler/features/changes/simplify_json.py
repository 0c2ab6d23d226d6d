"""The JSON that `cxroute simplify` prints."""

from typing import Literal

from reconciler.core.plan.plan_json import ClosedPart, Count
from reconciler.features.changes.simplify import Simplification
from reconciler.features.changes.simplify_text import edit_reason


class RuleEditJson(ClosedPart):
    """An edit of the manifests that moves no conversation, and why.

    `unused` and `redundant` remove a rule, `condition` removes a condition of one, and `join` makes
    one rule of all `addresses`: the first one.
    """

    kind: Literal["unused", "condition", "redundant", "join"]
    addresses: list[str]
    reason: str


class ListSizeJson(ClosedPart):
    """The rules that are switched on, and their conditions in the API's form."""

    rules: Count
    conditions: Count


class TrippedGuardJson(ClosedPart):
    """A guard that the next plan trips if the edits are written."""

    environment: str
    guard: str
    message: str


class SimplifyJson(ClosedPart):
    """The result of `cxroute simplify`; `complete` is false if the work ended before every edit was
    tried.

    `live` is the file of live rules for which the edits are proven as well; null without one.
    `lostComments` are on or above removed rules; `written` are the files that were written.
    """

    edits: list[RuleEditJson]
    before: ListSizeJson
    after: ListSizeJson
    complete: bool
    lostComments: list[str]
    guards: list[TrippedGuardJson]
    live: str | None
    written: list[str]


def simplification_to_json(
    result: Simplification, live: str | None, written: list[str]
) -> SimplifyJson:
    """Return the result as JSON."""
    labels = result.environments[0].desired.labels
    found = result.found
    return {
        "edits": [
            {
                "kind": edit.kind,
                "addresses": [entry.name for entry in edit.entries],
                "reason": edit_reason(edit, labels),
            }
            for edit in result.edits
        ],
        "before": {
            "rules": found.before.rules,
            "conditions": found.before.conditions,
        },
        "after": {"rules": found.after.rules, "conditions": found.after.conditions},
        "complete": found.complete,
        "lostComments": list(result.lost_comments),
        "guards": [
            {
                "environment": guard.environment,
                "guard": guard.name,
                "message": guard.message,
            }
            for guard in result.guards
        ],
        "live": live,
        "written": written,
    }
