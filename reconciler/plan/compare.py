"""Desired x live -> changes. What is not ours has left before anything is compared (see `ownership.own`).

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
from reconciler.model.live import LiveRule, Marker, digest, of_another_tool, with_line_feeds
from reconciler.model.rule import Address, Condition, Opaque, Rule, Target, api_form
from reconciler.plan.ownership import Owned, cause, edited
from reconciler.plan.unknown_fields import differing, phrase
from reconciler.text.escape import join_first, sanitize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reconciler.desired.desired import Desired, DesiredRule

    _Part = Condition | Target | Opaque


def fields(before: Rule, after: Rule) -> tuple[FieldChange, ...]:
    """Return every field that differs, in the order in which a rule is read."""
    found = [
        FieldChange(name, getattr(before, name), getattr(after, name))
        for name in ("name", "description", "priority", "enabled")
        if getattr(before, name) != getattr(after, name) and not (name == "description" and _same_lines(before, after))
    ]
    if before.conditions != after.conditions:
        found.extend(_parts("conditions", before.conditions, after.conditions))
    if before.targets != after.targets:
        found.extend(_parts("targets", before.targets, after.targets))
    return tuple(found)


def _same_lines(before: Rule, after: Rule) -> bool:
    """Say whether descriptions are equal but for the kind of their line ends."""
    return with_line_feeds(before.description) == with_line_feeds(after.description)


def _parts(name: str, before: Sequence[_Part], after: Sequence[_Part]) -> Iterator[FieldChange]:
    """Pair the parts that differ, most alike first, and explain each pair; what has no partner came or went."""
    gone, come = _without_common(before, after), _without_common(after, before)
    for alike in (_subject, _kind):
        for old, new in _paired(gone, come, alike):
            yield from _leaves(f"{name}[{new}]", api_form(gone.pop(old)), api_form(come.pop(new)))
    for index, part in gone.items():
        yield FieldChange(f"{name}[{index}]", api_form(part), None)
    for index, part in come.items():
        yield FieldChange(f"{name}[{index}]", None, api_form(part))


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


def _paired(gone: dict[int, _Part], come: dict[int, _Part], alike: Callable[[_Part], object]) -> list[tuple[int, int]]:
    """Pair the places of what went and what came, in order, by what `alike` says of them."""
    waiting: dict[object, deque[int]] = defaultdict(deque)
    for index, part in come.items():
        waiting[alike(part)].append(index)
    return [(index, waiting[alike(part)].popleft()) for index, part in gone.items() if waiting.get(alike(part))]


def _subject(part: _Part) -> object:
    """Two parts speak of the same thing: the same attribute and operator, the same queue."""
    if isinstance(part, Condition):
        return (part.attribute, part.operator)
    return part.queue_id if isinstance(part, Target) else part


def _kind(part: _Part) -> object:
    """Two parts may stand for each other: conditions on one attribute, any two targets."""
    if isinstance(part, Condition):
        return part.attribute
    return Target if isinstance(part, Target) else part


def _leaves(path: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[FieldChange]:
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


_MOST_IDS = 8
_LONGEST_ID = 64


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs, what does not, and what stands in the way (findings of severity `error` are conflicts)."""

    changes: tuple[Change, ...]
    unchanged: tuple[Address, ...]
    findings: tuple[Finding, ...]


def compare(desired: Desired, owned: Owned) -> Comparison:
    """Return what would have to be done so that the managed live rules are the desired ones."""
    return _Comparing(desired, owned).result()


