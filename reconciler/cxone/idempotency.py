"""Idempotency-Key: how a server that has such keys knows that a create came before."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Keys:
    """The keys of one client: of one body always the same, until its create was acknowledged."""

    def __init__(self, random: Callable[[], float]) -> None:
        """`random` returns a number in [0, 1): it tells one run's keys from another's."""
        self._run = repr(random())
        self._acknowledged: Counter[str] = Counter()

    def key(self, body: object) -> str:
        """Return the key to send with a create: one that is done late is then not done twice."""
        text = json.dumps(body, sort_keys=True)
        return sha256(f"{self._run} {self._acknowledged[text]} {text}".encode()).hexdigest()[:32]

    def acknowledged(self, body: object) -> None:
        """Note that the create was done: the same one after this is meant as another."""
        self._acknowledged[json.dumps(body, sort_keys=True)] += 1
