"""429s that the client's own rate did not cause: by chance, for a time, or always.

They fail no rule.
"""

from __future__ import annotations

import math
import time
from random import Random

import pytest

from tests.support.program import Program
from tests.support.rate_limited_tenant import Odds, create_rules
from tests.support.slow_tenant import SlowTenant, slow_tenant
from tests.tiers import FULL


def always(share: float) -> Odds:
    return lambda _second: share


def until(end: float, share: float) -> Odds:
    return lambda second: share if second < end else 0.0


CASES: dict[str, tuple[Odds, float]] = {
    "1% of all": (always(0.01), 60.0),
    "5% of all": (always(0.05), 240.0),
    "25% of all": (always(0.25), 600.0),
    "half for 10 s": (until(10.0, 0.5), 80.0),
    "all for 60 s": (until(60.0, 1.0), 120.0),
    "all for 2 s of each 20 s": (lambda second: 1.0 if second % 20 < 2 else 0.0, 60.0),
}
"""The probability of a 429 by the second, and the maximum of seconds: ten without 429s, and one for
each pause."""


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("case", CASES)
def test_429s_from_other_clients_fail_no_rule(case: str) -> None:
    """500 rules are created, 50 a second configured and allowed."""
    odds, most = CASES[case]
    done = create_rules(50.0, 500, odds=odds, rate=50.0)
    assert 0 == done.failed()
    assert done.seconds <= most


class Refusing(SlowTenant):
    """A tenant that refuses requests by chance: always, or for so many seconds."""

    until: float = math.inf
    share: float = 0.25
    chance = Random(1)

    def status(self, path: str) -> int:
        """Refuse by chance; also token requests."""
        del path
        return (
            429
            if time.monotonic() < self.until and self.chance.random() < self.share
            else 0
        )


@pytest.mark.slow
@pytest.mark.parametrize("case", ["25% of all", "half for 10 s"])
def test_40_rules_are_created_on_a_socket(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """Each 429 costs a second in the campaign, a tenth of it otherwise."""
    monkeypatch.delenv("CXROUTE_PROXY")
    monkeypatch.setenv("CXONE_CLIENT_ID", "id")
    scale = 1.0 if FULL else 0.1
    with slow_tenant(Refusing, rules=40, retry_after=f"{scale:g}") as tenant:
        if case == "half for 10 s":
            tenant.until, tenant.share = time.monotonic() + 10 * scale, 0.5
        assert 0 == cxroute("apply", "-e", "prod", "--yes")
    assert "Applied 40 of 40" in cxroute.out
