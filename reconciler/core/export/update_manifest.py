"""Managed rules that were changed in CXone -> edits of their manifests, after which these define
the live rules.

Text with the same meaning stays unchanged: aliases, variables, sugar, defaults.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, Final, Literal

from reconciler.core.desired.desired import DesiredState, desire_offline
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.desired.expand import InvalidRuleError, RuleExpander, list_targets
from reconciler.core.desired.expand_dates import RuleDates
from reconciler.core.errors import CxrouteError, ManifestError, RefusedError
from reconciler.core.export.dated_rules import step_number, unintended_in_time
from reconciler.core.export.export import TenantSnapshot
from reconciler.core.export.names import (
    NotRepresentableError,
    QueueNames,
    escape_text,
)
from reconciler.core.export.ruleset import (
    FIELD_ORDER,
    Fields,
    find_sugar_field,
    integer_priority,
    manifest_name,
    manifest_value,
    understood,
    when_item,
)
from reconciler.core.manifest.kinds.environment import SANDBOX
from reconciler.core.manifest.kinds.ruleset import RuleSet, rule_entry
from reconciler.core.manifest.load import Manifests
from reconciler.core.manifest.source_map import LoadedDocument, PathStep
from reconciler.core.manifest.syntax_tree import SyntaxNode, read_syntax
from reconciler.core.manifest.yaml_patch import (
    CannotPatchError,
    TextEdit,
    apply_edits,
    compute_edits,
)
from reconciler.core.manifest.yaml_reader import parse_file
from reconciler.core.manifest.yaml_writer import format_mapping
from reconciler.core.model.live import LiveRule
from reconciler.core.model.operators import INTERVALS
from reconciler.core.model.rule import Address, Condition, Rule, Target
from reconciler.core.text.escape import sanitize

_COMMENT: Final = re.compile(r"#.*\S")


def with_field(fields: Fields, name: str, value: object) -> Fields:
    """Return the fields with a field added at its usual position, or with a new value of an
    existing field.
    """
    if name in fields:
        return {**fields, name: value}
    fields_before = FIELD_ORDER[: FIELD_ORDER.index(name)]
    place = 0
    for index, field in enumerate(fields, start=1):
        if field in fields_before:
            place = index
    items = list(fields.items())
    items.insert(place, (name, value))
    return dict(items)


def merge_value(old: object, current: Condition, replacement: Condition) -> object:
    """Return the new value.

    Values that stay keep their text, such as `${name}`, and their order; new ones follow.

    `old` is the value in the manifest that defines the current condition.
    """
    result = manifest_value(replacement)
    texts = _as_list(old)
    values = _as_list(manifest_value(current))
    if len(texts) != len(values):  # one variable is the whole list
        return result

    # The keys are texts because True == 1 in Python.
    new_values = _as_list(result)
    new_keys = {repr(value) for value in new_values}
    old_keys = [repr(value) for value in values]
    text_of = dict(zip(old_keys, texts, strict=True))
    if replacement.operator in INTERVALS:
        return [text_of.get(repr(value), value) for value in new_values]
    merged = [
        text for key, text in zip(old_keys, texts, strict=True) if key in new_keys
    ]
    merged += [value for value in new_values if repr(value) not in text_of]
    return merged if isinstance(result, list) else merged[0]


def _as_list(value: object) -> list[Any]:
    if isinstance(value, list):
        return value
    return [value]


def replace_field(fields: Fields, old: str, new: str, value: object) -> Fields:
    """Return the fields with one replaced by another at the same position."""
    return dict(
        (new, value) if name == old else (name, old_value)
        for name, old_value in fields.items()
    )


_MAX_PASSES = 4


class RuleUpdater:
    """Changes the fields of a rule in a manifest so that they define another rule."""

    def __init__(
        self,
        key: str,
        live: Rule,
        ruleset: RuleSet,
        tenant: TenantSnapshot,
        step: int = 0,
    ) -> None:
        """`live` is the rule to define, `ruleset` the document of the fields.

        `step` is the number of the step whose weights the rule has; 0 means `targets`.
        """
        self.key = key
        self.step = step
        self.live = live
        self.ruleset = ruleset
        self.environment = tenant.environment
        self.resolve_queue = tenant.resolver.resolve
        self.queue_name = QueueNames(tenant.resolver, tenant.queues, ()).existing_name

    def update(self, fields: Fields, parts: Literal["all", "values"] = "all") -> Fields:
        """Return the fields that define the live rule. Raises NotRepresentableError.

        `values` are its conditions, targets, priority and switch alone: implicit key and texts
        follow.
        """
        # One part may change another, so all parts are updated until nothing changes.
        try:
            for _ in range(_MAX_PASSES):
                fields = self._update_conditions(fields)
                fields = self._update_targets(fields)
                update_names = (
                    self._update_texts if parts == "all" else self._add_missing_key
                )
                fields = update_names(fields)
                fields = self._update_numbers(fields)

                rule = self._rule(fields)
                has_values = rule.routing_fields == self.live.routing_fields
                if rule == self.live or (parts == "values" and has_values):
                    return fields
        except InvalidRuleError as error:
            raise NotRepresentableError(str(error)) from None
        raise NotRepresentableError(
            "changes of single values cannot express the live rule"
        )

    def expander(self, fields: Fields) -> RuleExpander:
        """Return the expander of the fields. Raises NotRepresentableError."""
        try:
            entry = rule_entry(fields)
            return RuleExpander(
                self.environment, self.resolve_queue, self.ruleset, entry
            )
        except ValueError as error:
            raise NotRepresentableError(
                f"its {error} cannot be written in a manifest"
            ) from None

    def _rule(self, fields: Fields) -> Rule:
        """Return the rule of the fields; of a rule with steps, that of its step."""
        expander = self.expander(fields)
        rule = expander.rule()
        if not expander.entry.steps:
            return rule
        dates = RuleDates(expander)
        return dates.rule(rule, dates.steps()[self.step])

    def _update_conditions(self, fields: Fields) -> Fields:
        """Update the conditions: each replaces a similar one, or is added."""
        placed = self.expander(fields).conditions()
        old_conditions = [condition for condition, _ in placed]
        added = [
            understood(condition)
            for condition in self.live.conditions
            if condition not in old_conditions
        ]
        removed = []
        for condition, path in placed:
            if condition in self.live.conditions:
                continue
            replacement = _most_similar(condition, added)
            replaced_fields = None
            if replacement:
                replaced_fields = self._replace_in_place(
                    fields, path, condition, replacement
                )
            if replacement and replaced_fields:
                fields = replaced_fields
                added.remove(replacement)
            elif path[0] == "minConfidence":
                fields = with_field(fields, "minConfidence", None)
            else:
                removed.append(path)

        fields = _without_conditions(fields, removed)
        for condition in added:
            fields = self._add_condition(fields, condition)
        return fields

    def _replace_in_place(
        self,
        fields: Fields,
        path: tuple[str | int, ...],
        current: Condition,
        replacement: Condition,
    ) -> Fields | None:
        """Return the fields with a condition replaced at its position; None if that cannot express
        the new one.
        """
        field = str(path[0])
        if field == "when":
            index = int(path[1])
            operator = str(path[2])
            items = list(fields["when"])
            item = items[index]
            value = merge_value(item[operator], current, replacement)
            items[index] = replace_field(item, operator, replacement.operator, value)
            return fields | {"when": items}

        sugar = find_sugar_field(replacement, self.environment.attributes)
        if sugar == field and field not in fields:
            return fields | {field: manifest_value(replacement)}
        if sugar == field or {sugar, field} == {"intent", "intents"}:
            value = merge_value(fields[field], current, replacement)
            return replace_field(fields, field, sugar, value)
        return None

    def _add_condition(self, fields: Fields, condition: Condition) -> Fields:
        field = find_sugar_field(condition, self.environment.attributes)
        if field in ("intent", "intents"):
            is_used = "intent" in fields or "intents" in fields
        else:
            is_used = fields.get(field) is not None
        if field and not is_used:
            return with_field(fields, field, manifest_value(condition))
        items = [*fields.get("when", ()), when_item(condition)]
        return with_field(fields, "when", items)

    def _update_targets(self, fields: Fields) -> Fields:
        """Update the queues and weights; a queue that is not removed keeps its name."""
        expander = self.expander(fields)
        if expander.entry.steps:
            return self._update_weights(fields)
        placed = [
            (name, weight, expander.weight(weight, path), expander.queue(name, path).id)
            for name, weight, path in list_targets(expander.entry)
        ]
        remaining = [
            understood(target, "kind of target") for target in self.live.targets
        ]
        items: list[Fields | None] = []
        for name, raw_weight, weight, queue_id in placed:
            target = _matching_target(remaining, queue_id, weight)
            if target is None:
                items.append(None)
            else:
                remaining.remove(target)
                new_weight = raw_weight if target.weight == weight else target.weight
                items.append({"queue": name, "weight": new_weight})

        new_items: list[Fields] = [
            {"queue": self.queue_name(target.queue_id), "weight": target.weight}
            for target in remaining
        ]
        return _write_targets(fields, _fill_places(items, new_items))

    def _update_weights(self, fields: Fields) -> Fields:
        """Update the weights of the step; its queues, and those of all others, stay."""
        if self._rule(fields).targets == self.live.targets:
            return fields
        expander = self.expander(fields)
        weights = self._new_weights(expander)
        if self.step == 0:
            targets = [
                {
                    **old,
                    "weight": weights[expander.fill_text(old["queue"], ("targets",))],
                }
                for old in fields["targets"]
            ]
            return fields | {"targets": targets}
        steps = list(fields["steps"])
        step = steps[self.step - 1]
        named = {
            name: weights[expander.fill_text(name, ("steps",))]
            for name in step["weights"]
        }
        steps[self.step - 1] = {**step, "weights": named}
        return fields | {"steps": steps}

    def _new_weights(self, expander: RuleExpander) -> dict[str, float]:
        """Return the live weights by the names of `targets`; 0 for queues that the live rule lacks.

        Raises NotRepresentableError for a live queue that is not one of them.
        """
        live = [understood(part, "kind of target") for part in self.live.targets]
        weights = {target.queue_id: target.weight for target in live}
        new = {
            expander.fill_text(name, path): weights.pop(
                expander.queue(name, path).id, 0
            )
            for name, _, path in list_targets(expander.entry)
        }
        if weights:
            queue = self.queue_name(next(iter(weights)))
            raise NotRepresentableError(
                f"it has steps, and the queue {queue} is not one of its `targets`: add the queue to "
                "`targets` and to each step"
            )
        return new

    def _add_missing_key(self, fields: Fields) -> Fields:
        try:
            self.expander(fields).key()
        except InvalidRuleError:
            return with_field(fields, "key", self.key)
        return fields

    def update_key(self, fields: Fields) -> Fields:
        """Return the fields with the key, unless it follows from the intent."""
        fields = self._add_missing_key(fields)
        if self.expander(fields).key() != self.key:
            fields = with_field(fields, "key", self.key)
        return fields

    def _update_texts(self, fields: Fields) -> Fields:
        fields = self.update_key(fields)
        if self.expander(fields).name() != self.live.name:
            fields = with_field(fields, "name", manifest_name(self.live))
        if self._rule(fields).description != self.live.description:
            description = escape_text(self.live.description)
            fields = with_field(fields, "description", description)
        return fields

    def _update_numbers(self, fields: Fields) -> Fields:
        rule = self.expander(fields).rule()
        if rule.priority != self.live.priority:
            priority = integer_priority(self.live.priority)
            fields = with_field(fields, "priority", priority)
        if rule.enabled != self.live.enabled:
            fields = with_field(fields, "enabled", self.live.enabled)
        return fields


def _most_similar(
    condition: Condition, candidates: Iterable[Condition]
) -> Condition | None:
    """Return a condition on the same attribute, if possible with the same operator."""
    similar = [
        candidate
        for candidate in candidates
        if candidate.attribute == condition.attribute
    ]
    for candidate in similar:
        if candidate.operator == condition.operator:
            return candidate
    return similar[0] if similar else None


def _without_conditions(
    fields: Fields, paths: Sequence[tuple[str | int, ...]]
) -> Fields:
    """Return the fields without the conditions at these paths."""
    fields = {name: value for name, value in fields.items() if (name,) not in paths}
    indexes = {int(path[1]) for path in paths if path[0] == "when"}
    if indexes:
        fields["when"] = [
            item for index, item in enumerate(fields["when"]) if index not in indexes
        ]
    return fields


def _matching_target(
    targets: Iterable[Target], queue_id: str, weight: float
) -> Target | None:
    """Return a target with the queue, if possible with the weight."""
    same_queue = [target for target in targets if target.queue_id == queue_id]
    for target in same_queue:
        if target.weight == weight:
            return target
    return same_queue[0] if same_queue else None


def _fill_places(
    items: Iterable[Fields | None], new_items: Sequence[Fields]
) -> list[Fields]:
    """Return the items, with new ones in the places of removed ones, and the further new ones
    last.
    """
    following = list(new_items)
    result: list[Fields] = []
    for item in items:
        if item is not None:
            result.append(item)
        elif following:
            result.append(following.pop(0))
    return [*result, *following]


def _write_targets(fields: Fields, items: list[Fields]) -> Fields:
    """Return the fields with these targets: as `queue` if it was used before and can express
    them.
    """
    if not items:
        raise NotRepresentableError("it has no target")
    if "queue" in fields and len(items) == 1 and items[0]["weight"] == 1:
        return fields | {"queue": items[0]["queue"]}
    if "queue" in fields:
        return replace_field(fields, "queue", "targets", items)
    targets = []
    for old, item in zip_longest(fields["targets"][: len(items)], items):
        if old is None:
            targets.append(item)
            continue
        names = list(old)
        # A weight of 1 that is not in the manifest is not added.
        if item["weight"] != 1 and "weight" not in old:
            names.append("weight")
        targets.append({name: item[name] for name in names})
    return fields | {"targets": targets}


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEdit:
    """A rule whose live values are written to its manifest: the file, and the fields before and
    after.
    """

    live: LiveRule
    desired: DesiredRule
    file: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    edits: Sequence[TextEdit]

    @property
    def changed_fields(self) -> dict[str, Any]:
        """Return the changed fields with their new values."""
        return {
            name: value
            for name, value in self.new.items()
            if name not in self.old or self.old[name] != value
        }

    @property
    def removed_fields(self) -> list[str]:
        """Return the removed fields."""
        return [name for name in self.old if name not in self.new]


def build_manifest_edit(
    live: LiveRule, desired: DesiredRule, manifests: Manifests, tenant: TenantSnapshot
) -> ManifestEdit:
    """Return the edit after which the manifests define the live rule.

    Raises NotRepresentableError.
    """
    loaded, index = find_rule(desired, manifests)
    old = loaded.source_map.value(("rules", index))
    step = step_number(tenant.desired, desired)
    updater = RuleUpdater(desired.address.key, live.rule, loaded.document, tenant, step)
    new = updater.update(old)
    try:
        edits = patch_document(loaded, ("rules", index), new)
    except CannotPatchError as error:
        raise NotRepresentableError(str(error)) from None
    return ManifestEdit(
        live=live, desired=desired, file=loaded.file, old=old, new=new, edits=edits
    )


def patch_document(
    loaded: LoadedDocument[RuleSet], path: Sequence[PathStep], new: Fields
) -> list[TextEdit]:
    """Return the smallest edits after which a mapping of a document is the new one.

    Raises CannotPatchError.
    """
    source_map = loaded.source_map
    start = source_map.index(path)
    old = source_map.value(path)
    return compute_edits(source_map.text.text, start, old, new)


def is_patched_exactly(
    loaded: LoadedDocument[RuleSet], edits: Sequence[TextEdit], new: Fields
) -> bool:
    """Return whether the edited text reads as the new document, and not only its edited part."""
    text = apply_edits(loaded.source_map.text.text, edits)
    parsed = parse_file(text.encode(), loaded.file)
    return any(document.value == new for document in parsed.documents)


def edit_texts(
    file_edits: Iterable[tuple[str, Sequence[TextEdit]]], manifests: Manifests
) -> dict[str, str]:
    """Return each file's text with all edits applied."""
    edits: dict[str, list[TextEdit]] = {}
    for file, text_edits in file_edits:
        edits.setdefault(file, []).extend(text_edits)
    before = {loaded.file: loaded.source_map.text.text for loaded in manifests.rulesets}
    return {
        file: apply_edits(before[file], text_edits)
        for file, text_edits in edits.items()
    }


