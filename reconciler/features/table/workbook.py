"""Opens a workbook (XLSX) with openpyxl, without what could take very much memory or time."""

from contextlib import suppress
from io import BytesIO
from typing import Final
from xml.parsers import expat
from zipfile import ZipFile

from openpyxl import Workbook, load_workbook

from reconciler.core.text.files import MIB

_MAX_UNPACKED: Final = 10 * MIB  # openpyxl takes up to 90 times this memory
_LONGEST_FORMAT: Final = 255
"""The characters of a number format, a header or a footer that programs for spreadsheets allow."""
_ONE_LINE: Final = ("Header", "Footer")


class TooLargeError(Exception):
    """A workbook with more bytes than cxroute reads. The message names the limit."""


def open_workbook(data: bytes) -> Workbook:
    """Return a workbook whose cells are not read yet. Raises TooLargeError.

    For a file that is not a workbook it raises other errors, of many kinds.
    """
    with ZipFile(BytesIO(data)) as archive:
        parts = archive.infolist()
        if sum(part.file_size for part in parts) > _MAX_UNPACKED:
            raise TooLargeError(f"more than {_MAX_UNPACKED // MIB} MiB unpacked")
        for part in parts:
            with suppress(expat.ExpatError):  # a picture, for example
                _PartCheck().check(archive.read(part))
    return load_workbook(BytesIO(data), read_only=True, keep_links=False)


class _PartCheck:
    """Refuses a part that makes a small file large, or that openpyxl reads very slowly or not
    completely.
    """

    def __init__(self) -> None:
        self._element = ""
        self._length = 0
        self._row = 0

    def check(self, part: bytes) -> None:
        """Raise ValueError for such a part, and ExpatError for one that is not XML."""
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.CharacterDataHandler = self._add_text
        parser.Parse(part, True)  # noqa: FBT003 - the only piece of it

    def _refuse(self, *_: object) -> None:
        raise ValueError("a part has a document type, which can define entities")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._element = name
        self._length = 0
        if len(attributes.get("formatCode", "")) > _LONGEST_FORMAT:
            raise ValueError("a number format is too long")

        number = attributes.get("r", "")
        if name.endswith("row") and number.isdecimal():
            if int(number) <= self._row:
                raise ValueError("a row is not in its place, and would be left out")
            self._row = int(number)

    def _add_text(self, text: str) -> None:
        self._length += len(text)
        if self._length > _LONGEST_FORMAT and self._element.endswith(_ONE_LINE):
            raise ValueError("a header or footer is too long")
