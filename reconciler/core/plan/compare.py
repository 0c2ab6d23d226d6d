"""Desired x live -> changes, and where two rules differ.

`==` decides whether rules differ; deepdiff explains where.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.manifest.kinds.ruleset import AdoptById
from reconciler.core.model.change import (
    Adopt,
    Cause,
    Change,
    Create,
    Delete,
    FieldChange,
    Update,
)
from reconciler.core.model.finding import Finding, Severity
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.live import (
    LiveRule,
    Marker,
    find_foreign_marker,
    marker_digest,
    normalize_line_ends,
)
from reconciler.core.model.rule import (
    Address,
    Condition,
    Opaque,
    Rule,
    Target,
    to_api_json,
)
from reconciler.core.plan.ownership import (
    LiveRulesByOwner,
    differing_fields,
    fields_phrase,
    find_cause,
    was_edited,
)
from reconciler.core.text.escape import join_first, sanitize

_Part = Condition | Target | Opaque


def diff_fields(before: Rule, after: Rule) -> tuple[FieldChange, ...]:
    """Return every field that differs, in the order in which a rule is read."""
    names = ["name", "description", "priority", "enabled"]
    description = normalize_line_ends(before.description)
    if description == normalize_line_ends(after.description):
        names.remove("description")
    changes = []
    for name in names:
        old = getattr(before, name)
        new = getattr(after, name)
        if old != new:
            changes.append(FieldChange(name, old, new))
    if before.conditions != after.conditions:
        changes.extend(_diff_parts("conditions", before.conditions, after.conditions))
    if before.targets != after.targets:
        changes.extend(_diff_parts("targets", before.targets, after.targets))
    return tuple(changes)


def _diff_parts(
    name: str, before: Sequence[_Part], after: Sequence[_Part]
) -> Iterator[FieldChange]:
    """Pair the parts that differ, most alike first, and explain each pair; other parts were removed
    or added.
    """
    removed = _without_common(before, after)
    added = _without_common(after, before)
    for step in (0, 1):
        for old, new in _alike(removed, added, step):
            old_form = to_api_json(removed.pop(old))
            new_form = to_api_json(added.pop(new))
            yield from _leaf_changes(f"{name}[{new}]", old_form, new_form)

    for index, part in removed.items():
        yield FieldChange(f"{name}[{index}]", to_api_json(part), None)
    for index, part in added.items():
        yield FieldChange(f"{name}[{index}]", None, to_api_json(part))


def _alike(
    removed: dict[int, _Part], added: dict[int, _Part], step: int
) -> list[tuple[int, int]]:
    """Return pairs of indices of a removed and an added part with one key, the first ones first."""
    waiting = group_pairs(
        (_pairing_keys(part)[step], index) for index, part in reversed(added.items())
    )
    pairs = []
    for index, part in removed.items():
        same = waiting.get(_pairing_keys(part)[step])
        if same:
            pairs.append((index, same.pop()))
    return pairs


def _without_common(
    parts: Sequence[_Part], others: Sequence[_Part]
) -> dict[int, _Part]:
    """Return the parts by index, without those that the others contain as often."""
    common = Counter(others)
    remaining = {}
    for index, part in enumerate(parts):
        if common[part] <= 0:
            remaining[index] = part
        common[part] -= 1
    return remaining


def _pairing_keys(part: _Part) -> tuple[object, object]:
    """Return an exact pairing key (attribute and operator, or queue), and a loose one (attribute,
    or any target).
    """
    if isinstance(part, Condition):
        return (part.attribute, part.operator), part.attribute
    if isinstance(part, Target):
        return part.queue_id, Target
    return part, part


def _leaf_changes(
    path: str, before: dict[str, Any], after: dict[str, Any]
) -> Iterator[FieldChange]:
    """Explain where two parts differ; a condition's value is one leaf, however long the list is."""
    if "value" in before and "value" in after and before["value"] != after["value"]:
        yield FieldChange(f"{path}.value", before["value"], after["value"])
        before = {**before, "value": None}
        after = {**after, "value": None}
    if before == after:
        return
    from deepdiff import DeepDiff  # noqa: PLC0415 - 0.1 s of import, only where something is left to explain

    for leaves in DeepDiff(before, after, view="tree").values():
        for leaf in leaves:
            (key,) = leaf.path(output_format="list")
            if before.get(key) != after.get(key):  # deepdiff tells 1 from 1.0
                yield FieldChange(f"{path}.{key}", before.get(key), after.get(key))


