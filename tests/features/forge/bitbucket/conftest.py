"""A Bitbucket on loopback, and a step of a pipeline that talks to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from reconciler.features.forge import bitbucket
from reconciler.features.forge.forge import Forge
from reconciler.rest.client import RestClient, RestClock
from tests.features.forge.bitbucket.fake import TOKEN, FakeBitbucket
from tests.features.forge.contract import MERGE, FakeRun
from tests.support.plain_http import PLAIN
from tests.support.program import Program


@pytest.fixture
def hub() -> Iterator[FakeBitbucket]:
    """The repository."""
    item = FakeBitbucket()
    with item.serving():
        yield item


@dataclass
class BitbucketStep:
    """A step in this process: its variables, the command, and its results."""

    hub: FakeBitbucket
    cxroute: Program
    patch: pytest.MonkeyPatch

    def __call__(self, *arguments: str) -> int:
        """Run the command; its output never has the token."""
        code = self.cxroute("bitbucket", *arguments)
        assert TOKEN not in self.cxroute.out + self.cxroute.err
        assert "Traceback" not in self.cxroute.err
        return code

    def on(self, run: FakeRun) -> None:
        """Set the variables of a step in that run."""
        for name in ("BITBUCKET_PR_ID", "CXROUTE_BITBUCKET_MANUAL"):
            self.patch.delenv(name, raising=False)
        for name, value in self.hub.variables(run).items():
            self.patch.setenv(name, value)

    def merged(self, *, run: int = 200, is_manual: bool = False) -> None:
        """Set the variables of a step in a run of the default branch."""
        self.on(FakeRun(id=run, sha=MERGE, pull_request=None, is_manual=is_manual))


@pytest.fixture
def stage(
    hub: FakeBitbucket, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> BitbucketStep:
    """A step of a pull request's run."""
    monkeypatch.delenv("CXROUTE_PROXY", raising=False)
    monkeypatch.setenv("CXROUTE_OUTPUT", "output")
    monkeypatch.setattr(
        RestClock.__new__,
        "__defaults__",
        (time.monotonic, time.time, lambda _seconds: None),
    )
    created = BitbucketStep(hub, cxroute, monkeypatch)
    created.on(FakeRun())
    return created


@pytest.fixture
def forge(hub: FakeBitbucket) -> Iterator[Forge]:
    """The adapter."""
    run = bitbucket.read_run(hub.variables(FakeRun()))
    with httpx.Client(trust_env=False, timeout=5, verify=PLAIN) as http:
        client = RestClient(
            dialect=bitbucket.DIALECT, http=http, base=run.api, token=TOKEN
        )
        yield bitbucket.Bitbucket(client, run)


def outputs() -> dict[str, str]:
    """Return the outputs of the last step."""
    return dict(
        line.split("=", 1)
        for line in Path("output").read_text(encoding="utf-8").splitlines()
    )
