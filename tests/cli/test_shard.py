"""Shards: each environment is in exactly one shard, independent of other environments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from reconciler.cli.environments import Shard, parse_shard
from reconciler.core.errors import UsageError
from tests.support.cases import each_case
from tests.support.many_tenants import environment, rule, ruleset
from tests.support.program import Program, write

NAMES = some.text("abcdefghijklmnopqrstuvwxyz0123456789-._", min_size=1, max_size=20)
WRONG = [
    ("4", {}, "must be INDEX/COUNT"),
    ("a/4", {}, "must be INDEX/COUNT"),
    ("-1/4", {}, "must be INDEX/COUNT"),
    ("1/4/2", {}, "must be INDEX/COUNT"),
    (" 1/4", {}, "must be INDEX/COUNT"),
    ("\u0661/4", {}, "must be INDEX/COUNT"),
    ("1/", {}, "must be INDEX/COUNT"),
    ("", {}, "must be INDEX/COUNT"),
    ("0/0", {}, "indexes count from 0"),
    ("4/4", {}, "the last of 4 is 3"),
    ("/4", {}, "$JOB_COMPLETION_INDEX has no index"),
    ("/4", {"JOB_COMPLETION_INDEX": "4"}, "the last of 4 is 3"),
    ("/4", {"JOB_COMPLETION_INDEX": "one"}, "is 'one', which is not a number"),
]


@pytest.mark.slow
@given(some.sets(NAMES), some.integers(1, 9))
def test_every_environment_is_in_exactly_one_shard(names: set[str], count: int) -> None:
    """For any name and any number of shards."""
    for name in names:
        assert 1 == sum(Shard(index, count).includes(name) for index in range(count))


def test_the_shard_of_an_environment_never_changes() -> None:
    """It depends only on the name, in every version: two versions may run at the same time."""
    actual = {
        name: next(i for i in range(4) if Shard(i, 4).includes(name))
        for name in ("prod", "staging", "emea", "apac")
    }
    assert {"prod": 2, "staging": 0, "emea": 3, "apac": 0} == actual


def test_the_shares_are_about_equal() -> None:
    """Each of 10 shards has 70 to 130 of 1,000 names."""
    sizes = [
        sum(Shard(index, 10).includes(f"tenant-{n}") for n in range(1000))
        for index in range(10)
    ]
    assert 70 < min(sizes) <= max(sizes) < 130


def test_the_index_may_come_from_kubernetes() -> None:
    """Only if the option omits it."""
    assert Shard(3, 4) == parse_shard("/4", {"JOB_COMPLETION_INDEX": "3"})
    assert Shard(1, 4) == parse_shard("1/4", {"JOB_COMPLETION_INDEX": "3"})


@each_case("text, variables, said", WRONG)
def test_an_invalid_shard_is_reported(
    text: str, variables: dict[str, str], said: str
) -> None:
    """With the valid forms."""
    with pytest.raises(UsageError, match="--shard") as wrong:
        parse_shard(text, variables)
    assert said in str(wrong.value)


def test_a_shard_without_environments_succeeds(cxroute: Program) -> None:
    """Exit 0 in every format, with a message: with more shards than environments, some are always
    empty.
    """
    write("e.yaml", environment("prod", "http://127.0.0.1:1"))
    ruleset([rule("lost")])
    index = next(index for index in range(9) if not Shard(index, 9).includes("prod"))
    for command in (("plan",), ("drift",), ("apply", "--yes"), ("apply",)):
        assert 0 == cxroute(*command, "--all", "--shard", f"{index}/9")
        assert f"Shard {index}/9 has no environments: nothing to do.\n" == cxroute.out
        assert f"Shard {index}/9 takes 0 of 1 environment.\n" == cxroute.err
        assert (0, {"environments": []}) == cxroute.json(
            *command, "--all", "--shard", f"{index}/9"
        )


def test_a_bad_shard_is_a_usage_error(cxroute: Program) -> None:
    """Exit 64, and nothing is read."""
    write("e.yaml", environment("prod", "http://127.0.0.1:1"))
    assert 64 == cxroute("plan", "--all", "--shard", "4/4")
    assert "the last of 4 is 3" in cxroute.err
    assert 64 == cxroute("plan", "-e", "prod", "--shard", "0/4")
    assert "specify --all" in cxroute.err
