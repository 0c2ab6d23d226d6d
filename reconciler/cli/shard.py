"""A share of the environments for each of several processes: the name alone decides, so nobody has to agree on it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from reconciler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

INDEX: Final = "JOB_COMPLETION_INDEX"
"""Kubernetes says in it which of an Indexed Job's pods this is, from 0."""
_SHAPE: Final = re.compile(r"([0-9]{1,6})?/([0-9]{1,6})", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` shares; `index` counts from 0."""

    index: int
    count: int

    def takes(self, name: str) -> bool:
        """Say whether an environment is in this share.

        Its name's digest, modulo the count: in just one share, whatever other environments there are. Another count
        deals all of them anew, which costs nothing: a share keeps nothing from one run to the next.
        """
        return int.from_bytes(sha256(name.encode()).digest()[:8], "big") % self.count == self.index

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def shard_of(text: str, variables: Mapping[str, str]) -> Shard:
    """Read INDEX/COUNT, or /COUNT with the index in a variable. Raises UsageError."""
    parts = _SHAPE.fullmatch(text)
    if parts is None:
        raise UsageError(f"--shard {text[:100]!r}: say INDEX/COUNT, such as 0/4, or /4 with the index in ${INDEX}")
    index, count = parts[1] or variables.get(INDEX, ""), int(parts[2])
    if not index:
        raise UsageError(f"--shard {text}: ${INDEX} does not say which share; say it as INDEX/COUNT, such as 0/{count}")
    if not _NUMBER.fullmatch(index):
        raise UsageError(f"--shard {text}: ${INDEX} is {index[:100]!r}, which is no number")
    if int(index) >= count:
        raise UsageError(f"--shard {index}/{count}: indexes count from 0, so the last of {count} is {count - 1}")
    return Shard(int(index), count)
