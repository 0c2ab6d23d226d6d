"""Profiles: five styles of paging, errors and names by a manifest; one client, and a simulator of each."""

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

from reconciler import errors
from reconciler.cli.commands.simulate import tenant_profile
from reconciler.cxone.client import WritingClient
from reconciler.cxone.profile_mapping import ProfileMapper
from reconciler.cxone.settings import ClientCredentials, TenantSettings
from reconciler.cxone.transport.httpx_transport import transport_over
from reconciler.manifest.kinds.profile import DEFAULT_PROFILE, Profile, operator_names
from reconciler.manifest.load import load_manifests
from reconciler.model.live import FetchedRule
from reconciler.simulator.faults.injector import FaultInjector
from reconciler.simulator.settings import SimulatorSettings
from reconciler.simulator.state import TenantState
from tests.support.builders import MARKER, QUEUES, rule
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT, InProcessTenant
from tests.support.program import Program, write
from tests.support.simulated import stored
from tests.support.tenant_profiles import ERRORS, OTHER_NAMES, PAGING

ROOT = Path(__file__).resolve().parents[2]


def profile(**said: Any) -> Profile:
    return Profile.model_validate({"name": "x", **said})


def tenant_of(made: Profile) -> TenantSettings:
    return replace(TENANT, profile=made, queues=made.queues, rules_path=made.rules.path, queues_path=made.queues.path)


class Spoken(InProcessTenant):
    """A simulated tenant with a profile, and a client with the same one."""

    def __init__(self, made: Profile, rules: int = 0, faults: str = "", cap: int = 3, **said: Any) -> None:
        profile = tenant_profile(made, made.rules.path, made.queues.path)
        super().__init__(
            settings=SimulatorSettings(page_cap=cap, profile=profile, **said),
            faults=FaultInjector(faults) if faults else None,
            state=TenantState(
                [queue._asdict() for queue in QUEUES], [stored(number, **unknown()) for number in range(rules)]
            ),
            tenant=tenant_of(made),
        )

    def ids(self) -> list[str]:
        """Return the ids that the client reads."""
        return sorted(live.id for live in self.talk(lambda client: client.rules()))


def unknown() -> dict[str, Any]:
    """Fields of the tenant: some have names that another profile uses for known fields."""
    targets = [{"type": "queue", "queueId": "q-cards", "weight": 1, "hint": {"x": 1}}]
    return {"targets": targets, "division": {"id": "d"}, "~odd": 1}


@pytest.mark.parametrize("count", [0, 1, 3, 4, 7])
@pytest.mark.parametrize("style", PAGING)
def test_every_style_is_read_to_its_end(style: str, count: int) -> None:
    """Empty, one page, a full one, several: each rule once."""
    spoken = Spoken(profile(rules=PAGING[style]), count)
    assert sorted(f"r{number}" for number in range(count)) == spoken.ids()


@pytest.mark.parametrize("style", PAGING)
def test_a_rule_is_created_updated_and_deleted_in_every_style(style: str) -> None:
    """And read again, also by its id."""
    spoken = Spoken(profile(rules=PAGING[style]), 4)

    async def work(client: WritingClient) -> None:
        made = await client.create(rule(), MARKER)
        read = await client.rule(made.id)
        assert read is not None
        assert rule() == read.live.rule
        changed = await client.update(read, rule(priority=7), MARKER)
        assert 7 == changed.rule.priority
        assert 5 == len(await client.rules())
        await client.delete(FetchedRule(changed))
        assert 4 == len(await client.rules())

    spoken.talk(work)


FAULTS = ("duplicate", "missing", "shift", "shift=-1", "empty-list", "stale")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("style", [style for style in PAGING if style != "all-at-once"])
def test_a_fault_while_paging_is_retried(style: str, fault: str) -> None:
    """F28 to F31, F33: once, on the second page; after another read every rule is there."""
    spoken = Spoken(profile(rules=PAGING[style]), 7, f"GET rules:{fault}@#2")
    assert [f"r{number}" for number in range(7)] == spoken.ids()


@pytest.mark.parametrize(
    "style", [style for style, said in PAGING.items() if "total" in str(said) or style == "skip-top"]
)
@pytest.mark.parametrize("fault", ["missing", "shift"])
def test_a_list_shorter_than_its_total_is_not_accepted(style: str, fault: str) -> None:
    """F29, F30: the total shows that entries are missing."""
    spoken = Spoken(profile(rules=PAGING[style]), 7, f"GET rules:{fault}")
    with pytest.raises(errors.IncompleteReadError, match="of 7 arrived"):
        spoken.ids()


