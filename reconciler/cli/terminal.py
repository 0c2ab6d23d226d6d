"""What a stream's terminal can show: how wide its lines are, and whether it has colours."""

from __future__ import annotations

import os
from typing import IO, Final

_NARROWEST: Final = 60
_USUAL: Final = 80


def fitted(text: str, stream: IO[str]) -> str:
    """Return the text wrapped to the stream's terminal; where there is none, the text as it is."""
    if not stream.isatty():
        return text
    from reconciler.render.wrap import wrap_text  # noqa: PLC0415 - only a terminal needs it

    return wrap_text(text, width_of(stream))


def width_of(stream: IO[str]) -> int:
    """Return the width of the stream's terminal, 80 where there is none: by $COLUMNS, else as the system says."""
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isascii() and columns.isdecimal() else 0
    if not width:
        try:
            width = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError, AttributeError):
            width = 0
    return max(_NARROWEST, width or _USUAL)


def has_colours(stream: IO[str], setting: str) -> bool:
    """Say whether a stream is painted: as --color says, else $NO_COLOR, else $FORCE_COLOR, else on a terminal."""
    if setting != "auto":
        return setting == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"
