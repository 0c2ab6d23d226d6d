"""Settings beside the rules in the journal: a run records them, and its undo restores them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from reconciler.core.behaviour.endpoint_stage import FallbackPolicy, TableSettings
from reconciler.core.desired.desired import DesiredState
from reconciler.core.model.finding import Finding
from reconciler.core.plan.stages import Changes, LiveState, stage_with_settings
from reconciler.core.text.json_values import as_object, text_at
from reconciler.features.journal.history import RecordedRun

_CHANGED_SINCE: Final = Finding(
    code="CXR311",
    severity="warning",
    message="the settings beside the rules were changed again since this run, and stay",
    hint="undo the later run first",
)


def changed_settings(plan: Changes) -> dict[str, Any]:
    """Return the member of a run's first entry that says which settings it changes; empty without
    such a change.
    """
    before = plan.live.settings
    after = plan.desired.settings
    if not plan.changes_settings or before is None or after is None:
        return {}
    return {"settings": {"before": _to_json(before), "after": _to_json(after)}}


def _to_json(settings: TableSettings) -> dict[str, Any]:
    return {
        "fallback": settings.fallback.settings,
        "content": settings.content,
        "reading": settings.reading,
    }


def restore_settings(
    state: DesiredState, run: RecordedRun, live: LiveState
) -> DesiredState:
    """Return the state of an undo with the settings before the run, if they are as the run left
    them; otherwise with the live ones. The first settings are not undone: there were none before.
    """
    now = live.settings
    if now is None:
        return state
    recorded = as_object(run.start.get("settings"))
    before = _from_json(recorded.get("before"))
    after = _from_json(recorded.get("after"))
    kept = now
    findings = state.findings
    if before is not None and after is not None and before.content:
        if now.content == after.content:
            kept = before
        elif now.content != before.content:
            findings = (*findings, _CHANGED_SINCE)
    endpoint = stage_with_settings(state.endpoint, kept)
    return replace(state, settings=kept, endpoint=endpoint, findings=findings)


def _from_json(form: object) -> TableSettings | None:
    """Return the settings in an entry of the journal; None if it holds none."""
    fallback = as_object(as_object(form).get("fallback"))
    content = as_object(form).get("content")
    if not isinstance(content, str):
        return None
    policy = _parse_fallback(fallback)
    if policy is None:
        return None
    return TableSettings(policy, content, text_at(form, "reading"))


def _parse_fallback(form: Mapping[str, Any]) -> FallbackPolicy | None:
    intent = form.get("intent")
    least = form.get("minConfidence")
    known = form.get("knownIntents")
    if not (intent is None or isinstance(intent, str)):
        return None
    if not isinstance(least, int | float) or not isinstance(known, list):
        return None
    return FallbackPolicy(intent, least, frozenset(map(str, known)))
