"""`cxroute traffic TASK`: a traffic sample from the endpoint's counters in Prometheus, or from records."""

import argparse
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlencode

from reconciler.cli.clients import open_rest_http
from reconciler.cli.command_line import utc_now
from reconciler.cli.files import text_of_variable, write_text
from reconciler.cli.output import Output
from reconciler.errors import UsageError
from reconciler.manifest.kinds.environment import BotAttributes
from reconciler.rest.client import Purpose, RestClient, RestDialect
from reconciler.text.escape import escape_invisible, pluralize
from reconciler.text.files import read_lines
from reconciler.text.hosts import request_url
from reconciler.text.redact import REDACTOR
from reconciler.traffic.cells import CellCounts, format_sample, merge_small
from reconciler.traffic.prometheus import count_events, events_query
from reconciler.traffic.records import count_conversations
from reconciler.traffic.sample import read_traffic

_TASK_OF: Final = {
    **dict.fromkeys(("prometheus", "days", "match"), "pull"),
    **dict.fromkeys(("file", "columns", "first_day", "last_day"), "import"),
}  # the task of each option that only one task has
_LABELS: Final = {"file": "FILE", "first_day": "--from", "last_day": "--to"}
_TOKEN: Final = "CXROUTE_PROMETHEUS_TOKEN"  # noqa: S105 - the name of a variable
_MAX_DAYS: Final = 3660
_DIALECT: Final = RestDialect(
    name="Prometheus",
    token_variable=_TOKEN,
    permission_advice="the server, or a proxy before it, refuses {}",
    missing_advice="is this the address of a Prometheus server, with its path?",
)
_TENTHS: Final = "the lower bound of its tenth: a threshold inside a tenth is not exact"
_HELP: Final = (
    "pull reads the counters of `cxroute serve` from Prometheus (cxroute_events_total); $CXROUTE_PROMETHEUS_TOKEN can\n"
    "hold a bearer token. import reads recorded conversations, as CSV with a header or as JSON lines; each row is one\n"
    "conversation, or `count` of them. Cells with fewer than 10 conversations are merged (docs/traffic.md)."
)


class _Sample(NamedTuple):
    """The conversations of a sample, their period, and the lines about their origin."""

    cells: CellCounts
    period: tuple[date, date] | None
    notes: Mapping[str, str]


def options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("task", choices=("pull", "import"), help="the task")
    add("file", nargs="?", metavar="FILE", help="import: the recorded conversations")
    add("--into", metavar="FILE", help="the sample to write, as `traffic.file` of an Environment names it")
    add("--prometheus", metavar="URL", help="pull: the address of Prometheus: https, or http to this machine")
    add("--days", metavar="N", help="pull: the days until now (default: 30)")
    add("--match", metavar="LABELS", help="""pull: only series with these labels, such as 'job="prod"'""")
    columns = "import: the columns to read, such as intent=Intent,confidence=Score (default: all, by their names)"
    add("--columns", metavar="ATTRIBUTE=COLUMN,...", help=columns)
    add("--from", dest="first_day", metavar="DATE", help="import: the first day of the conversations, YYYY-MM-DD")
    add("--to", dest="last_day", metavar="DATE", help="import: their last day")
    parser.epilog = _HELP


def run(options: argparse.Namespace, output: Output) -> int:
    """Write a sample. Raises UsageError, RestError, ManifestError for wrong rows, and CxrouteError for too few."""
    for name, task in _TASK_OF.items():
        if getattr(options, name) is not None and options.task != task:
            label = _LABELS.get(name, f"--{name}")
            raise UsageError(f"{label} is an option of `traffic {task}`, not of `traffic {options.task}`")
    if not options.into:
        raise UsageError("--into FILE is required: the sample to write")
    sample = _pull(options) if options.task == "pull" else _import(options)
    merged = merge_small(sample.cells)
    text = format_sample(merged, sample.period, sample.notes)
    read_traffic(text.encode(), options.into, BotAttributes())  # the size, and names of columns, are checked there
    write_text(Path(options.into), text)
    rows = pluralize(len(merged.cells.counts), "row")
    period = f", {sample.period[0]} to {sample.period[1]}" if sample.period else ""
    output.result(f"wrote {options.into}: {merged.cells.total:,} conversations in {rows}{period}\n")
    if merged.merged:
        small = f"{pluralize(merged.merged, 'cell')} of {merged.conversations:,} conversations"
        output.note(f"merged, so that no small group can be identified: {small}")
    return 0


def _pull(options: argparse.Namespace) -> _Sample:
    url = request_url(options.prometheus or "")
    if url is None or url.query or url.fragment:
        raise UsageError("--prometheus must be an https:// URL, or http:// to this machine, without user and query")
    text = options.days or "30"
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:5]) <= _MAX_DAYS):
        raise UsageError(f"--days must be a number from 1 to {_MAX_DAYS}")
    days, now, query = int(text), utc_now(), events_query(int(text), options.match or "")
    path = f"/api/v1/query?{urlencode({'query': query, 'time': now.timestamp()})}"
    with open_rest_http() as http:
        base, purpose = url.geturl().rstrip("/"), Purpose("read the counts from Prometheus", "queries")
        client = RestClient(dialect=_DIALECT, http=http, base=base, authorization=_authorization())
        cells = count_events(client.get(path, purpose))
    notes = {
        "source": f"Prometheus at {url.hostname}, {query}",
        "counts": "rounded to whole numbers; increase() extrapolates, so they are estimates",
        "confidence": _TENTHS,
    }
    return _Sample(cells, ((now - timedelta(days=days)).date(), now.date()), notes)


def _authorization() -> dict[str, str]:
    token = text_of_variable(_TOKEN, UsageError)
    if not token:
        return {}
    REDACTOR.add(token)
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(f"{_TOKEN} contains characters that a header cannot have")
    return {"Authorization": f"Bearer {token}"}


def _import(options: argparse.Namespace) -> _Sample:
    if options.file is None:
        raise UsageError("traffic import needs FILE: recorded conversations, as CSV or JSON lines")
    period = _read_period(options)
    try:
        cells = count_conversations(read_lines(options.file), options.file, _read_columns(options.columns))
    except OSError as error:
        raise UsageError(f"{escape_invisible(options.file)}: the file cannot be read: {error.strerror}") from error
    notes = {
        "source": Path(options.file).name,
        "confidence": f"rounded down to hundredths; of a merged cell, {_TENTHS}",
    }
    return _Sample(cells, period, notes)


def _read_period(options: argparse.Namespace) -> tuple[date, date] | None:
    if options.first_day is None and options.last_day is None:
        return None
    try:
        first, last = (date.fromisoformat(text or "") for text in (options.first_day, options.last_day))
    except ValueError:
        raise UsageError("--from and --to must both be dates, such as 2026-10-31") from None
    if first > last:
        raise UsageError("--from must not be after --to")
    return first, last


def _read_columns(text: str | None) -> dict[str, str]:
    """Return the column of each attribute."""
    pairs = [part.partition("=") for part in text.split(",")] if text is not None else []
    columns = {name.strip(): column.strip() for name, _, column in pairs}
    if not all(columns) or not all(columns.values()) or len(columns) < len(pairs):
        raise UsageError("--columns must name each attribute once, such as intent=Intent,confidence=Score")
    return columns
