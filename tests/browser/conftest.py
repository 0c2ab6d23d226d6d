"""One real browser for all tests here; without one they are skipped, and in CI they fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.machine import chromium, missing
from tests.support.requirements import skip_or_fail


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, started once per file: while it runs, a test of this process cannot run another
    event loop.
    """
    lack = missing()
    if lack:
        skip_or_fail(lack)
    with chromium() as started:
        yield started
