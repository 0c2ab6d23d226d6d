"""The order in which people read the rows of an effect: rows about the same intents stand
together.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from reconciler.core.behaviour.diff.effects import EffectRow
from reconciler.core.plan.words import listed_intents
from reconciler.core.text.phrases import Labels


@dataclass(slots=True)
class _Block:
    """Rows about intents that no row of another block lists."""

    positions: list[int]
    intents: AbstractSet[str]


def row_blocks(rows: Sequence[EffectRow], labels: Labels) -> list[list[EffectRow]]:
    """Return the rows in blocks, in reading order; rows of different blocks have no conversation in
    common.

    Rows are read from the top, so rows that may have a conversation in common keep their order.
    """
    lists = [frozenset(listed_intents(row, labels)) for row in rows]
    if not all(lists):
        return [list(rows)] if rows else []

    blocks: list[_Block] = []
    for position, intents in enumerate(lists):
        touched = [block for block in blocks if block.intents & intents]
        if not touched:
            blocks.append(_Block([position], intents))
            continue
        first, *others = touched
        for other in others:
            first.positions += other.positions
            first.intents |= other.intents
            blocks.remove(other)
        first.positions.append(position)
        first.intents |= intents
    return [
        [rows[position] for position in sorted(block.positions)] for block in blocks
    ]
