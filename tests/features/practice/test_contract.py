"""The simulator against `contract/*.json`: its responses match the contract
(contract/README.md).
"""

from __future__ import annotations

import asyncio

import httpx

from reconciler.features.practice.simulator.app import Simulator
from tests.support.cases import each_case
from tests.support.contract import (
    Json,
    check_response,
    examples,
    send_example,
    settings,
    tenant,
)


@each_case("example", examples())
def test_the_simulator_keeps_the_contract(example: Json) -> None:
    """In each example the in-process response matches the contract, except for the parts that it
    leaves open.
    """

    async def replay() -> httpx.Response:
        app = Simulator(tenant(example["given"]), settings(example["given"]))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost"
        ) as client:
            return await send_example(example, client)

    check_response(example, asyncio.run(replay()))


def test_there_are_examples_of_every_call() -> None:
    """The files have an example with a server's response for every call and status of
    api-contract.
    """
    observed = {
        (example["request"]["method"], example["response"]["status"])
        for example in examples()
    }
    every = {("POST", s) for s in (200, 201, 400, 401, 403, 404, 409, 422)}
    every |= {("GET", s) for s in (200, 400, 401, 403, 404, 429)}
    every |= {("PUT", s) for s in (200, 404, 409, 412)} | {
        ("DELETE", s) for s in (204, 404, 412)
    }
    assert set() == every - observed
