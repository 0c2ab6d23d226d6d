"""Terminal styles. A renderer gets one as an argument, and never detects the terminal itself."""

from collections.abc import Callable
from typing import Final

Style = Callable[[str, str], str]

_CODES: Final = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "dim": "2",
    "bold": "1",
}
SEVERITY_COLOURS: Final = {"error": "red", "warning": "yellow", "info": "dim"}


def ansi_style(colour: str, text: str) -> str:
    """Return the text in a colour of the terminal."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m"


def no_style(_colour: str, text: str) -> str:
    """Return the text unchanged."""
    return text
