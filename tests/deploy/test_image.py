"""The image, as far as possible without Docker: its content, its build, its user and its health
check.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Final, Literal

import pytest

from reconciler.cli import health
from tests.deploy.image import (
    HOME,
    ROOT,
    Instruction,
    build,
    command,
    copied,
    instructions,
    is_sent,
    stages,
)
from tests.features.endpoint.processes import MANIFEST
from tests.support.requirements import skip_or_fail
from tests.support.server_process import server_environment, server_process
from tests.support.surroundings import CI
from tests.tiers import FULL

DOCKERFILE: Final = instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))
DEFAULT, BUILD, FINAL = stages(DOCKERFILE)
IGNORED: Final = (ROOT / ".dockerignore").read_text(encoding="utf-8")
IMAGE_USER: Final = 10001
linux: Final = pytest.mark.skipif(
    not Path("/proc/self/net/tcp6").exists(), reason="an image runs on Linux"
)
INSTALLS_PACKAGES: Final = os.environ.get(CI) == "true" or FULL
"""Whether the packages are installed as in the Dockerfile, which needs twelve seconds and a package
index."""
Packages = Literal["full", "none"]
INTERPRETERS: Final = (
    sys.executable,
    *(f"/usr/bin/python3.{minor}" for minor in (sys.version_info.minor, 13, 12, 11)),
)


def test_hadolint_finds_nothing() -> None:
    """With the options of `make lint`."""
    lint = Path(sys.executable).with_name("hadolint")
    if not lint.exists():
        skip_or_fail("there is no hadolint for this machine")
    actual = subprocess.run(
        [lint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (0, "", "") == (actual.returncode, actual.stdout, actual.stderr)


@pytest.mark.parametrize("stage", [BUILD, FINAL], ids=["build", "final"])
def test_every_copied_path_exists_in_the_build_context(
    stage: list[tuple[str, str]],
) -> None:
    """A COPY of a missing or ignored path fails the build."""
    sources = [source for several, _ in copied(stage) for source in several]  # type: ignore[arg-type]
    assert sources
    assert [] == [
        source
        for source in sources
        if not (ROOT / source).exists() or not is_sent(source, IGNORED)
    ]


def test_the_build_context_has_no_other_file() -> None:
    """No secret of a working folder gets into a layer, and no file of git, tests or caches."""
    top = {path.name for path in ROOT.iterdir() if is_sent(path.name, IGNORED)}
    assert {
        source
        for stage in (BUILD, FINAL)
        for several, _ in copied(stage)
        for source in several
    } == top
    for kept_back in (
        ".git",
        ".env",
        ".cxroute/journal.jsonl",
        "tests/support/canary_secrets.py",
        "reconciler/__pycache__/a.pyc",
    ):
        assert not is_sent(kept_back, IGNORED)
    assert is_sent("reconciler/cli/main.py", IGNORED)


def test_installed_packages_are_pinned_and_no_index_is_named() -> None:
    """By hash, only wheels, with the packages of `serve`; both stages have the same base."""
    (installing,) = [
        item.rest
        for item in BUILD
        if item.name == "RUN" and " install " in item.rest and "pip" in item.rest
    ]
    assert {"--require-hashes", "--only-binary=:all:"} <= set(installing.split())
    assert "uvicorn==" in (ROOT / "requirements-serve.txt").read_text(encoding="utf-8")
    assert [Instruction("FROM", "python:3.13-slim-trixie AS default")] == DEFAULT
    assert Instruction("ARG", "BASE=default") == DOCKERFILE[0]
    assert {"${BASE}"} == {stage[0].rest.split()[0] for stage in (BUILD, FINAL)}
    assert "://" not in "".join(item.rest for item in DOCKERFILE)


def test_it_runs_as_an_unprivileged_user_in_work() -> None:
    """The last USER is a number other than 0, and only /work is writable."""
    assert [f"{IMAGE_USER}:{IMAGE_USER}"] == [
        item.rest for item in FINAL if item.name == "USER"
    ]
    created = next(item.rest for item in FINAL if item.name == "RUN")
    assert f"install -d -o {IMAGE_USER} -g {IMAGE_USER} -m 700 /work" == created
    assert ["/work"] == [item.rest for item in FINAL if item.name == "WORKDIR"]
    assert ["cxroute"] == command(FINAL, "ENTRYPOINT")


def interpreter_of_another_user() -> str:
    """Return a Python that the image's user can start."""
    python = next(
        filter(starts_as_another_user, map(os.path.realpath, INTERPRETERS)), None
    )
    if python is None:
        skip_or_fail(
            "another user can start no Python with venv and pip (Debian: apt-get install "
            "python3-venv)"
        )
    return python


