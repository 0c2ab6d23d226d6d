"""Where two rules differ, in the API's words: `priority`, `targets[0].queueId`.

`==` has already decided whether they differ. deepdiff explains where inside a condition or target (alone it errs: it
finds [1, 2, 2] equal to [2, 1] without order, and ignores keys that start with `__`).
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, Any

from reconciler.canonical import api_form
from reconciler.change import FieldChange
from reconciler.marker import with_line_feeds
from reconciler.model import Condition, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reconciler.model import Opaque, Rule

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
