"""A traffic sample, from the operator's file or the Environment's: its rows with their counts, and
its period.
"""

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Final

from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.manifest.kinds.environment import BotAttributes, Environment
from reconciler.core.manifest.source_map import LoadedDocument
from reconciler.core.manifest.yaml_reader import MAX_FILE_BYTES
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Source
from reconciler.core.text.escape import escape_invisible, quote_name
from reconciler.core.text.files import read_start
from reconciler.core.traffic.records import CellValue, RecordReader

MAX_ROWS: Final = 100_000
_TOO_MANY_ROWS: Final = f"more than {MAX_ROWS:,} rows"


@dataclass(frozen=True, slots=True)
class SampleRow:
    """A number of conversations with the same attributes; None means a missing attribute."""

    attributes: Mapping[str, CellValue]
    count: int | float
    line: int  # the line of the first of the equal rows, from 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficSample:
    """A traffic sample. Rows are distinct, have the same attributes, and count more than 0."""

    name: str  # the file's path for messages
    digest: str  # SHA-256 of the file's bytes, in hexadecimal
    period: str  # for people
    last_day: date | None = None  # the end of the period; None: unknown
    max_age_days: int | None = None  # the Environment's limit
    rows: tuple[SampleRow, ...]
    total: int | float  # the number of conversations of all rows; more than 0
    warnings: tuple[Finding, ...] = ()

    def age_findings(self, now: datetime) -> tuple[Finding, ...]:
        """Return the finding about a sample that is too old for the Environment's limit, if it
        is.
        """
        if self.max_age_days is None:
            return ()
        if self.last_day is None:
            problem = "does not say when it ended"
        else:
            age = (now.astimezone(UTC).date() - self.last_day).days
            # The period may be the current month; but after a typing error, the sample would never
            # be too old.
            if abs(age) <= self.max_age_days:
                return ()
            when = f"ended {age} days ago" if age > 0 else "ends in the future"
            problem = f"{when}, on {self.last_day}"

        finding = Finding(
            code="CXR235",
            severity="warning",
            message=f"the traffic sample {problem}, and `maxAgeDays` is {self.max_age_days}",
            source=Source(escape_invisible(self.name), 1, 1),
            hint="make a new one with `cxroute traffic`",
        )
        return (finding,)


def read_traffic(
    data: bytes,
    name: str,
    attributes: BotAttributes,
    period: str = "",
    max_age_days: int | None = None,
) -> TrafficSample:
    """Return the sample in a file's bytes.

    ManifestError carries every finding, by line and column.
    """
    reader = RecordReader(BytesIO(data), name, attributes)
    rows = _sum_rows(reader) if len(data) <= MAX_FILE_BYTES else ()
    if len(data) > MAX_FILE_BYTES:
        reader.collector.report(
            "CXR230",
            0,
            "the traffic sample is larger than 5 MiB",
            "add equal rows up",
        )
    findings = reader.collector.findings()
    if any(finding.severity == "error" for finding in findings):
        raise ManifestError(findings, reader.name)

    days = reader.period
    return TrafficSample(
        name=name,
        digest=sha256(data).hexdigest(),
        period=period or (f"{days[0]} to {days[1]}" if days else ""),
        last_day=days[1] if days else None,
        max_age_days=max_age_days,
        rows=rows,
        total=sum(row.count for row in rows),
        warnings=tuple(findings),
    )


def _sum_rows(reader: RecordReader) -> tuple[SampleRow, ...]:
    """Return the rows, equal ones added up; errors are in the reader's collector."""
    lines: dict[tuple[CellValue, ...], int] = {}
    counts = defaultdict[tuple[CellValue, ...], int | float](int)
    for index, row in enumerate(reader.rows()):
        if index == MAX_ROWS:
            reader.report("CXR230", 0, _TOO_MANY_ROWS, "add equal rows up")
            break
        if reader.collector.is_full:
            break
        if row and row.number:
            lines.setdefault(row.values, reader.line)
            counts[row.values] += row.number

    collector = reader.collector
    if not reader.names and not collector.collected:
        hint = "write the names of the columns in the first row"
        collector.report("CXR230", 0, "the traffic sample is empty", hint)
    reader.check_number(sum(counts.values()))

    return tuple(
        SampleRow(_by_name(reader.attributes, values), count, lines[values])
        for values, count in counts.items()
    )


def _by_name(
    names: tuple[str, ...], values: tuple[CellValue, ...]
) -> dict[str, CellValue]:
    return dict(zip(names, values, strict=True))


def load_traffic(
    path: str,
    attributes: BotAttributes,
    max_age_days: int | None = None,
) -> TrafficSample:
    """Return the sample of a file of the command line.

    Raises UsageError for an unreadable file, else ManifestError.
    """
    try:
        data = read_start(path, MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "invalid path").lower()
        raise UsageError(
            f"--traffic {escape_invisible(path)}: the file cannot be read: {reason}"
        ) from error
    return read_traffic(data, path, attributes, max_age_days=max_age_days)


def declared_traffic(
    environment: LoadedDocument[Environment], manifests: Path
) -> TrafficSample | None:
    """Return the sample of an Environment's `traffic`, from the working or the manifests'
    directory. ManifestError.
    """
    declared = environment.document.traffic
    if declared is None:
        return None
    code = "CXR014"
    problem = "not found in the working directory or in the manifests' directory"
    try:
        for root in (Path(), manifests):
            path = root / declared.file
            if path.is_file():
                # Checked before `open`, because a link may lead to a pipe or a device, which never
                # ends, or to a file that a pull request may not name: errors would show its lines.
                if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
                    data = read_start(path, MAX_FILE_BYTES + 1)
                    return read_traffic(
                        data,
                        path.as_posix(),
                        environment.document.attributes,
                        declared.period,
                        declared.max_age_days,
                    )
                code = "CXR003"
                problem = "the symbolic link leads out of the directory"
                break
    except PermissionError:
        problem = "no permission to read the file"
    except OSError:
        pass
    message = f"traffic sample {quote_name(declared.file)}: {problem}"
    raise ManifestError([environment.finding(code, message, "traffic", "file")])
