"""Reading of files: regular files of bounded size, through one function, in every command."""

from __future__ import annotations

import ast
import os
import re
import socket
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from reconciler.core.text.files import KIB, MIB, read_file, read_start, read_text
from tests.support.cases import each_case
from tests.support.command import run_measured

SECONDS = 20
PACKAGE = Path(__file__).parents[3] / "reconciler"
EXCEPTIONS = {
    # Files of a package, which only its author writes.
    "cli/commands/init.py: file.read_text(encoding='utf-8')",
    "features/forge/init_files.py: distribution('cxroute').read_text('direct_url.json')",
    "features/editor/command.py: os.fdopen(os.dup(1), 'wb')",
    "targets/platform/transport/tls.py: ssl.create_default_context(cafile=certifi.where())",
    "features/forge/pipeline_files.py: template.read_text(encoding='utf-8')",
    "core/manifest/kinds/fields.py: files('tzdata').joinpath('zones').read_text(encoding='ascii')",
    "render/html.py: (_TEMPLATES / name).read_text(encoding='utf-8')",
    (
        "features/practice/simulator/state.py: "
        "files('reconciler.features.practice.simulator').joinpath('tenants/bank.json').read_text(encoding='utf-8')"
    ),
    # The simulator imports nothing of this project, and checks itself that the file is a regular
    # one.
    "features/practice/simulator/storage.py: path.read_bytes()",
    # Files that these calls open to append or to lock, not to read.
    (
        "features/journal/sinks.py: os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | _NON_BLOCKING, "
        "438)"
    ),
    "features/practice/simulator/storage.py: os.open(f'{path}.lock', os.O_RDWR | os.O_CREAT, 384)",
    "targets/decide/file_tables.py: os.open(f'{self._path}.lock', os.O_RDWR | os.O_CREAT, 384)",
    # A folder, whose entries are made durable.
    "targets/decide/file_tables.py: os.open(path.parent, os.O_RDONLY)",
    # The only function that reads files.
    "core/text/files.py: os.open(path, _OPEN_FLAGS)",
    "core/text/files.py: os.fdopen(file, 'rb')",
}


