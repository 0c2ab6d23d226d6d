"""Profiles: styles of paging, errors and names by a manifest; the client on recorded pages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core import errors
from reconciler.core.manifest.kinds.profile import (
    DEFAULT_PROFILE,
    Profile,
    operator_names,
)
from reconciler.core.manifest.load import load_manifests
from reconciler.targets.platform.profile_mapping import ProfileMapper
from reconciler.targets.platform.settings import ClientCredentials, TenantSettings
from reconciler.targets.platform.transport.httpx_transport import transport_over
from reconciler.targets.rules_api.client import WritingClient
from tests.support.cases import each_case
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT
from tests.support.program import Program, write

ROOT = Path(__file__).resolve().parents[3]


def profile(**said: Any) -> Profile:
    return Profile.model_validate({"name": "x", **said})


def tenant_of(made: Profile) -> TenantSettings:
    return replace(
        TENANT,
        profile=made,
        queues=made.queues,
        rules_path=made.rules.path,
        queues_path=made.queues.path,
    )


OTHER_NAMES: dict[str, Any] = {
    "rules": {"path": "/acd/rules", "id": "ruleId", "single": "rule"},
    "rule": {
        "name": "ruleName",
        "priority": "order",
        "enabled": "isActive",
        "conditions": "when",
        "targets": "then",
    },
    "condition": {
        "type": "kind",
        "attributeName": "field",
        "operator": "op",
        "value": "is",
        "attribute": "FIELD",
    },
    "target": {"queueId": "skillId", "weight": "share", "queue": "SKILL"},
    "operators": {"equals": "EQ", "in": "equals", "greaterThanOrEqual": ">="},
}
STYLES: dict[str, dict[str, Any]] = {
    "page-number": {
        "style": "page-number",
        "page": "p",
        "first": 0,
        "size": "n",
        "next": "more",
    },
    "skip-top": {"style": "skip-top", "total": "total", "next": "more"},
    "scroll-token": {"style": "scroll-token", "total": "total", "token": "more"},
}
COUNTED = ["page-number", "skip-top"]


class Scripted:
    """Answers each page by a script, and records every address that got a token."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), list[str]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if request.url.path == "/oauth/token":
            return httpx.Response(
                200, json={"access_token": "canary-token", "expires_in": 3600}
            )
        self.asked.append(str(request.url))
        return httpx.Response(
            200, json=self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        )

    def rules(self, made: Profile) -> Any:
        """Read the rules."""

        async def run() -> Any:
            carry = transport_over(httpx.MockTransport(self))
            return await WritingClient(
                carry,
                tenant_of(made),
                ClientCredentials(client_id="i", client_secret="s"),
                FakeClock().time,
            ).rules()

        return asyncio.run(run())


def entry(name: str) -> dict[str, Any]:
    return {"id": name, "name": name, "priority": 1}


def pages(
    style: str, names: str, size: int = 3, total: int | None = None
) -> list[dict[str, Any]]:
    """Return the pages of a list with these rules, each of one letter."""
    count = len(names) if total is None else total
    length = max(len(names), count) if names and style in COUNTED else len(names)
    actual = []
    for start in range(0, length or 1, size):
        following = start + size
        link: str | None = (
            f"/api/v2/routing/rules?skip={following}&p={following // size}"
        )
        if style == "scroll-token":
            link = f"token {following}"
        if following >= length:
            link = None
        entries = [entry(name) for name in names[start:following]]
        actual.append({"entities": entries, "total": count, "more": link})
    return actual


def names_read(server: Scripted, style: str) -> str:
    """Return the names of the rules that the client reads."""
    return "".join(
        sorted(
            live.id for live in server.rules(profile(rules={"paging": STYLES[style]}))
        )
    )


@each_case("names", ["", "a", "abc", "abcd", "abcdefg"])
@each_case("style", STYLES)
def test_every_style_is_read_to_its_end(style: str, names: str) -> None:
    """Empty, one page, a full one, several: each rule once. An empty list is read again."""
    recorded = pages(style, names)
    assert names == names_read(Scripted(*recorded), style)


