"""Hostile responses to reads, the list of rules and the token: one sentence, bounded, no writes
(F6-F36).
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest

from tests.hostile.command import (
    DEADLINE,
    MOST_MEMORY,
    MOST_WORK,
    Workspace,
    assert_refused,
)
from tests.hostile.scripts import (
    BROKEN,
    LARGE,
    MEGABYTE,
    NO_JSON,
    SLOW,
    body,
    deep,
    rule_page,
)
from tests.hostile.tenant import RULES, HostileTenant, Script, serving
from tests.support.command import RunResult
from tests.support.odd_rules import odd_rules

ATTEMPTS: Final = 20
"""More than the attempts of a read: four, and then the probes of an unavailable server."""
CASES: Final = {**LARGE, **BROKEN, **NO_JSON}


def run(
    place: Workspace, tenant: HostileTenant, *arguments: str, seconds: float = 10
) -> RunResult:
    with serving(tenant):
        place.manifests(tenant.url, "billing_inquiry", seconds=seconds)
        ended = place(*arguments)
    place.secretive()
    return ended


@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("kind", ["list", "token"])
@pytest.mark.parametrize("case", CASES)
def test_an_invalid_response_is_refused_in_one_sentence(
    place: Workspace, kind: str, case: str
) -> None:
    """For any content and size; an apply then writes nothing."""
    tenant = HostileTenant(scripts={kind: CASES[case]})
    ended = run(place, tenant, "apply", "--yes")
    assert_refused(ended, tenant)
    assert ended.cpu_seconds < MOST_WORK


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("kind", ["list", "token"])
@pytest.mark.parametrize("case", SLOW)
def test_a_slow_server_cannot_delay_a_run(
    place: Workspace, kind: str, case: str
) -> None:
    """The deadline applies to the full exchange: the run ends, although no response does."""
    tenant = HostileTenant(scripts={kind: SLOW[case]})
    ended = run(place, tenant, "plan", seconds=DEADLINE)
    assert_refused(ended, tenant)
    assert "no response in time" in ended.err
    attempts = sum(request.kind == kind for request in tenant.asked)
    assert 1 <= attempts < ATTEMPTS
    assert ended.cpu_seconds < MOST_WORK


def page(**fields: Any) -> Script:
    item = {"id": "1", "name": "x", "priority": 1}
    return body(
        json.dumps(
            {"entities": [item], "total": 1, "pageNumber": 1, "pageSize": 100, **fields}
        ).encode()
    )


LIES: Final[dict[str, Script]] = {
    "a total of 1e9": page(total=1e9),
    "a total of a billion": page(total=1_000_000_000),
    "a total below zero": page(total=-1),
    "a total in text": page(total="1"),
    "a total that is true": page(total=True),
    "a total too large for any machine": page(total=2**70),
    "no total": page(total=None),
    "a total of three, and one rule again and again": page(total=3),
    "a total of none, and one rule": page(total=0),
    "rules that are not a list": page(entities={"0": {}}),
    "a rule that is a list": page(entities=[[]]),
    "a rule of 100,000 levels": body(rule_page(f'"conditions": [{deep().decode()}]')),
    "a condition of 100 levels": body(
        rule_page(f'"conditions": [{{"value": {deep(100).decode()}}}]')
    ),
    "a priority of 1e999": body(rule_page('"priority": 1e999')),
    "a priority of 100,000 digits": body(rule_page('"priority": ' + "9" * 100_000)),
    "a priority that is NaN": body(rule_page('"priority": NaN')),
}


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("case", LIES)
def test_a_false_list_is_refused(place: Workspace, case: str) -> None:
    """It states a wrong total, or contains other objects."""
    tenant = HostileTenant(scripts={"list": LIES[case]})
    ended = run(place, tenant, "apply", "--yes")
    assert_refused(ended, tenant)
    assert ended.cpu_seconds < MOST_WORK
    assert len(tenant.asked) < 50


def test_a_false_total_does_not_cause_a_million_requests(place: Workspace) -> None:
    """Each page has the same rule and a total of a million: the second page shows the
    contradiction.
    """
    tenant = HostileTenant(scripts={"list": page(total=1_000_000)})
    ended = run(place, tenant, "plan")
    assert_refused(ended, tenant)
    assert ended.cpu_seconds < 3
    assert len(tenant.asked) < 200


ODD: Final[dict[str, Script]] = {
    "a cycle": page(nextUri=f"{RULES}?pageNumber=1&pageSize=100"),
    "a billion pages": page(pageCount=1_000_000_000),
    "pages below zero": page(pageCount=-1, pageNumber=-7, pageSize="many"),
    "NUL in a name": body(rule_page('"name": "a\\u0000b"')),
    "half a character in a name": body(rule_page('"name": "a\\ud800b"')),
    "a terminal's commands in a name": body(
        rule_page('"name": "\\u001b]0;owned\\u0007\\u009b2J"')
    ),
    "half a character in an unknown field": body(rule_page('"x\\ud800": "\\udfff"')),
    "a key twice: the last one counts": body(rule_page('"name": "other", "name": "x"')),
    "a name of 1 MB": body(rule_page(f'"name": "{"x" * MEGABYTE}"')),
}


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("case", ODD)
def test_an_unusual_list_is_read_or_refused_without_harm(
    place: Workspace, case: str, form: str
) -> None:
    """The client sends no unnecessary request, and no control character reaches the terminal."""
    tenant = HostileTenant(scripts={"list": ODD[case]})
    ended = run(place, tenant, "-v", "plan", "--format", form)
    assert ended.code in (0, 1)
    assert (ended.code == 0) == (
        '"summary"' in ended.out or "Plan: 1 to create" in ended.out
    ), ended.err
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", ended.out + ended.err
    )
    assert [] == tenant.writes
    assert len(tenant.asked) < 6
    assert ended.peak < MOST_MEMORY
    assert len(ended.err) < 1000


@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("kind", ["list", "token"])
def test_redirects_are_not_followed(place: Workspace, kind: str, status: int) -> None:
    """The other host gets no request and so no credentials; the tenant gets no second request."""
    with serving(HostileTenant()) as candidate:
        location = f"Location: {candidate.url}{RULES}".encode()
        tenant = HostileTenant(
            scripts={
                kind: body(
                    b"",
                    b"%d Elsewhere" % status,
                    location,
                    b"Refresh: 0; url=" + location,
                )
            }
        )
        ended = run(place, tenant, "apply", "--yes")
    assert_refused(ended, tenant)
    assert "redirects" in ended.err
    assert [] == candidate.asked
    assert 1 == sum(request.kind == kind for request in tenant.asked)


def test_a_link_to_another_host_is_not_followed(place: Workspace) -> None:
    """Also if the list states that there are more rules."""
    with serving(HostileTenant()) as candidate:
        tenant = HostileTenant(
            scripts={
                "list": page(total=2, nextUri=f"{candidate.url}{RULES}?pageNumber=2")
            }
        )
        ended = run(place, tenant, "apply", "--yes")
    assert_refused(ended, tenant)
    assert "another host" in ended.err
    assert [] == candidate.asked


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    "command",
    [("plan",), ("plan", "--format", "html"), ("drift",), ("export", "--all")],
)
def test_unusual_unmanaged_rules_do_not_stop_a_run(
    place: Workspace, command: tuple[str, ...]
) -> None:
    """Huge numbers, long texts and unknown parts of unmanaged rules are read without an error."""
    odd = [
        form
        for subject, form in odd_rules()
        if "long" not in subject
        and "half a" not in subject
        and "not dec" not in subject
    ]
    tenant = HostileTenant(
        rules={
            str(number): {**form, "id": str(number)}
            for number, form in enumerate(odd[::7])
        }
    )
    ended = run(place, tenant, *command)
    assert ended.code in {0, 2, 4}, ended.err
    assert "this is a bug" not in ended.err
    assert [] == tenant.writes
    assert ended.peak < MOST_MEMORY
