"""The client of a Studio script on the simulator: reads, the lock, saves, and faults at each
call.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.core import errors
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.model.live import LastSave, LiveRule
from reconciler.core.model.rule import make_condition
from reconciler.core.rule_json import rule_body
from reconciler.core.target import Access, target_of
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.state import edit_content
from reconciler.targets.platform.transport.rate_limiter import REAL_TIME
from reconciler.targets.platform.transport.request import (
    ApiRequest,
    ApiResponse,
    NoResponseError,
    NotSentError,
    Transport,
)
from reconciler.targets.rules_api.client import ReadingClient, WritingClient
from reconciler.targets.studio import client as studio_client
from reconciler.targets.studio.client import StudioClient, StudioReadingClient
from reconciler.targets.studio.place import StudioScript, studio_script
from tests.support.cases import each_case
from tests.support.in_process_tenant import InProcessTenant
from tests.support.studio_tenant import (
    LAYOUT,
    NAMES,
    SCRIPT,
    SCRIPTS,
    SETTINGS,
    Reply,
    StudioTenant,
    block_of,
    managed,
    storable,
)
from tests.support.target_places import PlaceSurroundings, StudioPlace
from tests.support.written_manifests import ENVIRONMENT, loaded

LOST = managed(storable())
CARD = managed(storable("card", 20, "4002"))
SAVINGS = managed(storable("savings", 30))
ESCAPE = "Kim\x1b[31m\u202e\r\n" + "x" * 500
READS = ("history", "version", "read")


async def save(client: StudioClient, *after: LiveRule) -> tuple[str, ...]:
    """Lock, read, and save the rules, like apply."""
    async with client.lock():
        return await client.save(await client.rules(), after, NAMES)


def saving(tenant: StudioTenant, *after: LiveRule) -> tuple[str, ...]:
    return tenant.talk(lambda client: save(client, *(after or (LOST, CARD))))


def refused(tenant: StudioTenant, *after: LiveRule) -> errors.ApiError:
    """Return the error of a save."""
    with pytest.raises(errors.ApiError) as failure:
        saving(tenant, *after)
    return failure.value


def responding(status: int, form: Any = None) -> Reply:
    """Respond without delivering the request."""

    async def reply(request: ApiRequest, _deliver: Transport) -> ApiResponse:
        content = (
            form
            if isinstance(form, bytes)
            else b""
            if form is None
            else json.dumps(form).encode()
        )
        return ApiResponse(request.call, status, {}, content)

    return reply


def losing(
    request_too: Any, failure: type[Exception] = NoResponseError, times: int = 100
) -> Reply:
    """Lose the response, or the request too, so many times; then deliver."""
    remaining = [times]

    async def reply(request: ApiRequest, deliver: Transport) -> ApiResponse:
        remaining[0] -= 1
        if remaining[0] < 0:
            return await deliver(request)
        if not request_too:
            await deliver(request)
        raise failure("lost")

    return reply


# Reading


def test_rules_are_those_of_the_block_with_their_markers() -> None:
    """A rule has its address as id, the owner's marker, and the fields of a rule in its raw
    form.
    """
    rules = StudioTenant(LOST, CARD).talk(lambda client: client.rules())
    assert [(live.id, live.rule, live.marker) for live in (LOST, CARD)] == [
        (live.id, live.rule, live.marker) for live in rules
    ]
    assert all(
        live.raw == {"id": live.id, **rule_body(live.rule, live.marker)}
        for live in rules
    )


def test_only_the_first_read_looks_at_the_kind_of_the_script() -> None:
    """Three calls, then one a read; the path of the script is encoded completely."""
    tenant = StudioTenant(LOST)

    async def read_twice(client: StudioClient) -> None:
        await client.rules()
        await client.rules()

    tenant.talk(read_twice)
    version = tenant.state.current_script(SCRIPT)
    assert [
        f"GET {SCRIPTS}/historyByName?scriptPath=Bot%5CHand-over",
        f"GET {SCRIPTS}/{version}",
        *[f"GET {SCRIPTS}?scriptPath=Bot%5CHand-over"] * 2,
    ] == [f"{request.method} {request.target}" for request in tenant.requests]


def test_any_character_of_a_path_is_encoded() -> None:
    """No character of the path can add a parameter to the query."""
    studio = SETTINGS._replace(path="A b\\ü&lockScript=true#?%/+")
    assert (
        f"{SCRIPTS}?scriptPath=A%20b%5C%C3%BC%26lockScript%3Dtrue%23%3F%25%2F%2B"
        == studio.target(scriptPath=studio.path)
    )


def test_a_reading_client_has_no_way_to_write() -> None:
    """It has no lock and no save, and reads behind a fence that lets only GETs through."""
    tenant = StudioTenant(LOST)
    assert {"lock", "save"} <= set(dir(StudioClient)) - set(dir(StudioReadingClient))

    async def read() -> tuple[LiveRule, ...]:
        return await tenant.reading_client().rules()

    assert [LOST.id] == [live.id for live in asyncio.run(read())]
    assert {"GET"} == {request.method for request in tenant.requests}


@each_case(
    "user, date, expected",
    [
        (
            "Kim Lee",
            "11/24/2026 04:05:06 PM",
            LastSave("Kim Lee", "2026-11-24 16:05:06"),
        ),
        (
            "Kim Lee",
            "12/01/2026 12:00:00 AM",
            LastSave("Kim Lee", "2026-12-01 00:00:00"),
        ),
        ("Kim Lee", "24.11.2026", LastSave("Kim Lee", "24.11.2026")),
        ("Kim Lee", None, LastSave("Kim Lee", "")),
        (None, 7, None),
        (ESCAPE, ESCAPE, None),
    ],
)
def test_the_last_save_is_that_of_the_running_version(
    user: Any, date: Any, expected: LastSave | None
) -> None:
    """A date is in ISO form, an unreadable one stays; texts of the tenant are escaped and cut."""
    tenant = StudioTenant(LOST)
    versions = [
        {
            "scriptId": "9",
            "modifyUser": "Old",
            "modifyDate": "11/25/2026 04:05:06 PM",
            "status": "PREV",
        },
        {"scriptId": "8", "modifyUser": user, "modifyDate": date, "status": "CURR"},
    ]
    tenant.replies["history"] = responding(200, {"name": SCRIPT, "versions": versions})
    actual = tenant.talk(lambda client: client.last_save())
    if user is ESCAPE:
        assert actual is not None
        assert all(text.isprintable() and len(text) < 70 for text in actual)
    else:
        assert expected == actual


@each_case(
    "form",
    [{}, {"versions": None}, {"versions": [1, None, {}]}, [], {"versions": {"a": 1}}],
)
def test_a_history_without_a_running_version_hides_only_the_last_save(
    form: Any,
) -> None:
    """The rules are read; who saved last is unknown."""
    tenant = StudioTenant(LOST)
    tenant.replies["history"] = responding(200, form)
    assert [LOST.id] == [live.id for live in tenant.talk(lambda client: client.rules())]
    assert tenant.talk(lambda client: client.last_save()) is None


# Scripts without usable rules


def test_a_missing_script_is_reported_with_the_remedy() -> None:
    """The error names the script, the two lines to insert and the command that prints all steps."""
    error = refused(StudioTenant(content=""))
    texts = (
        SCRIPT,
        LAYOUT.begin,
        LAYOUT.end,
        "cxroute studio recipe",
        "does not exist",
    )
    assert 1 == error.exit_code
    assert [] == [text for text in texts if text not in str(error)]


@pytest.mark.parametrize(
    "code",
    [
        "ASSIGN a = 1",
        f"{LAYOUT.begin}\nASSIGN a = 1",
        f"{LAYOUT.begin}\n{LAYOUT.end}\n{LAYOUT.begin}\n{LAYOUT.end}",
    ],
    ids=["none", "half", "two"],
)
def test_a_script_without_exactly_one_block_is_refused(code: str) -> None:
    """Exit code 1, an error with the script's path and the line; nothing is saved, and the script
    is not locked.
    """
    tenant = StudioTenant(code=f"{code}\n// end")
    error = refused(tenant)
    assert 1 == error.exit_code
    assert SCRIPT in str(error)
    assert f"{LAYOUT.owner}/{LAYOUT.block}" in str(error)
    assert "save" not in tenant.calls
    assert "" == tenant.holder


def test_a_block_that_is_not_a_snippet_is_an_error_with_its_line() -> None:
    """A brace that is not closed: the error names the script and the line in the SNIPPET."""
    error = refused(
        StudioTenant(code=f"// first\n{LAYOUT.begin}\nSELECT\n{{\n{LAYOUT.end}")
    )
    assert errors.ApiError is type(error)
    assert re.search(rf"{re.escape(SCRIPT)}: line [3-6]: ", str(error))


def test_a_desktop_script_is_recognized_without_an_outage() -> None:
    """The call that would fail with 500 is not made, and nothing waits.

    The error names `--live FILE`.
    """
    tenant = StudioTenant(content="<ScriptContainer><Actions/></ScriptContainer>")
    with pytest.raises(errors.ApiError, match="--live FILE"):
        tenant.talk(lambda client: client.rules())
    assert ["history", "version"] == tenant.calls
    assert sum(tenant.clock.slept) < 0.001


@pytest.mark.parametrize("call", ["read", "version"])
def test_a_desktop_script_is_named_by_the_first_500(call: str) -> None:
    """The tenant's text names the type of such a script: nothing is repeated and nothing waits."""
    tenant = StudioTenant(LOST)
    text = "Unable to cast object of type 'ScriptContainer' to type 'Script'."
    tenant.replies[call] = responding(500, {"message": text})
    with pytest.raises(errors.ApiError, match=r"made with Desktop Studio.*--live FILE"):
        tenant.talk(lambda client: client.rules())
    assert 1 == tenant.calls.count(call)
    assert sum(tenant.clock.slept) < 0.001


