"""Build and read a block of a Studio script, in a process of its own; prints the CPU seconds as
JSON.
"""

from __future__ import annotations

import gc
import json
import sys
from time import process_time

from reconciler.core.model.live import marker_digest
from reconciler.core.model.rule import Address, Rule, Target, make_condition
from reconciler.targets.studio.build import BlockEntry, build_block
from reconciler.targets.studio.layout import BlockLayout, storable_rule
from reconciler.targets.studio.read import read_block

LAYOUT = BlockLayout(owner="bench", block="main", variables={})


def entry(number: int) -> BlockEntry:
    intent = make_condition("intent", "equals", f"intent_{number}")
    confidence = make_condition("confidence", "greaterThanOrEqual", number % 97 / 100)
    rule = Rule(
        name=f"bench/cards/{number}",
        description=f"The rule number {number}",
        priority=number,
        enabled=number % 20 > 0,
        conditions=(confidence, intent),
        targets=(Target("4001", 1),)
        if number % 10
        else (Target("4001", 80), Target("4002", 20)),
    )
    return BlockEntry(
        storable_rule(rule, LAYOUT),
        Address("cards", f"k{number}"),
        marker_digest(rule),
        "",
    )


def main() -> None:
    gc.set_threshold(100_000, 20, 50)  # as the command line sets it
    entries = [entry(number) for number in range(int(sys.argv[1]))]
    start = process_time()
    text = build_block(entries, LAYOUT, {"4001": "Fraud Desk"})
    built = process_time()
    block = read_block(text, LAYOUT)
    read = process_time()
    assert [(each.rule, each.digest) for each in entries] == [
        (each.rule, each.digest) for each in block
    ]
    print(
        json.dumps(
            {"build": built - start, "read": read - built, "mib": len(text) / 1024**2}
        )
    )


if __name__ == "__main__":
    main()
