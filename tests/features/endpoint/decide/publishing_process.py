"""A process that publishes tables without end: `python -m ...publishing_process FILE`.

It prints the version of each publication once it is complete, and is meant to be killed.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from reconciler.core.target import Author
from reconciler.targets.decide.file_tables import FileTables
from reconciler.targets.decide.table import PublishedTable
from tests.support.served_tables import a_table, rule_json

RULES = 40


def edition(number: int) -> PublishedTable:
    """Return one of two tables of several thousand bytes."""
    name = ("first", "second")[number % 2]
    return a_table(*(rule_json(f"{name}-{rule}") for rule in range(RULES)))


async def publish_on(path: Path) -> None:
    """Publish the two tables in turn; never ends."""
    store = FileTables(path)
    tables = (edition(0), edition(1))
    for number in count():
        current = await store.current()
        tag = current.etag if current else None
        author = Author("process")
        now = datetime.now(UTC)
        published = await store.publish(tables[number % 2], tag, author, now)
        sys.stdout.write(f"{published.facts.version}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(publish_on(Path(sys.argv[1])))
