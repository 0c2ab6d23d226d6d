"""Fixtures of the tests with hostile servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hostile.command import Place, Zygote, zygote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def forked() -> Iterator[Zygote]:
    """The one process that every command is forked from."""
    with zygote() as one:
        yield one


@pytest.fixture
def place(tmp_path: Path, forked: Zygote) -> Place:
    """A folder, and the command."""
    return Place(tmp_path, forked, {})
