"""A conversation on the command line: --intent, --confidence and --attr, read and written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from reconciler.errors import UsageError
from reconciler.model.rule import JSON_NUMBER, parse_number

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from reconciler.manifest.kinds.environment import Attributes


_LONGEST: Final = 60

HELP: Final = (
    "A value of --attr is a number where it is one in JSON (n=1, n=0.5), and text otherwise; n='\"1\"', in quotes of\n"
    "JSON, is the text 1. true and false are the texts that rules compare with. An attribute that is not said is\n"
    "missing."
)


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say a conversation."""
    parser.add_argument("--intent", metavar="X", help="what the bot detected")
    parser.add_argument("--confidence", metavar="N", help="how sure it was, from 0 to 1")
    parser.add_argument(
        "--attr", action="append", metavar="K=V", default=[], help="a further attribute; may be repeated"
    )


def conversation(options: argparse.Namespace, names: Attributes) -> dict[str, str | int | float]:
    """Return the attributes by the names that rules use. Raises UsageError."""
    given: dict[str, str | int | float] = {}
    if options.intent is not None:
        given[names.intent] = options.intent
    if options.confidence is not None:
        given[names.confidence] = _confidence(options.confidence)
    for said in options.attr:
        name, equals, written = said.partition("=")
        if not name or not equals:
            raise UsageError(f"--attr {_shown(said)}: must be NAME=VALUE")
        if name in given:
            raise UsageError(f"--attr {_shown(said)}: {_shown(name)} is said twice")
        given[name] = _value(written)
    return given


def arguments(given: Mapping[str, str | int | float], names: Attributes) -> list[str]:
    """Return the words that say the conversation; none where the command line cannot say it."""
    if any("=" in name or not name for name in given):
        return []
    return [word for name, item in given.items() for word in _said(name, item, names)]


def _said(name: str, item: str | float, names: Attributes) -> Iterator[str]:
    # `--intent=-x` and not two words: an intent may begin with a dash.
    if name == names.intent and isinstance(item, str):
        yield from ([f"--intent={item}"] if item.startswith("-") else ["--intent", item])
    elif name == names.confidence and not isinstance(item, str) and 0 <= item <= 1:
        yield from ("--confidence", json.dumps(item))
    else:
        quoted = not isinstance(item, str) or item.startswith('"') or JSON_NUMBER.fullmatch(item)
        said = f"{name}={json.dumps(item) if quoted else item}"
        yield from ([f"--attr={said}"] if said.startswith("-") else ["--attr", said])


def _confidence(written: str) -> int | float:
    try:
        found = parse_number(written)
    except ValueError:
        found = -1
    if not 0 <= found <= 1:
        raise UsageError(f"--confidence {_shown(written)}: must be a number from 0 to 1")
    return found


def _value(written: str) -> str | int | float:
    if JSON_NUMBER.fullmatch(written):
        try:
            return parse_number(written)
        except ValueError:
            raise UsageError(f"--attr: {_shown(written)} is too large a number; in quotes of JSON it is text") from None
    if not written.startswith('"'):
        return written
    try:
        return str(json.loads(written))
    except ValueError:
        raise UsageError(f"--attr: {_shown(written)} begins with a quote and is no text of JSON") from None


def _shown(text: str) -> str:
    """Return text of the command line, fit to print."""
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")
