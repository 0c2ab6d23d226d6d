"""No secret is printed or written, even if a server repeats it (invariants R13)."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, quote_plus

import httpx
import pytest

import reconciler.cli.commands.plan
from reconciler.rest.client import RestClient, RestClock
from reconciler.targets.platform.settings import ClientCredentials, ServerUrl
from reconciler.targets.platform.transport.aiohttp_transport import network_transport
from reconciler.targets.platform.transport.request import ApiRequest, Transport
from reconciler.targets.rules_api.client import WritingClient
from tests.hostile.command import Workspace
from tests.hostile.tenant import HostileTenant, Turn, page, response, serving, whole
from tests.support import canary_secrets as canary
from tests.support.cases import each_case
from tests.support.cognigy_bots import PROJECT, FakeCognigy, intent
from tests.support.cognigy_bots import serving as serving_cognigy
from tests.support.fake_clock import FakeClock
from tests.support.fake_prometheus import fake_prometheus, vector
from tests.support.in_process_tenant import TENANT
from tests.support.program import Program, name_tenant

Echo = Callable[[str], bytes]

ROOT: Final = Path(__file__).resolve().parents[2]


@each_case("which", canary.SECRETS)
def test_a_canary_is_found_in_every_form(which: str) -> None:
    """Each form is named, between other bytes and at every alignment of base64."""
    secret = canary.SECRETS[which]
    for encoding, form in canary.encodings(secret):
        assert canary.Leak(which, encoding) in canary.find_leaks(
            b"before " + form + b" after"
        ), encoding
    pairs = {"id:" + secret, canary.CLIENT + ":" + secret, "x" + secret + "y"}
    for pair in pairs:
        for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes):
            assert which in {
                leak.which for leak in canary.find_leaks(encode(pair.encode()))
            }, (encode, pair)
    for half in (
        secret[:12],
        secret[-12:],
        secret[:6] + "\n" + secret[6:12],
        quote(secret)[:13],
        f"{secret[:16]}...",
    ):
        assert [canary.Leak(which, "half, split or mixed")] == canary.find_leaks(
            half
        ), half


def test_the_search_opens_files_and_folders_without_permissions(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A test may leave such files: a secret in them is named, and their permissions are as
    before.
    """
    folder = tmp_path_factory.mktemp("searched")
    closed = folder / "closed"
    closed.mkdir()
    for path in (closed / "inside", folder / "beside"):
        path.write_text(canary.TOKEN, "utf-8")
        path.chmod(0)
    closed.chmod(0)

    assert {"token, raw, in inside", "token, raw, in beside"} == set(
        canary.leaks_in(folder)
    )
    assert [0, 0] == [
        stat.S_IMODE(path.stat().st_mode) for path in (closed, folder / "beside")
    ]


@each_case(
    "text",
    ["", "cxroute", "x" * 1000, canary.CLIENT, canary.SECRET[:11], "simulated-tenant"],
)
def test_text_without_a_secret_is_accepted(text: str) -> None:
    """An id may be shown, and eleven equal characters are not a secret."""
    assert [] == canary.find_leaks(text)


LEAKING: Final = """
import logging, subprocess, sys
from tests.support import canary_secrets as canary

def test_print(): print(canary.SECRET)
def test_log(): logging.getLogger().warning(canary.TOKEN)
def test_read(capsys): print(canary.RENEWED, file=sys.stderr); capsys.readouterr()
def test_file(tmp_path): (tmp_path / "a").write_bytes(canary.PASSWORD.encode("utf-16"))
def test_process(): subprocess.run([sys.executable, "-c", f"print({canary.SECRET!r})"], capture_output=True)
def test_error(): raise ValueError(canary.SECRET)
def test_planted(tmp_path): canary.mark_as_secret(tmp_path / "a").write_text(canary.SECRET)
def test_clean(tmp_path): (tmp_path / "a").write_text("clean"); print("clean")
"""