@pytest.mark.parametrize("style", ["next-link", "scroll-token-uncounted"])
def test_a_list_without_a_total_and_with_a_repeated_id_is_refused(style: str) -> None:
    """F28, F30: without a total, a repeated entry shows that the pages moved."""
    spoken = Spoken(profile(rules=PAGING[style]), 7, "GET rules:shift=-1")
    with pytest.raises(errors.IncompleteReadError, match="arrived twice"):
        spoken.ids()


@pytest.mark.parametrize("style", ["next-link", "scroll-token-uncounted", "all-at-once"])
def test_a_list_without_a_total_is_accepted_if_two_reads_agree(style: str) -> None:
    """A read that lacks an entry differs from the next; a server that always differs is not accepted."""
    once = Spoken(profile(rules=PAGING[style]), 7, "GET rules:missing@#1", cap=10)
    assert 7 == len(once.ids())
    with pytest.raises(errors.IncompleteReadError, match="do not show the same"):
        Spoken(profile(rules=PAGING[style]), 7, ",".join(f"GET rules:missing@#{n}" for n in (1, 3, 5, 7)), cap=10).ids()


@pytest.mark.parametrize("style", [style for style in PAGING if style != "all-at-once"])
def test_a_circular_list_ends(style: str) -> None:
    """F32: a link or token back to the start, on the last page or on each."""
    for when in ("", "@#2-"):
        with pytest.raises(errors.UnexpectedResponseError, match=r"circle|links back"):
            Spoken(profile(rules=PAGING[style]), 7, f"GET rules:cycle{when}").ids()


@pytest.mark.parametrize("style", [style for style in PAGING if "scroll" not in style and style != "all-at-once"])
def test_a_link_to_another_host_is_refused_before_a_request(style: str) -> None:
    """F32: no form of the link causes a request to another host."""
    spoken = Spoken(profile(rules=PAGING[style]), 7, "GET rules:other-host@#1")
    with pytest.raises(errors.UnexpectedResponseError, match="another host"):
        spoken.ids()
    assert 1 == sum(request.method == "GET" for request in spoken.state.requests)