def openings(tree: ast.AST) -> Iterator[str]:
    """Yield the calls that may open a file for reading."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and opens(node):
            yield ast.unparse(node)


def opens(call: ast.Call) -> bool:
    function = ast.unparse(call.func)
    text = ast.unparse(call)
    name = function.rpartition(".")[2]
    if function in {"open", "io.open", "codecs.open"}:
        return not re.search(r"'[wax]b?'", text)
    if function == "os.open":
        return "O_WRONLY" not in text
    if name == "open":
        return bool(re.search(r"'rb?\+?'|encoding=", text)) and not re.search(
            r"'[wax]b?'", text
        )
    if name in {"load_verify_locations", "create_default_context"}:
        return "cadata=" not in text
    return name in {"read_bytes", "fdopen", "FileIO", "load_cert_chain"} or (
        name == "read_text" and "." in function
    )


@pytest.mark.slow
def test_one_module_opens_files_for_reading() -> None:
    """Files are read by `reconciler.core.text.files` only, with the exceptions above."""
    actual = {
        f"{path.relative_to(PACKAGE).as_posix()}: {call}"
        for path in PACKAGE.rglob("*.py")
        for call in openings(ast.parse(path.read_text("utf-8")))
    }
    assert EXCEPTIONS == actual


@each_case(
    "call",
    [
        "open(a)",
        "p.open('rb')",
        "p.open(encoding='u')",
        "os.open(a, b)",
        "p.read_bytes()",
    ],
)
def test_the_check_finds_each_way_to_open_a_file(call: str) -> None:
    """Each call that opens a file for reading is found; a call that writes a file is not."""
    assert [call] == list(openings(ast.parse(call)))
    assert [] == list(
        openings(
            ast.parse(
                "p.open('w', encoding='u'); open(a, 'xb'); os.open(a, os.O_WRONLY)"
            )
        )
    )


def test_a_file_is_read_to_its_limit_and_no_further(tmp_path: Path) -> None:
    """A file of exactly the limit is read; one more byte is an error that names the limit, or is
    cut on request.
    """
    path = tmp_path / "file"
    path.write_bytes(b"x" * KIB)
    assert b"x" * KIB == read_file(path, KIB)
    assert b"x" * 10 == read_start(path, 10)
    assert b"" == read_start(path, 0)
    path.write_bytes(b"x" * (KIB + 1))
    with pytest.raises(
        OSError,
        match="it is larger than 1 KiB, the limit for this file; check the path",
    ):
        read_file(path, KIB)


def test_memory_is_bounded_by_the_limit(tmp_path: Path) -> None:
    """A file of a terabyte needs no more memory than the limit, and a small file much less than the
    limit.
    """
    path = tmp_path / "file"
    path.touch()
    os.truncate(path, 1 << 40)
    tracemalloc.start()
    try:
        with pytest.raises(OSError, match="larger than 4 MiB"):
            read_file(path, 4 * MIB)
        assert 10 * MIB > tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        os.truncate(path, 5)
        assert bytes(5) == read_file(path, 1 << 40)
        assert MIB > tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_text_is_utf_8_with_line_feeds(tmp_path: Path) -> None:
    """A text has LF line ends only; bytes that are not UTF-8 are an OSError."""
    path = tmp_path / "file"
    path.write_bytes("ä\r\nb\n".encode())
    assert "ä\nb\n" == read_text(path, KIB)
    path.write_bytes(b"\xff")
    with pytest.raises(OSError, match="it is not UTF-8"):
        read_text(path, KIB)


@pytest.fixture
def odd_files(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Yield paths of special files by kind: no process writes to the pipe, and the device never
    ends.
    """
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        paths = {
            "a named pipe": tmp_path / "pipe",
            "a socket": tmp_path / "socket",
            "a device": Path("/dev/zero"),
        }
        yield {kind: str(path) for kind, path in paths.items()}


@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a device"])
def test_a_special_file_is_refused_without_waiting(
    kind: str, odd_files: dict[str, str]
) -> None:
    """A pipe, a socket and a device are refused without blocking, and the message says what to
    do.
    """
    text = f"it is {kind}, not a regular file; save the contents to a file, and name that file"
    with pytest.raises(OSError, match=text):
        read_file(odd_files[kind], KIB)


