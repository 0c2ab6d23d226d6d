"""The nearest known name to an unknown one."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

from reconciler.core.text.escape import quote_name

_MAX_NAME_LENGTH: Final = 64
_MAX_CANDIDATES: Final = 300
_DISTANT: Final = 0.4  # of the likeness of two names, from 0 to 1


def suggest(name: str, candidates: Iterable[str]) -> str:
    """Return `did you mean "queue"?`, or an empty text.

    Bounded, because names come from outside.
    """
    near = find_nearest(name, candidates)
    return f"did you mean {quote_name(near)}?" if near not in {"", name} else ""


def find_nearest(name: str, candidates: Iterable[str]) -> str:
    """Return the candidate that is most like a name; an empty text if none is."""
    if len(name) > _MAX_NAME_LENGTH:
        return ""
    return _nearest(name, tuple(candidates)[:_MAX_CANDIDATES])


def suggest_one(name: str, candidates: Sequence[str]) -> str:
    """Return the same for one of few names: also with a distant likeness."""
    near = get_close_matches(
        name.casefold()[:_MAX_NAME_LENGTH],
        candidates,
        n=1,
        cutoff=_DISTANT,
    )
    return f"did you mean {quote_name(near[0])}?" if near else ""


@lru_cache(maxsize=1024)
def _nearest(name: str, candidates: tuple[str, ...]) -> str:
    short = (
        candidate
        for candidate in reversed(candidates)
        if len(candidate) <= _MAX_NAME_LENGTH
    )
    folded = {candidate.casefold(): candidate for candidate in short}
    close = get_close_matches(name.casefold(), folded, n=1)
    return folded[close[0]] if close else ""