_MAX_IDS = 8
_MAX_ID_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Comparison:
    """The changes, the addresses of unchanged rules, and findings; those of severity `error` are
    conflicts.
    """

    changes: tuple[Change, ...]
    unchanged: tuple[Address, ...]
    findings: tuple[Finding, ...]


def compare_rules(desired: DesiredState, by_owner: LiveRulesByOwner) -> Comparison:
    """Return the changes that make the managed live rules the desired ones."""
    return _RuleComparer(desired, by_owner).compare()


class _ConflictError(Exception):
    """A desired rule that cannot be made live. Its argument is the finding."""


class _RuleComparer:
    def __init__(self, desired: DesiredState, by_owner: LiveRulesByOwner) -> None:
        self.desired = desired
        self.by_owner = by_owner
        self.findings: list[Finding] = []
        self._unmanaged = _group_by_name(by_owner.unmanaged)
        copies = (
            live
            for live in by_owner.edited_copies
            if _address(live) not in by_owner.ambiguous
        )
        self._edited_copies = _group_by_name(copies)
        self._unmanaged_by_id = {live.id: live for live in by_owner.unmanaged}
        self._surplus = {
            address: live
            for address, live in by_owner.managed.items()
            if address not in desired.rules
        }
        self._surplus_by_name = _group_by_name(self._surplus.values())
        self._adopted: dict[str, Address] = {}

    def compare(self) -> Comparison:
        changes: list[Change] = []
        unchanged: list[Address] = []
        for address, rule in self.desired.rules.items():
            try:
                change = self._match_rule(rule, self.by_owner.managed.get(address))
            except _ConflictError as conflict:
                self.findings += conflict.args
                continue
            if change is None:
                unchanged.append(address)
            else:
                changes.append(change)
        changes += self._deletes()
        findings = (*self.findings, *self._leftovers())
        return Comparison(tuple(changes), tuple(unchanged), findings)

    def _deletes(self) -> Iterator[Delete]:
        """Yield the changes that delete managed rules, duplicates and temporary copies."""
        for address, live in self._surplus.items():
            cause: Cause = "both" if was_edited(live) else "manifest"
            yield Delete(address=address, live=live, cause=cause)
        for live in self.by_owner.duplicates:
            address = _address(live)
            original = self.by_owner.managed.get(address)
            yield Delete(
                address=address, live=live, cause="duplicate", original=original
            )
        for live in self.by_owner.temporary_copies:
            address = _address(live)
            if address not in self.by_owner.ambiguous:
                yield Delete(address=address, live=live, cause="duplicate")

    def _match_rule(self, desired: DesiredRule, live: LiveRule | None) -> Change | None:
        """Return the change that makes one desired rule live, or None if it is live.

        Raises _ConflictError.
        """
        rules = self.by_owner.ambiguous.get(desired.address)
        if rules:
            is_current = all(
                candidate.rule == desired.rule
                and _has_current_marker(candidate, desired)
                for candidate in rules
            )
            if desired.unadopted_id or not is_current:
                raise _conflict("CXR312", _ambiguous_message(rules), desired)
            return None
        if desired.unadopted_id:
            return self._unadopt(desired, live)

        managed = live or self._take_moved(desired)
        if managed is not None:
            return self._update_managed(desired, managed)
        return self._create_or_adopt(desired)

    def _take_moved(self, desired: DesiredRule) -> LiveRule | None:
        """Return the managed rule with the name of a desired one that has moved from another
        address; it is not deleted then.
        """
        namesakes = self._surplus_by_name.get(desired.rule.name, ())
        if len(namesakes) != 1:
            return None
        return self._surplus.pop(_address(namesakes[0]), None)

    def _update_managed(self, desired: DesiredRule, live: LiveRule) -> Update | None:
        """Return the update of a managed rule, if it needs one. Raises _ConflictError."""
        update = self._update(desired, live)
        is_renamed = live.rule.name != desired.rule.name
        if is_renamed or (update is not None and self.desired.names_unique):
            self._refuse_namesakes(desired, None)
        else:
            self._warn_namesakes(desired, None)
        return update

    def _create_or_adopt(self, desired: DesiredRule) -> Create | Adopt:
        """Return the change that makes a rule live that is not managed.

        Raises _ConflictError.
        """
        rule = desired.rule
        adopted = self._find_adoptable(desired)
        # the rule may have moved from one of these addresses
        for rules in self.by_owner.ambiguous.values():
            if any(candidate.rule.name == rule.name for candidate in rules):
                raise _conflict("CXR312", _ambiguous_message(rules), desired)

        # With an id, one of several rules of a name can be adopted: no rule gets a new name.
        has_name = adopted is not None and adopted.rule.name == rule.name
        if has_name and not self.desired.names_unique:
            self._warn_namesakes(desired, adopted)
        else:
            self._refuse_namesakes(desired, adopted)
        if adopted is None:
            return Create(desired.address, rule, desired.source)

        mark = find_foreign_marker(adopted.rule.description)
        if mark:
            message = f'the live rule "{adopted.rule.name}" seems to be managed by another tool: {mark}'
            self.findings.append(_finding("CXR309", "warning", message, desired))
        return Adopt(
            address=desired.address,
            live=adopted,
            after=rule,
            fields=diff_fields(adopted.rule, rule),
            source=desired.source,
        )

    def _update(self, desired: DesiredRule, live: LiveRule) -> Update | None:
        address = _address(live)
        if live.rule == desired.rule and address == desired.address:
            if _has_current_marker(live, desired):
                return None
            change = FieldChange("marker", _marker(live).digest, desired.marker_digest)
            return _build_update(desired, live, (change,), "manifest")
        fields = diff_fields(live.rule, desired.rule)
        cause = find_cause(live, desired.marker_digest)
        if address != desired.address:
            move = FieldChange("address", str(address), str(desired.address))
            fields = (move, *fields)
            cause = "both" if cause == "drift" else cause
        return _build_update(desired, live, fields, cause)

    def _unadopt(self, desired: DesiredRule, live: LiveRule | None) -> Update | None:
        """Return the update that restores a rule to its state before it was adopted, or None if
        that is done.
        """
        if live is None or live.id != desired.unadopted_id:
            unmanaged = self._unmanaged_by_id.get(desired.unadopted_id)
            if (
                unmanaged is not None
                and unmanaged.marker is None
                and unmanaged.rule == desired.rule
            ):
                return None
            message = "the rule to give back is no longer managed by cxroute"
            raise _conflict("CXR311", message, desired)
        if live.rule.name != desired.rule.name:
            self._refuse_namesakes(desired, None)

        marker = FieldChange("marker", _marker(live).digest, None)
        fields = (*diff_fields(live.rule, desired.rule), marker)
        update = _build_update(desired, live, fields, "manifest")
        return replace(update, unadopts=True)

    def _find_adoptable(self, desired: DesiredRule) -> LiveRule | None:
        """Return the one unmanaged rule that the manifest adopts, if it exists.

        Raises _ConflictError.
        """
        if desired.adopt is None:
            return None
        name, candidates = self._adoption_candidates(desired.adopt)
        if not candidates:
            message = f"no unmanaged live rule {name} to adopt, so the rule is created"
            self.findings.append(_finding("CXR305", "info", message, desired))
            return None
        if len(candidates) > 1:
            ids = ", ".join(live.id for live in candidates)
            message = f"{len(candidates)} live rules {name} could be adopted ({ids})"
            raise _conflict("CXR304", message, desired)

        (live,) = candidates
        if live.marker is not None:
            message = f"the live rule {name} is managed by {live.marker.owner}"
            raise _conflict("CXR303", message, desired)
        first = self._adopted.setdefault(live.id, desired.address)
        if first != desired.address:
            message = f"the live rule {name} is already adopted by {first}"
            raise _conflict("CXR304", message, desired)
        return live

    def _adoption_candidates(
        self, adopt: str | AdoptById
    ) -> tuple[str, list[LiveRule]]:
        """Return the name or id of the rule to adopt, in words, and the unmanaged rules with it."""
        if isinstance(adopt, str):
            return f'named "{adopt}"', self._unmanaged.get(adopt, [])
        match = self._unmanaged_by_id.get(adopt.id)
        return f'with id "{adopt.id}"', [match] if match else []

    def _refuse_namesakes(self, desired: DesiredRule, adopted: LiveRule | None) -> None:
        name = desired.rule.name
        for copy in self._edited_copies.get(name, ()):
            message = (
                f'its name is that of {copy.id}, {self._describe_copy(copy)}: "{name}"'
            )
            raise _conflict("CXR302", message, desired)

        namesakes = [
            live for live in self._unmanaged.get(name, ()) if live is not adopted
        ]
        for live in namesakes:
            if live.marker is not None:
                owner = live.marker.owner
                message = f'a live rule named "{name}" is managed by {owner}'
                raise _conflict("CXR303", message, desired)
        if len(namesakes) > 1:
            message = f'{len(namesakes)} unmanaged live rules are named "{name}"'
            raise _conflict("CXR304", message, desired)
        if namesakes:
            message = f'an unmanaged live rule is named "{name}"'
            raise _conflict("CXR301", message, desired)

    def _warn_namesakes(self, desired: DesiredRule, adopted: LiveRule | None) -> None:
        name = desired.rule.name
        if any(live is not adopted for live in self._unmanaged.get(name, ())):
            message = f'an unmanaged live rule has the name of a managed rule, "{name}"; it is not changed'
            self.findings.append(_finding("CXR308", "warning", message, desired))

    def _leftovers(self) -> Iterator[Finding]:
        """Yield the findings about live rules that no change of a desired rule is about."""
        yield from self._ambiguous_rules()
        yield from self._copies_of_users()
        for live in (*self.by_owner.managed.values(), *self.by_owner.unmanaged):
            parts = (*live.rule.conditions, *live.rule.targets)
            if any(isinstance(part, Opaque) for part in parts):
                message = f'live rule "{live.rule.name}" ({live.id}) has a part that cxroute does not understand'
                yield Finding(code="CXR306", severity="info", message=message)

    def _ambiguous_rules(self) -> Iterator[Finding]:
        """Yield a warning for each ambiguous address that is not a conflict."""
        reported = {
            finding.address for finding in self.findings if finding.code == "CXR312"
        }
        for address, rules in self.by_owner.ambiguous.items():
            if address not in reported:
                yield Finding(
                    code="CXR312",
                    severity="warning",
                    message=_ambiguous_message(rules),
                    address=address,
                    hint=_CONFLICT_HINTS["CXR312"],
                )

    def _copies_of_users(self) -> Iterator[Finding]:
        """Yield a warning for each edited copy of a rule whose original is clear."""
        for live in self.by_owner.edited_copies:
            address = _address(live)
            if address not in self.by_owner.ambiguous or _marker(live).copy:
                description = self._describe_copy(live)
                message = f'live rule "{live.rule.name}" ({live.id}) is {description}; it is not changed'
                yield Finding(
                    code="CXR302", severity="warning", message=message, address=address
                )

    def _describe_copy(self, live: LiveRule) -> str:
        address = _address(live)
        managed = self.by_owner.managed.get(address)
        if was_edited(live) or managed is None:
            return f"an edited copy of {address}"
        fields = fields_phrase(differing_fields(managed, live))
        return f"a copy of {address} ({managed.id}) with other values in {fields}"