def test_each_style_requests_the_next_page_in_its_way() -> None:
    """By a number, by the entries to skip, or by the token."""
    requested = {}
    for style in STYLES:
        server = Scripted(*pages(style, "abcd"))
        names_read(server, style)
        requested[style] = [url.partition("?")[2] for url in server.asked]
    assert {
        "page-number": ["p=0&n=100", "p=1&n=100"],
        "skip-top": ["skip=0&top=100", "skip=3&top=100"],
        "scroll-token": ["size=100", "scrollToken=token+3&size=100"],
    } == requested


FAULTS = {
    "duplicate": "abcabcg",
    "missing": "abcdg",
    "shift": "abcefg",
    "earlier": "abccdef",
    "empty": "",
}


@each_case("names", FAULTS.values())
@each_case("style", STYLES)
def test_an_incomplete_read_is_repeated(style: str, names: str) -> None:
    """F28 to F31: after another read every rule is there."""
    server = Scripted(*pages(style, names, total=7), *pages(style, "abcdefg"))
    assert "abcdefg" == names_read(server, style)


@pytest.mark.parametrize("style", STYLES)
def test_a_total_that_changes_between_pages_is_not_accepted(style: str) -> None:
    """F30: a rule was created or deleted while the list was read."""
    first = pages(style, "abcd", total=4)
    second = pages(style, "abcd", total=5)
    with pytest.raises(errors.IncompleteReadError, match="its total changed"):
        names_read(Scripted(*[first[0], second[1]] * 3), style)


@pytest.mark.parametrize("style", STYLES)
def test_a_list_shorter_than_its_total_is_not_accepted(style: str) -> None:
    """F29, F30: the total shows that entries are missing."""
    with pytest.raises(errors.IncompleteReadError, match="6 of 7 arrived"):
        names_read(Scripted(*pages(style, "abcdef", total=7) * 3), style)


@pytest.mark.parametrize("style", STYLES)
def test_a_page_without_a_total_is_an_error(style: str) -> None:
    """Nothing proves that such a list is complete."""
    (page,) = pages(style, "a")
    del page["total"]
    with pytest.raises(errors.UnexpectedResponseError, match="no usable `total`"):
        names_read(Scripted(page), style)


@pytest.mark.parametrize("style", STYLES)
def test_a_circular_list_ends(style: str) -> None:
    """F32: a link or token back to the start."""
    back = "back" if style == "scroll-token" else "/api/v2/routing/rules?p=0&skip=0"
    recorded = [{**page, "more": back} for page in pages(style, "abcdefg")]
    with pytest.raises(errors.UnexpectedResponseError, match="links back"):
        names_read(Scripted(*recorded), style)


@each_case(
    "link",
    [
        "https://evil.example/api/v2/routing/rules?p=1",
        "//evil.example/api/v2/routing/rules?p=1",
        "https://localhost/api/v2/routing/rules?p=1",
        "http://localhost:81/api/v2/routing/rules?p=1",
        "http://localhost@evil.example/api/v2/routing/rules?p=1",
        "http://localhost.evil.example/api/v2/routing/rules?p=1",
        "http:///api/v2/routing/rules?p=1",
        "javascript:alert(1)",
        "http://[::1/api/v2/routing/rules?p=1",
    ],
)
@each_case("style", COUNTED)
def test_a_link_to_another_host_is_refused_before_a_request(
    style: str, link: str
) -> None:
    """F32: no form of the link causes a request to another host."""
    server = Scripted({"entities": [entry("a")], "total": 2, "more": link})
    with pytest.raises(errors.UnexpectedResponseError, match=r"another host|not a URL"):
        names_read(server, style)
    assert 1 == len(server.asked)


