"""Requirements of a test on the machine: optional on a developer's machine, mandatory in CI."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

from tests.support.surroundings import CI


def skip_or_fail(why: str) -> NoReturn:
    """Skip the test with the reason; fail it if CI=true."""
    if os.environ.get(CI) == "true":
        pytest.fail(f"CI has all that tests need, but {why}")
    pytest.skip(why)
