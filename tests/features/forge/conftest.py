"""Fixtures of the tests that run on every forge."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib import import_module
from typing import cast

import pytest

from reconciler.rest.client import RestClock
from tests.features.forge.contract import FakeForge, FakeRun
from tests.features.forge.stage import FAKES, ForgeStage
from tests.support.program import Program


@pytest.fixture(params=FAKES)
def stage(
    request: pytest.FixtureRequest, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ForgeStage]:
    """A step of the pull request's run, on each forge."""
    forge = cast("FakeForge", import_module(FAKES[request.param]).fake_forge())
    monkeypatch.delenv("CXROUTE_PROXY")
    slept: list[float] = []
    monkeypatch.setattr(
        RestClock.__new__, "__defaults__", (time.monotonic, time.time, slept.append)
    )
    with forge.serving():
        created = ForgeStage(forge, cxroute, monkeypatch, slept)
        created.enter(FakeRun())
        yield created