def find_lost_comments(texts: Mapping[str, str], manifests: Manifests) -> Counter[str]:
    """Return the comments that changed texts, by file, no longer have."""
    old_texts = {
        loaded.file: loaded.source_map.text.text for loaded in manifests.rulesets
    }
    old = chain.from_iterable(_list_comments(old_texts[file]) for file in texts)
    new = chain.from_iterable(map(_list_comments, texts.values()))
    return Counter(old) - Counter(new)


def _list_comments(text: str) -> list[str]:
    """Return the comments of a valid text. A number sign in a value begins none."""
    outside: list[str] = []
    position = 0
    for document in read_syntax(text):
        for place in document.places:
            node = place.node
            outside.append(text[position : _start_of_value(text, node)])
            position = node.end
    outside.append(text[position:])
    return _COMMENT.findall(" ".join(outside))


def _start_of_value(text: str, node: SyntaxNode) -> int:
    """Return where a value begins: that of a block below its first line, which may have a
    comment.
    """
    if node.style not in ("|", ">"):
        return node.start
    line_end = text.find("\n", node.start, node.end)
    return node.end if line_end < 0 else line_end


def find_unintended_changes(
    before: DesiredState, after: DesiredState, live: Mapping[Address, LiveRule]
) -> list[Address]:
    """Return the addresses with an unintended change, at any time: only rules in `live` may change,
    and must equal the live rule.
    """
    if before.calendar is None and after.calendar is None:
        return sorted(_unintended_now(before, after, live))
    dated = {
        rule.address
        for state in (before, after)
        if state.calendar
        for rule in state.calendar.active
    }
    now = _unintended_now(before, after, live) - dated
    return sorted(now | unintended_in_time(before.calendar, after.calendar, live))


