"""The answer of Prometheus to the condition of a step: a range query, and what its result means.

Only one series of numbers, all of them above or below the bound and the newest of them recent, lets
a step be made. Everything else is a reason to wait.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from reconciler.core.desired.made_steps import Answer, condition_phrase
from reconciler.core.manifest.kinds.fields import parse_duration
from reconciler.core.manifest.kinds.ruleset import StepCondition
from reconciler.core.text.escape import sanitize

OLDEST: Final = timedelta(minutes=5)
"""The age of the newest sample at most; it may be as far in the future."""
_LONGEST_ERROR: Final = 200
_LONGEST_PAUSE: Final = 60.0  # seconds between two samples
_FEWEST: Final = 10  # samples in a short time
_MOST: Final = 10_000  # Prometheus refuses more than 11,000
_SAMPLE: Final = 2  # a time and a value


def range_query(condition: StepCondition, now: datetime) -> dict[str, str]:
    """Return the parameters of the query for the time of a condition up to now."""
    seconds = parse_duration(condition.for_).total_seconds()
    pause = max(min(_LONGEST_PAUSE, seconds / _FEWEST), seconds / _MOST, 1.0)
    end = now.timestamp()
    return {
        "query": condition.query,
        "start": f"{end - seconds:.3f}",
        "end": f"{end:.3f}",
        "step": f"{pause:.3f}",
    }


def waits(condition: StepCondition, reason: str) -> Answer:
    """Return the answer that a step waits."""
    return Answer(
        holds=False, reason=f"{reason} (condition: {condition_phrase(condition)})"
    )


def read_answer(
    condition: StepCondition, payload: Mapping[str, Any], now: datetime
) -> Answer:
    """Return whether a condition holds by the JSON of Prometheus, which is untrusted."""
    if payload.get("status") != "success":
        error = sanitize(str(payload.get("error") or "no success"), _LONGEST_ERROR)
        return waits(condition, f"Prometheus answers with an error: {error}")
    if payload.get("warnings"):
        return waits(condition, "Prometheus warns that its answer may not be complete")
    data = payload.get("data")
    result = data.get("result") if isinstance(data, Mapping) else None
    if not isinstance(result, list):
        return waits(condition, "Prometheus' answer is not a list of series")
    if len(result) != 1:
        count = "no" if not result else f"{len(result):,}"
        return waits(condition, f"the query has {count} series, and must have one")
    series = result[0]
    samples = series.get("values") if isinstance(series, Mapping) else None
    if not isinstance(samples, list) or not samples:
        return waits(condition, "the query has no samples")
    return _judge(condition, samples, now)


def _judge(condition: StepCondition, samples: Sequence[Any], now: datetime) -> Answer:
    """Return whether each sample, `[time, "value"]`, lets a condition hold."""
    numbers = [_numbers(sample) for sample in samples]
    known = [pair for pair in numbers if pair is not None]
    if len(known) < len(numbers):
        return waits(condition, "a sample is not a number")
    age = now.timestamp() - max(time for time, _ in known)
    if abs(age) > OLDEST.total_seconds():
        where = "old" if age > 0 else "in the future"
        return waits(condition, f"the newest sample is more than five minutes {where}")
    failing = [value for _, value in known if not _is_within(condition, value)]
    if failing:
        word = "above" if condition.above is not None else "below"
        return waits(
            condition,
            f"{len(failing):,} of {len(known):,} samples are not {word} the bound, such as "
            f"{failing[-1]:g}",
        )
    return Answer(holds=True)


def _numbers(sample: object) -> tuple[float, float] | None:
    """Return the time and the value of a sample; None if one of them is not a finite number."""
    if not isinstance(sample, list) or len(sample) != _SAMPLE:
        return None
    time, value = sample
    if isinstance(time, bool) or not isinstance(time, int | float):
        return None
    if not isinstance(value, str):
        return None
    try:
        number = float(value)
        seconds = float(time)
    except (ValueError, OverflowError):
        return None
    if not (math.isfinite(number) and math.isfinite(seconds)):
        return None
    return seconds, number


def _is_within(condition: StepCondition, value: float) -> bool:
    if condition.above is not None:
        return value > condition.above
    return condition.below is not None and value < condition.below
