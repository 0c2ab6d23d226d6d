"""The documented settings of Neovim and Helix, in the real editors, beside the real
yaml-language-server.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Final

import pytest

from tests.support.requirements import skip_or_fail

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).resolve().parents[3]
PAGE: Final = ROOT / "docs" / "editors.md"
SERVERS: Final = ROOT / "editors" / "vscode" / "node_modules" / ".bin"
RULES: Final = (
    "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules:\n  - {intnet: a, queue: "
    "Desk}\n"
)
YAML_SERVER: Final = """\
vim.api.nvim_create_autocmd('FileType', {pattern = 'yaml', callback = function(event)
  local root = vim.fs.root(event.buf, {'manifests'})
  vim.lsp.start({name = 'yamlls', cmd = {'yaml-language-server', '--stdio'}, root_dir = root})
end})
"""
REPORT: Final = """\
local function seen()
  for _, each in ipairs(vim.diagnostic.get(0)) do
    if each.source == 'cxroute' then return #vim.lsp.get_clients({bufnr = 0}) == 2 end
  end
end
vim.wait(100000, seen, 50)
local clients, codes = {}, {}
for _, each in ipairs(vim.lsp.get_clients({bufnr = 0})) do table.insert(clients, each.name) end
for _, each in ipairs(vim.diagnostic.get(0)) do table.insert(codes, each.code) end
table.sort(clients)
io.stdout:write(vim.json.encode({clients, codes}) .. '\\n')
vim.cmd('qall!')
"""
YAML: Final = "yaml-language-server"
PATIENCE: Final = 120  # seconds, of a loaded machine


def setting(language: str) -> str:
    """Return the block of a language on the page."""
    (block,) = re.findall(
        rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL
    )
    return str(block)


def prepare(folder: Path, editor: str) -> dict[str, str]:
    """Write a project, and return the variables of the editor; skip where a part is missing."""
    if shutil.which(editor) is None:
        skip_or_fail(
            f"there is no {editor} on the path (Debian: apt-get install neovim hx)"
        )
    if not (SERVERS / "yaml-language-server").exists():
        skip_or_fail("yaml-language-server is not here (make vscode)")
    (folder / "project" / "manifests").mkdir(parents=True)
    (folder / "project" / "manifests" / "cards.yaml").write_text(
        RULES, encoding="utf-8"
    )
    path = f"{Path(sys.executable).parent}:{SERVERS}:{os.environ['PATH']}"
    return {
        "PATH": path,
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "TERM": "xterm-256color",
    }


def test_neovim_has_both_servers(tmp_path: Path) -> None:
    """Both are attached to a manifest, and the findings arrive."""
    variables = prepare(tmp_path, "nvim")
    (tmp_path / "init.lua").write_text(YAML_SERVER + setting("lua"), encoding="utf-8")
    (tmp_path / "report.lua").write_text(REPORT, encoding="utf-8")
    command = [
        "nvim",
        "--headless",
        "--clean",
        "-u",
        str(tmp_path / "init.lua"),
        "manifests/cards.yaml",
    ]
    command += ["-c", f"luafile {tmp_path / 'report.lua'}"]
    done = subprocess.run(
        command,
        cwd=tmp_path / "project",
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert [["cxroute", "yamlls"], ["CXR102"]] == json.loads(done.stdout), done.stderr


def test_helix_has_both_servers(tmp_path: Path) -> None:
    """Its log has the findings that the one sends, and the start of the other."""
    variables = prepare(tmp_path, "hx")
    (tmp_path / "config" / "helix").mkdir(parents=True)
    (tmp_path / "config" / "helix" / "languages.toml").write_text(
        setting("toml"), encoding="utf-8"
    )
    log = tmp_path / "helix.log"
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path / "project")
        os.execvpe(  # noqa: S606
            "hx", ["hx", "-vv", "--log", str(log), "manifests/cards.yaml"], variables
        )
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    received: set[str] = set()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and received != {YAML, "cxroute"}:
        if select.select([terminal], [], [], 0.2)[0]:
            os.read(terminal, 65536)
        lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
        answers = [line for line in lines if " <- " in line]
        received |= {
            "cxroute" for line in answers if "cxroute <-" in line and "CXR102" in line
        }
        received |= {
            YAML for line in answers if f"{YAML} <-" in line and "serverInfo" in line
        }
    os.write(terminal, b"\x1b:q!\r")
    assert {YAML, "cxroute"} == received, log.read_text("utf-8", "replace")[-2000:]
    finish(process, terminal)


def finish(process: int, terminal: int) -> None:
    """Wait until the editor ends, and end it if it asks; read what it draws, or it would wait for a
    reader.
    """
    end = time.monotonic() + 5
    while has_not_ended := os.waitpid(process, os.WNOHANG) == (0, 0):
        if time.monotonic() >= end:
            break
        if select.select([terminal], [], [], 0.2)[0]:
            with contextlib.suppress(OSError):
                os.read(terminal, 65536)
    if has_not_ended:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    os.close(terminal)
