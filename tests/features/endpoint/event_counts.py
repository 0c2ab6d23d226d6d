"""The counts of events in the metrics of an endpoint."""

from __future__ import annotations

import asyncio
import re
from collections import Counter

from tests.features.endpoint.in_process_endpoint import Endpoint

Label = tuple[str, str, str]
"""Of a series: intent, confidence, fallback."""
SERIES = re.compile(
    r'cxroute_events_total\{intent="(.*)",confidence="(.*)",fallback="(.*)"\} (\d+)'
)


def counts(*texts: str) -> Counter[Label]:
    """Return the sum of the counts in the metrics of several instances, without zeros."""
    total: Counter[Label] = Counter()
    for intent, confidence, fallback, count in (
        actual for text in texts for actual in SERIES.findall(text)
    ):
        plain = intent.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
        total[plain, confidence, fallback] += int(count)
    return +total


def metrics(endpoint: Endpoint) -> str:
    return asyncio.run(endpoint.request("GET", "/metrics")).body.decode()
