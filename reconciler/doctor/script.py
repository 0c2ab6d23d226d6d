"""Findings about the Studio script that holds the rules: its version, its block, its lock, and its skills."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from reconciler.cxone.block_rules import live_rules
from reconciler.cxone.settings import StudioScript
from reconciler.cxone.studio_client import display_text
from reconciler.doctor.check import CheckResult
from reconciler.errors import CxrouteError
from reconciler.model.live import LiveRule
from reconciler.model.rule import Queue, Target
from reconciler.studio.script import MAX_PROVEN_BYTES, ScriptBlock, find_block
from reconciler.text.escape import join_first, pluralize, quote, sanitize
from reconciler.text.strict_json import find_member

_MAX_NAMED: Final = 5
DESKTOP: Final = "the script was made with Desktop Studio, and cxroute cannot write its XML"
DESKTOP_ADVICE: Final = "Export it and give the file to `--live FILE`; to manage its rules, make a script in Studio"
SCRIPT_ADVICE: Final = {
    403: "The role of the access key's user lacks the right to view it",
    404: "Make the script as `cxroute studio recipe` says, or correct api.studio: its script, or its apiVersion",
    500: f"A script of Desktop Studio fails like this. {DESKTOP_ADVICE}. Otherwise try again later",
}


def check_version(version: Mapping[str, Any], script: StudioScript) -> CheckResult:
    """Return who saved the version that runs; `version` is its entry in the script's history, or empty."""
    text, user = f"{script.api_version} of the API answers", display_text(version.get("modifyUser"))
    if not user:
        advice = "So `drift` cannot say who saved the script"
        return CheckResult("version", "warn", f"{text}; the history does not say who saved the script last", advice)
    date = display_text(version.get("modifyDate")) or "at an unknown time"
    return CheckResult("version", "ok", f"{text}; the running version was saved by {user}, {date}")


def check_lock(payload: object) -> CheckResult:
    """Return who has locked the script."""
    names = ("header.lockInfo.lockedName", "header.lockInfo.lockedDate")
    holder, since = (display_text(find_member(payload, name)) for name in names)
    if not holder:
        return CheckResult("lock", "ok", "nobody has locked the script")
    text = f"{holder} has locked the script, since {since or 'an unknown time'}"
    return CheckResult("lock", "warn", text, "Close it in Studio. A lock of this access key's user stops no apply")


def check_block(payload: object, script: StudioScript) -> tuple[list[CheckResult], list[LiveRule]]:
    """Return findings about the block in a script, and its rules."""
    try:
        block = find_block(json.dumps(payload), script.layout)
        rules = [live for live, _ in live_rules(block.text, script.layout, block.first_line)]
    except CxrouteError as error:
        return [CheckResult("block", "fail", sanitize(str(error)), "Correct the script in Studio")], []
    return list(_describe_block(block, script, rules)), rules


def _describe_block(block: ScriptBlock, script: StudioScript, rules: Sequence[LiveRule]) -> Iterator[CheckResult]:
    unmanaged = [live.rule.name for live in rules if live.marker is None]
    size, total = (len(text.encode("utf-8", "replace")) for text in (block.text, block.value))
    count = pluralize(len(rules) - len(unmanaged), "managed rule")
    text = f"{script.layout.owner}/{script.layout.block} has {count}: {size:,} bytes, in a snippet of {total:,}"
    yield CheckResult("block", "ok", text)
    if unmanaged:
        advice = (
            "Move them out of the block in Studio, or adopt them (`adopt: {id: line N}`): until then, apply refuses"
        )
        yield CheckResult("block", "warn", f"not managed: {join_first(unmanaged, _MAX_NAMED, sanitize)}", advice)
    if total > MAX_PROVEN_BYTES:
        text = f"the snippet has {total:,} bytes; the largest that is known to work has {MAX_PROVEN_BYTES:,}"
        yield CheckResult("block", "warn", text, "Try the text in Studio's Snippet editor first, or use fewer rules")


def check_skills(rules: Iterable[LiveRule], skills: Iterable[Queue], expected: Iterable[str]) -> list[CheckResult]:
    """Return whether every queue of the manifests, and of the block, is an active skill; `skills` must be complete."""
    active = {text for skill in skills if skill.active for text in (skill.id, skill.name)}
    used = {part.queue_id for live in rules for part in live.rule.targets if isinstance(part, Target)}
    names, advice = sorted(set(expected)), "Create or activate them in CXone, or correct the names"
    lines = []
    if missing := [name for name in names if name not in active]:
        text = f"the manifests have queues that are no active skills: {join_first(missing, _MAX_NAMED, quote)}"
        lines.append(CheckResult("skills", "fail", text, f"{advice}. Until then, plan refuses"))
    if missing := sorted(used - active):
        text = f"the block has ids that are no active skills: {join_first(missing, _MAX_NAMED, quote)}"
        lines.append(CheckResult("skills", "warn", text, advice))
    return lines or [CheckResult("skills", "ok", f"{pluralize(len(names), 'queue')} of the manifests: active skills")]
