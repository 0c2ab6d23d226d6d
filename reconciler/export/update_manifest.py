"""Managed rules that somebody changed in CXone -> edits of their manifests after which these say what is live.

A rule's fields with one changed: each stays in its place, and what is new stands where a person would write it.

A rule's fields as they are written x its live rule -> fields that mean the live rule, as little changed as can be.

What still means the same stays as it is written: aliases, variables, sugar, defaults. No value is known to anybody
but the rule: what goes without saying (key, name, description) is written where it would change with another field.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.desired.desired import desire_offline
from reconciler.desired.expand import InvalidRuleError, RuleExpander, list_targets
from reconciler.errors import CxrouteError, ManifestError, RefusedError
from reconciler.export.names import NotRepresentableError, QueueNames, escape_text
from reconciler.export.ruleset import FIELD_ORDER, integer_priority, manifest_name
from reconciler.export.sugar import find_sugar_field, manifest_value, understood, when_item
from reconciler.manifest.kinds.environment import SANDBOX
from reconciler.manifest.kinds.ruleset import RuleSet, rule_entry
from reconciler.manifest.yaml_patch import CannotPatchError, TextEdit, apply_edits, compute_edits, find_mapping
from reconciler.manifest.yaml_writer import format_mapping
from reconciler.model.rule import Address, Condition, Opaque, Queue, Rule, Target
from reconciler.text.escape import sanitize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reconciler.desired.desired import DesiredRule, DesiredState
    from reconciler.export.export import TenantSnapshot
    from reconciler.manifest.kinds.environment import Environment
    from reconciler.manifest.load import Manifests
    from reconciler.manifest.source_map import LoadedDocument
    from reconciler.model.live import LiveRule

    Fields = dict[str, Any]
    FieldPath = tuple[str | int, ...]


def with_field(fields: Fields, name: str, value: object) -> Fields:
    """Return the fields with one more, where a person would write it, or with another value of one that is there."""
    if name in fields:
        return {**fields, name: value}
    before = [other for other in fields if other in FIELD_ORDER and FIELD_ORDER.index(other) < FIELD_ORDER.index(name)]
    at = list(fields).index(before[-1]) + 1 if before and name != "key" else 0
    items = list(fields.items())
    return dict([*items[:at], (name, value), *items[at:]])


def replace_condition(item: Fields, operator: str, replacement: Condition) -> Fields:
    """Return an item of `when` with another operator and value; its attribute stays as it is written."""
    return {
        (replacement.operator if name == operator else name): (
            merge_value(value, replacement) if name == operator else value
        )
        for name, value in item.items()
    }


def merge_value(old: object, replacement: Condition) -> object:
    """Return a new value; a list keeps the order of what it had, and puts what is new behind."""
    new = manifest_value(replacement)
    if not isinstance(old, list) or not isinstance(new, list) or replacement.operator == "between":
        return new
    return [*(one for one in old if _contains(one, new)), *(one for one in new if not _contains(one, old))]


def _contains(value: object, values: list[object]) -> bool:
    """Say whether a value is in a list; to Python true is 1."""
    return any(type(one) is type(value) and one == value for one in values)


def replace_field(fields: Fields, old: str, new: str, value: object) -> None:
    """Put one field in the place of another, in place."""
    items = [(new, value) if name == old else (name, held) for name, held in fields.items()]
    fields.clear()
    fields.update(items)


def without_paths(fields: Fields, paths: list[FieldPath]) -> Fields:
    """Return the fields without what stands at some paths."""
    gone = {int(path[1]) for path in paths if path[0] == "when"}
    found = {name: value for name, value in fields.items() if (name,) not in paths}
    if gone:
        found["when"] = [item for at, item in enumerate(fields["when"]) if at not in gone]
    return found


def merge_target(old: Fields | None, new: Fields) -> Fields:
    """Return a target in the words of the one in its place: a weight of 1 that goes without saying stays so."""
    if old is None:
        return new
    names = [*old, *(() if "weight" in old or new["weight"] == 1 else ("weight",))]
    return {name: new[name] for name in names}


_MAX_PASSES = 4


class QueueNaming(NamedTuple):
    """What queues are called: `resolve` finds the one that is written, `name` says what to write for one."""

    resolve: Callable[[str], Queue]
    name: Callable[[str], str]


def update_fields(fields: Fields, key: str, live: Rule, context: tuple[Environment, RuleSet, QueueNaming]) -> Fields:
    """Return the fields that make the live rule of the one that is written. Raises NotRepresentableError."""
    return _RuleUpdater(key, live, *context).update(fields)


class _RuleUpdater:
    """One rule on its way from what is written to what is live."""

    def __init__(
        self, key: str, live: Rule, environment: Environment, ruleset: RuleSet, queue_naming: QueueNaming
    ) -> None:
        self.key, self.live = key, live
        self.environment, self.ruleset, self.queue_naming = environment, ruleset, queue_naming

    def update(self, fields: Fields) -> Fields:
        """Take the rule over part by part, until it says what is live: one part may bring another one with it."""
        found = dict(fields)
        try:
            for _ in range(_MAX_PASSES):
                found = self._update_texts(
                    self._update_priority(self._update_targets(self._update_key(self._update_conditions(found))))
                )
                if self._expander(found).rule() == self.live:
                    return found
        except InvalidRuleError as error:
            raise NotRepresentableError(str(error)) from None
        raise NotRepresentableError("what is live cannot be said by changing single values")

    def _expander(self, fields: Fields) -> RuleExpander:
        try:
            return RuleExpander(self.environment, self.queue_naming.resolve, self.ruleset, rule_entry(fields))
        except ValueError as error:
            raise NotRepresentableError(f"its {error} cannot be written in a manifest") from None

    def _update_conditions(self, fields: Fields) -> Fields:
        """Take over the conditions: each in the place of the one that it comes for, else in one of its own."""
        found = dict(fields)
        placed = self._expander(fields).conditions()
        written = [condition for condition, _ in placed]
        coming = [understood(one) for one in self.live.conditions if one not in written]
        drop = []
        for condition, path in placed:
            if condition in self.live.conditions:
                continue
            heir = _find_replacement(condition, coming)
            if heir is not None and self._replace_in_place(found, path, heir):
                coming.remove(heir)
            elif path[0] == "minConfidence":
                found = with_field(found, "minConfidence", None)
            else:
                drop.append(path)
        found = without_paths(found, drop)
        for condition in coming:
            found = self._add_condition(found, condition)
        return found

    def _replace_in_place(self, fields: Fields, path: FieldPath, heir: Condition) -> bool:
        """Let a condition take the place of one that is gone, where that place can say it."""
        field = str(path[0])
        if field == "when":
            items = list(fields["when"])
            items[int(path[1])] = replace_condition(items[int(path[1])], str(path[2]), heir)
            fields["when"] = items
            return True
        sugar = find_sugar_field(heir, self.environment.attributes)
        if sugar == field and field not in fields:
            fields |= with_field(fields, field, manifest_value(heir))
            return True
        if sugar == field or {sugar, field} == {"intent", "intents"}:
            replace_field(fields, field, sugar, merge_value(fields[field], heir))
            return True
        return False

    def _add_condition(self, fields: Fields, condition: Condition) -> Fields:
        field = find_sugar_field(condition, self.environment.attributes)
        taken = {"intent", "intents"} & {*fields} if field in ("intent", "intents") else fields.get(field) is not None
        if field and not taken:
            return with_field(fields, field, manifest_value(condition))
        return with_field(fields, "when", [*fields.get("when", ()), when_item(condition)])

    def _update_targets(self, fields: Fields) -> Fields:
        draft = self._expander(fields)
        placed = [
            (name, weight, draft.weight(weight, path), draft.queue(name, path).id)
            for name, weight, path in list_targets(draft.entry)
        ]
        left = [_require_target(target) for target in self.live.targets]
        shares = sorted((queue, weight) for _, _, weight, queue in placed)
        if shares == sorted((one.queue_id, one.weight) for one in left):
            return fields
        items: list[Fields] = []
        for name, written, weight, queue in placed:
            same = [one for one in left if one.queue_id == queue]
            target = next((one for one in same if one.weight == weight), same[0] if same else None)
            if target is not None:
                left.remove(target)
                items.append({"queue": name, "weight": written if target.weight == weight else target.weight})
            else:
                items.append({})
        names = [{"queue": self.queue_naming.name(one.queue_id), "weight": one.weight} for one in left]
        items = [one or (names.pop(0) if names else {}) for one in items]
        return self._write_targets(fields, [*(one for one in items if one), *names])

    def _write_targets(self, fields: Fields, items: list[Fields]) -> Fields:
        """Return the fields with these targets: as `queue` where that says it, and with it stood before."""
        found = dict(fields)
        if not items:
            raise NotRepresentableError("it has no target")
        if "queue" in found and len(items) == 1 and items[0]["weight"] == 1:
            found["queue"] = items[0]["queue"]
        elif "queue" in found:
            replace_field(found, "queue", "targets", items)
        else:
            found["targets"] = [merge_target(one, item) for one, item in zip_longest(found["targets"], items) if item]
        return found

    def _update_priority(self, fields: Fields) -> Fields:
        rule = self._expander(fields).rule()
        found = fields
        if rule.priority != self.live.priority:
            found = with_field(found, "priority", integer_priority(self.live.priority))
        return found if rule.enabled == self.live.enabled else with_field(found, "enabled", self.live.enabled)

    def _update_key(self, fields: Fields) -> Fields:
        return fields if _expander_key(self._expander(fields)) == self.key else with_field(fields, "key", self.key)

    def _update_texts(self, fields: Fields) -> Fields:
        found = fields
        if self._expander(found).name() != self.live.name:
            found = with_field(found, "name", manifest_name(self.live))
        if self._expander(found).rule().description != self.live.description:
            found = with_field(found, "description", escape_text(self.live.description))
        return found


def _require_target(part: Target | Opaque) -> Target:
    if isinstance(part, Target):
        return part
    raise NotRepresentableError("it has a kind of target that cxroute does not understand")


def _find_replacement(removed: Condition, candidates: list[Condition]) -> Condition | None:
    same = [one for one in candidates if one.attribute == removed.attribute]
    return next((one for one in same if one.operator == removed.operator), same[0] if same else None)


def _expander_key(expander: RuleExpander) -> str:
    try:
        return expander.key()
    except InvalidRuleError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEdit:
    """A rule whose live values go into its manifest: where it stands, and its fields before and after."""

    live: LiveRule
    desired: DesiredRule
    file: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    edits: Sequence[TextEdit]

    @property
    def changed_fields(self) -> dict[str, Any]:
        """Return the fields that differ, as they will be."""
        return {name: value for name, value in self.new.items() if name not in self.old or self.old[name] != value}

    @property
    def removed_fields(self) -> list[str]:
        """Return the fields that are taken out."""
        return [name for name in self.old if name not in self.new]


def build_manifest_edit(
    live: LiveRule, desired: DesiredRule, manifests: Manifests, tenant: TenantSnapshot
) -> ManifestEdit:
    """Return what is to be changed so that the manifests say what is live. Raises NotRepresentableError."""
    loaded, index = _find_rule(desired, manifests)
    origin = loaded.source_map
    queues = QueueNames(tenant.resolver, tenant.queues, ())
    naming = QueueNaming(tenant.resolver.resolve, queues.existing_name)
    old = origin.value(("rules", index))
    new = update_fields(old, desired.address.key, live.rule, (tenant.environment, loaded.document, naming))
    text = origin.text.text
    try:
        edits = compute_edits(text, find_mapping(text, origin.index(("rules", index))), old, new)
    except CannotPatchError as error:
        raise NotRepresentableError(str(error)) from None
    return ManifestEdit(live=live, desired=desired, file=loaded.file, old=old, new=new, edits=edits)


def edit_texts(manifest_edits: Iterable[ManifestEdit], manifests: Manifests) -> dict[str, str]:
    """Return each file's text with all edits made."""
    edits: dict[str, list[TextEdit]] = {}
    for one in manifest_edits:
        edits.setdefault(one.file, []).extend(one.edits)
    before = {loaded.file: loaded.source_map.text.text for loaded in manifests.rulesets}
    return {file: apply_edits(before[file], more) for file, more in edits.items()}


