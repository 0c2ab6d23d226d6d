"""The report of a plan, as `cxroute plan --report DIR` writes it: in a directory, or in an archive
from a forge.
"""

import io
import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from reconciler.core.errors import RefusedError, UsageError
from reconciler.core.model.finding import Document
from reconciler.core.plan.document import COUNTED_ACTIONS, ERROR_FILE
from reconciler.core.text.files import MIB, read_file, read_text
from reconciler.core.text.json_values import as_object, list_objects, number_at

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PLAN_ID: Final = re.compile(r"[0-9a-f]{1,64}")
_MAX_FILE_BYTES: Final = 128 * MIB
_ENCRYPTED: Final = 0x1
_MAX_ENTRIES: Final = 1000  # entries of an archive


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """The parts of a plan that a comment needs."""

    environment: str
    plan_id: str
    counts: dict[str, int]
    has_changes: bool
    changes_later: bool  # whether the manifests change what a later date does, or may
    is_refused: bool  # by a conflict or a guard
    text: str


def read_plan_report(directory: Path) -> PlanReport | None:
    """Return the report in a directory of `cxroute plan --report`; None if it is missing or
    incomplete.
    """
    plan = read_json_object(directory / "plan.json")
    try:
        text = read_text(directory / "plan.md", _MAX_FILE_BYTES)
    except OSError:
        return None
    environment = str(plan.get("environment"))
    plan_id = str(plan.get("planId"))
    if not _NAME.fullmatch(environment) or not _PLAN_ID.fullmatch(plan_id):
        return None

    summary = as_object(plan.get("summary"))
    return PlanReport(
        environment=environment,
        plan_id=plan_id,
        counts={name: number_at(summary, name) for name in COUNTED_ACTIONS},
        has_changes=_has_changes(plan),
        changes_later=_changes_later(plan),
        is_refused=_is_refused(plan),
        text=text,
    )


def _has_changes(plan: Document) -> bool:
    endpoint = as_object(plan.get("endpoint"))
    changes_endpoint = endpoint.get("before") != endpoint.get("after")
    return bool(plan.get("changes")) or changes_endpoint


def _changes_later(plan: Document) -> bool:
    """Return whether a date of a rule is one of this change; without a comparison, each may be."""
    edited = plan.get("editedDates")
    return bool(plan.get("later") if edited is None else edited)


def _is_refused(plan: Document) -> bool:
    findings = list_objects(plan, "findings")
    guards = list_objects(plan, "guards")
    has_errors = any(finding.get("severity") == "error" for finding in findings)
    return has_errors or any(guard.get("ok") is False for guard in guards)


class PlacedError(NamedTuple):
    """An error in the manifests. `place` is `FILE:LINE`, or empty."""

    place: str
    message: str


class FailedPlan(NamedTuple):
    """Why there is no plan: each error with its place in the manifests; or the message of another
    failure.
    """

    message: str
    errors: tuple[PlacedError, ...] = ()


def read_failure(directory: Path) -> FailedPlan | None:
    """Return why `cxroute plan --report` wrote no plan into a directory; None if it wrote one, or
    no reason.
    """
    error = as_object(read_json_object(directory / ERROR_FILE).get("error"))
    message = error.get("message")
    if not isinstance(message, str) or not message.strip():
        return None
    findings = [
        finding
        for finding in list_objects(error, "findings")
        if finding.get("severity") == "error"
    ]
    return FailedPlan(message, tuple(map(_placed_error, findings)))


def _placed_error(finding: dict[str, Any]) -> PlacedError:
    source = as_object(finding.get("source"))
    file = source.get("file")
    line = source.get("line")
    place = ""
    if isinstance(file, str) and isinstance(line, int):
        place = f"{file}:{line}"
    return PlacedError(place, str(finding.get("message")))


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; empty if there is none. Raises UsageError."""
    try:
        content = json.loads(read_file(path, _MAX_FILE_BYTES))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    return as_object(content)


def read_archive_file(
    archive: bytes,
    name: str,
    max_bytes: int,
    folder: str = "",
) -> bytes:
    """Return the file of that exact name, also in `folder`.

    Raises RefusedError if there is none, two, or a larger.
    """
    names = (name, f"{folder}/{name}") if folder else (name,)
    # Nothing is written to a disk, no other entry is unpacked, and sizes in the archive are not
    # trusted.
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries = [
                entry
                for entry in opened.infolist()[: _MAX_ENTRIES + 1]
                if entry.filename in names
            ]
            if len(opened.infolist()) > _MAX_ENTRIES or len(entries) != 1:
                raise RefusedError(f"the artifact must contain exactly one {name}")
            (entry,) = entries
            if (
                entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
                or entry.flag_bits & _ENCRYPTED
            ):
                raise RefusedError(
                    f"{name} in the artifact has an unexpected compression or is encrypted"
                )
            with opened.open(entry) as file:
                content = file.read(max_bytes + 1)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        NotImplementedError,
        OSError,
    ):
        raise RefusedError("the artifact is not a valid archive; plan again") from None
    if len(content) > max_bytes:
        raise RefusedError(
            f"{name} in the artifact is larger than {max_bytes >> 20} MiB, the limit for a plan"
        )
    return content
