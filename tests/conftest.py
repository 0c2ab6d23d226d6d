"""Fixtures of several tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.program import VARIABLES, Program


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty `manifests` directory, as a person sees it from the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "manifests").mkdir()
    return Path("manifests")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own to work in, without the variables of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def cxroute(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """The program, typed in that folder."""
    del elsewhere
    return Program(capsys)
