"""The client of GitHub's API: recipients of the token, pages, limits, faults, and their
messages.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from reconciler.features.forge.github import DIALECT
from reconciler.rest.client import MAX_PAGES, Purpose, RestClient, RestClock, RestError
from tests.features.forge.github.fake import TOKEN
from tests.support.cases import each_case
from tests.support.fake_clock import FakeClock

API = "https://api.github.example"
NEEDED = "`permissions: pull-requests: write`"
PURPOSE = Purpose("read the comments", "pull-requests: write")


class ScriptedGitHub:
    """Scripted responses, in order; the requests; a clock that only waits move."""

    def __init__(
        self, answers: Iterable[httpx.Response | Exception], pause: float = 0.0
    ) -> None:
        self.answers, self.pause = list(answers), pause
        self.asked: list[httpx.Request] = []
        self.clock = FakeClock()
        client = httpx.Client(transport=httpx.MockTransport(self._answer))
        self.github = RestClient(
            dialect=DIALECT,
            http=client,
            base=API,
            token=TOKEN,
            time=RestClock(self._clock, self.clock, self.clock.wait),
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _clock(self) -> float:
        self.clock.seconds += self.pause
        return self.clock()


def ok(form: Any, **headers: str) -> httpx.Response:
    return httpx.Response(200, json=form, headers=headers)


def following(url: str) -> dict[str, str]:
    return {"Link": f'<{url}>; rel="next", <{API}/x>; rel="last"'}


def test_pages_are_followed_to_the_last() -> None:
    """Each by the link in the previous one."""
    world = ScriptedGitHub(
        [
            ok([{"id": 1}], **following(f"{API}/repositories/1/comments?page=2")),
            ok([{"id": 2}]),
        ]
    )
    assert [{"id": 1}, {"id": 2}] == list(
        world.github.pages("/issues/7/comments", PURPOSE)
    )
    assert f"{API}/repositories/1/comments?page=2" == str(world.asked[1].url)
    assert [f"Bearer {TOKEN}"] * 2 == [
        request.headers["Authorization"] for request in world.asked
    ]


@each_case(
    "url",
    [
        "https://evil.example/x",
        "http://api.github.example/x",
        "https://api.github.example:444/x",
        "https://api.github.example.evil.example/x",
        "https://user@api.github.example/x",
        "//evil.example/x",
        "/relative",
        "https://[",
    ],
)
def test_a_next_page_on_another_host_is_not_requested(url: str) -> None:
    """It would get the token."""
    world = ScriptedGitHub([ok([], **following(url))])
    with pytest.raises(
        RestError, match="the link to the next page leads to another host"
    ):
        list(world.github.pages("/issues/7/comments", PURPOSE))
    assert 1 == len(world.asked)


def test_endless_pages_are_an_error() -> None:
    """After a high number of pages."""
    world = ScriptedGitHub(
        ok([], **following(f"{API}/again")) for _ in range(MAX_PAGES + 1)
    )
    with pytest.raises(RestError, match="more than 100 pages"):
        list(world.github.pages("/issues/7/comments", PURPOSE))


@pytest.mark.parametrize(
    ("answer", "waits"),
    [
        (httpx.Response(403, headers={"Retry-After": "7"}), [7.0]),
        (httpx.Response(429, headers={"Retry-After": "7"}), [7.0]),
        (
            httpx.Response(
                403, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1010"}
            ),
            [11.0],
        ),
        (
            httpx.Response(
                403, json={"message": "You have exceeded a secondary rate limit"}
            ),
            [60.0],
        ),
        (httpx.Response(429), [60.0]),
        (httpx.Response(502), [1.0]),
        (httpx.ConnectError("no"), [1.0]),
        (httpx.ReadTimeout("slow"), [1.0]),
    ],
)
def test_a_rate_limit_or_a_fault_is_retried(answer: Any, waits: list[float]) -> None:
    """After GitHub's wait; after a minute without one."""
    world = ScriptedGitHub([answer, ok([])])
    assert [] == list(world.github.pages("/issues", PURPOSE))
    assert waits == world.clock.slept


@pytest.mark.parametrize(
    "answer", [httpx.Response(502), httpx.ReadTimeout("slow"), httpx.ConnectError("no")]
)
def test_a_post_with_an_unknown_outcome_is_not_repeated(answer: Any) -> None:
    """A comment may exist although its response is lost: a second one would stay."""
    world = ScriptedGitHub([answer])
    with pytest.raises(RestError):
        world.github.send("POST", "/issues/7/comments", {"body": "x"}, PURPOSE)
    assert 1 == len(world.asked)


def test_a_post_is_retried_after_a_limit_and_an_edit_after_any_fault() -> None:
    """The POST was certainly not done; the edit may be done twice."""
    limited = ScriptedGitHub(
        [httpx.Response(403, headers={"Retry-After": "1"}), ok({"id": 1})]
    )
    assert {"id": 1} == limited.github.send(
        "POST", "/issues/7/comments", {"body": "x"}, PURPOSE
    )
    broken = ScriptedGitHub(
        [httpx.Response(500), httpx.ReadTimeout("slow"), ok({"id": 1})]
    )
    assert {"id": 1} == broken.github.send(
        "PATCH", "/issues/comments/1", {"body": "x"}, PURPOSE
    )
    assert [1.0, 2.0] == broken.clock.slept


