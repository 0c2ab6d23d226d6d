"""Hostile responses to writes: only a read shows whether they took effect, and the exit code is
true (R5, R18).
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.hostile.command import DEADLINE, MOST_MEMORY, MOST_WORK, Workspace
from tests.hostile.scripts import (
    BROKEN,
    LARGE,
    NO_JSON,
    SLOW,
    altered,
    body,
    bomb,
    packed,
)
from tests.hostile.tenant import (
    RULES,
    HostileTenant,
    Script,
    Turn,
    page,
    serving,
    whole,
)
from tests.support.command import RunResult

KINDS: Final = ("POST", "PUT", "DELETE")
MOST_WRITES: Final = 4
CASES: Final[dict[str, Script]] = {
    "a gzip bomb of 1 GB": packed(bomb),
    "a gzip bomb in a 500": packed(bomb, b"500 Internal Server Error"),
    **{
        name: LARGE[name]
        for name in ("100 MB", "chunks without end", "one header of 1 MB")
    },
    **{
        name: SLOW[name]
        for name in ("a body, a byte at a time", "headers, a byte at a time")
    },
    **{
        name: BROKEN[name]
        for name in (
            "closed immediately",
            "HTTP/0.9",
            "half of the body",
            "two Content-Lengths",
        )
    },
    **{
        name: NO_JSON[name]
        for name in ("100,000 levels", "an integer of 100,000 digits", "null")
    },
    "HTML": body(b"<html>Sign in</html>"),
    "NaN": body(b'{"id": NaN, "priority": NaN}'),
    "another rule": altered(("id", "other"), ("name", "other"), ("priority", 77)),
}
SOME_CASES: Final = (
    "a gzip bomb of 1 GB",
    "headers, a byte at a time",
    "closed immediately",
    "100,000 levels",
    "another rule",
)
TRIED: Final = [("POST", case) for case in CASES] + [
    (kind, case) for kind in ("PUT", "DELETE") for case in SOME_CASES
]


def changed(place: Workspace, tenant: HostileTenant, kind: str) -> RunResult:
    """Create two rules, then let every write of a change of this kind fail."""
    scripts, tenant.scripts = tenant.scripts, {}
    with serving(tenant):
        if kind != "POST":
            place.manifests(tenant.url, "one", "two")
            assert 0 == place("apply", "--yes").code
        tenant.asked.clear()
        tenant.scripts = scripts
        expected = ["one"] if kind == "DELETE" else ["one", "two"]
        place.manifests(
            tenant.url,
            *expected,
            queue="general" if kind == "PUT" else "billing",
            seconds=DEADLINE * 3,
        )
        lifted = (
            ["--allow", "deletes", "--allow", "unrouted", "--reason", "test"]
            if kind == "DELETE"
            else []
        )
        ended = place("apply", "--yes", "--format", "json", *lifted)
    place.secretive()
    return ended


def equals_manifests(tenant: HostileTenant, kind: str) -> bool:
    """Return whether the tenant's rules equal the manifests."""
    queues = [rule["targets"][0]["queueId"] for rule in tenant.rules.values()]
    return (
        queues
        == {
            "POST": ["q-billing"] * 2,
            "PUT": ["q-general"] * 2,
            "DELETE": ["q-billing"],
        }[kind]
    )


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize(("kind", "case"), TRIED)
def test_the_exit_code_shows_the_result_of_writes(
    place: Workspace,
    kind: str,
    case: str,
    applied: bool,  # noqa: FBT001
) -> None:
    """0 only if all rules equal the manifests; no rule exists twice; a write is retried a few times
    after a read.
    """
    tenant = HostileTenant(scripts={kind: CASES[case]}, applied=applied)
    ended = changed(place, tenant, kind)
    form: dict[str, Any] = json.loads(ended.out)
    assert ended.code in (0, 1, 5), ended
    assert equals_manifests(tenant, kind) == (ended.code == 0) == form["converged"], (
        ended
    )
    assert applied == equals_manifests(tenant, kind)
    names = [rule["name"] for rule in tenant.rules.values()]
    assert len(names) == len(set(names))
    statuses = {item["status"] for item in form["outcomes"]}
    assert (
        statuses == {"applied"}
        if ended.code == 0
        else statuses <= {"failed", "unknown", "skipped"}
    )
    assert len(tenant.writes) <= MOST_WRITES * 2
    assert ended.peak < MOST_MEMORY
    assert ended.cpu_seconds < MOST_WORK


@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirected_write_is_not_repeated(
    place: Workspace, kind: str, status: int
) -> None:
    """A 307 asks for the same request, with body and credentials, on another host."""
    with serving(HostileTenant()) as candidate:
        location = f"Location: {candidate.url}{RULES}".encode()
        tenant = HostileTenant(
            scripts={kind: body(b"", b"%d Elsewhere" % status, location)}
        )
        ended = changed(place, tenant, kind)
    assert ended.code in (1, 5)
    assert [] == candidate.asked
    assert not equals_manifests(tenant, kind)


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("kind", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    "case", ["a gzip bomb of 1 GB", "closed immediately", "100,000 levels"]
)
def test_a_rule_that_cannot_be_read_again_is_not_written(
    place: Workspace, kind: str, case: str
) -> None:
    """Before each write the rule is read individually; without a result nothing is sent."""
    tenant = HostileTenant(scripts={"one": CASES[case]})
    ended = changed(place, tenant, kind)
    assert ended.code in (1, 5), ended
    assert [] == tenant.writes
    assert ended.peak < MOST_MEMORY


@pytest.mark.parametrize("first", [2, 3])
def test_a_list_that_turns_empty_during_an_apply_creates_nothing_twice(
    place: Workspace, first: int
) -> None:
    """Rules that disappeared from the list are read individually, and no replacement is created
    (F31).
    """
    tenant = HostileTenant()
    lists = 0

    async def script(turn: Turn) -> None:
        nonlocal lists
        lists += 1
        await turn.send(
            whole(page([])) if lists >= first else tenant.answer(turn.request)
        )

    with serving(tenant):
        place.manifests(tenant.url, "one", "two")
        assert 0 == place("apply", "--yes").code
        tenant.asked.clear()
        tenant.scripts = {"list": script}
        place.manifests(tenant.url, "one", "two", queue="general")
        ended = place("apply", "--yes")
    assert ended.code in (0, 1, 4, 5), ended
    assert (ended.code == 0) == equals_manifests(tenant, "PUT")
    assert "POST" not in tenant.writes
    assert ["r1", "r2"] == sorted(tenant.rules)
