"""The server cannot write: what its modules reach, and what its process does."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.cli.feature import load_features
from tests.support.assistant_client import (
    ServedProject,
    ToolCall,
    asking,
    over_stdio,
)
from tests.support.bank_history import BankHistory
from tests.support.imports import imported

ROOT: Final = Path(__file__).resolve().parents[3]
FEATURE: Final = ROOT / "reconciler/features/assistant"
DOOR: Final = "live.py"
CALLER: Final = {"intent": "lost_or_stolen_card", "confidence": 0.9}
TEMPORARY: Final = "temporary"
STARTED: Final = "subprocess.Popen"
PROGRAM: Final = "reconciler"
WRITING_CALLS: Final = {
    *("write_text", "write_bytes", "mkdir", "makedirs", "unlink", "rename", "rmdir"),
    *("symlink_to", "hardlink_to", "touch", "rmtree", "copyfile", "copytree", "move"),
    *("NamedTemporaryFile", "TemporaryDirectory", "TemporaryFile", "mkdtemp"),
    *("mkstemp", "fdopen", "open", "truncate", "chmod", "Popen", "system"),
}
WRITING_METHODS: Final = {"POST", "PUT", "PATCH", "DELETE"}
ALLOWED: Final = {
    # the versions of git are read as a checkout has them, in a folder that is removed at once
    ("reconciler.cli.git_manifests", "TemporaryDirectory"),
    ("reconciler.cli.git_manifests", "mkdir"),
    ("reconciler.cli.git_manifests", "symlink_to"),
    ("reconciler.cli.git_manifests", "write_bytes"),
    # git itself, by words that only read
    ("reconciler.cli.git", "Popen"),
    # the null device, in place of a broken stdout
    ("reconciler.cli.stdio", "open"),
    # a file that is read
    ("reconciler.core.text.files", "open"),
    ("reconciler.core.text.files", "fdopen"),
    # the methods that a profile of a tenant may name
    ("reconciler.core.manifest.kinds.profile", "PATCH"),
    ("reconciler.core.manifest.kinds.profile", "PUT"),
}
"""The modules behind the fence, each with the words that look like writing, and why they are not."""
WITNESS: Final = """\
import atexit, json, os, sys

LOG = os.open(os.environ["WITNESS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod",
           "os.truncate", "shutil.rmtree", "socket.connect", "subprocess.Popen")

def look(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, int) or not (flags or 0) & WRITES:
            return
    elif event not in CHANGES:
        return
    place = str(arguments[0])
    if event in ("os.remove", "os.rmdir") and arguments[-1] >= 0:
        place = os.path.join(os.readlink(f"/proc/self/fd/{arguments[-1]}"), place)
    os.write(LOG, (json.dumps([event, place]) + "\\n").encode())

def end():
    os.write(LOG, (json.dumps(["modules", sorted(sys.modules)]) + "\\n").encode())

sys.addaudithook(look)
atexit.register(end)
"""
NEVER_LOADED: Final = (
    *("reconciler.core.apply.loop", "reconciler.core.apply.table"),
    *("reconciler.core.pipeline", "reconciler.cli.clients", "reconciler.cli.files"),
    *("reconciler.cli.commands.apply", "reconciler.cli.execute"),
    *("aiohttp", "reconciler.targets.platform.transport.aiohttp_transport"),
    "reconciler.targets.rules_api.client",
)
"""Modules that write to a tenant or to files, and those that contact one."""


def module_file(name: str) -> Path | None:
    """Return the file of a module of the program; None of another name."""
    path = ROOT / name.replace(".", "/")
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.exists():
            return file
    return None


def reached(files: Iterable[Path]) -> dict[str, Path]:
    """Return the modules that files import when they run, in functions too, and what these import;
    nothing behind the door.
    """
    pending = list(files)
    modules: dict[str, Path] = {}
    while pending:
        for name in imported(pending.pop()):
            parts = name.split(".")
            for end in range(1, len(parts) + 1):
                module = ".".join(parts[:end])
                file = module_file(module)
                if parts[0] != PROGRAM or file is None or file.name == DOOR:
                    continue
                if module not in modules:
                    modules[module] = file
                    pending.append(file)
    return modules


def writing_words(file: Path) -> Iterator[str]:
    """Yield the calls of a module that may write, and the methods of HTTP that do."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func
            name = getattr(called, "attr", getattr(called, "id", ""))
            if name in WRITING_CALLS:
                yield name
        if isinstance(node, ast.Constant) and node.value in WRITING_METHODS:
            yield str(node.value)


def test_no_module_behind_the_fence_writes() -> None:
    """All modules but the door to a tenant, with the hooks by which they ask other features."""
    hooks = [
        feature.hooks["explain_parts"].partition(":")[0]
        for feature in load_features()
        if "explain_parts" in feature.hooks
    ]
    files = [file for file in FEATURE.glob("*.py") if file.name != DOOR]
    files += [file for name in hooks if (file := module_file(name))]
    modules = reached(files)
    assert len(modules) > 100
    found = {
        (name, word) for name, file in modules.items() for word in writing_words(file)
    }
    assert ALLOWED == found


def test_the_door_opens_for_reading_alone() -> None:
    """Each call that opens a tenant says "read" as a literal; only `--live` imports the door."""
    calls = [
        node
        for file in FEATURE.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) == "open_source"
    ]
    assert [["session", "'read'"]] == [
        list(map(ast.unparse, call.args)) for call in calls
    ]
    importing = [
        file.name
        for file in FEATURE.glob("*.py")
        if any(
            name.startswith(f"{PROGRAM}.features.assistant.live")
            for name in imported(file)
        )
    ]
    assert ["command.py"] == importing


