"""The form of rules in a block of a Studio script."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from reconciler.core.behaviour.endpoint_stage import EndpointStage
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.behaviour.space.value_type import ANY_NUMBER, ANY_TEXT, Types
from reconciler.core.checks.lint_view import LintView
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.finding import Finding
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Condition, Rule, Target
from reconciler.core.target import (
    LastingAdoption,
    NotStorableError,
    OrderedRules,
    Switches,
)
from reconciler.targets.studio.build import BlockEntry, build_block
from reconciler.targets.studio.layout import (
    BlockLayout,
    compared_kinds,
    find_conflicts,
    storable_rule,
)
from reconciler.targets.studio.proof import DialectProof, GeneratedText
from reconciler.targets.studio.script import MAX_PROVEN_BYTES


@dataclass(frozen=True, slots=True)
class BlockForm:
    """Rules as the cases of a block: one save of the script switches all of them."""

    layout: BlockLayout
    switches: ClassVar[Switches] = "whole table"
    document: ClassVar[str] = "script"
    editor: ClassVar[str] = "Studio"
    # a script reads texts as numbers
    has_typed_numbers: ClassVar[bool] = True
    keeps_foreign_rules: ClassVar[bool] = False
    keeps_settings: ClassVar[bool] = False
    lasting_adoption: ClassVar[LastingAdoption | None] = LastingAdoption(
        "apply writes no block with a CASE that is not managed",
        "move the CASE out of the block in Studio",
    )

    def storable(self, rule: Rule) -> Rule:
        """Return the rule in the form in which a block holds it. Raises NotStorableError."""
        return storable_rule(rule, self.layout)

    def conflicts(self, rules: Sequence[Rule]) -> Iterable[tuple[Rule, str]]:
        """Return rules that a block cannot hold beside the rules before them, each with the reason."""
        return find_conflicts(rules, self.layout)

    def value_types(self, rules: Sequence[Rule]) -> Types:
        """Return the types of a script's variables: the same characters are a number where rules compare numbers."""
        parts = [
            part
            for rule in rules
            for part in rule.conditions
            if isinstance(part, Condition)
        ]
        kinds = {
            part.attribute: kind for part in parts for kind in compared_kinds(part)
        }
        return {
            name: ANY_TEXT if kind == "text" else ANY_NUMBER
            for name, kind in kinds.items()
        }

    def findings(
        self,
        rules: OrderedRules,
        manifests: Manifests,
        queues: Mapping[str, str],
    ) -> Iterable[Finding]:
        """Yield skills without a usable name (CXR125), what happens to digital contacts without a rule (CXR133), and
        the proof that no unknown part of Studio's language changes a route (CXR127 to CXR130).
        """
        yield from self._skill_findings(rules, queues)
        yield from self._digital_findings(rules)
        proof = DialectProof(rules, manifests, queues, self.layout.facts)
        yield from proof.findings()

    def _skill_findings(
        self, rules: OrderedRules, queues: Mapping[str, str]
    ) -> Iterable[Finding]:
        """Yield rules whose skill has no name that a script can assign (CXR125), each once."""
        if self.layout.skill_as != "name":
            return
        problems: dict[str, RoutingEntry] = {}
        for entry in rules.entries:
            for target in entry.rule.targets:
                if isinstance(target, Target):
                    problem = self.layout.skill_problem(target.queue_id, queues)
                    problems.setdefault(problem, entry)
        problems.pop("", None)
        for problem, entry in problems.items():
            message, _, hint = problem.rpartition("; ")
            yield LintView.finding("CXR125", "error", message, entry, hint)

    def _digital_findings(self, rules: OrderedRules) -> Iterable[Finding]:
        """Yield what happens to digital contacts that no rule takes (CXR133)."""
        enabled = [entry.rule for entry in rules.entries if entry.rule.enabled]
        has_catch_all = any(not rule.conditions for rule in enabled)
        if not self.layout.is_digital or has_catch_all:
            return
        message = (
            f"digital contacts that no rule takes stay in the default skill of their channel: a value of "
            f"`{self.layout.skill}` before the block does not route them"
        )
        hint = "write a rule with `when: []`, or check the channel's default skill"
        yield Finding(code="CXR133", severity="warning", message=message, hint=hint)

    def table_findings(
        self,
        after: Sequence[LiveRule],
        queues: Mapping[str, str],
    ) -> Iterable[Finding]:
        """Return a warning if the block would be larger than any that is known to work."""
        entries = [
            BlockEntry(
                live.rule,
                live.marker.address if live.marker else None,
                "0" * 8,
                "",
            )
            for live in after
        ]
        size = 0
        # only the script has the text of a rule that a person edited
        with suppress(NotStorableError):
            size = len(build_block(entries, self.layout, queues).encode())
        if size <= MAX_PROVEN_BYTES:
            return ()
        text = (
            f"the block would have {size:,} bytes; the largest text known to work has "
            f"{MAX_PROVEN_BYTES:,}"
        )
        return (Finding(code="CXR131", severity="warning", message=text),)

    def table_settings(self, manifests: Manifests, endpoint: EndpointStage) -> None:
        """Return None: a script holds rules alone."""
        del manifests, endpoint

    def foreign_finding(self, live: LiveRule) -> Finding:
        """Return the conflict of a CASE that no manifest owns."""
        kind = "not managed"
        hint = (
            f"move it out of the block, or take it over with `adopt: {{id: {live.id}}}`"
        )
        if live.marker:
            kind = "an edited copy of another CASE"
            hint = "remove it in Studio"
        message = (
            f'"{live.rule.name}" of the block is {kind}, and apply writes no block that contains '
            f"it"
        )
        return Finding(code="CXR313", severity="error", message=message, hint=hint)

    def text(self, rules: OrderedRules) -> GeneratedText:
        """Return the rules as the text of the block."""
        return GeneratedText(rules, self.layout)
