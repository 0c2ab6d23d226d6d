"""What an answer of Prometheus means for a step: only one clear series lets it be made."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

from reconciler.core.desired.condition_answer import range_query, read_answer
from reconciler.core.manifest.kinds.ruleset import StepCondition
from tests.support.cases import each_case

NOW = datetime(2026, 12, 2, 12, tzinfo=UTC)
END = NOW.timestamp()


def condition(**said: object) -> StepCondition:
    fields = {
        "query": "q",
        "for": "30m",
        **({} if "below" in said else {"above": 0.8}),
        **said,
    }
    return StepCondition.model_validate(fields)


def series(*values: str, end: float = END) -> dict[str, Any]:
    """Return one series, whose samples are a minute apart until an end."""
    times = [end - 60 * number for number in reversed(range(len(values)))]
    return {
        "metric": {},
        "values": [list(pair) for pair in zip(times, values, strict=True)],
    }


def answer(*result: object, **more: object) -> dict[str, Any]:
    data = {"resultType": "matrix", "result": list(result)}
    return {"status": "success", "data": data, **more}


@each_case(
    "payload, reason",
    [
        (answer(series("0.9", "0.81")), ""),
        (answer(series("0.9", "0.8")), "1 of 2 samples are not above the bound, such as 0.8"),
        (answer(series("0.2", "0.9")), "1 of 2 samples are not above the bound"),
        (answer(series("0.9", end=END - 299)), ""),
        (answer(series("0.9", end=END - 301)), "more than five minutes old"),
        (answer(series("0.9", end=END + 301)), "more than five minutes in the future"),
        (answer(series("NaN")), "a sample is not a number"),
        (answer(series("0.9", "NaN")), "a sample is not a number"),
        (answer(series("+Inf")), "a sample is not a number"),
        (answer(series("high")), "a sample is not a number"),
        (answer({"values": [[END, 0.9]]}), "a sample is not a number"),
        (answer({"values": [[True, "0.9"]]}), "a sample is not a number"),
        (answer({"values": [[float("nan"), "0.9"]]}), "a sample is not a number"),
        (answer({"values": [[END, "0.9", 1]]}), "a sample is not a number"),
        (answer({"values": []}), "the query has no samples"),
        (answer({"value": [END, "0.9"]}), "the query has no samples"),
        (answer("x"), "the query has no samples"),
        (answer(), "the query has no series, and must have one"),
        (answer(series("0.9"), series("0.9")), "the query has 2 series, and must have one"),
        (answer(series("0.9"), warnings=["partial"]), "may not be complete"),
        ({"status": "success"}, "not a list of series"),
        ({"status": "success", "data": {"result": {}}}, "not a list of series"),
        ({"status": "error", "error": "bad\x1b[31m"}, "answers with an error: bad"),
        ({}, "answers with an error: no success"),
    ],
)  # fmt: skip
def test_everything_unclear_is_a_reason_to_wait(
    payload: dict[str, Any], reason: str
) -> None:
    """The reason names the condition, without control characters."""
    found = read_answer(condition(), payload, NOW)
    assert found.holds is not bool(reason)
    assert reason in found.reason
    assert "\x1b" not in found.reason
    if reason:
        assert found.reason.endswith("(condition: q above 0.8 for 30m)")


def test_a_bound_may_be_an_upper_one() -> None:
    """Each sample must be below it, and not at it."""
    low = condition(below=30)
    assert read_answer(low, answer(series("1", "29.9")), NOW).holds
    refused = read_answer(low, answer(series("1", "30")), NOW)
    assert "1 of 2 samples are not below the bound, such as 30" in refused.reason


def test_a_query_covers_the_time_of_its_condition() -> None:
    """Up to now, with at least ten samples and at most what Prometheus allows."""
    random = Random(1)
    for _ in range(200):
        text = f"{random.randint(1, 90)}{random.choice('smhd')}"
        asked = range_query(condition(**{"for": text}), NOW)
        start, end, step = (float(asked[name]) for name in ("start", "end", "step"))
        unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}[text[-1]]
        assert (END, int(text[:-1]) * unit) == (end, round(end - start))
        assert (end - start) / step <= 10_001
        assert step <= 60 or (end - start) / step >= 9_000
    assert "q" == asked["query"]