def test_a_desktop_script_in_a_body_in_base64_is_recognized() -> None:
    """A version may answer with `body` and `ScriptId`."""
    tenant = StudioTenant(LOST)
    body = base64.b64encode(b"\xef\xbb\xbf<ScriptContainer/>").decode()
    tenant.replies["version"] = responding(200, {"ScriptId": "7", "body": body})
    with pytest.raises(errors.ApiError, match="made with Desktop Studio"):
        tenant.talk(lambda client: client.rules())
    assert ["history", "version"] == tenant.calls
    for other in (base64.b64encode(b"{}").decode(), "%"):
        tenant = StudioTenant(LOST)
        tenant.replies["version"] = responding(200, {"ScriptId": "7", "body": other})
        assert 1 == len(tenant.talk(lambda client: client.rules()))


# Saving


def test_a_save_keeps_the_marker_lines_byte_for_byte() -> None:
    """Their indentation and the blanks behind them are the person's, and do not count as drift."""
    tenant = StudioTenant(LOST)
    begin, end = LAYOUT.begin, LAYOUT.end
    tenant.edit(begin, f"\t{begin}  ")
    tenant.edit(end, f"    {end}\t")
    before = tenant.talk(lambda client: client.rules())
    assert [LOST.content] == [live.content for live in before]
    saving(tenant, LOST, CARD)
    lines = tenant.code.split("\r\n")
    assert f"\t{begin}  " in lines
    assert f"    {end}\t" in lines
    assert 2 == len(tenant.talk(lambda client: client.rules()))