def starts_as_another_user(python: str) -> bool:
    """Return whether the image's user can start this Python and make an environment with it."""
    needed = "import venv, pip" if INSTALLS_PACKAGES else "import venv"
    try:
        subprocess.run(
            [python, "-Ic", needed],
            user=IMAGE_USER,
            cwd="/",
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that other users can read, unlike pytest's."""
    created = Path(tempfile.mkdtemp(prefix="cxroute-image-"))
    created.chmod(0o755)
    yield created
    subprocess.run(["chmod", "-R", "u+w", created], check=True)
    shutil.rmtree(created)


@pytest.mark.slow
def test_the_image_runs_on_a_read_only_tree(folder: Path) -> None:
    """Each command of the Dockerfile's build, in a folder; then the program.

    The packages are those of the test.
    """
    run_image(
        folder,
        os.path.realpath(sys.executable),
        None,
        packages="full" if FULL else "none",
    )


@pytest.mark.slow
@pytest.mark.root
def test_the_image_runs_as_another_user_on_a_read_only_tree(folder: Path) -> None:
    """The same as the user of the image, to whom nothing but /work belongs, with packages of its
    own, and the demo.
    """
    packages: Packages = "full" if INSTALLS_PACKAGES else "none"
    run_image(folder, interpreter_of_another_user(), IMAGE_USER, packages=packages)


def run_image(
    folder: Path, python: str, user: int | None, *, packages: Packages
) -> None:
    """Build the image in a folder, run it as a user (None: the present one), and check that its
    files are unchanged.
    """
    home = build(BUILD, folder, python, None if packages == "full" else "true")
    work = folder / "work"
    work.mkdir()
    if user is not None:
        os.chown(work, user, user)
    subprocess.run(["chmod", "-R", "a-w,a+rX", home], check=True)
    before = state_of(home)

    for arguments in (
        (["--version"], ["demo"]) if packages == "full" else (["--version"],)
    ):
        ran = subprocess.run(
            [home / "bin/cxroute", *arguments],
            cwd=work,
            env={"LOGNAME": "cxroute"},
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (0, "") == (ran.returncode, ran.stderr), ran.stdout

    assert before == state_of(home)
    assert [] != list((home / "app/reconciler/cli/__pycache__").glob("main.*.pyc")), (
        "compiled once, at the build"
    )
    assert not list(home.glob("app/tests*"))
    assert HOME == "/opt/cxroute"


def state_of(home: Path) -> list[tuple[str, int]]:
    """Return each file with the time of its last change."""
    return sorted((str(path), path.lstat().st_mtime_ns) for path in home.rglob("*"))


DEAD: Final = "http://127.0.0.1:9"


@linux
def test_servers_are_healthy_on_any_port_and_with_any_proxy(tmp_path: Path) -> None:
    """serve, watch --listen and simulate, each on its own port, as processes of one container."""
    python, *words = command(DOCKERFILE, "HEALTHCHECK")
    assert ["python", "-I", "-m", "reconciler.cli.health"] == [python, *words]
    with server_process(tmp_path, "simulate", "--port", "0") as (simulate, url):
        (tmp_path / "manifests").mkdir()
        (tmp_path / "manifests/all.yaml").write_text(
            MANIFEST.format(url=url), encoding="utf-8"
        )
        with (
            server_process(tmp_path, "serve", "-e", "prod", "--port", "0") as (
                serve,
                _,
            ),
            server_process(
                tmp_path, "watch", "-e", "prod", "--listen", "127.0.0.1:0"
            ) as (watch, _),
        ):
            (proc := tmp_path / "proc").mkdir()
            for item in (simulate, serve, watch):
                (proc / str(item.pid)).symlink_to(f"/proc/{item.pid}")
            variables = {
                **server_environment(),
                "http_proxy": DEAD,
                "HTTP_PROXY": DEAD,
                "all_proxy": DEAD,
                "PORT": "9",
            }
            checked = subprocess.run(
                [sys.executable, *words, proc],
                env=variables,
                capture_output=True,
                check=False,
            )
    assert (0, b"") == (checked.returncode, checked.stderr)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A socket that responds to each request with `status`; without one, it closes the
    connection.
    """
    with Endpoint() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


class Endpoint(HTTPServer):
    """Listens on loopback, in IPv6."""

    address_family = socket.AF_INET6
    status = 0

    def __init__(self) -> None:
        super().__init__(("::1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    """Answers /health with the given status."""

    def do_GET(self) -> None:
        """Respond, or close the connection."""
        assert isinstance(self.server, Endpoint)
        if self.server.status:
            self.send_response(self.server.status if self.path == "/health" else 404)
            self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def container(folder: Path, line: str, *sockets: HTTPServer) -> str:
    """Return a /proc with one process, which has this command line and these sockets."""
    process = folder / "7"
    (process / "fd").mkdir(parents=True)
    (process / "cmdline").write_text(
        "".join(f"{word}\0" for word in ("python", "-I", "-m", *line.split()))
    )
    (process / "fd/0").symlink_to("/dev/null")
    for item in sockets:
        inode = os.fstat(item.fileno()).st_ino
        (process / f"fd/{item.fileno()}").symlink_to(f"socket:[{inode}]")
    (process / "net").symlink_to("/proc/self/net")
    return str(folder)


@linux
@pytest.mark.parametrize(
    ("line", "status", "expected"),
    [
        ("reconciler serve", 200, 0),
        ("reconciler serve", 503, 1),
        ("reconciler serve", 0, 1),
        ("reconciler -e prod watch --listen :9090", 200, 0),
        ("reconciler -e prod watch --listen :9090", 503, 1),
        ("reconciler simulate --port 0", 503, 0),
        ("another.program serve", 503, 0),
    ],
)
def test_an_endpoint_is_healthy_if_its_health_path_says_so(
    tmp_path: Path, endpoint: Endpoint, line: str, status: int, expected: int
) -> None:
    """The response of /health decides, if the command has one; other programs are not requested."""
    endpoint.status = status
    assert expected == health.main(container(tmp_path, line, endpoint))


@linux
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("reconciler plan", 0),
        ("reconciler --version", 0),
        ("reconciler no-command", 0),
        ("reconciler watch", 0),
        ("reconciler serve", 1),
        ("reconciler -q simulate", 1),
        ("reconciler watch --listen=:80", 1),
    ],
)
def test_the_health_check_fails_only_for_commands_that_should_listen(
    tmp_path: Path, line: str, expected: int
) -> None:
    """The process's command line decides."""
    assert expected == health.main(container(tmp_path, line))


@linux
def test_the_health_check_ignores_ended_processes_only(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    """A process may end during the check; a socket that refuses is reported."""
    (tmp_path / "8").mkdir()
    assert 0 == health.main(str(tmp_path))
    shutil.rmtree(tmp_path / "8")
    proc = container(tmp_path, "reconciler simulate", endpoint)
    (tmp_path / "7/net").unlink()
    (tmp_path / "7/net").mkdir()
    assert 1 == health.main(proc), "without IPv6 there is no table of its sockets"
    assert (
        "process 7: `cxroute simulate` does not listen yet\n" == capsys.readouterr().err
    )
    for table in ("tcp", "tcp6"):
        text = (
            Path("/proc/self/net", table)
            .read_text()
            .replace(f":{endpoint.server_port:04X} ", ":0009 ")
        )
        (tmp_path / "7/net" / table).write_text(text)
    assert 1 == health.main(proc)
    assert capsys.readouterr().err.startswith("process 7: [Errno ")
