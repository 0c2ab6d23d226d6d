"""Attributes that nobody is known to write (CXR207)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.model import Condition
from reconciler.words import counted, value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.behaviour.entry import Entry
    from reconciler.findings import Finding
    from reconciler.lint.view import View

_SHORTEST: Final = 5
"""Letters that a name must have for one of them to be a slip of the pen."""
_LONGEST: Final = 100
"""Letters of a name that is looked at without each of them; a longer one is no name that anybody typed."""


def about_attributes(view: View) -> Iterator[Finding]:
    """Yield a finding for each attribute that the context endpoint does not write, and no rule of others asks about."""
    names = view.attributes
    written = (names.intent, names.confidence, names.updated_at)
    if all(domain.attribute in written for domain in view.space.domains):
        return
    ours, theirs = _askers(view, written)
    rank = {name: place for place, name in enumerate(dict.fromkeys((*written, *sorted(theirs), *ours)))}
    similar = _similar(rank)
    for name, entries in ours.items():
        if name not in theirs:
            candidates = {one for part in _parts(name) for one in similar[part]}
            view.space.budget.spend(len(candidates))
            known = (one for one in candidates if one not in ours or one in theirs or len(ours[one]) > len(entries))
            near = min((one for one in known if slip(name, one)), key=rank.__getitem__, default=None)
            yield _finding(view, name, entries, near)


def _similar(names: Iterable[str]) -> dict[str, list[str]]:
    """Return names by what is left of them without one letter: names that are one letter apart have that in common."""
    similar: dict[str, list[str]] = {}
    for name in names:
        for part in _parts(name):
            similar.setdefault(part, []).append(name)
    return similar


def _parts(name: str) -> set[str]:
    letters = _letters(name)
    if len(letters) > _LONGEST:
        return {letters}
    return {letters, *(letters[:at] + letters[at + 1 :] for at in range(len(letters)))}


def _askers(view: View, written: Iterable[str]) -> tuple[dict[str, list[Entry]], set[str]]:
    """Return which rules of ours ask about each further attribute, and what all others ask about."""
    ours: dict[str, list[Entry]] = {}
    theirs: set[str] = set()
    known = set(written)
    for entry in view.ordered:
        asked = {part.attribute for part in entry.rule.conditions if isinstance(part, Condition)} - known
        if entry.address is None:
            theirs |= asked
        else:
            for name in sorted(asked):
                ours.setdefault(name, []).append(entry)
    return ours, theirs


def _finding(view: View, name: str, entries: list[Entry], near: str | None) -> Finding:
    first = entries[0]
    asked = f"attribute {value(name)} is asked about by {counted(len(entries), 'rule')}"
    if near is None:
        message = f"{asked}; the context endpoint does not write it"
        hint = "make sure that something else does: the phone menu, a script, the customer data"
        base = view.finding("CXR207", "info", message, first, hint)
    else:
        message = f"{asked}, but nothing is known to write it"
        base = view.finding("CXR207", "warning", message, first, f"did you mean {value(near)}?")
    return view.finding_at(base, first, name)


def slip(name: str, known: str) -> bool:
    """Say whether a name is most likely a misspelling of a known one: another case, or one letter off.

    Names that differ in a digit are two names.
    """
    if name == known or min(len(name), len(known)) < _SHORTEST:
        return False
    one, other = _letters(name), _letters(known)
    if one == other:
        return True
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, others = one[start:], other[start:]
    if any(letter.isdigit() for letter in rest[:1] + others[:1]):
        return False
    swapped = rest[1::-1] + rest[2:] == others
    return swapped or rest[1:] == others[1:] or rest[1:] == others or rest == others[1:]


def _letters(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
