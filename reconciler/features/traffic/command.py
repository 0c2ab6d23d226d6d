"""`cxroute traffic TASK`: a traffic sample from the endpoint's counters in Prometheus, or from
records.
"""

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

from reconciler.cli.clients import open_rest_client
from reconciler.cli.command_line import utc_now
from reconciler.cli.files import text_of_variable, write_text
from reconciler.cli.options import CommonOptions
from reconciler.cli.output import Output
from reconciler.cli.parsing import check_task
from reconciler.core.errors import CredentialsError, UsageError
from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.model.rule import Json
from reconciler.core.text.escape import join_first, pluralize, sanitize
from reconciler.core.text.pages import page
from reconciler.core.text.redact import REDACTOR
from reconciler.core.traffic.records import COUNT_COLUMN, read_period
from reconciler.core.traffic.sample import TrafficSample, read_traffic
from reconciler.features.traffic.cells import (
    CellCounts,
    count_conversations,
    format_sample,
    merge_small,
)
from reconciler.features.traffic.prometheus import count_events, events_query
from reconciler.rest.client import Purpose, RestDialect

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
    "pull reads the counters of `cxroute serve` from Prometheus (cxroute_events_total); "
    "$CXROUTE_PROMETHEUS_TOKEN can\n"
    "hold a bearer token. import reads recorded conversations, as CSV with a header or as JSON "
    "lines; each row is one\n"
    f"conversation, or `count` of them. Cells with fewer than 10 conversations are merged "
    f"({page('traffic.md')})."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions(CommonOptions):
    """The options of `cxroute traffic`."""

    task: str
    file: str | None
    into: str | None
    prometheus: str | None
    days: str | None
    match: str | None
    columns: str | None
    period: str | None


def options(parser: argparse.ArgumentParser) -> type[SampleOptions]:
    add = parser.add_argument
    add("task", choices=("pull", "import"), help="the task")
    add("file", nargs="?", metavar="FILE", help="import: the recorded conversations")
    add(
        "--into",
        metavar="FILE",
        help="the sample to write, as `traffic.file` of an Environment names it",
    )
    add(
        "--prometheus",
        metavar="URL",
        help="pull: the address of Prometheus: https, or http to this machine",
    )
    add("--days", metavar="N", help="pull: the days until now (default: 30)")
    add(
        "--match",
        metavar="LABELS",
        help="""pull: only series with these labels, such as 'job="prod"'""",
    )
    columns = (
        "import: the columns to read, such as intent=Intent,confidence=Score (default: all, by "
        "their names)"
    )
    add("--columns", metavar="ATTRIBUTE=COLUMN,...", help=columns)
    add(
        "--period",
        metavar="PERIOD",
        help="import: the days of the conversations, '2026-10-01 to 2026-10-31'",
    )
    parser.epilog = _HELP
    return SampleOptions


def run(options: SampleOptions, output: Output) -> int:
    """Write a sample.

    Raises UsageError, RestError, ManifestError for wrong rows, and CxrouteError for too few.
    """
    pulled = {
        "--prometheus": options.prometheus,
        "--days": options.days,
        "--match": options.match,
    }
    imported = {
        "FILE": options.file,
        "--columns": options.columns,
        "--period": options.period,
    }
    check_task("traffic", options.task, {"pull": pulled, "import": imported})
    if not options.into:
        raise UsageError("--into FILE is required: the sample to write")
    if options.task == "pull":
        counted, notes = _pull(options)
    else:
        counted, notes = _import(options, options.into)
    cells = merge_small(counted)
    text = format_sample(cells, notes)
    # checks the size and the names of columns
    sample = read_traffic(text.encode(), options.into, BotAttributes())
    write_text(Path(options.into), text)
    output.result(f"wrote {options.into}: {_describe_sample(cells, sample)}\n")
    warnings = [notes.get("warning"), *(finding.message for finding in sample.warnings)]
    for warning in filter(None, warnings):
        output.warn(warning)
    if cells.merged:
        output.note(f"merged, so that no small group can be identified: {cells.merged}")
    return 0