class Scripted:
    """Answers each page by a script, and records every address that got a token."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), list[str]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "canary-token", "expires_in": 3600})
        self.asked.append(str(request.url))
        return httpx.Response(200, json=self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])

    def rules(self, made: Profile) -> Any:
        """Read the rules."""

        async def run() -> Any:
            carry = transport_over(httpx.MockTransport(self))
            return await WritingClient(
                carry, tenant_of(made), ClientCredentials(client_id="i", client_secret="s"), FakeClock().time
            ).rules()

        return asyncio.run(run())


def entry(name: str) -> dict[str, Any]:
    return {"id": name, "name": name, "priority": 1}


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/api/v2/routing/rules?c=1",
        "//evil.example/api/v2/routing/rules?c=1",
        "https://localhost/api/v2/routing/rules?c=1",
        "http://localhost:81/api/v2/routing/rules?c=1",
        "http://localhost@evil.example/api/v2/routing/rules?c=1",
        "http://localhost.evil.example/api/v2/routing/rules?c=1",
        "http:///api/v2/routing/rules?c=1",
        "javascript:alert(1)",
        "/api/v2/routing/rules/../queues?c=1",
        "/api/v2/routing/queues?c=1",
        "?c=1",
        "/api/v2/routing/rules",
        "/api/v2/routing/rules?c=1\r\nX-Evil: 1",
        "/api/v2/routing/rules?c=ä",
        "/api/v2/routing/rules?c=" + "1" * 5000,
        "http://[::1/api/v2/routing/rules?c=1",
        7,
        {"href": "/api/v2/routing/rules?c=1"},
        ["/api/v2/routing/rules?c=1"],
        True,
    ],
)
def test_a_hostile_link_is_not_followed(link: object) -> None:
    """Only the query of a link to the same list on the same server is used; other links end the read with a reason."""
    server = Scripted({"entities": [entry("a")], "_links": {"next": link}})
    with pytest.raises(errors.UnexpectedResponseError, match="page of rules"):
        server.rules(profile(rules={"paging": {"style": "next-link"}}))
    assert ["http://localhost/api/v2/routing/rules"] == server.asked


@pytest.mark.parametrize(
    "link",
    ["http://localhost/api/v2/routing/rules?c=1", "/api/v2/routing/rules?c=1", "//localhost/api/v2/routing/rules?c=1"],
)
def test_a_link_to_the_list_itself_is_followed(link: str) -> None:
    """As a full URL or as a path."""
    page, last = {"entities": [entry("a")], "_links": {"next": link}}, {"entities": [entry("b")], "_links": {}}
    server = Scripted(page, last, page, last)
    if link.startswith("//"):
        with pytest.raises(errors.UnexpectedResponseError, match="another host"):
            server.rules(profile(rules={"paging": {"style": "next-link"}}))
        return
    assert 2 == len(server.rules(profile(rules={"paging": {"style": "next-link"}})))
    assert "http://localhost/api/v2/routing/rules?c=1" == server.asked[1]


@pytest.mark.parametrize(
    ("made", "answer"),
    [
        ({"style": "all-at-once"}, {"total": 3}),
        ({"style": "all-at-once"}, {"totalRecords": 3}),
        ({"style": "all-at-once"}, {"nextUri": "/api/v2/routing/rules?pageNumber=2"}),
        ({"style": "all-at-once"}, {"_links": {"next": "/x?skip=1"}}),
        ({"style": "all-at-once"}, {"scrollToken": "abc"}),
        ({"style": "next-link", "next": "_links.nxt"}, {"_links": {"next": "/x?skip=1"}}),
        ({"style": "scroll-token", "token": "tokn"}, {"scrollToken": "abc"}),
        ({"style": "page-number", "total": "count"}, {"count": 1, "total": 3}),
        ({"style": "scroll-token", "total": "count"}, {"count": 1, "hits": 3}),
    ],
)
def test_no_profile_makes_a_partial_list_look_complete(made: dict[str, Any], answer: dict[str, Any]) -> None:
    """R11: a profile comes from a pull request; with any profile, a response that shows more entries is an error."""
    server = Scripted({"entities": [entry("a")], **answer})
    with pytest.raises(errors.IncompleteReadError, match=r"the list continues|has the total 3"):
        server.rules(profile(rules={"paging": made}))


def test_an_endless_chain_of_pages_is_an_error() -> None:
    """New tokens without end, and no new entry."""
    count = iter(range(10**6))

    class Endless(Scripted):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            self.answers = [{"entities": [entry("a")], "scrollToken": f"t{next(count)}"}]
            return super().__call__(request)

    server = Endless({})
    with pytest.raises(errors.UnexpectedResponseError, match="does not end"):
        server.rules(profile(rules={"paging": {"style": "scroll-token"}}))
    assert len(server.asked) < 20


def test_a_server_that_repeats_one_token_until_the_end_is_read() -> None:
    """Some servers keep the position: the same token, other entries."""
    pages = [{"data": [entry(name)] if name else [], "scrollToken": "same", "hits": 2} for name in ("a", "b", "")]
    made = profile(rules={"list": "data", "paging": {"style": "scroll-token", "total": "hits"}})
    assert 2 == len(Scripted(*pages).rules(made))


@pytest.mark.parametrize("names", [{}, OTHER_NAMES], ids=["the tutorial's names", "other names"])
@pytest.mark.parametrize("style", ERRORS)
def test_the_reason_of_a_refusal_is_read_from_every_form_of_body(style: str, names: dict[str, Any]) -> None:
    """Only that change fails, with the tenant's text."""
    spoken = Spoken(profile(**names, errors=ERRORS[style]), names_unique=True)

    async def work(client: WritingClient) -> None:
        await client.create(rule(), MARKER)
        with pytest.raises(errors.RejectedError, match="may already exist, check for duplicates"):
            await client.create(rule(), MARKER)

    spoken.talk(work)


@pytest.mark.parametrize("update", ["PUT", "PATCH"])
@pytest.mark.parametrize("names", [{}, OTHER_NAMES], ids=["the tutorial's names", "other names"])
def test_unknown_fields_survive_an_update(names: dict[str, Any], update: str) -> None:
    """R2: with both verbs, also inside conditions and targets, and under names that cxroute uses for other fields."""
    spoken = Spoken(profile(**names, update=update), 1)
    before = spoken.state.rules()[0]

    async def work(client: WritingClient) -> None:
        read = await client.rule("r0")
        assert read is not None
        await client.update(read, replace(read.live.rule, priority=77), MARKER)

    spoken.talk(work)
    after = spoken.state.rules()[0]
    assert [update] == [one.method for one in spoken.state.requests if one.method not in ("GET", "POST")]
    changed = {"priority", "description", "version", "dateModified"}
    assert {name: value for name, value in before.items() if name not in changed} == {
        name: value for name, value in after.items() if name not in changed
    }
    assert 77 == after["priority"]