def test_a_save_sends_everything_outside_of_the_block_as_it_was_read() -> None:
    """The body is the text of the last read with another string token, in which only the block
    differs.
    """
    tenant = StudioTenant(LOST)
    saving(tenant, LOST, CARD)
    index = tenant.calls.index("save")
    read = tenant.responses[index - 1].decode()
    body = tenant.requests[index].content.decode()
    token = re.compile(r'"(?:[^"\\]|\\.)*cxroute:begin(?:[^"\\]|\\.)*"')
    old = token.search(read)
    new = token.search(body)
    assert old is not None
    assert new is not None
    assert f'{{"scriptContent": {read[: old.start()]}' == body[: new.start()]
    assert f"{read[old.end() :]}}}" == body[new.end() :]
    before = json.loads(old[0])
    after = json.loads(new[0])
    block = block_of(LOST).replace("\n", "\r\n")
    assert block in before
    assert before.replace(block, block_of(LOST, CARD).replace("\n", "\r\n")) == after
    assert "1000.0" in body


def test_a_saved_list_is_read_back() -> None:
    """A created rule, a changed one and a deleted one; the lock is released, and there are no
    notes.
    """
    tenant = StudioTenant(LOST, CARD)
    changed = managed(replace(LOST.rule, priority=5))

    async def save_and_read(client: StudioClient) -> tuple[LiveRule, ...]:
        assert () == await save(client, changed, SAVINGS)
        assert () == client.notes
        return await client.rules()

    assert [changed.content, SAVINGS.content] == [
        live.content for live in tenant.talk(save_and_read)
    ]
    assert ["lock", *READS, "read", "save", "unlock", "read"] == tenant.calls
    assert "" == tenant.holder
    assert "Robin" != tenant.version["user"]


