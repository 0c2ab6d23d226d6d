"""The image, as far as it can be shown without Docker: what goes in, how it is built, who runs it, how it is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.context.processes import MANIFEST, environment, process
from tests.deploy.image import HOME, ROOT, Instruction, build, command, copied, instructions, is_sent, stages

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCKERFILE: Final = instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))
DEFAULT, BUILD, FINAL = stages(DOCKERFILE)
IGNORED: Final = (ROOT / ".dockerignore").read_text(encoding="utf-8")
NOBODY: Final = 10001
WHOLLY: Final = os.environ.get("CI") == "true" or os.environ.get("CXROUTE_CAMPAIGN") == "full"
"""Whether the packages are installed as the Dockerfile says, which takes twelve seconds and a package index."""
INTERPRETERS: Final = (sys.executable, *(f"/usr/bin/python3.{minor}" for minor in (sys.version_info.minor, 13, 12, 11)))


def test_hadolint_finds_nothing() -> None:
    """As `make lint` asks it."""
    lint = Path(sys.executable).with_name("hadolint")
    if not lint.exists():
        pytest.skip("there is no hadolint for this machine")
    found = subprocess.run([lint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (0, "", "") == (found.returncode, found.stdout, found.stderr)


@pytest.mark.parametrize("stage", [BUILD, FINAL], ids=["build", "final"])
def test_everything_that_is_copied_is_there_and_sent(stage: list[tuple[str, str]]) -> None:
    """A COPY of a path that .dockerignore holds back fails the build as well as one that does not exist."""
    sources = [source for several, _ in copied(stage) for source in several]  # type: ignore[arg-type]
    assert sources
    assert [] == [source for source in sources if not (ROOT / source).exists() or not is_sent(source, IGNORED)]


def test_nothing_else_is_sent() -> None:
    """No secret of a working folder gets into a layer, and no file of git, tests or caches."""
    top = {path.name for path in ROOT.iterdir() if is_sent(path.name, IGNORED)}
    assert {source for stage in (BUILD, FINAL) for several, _ in copied(stage) for source in several} == top
    for kept_back in (".git", ".env", ".cxroute/journal.jsonl", "tests/canary.py", "reconciler/__pycache__/a.pyc"):
        assert not is_sent(kept_back, IGNORED)
    assert is_sent("reconciler/cli/main.py", IGNORED)


def test_what_is_installed_is_pinned_and_comes_from_wherever_pip_is_told() -> None:
    """By hash, wheels alone, what `serve` needs too; both stages are of one base, and no index is named."""
    (installing,) = [one.rest for one in BUILD if one.name == "RUN" and " install " in one.rest and "pip" in one.rest]
    assert {"--require-hashes", "--only-binary=:all:"} <= set(installing.split())
    assert "uvicorn==" in (ROOT / "requirements-serve.txt").read_text(encoding="utf-8")
    assert [Instruction("FROM", "python:3.13-slim-trixie AS default")] == DEFAULT
    assert Instruction("ARG", "BASE=default") == DOCKERFILE[0]
    assert {"${BASE}"} == {stage[0].rest.split()[0] for stage in (BUILD, FINAL)}
    assert "://" not in "".join(one.rest for one in DOCKERFILE)


def test_it_runs_as_nobody_in_a_folder_of_its_own() -> None:
    """The last word on who runs it is a number other than 0, and what it may write is /work alone."""
    assert [f"{NOBODY}:{NOBODY}"] == [one.rest for one in FINAL if one.name == "USER"]
    made = next(one.rest for one in FINAL if one.name == "RUN")
    assert f"install -d -o {NOBODY} -g {NOBODY} -m 700 /work" == made
    assert ["/work"] == [one.rest for one in FINAL if one.name == "WORKDIR"]
    assert ["cxroute"] == command(FINAL, "ENTRYPOINT")


def interpreter() -> tuple[str, int | None]:
    """Return a Python and the user to start it: another one, where we may change to one who can reach a Python."""
    needed = "import venv, pip" if WHOLLY else "import venv"
    for one in INTERPRETERS if os.getuid() == 0 else ():
        real = os.path.realpath(one)
        try:
            subprocess.run([real, "-Ic", needed], user=NOBODY, cwd="/", check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return real, NOBODY
    return os.path.realpath(sys.executable), None


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that others may look into, unlike pytest's."""
    made = Path(tempfile.mkdtemp(prefix="cxroute-image-"))
    made.chmod(0o755)
    yield made
    subprocess.run(["chmod", "-R", "u+w", made], check=True)
    shutil.rmtree(made)


