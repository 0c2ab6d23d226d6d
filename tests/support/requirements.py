"""What a test needs of the machine, and does not find: a person's machine need not have it, CI has to."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacking(why: str) -> NoReturn:
    """Skip the test with the reason; fail it where CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI has all that tests need, but {why}")
    pytest.skip(why)
