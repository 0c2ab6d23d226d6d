"""Text from outside in the Markdown that this room writes: always a code span, in which nothing has a meaning."""

from __future__ import annotations

import re
from typing import Final

from reconciler.words import plain

LONGEST: Final = 300


def code(text: str) -> str:
    """Return text as one code span on one line: no mention, no link, no HTML, whatever stands in it."""
    shown = " ".join(plain(text).split())[:LONGEST]
    if not shown:
        return "(nothing)"
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    edge = " " if "`" in (shown[0], shown[-1]) else ""
    return f"{fence}{edge}{shown}{edge}{fence}"


def link_free(text: str) -> str:
    """Return several lines from outside, each a code span of its own."""
    return "<br>".join(code(line) for line in text.splitlines() if line.strip()) or code("")