@pytest.mark.parametrize("token", [7, {"href": "a"}, ["a"], True])
def test_a_token_that_is_not_text_is_an_error(token: object) -> None:
    """Its page does not say how the list goes on."""
    server = Scripted({"entities": [entry("a")], "total": 2, "more": token})
    with pytest.raises(errors.UnexpectedResponseError, match="`more` that is not text"):
        names_read(server, "scroll-token")


@each_case(
    "made, answer",
    [
        (
            {"style": "page-number", "next": "more"},
            {"total": 1, "nextUri": "/x?pageNumber=2"},
        ),
        (
            {"style": "skip-top", "total": "count", "next": "m"},
            {"count": 1, "_links": {"next": "/x?skip=1"}},
        ),
        (
            {"style": "scroll-token", "total": "count", "token": "tokn"},
            {"count": 1, "scrollToken": "abc"},
        ),
        ({"style": "page-number", "total": "count"}, {"count": 1, "total": 3}),
        ({"style": "scroll-token", "total": "count"}, {"count": 1, "hits": 3}),
    ],
)
def test_no_profile_makes_a_partial_list_look_complete(
    made: dict[str, Any], answer: dict[str, Any]
) -> None:
    """R11: a profile comes from a pull request; with any profile, a response that shows more
    entries is an error.
    """
    server = Scripted({"entities": [entry("a")], **answer})
    with pytest.raises(
        errors.IncompleteReadError, match=r"the list continues|has the total 3"
    ):
        server.rules(profile(rules={"paging": made}))


def test_an_endless_chain_of_pages_is_an_error() -> None:
    """New tokens without end, and no new entry."""
    count = iter(range(10**6))

    class Endless(Scripted):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            self.answers = [
                {"entities": [entry("a")], "hits": 2, "scrollToken": f"t{next(count)}"}
            ]
            return super().__call__(request)

    server = Endless({})
    with pytest.raises(errors.UnexpectedResponseError, match="does not end"):
        server.rules(profile(rules={"paging": {"style": "scroll-token"}}))
    assert len(server.asked) < 20


def test_a_server_that_repeats_one_token_until_the_end_is_read() -> None:
    """Some servers keep the position: the same token, other entries."""
    recorded = [
        {**page, "more": "same"} for page in pages("scroll-token", "ab", size=1)
    ]
    assert "ab" == names_read(
        Scripted(*recorded, {"entities": [], "total": 2, "more": "same"}),
        "scroll-token",
    )


UNKNOWN = {
    "id": "1",
    "division": {"id": "d"},
    "~odd": 1,
    "conditions": [{"hint": {"x": 1}}],
}


def test_an_update_sends_what_the_verb_needs() -> None:
    """PUT sends the whole rule; PATCH the managed fields.

    Both keep unknown fields in conditions.
    """
    form = {
        **dict.fromkeys(("name", "description", "priority", "enabled", "targets"), 0),
        **UNKNOWN,
    }
    assert form == ProfileMapper(profile(update="PUT")).update_body(form)
    managed = {
        name: value
        for name, value in form.items()
        if name not in ("id", "division", "~odd")
    }
    assert managed == ProfileMapper(profile(update="PATCH")).update_body(form)


NAMES = st.sampled_from(
    [
        "id",
        "name",
        "ruleName",
        "priority",
        "order",
        "conditions",
        "when",
        "targets",
        "op",
        "operator",
        "~name",
        "~~x",
        "z",
    ]
)
WORDS = st.sampled_from(
    ["equals", "EQ", "in", "attribute", "FIELD", "~equals", "queue", "strange"]
) | st.integers(0, 9)
PARTS = st.lists(
    st.dictionaries(
        st.sampled_from(
            ["type", "kind", "op", "operator", "queueId", "skillId", "~op"]
        ),
        WORDS,
    )
)
FORMS = st.dictionaries(NAMES, st.integers() | st.text(max_size=3) | PARTS)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(FORMS, st.sampled_from(["text", "number"]), st.sampled_from(["text", "number"]))
def test_a_rule_is_written_back_as_it_was_read(
    form: dict[str, Any], ids: str, queue_ids: str
) -> None:
    """R2: names map one to one, for all fields of the tenant with names that cxroute uses."""
    names = {**OTHER_NAMES, "rules": {**OTHER_NAMES["rules"], "ids": ids}}
    names["target"] = {**OTHER_NAMES["target"], "queueIds": queue_ids}
    dialect = ProfileMapper(profile(**names))
    assert form == dialect.tenant_body(dialect.canonical_rule(form))


