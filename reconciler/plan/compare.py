"""Desired x live -> changes. What is not ours has left before anything is compared (see `ownership.classify_by_owner`).

Where two rules differ, in the API's words: `priority`, `targets[0].queueId`.

`==` has already decided whether they differ. deepdiff explains where inside a condition or target (alone it errs: it
finds [1, 2, 2] equal to [2, 1] without order, and ignores keys that start with `__`).
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.model.change import Adopt, Change, Create, Delete, FieldChange, Update
from reconciler.model.finding import Finding, Severity
from reconciler.model.live import LiveRule, Marker, find_foreign_marker, marker_digest, normalize_line_ends
from reconciler.model.rule import Address, Condition, Opaque, Rule, Target, to_api_json
from reconciler.plan.ownership import LiveRulesByOwner, find_cause, was_edited
from reconciler.plan.unknown_fields import differing_fields, fields_phrase
from reconciler.text.escape import join_first, sanitize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reconciler.desired.desired import DesiredRule, DesiredState

    _Part = Condition | Target | Opaque


def diff_fields(before: Rule, after: Rule) -> tuple[FieldChange, ...]:
    """Return every field that differs, in the order in which a rule is read."""
    found = [
        FieldChange(name, getattr(before, name), getattr(after, name))
        for name in ("name", "description", "priority", "enabled")
        if getattr(before, name) != getattr(after, name) and not (name == "description" and _same_lines(before, after))
    ]
    if before.conditions != after.conditions:
        found.extend(_diff_parts("conditions", before.conditions, after.conditions))
    if before.targets != after.targets:
        found.extend(_diff_parts("targets", before.targets, after.targets))
    return tuple(found)


def _same_lines(before: Rule, after: Rule) -> bool:
    return normalize_line_ends(before.description) == normalize_line_ends(after.description)


def _diff_parts(name: str, before: Sequence[_Part], after: Sequence[_Part]) -> Iterator[FieldChange]:
    """Pair the parts that differ, most alike first, and explain each pair; what has no partner came or went."""
    gone, come = _without_common(before, after), _without_common(after, before)
    for alike in (_exact_pairing_key, _loose_pairing_key):
        for old, new in _pair_parts(gone, come, alike):
            yield from _leaf_changes(f"{name}[{new}]", to_api_json(gone.pop(old)), to_api_json(come.pop(new)))
    for index, part in gone.items():
        yield FieldChange(f"{name}[{index}]", to_api_json(part), None)
    for index, part in come.items():
        yield FieldChange(f"{name}[{index}]", None, to_api_json(part))


def _without_common(parts: Sequence[_Part], others: Sequence[_Part]) -> dict[int, _Part]:
    """Return the parts, by their places, that the others do not hold (as often)."""
    common = Counter(others)
    left = {}
    for index, part in enumerate(parts):
        if common[part] > 0:
            common[part] -= 1
        else:
            left[index] = part
    return left


def _pair_parts(
    removed: dict[int, _Part], added: dict[int, _Part], pairing_key: Callable[[_Part], object]
) -> list[tuple[int, int]]:
    waiting: dict[object, deque[int]] = defaultdict(deque)
    for index, part in added.items():
        waiting[pairing_key(part)].append(index)
    return [
        (index, waiting[pairing_key(part)].popleft())
        for index, part in removed.items()
        if waiting.get(pairing_key(part))
    ]


def _exact_pairing_key(part: _Part) -> object:
    """Two parts speak of the same thing: the same attribute and operator, the same queue."""
    if isinstance(part, Condition):
        return (part.attribute, part.operator)
    return part.queue_id if isinstance(part, Target) else part


def _loose_pairing_key(part: _Part) -> object:
    """Two parts may stand for each other: conditions on one attribute, any two targets."""
    if isinstance(part, Condition):
        return part.attribute
    return Target if isinstance(part, Target) else part


def _leaf_changes(path: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[FieldChange]:
    """Explain where two parts differ; a condition's value is one leaf, however long the list is."""
    if "value" in before and "value" in after and before["value"] != after["value"]:
        yield FieldChange(f"{path}.value", before["value"], after["value"])
        before, after = {**before, "value": None}, {**after, "value": None}
    if before == after:
        return
    from deepdiff import DeepDiff  # noqa: PLC0415 - 0.1 s of import, only where something is left to explain

    for leaves in DeepDiff(before, after, view="tree").values():
        for leaf in leaves:
            (key,) = leaf.path(output_format="list")
            yield FieldChange(f"{path}.{key}", before.get(key), after.get(key))


