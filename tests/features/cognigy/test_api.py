"""Cognigy's API over a real socket: cursors, limits, refusals, cut and wrong answers, and the
key.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from reconciler.rest.client import RestClient, RestClock
from tests.support.cognigy_bots import KEY, PROJECT, FakeCognigy, intent, reply, serving
from tests.support.fake_clock import FakeClock
from tests.support.program import Program

ONE: Final = {"Main": {"English": [intent("a")]}}


@pytest.fixture
def waits(access: None, monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Access with a key; waits between attempts take no time."""
    del access
    clock = FakeClock()
    slow = partial(RestClient, time=RestClock(now=clock, sleep=clock.wait))
    monkeypatch.setattr("reconciler.rest.client.RestClient", slow)
    monkeypatch.setenv("COGNIGY_API_KEY", KEY)
    return clock


def read(cxroute: Program, cognigy: FakeCognigy, path: str = "", *words: str) -> int:
    """Read the project from the API at a path."""
    with serving(cognigy):
        return cxroute(
            "cognigy",
            "intents",
            "--project",
            PROJECT,
            "--url",
            f"{cognigy.url}{path}",
            *words,
        )


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize(
    ("path", "prefix"), [("", "/v2.0"), ("/v2.0/", "/v2.0"), ("/new/v2.0", "/new/v2.0")]
)
def test_the_base_path_is_a_setting(cxroute: Program, path: str, prefix: str) -> None:
    """Without a path in --url it is /v2.0."""
    cognigy = FakeCognigy(ONE, prefix=prefix)
    assert 0 == read(cxroute, cognigy, path), cxroute.err
    assert all(request.startswith(f"{prefix}/") for request in cognigy.requests)


@pytest.mark.usefixtures("waits")
def test_every_page_is_read(cxroute: Program) -> None:
    """By the cursor; a page has at most 100 items, and children are included."""
    cognigy = FakeCognigy(
        {
            f"flow {number}": {
                "English": [intent(f"i{number}-{at}") for at in range(105)]
            }
            for number in range(3)
        }
    )
    assert 0 == read(cxroute, cognigy), cxroute.err
    assert cxroute.err.startswith("315 intents from project ")
    assert {"100"} == {
        parse_qs(urlsplit(request).query)["limit"][0] for request in cognigy.requests
    }
    assert 3 == sum("next=c100" in request for request in cognigy.requests)


def test_a_rate_limit_is_waited_for(cxroute: Program, waits: FakeClock) -> None:
    """As long as the API says, up to five minutes and more; a fault is retried."""
    faults = [
        reply("429 Too Many Requests", b"{}", "Retry-After: 299"),
        reply("502 Bad Gateway"),
    ]
    assert 0 == read(cxroute, FakeCognigy(ONE, faults=faults)), cxroute.err
    assert [299.0, 2.0] == waits.slept


REFUSALS: Final = {
    "401": (
        reply("401 Unauthorized"),
        "cannot list the flows: HTTP 401; COGNIGY_API_KEY is not valid (any more)",
    ),
    "403": (
        reply("403 Forbidden"),
        "cannot list the flows: HTTP 403; the user of the key needs access to the project",
    ),
    "404": (
        reply("404 Not Found"),
        "cannot list the flows: HTTP 404; check --project and --url (/v2.0 or /new/v2.0)",
    ),
    "a redirect": (
        reply("302 Found", b"", "Location: https://evil.example/"),
        "Cognigy's response is not a list",
    ),
    "not JSON": (
        reply("200 OK", b"<html>"),
        "cannot list the flows: Cognigy's response is not JSON",
    ),
    "deep": (
        reply("200 OK", b"[" * 100_000),
        "cannot list the flows: Cognigy's response is not JSON",
    ),
    "large": (
        reply("200 OK", b" " * (17 << 20)),
        "cannot list the flows: it is larger than 16 MiB",
    ),
}


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_names_the_call_and_the_fix(cxroute: Program, case: str) -> None:
    """No document is printed."""
    raw, message = REFUSALS[case]
    assert 1 == read(cxroute, FakeCognigy(ONE, faults=[raw]))
    assert message in cxroute.err
    assert "" == cxroute.out


def test_a_cut_answer_is_requested_again(cxroute: Program, waits: FakeClock) -> None:
    """After four attempts it is an error, and the file is not written."""
    cut = reply("200 OK", b'{"items": [{"_id": "f-0", "na', length=500)
    assert 0 == read(cxroute, FakeCognigy(ONE, faults=[cut]), "", "--into", "a.yaml"), (
        cxroute.err
    )
    assert [1.0] == waits.slept
    assert 1 == read(
        cxroute, FakeCognigy(ONE, faults=[cut] * 4), "", "--into", "b.yaml"
    )
    assert "cannot list the flows: 127.0.0.1 cannot be reached" in cxroute.err
    assert (True, False) == (Path("a.yaml").exists(), Path("b.yaml").exists())


