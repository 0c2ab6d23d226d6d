"""The metrics of several processes as those of one: each sample is the sum of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    Families = dict[str, tuple[list[str], dict[str, float]]]


def summed(texts: Iterable[bytes]) -> bytes:
    """Return one text in Prometheus' format for several. A sample that only some have stands behind its family's."""
    families: Families = {}
    for text in texts:
        _add(families, text.decode())
    lines = [
        line
        for heads, samples in families.values()
        for line in (*heads, *(f"{name} {_number(value)}" for name, value in samples.items()))
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def _add(families: Families, text: str) -> None:
    heads: list[str] = []
    samples: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            name = line.split(" ", 3)[2]
            heads, samples = families.setdefault(name, ([], {}))
            if line not in heads:
                heads.append(line)
        else:
            name, _, value = line.rpartition(" ")
            samples[name] = samples.get(name, 0.0) + float(value)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 6))
