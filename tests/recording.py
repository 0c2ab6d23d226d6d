"""What a recording is made with: commands in this process, and their output without what differs from run to run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from unittest.mock import patch

from reconciler import __version__
from tests import canary
from tests.program import QUICK, VARIABLES, main

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOCK: Final = "reconciler.cli.connect.REAL_TIME"
"""The retry pauses of a command: none of them takes time here."""
TEXTS: Final = frozenset(
    {
        *("advice", "because", "detail", "error", "hint", "justification", "markdown", "message", "reason", "text"),
        *("allowedBecause", "notes"),
    }
)
"""JSON fields that hold sentences for people. A recording has a placeholder for each: a sentence may be reworded."""
SCHEMA_TEXTS: Final = frozenset({*TEXTS, "description", "title", "markdownDescription"})
"""Those of a JSON Schema."""
VARYING: Final = {"planId": "<id>", "pid": 0, "host": "<host>", "seconds": 0, "nextSeconds": 0, "ms": 0}
"""JSON fields whose value depends on the run, the machine or a sentence, and what stands there in its place."""
WIDTH: Final = 150
_STAMP: Final = re.compile(r"\b(20\d\d-\d\d-\d\d)T\d\d:?\d\d:?\d\d(?:\.\d+)?Z?")
_RUN: Final = re.compile(r"<time>-([\w-]+)-[0-9a-f]{4}\b")
_RANDOM_ID: Final = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b")
_PORT: Final = re.compile(r"\b127\.0\.0\.1:\d+")


class Ended(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    def form(self, most: int = 0) -> Any:
        """Return its JSON document without what varies: see `plain_form`."""
        return plain_form(json.loads(self.out), most=most)


def cxroute(*arguments: str) -> Ended:
    """Run a command in this process."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2)]
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        code = main(list(arguments))
        out, err = (_text(stream) for stream in streams)
    return Ended(code, out, err)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


@contextlib.contextmanager
def workplace(folder: Path) -> Iterator[None]:
    """Work in a folder, with the credentials of a tenant on this machine and no other variable of the user's."""
    folder.mkdir(parents=True)
    known = {"CXONE_CLIENT_ID": canary.CLIENT, "CXONE_CLIENT_SECRET": canary.SECRET, "GITHUB_ACTOR": "ada"}
    with contextlib.chdir(folder), patch.dict(os.environ), patch(CLOCK, QUICK):
        for name in VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(known)
        yield


def write(name: str, text: str) -> None:
    """Write a file, and the folders that it needs."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def plain_text(text: str) -> str:
    """Return a text without times of now, names of runs, random ids, ports and the version."""
    text = _STAMP.sub(_time, text)
    for pattern, name in ((_RUN, r"<run of \1>"), (_RANDOM_ID, "<random id>"), (_PORT, "127.0.0.1:<port>")):
        text = pattern.sub(name, text)
    return text


def _time(found: re.Match[str]) -> str:
    """Leave a date alone that stands in the manifests: only what is near now is the time of the run."""
    day = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    return "<time>" if abs(datetime.now(UTC) - day) < timedelta(days=2) else found[0]


def plain_form(form: Any, texts: frozenset[str] = TEXTS, most: int = 0) -> Any:
    """Return JSON without what varies, and with placeholders for sentences.

    Of a list only the first `most` entries stand there in full, if that is set; of the others a digest.
    """
    if isinstance(form, dict):
        return {plain_text(name): _field(name, value, texts, most) for name, value in form.items()}
    if isinstance(form, list):
        parts = [plain_form(one, texts, most) for one in form]
        rest = parts[most:] if most else []
        digest = sha256(json.dumps(rest).encode()).hexdigest()
        return [*parts[:most], f"<{len(rest)} more: sha256 {digest}>"] if rest else parts
    return plain_text(form) if isinstance(form, str) else form


def _field(name: str, value: Any, texts: frozenset[str], most: int) -> Any:
    if name in texts and isinstance(value, str):
        return "<text>" if value else ""
    if name in VARYING and not isinstance(value, dict | list):
        return VARYING[name]
    if name in ("version", "semanticVersion") and value == __version__:
        return "<version>"
    return plain_form(value, texts, most)


def json_text(form: Any) -> str:
    """Return JSON to be compared line by line: what fits into a line stands in one."""
    return f"{_lines(form, '')}\n"


def _lines(form: Any, indent: str) -> str:
    line = json.dumps(form, ensure_ascii=False)
    if len(indent) + len(line) <= WIDTH or not isinstance(form, dict | list):
        return line
    inner = f"{indent} "
    if isinstance(form, dict):
        parts = [f"{json.dumps(name)}: {_lines(value, inner)}" for name, value in form.items()]
    else:
        parts = [_lines(one, inner) for one in form]
    start, end = "{}" if isinstance(form, dict) else "[]"
    return f"{start}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{end}"


def json_lines(text: str) -> str:
    """Return lines of JSON, such as a journal or a log, without what varies."""
    forms = [plain_form(json.loads(line)) for line in text.splitlines()]
    return "".join(f"{json.dumps(form, ensure_ascii=False)}\n" for form in forms)