def test_a_pipe_that_replaces_a_checked_file_is_refused(
    tmp_path: Path, odd_files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The opened file is checked again, and opening does not block."""
    (tmp_path / "file").touch()
    before = SimpleNamespace(
        **vars(os) | {"stat": lambda _path: (tmp_path / "file").stat()}
    )
    monkeypatch.setattr("reconciler.core.text.files.os", before)
    with pytest.raises(OSError, match="a named pipe, not a regular file"):
        read_file(odd_files["a named pipe"], KIB)


@pytest.mark.parametrize("path", ["a\0b", ""])
def test_an_invalid_path_is_an_os_error(path: str) -> None:
    """The path is empty, or has a NUL, as a saved plan may have."""
    with pytest.raises(OSError, match=r"NUL character|No such file"):
        read_file(path, KIB)


MANIFESTS = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
api: {baseUrl: "https://acme.invalid", tokenUrl: "https://acme.invalid/token"}
traffic: {file: traffic.csv}
"""
PLAIN = MANIFESTS.replace("traffic: {file: traffic.csv}\n", "")
READERS: dict[str, tuple[list[str], dict[str, str]]] = {
    "saved plan": (["apply", "{file}", "--yes"], {}),
    "live list": (["plan", "-e", "prod", "--live", "{file}"], {}),
    "live list of export": (
        ["export", "-e", "prod", "--all", "--live", "{file}"],
        {},
    ),
    "side of diff": (["diff", "{file}", "live.json"], {}),
    "traffic sample": (
        ["plan", "-e", "prod", "--live", "live.json", "--traffic", "{file}"],
        {},
    ),
    "journal": (["history"], {"CXROUTE_JOURNAL": "{file}"}),
    "journal that is named": (["history", "--journal", "{file}"], {}),
    "journal of an undo": (
        ["plan", "-e", "prod", "--undo", "r1", "--journal", "{file}"],
        {},
    ),
    "client secret": (
        ["plan", "-e", "prod"],
        {"CXONE_CLIENT_ID": "id", "CXONE_CLIENT_SECRET_FILE": "{file}"},
    ),
    "authorities": (
        ["plan", "-e", "prod"],
        {
            "CXONE_CLIENT_ID": "id",
            "CXONE_CLIENT_SECRET": "secret",
            "CXROUTE_CA_FILE": "{file}",
        },
    ),
    "keys of the endpoint": (
        ["serve", "-e", "prod"],
        {"CXROUTE_API_KEYS_FILE": "{file}"},
    ),
    "shared memory of the endpoint": (
        ["serve", "-e", "prod"],
        {"CXROUTE_SHARED_FILE": "{file}"},
    ),
    "drift": (
        ["github", "drift-issue", "-e", "prod", "--plan", "{file}", "--body", "b.md"],
        {"GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "1", "GITHUB_SHA": "0" * 40},
    ),
    "report": (
        ["github", "comment", "-e", "prod", "--applied", "{file}"],
        {"GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "1", "GITHUB_SHA": "0" * 40},
    ),
    "event": (
        ["github", "comment", "-e", "prod", "--outdated"],
        {"GITHUB_EVENT_PATH": "{file}"},
    ),
}
"""By file: the command that reads it, and its environment variables."""


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize("kind", ["a named pipe", "a device"])
@pytest.mark.parametrize("reader", READERS)
def test_each_command_refuses_a_special_file(
    reader: str, kind: str, odd_files: dict[str, str], tmp_path: Path
) -> None:
    """A pipe without a writer and an endless device give one sentence, immediately and with little
    memory.
    """
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests/prod.yaml").write_text(PLAIN, "utf-8")
    (tmp_path / "live.json").write_text('{"rules": [], "queues": []}', "utf-8")
    arguments, variables = READERS[reader]
    filled = [word.format(file=odd_files[kind]) for word in arguments]
    environment = {
        name: value.format(file=odd_files[kind]) for name, value in variables.items()
    }
    ended = run_measured(
        tmp_path,
        filled,
        {"PATH": os.environ["PATH"], "PYTHONUTF8": "1", **environment},
        SECONDS,
    )
    assert (
        f"it is {kind}, not a regular file; save the contents to a file, and name that file"
        in ended.err
    )
    assert 0 != ended.code
    assert 1 == ended.err.count("error:")
    assert 200 * MIB > ended.peak


@pytest.mark.parametrize(
    "name", [".cxroute/sandbox.json", "manifests/prod.yaml", "traffic.csv"]
)
def test_a_pipe_at_a_fixed_path_is_refused(name: str, tmp_path: Path) -> None:
    """The sandbox's state, a manifest, and the traffic sample of an Environment."""
    (tmp_path / "manifests").mkdir()
    (tmp_path / ".cxroute").mkdir()
    (tmp_path / "manifests/all.yaml").write_text(
        "apiVersion: routing/v1\nkind: Environment\nname: sandbox\nowner: acme\n",
        "utf-8",
    )
    if name == "traffic.csv":
        (tmp_path / "manifests/prod.yaml").write_text(MANIFESTS, "utf-8")
    os.mkfifo(tmp_path / name)
    command = (
        ["plan", "-e", "prod", "--live", "x.json"]
        if name == "traffic.csv"
        else ["plan", "-e", "sandbox"]
    )
    (tmp_path / "x.json").write_text('{"rules": [], "queues": []}', "utf-8")
    ended = run_measured(
        tmp_path, command, {"PATH": os.environ["PATH"], "PYTHONUTF8": "1"}, SECONDS
    )
    assert (
        "not a regular file" in ended.err
        or "not found in the working directory" in ended.err
    )
    assert ended.code in {1, 3}