def test_what_is_built_runs_as_another_user_on_a_tree_that_nobody_can_write(folder: Path) -> None:
    """Each command of the Dockerfile's build, in a folder; then the program, and with all its packages the demo."""
    python, user = interpreter()
    home = build(BUILD, folder, python, None if WHOLLY else "true")
    work = folder / "work"
    work.mkdir()
    if user:
        os.chown(work, user, user)
    subprocess.run(["chmod", "-R", "a-w,a+rX", home], check=True)
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in home.rglob("*"))
    for arguments in (["--version"], ["demo"]) if WHOLLY else (["--version"],):
        ran = subprocess.run(
            [home / "bin/cxroute", *arguments],
            cwd=work,
            env={"LOGNAME": "cxroute"},
            user=user,
            group=user,
            extra_groups=[] if user else None,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (0, "") == (ran.returncode, ran.stderr), ran.stdout
    assert before == sorted((str(path), path.lstat().st_mtime_ns) for path in home.rglob("*"))
    assert [] != list((home / "app/reconciler/cli/__pycache__").glob("main.*.pyc")), "compiled once, at the build"
    assert not list(home.glob("app/tests*"))
    assert HOME == "/opt/cxroute"


DEAD: Final = "http://127.0.0.1:9"
ANSWERING: Final = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[1]) if self.path == "/health" else 404)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def health(folder: Path, *processes: int) -> int:
    """Return the exit code of the image's health check in a container with these processes, behind a dead proxy."""
    proc = Path(tempfile.mkdtemp(dir=folder))
    for one in processes:
        (proc / str(one)).symlink_to(f"/proc/{one}")
    python, *words = command(DOCKERFILE, "HEALTHCHECK")
    assert "python" == python
    variables = {**environment(), "http_proxy": DEAD, "HTTP_PROXY": DEAD, "all_proxy": DEAD, "PORT": "9"}
    assert ["-I", "-m", "reconciler.cli.health"] == words
    checked = subprocess.run([sys.executable, *words, str(proc)], env=variables, stderr=subprocess.DEVNULL, check=False)
    return checked.returncode


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="an image runs on Linux")
def test_what_listens_is_healthy_on_whatever_port_and_beside_any_proxy(tmp_path: Path) -> None:
    """serve, watch --listen and simulate, each on a port of its own choice; all of them in one container, too."""
    with process(tmp_path, "simulate", "--port", "0") as (simulate, url):
        (tmp_path / "manifests").mkdir()
        (tmp_path / "manifests/all.yaml").write_text(MANIFEST.format(url=url), encoding="utf-8")
        with (
            process(tmp_path, "serve", "-e", "prod", "--port", "0") as (serve, _),
            process(tmp_path, "watch", "-e", "prod", "--listen", "127.0.0.1:0") as (watch, _),
        ):
            assert 0 == health(tmp_path, simulate.pid, serve.pid, watch.pid)


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="an image runs on Linux")
@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        ("200", ("reconciler", "serve"), 0),
        ("503", ("reconciler", "serve"), 1),
        ("503", ("reconciler", "-e", "prod", "watch", "--listen", "127.0.0.1:9090"), 1),
        ("503", ("reconciler", "simulate"), 0),
        ("503", ("another program",), 0),
    ],
)
def test_an_endpoint_that_is_not_well_is_not_healthy(
    tmp_path: Path, status: str, words: tuple[str, ...], expected: int
) -> None:
    """What counts is the answer of /health, where the command has one; other programs are not asked."""
    line = [sys.executable, "-c", ANSWERING, status, *words]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout
            assert server.stdout.readline()
            assert expected == health(tmp_path, server.pid)
        finally:
            server.kill()


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="an image runs on Linux")
@pytest.mark.parametrize(
    ("words", "expected"),
    [(("plan",), 0), (("watch",), 0), (("serve",), 1), (("-q", "simulate"), 1), (("watch", "--listen=:80"), 1)],
)
def test_a_command_that_listens_to_nothing_is_healthy_and_one_that_does_not_listen_yet_is_not(
    tmp_path: Path, words: tuple[str, ...], expected: int
) -> None:
    """By the command that the process was started with."""
    line = [sys.executable, "-c", "input()", "reconciler", *words]
    with subprocess.Popen(line, stdin=subprocess.PIPE) as waiting:
        try:
            assert expected == health(tmp_path, waiting.pid)
        finally:
            waiting.kill()
    assert 0 == health(tmp_path, waiting.pid), "it has ended"
