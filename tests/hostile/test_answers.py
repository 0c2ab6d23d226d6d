"""Hostile answers to what is read, the list of rules and the token: one sentence, bounded, nothing written (F6-F36)."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest

from tests.hostile.command import DEADLINE, MOST_MEMORY, SLACK, Workspace, assert_refused
from tests.hostile.scripts import BROKEN, LARGE, MEGABYTE, NO_JSON, SLOW, body, deep, rule_page
from tests.hostile.tenant import RULES, HostileTenant, Script, serving
from tests.support.command import RunResult
from tests.support.odd_rules import odd_rules

ATTEMPTS: Final = 20
"""More than a read is ever tried: four times, and then the probes of a server that is away."""
CASES: Final = {**LARGE, **BROKEN, **NO_JSON}


def run(place: Workspace, tenant: HostileTenant, *arguments: str, seconds: float = 10) -> RunResult:
    with serving(tenant):
        place.manifests(tenant.url, "billing_inquiry", seconds=seconds)
        ended = place(*arguments)
    place.secretive()
    return ended


@pytest.mark.parametrize("kind", ["list", "token"])
@pytest.mark.parametrize("case", CASES)
def test_what_no_tenant_says_is_refused_in_one_sentence(place: Workspace, kind: str, case: str) -> None:
    """Whatever it is and however large; an apply then writes nothing."""
    tenant = HostileTenant(scripts={kind: CASES[case]})
    ended = run(place, tenant, "apply", "--yes")
    assert_refused(ended, tenant)
    assert ended.seconds < SLACK


@pytest.mark.parametrize("kind", ["list", "token"])
@pytest.mark.parametrize("case", SLOW)
def test_no_server_holds_a_run_up(place: Workspace, kind: str, case: str) -> None:
    """The deadline is for the whole of an exchange, whatever trickles in."""
    tenant = HostileTenant(scripts={kind: SLOW[case]})
    ended = run(place, tenant, "plan", seconds=DEADLINE)
    assert_refused(ended, tenant)
    assert "no answer in time" in ended.err
    attempts = sum(request.kind == kind for request in tenant.asked)
    assert 1 <= attempts < ATTEMPTS
    assert attempts * DEADLINE <= ended.seconds < attempts * DEADLINE + SLACK


def page(**fields: Any) -> Script:
    one = {"id": "1", "name": "x", "priority": 1}
    return body(json.dumps({"entities": [one], "total": 1, "pageNumber": 1, "pageSize": 100, **fields}).encode())


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
    "rules that are no list": page(entities={"0": {}}),
    "a rule that is a list": page(entities=[[]]),
    "a rule of 100,000 levels": body(rule_page(f'"conditions": [{deep().decode()}]')),
    "a condition of 100 levels": body(rule_page(f'"conditions": [{{"value": {deep(100).decode()}}}]')),
    "a priority of 1e999": body(rule_page('"priority": 1e999')),
    "a priority of 100,000 digits": body(rule_page('"priority": ' + "9" * 100_000)),
    "a priority that is NaN": body(rule_page('"priority": NaN')),
}


@pytest.mark.parametrize("case", LIES)
def test_a_list_that_lies_is_refused(place: Workspace, case: str) -> None:
    """About how much there is, or about what it is."""
    tenant = HostileTenant(scripts={"list": LIES[case]})
    ended = run(place, tenant, "apply", "--yes")
    assert_refused(ended, tenant)
    assert ended.seconds < SLACK
    assert len(tenant.asked) < 50


def test_a_total_is_no_reason_for_a_million_requests(place: Workspace) -> None:
    """One rule a page, again and again, and a million of them in all: it shows on the second page."""
    tenant = HostileTenant(scripts={"list": page(total=1_000_000)})
    place.patience = 3
    ended = run(place, tenant, "plan")
    assert_refused(ended, tenant)
    assert len(tenant.asked) < 200


ODD: Final[dict[str, Script]] = {
    "a cycle": page(nextUri=f"{RULES}?pageNumber=1&pageSize=100"),
    "a billion pages": page(pageCount=1_000_000_000),
    "pages below zero": page(pageCount=-1, pageNumber=-7, pageSize="many"),
    "NUL in a name": body(rule_page('"name": "a\\u0000b"')),
    "half a character in a name": body(rule_page('"name": "a\\ud800b"')),
    "a terminal's commands in a name": body(rule_page('"name": "\\u001b]0;owned\\u0007\\u009b2J"')),
    "half a character in what nobody knows": body(rule_page('"x\\ud800": "\\udfff"')),
    "a key twice: the last one counts": body(rule_page('"name": "other", "name": "x"')),
    "a name of 1 MB": body(rule_page(f'"name": "{"x" * MEGABYTE}"')),
}


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("case", ODD)
def test_an_odd_list_is_read_or_refused_and_does_no_harm(place: Workspace, case: str, form: str) -> None:
    """What can be believed is: no request more than the list needs, and no control character on a terminal."""
    tenant = HostileTenant(scripts={"list": ODD[case]})
    ended = run(place, tenant, "-v", "plan", "--format", form)
    assert ended.code in (0, 1)
    assert (ended.code == 0) == ('"summary"' in ended.out or "Plan: 1 to create" in ended.out), ended.err
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", ended.out + ended.err)
    assert [] == tenant.writes
    assert len(tenant.asked) < 6
    assert ended.peak < MOST_MEMORY
    assert len(ended.err) < 1000


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("kind", ["list", "token"])
def test_nobody_is_sent_elsewhere(place: Workspace, kind: str, status: int) -> None:
    """The other host gets no request, so no credentials; the tenant gets no second one either."""
    with serving(HostileTenant()) as other:
        location = f"Location: {other.url}{RULES}".encode()
        tenant = HostileTenant(
            scripts={kind: body(b"", b"%d Elsewhere" % status, location, b"Refresh: 0; url=" + location)}
        )
        ended = run(place, tenant, "apply", "--yes")
    assert_refused(ended, tenant)
    assert "redirects" in ended.err
    assert [] == other.asked
    assert 1 == sum(request.kind == kind for request in tenant.asked)


def test_a_link_to_another_host_is_not_followed(place: Workspace) -> None:
    """Though the list says that there is more."""
    with serving(HostileTenant()) as other:
        tenant = HostileTenant(scripts={"list": page(total=2, nextUri=f"{other.url}{RULES}?pageNumber=2")})
        ended = run(place, tenant, "apply", "--yes")
    assert_refused(ended, tenant)
    assert "another host" in ended.err
    assert [] == other.asked


@pytest.mark.parametrize("command", [("plan",), ("plan", "--format", "html"), ("drift",), ("export", "--all")])
def test_no_odd_rule_stops_a_tenant(place: Workspace, command: tuple[str, ...]) -> None:
    """Huge numbers, long texts, and parts that nobody knows, of rules made by hand: an answer, and no error."""
    odd = [form for what, form in odd_rules() if "long" not in what and "half a" not in what and "not dec" not in what]
    tenant = HostileTenant(rules={str(number): {**form, "id": str(number)} for number, form in enumerate(odd[::7])})
    ended = run(place, tenant, *command)
    assert ended.code in {0, 2, 4}, ended.err
    assert "this is a bug" not in ended.err
    assert [] == tenant.writes
    assert ended.peak < MOST_MEMORY