def test_the_verb_that_a_profile_does_not_name_is_never_sent() -> None:
    """The simulator of the profile would refuse it."""
    spoken = Spoken(profile(update="PATCH"), 1)
    spoken.tenant = tenant_of(DEFAULT_PROFILE)

    async def work(client: WritingClient) -> None:
        read = await client.rule("r0")
        assert read is not None
        with pytest.raises(errors.UnsupportedCallError, match="405"):
            await client.update(read, rule(), MARKER)

    spoken.talk(work)


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
WORDS = st.sampled_from(["equals", "EQ", "in", "attribute", "FIELD", "~equals", "queue", "strange"]) | st.integers(0, 9)
PARTS = st.lists(
    st.dictionaries(st.sampled_from(["type", "kind", "op", "operator", "queueId", "skillId", "~op"]), WORDS)
)
FORMS = st.dictionaries(NAMES, st.integers() | st.text(max_size=3) | PARTS)


@settings(max_examples=200, deadline=None)
@given(FORMS, st.sampled_from(["text", "number"]), st.sampled_from(["text", "number"]))
def test_a_rule_is_written_back_as_it_was_read(form: dict[str, Any], ids: str, queue_ids: str) -> None:
    """R2: names map one to one, for all fields of the tenant with names that cxroute uses."""
    names = {**OTHER_NAMES, "rules": {**OTHER_NAMES["rules"], "ids": ids}}
    names["target"] = {**OTHER_NAMES["target"], "queueIds": queue_ids}
    dialect = ProfileMapper(profile(**names))
    assert form == dialect.tenant_body(dialect.canonical_rule(form))


def test_the_default_profile_changes_nothing() -> None:
    """It takes the same path, and each rule is the very object that was read."""
    form = {"id": "1", "~x": 1, "conditions": [{"type": "attribute"}]}
    assert form is ProfileMapper(DEFAULT_PROFILE).canonical_rule(form)


def test_the_documented_default_profile_is_the_default(cxroute: Program) -> None:
    """docs/profiles.md contains the printed profile exactly, and as a manifest it has only default values."""
    assert 0 == cxroute("schema", "profile")
    document = (ROOT / "docs" / "profiles.md").read_text(encoding="utf-8")
    assert f"```yaml\n{cxroute.out}```\n" in document
    write("profile.yaml", cxroute.out)
    written = load_manifests(Path("manifests")).profiles["tutorial"].document
    assert DEFAULT_PROFILE == written.model_copy(update={"operators": {}})
    assert operator_names({}) == written.operators


def test_the_example_of_the_documents_is_valid(cxroute: Program) -> None:
    """A user can copy it."""
    document = (ROOT / "docs" / "profiles.md").read_text(encoding="utf-8")
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
    yield {"rules": {"paging": {"style": "cursor"}}}, "paging needs a `style`, one of page-number"
    yield {"rules": {"paging": {"style": "next-link", "page": "p"}}}, "unknown field"
    yield {"rule": {"name": "id"}}, "has two meanings"
    yield {"rule": {"name": "x", "priority": "x"}}, "has two meanings"
    yield {"operators": {"equals": "in"}}, "has two meanings"
    yield {"operators": {"equals": "~in"}}, "word"
    yield {"operators": {"same": "EQ"}}, "must be one of"
    yield {"update": "DELETE"}, "PUT"
    yield {"rule": {"name": "~name"}}, "name of a field"


@pytest.mark.parametrize(("said", "told"), [*rows()])
def test_an_invalid_profile_is_refused_with_a_reason(said: dict[str, Any], told: str, room: Any) -> None:
    """No host in a path, no second header, no template, no name with two meanings; the message has the position."""
    from tests.support.written_manifests import lines, yaml_of  # noqa: PLC0415 - the room is the current directory by then

    (room / "a.yaml").write_text(yaml_of({"apiVersion": "routing/v1", "kind": "Profile", "name": "x", **said}))
    (found,) = lines(room)
    assert told in found
    assert json.dumps(found)