def test_an_unchanged_rule_keeps_its_lines() -> None:
    """Lines that a person formatted stay as they are while another rule is added."""
    tenant = StudioTenant(LOST)
    line = next(line for line in tenant.code.splitlines() if "CASE" in line)
    tenant.edit(line, line.replace("CASE ", "CASE   "))

    async def add(client: StudioClient) -> None:
        async with client.lock():
            rules = await client.rules()
            await client.save(rules, (*rules, CARD), NAMES)

    tenant.talk(add)
    assert line.replace("CASE ", "CASE   ") in tenant.code
    assert "cards/card" in tenant.code


@pytest.mark.parametrize(
    "edits",
    [
        [("{intent}", "{other}")],
        [
            ("SELECT", 'ASSIGN cxr_text_x$ = "{y}"\r\nSELECT'),
            ('cxr_text_intent$ = "lost"', 'cxr_text_x$ != "z"'),
        ],
    ],
    ids=["read again", "not understood"],
)
def test_a_save_that_would_change_what_a_kept_rule_does_is_refused(
    edits: list[tuple[str, str]],
) -> None:
    """A save writes the helper variables again.

    Where a kept rule uses an edited one, nothing is saved.
    """
    tenant = StudioTenant(LOST, CARD)
    for edit in edits:
        tenant.edit(*edit)

    async def restore(client: StudioClient) -> None:
        async with client.lock():
            rules = await client.rules()
            await client.save(rules, (rules[0], CARD), NAMES)

    with pytest.raises(
        errors.ApiError, match="edited cards/lost, and it would mean something else"
    ):
        tenant.talk(restore)
    assert "save" not in tenant.calls


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("}\r\n  // cxroute:rule cards/card", "} // cxroute:rule cards/card"),
        ("SELECT\r\n{\r\n  // cxr", "SELECT { // cxr"),
    ],
)
def test_a_rule_that_shares_a_line_is_written_again(before: str, after: str) -> None:
    """Its lines cannot be kept: they have a brace that is not its own."""
    tenant = StudioTenant(LOST, CARD)
    text = tenant.code
    tenant.edit(before, after)

    async def add(client: StudioClient) -> None:
        async with client.lock():
            rules = await client.rules()
            await client.save(rules, (*rules, SAVINGS), NAMES)
            rules = await client.rules()
            await client.save(rules, rules[:2], NAMES)

    tenant.talk(add)
    assert re.sub("#\\w{8}", "", text) == re.sub("#\\w{8}", "", tenant.code)


def test_a_rule_that_a_script_cannot_hold_is_an_error_before_the_save() -> None:
    """The error is an ApiError with the reason, and nothing is saved."""
    tenant = StudioTenant(LOST)
    odd = managed(
        replace(
            LOST.rule, conditions=(make_condition("not a variable", "equals", "lost"),)
        )
    )
    assert "not a variable" in str(refused(tenant, odd))
    assert "save" not in tenant.calls


@pytest.mark.parametrize(
    "edit",
    [("TRACE", "// by hand\nTRACE"), ('= "lost"', '= "stolen"')],
    ids=["outside of the block", "in the block"],
)
def test_a_save_of_a_person_between_read_and_save_is_not_overwritten(
    edit: tuple[str, str],
) -> None:
    """The error names the person; nothing is saved.

    After a new read, the save keeps the edit outside of the block.
    """
    tenant = StudioTenant(LOST)

    async def interleave(client: StudioClient) -> None:
        async with client.lock():
            rules = await client.rules()
            tenant.edit(*edit)
            edited = tenant.version["content"]
            with pytest.raises(errors.ConcurrentChangeError, match="Kim"):
                await client.save(rules, [CARD], NAMES)
            assert "save" not in tenant.calls
            assert edited is tenant.version["content"]
            await client.save(await client.rules(), [CARD], NAMES)

    tenant.talk(interleave)
    assert ("// by hand" in tenant.code) is ("by hand" in edit[1])
    assert "stolen" not in tenant.code


def test_a_save_needs_the_rules_of_the_last_read() -> None:
    """Without a read, with the rules of an earlier one, and after a save, a save is refused as a
    concurrent change.
    """
    tenant = StudioTenant(LOST)

    async def misuse(client: StudioClient) -> None:
        with pytest.raises(errors.ConcurrentChangeError):
            await client.save((), [CARD], NAMES)
        first = await client.rules()
        tenant.edit('= "lost"', '= "stolen"')
        await client.rules()
        with pytest.raises(errors.ConcurrentChangeError):
            await client.save(first, [CARD], NAMES)
        await client.save(await client.rules(), [CARD], NAMES)
        current = [live for live, _ in (await client.script())[2].values()]
        with pytest.raises(errors.ConcurrentChangeError):
            await client.save(current, [CARD], NAMES)

    tenant.talk(misuse)
    assert 1 == tenant.calls.count("save")


