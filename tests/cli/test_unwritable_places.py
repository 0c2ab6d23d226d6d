"""Files and folders that cannot be written, and a stdout that is closed: clear errors, no
traceback.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from reconciler.cli.files import new_folder, write_text
from reconciler.cli.main import main
from reconciler.core.errors import CxrouteError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.program import Program

ROOT: Final = Path(__file__).resolve().parents[2]
NOBODY: Final = 65534
WRITERS: Final = {
    "explore": ("explore", "--out"),
    "plan": ("plan", "--out"),
    "table": ("table", "--format", "csv", "--out"),
    "junit": ("test", "--junit"),
    "report": ("plan", "--report"),
    "drift report": ("drift", "--report"),
    "adequacy": ("test", "--adequacy", "--write"),
}
LONG: Final = "x" * 300


def is_clear(program: Program) -> bool:
    """Return whether a command failed with an error in words."""
    return (
        "error: " in program.err
        and "bug in cxroute" not in program.err
        and "Traceback" not in program.err
    )


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize("words", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize(
    "name", [f"{LONG}.yaml", "a\nb\x00.yaml", "none/there/x.yaml", "folder.yaml"]
)
def test_a_file_that_cannot_be_written_is_a_clear_error(
    cxroute: Program, words: tuple[str, ...], name: str
) -> None:
    """A name that is too long, has NUL, is a folder, or lies in no folder; a report creates its
    folders.
    """
    assert 0 == cxroute("init")
    Path("folder.yaml").mkdir()
    code = cxroute(*words, name)
    if "--report" in words and name in ("none/there/x.yaml", "folder.yaml"):
        assert code in (0, 2)
        return
    assert code in (1, 64), (code, cxroute.err)
    assert is_clear(cxroute), cxroute.err
    assert "\n" not in cxroute.err.rstrip()


@pytest.mark.parametrize("name", [LONG, f"{LONG}/deep", "a\x00b"])
def test_init_says_why_a_folder_cannot_be_created(cxroute: Program, name: str) -> None:
    """The name is too long, or has the character NUL."""
    assert cxroute("init", name) in (1, 64)
    assert is_clear(cxroute), cxroute.err
    assert LONG[:250] in cxroute.err or "NUL" in cxroute.err


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (LONG, "the name is too long. Choose a shorter one"),
        ("none/x", "none is not a folder. Create it first, or choose another one"),
        ("file/x", "file is not a folder. Create it first, or choose another one"),
        ("a\x00b", "the name contains the character NUL"),
        ("folder", "it is a directory"),
    ],
)
def test_a_message_says_what_is_wrong_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, reason: str
) -> None:
    """Each reason has its remedy."""
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").write_text("")
    with pytest.raises(CxrouteError) as caught:
        write_text(Path(path), "{}")
    assert str(caught.value).endswith(f": {reason}")
    assert {"folder", "file"} == {each.name for each in tmp_path.iterdir()}


def test_a_folder_with_a_name_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    """`--report` creates folders."""
    with pytest.raises(
        CxrouteError, match=r"cannot create the folder .*: the name is too long"
    ):
        new_folder(tmp_path / LONG)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A limit of the size of files takes a part of the text: the message says it, and nothing has
    changed.
    """
    path = tmp_path / "plan.json"
    path.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(
            CxrouteError, match="Free some space, or choose another disk"
        ):
            write_text(path, "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert {"plan.json": "old"} == {
        each.name: each.read_text() for each in tmp_path.iterdir()
    }


def run_without_privileges(
    folder: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    """Run the program in a folder; root gives up the right to write everywhere."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    rights = "-dac_override,-dac_read_search"
    without = (
        ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"]
        if os.geteuid() == 0
        else []
    )
    command = [*without, sys.executable, "-m", "reconciler", *words]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def readable(tmp_path: Path) -> Iterator[Path]:
    """A folder with manifests that can be read, and not written."""
    folder = tmp_path / "readable"
    assert 0 == main(["init", str(folder / "manifests")])
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


@pytest.mark.slow
@pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"),
    reason="root can write everywhere",
)
@pytest.mark.parametrize(
    "words",
    [
        ("plan", "-e", "sandbox"),
        ("drift", "-e", "sandbox"),
        ("plan", "-e", "sandbox", "--format", "json"),
    ],
)
def test_the_sandbox_is_read_where_nothing_can_be_written(
    readable: Path, words: tuple[str, ...]
) -> None:
    """A plan and a drift report write nothing; apply says that it cannot write."""
    done = run_without_privileges(readable, *words)
    assert done.returncode in (0, 2), done.stderr
    assert "cannot be written" not in done.stderr
    refused = run_without_privileges(readable, "apply", "-e", "sandbox", "--yes")
    assert 1 == refused.returncode
    assert (
        "error: .cxroute/sandbox.json: cannot be opened: Permission denied"
        in refused.stderr
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    ["plan", "--version", "schema", "plan --format json", "test", "schema plan"],
)
@pytest.mark.usefixtures("cxroute")
def test_a_result_without_stdout_is_an_error(words: str) -> None:
    """The output is lost, so the exit code is not 0, and a message on stderr says why."""
    command = [sys.executable, "-m", "reconciler", *words.split()]
    assert 0 == main(["init"])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        check=False,
    )
    assert 1 == done.returncode, done.stderr
    expected = (
        "error: the result was not printed, because stdout is closed. Open it, or redirect it to a "
        "file"
    )
    assert expected == done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("cxroute")
def test_an_error_keeps_its_exit_code_without_stdout() -> None:
    """Exit 64 stays 64: nothing was to be printed on stdout."""
    command = [sys.executable, "-m", "reconciler", "plan", "--nothing"]
    assert 0 == main(["init"])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        check=False,
    )
    assert (64, 1) == (done.returncode, len(done.stderr.strip().splitlines()))
