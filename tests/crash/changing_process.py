"""A process that changes a state without end: `python -m tests.crash.changing_process FILE SEED`.

It prints the number of each change once it is stored, and is meant to be killed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from typing import Any

from reconciler.features.practice.simulator.state import TenantState
from tests.support.simulated import QUEUES, stored


def change(state: TenantState, number: int, random: Random) -> None:
    """Make change `number`: mostly a create, else an update, a delete, a context, or a table."""
    ids = list(state.stored_rules)
    kind = random.random()
    if kind < 0.05:
        state.merge(f"c{random.randrange(9)}", {f"a{random.randrange(5)}": number})
    elif kind < 0.1:
        state.publish_table(number, {"version": number}, 40)
    elif ids and kind < 0.25:
        fields: dict[str, Any] = {"name": f"named {number % 7}", "priority": number}
        state.edit(random.choice(ids), 0.0, **fields)
    elif ids and kind < 0.4:
        state.remove(random.choice(ids))
    else:
        long = "é\n+" * random.randrange(300)
        state.put({**stored(number), "description": long})


def change_on(path: Path, seed: int) -> None:
    """Change the state of the file; never ends."""
    random = Random(seed)
    with TenantState.load(path, initial=TenantState(QUEUES)) as state:
        number = 0
        while True:
            change(state, number, random)
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
            number += 1


if __name__ == "__main__":
    change_on(Path(sys.argv[1]), int(sys.argv[2]))