_CONFLICT_HINTS = {
    "CXR301": "adopt it with `adopt:` in the manifest, or give the rule in the manifest another `name`",
    "CXR302": "delete the copy in CXone, or rename it there and remove the last line of its description",
    "CXR303": "cxroute never changes it; give the rule in the manifest another `name`",
    "CXR304": "name one by id, `adopt: {id: ...}`, or give the rule in the manifest another `name`",
    "CXR311": "it is not changed; check it in CXone",
    "CXR312": "keep one in CXone; delete the others, or remove the last line of their descriptions",
}


def _ambiguous_message(rules: Sequence[LiveRule]) -> str:
    ids = join_first(rules, _MAX_IDS, lambda live: sanitize(live.id[:_MAX_ID_LENGTH]))
    count = f"{len(rules):,}"
    address = _address(rules[0])
    return (
        f"{count} live rules have the marker of {address} ({ids}): at least one was edited, and no "
        f"date shows which is the original; none of them is changed or deleted"
    )


def _finding(
    code: str, severity: Severity, message: str, desired: DesiredRule
) -> Finding:
    return Finding(
        code=code,
        severity=severity,
        message=message,
        source=desired.source,
        address=desired.address,
    )


def _conflict(code: str, message: str, desired: DesiredRule) -> _ConflictError:
    finding = _finding(code, "error", message, desired)
    return _ConflictError(replace(finding, hint=_CONFLICT_HINTS[code]))


def _has_current_marker(live: LiveRule, desired_rule: DesiredRule) -> bool:
    digest = _marker(live).digest
    if digest == desired_rule.marker_digest:
        return True
    return digest == marker_digest(live.rule)


def _marker(live: LiveRule) -> Marker:
    assert live.marker is not None  # noqa: S101 - unmanaged rules are removed before the comparison
    return live.marker


def _address(live: LiveRule) -> Address:
    return _marker(live).address


def _group_by_name(rules: Iterable[LiveRule]) -> Mapping[str, list[LiveRule]]:
    return group_pairs((live.rule.name, live) for live in rules)


def _build_update(
    desired: DesiredRule, live: LiveRule, fields: tuple[FieldChange, ...], cause: Cause
) -> Update:
    return Update(
        address=desired.address,
        live=live,
        after=desired.rule,
        fields=fields,
        source=desired.source,
        cause=cause,
    )
