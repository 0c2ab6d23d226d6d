"""A rule's fields as they are written x its live rule -> fields that mean the live rule, as little changed as can be.

What still means the same stays as it is written: aliases, variables, sugar, defaults. No value is known to anybody
but the rule: what goes without saying (key, name, description) is written where it would change with another field.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.draft import Draft, WrongRuleError, split
from reconciler.export.placing import as_written, exchange, placed_in, replacing, target_like, without
from reconciler.export.ruleset import named, whole
from reconciler.export.sugar import field_of, further, written_value
from reconciler.export.words import NotWritableError, escaped
from reconciler.manifest.ruleset import rule_entry
from reconciler.model import Condition, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.manifest.environment import Environment
    from reconciler.manifest.ruleset import RuleSet
    from reconciler.model import Opaque, Queue, Rule

    Fields = dict[str, Any]
    Path = tuple[str | int, ...]

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
        coming = [_understood(one) for one in self.live.conditions if one not in written]
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


def _understood(part: Condition | Opaque) -> Condition:
    if isinstance(part, Condition):
        return part
    raise NotWritableError("it has a condition that cxroute does not understand")


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