def _unintended_now(
    before: DesiredState, after: DesiredState, live: Mapping[Address, LiveRule]
) -> set[Address]:
    rules = {
        address: (live.get(address, rule).rule, rule.hold, rule.adopt)
        for address, rule in before.rules.items()
    }
    actual = {
        address: (rule.rule, rule.hold, rule.adopt)
        for address, rule in after.rules.items()
    }
    return {
        address
        for address in {*rules, *actual}
        if rules.get(address) != actual.get(address)
    }


def find_rule(
    desired: DesiredRule, manifests: Manifests
) -> tuple[LoadedDocument[RuleSet], int]:
    """Return a rule's document, and its index there. Raises NotRepresentableError."""
    source = desired.source
    for loaded in manifests.rulesets:
        has_name = loaded.document.name == desired.address.ruleset
        if has_name and source and loaded.file == source.file:
            for index in range(len(loaded.document.rules)):
                if loaded.source_of("rules", index) == source:
                    return loaded, index
    raise NotRepresentableError("it is not in a file")


def all_edits(
    drifted: Sequence[tuple[LiveRule, DesiredRule]],
    manifests: Manifests,
    tenant: TenantSnapshot,
) -> list[ManifestEdit]:
    """Return the edits of every rule.

    Raises RefusedError that lists all rules without a possible edit.
    """
    edits: list[ManifestEdit] = []
    refused: list[str] = []
    for live, desired in drifted:
        try:
            edits.append(build_manifest_edit(live, desired, manifests, tenant))
        except NotRepresentableError as error:
            place = f"{desired.address} ({desired.location})"
            refused.append(f"{place}: {sanitize(str(error))}")
    if refused:
        raise RefusedError(f"nothing was written: {'; '.join(refused)}")
    return edits


