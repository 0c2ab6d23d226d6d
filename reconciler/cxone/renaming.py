"""Names one to one: what a tenant calls fields and words <-> what we call them (api-contract).

Whatever is read can be written back just as it was. A name of the tenant's that we use for something else, or that
begins with the mark, is kept behind the mark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARK: Final = "~"
_LONGEST: Final = 18
"""Digits of a number that stands for an id."""


class Renaming:
    """Names by ours and by the tenant's."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """`names` are the tenant's by ours; no two are equal, and none begins with the mark."""
        self._theirs = dict(names)
        self._ours = {theirs: ours for ours, theirs in names.items()}
        self.is_plain: Final = self._theirs == self._ours
        """Says that both call everything the same, so that there is nothing to do."""

    def name(self, theirs: str) -> str:
        """Return our name of what the tenant calls so."""
        found = self._ours.get(theirs)
        if found is not None:
            return found
        return f"{_MARK}{theirs}" if theirs in self._theirs or theirs.startswith(_MARK) else theirs

    def their_name(self, ours: str) -> str:
        """Return what the tenant calls it."""
        found = self._theirs.get(ours)
        return found if found is not None else ours.removeprefix(_MARK)

    def fields(self, form: Mapping[str, Any]) -> dict[str, Any]:
        """Return an object under our names."""
        return {self.name(name): value for name, value in form.items()}

    def their_fields(self, form: Mapping[str, Any]) -> dict[str, Any]:
        """Return an object under the tenant's names."""
        return {self.their_name(name): value for name, value in form.items()}

    def word(self, theirs: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return our word for a text; anything else stays as it is."""
        return self.name(theirs) if isinstance(theirs, str) else theirs

    def their_word(self, ours: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return the tenant's word."""
        return self.their_name(ours) if isinstance(ours, str) else ours


def id_of_number(theirs: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the text of an id that is a number; a text in its place is kept behind the mark."""
    if type(theirs) is int and len(text := str(theirs)) <= _LONGEST:
        return text
    return f"{_MARK}{theirs}" if isinstance(theirs, str) else theirs


def number_of_id(ours: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the number again."""
    if not isinstance(ours, str):
        return ours
    if ours.startswith(_MARK):
        return ours.removeprefix(_MARK)
    digits = ours.removeprefix("-")
    is_number = digits.isascii() and digits.isdigit() and len(ours) <= _LONGEST and str(int(ours)) == ours
    return int(ours) if is_number else ours