def _describe_sample(cells: CellCounts, sample: TrafficSample) -> str:
    """Return `1,200 conversations in 30 rows`, and the period if it is known."""
    summary = f"{cells.total:,} conversations in {pluralize(len(sample.rows), 'row')}"
    return f"{summary}, {sample.period}" if sample.period else summary


def _pull(options: SampleOptions) -> tuple[CellCounts, dict[str, str]]:
    """Return the events of the last days, and the lines about their origin."""
    url = options.prometheus or ""
    days = _read_days(options.days or "30")
    now = utc_now()
    query = events_query(days, options.match or "")
    parameters = urlencode({"query": query, "time": now.timestamp()})
    path = f"/api/v1/query?{parameters}"
    purpose = Purpose("read the counts from Prometheus", "queries")
    read_token = partial(text_of_variable, error=CredentialsError)
    with open_rest_client(_DIALECT, "--prometheus", url, read_token) as client:
        payload = client.get_object(path, purpose)
    payload = REDACTOR.redact_json(payload)

    cells, first = count_events(payload)
    start = now - timedelta(days=days)
    if first:
        start = max(start, first)
    notes = {
        "source": f"Prometheus at {urlsplit(url).hostname}, {query}",
        "period": f"{start.date()} to {now.date()}",
        "counts": "rounded to whole numbers; increase() extrapolates, so they are estimates",
        "confidence": _TENTHS,
    }
    return cells, notes | _warning_note(payload)


def _warning_note(payload: Mapping[str, Json]) -> dict[str, str]:
    """Return a line about the warnings of a response, if it has some.

    A server in front of several others, such as Thanos, may answer with what it has.
    """
    warnings = payload.get("warnings")
    if not isinstance(warnings, list) or not warnings:
        return {}
    texts = join_first(list(map(str, warnings)), 3, sanitize)
    return {"warning": f"counts may be missing: {texts}"}


def _read_days(text: str) -> int:
    """Return the number of --days. Raises UsageError."""
    is_number = text.isascii() and text.isdecimal()
    if not is_number or not 0 < int(text[:5]) <= _MAX_DAYS:
        raise UsageError(f"--days must be a number from 1 to {_MAX_DAYS}")
    return int(text)


def _import(options: SampleOptions, into: str) -> tuple[CellCounts, dict[str, str]]:
    """Return the conversations of a file, and the lines about their origin."""
    period = options.period or "unknown"
    if options.file is None:
        raise UsageError(
            "traffic import needs FILE: recorded conversations, as CSV or JSON lines"
        )
    if options.period is not None and read_period(f"# period: {period}") is None:
        raise UsageError(
            "--period must be two dates, the earlier one first, such as '2026-10-01 to 2026-10-31'"
        )
    is_same = os.path.realpath(options.file) == os.path.realpath(into)
    if is_same and Path(into).exists():
        raise UsageError(
            "--into is the file with the records: name another one, so that they stay"
        )
    cells = count_conversations(options.file, _read_columns(options.columns))
    confidence = f"rounded down to hundredths; of a merged cell, {_TENTHS}"
    return cells, {
        "source": Path(options.file).name,
        "period": period,
        "confidence": confidence,
    }


def _read_columns(text: str | None) -> dict[str, str]:
    """Return the column of each attribute."""
    pairs = (
        [part.partition("=") for part in text.split(",")] if text is not None else []
    )
    columns = {name.strip(): column.strip() for name, _, column in pairs}
    if (
        not all(columns)
        or not all(columns.values())
        or len(columns) < len(pairs)
        or COUNT_COLUMN in columns
    ):
        example = (
            "such as intent=Intent,confidence=Score; the number of conversations is in the column "
            "`count`"
        )
        raise UsageError(f"--columns must name each attribute once, {example}")
    return columns
