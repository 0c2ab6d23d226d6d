"""Words for people, under the name that renderers know them by."""

from reconciler.words import (
    asks_phrase,
    condition_phrase,
    conversation_phrase,
    counted,
    plain,
    queue_phrase,
    queues_phrase,
    range_phrase,
    rule_phrase,
    subject_phrase,
    target_phrase,
    value,
)

__all__ = [
    "asks_phrase",
    "condition_phrase",
    "conversation_phrase",
    "counted",
    "plain",
    "queue_phrase",
    "queues_phrase",
    "range_phrase",
    "rule_phrase",
    "subject_phrase",
    "target_phrase",
    "value",
]