def find_unintended_changes(
    before: DesiredState, after: DesiredState, live: Mapping[Address, LiveRule]
) -> list[Address]:
    """Return the addresses that the edits change otherwise than meant: those in `live` are to be as they are live."""
    wanted = {address: one.rule for address, one in before.rules.items()}
    wanted |= {address: one.rule for address, one in live.items()}
    said = {address: one.rule for address, one in after.rules.items()}
    others = [
        address
        for address, one in before.rules.items()
        if address in after.rules and (one.hold, one.adopt) != (after.rules[address].hold, after.rules[address].adopt)
    ]
    return sorted({address for address in {*wanted, *said} if wanted.get(address) != said.get(address)} | {*others})


def _find_rule(desired: DesiredRule, manifests: Manifests) -> tuple[LoadedDocument[RuleSet], int]:
    for loaded in manifests.rulesets:
        if loaded.document.name == desired.address.ruleset and desired.source and loaded.file == desired.source.file:
            for index in range(len(loaded.document.rules)):
                if loaded.source_of("rules", index) == desired.source:
                    return loaded, index
    raise NotRepresentableError("it stands in no file")


def all_edits(
    drifted: Sequence[tuple[LiveRule, DesiredRule]], manifests: Manifests, tenant: TenantSnapshot
) -> list[ManifestEdit]:
    """Return the edits of every rule. Raises RefusedError with all rules for which there are none."""
    found, refused = [], []
    for rule, wanted in drifted:
        try:
            found.append(build_manifest_edit(rule, wanted, manifests, tenant))
        except NotRepresentableError as error:
            refused.append(f"{wanted.address} ({place_of(wanted)}): {sanitize(str(error))}")
    if refused:
        raise RefusedError(f"nothing was written: {'; '.join(refused)}")
    return found