_MAX_IDS = 8
_MAX_ID_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs, what does not, and what stands in the way (findings of severity `error` are conflicts)."""

    changes: tuple[Change, ...]
    unchanged: tuple[Address, ...]
    findings: tuple[Finding, ...]


def compare_rules(desired: DesiredState, by_owner: LiveRulesByOwner) -> Comparison:
    """Return what would have to be done so that the managed live rules are the desired ones."""
    return _RuleComparer(desired, by_owner).compare()


class _ConflictError(Exception):
    """A desired rule that cannot be made live, since something that is not ours stands in its way."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


class _RuleComparer:
    """One comparison under way: what is still to be matched, and what was found."""

    def __init__(self, desired: DesiredState, by_owner: LiveRulesByOwner) -> None:
        self.desired, self.by_owner = desired, by_owner
        self.findings: list[Finding] = []
        self._unmanaged = _group_by_name(by_owner.unmanaged)
        self._edited_copies = _group_by_name(
            live for live in by_owner.edited_copies if _address(live) not in by_owner.ambiguous
        )
        self._unmanaged_by_id = {live.id: live for live in by_owner.unmanaged}
        self._surplus = {address: live for address, live in by_owner.managed.items() if address not in desired.rules}
        self._surplus_by_name = _group_by_name(self._surplus.values())
        self._adopted: dict[str, Address] = {}

    def compare(self) -> Comparison:
        changes: list[Change] = []
        unchanged: list[Address] = []
        for address, wanted in self.desired.rules.items():
            try:
                change = self._match_rule(wanted, self.by_owner.managed.get(address))
            except _ConflictError as conflict:
                self.findings.append(conflict.finding)
                continue
            if change is None:
                unchanged.append(address)
            else:
                changes.append(change)
        changes.extend(
            Delete(address=address, live=live, cause="both" if was_edited(live) else "manifest")
            for address, live in self._surplus.items()
        )
        changes.extend(self._delete_duplicates())
        self._report_leftovers()
        return Comparison(tuple(changes), tuple(unchanged), tuple(self.findings))

    def _delete_duplicates(self) -> Iterator[Delete]:
        for live in self.by_owner.duplicates:
            yield Delete(
                address=_address(live), live=live, cause="duplicate", original=self.by_owner.managed.get(_address(live))
            )
        for live in self.by_owner.temporary_copies:
            if _address(live) not in self.by_owner.ambiguous:
                yield Delete(address=_address(live), live=live, cause="duplicate")

    def _match_rule(self, desired_rule: DesiredRule, live: LiveRule | None) -> Change | None:
        """Return what makes one desired rule live, or None where it is. Raises _ConflictError."""
        if desired_rule.address in self.by_owner.ambiguous:
            self._refuse_ambiguous(desired_rule)
            return None
        if desired_rule.unadopted_id:
            return self._unadopt(desired_rule, live)
        moved = () if live is not None else self._surplus_by_name.get(desired_rule.rule.name, ())
        if len(moved) == 1 and _address(moved[0]) in self._surplus:
            live = self._surplus.pop(_address(moved[0]))
        if live is not None:
            change = self._update(desired_rule, live)
            if live.rule.name != desired_rule.rule.name or (change is not None and self.desired.names_unique):
                self._refuse_namesakes(desired_rule, adopted=None)
            else:
                self._warn_namesakes(desired_rule, adopted=None)
            return change
        adopted = self._find_adoptable(desired_rule)
        self._refuse_ambiguous_name(desired_rule)
        # By id one of several namesakes can be taken over: no rule gets a name that it has not got already.
        if adopted is None or adopted.rule.name != desired_rule.rule.name or self.desired.names_unique:
            self._refuse_namesakes(desired_rule, adopted=adopted)
        else:
            self._warn_namesakes(desired_rule, adopted=adopted)
        if adopted is None:
            return Create(desired_rule.address, desired_rule.rule, desired_rule.source)
        if mark := find_foreign_marker(adopted.rule.description):
            message = f'the live rule "{adopted.rule.name}" seems to be managed by another tool: {mark}'
            self._add_finding("CXR309", "warning", message, desired_rule)
        return Adopt(
            address=desired_rule.address,
            live=adopted,
            after=desired_rule.rule,
            fields=diff_fields(adopted.rule, desired_rule.rule),
            source=desired_rule.source,
        )

    def _update(self, desired_rule: DesiredRule, live: LiveRule) -> Update | None:
        address = _address(live)
        if live.rule == desired_rule.rule and address == desired_rule.address:
            return None if _has_current_marker(live, desired_rule) else self._update_marker(desired_rule, live)
        found = diff_fields(live.rule, desired_rule.rule)
        if address != desired_rule.address:
            found = (FieldChange("address", str(address), str(desired_rule.address)), *found)
        made_by = find_cause(live, desired_rule.marker_digest)
        if address != desired_rule.address and made_by == "drift":
            made_by = "both"
        return Update(
            address=desired_rule.address,
            live=live,
            after=desired_rule.rule,
            fields=found,
            source=desired_rule.source,
            cause=made_by,
        )

    def _update_marker(self, desired_rule: DesiredRule, live: LiveRule) -> Update:
        change = FieldChange("marker", _marker(live).digest, desired_rule.marker_digest)
        return Update(
            address=desired_rule.address,
            live=live,
            after=desired_rule.rule,
            fields=(change,),
            source=desired_rule.source,
            cause="manifest",
        )

    def _unadopt(self, desired_rule: DesiredRule, live: LiveRule | None) -> Update | None:
        if live is None or live.id != desired_rule.unadopted_id:
            theirs = self._unmanaged_by_id.get(desired_rule.unadopted_id)
            if theirs is not None and theirs.marker is None and theirs.rule == desired_rule.rule:
                return None
            raise self._build_conflict("CXR311", "the rule that is to be given back is not ours any more", desired_rule)
        if live.rule.name != desired_rule.rule.name:
            self._refuse_namesakes(desired_rule, adopted=None)
        gone = FieldChange("marker", _marker(live).digest, None)
        found = (*diff_fields(live.rule, desired_rule.rule), gone)
        return Update(
            address=desired_rule.address,
            live=live,
            after=desired_rule.rule,
            fields=found,
            source=desired_rule.source,
            cause="manifest",
            unadopts=True,
        )

    def _refuse_ambiguous(self, desired_rule: DesiredRule) -> None:
        """Raise _ConflictError where one of several rules would have to be written, and nothing says which is ours."""
        rules = self.by_owner.ambiguous[desired_rule.address]
        if desired_rule.unadopted_id or not all(
            live.rule == desired_rule.rule and _has_current_marker(live, desired_rule) for live in rules
        ):
            raise self._build_conflict("CXR312", _ambiguous_message(rules), desired_rule)

    def _refuse_ambiguous_name(self, desired_rule: DesiredRule) -> None:
        """Raise _ConflictError where one of such rules has the name of a new one: its key may have moved."""
        for rules in self.by_owner.ambiguous.values():
            if any(live.rule.name == desired_rule.rule.name for live in rules):
                raise self._build_conflict("CXR312", _ambiguous_message(rules), desired_rule)

    def _find_adoptable(self, desired_rule: DesiredRule) -> LiveRule | None:
        """Return the one unmanaged rule that the manifest takes over, if it is there. Raises _ConflictError."""
        if desired_rule.adopt is None:
            return None
        if isinstance(desired_rule.adopt, str):
            shown, found = f'named "{desired_rule.adopt}"', self._unmanaged.get(desired_rule.adopt, [])
        else:
            live = self._unmanaged_by_id.get(desired_rule.adopt.id)
            shown, found = f'with id "{desired_rule.adopt.id}"', [live] if live else []
        if not found:
            self._add_finding(
                "CXR305", "info", f"no unmanaged live rule {shown} to adopt, so the rule is created", desired_rule
            )
            return None
        if len(found) > 1:
            ids = ", ".join(live.id for live in found)
            raise self._build_conflict(
                "CXR304", f"{len(found)} live rules {shown} could be adopted ({ids})", desired_rule
            )
        if found[0].marker is not None:
            raise self._build_conflict(
                "CXR303", f"the live rule {shown} is managed by {found[0].marker.owner}", desired_rule
            )
        first = self._adopted.setdefault(found[0].id, desired_rule.address)
        if first != desired_rule.address:
            raise self._build_conflict("CXR304", f"the live rule {shown} is already adopted by {first}", desired_rule)
        return found[0]

    def _refuse_namesakes(self, desired_rule: DesiredRule, adopted: LiveRule | None) -> None:
        name = desired_rule.rule.name
        for copy in self._edited_copies.get(name, ()):
            raise self._build_conflict(
                "CXR302", f'its name is that of {copy.id}, {self._describe_copy(copy)}: "{name}"', desired_rule
            )
        others = [live for live in self._unmanaged.get(name, ()) if live is not adopted]
        if not others:
            return
        owner = next((live.marker.owner for live in others if live.marker is not None), None)
        if owner is not None:
            raise self._build_conflict("CXR303", f'a live rule named "{name}" is managed by {owner}', desired_rule)
        if len(others) > 1:
            raise self._build_conflict("CXR304", f'{len(others)} unmanaged live rules are named "{name}"', desired_rule)
        raise self._build_conflict("CXR301", f'an unmanaged live rule is named "{name}"', desired_rule)

    def _warn_namesakes(self, desired_rule: DesiredRule, adopted: LiveRule | None) -> None:
        if any(live is not adopted for live in self._unmanaged.get(desired_rule.rule.name, ())):
            message = f'an unmanaged live rule has the name of ours, "{desired_rule.rule.name}"; it is left alone'
            self._add_finding("CXR308", "warning", message, desired_rule)

    def _report_leftovers(self) -> None:
        told = {finding.address for finding in self.findings if finding.code == "CXR312"}
        for address, rules in self.by_owner.ambiguous.items():
            if address not in told:
                hint = _CONFLICT_HINTS["CXR312"]
                self.findings.append(
                    Finding(
                        code="CXR312", severity="warning", message=_ambiguous_message(rules), address=address, hint=hint
                    )
                )
        for live in self.by_owner.edited_copies:
            if _address(live) not in self.by_owner.ambiguous or _is_copy(live):
                message = f'live rule "{live.rule.name}" ({live.id}) is {self._describe_copy(live)}; it is left alone'
                self.findings.append(
                    Finding(code="CXR302", severity="warning", message=message, address=_address(live))
                )
        for live in (*self.by_owner.managed.values(), *self.by_owner.unmanaged):
            if any(isinstance(part, Opaque) for part in (*live.rule.conditions, *live.rule.targets)):
                message = f'live rule "{live.rule.name}" ({live.id}) has a part that cxroute does not understand'
                self.findings.append(Finding(code="CXR306", severity="info", message=message))

    def _describe_copy(self, live: LiveRule) -> str:
        """Say what a rule with the marker of ours is, which is no duplicate of it."""
        address, ours = _address(live), self.by_owner.managed.get(_address(live))
        if was_edited(live) or ours is None:
            return f"an edited copy of {address}"
        return f"a copy of {address} ({ours.id}) with other values in {fields_phrase(differing_fields(ours, live))}"

    def _add_finding(self, code: str, severity: Severity, message: str, desired_rule: DesiredRule) -> None:
        self.findings.append(
            Finding(
                code=code, severity=severity, message=message, source=desired_rule.source, address=desired_rule.address
            )
        )

    def _build_conflict(self, code: str, message: str, desired_rule: DesiredRule) -> _ConflictError:
        return _ConflictError(
            Finding(
                code=code,
                severity="error",
                message=message,
                source=desired_rule.source,
                address=desired_rule.address,
                hint=_CONFLICT_HINTS[code],
            )
        )