def test_an_edit_of_the_block_counts_without_a_new_version_id() -> None:
    """A comment in the block that changes no rule is a change of the script, whatever id the tenant
    gives it.
    """
    tenant = StudioTenant(LOST)

    async def interleave(client: StudioClient) -> None:
        rules = await client.rules()
        content = edit_content(
            tenant.version["content"],
            lambda code: code.replace("SELECT", "// Kim\r\nSELECT"),
        )
        tenant.version["content"] = content
        assert [live.id for live in rules] == [
            live.id for live, _ in (await client.script())[2].values()
        ]
        await client.save(rules, [CARD], NAMES)

    with pytest.raises(errors.ConcurrentChangeError):
        tenant.talk(interleave)
    assert "// Kim" in tenant.code


# Responses to a save


def result(success: Any, **actions: Any) -> dict[str, Any]:
    return {
        "results": [
            {
                "success": success,
                "masterId": "5",
                "error_code": {"details": {"actions": actions}},
            }
        ]
    }


def test_warnings_are_returned_after_a_save() -> None:
    """206: the script is saved, and each warning names its action."""
    tenant = StudioTenant(LOST)
    warnings = saving(tenant, managed(storable("card", 20, "4999")))
    assert 1 == len(warnings)
    assert re.fullmatch(r"SNIPPET 2: UnknownSkill \(4999\)", warnings[0])
    assert "4999" in tenant.code


def test_warnings_are_bounded_and_safe_to_display() -> None:
    """Of 500 hostile warnings 8 are returned, escaped and cut, and the rest is counted."""
    tenant = StudioTenant(LOST)
    actions = {
        str(n): {"actionType": ESCAPE, "warnings": [{"key": ESCAPE}], "errors": []}
        for n in range(500)
    }
    odd = {"a": 1, "b": {"warnings": [{"key": 5}, 7]}, "c": None}
    tenant.replies["save"] = responding(206, result(True, **odd, **actions))
    warnings = saving(tenant)
    assert 9 == len(warnings)
    assert re.fullmatch("and 49[0-9] more", warnings[-1])
    assert all(text.isprintable() and len(text) < 250 for text in warnings)


def test_a_refused_script_is_rejected_with_the_error_keys() -> None:
    """409: the error names the action and the key, and the tenant has the script as before."""
    tenant = StudioTenant(LOST)
    tenant.edit("TRACE", "THIS IS NO CODE\r\nTRACE")
    content = tenant.version["content"]
    error = refused(tenant)
    assert errors.RejectedError is type(error)
    assert re.search(r"SNIPPET 2: InvalidSnippet .*409", str(error))
    assert content is tenant.version["content"]
    assert "" == tenant.holder


@each_case(
    "status, form, expected",
    [
        (
            409,
            result(False, x={"actionType": "IF", "errors": [{"key": "Bad\x1b"}]}),
            r"IF x: Bad\\u001b \(status 409\)",
        ),
        (409, None, r"no reason given \(status 409\)"),
        (409, b"<html>", r"HTML \(status 409\)"),
        (409, b'{"results": [NaN]}', "status 409"),
        (409, [], "status 409"),
        (
            200,
            result(False, x={"errors": [{"key": "Bad"}]}),
            r"action x: Bad \(status 200\)",
        ),
        (206, {"results": [{"success": False}]}, "status 206"),
        (400, {"message": "no script"}, "status 400, no script"),
    ],
)
def test_a_refusal_of_any_form_is_rejected(
    status: int, form: Any, expected: str
) -> None:
    """409 and `success: false` mean that nothing was saved, whatever the body is."""
    tenant = StudioTenant(LOST)
    tenant.replies["save"] = responding(status, form)
    error = refused(tenant)
    assert errors.RejectedError is type(error)
    assert re.search(expected, str(error))
    assert 1 == tenant.calls.count("save")


