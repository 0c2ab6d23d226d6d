"""Makes a recording: runs commands in this process, and replaces everything that varies between
runs.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from reconciler import __version__
from reconciler.cli.main import main
from tests.support import canary_secrets as canary
from tests.support import surroundings
from tests.support.program import NO_BACKOFF

CLOCK: Final = "reconciler.cli.clients.REAL_TIME"
"""The clock of retries. It is replaced, so that retries do not wait."""
TEXTS: Final = frozenset(
    {
        "advice",
        "because",
        "detail",
        "error",
        "hint",
        "justification",
        "markdown",
        "message",
        "reason",
        "text",
    }
)
"""JSON fields that hold sentences.

Sentences may be reworded, so a recording has a placeholder instead.
"""
SCHEMA_TEXTS: Final = frozenset({*TEXTS, "description", "title"})
"""The same for a JSON Schema."""
VARYING: Final = {
    "planId": "<id>",
    "liveDigest": "<digest>",
    "pid": 0,
    "host": "<host>",
    "examples": "<examples>",
}
"""JSON fields that depend on random ids, on sentences or on the machine, and the placeholder for
each."""
DURATIONS: Final = frozenset({"seconds", "nextSeconds", "ms"})
WIDTH: Final = 150
_TIME: Final = re.compile(r"\b(20\d\d-\d\d-\d\d)T\d\d:?\d\d:?\d\d(?:\.\d+)?Z?")
_RUN: Final = re.compile(r"<time>-([\w-]+)-[0-9a-f]{4}\b")
_RANDOM_ID: Final = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b"
)
_PORT: Final = re.compile(r"\b127\.0\.0\.1:\d+")


class CommandResult(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str


def cxroute(*arguments: str) -> CommandResult:
    """Run a command in this process."""
    buffers = [io.BytesIO(), io.BytesIO()]
    out, err = (
        io.TextIOWrapper(buffer, "utf-8", write_through=True) for buffer in buffers
    )
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(arguments))
    return CommandResult(code, *(buffer.getvalue().decode() for buffer in buffers))


class OutputRecorder:
    """Collects the recorded files by name, and the exit code of every situation."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.codes: list[list[Any]] = []

    def run(self, situation: str, *arguments: str) -> CommandResult:
        """Run a command and record its exit code."""
        result = cxroute(*arguments)
        self.codes.append([situation, plain_text(" ".join(arguments)), result.code])
        return result

    def document(
        self, name: str, situation: str, *arguments: str, most: int = 0
    ) -> None:
        """Run a command and record its JSON document, too; `most`: see `plain_form`."""
        self.form(
            name,
            json.loads(self.run(situation, *arguments, "--format", "json").out),
            most=most,
        )

    def form(
        self, name: str, form: Any, texts: frozenset[str] = TEXTS, most: int = 0
    ) -> None:
        """Record a JSON document, for example the content of a file."""
        self.files[f"{name}.json"] = json_text(plain_form(form, texts, most))

    def lines(self, name: str, text: str) -> None:
        """Record lines of JSON: a journal or a log."""
        forms = [plain_form(json.loads(line)) for line in text.splitlines()]
        self.files[f"{name}.jsonl"] = "".join(
            f"{json.dumps(form, ensure_ascii=False)}\n" for form in forms
        )

    def metrics(self, name: str, text: str) -> None:
        """Record metrics in Prometheus' format without their values, help texts and the version."""
        text = re.sub(
            r'(?m)^(cxroute_build_info)\{version="[^"]*"\}',
            r'\1{version="<version>"}',
            text,
        )
        lines = [
            re.sub(r"^(# HELP \S+) .*", r"\1 <text>", line)
            for line in text.splitlines()
        ]
        names = [
            line if line.startswith("#") else line.rpartition(" ")[0] for line in lines
        ]
        self.files[f"{name}.metrics.txt"] = "".join(f"{line}\n" for line in names)

    def annotations(self, name: str, text: str) -> None:
        """Record the workflow commands of `--format github` without their sentences."""
        places = re.findall(
            r"^(::(?:error|warning|notice) .*?)(?:,?title=[^:]*)?::", text, re.MULTILINE
        )
        self.files[f"{name}.github.txt"] = "".join(f"{place}\n" for place in places)


@contextlib.contextmanager
def workplace(folder: Path) -> Iterator[None]:
    """Work in a folder, with the credentials of a tenant on this machine and none of the user's own
    variables.
    """
    folder.mkdir(parents=True)
    credentials = {
        "CXONE_CLIENT_ID": canary.CLIENT,
        "CXONE_CLIENT_SECRET": canary.SECRET,
    }
    with contextlib.chdir(folder), patch.dict(os.environ), patch(CLOCK, NO_BACKOFF):
        surroundings.settle()
        os.environ.update(credentials, GITHUB_ACTOR="ada")
        yield


def write(name: str, text: str) -> None:
    """Write a file, and the folders that it needs."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def plain_text(text: str) -> str:
    """Return a text with placeholders for current times, names of runs, random ids and ports."""
    text = _TIME.sub(_current, text)
    for pattern, name in (
        (_RUN, r"<run of \1>"),
        (_RANDOM_ID, "<random id>"),
        (_PORT, "127.0.0.1:<port>"),
    ):
        text = pattern.sub(name, text)
    return text


def _current(match: re.Match[str]) -> str:
    """Replace a current time only: other times are part of the input."""
    day = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return "<time>" if abs(datetime.now(UTC) - day) < timedelta(days=2) else match[0]


def plain_form(form: Any, texts: frozenset[str] = TEXTS, most: int = 0) -> Any:
    """Return JSON with placeholders for sentences and for everything that varies.

    If `most` is set, a list has its first `most` entries and a digest of the remaining ones.
    """
    if isinstance(form, dict):
        return {
            plain_text(name): _field(name, value, texts, most)
            for name, value in form.items()
        }
    if isinstance(form, list):
        entries = [plain_form(entry, texts, most) for entry in form]
        rest = entries[most:] if most else []
        digest = sha256(json.dumps(rest).encode()).hexdigest()
        return (
            [*entries[:most], f"<{len(rest)} more: sha256 {digest}>"]
            if rest
            else entries
        )
    return plain_text(form) if isinstance(form, str) else form


def _field(name: str, value: Any, texts: frozenset[str], most: int) -> Any:
    if name in texts and isinstance(value, str):
        return "<text>" if value else ""
    if name in VARYING and not isinstance(value, dict):
        return VARYING[name]
    if name in DURATIONS and isinstance(value, int | float):
        return 0
    if name in ("version", "semanticVersion") and value == __version__:
        return "<version>"
    return plain_form(value, texts, most)


def json_text(form: Any) -> str:
    """Return JSON in lines of readable length; a value that fits into one line is not broken."""
    return f"{_lines(form, '')}\n"


def _lines(form: Any, indent: str) -> str:
    line = json.dumps(form, ensure_ascii=False)
    if len(indent) + len(line) <= WIDTH or not isinstance(form, dict | list):
        return line
    inner = f"{indent} "
    if isinstance(form, dict):
        parts = [
            f"{json.dumps(name)}: {_lines(value, inner)}"
            for name, value in form.items()
        ]
    else:
        parts = [_lines(entry, inner) for entry in form]
    start, end = "{}" if isinstance(form, dict) else "[]"
    return f"{start}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{end}"
