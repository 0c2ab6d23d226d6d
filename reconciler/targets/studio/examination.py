"""The checks of rules in a Studio script, for `cxroute doctor`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

from reconciler.core.errors import CxrouteError
from reconciler.core.model.check import CheckResult
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Queue, Target
from reconciler.core.text.escape import join_first, pluralize, sanitize
from reconciler.core.text.json_values import find_member
from reconciler.targets.platform.diagnosis import observations
from reconciler.targets.platform.diagnosis.entry_points import (
    CHANNELS_PATH,
    POINTS_OF_CONTACT,
    EntryPoint,
    find_records,
    parse_channels,
    parse_points,
)
from reconciler.targets.platform.diagnosis.examination import Examination
from reconciler.targets.platform.diagnosis.probe import Probe
from reconciler.targets.studio.block_rules import live_rules
from reconciler.targets.studio.client import display_text, last_save
from reconciler.targets.studio.entry_checks import check_entry_points, other_scripts
from reconciler.targets.studio.layout import BlockLayout
from reconciler.targets.studio.place import StudioScript
from reconciler.targets.studio.script import (
    MAX_PROVEN_BYTES,
    find_block,
    script_properties,
)

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


_LIMITS: Final = {
    "maxScriptHistory": (
        "it keeps {value:,} versions of a script (maxScriptHistory), and each save makes one"
    ),
    "apiPublishedLimit": (
        "the published limit of its API is {value:,} (apiPublishedLimit; the unit is not documented)"
    ),
}
_MAX_OTHERS: Final = 20  # scripts of other entry points that are read
_READ_ADVICE: Final = (
    "These calls are known from third parties; the role of the access key's user may lack the right to them. Nothing "
    "depends on it but this check"
)


@dataclass(kw_only=True)
class StudioExamination(Examination):
    """Checks the script, its lock and the block in it."""

    script: StudioScript
    rules: list[LiveRule] = field(default_factory=list)  # in the block
    # by what the block assigns, for its comments; empty for one without a name
    skill_names: dict[str, str] = field(default_factory=dict)
    rules_setting: ClassVar[str] = "api.studio"

    def advice(self, name: str, status: int) -> str:
        """Return advice about scripts and skills."""
        return _ADVICE.get((name, status), "")

    async def read_rules(self, probe: Probe) -> None:
        """Read the script and its history, and add lines on them and on the block."""
        self.rules = await self._check_script(probe, self.script)
        await self._check_business_unit(probe)
        await self._check_entry_points(probe)

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
        if self.script.layout.skill_as == "name":
            # the rules of the block have names as the ids of their queues
            queues = [queue._replace(id=queue.name) for queue in queues]
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

    async def _check_business_unit(self, probe: Probe) -> None:
        """Add how many versions of a script the tenant keeps, and its limit of calls."""
        reply = await probe.get(f"{self.script.services}/business-unit")
        if not reply.is_good:
            self.add_unread("business unit", reply, _READ_ADVICE)
            return
        parts = []
        for field_name, phrase in _LIMITS.items():
            record = next(find_records(reply.payload, field_name), {})
            value = record.get(field_name)
            if isinstance(value, int) and not isinstance(value, bool):
                parts.append(phrase.format(value=value))
        text = "; ".join(parts) or "neither maxScriptHistory nor apiPublishedLimit"
        self.add("business unit", "ok", text)

    async def _check_entry_points(self, probe: Probe) -> None:
        """Add which entry points run the script, and which other scripts name its skills."""
        points: list[EntryPoint] = []
        points_path = f"{self.script.services}/{POINTS_OF_CONTACT}"
        replies = [await probe.get(path) for path in (points_path, CHANNELS_PATH)]
        for reply, parse in zip(replies, (parse_points, parse_channels), strict=True):
            if reply.is_good:
                points += parse(reply.payload)
            else:
                self.add_unread("entry points", reply, _READ_ADVICE)
        if not any(reply.is_good for reply in replies):
            return
        properties = {}
        for name in other_scripts(points, self.script.path)[:_MAX_OTHERS]:
            reply = await probe.get(self.script.target(scriptPath=name))
            if reply.is_good:
                properties[name] = list(script_properties(reply.payload))
            else:
                text = f"the script {name} cannot be read (status {reply.status}): which skills it names is not known"
                self.add("entry points", "warn", text)
        self.lines += check_entry_points(
            points, sanitize(self.script.path), self._managed_skills(), properties
        )

    def _managed_skills(self) -> dict[str, str]:
        """Return the names of the skills in the block's rules, by what it assigns."""
        targets = [part for live in self.rules for part in live.rule.targets]
        ids = [part.queue_id for part in targets if isinstance(part, Target)]
        return {skill: self.skill_names.get(skill, "") for skill in ids}

    def _check_block(self, content: str, layout: BlockLayout) -> list[LiveRule]:
        try:
            block = find_block(content, layout)
            read_rules = list(live_rules(block.text, layout, block.first_line))
            rules = [live for live, _ in read_rules]
            for _, read_rule in read_rules:
                self.skill_names |= read_rule.queue_names
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