def test_the_default_profile_changes_nothing() -> None:
    """It takes the same path, and each rule is the very object that was read."""
    form = {"id": "1", "~x": 1, "conditions": [{"type": "attribute"}]}
    assert form is ProfileMapper(DEFAULT_PROFILE).canonical_rule(form)


def test_the_printed_profile_has_only_default_values(cxroute: Program) -> None:
    """`cxroute schema profile` prints a manifest."""
    assert 0 == cxroute("schema", "profile")
    write("profile.yaml", cxroute.out)
    stored = load_manifests(Path("manifests")).profiles["tutorial"].document
    assert DEFAULT_PROFILE == stored.model_copy(update={"operators": {}})
    assert operator_names({}) == stored.operators


def test_the_example_of_the_documents_is_valid(cxroute: Program) -> None:
    """A user can copy it."""
    document = (ROOT / "docs/manifests/profile.md").read_text(encoding="utf-8")
    write("all.yaml", document.split("```yaml\n")[1].split("```")[0])
    assert 0 == cxroute("validate"), cxroute.out


def rows() -> Iterator[tuple[dict[str, Any], str]]:
    """Yield parts of invalid profiles, and the messages."""
    yield {"rules": {"path": "//evil.example/rules"}}, "path"
    yield {"rules": {"path": "https://evil.example/rules"}}, "path"
    yield {"rules": {"path": "/rules?x=1"}}, "path"
    yield {"rules": {"path": "/rules\r\nX: 1"}}, "path"
    yield {"rules": {"path": "/a/../b"}}, "path"
    yield {"rules": {"path": "/api/v2/routing/queues"}}, "the same path"
    yield {"errors": {"header": "X: y\r\nZ"}}, "header"
    yield {"errors": {"messages": ["{{ config }}"]}}, "errors[].message"
    yield {"rules": {"paging": {"style": "skip-top", "skip": "a&b"}}}, "query parameter"
    for style in ("cursor", "next-link", "all-at-once"):
        output = "paging needs a `style`, one of page-number, skip-top, scroll-token"
        yield {"rules": {"paging": {"style": style}}}, output
    yield {"rules": {"paging": {"style": "scroll-token", "page": "p"}}}, "unknown field"
    yield {"rules": {"list": "."}}, "member"
    yield {"rule": {"name": "id"}}, "has two meanings"
    yield {"rule": {"name": "x", "priority": "x"}}, "has two meanings"
    yield {"operators": {"equals": "in"}}, "has two meanings"
    yield {"operators": {"equals": "~in"}}, "word"
    yield {"operators": {"same": "EQ"}}, "must be one of"
    yield {"update": "DELETE"}, "PUT"
    yield {"rule": {"name": "~name"}}, "name of a field"


@each_case("said, told", [*rows()])
def test_an_invalid_profile_is_refused_with_a_reason(
    said: dict[str, Any], told: str, room: Any
) -> None:
    """No host in a path, no second header, no template, no name with two meanings; the message has
    the position.
    """
    from tests.support.written_manifests import lines, yaml_of  # noqa: PLC0415 - the room is the current directory by then

    (room / "a.yaml").write_text(
        yaml_of({"apiVersion": "routing/v1", "kind": "Profile", "name": "x", **said})
    )
    (actual,) = lines(room)
    assert told in actual
    assert json.dumps(actual)