def watched(folder: Path, calls: list[ToolCall], place: Path) -> list[list[Any]]:
    """Ask a server that a witness watches; return what it opened to write, started and imported.

    `place` is a new folder, with one for the server's temporary files.
    """
    (place / TEMPORARY).mkdir(parents=True)
    (place / "sitecustomize.py").write_text(WITNESS, encoding="utf-8")
    log = place / "log"
    project = ServedProject(
        folder,
        variables={
            "PYTHONPATH": f"{place}:{ROOT}",
            "WITNESS": str(log),
            "TMPDIR": str(place / TEMPORARY),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    run = over_stdio(project, asking(calls))
    assert [] == [reply.answer for reply in run.result if reply.is_error]
    lines = log.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def contents(folder: Path) -> dict[Path, bytes]:
    """Return the files below a folder, those of git included."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def events_elsewhere(events: list[list[Any]], place: Path) -> list[list[Any]]:
    """Return what a server wrote outside its temporary folder, and what it started but git."""
    written = (f"{place / TEMPORARY}/", "/dev/null")
    return [
        [event, where]
        for event, where in events
        if not (where == "git" if event == STARTED else where.startswith(written))
    ]


QUESTIONS: Final = (
    ToolCall("where_does_it_go", CALLER),
    ToolCall("find_rules", {"queue": "fraud"}),
    ToolCall("list_queues", {}),
    ToolCall("check_promise", {}),
    ToolCall("who_is_affected", {"revision": "HEAD~1"}),
)


@pytest.mark.slow
@pytest.mark.usefixtures("sdk")
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
@pytest.mark.parametrize("with_history", [False, True])
def test_a_server_at_work_writes_nothing(
    bank: BankHistory, tmp_path_factory: pytest.TempPathFactory, *, with_history: bool
) -> None:
    """Every tool, watched by an audit hook: only the folder of git's versions is written, and it is
    removed; only git is started. No module that writes is imported, unless `since` asks the
    journal, whose feature has such modules, for the first run.
    """
    before = contents(bank.folder)
    place = tmp_path_factory.mktemp("watched") / "place"
    history = [ToolCall("since", CALLER)] if with_history else []
    events = watched(bank.folder, [*QUESTIONS, *history], place)
    (_, modules) = events.pop()
    assert [] == events_elsewhere(events, place)
    assert [STARTED, "git"] in events
    assert [] == list((place / TEMPORARY).iterdir())
    assert before == contents(bank.folder)
    assert "reconciler.features.assistant.server" in modules
    loaded = [name for name in NEVER_LOADED if name in modules]
    assert with_history or [] == loaded
    assert "aiohttp" not in modules
