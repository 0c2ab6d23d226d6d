"""The bank as a clone with a history, and the SDK."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.assistant_client import require_sdk
from tests.support.bank_history import BankHistory
from tests.support.command import ROOT


@pytest.fixture
def sdk() -> None:
    """Skip a test where the SDK is not installed; fail it if CI=true."""
    require_sdk()


@pytest.fixture
def bank(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> BankHistory:
    """The bank with two commits and an edit that is not committed."""
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-03T09:12:00+0100")
    shutil.copytree(ROOT / "manifests", elsewhere / "manifests")
    return BankHistory.begin(elsewhere)
