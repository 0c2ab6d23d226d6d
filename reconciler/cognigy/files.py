"""Reads a bot from a folder of the Cognigy CLI (`agent/flows/FLOW/LOCALE/intents.json`), or from exported intents."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from reconciler.cognigy.bot import Bot, BotError, BotIntent, LookupCase, merge_bot, parse_cases, parse_intents
from reconciler.text.escape import join_first, sanitize
from reconciler.text.files import MIB, read_file
from reconciler.text.json_values import as_object
from reconciler.text.strict_json import STRICT_DECODER

_MAX_BYTES: Final = 32 * MIB  # of one file; intents have many example sentences
_MAX_FLOWS: Final = 2_000  # flows of a folder, times locales
_MAX_LISTED: Final = 20


class BotLocale(NamedTuple):
    """A locale of a project, by its name and the API's id."""

    name: str
    id: str = ""


def read_bot(path: Path, locale: str | None) -> Bot:
    """Return the bot of a folder or a file; `locale` selects one of a folder. Raises BotError."""
    if not path.is_dir():
        if locale is not None:
            raise BotError(f"--locale selects from a folder or the API, and {sanitize(str(path))} is a file")
        return merge_bot(parse_intents(_read_json(path, path), sanitize(str(path))), ())
    root = next((each for each in (path / "agent/flows", path / "flows", path) if each.is_dir()), path)
    intents: list[BotIntent] = []
    cases: list[LookupCase] = []
    for flow, folder in _locale_folders(root, locale):
        file, chart = folder / "intents.json", folder / "chart.json"
        intents += parse_intents(_read_json(file, root), sanitize(str(file)))
        if chart.exists():
            cases += parse_cases(_read_json(chart, root), flow, sanitize(str(chart)))
    if not intents:
        advice = "pull its flows with the Cognigy CLI, or name a folder with agent/flows/FLOW/LOCALE/intents.json"
        raise BotError(f"{sanitize(str(path))} has no intents; {advice}")
    return merge_bot(intents, cases)


def parse_locales(payload: object, place: str, name: str | None) -> list[BotLocale]:
    """Return the locales, the primary one first, or the one of that name. Raises BotError."""
    items = payload if isinstance(payload, list) else None
    if items is None or not all(isinstance(as_object(item).get("name"), str) for item in items):
        raise BotError(f"{place}: not a list of locales with names; pull the flows again with the Cognigy CLI")
    ordered = sorted(items, key=lambda item: (item.get("primary") is not True, item["name"]))
    return choose_locales([BotLocale(item["name"], str(item.get("_id") or "")) for item in ordered], name)


def choose_locales(locales: list[BotLocale], name: str | None) -> list[BotLocale]:
    """Return all locales, or the one of that name. Raises BotError."""
    chosen = [locale for locale in locales if name in (None, locale.name)]
    if name is not None and not chosen:
        names = join_first([locale.name for locale in locales], _MAX_LISTED, sanitize) or "none"
        raise BotError(f"no locale is named {sanitize(name)}; available: {names}")
    return chosen


def _locale_folders(root: Path, locale: str | None) -> Iterator[tuple[str, Path]]:
    """Yield the flows and their folders of each locale that have intents, by flow, the primary locale first."""
    folders: dict[str, dict[str, Path]] = {}
    for number, file in enumerate(root.glob("*/*/intents.json")):
        if number == _MAX_FLOWS:
            raise BotError(f"{sanitize(str(root))} has more than {_MAX_FLOWS:,} flows; check the path")
        folders.setdefault(file.parent.parent.name, {})[file.parent.name] = file.parent
    listed, names = root / "locales.json", sorted({name for places in folders.values() for name in places})
    locales = [BotLocale(name) for name in names]
    if listed.exists():
        locales = parse_locales(_read_json(listed, root), sanitize(str(listed)), None)
        locales += [BotLocale(name) for name in names if name not in {each.name for each in locales}]
    for flow in sorted(folders):
        for each in choose_locales(locales, locale):
            if each.name in folders[flow]:
                yield flow, folders[flow][each.name]


def _read_json(path: Path, root: Path) -> Any:  # noqa: ANN401 - any JSON
    place = sanitize(str(path))
    try:
        if path != root and not path.resolve().is_relative_to(root.resolve()):
            raise BotError(f"{place} is a link that leaves the folder; copy the file instead")
        return STRICT_DECODER.decode(read_file(path, _MAX_BYTES).decode("utf-8-sig"))
    except OSError as error:
        raise BotError(f"cannot read {place}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise BotError(f"{place} is not JSON in UTF-8; export it again") from None
