"""The time of calls if the tenant's limit is not the configured rate, compared with an omniscient client.

The axes are the limit as a share of the configured rate, the tenant's bucket, and random 429s; `make bench ARGS=pace`
prints the table. A tenant with a bucket of one permit refuses each call that arrives some milliseconds early.
"""

from __future__ import annotations

import pytest

from tests.support.paced_calls import RetryAfter, Workload, multiple, paced

SHARES = (0.025, 0.1, 0.2, 0.5, 0.8, 1.0)
MOST_REFUSED = 0.05
LEAST_LIMIT = 10.0
"""From this limit on, the 429s are few as well. With a lower one, a pause fills the bucket and costs no time."""


def check(workload: Workload, most: float, seeds: range) -> None:
    """Check the time, and the share of 429s without random ones."""
    times, refused = multiple(workload, seeds)
    assert times <= most, workload
    is_limited = workload.random_share == 0 and workload.limit >= LEAST_LIMIT
    assert not is_limited or refused <= MOST_REFUSED, workload


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize(("bucket", "most"), [(1, 2.5), (5, 1.5), (10, 1.5), (50, 1.5)])
def test_another_limit_costs_little_time(bucket: int, most: float, share: float) -> None:
    """300 calls, 50 a second configured."""
    workload = Workload(told=50.0, limit=50.0 * share, bucket=bucket, calls=300)
    check(workload, most, range(1))


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("random_share", [0.05, 0.25])
def test_random_429s_at_most_double_the_time(random_share: float, share: float) -> None:
    """They show nothing about the limit: the rate does not starve."""
    workload = Workload(told=50.0, limit=50.0 * share, bucket=10, calls=300, random_share=random_share)
    check(workload, 2.0, range(1))


def test_200_configured_and_20_allowed() -> None:
    """300 creates take less than 1.5 times the 15 possible seconds, and 429s end."""
    check(Workload(told=200.0, limit=20.0, bucket=5, calls=300), 1.5, range(3))


def test_the_configured_rate_is_reached() -> None:
    """100 a second are configured and allowed."""
    outcome = paced(Workload(told=100.0, limit=100.0, bucket=10, calls=1000), 1)
    assert all(outcome.accepted)
    assert outcome.seconds <= (1000 - 10) / 100 / 0.97


@pytest.mark.parametrize(("before", "after"), [(40.0, 10.0), (10.0, 40.0)])
def test_the_rate_follows_a_limit_that_changes(before: float, after: float) -> None:
    """Another limit from the 500th call on: within 3,000 calls the rate is four fifths of it."""
    calls, changed, learnt = 4_500, 500, 3_000
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
    times = [time for time, accepted in zip(outcome.times, outcome.accepted, strict=True) if accepted]
    rate = (calls - changed - learnt) / (times[-1] - times[changed + learnt])
    assert 0.8 * after <= rate <= 1.01 * after


@pytest.mark.parametrize("retry_after", ["seconds", "0", "none"])
@pytest.mark.parametrize(("told", "calls"), [(20.0, 300), (100.0, 600), (200.0, 3000)])
def test_the_whole_table(told: float, calls: int, retry_after: RetryAfter) -> None:
    """Other rates and numbers of calls, with any Retry-After."""
    for share in SHARES:
        for bucket in (1, 5, 10, 50):
            workload = Workload(
                told=told,
                limit=told * share,
                bucket=bucket,
                calls=calls,
                retry_after=retry_after,
            )
            is_too_fine = bucket == 1 and workload.limit > 50  # the latency varies by more
            if not is_too_fine:
                check(workload, 2.5 if bucket == 1 else 1.5, range(2))
        for random_share in (0.05, 0.25):
            workload = Workload(
                told=told,
                limit=told * share,
                bucket=10,
                calls=calls,
                random_share=random_share,
                retry_after=retry_after,
            )
            check(workload, 2.0, range(3))