def test_waits_end() -> None:
    """After four attempts, after two minutes in all, and without a wait if GitHub asks for a longer
    one.
    """
    world = ScriptedGitHub([httpx.Response(500)] * 4)
    with pytest.raises(RestError, match="HTTP 500"):
        world.github.get_object("", PURPOSE)
    assert [1.0, 2.0, 4.0] == world.clock.slept
    world = ScriptedGitHub([httpx.Response(403, headers={"Retry-After": "3600"})])
    with pytest.raises(RestError, match="asks for a longer wait than a step may take"):
        world.github.get_object("", PURPOSE)
    assert [] == world.clock.slept
    world = ScriptedGitHub([httpx.Response(429, headers={"Retry-After": "50"})] * 3)
    with pytest.raises(RestError, match="longer wait"):
        world.github.get_object("", PURPOSE)
    assert [50.0, 50.0] == world.clock.slept


@each_case(
    "answer, said",
    [
        (
            httpx.Response(
                403, json={"message": "Resource not accessible by integration"}
            ),
            "cannot read the comments: HTTP 403 Resource not accessible by integration; the job "
            "needs " + NEEDED,
        ),
        (
            httpx.Response(404, json={"message": "Not Found"}),
            "cannot read the comments: HTTP 404 Not Found; it does not exist, or the job lacks "
            + NEEDED,
        ),
        (
            httpx.Response(401),
            "cannot read the comments: HTTP 401; GITHUB_TOKEN is not valid (any more)",
        ),
        (httpx.Response(422, json=["x"]), "cannot read the comments: HTTP 422"),
        (httpx.Response(400, text="<html>"), "cannot read the comments: HTTP 400"),
        (ok({"a": 1}), "cannot read the comments: GitHub's response is not a list"),
        (
            httpx.Response(200, text="<html>"),
            "cannot read the comments: GitHub's response is not JSON",
        ),
        (
            httpx.Response(200, text="[" * 100_000),
            "cannot read the comments: GitHub's response is not JSON",
        ),
    ],
)
def test_an_error_is_one_sentence_that_says_what_to_do(
    answer: httpx.Response, said: str
) -> None:
    """The failed task, GitHub's text, and the missing permission."""
    with pytest.raises(RestError) as raised:
        list(ScriptedGitHub([answer]).github.pages("/issues/7/comments", PURPOSE))
    assert said == str(raised.value)


def test_a_response_is_bounded_in_size_and_time() -> None:
    """A slow and an endless response both end."""

    class Flood(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            while True:
                yield b" " * (1 << 20)

    with pytest.raises(RestError, match="larger than 16 MiB"):
        ScriptedGitHub([httpx.Response(200, stream=Flood())]).github.get_object(
            "", PURPOSE
        )
    drips = [httpx.Response(200, stream=Flood()) for _ in range(4)]
    with pytest.raises(RestError, match="took too long"):
        ScriptedGitHub(drips, pause=30.0).github.get_object("", PURPOSE)


def test_a_file_is_fetched_from_its_location_without_the_token() -> None:
    """GitHub names the location; only GitHub gets the token."""
    place = "https://store.example/blob?sig=1"
    world = ScriptedGitHub(
        [
            httpx.Response(302, headers={"Location": place}),
            httpx.Response(200, content=b"zip"),
        ]
    )
    assert b"zip" == world.github.download("/actions/artifacts/1/zip", 100, PURPOSE)
    assert place == str(world.asked[1].url)
    assert "Authorization" not in world.asked[1].headers


@each_case(
    "place",
    [
        "http://store.example/blob",
        "http://api.github.example/blob",
        "file:///etc/passwd",
        "",
        "https://",
        "/x",
    ],
)
def test_a_file_is_fetched_only_over_https(place: str) -> None:
    """Otherwise an attacker on the network would decide what is applied."""
    world = ScriptedGitHub([httpx.Response(302, headers={"Location": place})])
    with pytest.raises(
        RestError, match="GitHub's link to it is not an https:// address"
    ):
        world.github.download("/actions/artifacts/1/zip", 100, PURPOSE)


def test_a_file_has_a_maximum_size() -> None:
    """With any headers."""
    blob = httpx.Response(200, stream=httpx.ByteStream(b"x" * 101))
    world = ScriptedGitHub(
        [httpx.Response(302, headers={"Location": "https://store.example/x"}), blob]
    )
    with pytest.raises(RestError, match="it is larger than"):
        world.github.download("/actions/artifacts/1/zip", 100, PURPOSE)


def test_the_token_is_in_no_representation() -> None:
    """A traceback that shows the object does not show it."""
    buffer = io.StringIO()
    print(ScriptedGitHub([]).github, file=buffer)
    assert TOKEN not in buffer.getvalue()
