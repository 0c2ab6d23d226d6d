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

from reconciler.desired.expand import Draft, WrongRuleError, split
from reconciler.export.names import NotWritableError, QueueNames, escaped
from reconciler.export.ruleset import ORDER, named, whole
from reconciler.export.sugar import field_of, further, understood, written_value
from reconciler.manifest.kinds.ruleset import RuleSet, rule_entry
from reconciler.manifest.yaml_patch import CannotPatchError, Edit, edited, node_at, patch
from reconciler.model.rule import Address, Condition, Opaque, Queue, Rule, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from reconciler.desired.desired import Desired, DesiredRule
    from reconciler.export.export import Tenant
    from reconciler.manifest.kinds.environment import Environment
    from reconciler.manifest.load import Manifests
    from reconciler.manifest.source_map import Loaded
    from reconciler.model.live import LiveRule

    Fields = dict[str, Any]
    Path = tuple[str | int, ...]


def placed_in(fields: Fields, name: str, value: object) -> Fields:
    """Return the fields with one more, where a person would write it, or with another value of one that is there."""
    if name in fields:
        return {**fields, name: value}
    before = [other for other in fields if other in ORDER and ORDER.index(other) < ORDER.index(name)]
    at = list(fields).index(before[-1]) + 1 if before and name != "key" else 0
    items = list(fields.items())
    return dict([*items[:at], (name, value), *items[at:]])


def replacing(item: Fields, operator: str, heir: Condition) -> Fields:
    """Return an item of `when` with another operator and value; its attribute stays as it is written."""
    return {
        (heir.operator if name == operator else name): (as_written(value, heir) if name == operator else value)
        for name, value in item.items()
    }


def as_written(old: object, heir: Condition) -> object:
    """Return a new value; a list keeps the order of what it had, and puts what is new behind."""
    new = written_value(heir)
    if not isinstance(old, list) or not isinstance(new, list) or heir.operator == "between":
        return new
    return [*(one for one in old if _among(one, new)), *(one for one in new if not _among(one, old))]


def _among(value: object, values: list[object]) -> bool:
    """Say whether a value is in a list; to Python true is 1."""
    return any(type(one) is type(value) and one == value for one in values)


def exchange(fields: Fields, old: str, new: str, value: object) -> None:
    """Put one field in the place of another, in place."""
    items = [(new, value) if name == old else (name, held) for name, held in fields.items()]
    fields.clear()
    fields.update(items)


def without(fields: Fields, paths: list[Path]) -> Fields:
    """Return the fields without what stands at some paths."""
    gone = {int(path[1]) for path in paths if path[0] == "when"}
    found = {name: value for name, value in fields.items() if (name,) not in paths}
    if gone:
        found["when"] = [item for at, item in enumerate(fields["when"]) if at not in gone]
    return found


def target_like(old: Fields | None, new: Fields) -> Fields:
    """Return a target in the words of the one in its place: a weight of 1 that goes without saying stays so."""
    if old is None:
        return new
    names = [*old, *(() if "weight" in old or new["weight"] == 1 else ("weight",))]
    return {name: new[name] for name in names}


_ROUNDS = 4


class Naming(NamedTuple):
    """What queues are called: `resolve` finds the one that is written, `name` says what to write for one."""

    resolve: Callable[[str], Queue]
    name: Callable[[str], str]


def kept(fields: Fields, key: str, live: Rule, context: tuple[Environment, RuleSet, Naming]) -> Fields:
    """Return the fields that make the live rule of the one that is written. Raises NotWritableError."""
    return _Keeping(key, live, *context).result(fields)


