"""The site, built once for all tests here, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import browser
from tests.site.built import built_once, require_sphinx, served

__all__ = ["browser"]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    require_sphinx()
    return built_once(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """The address of the latest version."""
    with served(site) as root:
        yield f"{root}/latest"