def prove_edits(
    edits: Sequence[ManifestEdit],
    manifests: tuple[Manifests, Manifests],
    desired: tuple[DesiredState, DesiredState],
) -> None:
    """Check that the edits change only these rules, in this environment alone.

    Raises RefusedError and CxrouteError.
    """
    live_rules = {edit.desired.address: edit.live for edit in edits}
    unintended = find_unintended_changes(*desired, live_rules)
    if unintended:
        raise CxrouteError(
            f"nothing was written: {unintended[0]} would not get the intended values"
        )

    touched: dict[str, list[Address]] = {}
    for name in manifests[0].environments:
        if name not in (desired[0].environment, SANDBOX):
            addresses = _changes_of_environment(name, *manifests)
            if addresses:
                touched[name] = addresses
    if touched:
        raise RefusedError(_refusal_text(edits, touched))


def _changes_of_environment(
    name: str, before: Manifests, after: Manifests
) -> list[Address]:
    """Return the addresses that change in an environment.

    Raises RefusedError if that is not known.
    """
    try:
        old, _ = desire_offline(before, before.environments[name].document)
        new, _ = desire_offline(after, after.environments[name].document)
    except ManifestError as error:
        raise RefusedError(
            f"nothing was written: the effect on {name} is unknown ({error})"
        ) from error
    return find_unintended_changes(old, new, {})


def _refusal_text(
    edits: Sequence[ManifestEdit], touched: Mapping[str, Sequence[Address]]
) -> str:
    """Return the message: the other environments that would get the values, and the text to add in
    either case.
    """
    names = " and ".join(touched)
    problem = f"{names} would get these values too. If this is intended, write"
    lines = [f"nothing was written: {problem}"]
    for edit in edits:
        address = edit.desired.address
        if any(address in addresses for addresses in touched.values()):
            lines.append(f"  {address}   {edit.desired.location}")
            lines += format_mapping(edit.changed_fields, 6)
            lines += [f"      (without {name})" for name in edit.removed_fields]
    lines.append(
        "in the manifest. Otherwise, add a separate rule for this environment there "
        "(`environments`)."
    )
    return "\n".join(lines)
