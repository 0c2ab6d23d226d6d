"""The checks of rules in a Studio script, for `cxroute doctor`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

from reconciler.core.errors import CxrouteError
from reconciler.core.model.check import CheckResult
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Queue
from reconciler.core.text.escape import join_first, pluralize, sanitize
from reconciler.core.text.json_values import find_member
from reconciler.targets.platform.diagnosis import observations
from reconciler.targets.platform.diagnosis.examination import Examination
from reconciler.targets.platform.diagnosis.probe import Probe
from reconciler.targets.studio.block_rules import live_rules
from reconciler.targets.studio.client import display_text, last_save
from reconciler.targets.studio.layout import BlockLayout
from reconciler.targets.studio.place import StudioScript
from reconciler.targets.studio.script import MAX_PROVEN_BYTES, find_block

_ADVICE: Final = {
    (
        "script",
        403,
    ): "The role of the access key's user lacks the right to view scripts in Studio",
    (
        "script",
        404,
    ): "Make it as `cxroute studio recipe` says, or correct api.studio: its script, or its apiVersion",
    (
        "script",
        500,
    ): "A script of Desktop Studio fails like this: give its XML to `--live FILE`. Else try later",
    (
        "queues",
        404,
    ): "Correct api.queuesPath, or remove it: then the skills are read from the platform's path",
}


@dataclass(kw_only=True)
class StudioExamination(Examination):
    """Checks the script, its lock and the block in it."""

    script: StudioScript
    rules: list[LiveRule] = field(default_factory=list)  # in the block
    rules_setting: ClassVar[str] = "api.studio"

    def advice(self, name: str, status: int) -> str:
        """Return advice about scripts and skills."""
        return _ADVICE.get((name, status), "")

    async def read_rules(self, probe: Probe) -> None:
        """Read the script and its history, and add lines on them and on the block."""
        self.rules = await self._check_script(probe, self.script)

    async def check_rules(self, probe: Probe) -> list[LiveRule]:
        """Return the rules in the block."""
        del probe
        return self.rules

    def compare_queues(
        self,
        rules: Sequence[LiveRule],
        queues: Sequence[Queue],
        expected: Sequence[str],
    ) -> list[CheckResult]:
        """Return whether the queues are active skills."""
        return check_skills(rules, queues, expected)

    def explain_incomplete_queues(self) -> None:
        """Add why the skills were not compared."""
        text = "not compared with the manifests: the tenant lists them in several pages"
        self.add("skills", "warn", text)

    async def _check_script(self, probe: Probe, studio: StudioScript) -> list[LiveRule]:
        """Add lines on the script with the rules, and return the rules in its block."""
        paths = [
            studio.target(call, scriptPath=studio.path)
            for call in ("", "/historyByName")
        ]
        replies = [await probe.get(path) for path in paths]
        if not all(self.check_reply(reply, "script") for reply in replies):
            return []
        save = last_save(replies[1].payload)
        self.add("script", "ok", f"{sanitize(studio.path)} can be read")
        text = f"{save.by or 'an unknown user'} saved the script last, {save.at}"
        self.add(
            "version",
            "ok" if save.by else "warn",
            f"{studio.api_version} of the API answers; {text}",
        )
        script = replies[0].payload
        holder = display_text(find_member(script, "header.lockInfo.lockedName"))
        if holder:
            advice = (
                "Close or unlock it in Studio: apply does not take a user's lock away"
            )
            self.add("lock", "warn", f"locked by {holder}", advice)
        else:
            self.add("lock", "ok", "not locked")
        return self._check_block(json.dumps(script), studio.layout)

    def _check_block(self, content: str, layout: BlockLayout) -> list[LiveRule]:
        try:
            block = find_block(content, layout)
            rules = [
                live for live, _ in live_rules(block.text, layout, block.first_line)
            ]
        except CxrouteError as error:
            self.add(
                "block", "fail", sanitize(str(error)), "Correct the script in Studio"
            )
            return []
        unmanaged = [live.rule.name for live in rules if not live.marker]
        managed_count = len(rules) - len(unmanaged)
        size = len(block.value.encode(errors="replace"))
        snippet = f"{pluralize(managed_count, 'managed rule')}, in a snippet of {size:,} bytes"
        self.add("block", "ok", snippet)
        if unmanaged:
            text = (
                f"not managed, so apply refuses: {join_first(unmanaged, 5, sanitize)}"
            )
            self.add(
                "block", "warn", text, "Move them out of it, or `adopt: {id: line N}`"
            )
        if size > MAX_PROVEN_BYTES:
            text = (
                f"{snippet}; the largest that is known to work has {MAX_PROVEN_BYTES:,}"
            )
            self.add(
                "block",
                "warn",
                text,
                "Try it in Studio's Snippet editor, or use fewer rules",
            )
        return rules


def check_skills(
    rules: Sequence[LiveRule], skills: Sequence[Queue], expected: Sequence[str]
) -> list[CheckResult]:
    """Return whether the queues of the manifests and of the block are active skills; `skills` must
    be complete.
    """
    active = [skill for skill in skills if skill.active]
    lines = []
    for line in observations.check_queues(rules, active, expected):
        message = line.message.replace(
            "do not exist", "do not exist or are inactive", 1
        )
        lines.append(replace(line, name="skills", message=message))
    if not lines:
        count = pluralize(len(expected), "queue")
        text = f"{count} of the manifests: active skills"
        lines.append(CheckResult("skills", "ok", text))
    return lines