@each_case(
    "reply",
    [
        losing(request_too=True),
        losing(request_too=False),
        responding(500, {"message": "boom"}),
        responding(503),
        responding(200),
        responding(204),
        responding(200, b"<html>"),
        responding(200, b'{"results": ['),
        responding(200, {}),
        responding(200, []),
        responding(206, {"results": []}),
        responding(200, {"results": [{"success": "true"}]}),
        responding(200, {"results": [{"success": True}, {"success": False}]}),
    ],
)
def test_an_unclear_response_to_a_save_is_ambiguous(reply: Reply) -> None:
    """The save is sent once, its outcome counts as unknown, and the lock is released."""
    tenant = StudioTenant(LOST)
    tenant.replies["save"] = reply
    assert errors.AmbiguousWriteError is type(refused(tenant))
    assert 1 == tenant.calls.count("save")
    assert "unlock" == tenant.calls[-1]
    assert "" == tenant.holder


@pytest.mark.parametrize(
    ("status", "expected"),
    [(403, errors.ScopeError), (404, errors.UnsupportedCallError)],
)
def test_a_save_that_is_not_allowed_or_offered(
    status: int, expected: type[Exception]
) -> None:
    """403 names the missing right, 404 the call."""
    tenant = StudioTenant(LOST)
    tenant.replies["save"] = responding(status)
    error = refused(tenant)
    assert expected is type(error)
    assert ("edit scripts in Studio" in str(error)) is (status == 403)


# Faults at every call


@each_case("call", [*READS, "lock", "unlock"])
@each_case("request_too", [True, False])
def test_a_lost_call_other_than_the_save_is_repeated(
    call: str, request_too: Any
) -> None:
    """A read, a lock and an unlock may be repeated: the save succeeds, and the lock is released."""
    tenant = StudioTenant(LOST)
    tenant.replies[call] = losing(request_too=request_too, times=1)
    saving(tenant)
    assert CARD.id in tenant.code
    assert "" == tenant.holder


@each_case("call", [*READS, "lock", "unlock"])
def test_a_429_is_repeated_at_every_call_but_the_save(call: str) -> None:
    """A 429 did nothing, so the call is repeated, and the save happens once."""
    tenant = StudioTenant(LOST)
    first = [True]

    async def reply(request: ApiRequest, deliver: Transport) -> ApiResponse:
        if first:
            first.clear()
            return ApiResponse(request.call, 429, {"retry-after": "1"}, b"")
        return await deliver(request)

    tenant.replies[call] = reply
    saving(tenant)
    assert CARD.id in tenant.code
    assert 2 == len(tenant.state.scripts)


@pytest.mark.parametrize(
    "reply", [responding(429), losing(request_too=True, failure=NotSentError)]
)
def test_a_save_that_was_not_done_is_not_repeated_without_a_read(reply: Reply) -> None:
    """Another attempt would come after a wait, in which a person may save: the caller reads the
    script again.
    """
    tenant = StudioTenant(LOST)
    tenant.replies["save"] = reply
    assert isinstance(
        refused(tenant), (errors.OverloadedError, errors.UnreachableError)
    )
    assert 1 == tenant.calls.count("save")
    assert "" == tenant.holder


FAILURES: dict[str, tuple[Reply, type[Exception]]] = {
    "lost": (losing(request_too=False), errors.OverloadedError),
    "not sent": (
        losing(request_too=True, failure=NotSentError),
        errors.OverloadedError,
    ),
    "500": (responding(500), errors.OverloadedError),
    "HTML": (responding(200, b"<html>"), errors.UnexpectedResponseError),
    "403": (responding(403), errors.ScopeError),
    "405": (responding(405), errors.UnsupportedCallError),
    "a list": (responding(200, []), errors.ApiError),
}


@each_case("call", ["read", "lock"])
@each_case("failure", FAILURES)
def test_a_lasting_failure_of_a_call_saves_nothing(call: str, failure: str) -> None:
    """The error has its usual class. Nothing is saved, and the lock does not stay."""
    tenant = StudioTenant(LOST)
    tenant.replies[call], expected = FAILURES[failure]
    assert isinstance(refused(tenant), expected)
    assert 1 == len(tenant.state.scripts)
    assert "" == tenant.holder


@pytest.mark.parametrize("status", [500, 403, 409])
def test_a_failure_of_the_read_before_the_save_saves_nothing(status: int) -> None:
    """The read in `save` fails after that of `rules`."""
    tenant = StudioTenant(LOST)

    async def run(client: StudioClient) -> None:
        async with client.lock():
            rules = await client.rules()
            tenant.replies["read"] = responding(status)
            await client.save(rules, [CARD], NAMES)

    with pytest.raises(
        (errors.OverloadedError, errors.ScopeError, errors.UnsupportedCallError)
    ):
        tenant.talk(run)
    assert 1 == len(tenant.state.scripts)
    assert "" == tenant.holder