class _ConflictError(Exception):
    """A desired rule that cannot be made live, since something that is not ours stands in its way."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


class _Comparing:
    """One comparison under way: what is still to be matched, and what was found."""

    def __init__(self, desired: Desired, owned: Owned) -> None:
        self.desired, self.owned = desired, owned
        self.findings: list[Finding] = []
        self._unmanaged = _by_name(owned.unmanaged)
        self._clones = _by_name(live for live in owned.clones if _address(live) not in owned.undecided)
        self._unmanaged_by_id = {live.id: live for live in owned.unmanaged}
        self._surplus = {address: live for address, live in owned.managed.items() if address not in desired.rules}
        self._surplus_by_name = _by_name(self._surplus.values())
        self._adopted: dict[str, Address] = {}

    def result(self) -> Comparison:
        """Match every desired rule with a live one; what is left over is deleted."""
        changes: list[Change] = []
        unchanged: list[Address] = []
        for address, wanted in self.desired.rules.items():
            try:
                change = self._change(wanted, self.owned.managed.get(address))
            except _ConflictError as conflict:
                self.findings.append(conflict.finding)
                continue
            if change is None:
                unchanged.append(address)
            else:
                changes.append(change)
        changes.extend(
            Delete(address=address, live=live, cause="both" if edited(live) else "manifest")
            for address, live in self._surplus.items()
        )
        changes.extend(self._duplicates())
        self._report_leftovers()
        return Comparison(tuple(changes), tuple(unchanged), tuple(self.findings))

    def _duplicates(self) -> Iterator[Delete]:
        for live in self.owned.duplicates:
            yield Delete(
                address=_address(live), live=live, cause="duplicate", original=self.owned.managed.get(_address(live))
            )
        for live in self.owned.copies:
            if _address(live) not in self.owned.undecided:
                yield Delete(address=_address(live), live=live, cause="duplicate")

    def _change(self, wanted: DesiredRule, live: LiveRule | None) -> Change | None:
        """Return what makes one desired rule live, or None where it is. Raises _ConflictError."""
        if wanted.address in self.owned.undecided:
            self._refuse_undecided(wanted)
            return None
        if wanted.released:
            return self._release(wanted, live)
        moved = () if live is not None else self._surplus_by_name.get(wanted.rule.name, ())
        if len(moved) == 1 and _address(moved[0]) in self._surplus:
            live = self._surplus.pop(_address(moved[0]))
        if live is not None:
            change = self._update(wanted, live)
            if live.rule.name != wanted.rule.name or (change is not None and self.desired.names_unique):
                self._refuse_namesakes(wanted, besides=None)
            else:
                self._tell_namesakes(wanted, besides=None)
            return change
        adopted = self._adoptable(wanted)
        self._refuse_undecided_name(wanted)
        # By id one of several namesakes can be taken over: no rule gets a name that it has not got already.
        if adopted is None or adopted.rule.name != wanted.rule.name or self.desired.names_unique:
            self._refuse_namesakes(wanted, besides=adopted)
        else:
            self._tell_namesakes(wanted, besides=adopted)
        if adopted is None:
            return Create(wanted.address, wanted.rule, wanted.source)
        if mark := of_another_tool(adopted.rule.description):
            message = f'the live rule "{adopted.rule.name}" seems to be managed by another tool: {mark}'
            self._find("CXR309", "warning", message, wanted)
        return Adopt(
            address=wanted.address,
            live=adopted,
            after=wanted.rule,
            fields=fields(adopted.rule, wanted.rule),
            source=wanted.source,
        )

    def _update(self, wanted: DesiredRule, live: LiveRule) -> Update | None:
        address = _address(live)
        if live.rule == wanted.rule and address == wanted.address:
            return None if _as_written(live, wanted) else self._remark(wanted, live)
        found = fields(live.rule, wanted.rule)
        if address != wanted.address:
            found = (FieldChange("address", str(address), str(wanted.address)), *found)
        made_by = cause(live, wanted.marker_digest)
        if address != wanted.address and made_by == "drift":
            made_by = "both"
        return Update(
            address=wanted.address, live=live, after=wanted.rule, fields=found, source=wanted.source, cause=made_by
        )

    def _remark(self, wanted: DesiredRule, live: LiveRule) -> Update:
        """Nothing differs but what the marker says was last written."""
        change = FieldChange("marker", _marker(live).digest, wanted.marker_digest)
        return Update(
            address=wanted.address,
            live=live,
            after=wanted.rule,
            fields=(change,),
            source=wanted.source,
            cause="manifest",
        )

    def _release(self, wanted: DesiredRule, live: LiveRule | None) -> Update | None:
        """Return what gives a rule back as it was before it was adopted, or None where that is done."""
        if live is None or live.id != wanted.released:
            theirs = self._unmanaged_by_id.get(wanted.released)
            if theirs is not None and theirs.marker is None and theirs.rule == wanted.rule:
                return None
            raise self._conflict("CXR311", "the rule that is to be given back is not ours any more", wanted)
        if live.rule.name != wanted.rule.name:
            self._refuse_namesakes(wanted, besides=None)
        gone = FieldChange("marker", _marker(live).digest, None)
        found = (*fields(live.rule, wanted.rule), gone)
        return Update(
            address=wanted.address,
            live=live,
            after=wanted.rule,
            fields=found,
            source=wanted.source,
            cause="manifest",
            released=True,
        )

    def _refuse_undecided(self, wanted: DesiredRule) -> None:
        """Raise _ConflictError where one of several rules would have to be written, and nothing says which is ours."""
        rules = self.owned.undecided[wanted.address]
        if wanted.released or not all(live.rule == wanted.rule and _as_written(live, wanted) for live in rules):
            raise self._conflict("CXR312", _undecided(rules), wanted)

    def _refuse_undecided_name(self, wanted: DesiredRule) -> None:
        """Raise _ConflictError where one of such rules has the name of a new one: its key may have moved."""
        for rules in self.owned.undecided.values():
            if any(live.rule.name == wanted.rule.name for live in rules):
                raise self._conflict("CXR312", _undecided(rules), wanted)

    def _adoptable(self, wanted: DesiredRule) -> LiveRule | None:
        """Return the one unmanaged rule that the manifest takes over, if it is there. Raises _ConflictError."""
        if wanted.adopt is None:
            return None
        if isinstance(wanted.adopt, str):
            shown, found = f'named "{wanted.adopt}"', self._unmanaged.get(wanted.adopt, [])
        else:
            live = self._unmanaged_by_id.get(wanted.adopt.id)
            shown, found = f'with id "{wanted.adopt.id}"', [live] if live else []
        if not found:
            self._find("CXR305", "info", f"no unmanaged live rule {shown} to adopt, so the rule is created", wanted)
            return None
        if len(found) > 1:
            ids = ", ".join(live.id for live in found)
            raise self._conflict("CXR304", f"{len(found)} live rules {shown} could be adopted ({ids})", wanted)
        if found[0].marker is not None:
            raise self._conflict("CXR303", f"the live rule {shown} is managed by {found[0].marker.owner}", wanted)
        first = self._adopted.setdefault(found[0].id, wanted.address)
        if first != wanted.address:
            raise self._conflict("CXR304", f"the live rule {shown} is already adopted by {first}", wanted)
        return found[0]

    def _refuse_namesakes(self, wanted: DesiredRule, besides: LiveRule | None) -> None:
        """Raise _ConflictError where a rule that is not ours has the name that ours would get."""
        name = wanted.rule.name
        for copy in self._clones.get(name, ()):
            raise self._conflict("CXR302", f'its name is that of {copy.id}, {self._unlike(copy)}: "{name}"', wanted)
        others = [live for live in self._unmanaged.get(name, ()) if live is not besides]
        if not others:
            return
        owner = next((live.marker.owner for live in others if live.marker is not None), None)
        if owner is not None:
            raise self._conflict("CXR303", f'a live rule named "{name}" is managed by {owner}', wanted)
        if len(others) > 1:
            raise self._conflict("CXR304", f'{len(others)} unmanaged live rules are named "{name}"', wanted)
        raise self._conflict("CXR301", f'an unmanaged live rule is named "{name}"', wanted)

    def _tell_namesakes(self, wanted: DesiredRule, besides: LiveRule | None) -> None:
        """Warn where a rule that is not ours has the name that ours has already."""
        if any(live is not besides for live in self._unmanaged.get(wanted.rule.name, ())):
            message = f'an unmanaged live rule has the name of ours, "{wanted.rule.name}"; it is left alone'
            self._find("CXR308", "warning", message, wanted)

    def _report_leftovers(self) -> None:
        told = {finding.address for finding in self.findings if finding.code == "CXR312"}
        for address, rules in self.owned.undecided.items():
            if address not in told:
                hint = _WAYS_OUT["CXR312"]
                self.findings.append(
                    Finding(code="CXR312", severity="warning", message=_undecided(rules), address=address, hint=hint)
                )
        for live in self.owned.clones:
            if _address(live) not in self.owned.undecided or _is_copy(live):
                message = f'live rule "{live.rule.name}" ({live.id}) is {self._unlike(live)}; it is left alone'
                self.findings.append(
                    Finding(code="CXR302", severity="warning", message=message, address=_address(live))
                )
        for live in (*self.owned.managed.values(), *self.owned.unmanaged):
            if any(isinstance(part, Opaque) for part in (*live.rule.conditions, *live.rule.targets)):
                message = f'live rule "{live.rule.name}" ({live.id}) has a part that cxroute does not understand'
                self.findings.append(Finding(code="CXR306", severity="info", message=message))

    def _unlike(self, live: LiveRule) -> str:
        """Say what a rule with the marker of ours is, which is no duplicate of it."""
        address, ours = _address(live), self.owned.managed.get(_address(live))
        if edited(live) or ours is None:
            return f"an edited copy of {address}"
        return f"a copy of {address} ({ours.id}) with other values in {phrase(differing(ours, live))}"

    def _find(self, code: str, severity: Severity, message: str, wanted: DesiredRule) -> None:
        self.findings.append(
            Finding(code=code, severity=severity, message=message, source=wanted.source, address=wanted.address)
        )

    def _conflict(self, code: str, message: str, wanted: DesiredRule) -> _ConflictError:
        return _ConflictError(
            Finding(
                code=code,
                severity="error",
                message=message,
                source=wanted.source,
                address=wanted.address,
                hint=_WAYS_OUT[code],
            )
        )


_WAYS_OUT = {
    "CXR301": "take it over with `adopt:` in the manifest, or give ours another `name`",
    "CXR302": "delete the copy in CXone, or rename it there and take the last line out of its description",
    "CXR303": "it is never touched; give ours another `name`",
    "CXR304": "name one by id, `adopt: {id: ...}`, or give ours another `name`",
    "CXR311": "it is left as it is; look at it in CXone",
    "CXR312": "keep one in CXone; delete the others, or take the last line out of their descriptions",
}


def _undecided(rules: Sequence[LiveRule]) -> str:
    ids = join_first(rules, _MOST_IDS, lambda live: sanitize(live.id[:_LONGEST_ID]))
    return (
        f"{len(rules):,} live rules have the marker of {_address(rules[0])} ({ids}), somebody changed one of"
        " them, and no date says which is the original; none of them is written or deleted"
    )


def _as_written(live: LiveRule, wanted: DesiredRule) -> bool:
    """Equal rules need no new marker when it tells what was last written, be it in another order of values."""
    return _marker(live).digest in (wanted.marker_digest, digest(live.rule))


def _is_copy(live: LiveRule) -> bool:
    return _marker(live).copy


def _marker(live: LiveRule) -> Marker:
    assert live.marker is not None  # noqa: S101 - what is not ours has left before anything is compared
    return live.marker


def _address(live: LiveRule) -> Address:
    return _marker(live).address


def _by_name(live: Iterable[LiveRule]) -> Mapping[str, list[LiveRule]]:
    found: dict[str, list[LiveRule]] = defaultdict(list)
    for one in live:
        found[one.rule.name].append(one)
    return dict(found)
