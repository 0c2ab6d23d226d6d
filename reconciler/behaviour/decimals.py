"""Numbers that can be typed: between two others, or beyond one, with as few digits as may be."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from math import floor
from typing import Final

_MOST_DIGITS: Final = 18
_LONG: Final = 10**15


def between(low: float, high: float) -> int | float | None:
    """Return a number between two, with as few digits as may be; None where there is none that can be typed."""
    if not low < high:
        return None
    bottom, top = Fraction(low), Fraction(high)
    middle = (bottom + top) / 2
    try:
        for digits in range(1 if low >= 0 and high <= 1 else 0, _MOST_DIGITS):
            scale = 10**digits
            nearest = floor(middle * scale + Fraction(1, 2))
            for candidate in (nearest, nearest - 1, nearest + 1):
                found: int | float = candidate if digits == 0 else candidate / scale
                if low < found < high:
                    return found
        last = float(middle)
    except OverflowError:  # beyond the largest double there are whole numbers alone
        return None
    return last if low < last < high else None


def beyond(low: float | None, high: float | None) -> int | float:
    """Return a number above `low`, or else below `high`: the next whole one, or one of one digit and noughts."""
    if low is not None:
        return _above(low)
    return -_above(-high) if high is not None else 0


def _above(low: float) -> int | float:
    whole = floor(low) + 1
    if abs(whole) < _LONG:
        return whole
    if whole < 0:
        return 0
    size = len(str(whole))
    for digits in range(1, _MOST_DIGITS):
        unit = 10 ** (size - digits)
        with suppress(OverflowError):  # a whole number larger than any double
            for more in (1, 2):  # what is one more may be the same double
                found = float((whole // unit + more) * unit)
                if found > low:
                    return found
    return whole
