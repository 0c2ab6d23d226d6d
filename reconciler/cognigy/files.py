"""Reads a bot from a folder of the Cognigy CLI (`agent/flows/FLOW/LOCALE/intents.json`), or from exported intents."""

from itertools import islice
from pathlib import Path
from typing import Any, Final

from reconciler.cognigy.bot import (
    Bot,
    BotError,
    BotIntent,
    LookupCase,
    merge_bot,
    parse_cases,
    parse_intents,
    require_named,
)
from reconciler.text.escape import MAX_ITEMS, join_first, sanitize
from reconciler.text.files import MIB, read_file
from reconciler.text.strict_json import STRICT_DECODER

_MAX_BYTES: Final = 32 * MIB  # of one file; intents have many example sentences
_MAX_FILES: Final = 2_000  # flows of a folder, times locales


def read_bot(path: Path, locale: str | None) -> Bot:
    """Return the bot of a folder or a file; `locale` selects one of a folder. Raises BotError."""
    place = sanitize(str(path))
    if not path.is_dir():
        if locale is not None:
            raise BotError(f"--locale selects from a folder or the API, and {place} is not a folder")
        return merge_bot(parse_intents(_read_json(path, path), place))
    root = next((each for each in (path / "agent/flows", path / "flows") if each.is_dir()), path)
    files = list(islice(root.glob("*/*/intents.json"), _MAX_FILES + 1))
    if not 0 < len(files) <= _MAX_FILES:
        advice = "name a folder of the Cognigy CLI, with agent/flows/FLOW/LOCALE/intents.json"
        raise BotError(f"{place} has {'too many' if files else 'no'} files with intents; {advice}")
    listed, names = root / "locales.json", sorted({file.parent.name for file in files})
    if listed.exists():
        locales = parse_locales(_read_json(listed, root), sanitize(str(listed)))
        names.sort(key=lambda name: [*locales].index(name) if name in locales else len(locales))
    chosen = choose_locales(names, locale)
    intents: list[BotIntent] = []
    cases: list[LookupCase] = []
    for file in sorted(files, key=lambda file: (file.parts[-3], names.index(file.parts[-2]))):
        if file.parts[-2] in chosen:
            intents += parse_intents(_read_json(file, root), sanitize(str(file)))
            chart = file.with_name("chart.json")
            if chart.exists():
                cases += parse_cases(_read_json(chart, root), file.parts[-3], sanitize(str(chart)))
    return merge_bot(intents, cases)


def parse_locales(payload: object, place: str) -> dict[str, str]:
    """Return the ids of a project's locales by name, the primary one first. Raises BotError."""
    message = f"{place}: not a list of locales with names; pull the flows again with the Cognigy CLI"
    ordered = sorted(require_named(payload, message), key=lambda item: (item.get("primary") is not True, item["name"]))
    return {item["name"]: str(item.get("_id") or "") for item in ordered}


def choose_locales(names: list[str], name: str | None) -> list[str]:
    """Return all names, or the one. Raises BotError."""
    if name is not None and name not in names:
        available = join_first(names, MAX_ITEMS, sanitize)
        raise BotError(f"no locale is named {sanitize(name)}; available: {available}")
    return names if name is None else [name]


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
