"""The extension for Visual Studio Code: what its package contains, and that the packaged code
starts the server.

VS Code itself, which its own test tool downloads, is not used: the editor's API is a stand-in
(editors/vscode/test/extension.test.mjs).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

from reconciler.version import __version__
from tests.support.requirements import skip_or_fail

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).resolve().parents[3]
EXTENSION: Final = ROOT / "editors" / "vscode"
FILES: Final = {
    "[Content_Types].xml",
    "extension.vsixmanifest",
    "extension/LICENSE.txt",
    "extension/dist/extension.js",
    "extension/dist/manifest.schema.json",
    "extension/package.json",
    "extension/readme.md",
}


def run(*command: str, **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=EXTENSION,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked .vsix, built from the present sources."""
    if shutil.which("node") is None or not (EXTENSION / "node_modules").is_dir():
        skip_or_fail("the extension cannot be built here (make vscode)")
    folder = tmp_path_factory.mktemp("vsix")
    run("node", "build.mjs")
    run(
        "node",
        "node_modules/@vscode/vsce/vsce",
        "package",
        "--no-dependencies",
        "--out",
        str(folder / "a.vsix"),
    )
    with zipfile.ZipFile(folder / "a.vsix") as archive:
        archive.extractall(folder)
        assert set(archive.namelist()) == FILES
    return folder / "extension"


def test_the_package_has_the_version_and_the_schema_of_the_project(
    package: Path,
) -> None:
    """Its settings are those that README.md of the extension and docs/editors.md name."""
    description = json.loads((package / "package.json").read_text("utf-8"))
    assert __version__ == description["version"]
    schema = (package / "dist" / "manifest.schema.json").read_bytes()
    assert (ROOT / "schema" / "manifest.v1.json").read_bytes() == schema
    properties = description["contributes"]["configuration"]["properties"]
    assert {"cxroute.command": "cxroute", "cxroute.args": ["lsp"]} == {
        name: field["default"] for name, field in properties.items()
    }
    for page in (EXTENSION / "README.md", ROOT / "docs" / "editors.md"):
        assert set(properties) == set(
            re.findall(r"`(cxroute\.\w+)`", page.read_text("utf-8"))
        )
    assert set(properties) == set(
        description["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"]
    )


def test_the_packaged_code_starts_the_server(package: Path) -> None:
    """With a stand-in for the editor: findings arrive, a missing command is a message, and trust
    comes first.
    """
    command = Path(sys.executable).with_name("cxroute")
    output = run(
        "node",
        "--test",
        "test/",
        CXROUTE_BUNDLE=str(package / "dist" / "extension.js"),
        CXROUTE_COMMAND=str(command),
    )
    assert "# fail 0" in output
    assert "it starts the server and shows its findings" in output


def test_the_lock_names_no_address() -> None:
    """Npm finds the packages where the machine is configured to; each has its checksum."""
    packages = json.loads((EXTENSION / "package-lock.json").read_text("utf-8"))[
        "packages"
    ]
    assert [] == [name for name, each in packages.items() if "resolved" in each]
    assert [] == [
        name for name, each in packages.items() if name and "integrity" not in each
    ]