@pytest.mark.slow
def test_a_test_that_exposes_a_secret_fails(tmp_path: Path) -> None:
    """Through every channel. The message names the secret and does not repeat it."""
    (tmp_path / "test_leaking.py").write_text(LEAKING)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
    ]
    ended = subprocess.run(
        [*command, "--rootdir", tmp_path, "-c", "/dev/null", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "6 failed, 2 passed" in ended.stdout, ended.stdout
    assert 6 == len(
        {
            line
            for line in ended.stdout.splitlines()
            if line.endswith(" let a secret out:")
        }
    )
    assert "SECRET: proxy password, UTF-16 little, in a" in ended.stdout
    assert [] == canary.find_leaks(ended.stdout + ended.stderr)


def refused(text: str, status: bytes = b"400 Bad Request") -> bytes:
    return whole({"errors": [{"message": f"bad: {text}"}]}, status)


ECHOES: Final[dict[str, Echo]] = {
    "errors": refused,
    "a 403": lambda text: refused(text, b"403 Forbidden"),
    "a 422": lambda text: refused(text, b"422 Unprocessable"),
    "a 500": lambda text: refused(text, b"500 Internal Server Error"),
    "a message": lambda text: whole({"message": text}, b"400 Bad Request"),
    "as OAuth has it": lambda text: whole(
        {"error": text, "error_description": text}, b"401 Unauthorized"
    ),
    "HTML": lambda text: response(f"<html>{text}</html>".encode(), b"400 Bad Request"),
    "plain text": lambda text: response(text.encode(), b"400 Bad Request"),
    "HTML of a login": lambda text: response(f"<html>{text}</html>".encode()),
    "half a document": lambda text: response(
        b'{"errors": [{"message": "' + text.encode()
    ),
    "headers": lambda text: response(
        b"{}",
        b"400 Bad Request",
        b"X-Echo: " + text.encode(),
        b"Set-Cookie: a=" + text.encode(),
    ),
    "a redirect": lambda text: response(
        b"", b"302 Found", b"Location: http://localhost/" + text.encode()
    ),
    "the reason": lambda text: response(b"{}", b"400 " + text.encode()),
    "the content's encoding": lambda text: response(
        b"{}", b"200 OK", b"Content-Encoding: " + text.encode()
    ),
    "what should be JSON": whole,
    "percent-encoded": lambda text: refused(quote(text)),
    "form-encoded": lambda text: refused(quote_plus(text)),
    "behind much else": lambda text: refused("x" * 180 + text),
    "no HTTP": lambda text: text.encode() + b"\r\n\r\n",
    "a status line that is none": lambda text: (
        b"HTTP/1.1 " + text.encode() + b"\r\n\r\n"
    ),
    "a header that is none": lambda text: (
        b"HTTP/1.1 200 OK\r\nContent-Length: " + text.encode() + b"\r\n\r\n{}"
    ),
    "percent-encoded in lower case": lambda text: refused(
        quote(text).replace("%2F", "%2f").replace("%2B", "%2b")
    ),
    "escaped as HTML": lambda text: refused(html.escape(text)),
    "base64": lambda text: refused(base64.b64encode(text.encode()).decode()),
    "hex": lambda text: refused(text.encode().hex()),
    "a repr": lambda text: refused(repr(text)),
    "half of it": lambda text: refused(text[: len(text) // 2]),
    "split by control characters": lambda text: refused(f"{text[:10]}\0{text[10:]}"),
    "split by spaces": lambda text: refused(f"{text[:10]} {text[10:]}"),
}
"""How a server may repeat something."""
REPEATED: Final[dict[str, Callable[[Turn], str]]] = {
    "the secret": lambda _turn: canary.SECRET,
    "the token": lambda turn: (
        canary.TOKEN if turn.request.kind != "token" else canary.SECRET
    ),
    "the whole request": lambda turn: (
        (turn.request.head + turn.request.body).decode("latin-1").replace("\r\n", " ")
    ),
    "the pair of Basic": lambda _: base64.b64encode(
        f"{canary.CLIENT}:{canary.SECRET}".encode()
    ).decode(),
}


def echoing(
    kind: str, echo: Echo, what: Callable[[Turn], str] = REPEATED["the token"]
) -> HostileTenant:
    async def script(turn: Turn) -> None:
        await turn.send(echo(what(turn)))

    return HostileTenant(scripts={kind: script})


def run(place: Workspace, tenant: HostileTenant, *arguments: str) -> int:
    """Run a command; the fixtures check that no secret was printed. JSON output must be valid."""
    with serving(tenant):
        place.manifests(tenant.url, "one", "two", seconds=1)
        ended = place(*arguments)
    place.secretive()
    if "json" in arguments and "--format" in arguments:
        json.loads(ended.out)
    return ended.code


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize("kind", ["list", "token"])
@pytest.mark.parametrize("how", ECHOES)
def test_a_secret_repeated_by_a_server_is_redacted(
    place: Workspace, kind: str, how: str
) -> None:
    """In every encoding, and at every position of the response."""
    assert 1 == run(place, echoing(kind, ECHOES[how]), "-v", "plan")


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize("what", REPEATED)
@pytest.mark.parametrize("kind", ["list", "token", "queues"])
def test_no_part_of_a_request_is_repeated(
    place: Workspace, kind: str, what: str
) -> None:
    """Not the form, not the header, and not the encoding of both in Basic."""
    assert 1 == run(
        place, echoing(kind, refused, REPEATED[what]), "plan", "--format", "json"
    )


COMMANDS: Final = {
    "plan": ["plan"],
    "plan as JSON": ["plan", "--format", "json"],
    "apply": ["apply", "--yes"],
    "apply as JSON": ["apply", "--yes", "--format", "json"],
    "drift": ["drift"],
    "drift as JSON": ["drift", "--format", "json"],
    "explain": ["explain", "--intent", "one", "--confidence", "0.8", "--live"],
    "explain as JSON": [
        "explain",
        "--intent",
        "one",
        "--confidence",
        "0.8",
        "--live",
        "--format",
        "json",
    ],
    "diff": ["diff", "live:evil", "manifests:evil"],
    "diff as JSON": ["diff", "live:evil", "manifests:evil", "--format", "json"],
}


@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("options", [["-v"], ["-v", "--log-format", "json"]])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_repeats_a_secret(
    place: Workspace, command: str, options: list[str]
) -> None:
    """In every format of results and logs."""
    for echo in (refused, ECHOES["a 403"], ECHOES["what should be JSON"]):
        assert 1 == run(place, echoing("list", echo), *options, *COMMANDS[command])


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    "status",
    [b"400 Bad", b"403 Forbidden", b"409 Conflict", b"422 Bad", b"500 Oh", b"200 OK"],
)
def test_the_response_of_a_write_is_redacted(place: Workspace, status: bytes) -> None:
    """In the outcomes and in the journal."""
    tenant = echoing("POST", lambda text: refused(text, status))
    assert run(place, tenant, "apply", "--yes", "--format", "json") in (1, 5)
    assert (place.path / ".cxroute/journal.jsonl").exists()
    assert run(place, tenant, "-v", "apply", "--yes") in (1, 5)


@pytest.mark.fast_cases(6)
@pytest.mark.parametrize("field", ["name", "description", "id", "custom"])
@pytest.mark.parametrize(
    "command", ["plan", "plan as JSON", "apply", "explain", "diff as JSON"]
)
def test_a_secret_in_a_rule_is_redacted(
    place: Workspace, command: str, field: str
) -> None:
    """A user pasted it there, or the server copied a request into its response."""
    rule = {
        "id": "1",
        "name": "n",
        "description": "d",
        "priority": 1,
        field: f"see {canary.SECRET} and {canary.TOKEN}",
    }

    async def script(turn: Turn) -> None:
        await turn.send(whole(page([rule])))

    tenant = HostileTenant(rules={"1": rule}, scripts={"list": script})
    saved = ["--out", "saved.json"] if command == "plan" else []
    assert run(place, tenant, *COMMANDS[command], *saved) in (0, 1, 4, 5)


@pytest.mark.parametrize(
    "token",
    [
        f"{canary.TOKEN} {canary.SECRET}",
        f"{canary.TOKEN}\n",
        f"é{canary.TOKEN}",
        canary.RENEWED,
    ],
)
def test_an_invalid_token_is_refused_and_not_shown(
    place: Workspace, token: str
) -> None:
    """The same holds if the tenant refuses it twice."""
    tenant = HostileTenant(
        scripts=echoing("list", ECHOES["as OAuth has it"], lambda _: token).scripts,
        token=token,
    )
    assert 1 == run(place, tenant, "-v", "plan")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:9", "nowhere.invalid:1", "127.0.0.1:99999", "[::1", "a b:1", ""]
)
def test_the_password_of_a_proxy_is_not_shown(place: Workspace, host: str) -> None:
    """Neither for an unreachable proxy nor for a server that is not a proxy."""
    place.more["CXROUTE_PROXY"] = canary.proxy(host)
    assert run(place, HostileTenant(), "-v", "plan") in (1, 64)


def test_a_password_repeated_by_the_proxy_is_redacted(place: Workspace) -> None:
    """It is sent to the proxy in Basic. The response of the proxy counts as that of the tenant."""

    def what(turn: Turn) -> str:
        return f"{canary.PASSWORD} {turn.request.head.decode('latin-1')}".replace(
            "\r\n", " "
        )

    tenant = echoing("token", refused, what)
    with serving(tenant):
        place.more["CXROUTE_PROXY"] = canary.proxy(tenant.url.removeprefix("http://"))
        place.manifests("http://localhost:9", "one", seconds=1)
        assert 1 == place("-v", "plan").code


@pytest.mark.parametrize(
    "secret", ["attribute", "queueName", "conditions", '", "is it']
)
def test_a_secret_equal_to_a_json_key_breaks_no_document(
    place: Workspace, secret: str
) -> None:
    """The output is valid JSON. A plan that could not be applied after redaction is not saved."""
    place.more["CXONE_CLIENT_SECRET"] = secret
    with serving(HostileTenant()) as tenant:
        place.manifests(tenant.url, "one", seconds=3)
        done = place("plan", "--format", "json")
        assert 0 == done.code
        assert isinstance(json.loads(done.out), dict)
        done = place("plan", "--out", "saved.json")
        saved = place.path / "saved.json"
        assert (0, True) == (done.code, saved.exists()) or (4, False) == (
            done.code,
            saved.exists(),
        )


def test_a_plan_with_text_like_a_secret_is_saved(place: Workspace) -> None:
    """Eight consecutive letters are not a secret, and the plan is complete."""
    place.more["CXONE_CLIENT_SECRET"] = "attributZebra7790xyz"
    with serving(HostileTenant()) as tenant:
        place.manifests(tenant.url, "one", seconds=3)
        assert 0 == place("plan", "--out", "saved.json").code
        assert "attributeName" in (place.path / "saved.json").read_text()


async def _open(proxy: str) -> tuple[Transport, Any]:
    """Return a transport through a proxy, and its context manager; it is closed again."""
    network = network_transport(TENANT, proxy, None)
    async with network as transport:
        return transport, network


def test_objects_with_secrets_hide_them() -> None:
    """From debuggers and logs: credentials, client, tokens, requests, transport."""
    credentials = ClientCredentials(
        client_id=canary.CLIENT, client_secret=canary.SECRET
    )
    transport, network = asyncio.run(_open(canary.proxy("127.0.0.1:9")))
    client = WritingClient(transport, TENANT, credentials, FakeClock().time)
    client._login.issued_tokens.append(canary.TOKEN)
    headers = {"Authorization": f"Bearer {canary.TOKEN}"}
    request = ApiRequest(
        "POST",
        ServerUrl.parse("http://localhost"),
        "/",
        headers,
        f"secret={canary.SECRET}".encode(),
    )
    requests_sent = httpx.Request("GET", request.url, headers=headers)
    stored_values: list[Any] = [
        credentials,
        client,
        client._login,
        client._login.token,
        network,
        transport,
        request,
        requests_sent,
        requests_sent.headers,
    ]
    assert [] == canary.find_leaks(
        "".join(f"{item!r} {item}" for item in stored_values)
    )


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_bug_does_not_show_a_secret(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Even if the text of the exception, or of its cause, contains it, and -v prints the
    traceback.
    """

    def broken(_session: object) -> None:
        raise ValueError(f"no {canary.SECRET}") from KeyError(canary.SECRET)

    assert 0 == cxroute("init")
    monkeypatch.setattr(reconciler.cli.commands.plan, "read_and_plan", broken)
    assert 1 == cxroute("-v", "plan", "--format", form)
    assert "bug" in cxroute.out + cxroute.err


def test_credentials_in_files_are_not_shown(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret in a variable for a path is not shown either."""
    for name in ("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(f"{name}_FILE", canary.SECRET)
    assert 0 == cxroute("init")
    name_tenant()
    assert 1 == cxroute("-v", "plan", "-e", "prod")


@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("file", [False, True], ids=["variable", "file"])
@pytest.mark.parametrize(
    "how",
    [
        "a message",
        "as OAuth has it",
        "a 403",
        "a 500",
        "HTML of a login",
        "plain text",
        "hex",
    ],
)
def test_prometheus_cannot_make_the_command_show_its_token(
    access: None,
    cxroute: Program,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    file: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Neither in an error nor in the sample, in whatever form the server repeats the token."""
    del access
    path = canary.mark_as_secret(Path("token"))
    path.write_text(canary.TOKEN)
    name, value = ("_FILE", str(path)) if file else ("", canary.TOKEN)
    monkeypatch.setenv(f"CXROUTE_PROMETHEUS_TOKEN{name}", value)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    head, _, body = ECHOES[how](canary.TOKEN).partition(b"\r\n\r\n")
    with fake_prometheus((int(head.split()[1]), body)) as server:
        code = cxroute(
            "-v", "traffic", "pull", "--prometheus", server.url, "--into", "t.csv"
        )
    assert (1, f"Bearer {canary.TOKEN}") == (code, server.headers[0]["Authorization"])
    with fake_prometheus((200, vector((canary.TOKEN, "none", "50")))) as server:
        assert 0 == cxroute(
            "-v", "traffic", "pull", "--prometheus", server.url, "--into", "t.csv"
        )


@pytest.mark.fast_cases(16)
@pytest.mark.parametrize(
    "options", [[], ["--check", "--format", "json"], ["--into", "intents.yaml"]]
)
@pytest.mark.parametrize("how", ECHOES)
@pytest.mark.usefixtures("access")
def test_the_key_of_cognigy_is_not_shown(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch, how: str, options: list[str]
) -> None:
    """Whatever the API repeats: in an error, in a name, in a cursor.

    The fixtures look at output and files.
    """
    client = partial(RestClient, time=RestClock(sleep=lambda _seconds: None))
    monkeypatch.setattr("reconciler.rest.client.RestClient", client)
    monkeypatch.setenv("COGNIGY_API_KEY", canary.COGNIGY_KEY)
    with serving_cognigy(
        FakeCognigy({}, faults=[ECHOES[how](canary.COGNIGY_KEY)] * 4)
    ) as cognigy:
        command = [
            "cognigy",
            "intents",
            "--project",
            canary.COGNIGY_KEY,
            "--url",
            cognigy.url,
            *options,
        ]
        assert 1 == cxroute("-v", *command)
    assert {canary.COGNIGY_KEY} == cognigy.keys


@pytest.mark.usefixtures("access")
def test_the_key_of_cognigy_in_a_bot_is_redacted(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a printed document, in messages, and in the file."""
    items = [
        intent(f"see {canary.COGNIGY_KEY}", description=canary.COGNIGY_KEY),
        intent("a"),
    ]
    monkeypatch.setenv("COGNIGY_API_KEY", canary.COGNIGY_KEY)
    bot = FakeCognigy({canary.COGNIGY_KEY: {"English": items}}, key=canary.COGNIGY_KEY)
    with serving_cognigy(bot) as cognigy:
        command = ["cognigy", "intents", "--project", PROJECT, "--url", cognigy.url]
        assert 0 == cxroute(*command)
        assert "see " in cxroute.out
        assert 1 == cxroute(*command, "--into", "intents.yaml")
        assert "a text of the bot contains a secret" in cxroute.err
    assert not Path("intents.yaml").exists()


def test_the_file_with_the_key_of_cognigy_is_not_shown(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key in the variable for its path is not shown either."""
    monkeypatch.setenv("COGNIGY_API_KEY_FILE", canary.COGNIGY_KEY)
    assert 1 == cxroute("-v", "cognigy", "intents", "--project", "x")
