"""The time of calls if the tenant's limit is not the configured rate, compared with an omniscient
client.

The axes are the limit as a share of the configured rate, and the tenant's bucket; `make bench
ARGS=pace` prints the table. A tenant with a bucket of one permit refuses each call that arrives
some milliseconds early.
"""

from __future__ import annotations

import pytest

from tests.support.paced_calls import Workload, multiple, paced

SHARES = (0.025, 0.1, 0.2, 0.5, 0.8, 1.0)
MOST_REFUSED = 0.05
LEAST_LIMIT = 10.0
"""From this limit on, the 429s are few as well.

With a lower one, a pause fills the bucket and costs no time.
"""


def check(workload: Workload, most: float, seeds: range) -> None:
    """Check the time, and the share of 429s."""
    times, refused = multiple(workload, seeds)
    assert times <= most, workload
    assert refused <= MOST_REFUSED or workload.limit < LEAST_LIMIT, workload


@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize(("bucket", "most"), [(1, 2.5), (5, 1.5), (10, 1.5), (50, 1.5)])
def test_another_limit_costs_little_time(
    bucket: int, most: float, share: float
) -> None:
    """300 calls, 50 a second configured."""
    workload = Workload(told=50.0, limit=50.0 * share, bucket=bucket, calls=300)
    check(workload, most, range(1))


def test_200_configured_and_20_allowed() -> None:
    """300 creates take less than 1.5 times the 15 possible seconds, and 429s end."""
    check(Workload(told=200.0, limit=20.0, bucket=5, calls=300), 1.5, range(3))


def test_the_configured_rate_is_reached() -> None:
    """100 a second are configured and allowed."""
    outcome = paced(Workload(told=100.0, limit=100.0, bucket=10, calls=1000), 1)
    assert all(outcome.accepted)
    assert outcome.seconds <= (1000 - 10) / 100 / 0.97


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(("before", "after"), [(40.0, 10.0), (10.0, 40.0)])
def test_the_rate_follows_a_limit_that_changes(before: float, after: float) -> None:
    """Another limit from the 500th call on: within 3,000 calls the rate is four fifths of it."""
    calls = 4_500
    changed = 500
    learnt = 3_000
    outcome = paced(
        Workload(
            told=50.0,
            limit=before,
            bucket=10,
            calls=calls,
            limit_at=lambda accepted: before if accepted < changed else after,
        ),
        1,
    )
    times = [
        time
        for time, accepted in zip(outcome.times, outcome.accepted, strict=True)
        if accepted
    ]
    rate = (calls - changed - learnt) / (times[-1] - times[changed + learnt])
    assert 0.8 * after <= rate <= 1.01 * after