class _Keeping:
    """One rule on its way from what is written to what is live."""

    def __init__(self, key: str, live: Rule, environment: Environment, ruleset: RuleSet, naming: Naming) -> None:
        self.key, self.live = key, live
        self.environment, self.ruleset, self.naming = environment, ruleset, naming

    def result(self, fields: Fields) -> Fields:
        """Take the rule over part by part, until it says what is live: one part may bring another one with it."""
        found = dict(fields)
        try:
            for _ in range(_ROUNDS):
                found = self._described(self._plain(self._sent(self._keyed(self._asked(found)))))
                if self._draft(found).rule() == self.live:
                    return found
        except WrongRuleError as error:
            raise NotWritableError(str(error)) from None
        raise NotWritableError("what is live cannot be said by changing single values")

    def _draft(self, fields: Fields) -> Draft:
        try:
            return Draft(self.environment, self.naming.resolve, self.ruleset, rule_entry(fields))
        except ValueError as error:
            raise NotWritableError(f"its {error} cannot be written in a manifest") from None

    def _asked(self, fields: Fields) -> Fields:
        """Take over the conditions: each in the place of the one that it comes for, else in one of its own."""
        found = dict(fields)
        placed = self._draft(fields).conditions()
        written = [condition for condition, _ in placed]
        coming = [understood(one) for one in self.live.conditions if one not in written]
        drop = []
        for condition, path in placed:
            if condition in self.live.conditions:
                continue
            heir = _heir(condition, coming)
            if heir is not None and self._takes(found, path, heir):
                coming.remove(heir)
            elif path[0] == "minConfidence":
                found = placed_in(found, "minConfidence", None)
            else:
                drop.append(path)
        found = without(found, drop)
        for condition in coming:
            found = self._added(found, condition)
        return found

    def _takes(self, fields: Fields, path: Path, heir: Condition) -> bool:
        """Let a condition take the place of one that is gone, where that place can say it."""
        field = str(path[0])
        if field == "when":
            items = list(fields["when"])
            items[int(path[1])] = replacing(items[int(path[1])], str(path[2]), heir)
            fields["when"] = items
            return True
        sugar = field_of(heir, self.environment.attributes)
        if sugar == field and field not in fields:
            fields |= placed_in(fields, field, written_value(heir))
            return True
        if sugar == field or {sugar, field} == {"intent", "intents"}:
            exchange(fields, field, sugar, as_written(fields[field], heir))
            return True
        return False

    def _added(self, fields: Fields, condition: Condition) -> Fields:
        """Add a condition that has no place yet."""
        field = field_of(condition, self.environment.attributes)
        taken = {"intent", "intents"} & {*fields} if field in ("intent", "intents") else fields.get(field) is not None
        if field and not taken:
            return placed_in(fields, field, written_value(condition))
        return placed_in(fields, "when", [*fields.get("when", ()), further(condition)])

    def _sent(self, fields: Fields) -> Fields:
        """Take over the queues and their weights; queues that stay keep what they are called."""
        draft = self._draft(fields)
        placed = [
            (name, weight, draft.weight(weight, path), draft.queue(name, path).id)
            for name, weight, path in split(draft.entry)
        ]
        left = [_known(target) for target in self.live.targets]
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
        names = [{"queue": self.naming.name(one.queue_id), "weight": one.weight} for one in left]
        items = [one or (names.pop(0) if names else {}) for one in items]
        return self._as_targets(fields, [*(one for one in items if one), *names])

    def _as_targets(self, fields: Fields, items: list[Fields]) -> Fields:
        """Return the fields with these targets: as `queue` where that says it, and with it stood before."""
        found = dict(fields)
        if not items:
            raise NotWritableError("it has no target")
        if "queue" in found and len(items) == 1 and items[0]["weight"] == 1:
            found["queue"] = items[0]["queue"]
        elif "queue" in found:
            exchange(found, "queue", "targets", items)
        else:
            found["targets"] = [target_like(one, item) for one, item in zip_longest(found["targets"], items) if item]
        return found

    def _plain(self, fields: Fields) -> Fields:
        """Take over priority, and whether the rule takes part."""
        rule = self._draft(fields).rule()
        found = fields
        if rule.priority != self.live.priority:
            found = placed_in(found, "priority", whole(self.live.priority))
        return found if rule.enabled == self.live.enabled else placed_in(found, "enabled", self.live.enabled)

    def _keyed(self, fields: Fields) -> Fields:
        """Write the key where it is no longer the one that it would be by default."""
        return fields if _key(self._draft(fields)) == self.key else placed_in(fields, "key", self.key)

    def _described(self, fields: Fields) -> Fields:
        """Write name and description where what they are by default is no longer what they are."""
        found = fields
        if self._draft(found).name() != self.live.name:
            found = placed_in(found, "name", named(self.live))
        if self._draft(found).rule().description != self.live.description:
            found = placed_in(found, "description", escaped(self.live.description))
        return found


def _known(part: Target | Opaque) -> Target:
    if isinstance(part, Target):
        return part
    raise NotWritableError("it has a kind of target that cxroute does not understand")


def _heir(gone: Condition, coming: list[Condition]) -> Condition | None:
    """Return the new condition on the attribute of one that is gone, best with the same operator."""
    same = [one for one in coming if one.attribute == gone.attribute]
    return next((one for one in same if one.operator == gone.operator), same[0] if same else None)


def _key(draft: Draft) -> str:
    """Return a draft's key; nothing where it has none."""
    try:
        return draft.key()
    except WrongRuleError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A rule whose live values go into its manifest: where it stands, and its fields before and after."""

    live: LiveRule
    desired: DesiredRule
    file: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    edits: Sequence[Edit]

    @property
    def changed(self) -> dict[str, Any]:
        """Return the fields that differ, as they will be."""
        return {name: value for name, value in self.new.items() if name not in self.old or self.old[name] != value}

    @property
    def gone(self) -> list[str]:
        """Return the fields that are taken out."""
        return [name for name in self.old if name not in self.new]


def keeping(live: LiveRule, desired: DesiredRule, manifests: Manifests, tenant: Tenant) -> Kept:
    """Return what is to be changed so that the manifests say what is live. Raises NotWritableError."""
    loaded, index = _home(desired, manifests)
    origin = loaded.origin
    queues = QueueNames(tenant.catalogue, tenant.queues, ())
    naming = Naming(tenant.catalogue.resolve, queues.known)
    old = origin.value(("rules", index))
    new = kept(old, desired.address.key, live.rule, (tenant.environment, loaded.document, naming))
    text = origin.text.text
    try:
        edits = patch(text, node_at(text, origin.index(("rules", index))), old, new)
    except CannotPatchError as error:
        raise NotWritableError(str(error)) from None
    return Kept(live=live, desired=desired, file=loaded.file, old=old, new=new, edits=edits)


def texts(found: Iterable[Kept], manifests: Manifests) -> dict[str, str]:
    """Return each file's text with all edits made."""
    edits: dict[str, list[Edit]] = {}
    for one in found:
        edits.setdefault(one.file, []).extend(one.edits)
    before = {loaded.file: loaded.origin.text.text for loaded in manifests.rulesets}
    return {file: edited(before[file], more) for file, more in edits.items()}


def unlike(before: Desired, after: Desired, live: Mapping[Address, LiveRule]) -> list[Address]:
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


def _home(desired: DesiredRule, manifests: Manifests) -> tuple[Loaded[RuleSet], int]:
    """Return the document that a rule stands in, and its place there."""
    for loaded in manifests.rulesets:
        if loaded.document.name == desired.address.ruleset and desired.source and loaded.file == desired.source.file:
            for index in range(len(loaded.document.rules)):
                if loaded.at("rules", index) == desired.source:
                    return loaded, index
    raise NotWritableError("it stands in no file")