def prove_edits(
    found: Sequence[ManifestEdit], manifests: tuple[Manifests, Manifests], desired: tuple[DesiredState, DesiredState]
) -> None:
    """Compare the manifests, and what they define, before and after the edits. Raises RefusedError and CxrouteError."""
    # Only these rules may change, in this environment alone.
    wrong = find_unintended_changes(*desired, {one.desired.address: one.live for one in found})
    if wrong:
        raise CxrouteError(f"nothing was written: {wrong[0]} would not say what it is to say")
    touched = dict(_elsewhere(*manifests, desired[0].environment))
    if touched:
        raise RefusedError(_by_hand(found, touched))


def _elsewhere(before: Manifests, after: Manifests, here: str) -> Iterator[tuple[str, list[Address]]]:
    for name in before.environments:
        if name in (here, SANDBOX):
            continue
        try:
            old, new = (desire_offline(one, one.environments[name].document)[0] for one in (before, after))
            wrong = find_unintended_changes(old, new, {})
        except ManifestError as error:
            raise RefusedError(f"nothing was written: what {name} would get is not known ({error})") from error
        if wrong:
            yield name, wrong


def _by_hand(found: Sequence[ManifestEdit], touched: Mapping[str, Sequence[Address]]) -> str:
    """Say which environments would get the values too, and what to write where that is meant, or where it is not."""
    lines = [f"nothing was written: {' and '.join(touched)} would get these values too. By hand, write"]
    for one in found:
        if any(one.desired.address in addresses for addresses in touched.values()):
            lines.append(f"  {one.desired.address}   {place_of(one.desired)}")
            lines += format_mapping(one.changed_fields, 6)
            lines += [f"      (without {name})" for name in one.removed_fields]
    lines.append("if that is meant, or give this environment a rule of its own there (`environments`).")
    return "\n".join(lines)


def place_of(desired: DesiredRule) -> str:
    """Return where a rule stands in its manifest."""
    return f"{desired.source.file}:{desired.source.line}" if desired.source else ""
