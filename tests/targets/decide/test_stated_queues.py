"""Queues of an Environment without a tenant: those of its manifests and of the published table."""

from __future__ import annotations

import asyncio
from pathlib import Path

from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.target_fields import environment_model
from reconciler.core.model.rule import Queue
from reconciler.core.target import Author, target_of
from tests.support.served_tables import a_table, rule_json
from tests.support.target_places import PlaceSurroundings, ServedPlace


def test_queues_of_the_table_have_their_names(tmp_path: Path) -> None:
    """An unmanaged rule may use a queue that no manifest names."""
    place = ServedPlace(tmp_path)
    document = {
        "name": "prod",
        "owner": "acme",
        "api": {"rules": "served", "served": {"url": "http://localhost:3000"}},
    }
    environment = environment_model(document).model_validate(document)
    assert isinstance(environment, Environment)

    async def queues() -> tuple[Queue, ...]:
        table = a_table(rule_json("lost"))
        await place.tables.publish(table, None, Author(), place.clock.time.now())
        surroundings = PlaceSurroundings(environment, place)
        async with target_of(environment).open(surroundings, "read") as source:
            await source.rules()
            return await source.queues()

    names = [queue.name for queue in asyncio.run(queues())]
    assert names == [*place.queues, "Fraud Desk", "Billing"]
