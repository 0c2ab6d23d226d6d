"""Tenants to start from."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from reconciler.simulator.state import State

if TYPE_CHECKING:
    from collections.abc import Iterable


def empty(queues: Iterable[dict[str, Any]] = ()) -> State:
    """Return a tenant with queues and without rules."""
    return State(queues=queues)


def bank() -> State:
    """Return a bank's tenant as found in life: hand-made rules, other owners' rules, unknown fields."""
    tenant = json.loads(files("reconciler.simulator").joinpath("tenants/bank.json").read_text(encoding="utf-8"))
    return State(queues=tenant["queues"], rules=tenant["rules"])