def with_cursor(cursor: Any) -> Callable[[str, Any], Any]:
    return lambda path, page: (
        {**page, "nextCursor": cursor(page)} if path.endswith("intents") else page
    )


def next_of_two(page: Any) -> str:
    """Return cursors that lead in a circle: the even pages to the odd ones, and back."""
    return "c1" if len(page["items"]) else "c0"


ANSWERS: Final[dict[str, tuple[Callable[[str, Any], Any], str]]] = {
    "the same page again": (
        with_cursor(lambda _page: "c0"),
        "Cognigy's response is not a list",
    ),
    "pages in a circle": (with_cursor(next_of_two), "there are more than 100 pages"),
    "a number as cursor": (
        with_cursor(lambda _page: 1),
        "Cognigy's response is not a list",
    ),
    "a list instead of a page": (
        lambda _path, page: page["items"],
        "Cognigy's response is not a list",
    ),
    "too many items": (
        lambda _path, page: {**page, "items": page["items"] * 101},
        "Cognigy's response is not a list",
    ),
    "items that are an object": (
        lambda _path, page: {**page, "items": {}},
        "Cognigy's response is not a list",
    ),
    "an intent without a name": (
        lambda path, page: (
            {**page, "items": [{"_id": "x"}]} if path.endswith("intents") else page
        ),
        'the intents of flow "Main": not a list of intents with names',
    ),
    "a locale without a name": (
        lambda path, page: (
            {**page, "items": [{"_id": "x"}]} if path == "/locales" else page
        ),
        "the list of locales: not a list of locales with names",
    ),
    "no flows": (
        lambda path, page: {**page, "items": []} if path == "/flows" else page,
        "the bot has 0 intents",
    ),
}


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize("case", ANSWERS)
def test_a_wrong_answer_is_an_error(cxroute: Program, case: str) -> None:
    """With the call and the problem; a loop of pages ends."""
    answer, message = ANSWERS[case]
    assert 1 == read(cxroute, FakeCognigy(ONE, answer=answer))
    assert message in cxroute.err
    assert "" == cxroute.out


@pytest.mark.usefixtures("waits")
def test_an_id_from_the_api_stays_one_part_of_the_path(cxroute: Program) -> None:
    """A flow with the id `../../x?` does not lead to another address."""

    def answer(path: str, page: Any) -> Any:
        return (
            {**page, "items": [{"_id": "../../x?y#z", "name": "Main"}]}
            if path == "/flows"
            else page
        )

    cognigy = FakeCognigy(ONE, answer=answer)
    assert 1 == read(cxroute, cognigy)
    assert cognigy.requests[-1].startswith("/v2.0/flows/..%2F..%2Fx%3Fy%23z/intents?")


def test_the_key_comes_from_a_variable_or_a_file(
    cxroute: Program, waits: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one, or with characters that a header cannot hold, nothing is sent."""
    del waits
    monkeypatch.delenv("COGNIGY_API_KEY")
    cognigy = FakeCognigy(ONE)
    assert 1 == read(cxroute, cognigy)
    assert (
        "no API key of Cognigy: set COGNIGY_API_KEY, or COGNIGY_API_KEY_FILE to the path"
        in cxroute.err
    )
    monkeypatch.setenv("COGNIGY_API_KEY", "a\nb")
    assert 1 == read(cxroute, cognigy)
    assert "COGNIGY_API_KEY has characters that no token has" in cxroute.err
    assert [] == cognigy.requests
    monkeypatch.delenv("COGNIGY_API_KEY")
    Path("key").write_text(f"{KEY}\n", encoding="utf-8")
    monkeypatch.setenv("COGNIGY_API_KEY_FILE", "key")
    assert 0 == read(cxroute, cognigy), cxroute.err
    assert {KEY} == cognigy.keys


@pytest.mark.usefixtures("waits")
def test_an_unreachable_api_is_an_error(cxroute: Program) -> None:
    """It names the host."""
    with serving(FakeCognigy(ONE)) as cognigy:
        pass
    assert 1 == cxroute(
        "cognigy", "intents", "--project", PROJECT, "--url", cognigy.url
    )
    assert "cannot list the flows: 127.0.0.1 cannot be reached" in cxroute.err