@pytest.mark.parametrize(
    "fault",
    [
        "reset",
        "timeout",
        "500",
        "reset-applied",
        "timeout-applied",
        "500-applied",
        "cut",
    ],
)
def test_a_fault_of_the_simulator_at_the_save(fault: str) -> None:
    """The save was done or not: its outcome counts as unknown, and the next read shows which of
    both is true.
    """
    tenant = StudioTenant(LOST, faults=FaultInjector(f"POST script:{fault}"))
    assert errors.AmbiguousWriteError is type(refused(tenant))
    is_done = "applied" in fault or fault == "cut"
    assert is_done is (
        CARD.id in [live.id for live in tenant.talk(lambda client: client.rules())]
    )
    assert "" == tenant.holder


# The lock


def test_the_lock_of_a_person_is_respected_and_named() -> None:
    """The error names script, holder, time and remedy.

    The lock stays the person's: no unlock is sent.
    """
    tenant = StudioTenant(LOST)
    tenant.state.lock_script(SCRIPT, "Kim Lee", 1_764_063_000.0)
    error = refused(tenant)
    assert errors.LockedError is type(error)
    assert "Locked" == error.kind
    assert 1 == error.exit_code
    assert [] == [
        text
        for text in (SCRIPT, "Kim Lee", "2025-11-25", "again")
        if text not in str(error)
    ]
    assert ["lock", "read"] == tenant.calls
    assert "Kim Lee" == tenant.holder


@each_case(
    "lock, read, expected",
    [
        (
            responding(200, {"errorState": True, "errorMessage": ESCAPE}),
            None,
            r"\\u001b",
        ),
        (responding(200, {"errorState": True}), responding(500), "no reason given"),
        (
            responding(200, {"errorState": True}),
            responding(200, {"header": {"lockInfo": {"lockedName": ESCAPE}}}),
            "Kim",
        ),
        (responding(423, {"message": "in use"}), None, "in use"),
        (responding(409, {"message": "in use"}), None, "in use"),
    ],
)
def test_a_refused_lock_without_a_known_holder(
    lock: Reply, read: Reply | None, expected: str
) -> None:
    """The tenant's reason is shown, escaped and cut; no unlock is sent."""
    tenant = StudioTenant(LOST)
    tenant.replies |= {"lock": lock, **({"read": read} if read else {})}
    error = refused(tenant)
    assert errors.LockedError is type(error)
    assert re.search(expected, str(error))
    assert str(error).isprintable()
    assert len(str(error)) < 400
    assert "unlock" not in tenant.calls


def test_a_lock_of_a_killed_run_is_taken_over() -> None:
    """The same user gets the lock again."""
    tenant = StudioTenant(LOST)
    assert "" == tenant.talk(lambda client: client._set_lock("true"))
    assert "" != tenant.holder
    saving(tenant)
    assert CARD.id in tenant.code
    assert "" == tenant.holder


@each_case(
    "reply",
    [
        losing(request_too=True),
        responding(500),
        responding(403),
        responding(200),
        responding(200, {"errorState": True, "errorMessage": "someone\x1b else"}),
    ],
)
def test_a_failed_unlock_is_a_note_and_not_an_error(reply: Reply) -> None:
    """The save stands; the note names the script and the reason."""
    tenant = StudioTenant(LOST)
    tenant.replies["unlock"] = reply

    async def run(client: StudioClient) -> tuple[str, ...]:
        await save(client, LOST, CARD)
        return client.notes

    (note,) = tenant.talk(run)
    assert SCRIPT in note
    assert "locked" in note
    assert note.isprintable()
    assert CARD.id in tenant.code


