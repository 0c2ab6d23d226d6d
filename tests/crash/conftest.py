"""A server and its tenants, created once for all tests of this folder in one worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.crash.stage import CrashRun, CrashSetup
from tests.support.loopback_server import loopback_server


@pytest.fixture(scope="session")
def stages(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], CrashSetup]]:
    """Return the set-up of a profile, created at first use."""
    with loopback_server() as here:
        yield cache(
            lambda profile: CrashSetup(
                here, tmp_path_factory.mktemp(f"stage-{profile}"), profile
            )
        )


@pytest.fixture
def trial(stages: Callable[[str], CrashSetup], tmp_path: Path) -> CrashRun:
    """Return the tenant of the weakest profile, and a working directory."""
    return CrashRun(stages("C"), tmp_path)