_CONFLICT_HINTS = {
    "CXR301": "take it over with `adopt:` in the manifest, or give ours another `name`",
    "CXR302": "delete the copy in CXone, or rename it there and take the last line out of its description",
    "CXR303": "it is never touched; give ours another `name`",
    "CXR304": "name one by id, `adopt: {id: ...}`, or give ours another `name`",
    "CXR311": "it is left as it is; look at it in CXone",
    "CXR312": "keep one in CXone; delete the others, or take the last line out of their descriptions",
}


def _ambiguous_message(rules: Sequence[LiveRule]) -> str:
    ids = join_first(rules, _MAX_IDS, lambda live: sanitize(live.id[:_MAX_ID_LENGTH]))
    return (
        f"{len(rules):,} live rules have the marker of {_address(rules[0])} ({ids}), somebody changed one of"
        " them, and no date says which is the original; none of them is written or deleted"
    )


def _has_current_marker(live: LiveRule, desired_rule: DesiredRule) -> bool:
    return _marker(live).digest in (desired_rule.marker_digest, marker_digest(live.rule))


def _is_copy(live: LiveRule) -> bool:
    return _marker(live).copy


def _marker(live: LiveRule) -> Marker:
    assert live.marker is not None  # noqa: S101 - what is not ours has left before anything is compared
    return live.marker


def _address(live: LiveRule) -> Address:
    return _marker(live).address


def _group_by_name(live: Iterable[LiveRule]) -> Mapping[str, list[LiveRule]]:
    found: dict[str, list[LiveRule]] = defaultdict(list)
    for one in live:
        found[one.rule.name].append(one)
    return dict(found)