def test_an_unlock_without_an_answer_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unlock without a response ends after its time, and becomes a note."""
    tenant = StudioTenant(LOST)
    monkeypatch.setattr(studio_client, "_UNLOCK_SECONDS", 0.05)

    async def silence(_request: ApiRequest, _deliver: Transport) -> ApiResponse:
        await asyncio.sleep(60)
        raise AssertionError

    tenant.replies["unlock"] = silence

    async def run() -> tuple[str, ...]:
        client = tenant.client(REAL_TIME)
        await asyncio.wait_for(save(client, LOST, CARD), 5)
        return client.notes

    assert 1 == len(asyncio.run(run()))


def test_the_lock_is_released_after_the_time_limit_of_the_run() -> None:
    """A run whose time is over cannot save, but unlocks."""
    tenant = StudioTenant(LOST)

    async def run() -> None:
        client = tenant.client(run_seconds=100.0)
        async with client.lock():
            rules = await client.rules()
            tenant.clock.seconds += 200
            await client.save(rules, [CARD], NAMES)

    with pytest.raises(errors.OverloadedError, match="time limit"):
        asyncio.run(run())
    assert "" == tenant.holder


@each_case("call", ["lock", "history", "read", "save", "unlock"])
@each_case("delivered", [True, False])
@each_case("cancellations", [1, 2])
def test_a_cancelled_run_unlocks(call: str, delivered: Any, cancellations: int) -> None:
    """A cancellation during any call, also a second one during the unlock, leaves no lock, and
    cancels the run.
    """
    tenant = StudioTenant(LOST)
    tasks: list[asyncio.Task[Any]] = []

    async def cancel(request: ApiRequest, deliver: Transport) -> ApiResponse:
        del tenant.replies[call]
        if delivered:
            await deliver(request)
        tasks[0].cancel()
        await asyncio.sleep(0.01)
        return await deliver(request)

    async def cancel_again(request: ApiRequest, deliver: Transport) -> ApiResponse:
        del tenant.replies["unlock"]
        tasks[0].cancel()
        await asyncio.sleep(0.01)
        return await deliver(request)

    tenant.replies |= {"unlock": cancel_again} if cancellations > 1 else {}
    tenant.replies[call] = cancel

    async def run() -> None:
        tasks.append(asyncio.create_task(save(tenant.client(), LOST, CARD)))
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]

    asyncio.run(run())
    assert "unlock" == tenant.calls[-1]
    assert "" == tenant.holder


# The choice of the client

STUDIO = r"""
api:
  queues: acd-skills
  rules: studio
  evaluation: highest-first
  studio: { script: 'Bot\Hand-over', apiVersion: v31.0, variables: { intent: botIntent }, result: { skill: mySkill } }
"""


@pytest.mark.parametrize("studio", ["", STUDIO], ids=["rules API", "Studio"])
def test_an_environment_decides_the_class_of_its_clients(
    tmp_path: Path, studio: str
) -> None:
    """`rules: studio` leads to the clients of a script, with the block's names; otherwise to those
    of the rules API.
    """
    environment = loaded(tmp_path, ENVIRONMENT + studio).environment("prod")
    opened = [opened_class(environment, access) for access in ACCESSES]
    clients = (StudioReadingClient, StudioClient)
    assert opened == list(clients if studio else (ReadingClient, WritingClient))
    if studio:
        names = {"cognigyDetectedIntent": "botIntent"}
        layout = replace(LAYOUT, variables=names, skill="mySkill", highest_first=True)
        assert studio_script(environment) == StudioScript(SCRIPT, "v31.0", layout)


ACCESSES: Final[tuple[Access, ...]] = ("read", "write")


def opened_class(environment: Environment, access: Access) -> type:
    """Return the class of the source that an Environment's target opens."""
    target = target_of(environment)

    async def open_source() -> type:
        place = StudioPlace(Path())
        surroundings = PlaceSurroundings(environment, place)
        async with target.open(surroundings, access) as source:
            return type(source)

    return asyncio.run(open_source())


def test_a_client_of_the_rules_api_knows_no_last_save() -> None:
    """Rules of an API are saved one by one."""
    assert InProcessTenant().talk(lambda client: client.last_save()) is None


# Nothing else


def test_there_is_no_call_that_deletes_starts_or_kicks() -> None:
    """No method, path or request of the client does so; the only writes are POST and PUT of the
    script.
    """
    names = {
        name
        for name in dir(StudioClient)
        if re.search("delete|kick|start|create|update|restore", name)
    }
    assert set() == names
    source = inspect.getsource(studio_client)
    code = source.split('"""', 2)[2]
    assert not re.search(r"\b(delete|kick|start)\b", code, re.IGNORECASE)
    calls = {
        name: call.method
        for name, call in StudioClient.calls.items()
        if "script" in name
    }
    assert {"read script": "GET", "lock script": "PUT", "save script": "POST"} == calls
    tenant = StudioTenant(LOST)
    with suppress(errors.ApiError):
        saving(tenant)
    assert {*READS, "lock", "unlock", "save"} == set(tenant.calls)
