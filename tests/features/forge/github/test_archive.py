"""Reading one file from an untrusted archive."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile

import pytest

from reconciler.core.errors import RefusedError
from reconciler.features.forge.plan_report import read_archive_file
from tests.features.forge.github.fake import zipped
from tests.support.cases import each_case

LARGEST = 1000


def packed(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            archive.writestr(info, content)
    return buffer.getvalue()


def test_the_file_of_that_exact_name_is_returned() -> None:
    """With any other files in the archive."""
    assert b"{}" == read_archive_file(
        zipped(plan_md="x", plan_json="{}", plan_html="y"), "plan.json", LARGEST
    )


@each_case(
    "archive",
    [
        b"",
        b"PK",
        b"not an archive at all" * 100,
        packed(("plan.json", b"{}"))[:-10],
        packed(("plan.md", b"{}")),
        packed(("out/plan.json", b"{}")),
        packed(("../plan.json", b"{}")),
        packed(("/plan.json", b"{}")),
        packed(("PLAN.JSON", b"{}")),
        packed(("plan.json", b"{}"), method=zipfile.ZIP_LZMA),
        packed(("plan.json", b"x" * (LARGEST + 1))),
        packed(*[(f"{number}", b"") for number in range(1001)], ("plan.json", b"{}")),
    ],
)
def test_an_unexpected_archive_is_refused(archive: bytes) -> None:
    """Truncated, another name, another folder, another compression, too large, too many files."""
    with pytest.raises(RefusedError):
        read_archive_file(archive, "plan.json", LARGEST)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_that_name_are_refused() -> None:
    """It is unknown which of them was reviewed."""
    with pytest.raises(RefusedError, match=r"must contain exactly one plan\.json"):
        read_archive_file(
            packed(("plan.json", b"{}"), ("plan.json", b"[]")), "plan.json", LARGEST
        )


@pytest.mark.slow
def test_sizes_in_the_archive_are_not_trusted() -> None:
    """A bomb that claims to be small is read to the limit, not to its end."""
    content = b" " * (64 << 20)
    archive = bytearray(packed(("plan.json", content)))
    sizes = struct.pack("<L", len(content))
    while (place := archive.find(sizes)) >= 0:
        archive[place : place + 4] = struct.pack("<L", LARGEST - 1)
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError):
            read_archive_file(bytes(archive), "plan.json", LARGEST)
        with pytest.raises(RefusedError, match="larger than"):
            read_archive_file(packed(("plan.json", content)), "plan.json", 1 << 20)
        assert (96 << 20) > tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_an_encrypted_file_is_refused() -> None:
    """Without a prompt for a password."""
    archive = bytearray(packed(("plan.json", b"{}")))
    archive[6] |= 1
    central = archive.find(b"PK\x01\x02")
    archive[central + 8] |= 1
    with pytest.raises(
        RefusedError, match="has an unexpected compression or is encrypted"
    ):
        read_archive_file(bytes(archive), "plan.json", LARGEST)
