"""`cxroute mcp` as a process: the protocol over stdin and stdout and over HTTP, and its options."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from reconciler.version import __version__
from tests.support.assistant_client import (
    ServedProject,
    ToolCall,
    ToolReply,
    asking,
    http_server,
    over_http,
    over_stdio,
)
from tests.support.bank_history import BankHistory
from tests.support.cases import each_case
from tests.support.command import ROOT, process_environment
from tests.support.program import Program, write

if TYPE_CHECKING:
    from mcp import Client

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sdk")]

CALLER: Final = {"intent": "lost_or_stolen_card", "confidence": 0.9}
INITIALIZE: Final = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
HEADERS: Final = {"accept": "application/json, text/event-stream"}


async def look_around(client: Client) -> dict[str, Any]:
    """Return what a client learns: the tools, the resources and the text of two of them."""
    tools = (await client.list_tools()).tools
    resources = (await client.list_resources()).resources
    texts = {}
    for each in resources:
        if each.name.endswith(("fraud.yaml", "plan")):
            content = (await client.read_resource(each.uri)).contents[0]
            texts[each.name] = getattr(content, "text", "")
    return {"tools": tools, "resources": resources, "texts": texts}


def test_a_client_learns_what_it_may_ask(bank: BankHistory, cxroute: Program) -> None:
    """Every tool says that it only reads; the resources are the files and the last plan."""
    words = ("-e", "sandbox", "plan", "--base", "none", "--out", "plan.json")
    cxroute(*words)
    project = ServedProject(bank.folder, ("-e", "sandbox"), ("--plan", "plan.json"))
    run = over_stdio(project, look_around)
    found = run.result
    assert 6 == len(found["tools"])
    for tool in found["tools"]:
        assert tool.annotations.read_only_hint
        assert not tool.annotations.destructive_hint
    names = {each.name for each in found["resources"]}
    assert {"manifests/fraud.yaml", "plan"} <= names
    fraud = (bank.folder / "manifests/fraud.yaml").read_text(encoding="utf-8")
    assert fraud == found["texts"]["manifests/fraud.yaml"]
    assert "Plan: 69 to create, 0 unchanged." in found["texts"]["plan"]
    assert "" == run.err


def started(bank: BankHistory) -> subprocess.Popen[str]:
    """Start the server on a bank's manifests, with its messages on pipes."""
    project = ServedProject(bank.folder)
    return subprocess.Popen(
        project.command,
        cwd=bank.folder,
        env=project.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_only_the_protocol_goes_to_stdout(bank: BankHistory) -> None:
    """Messages as bytes, one of them no JSON: each line of stdout is a message; at the end of stdin
    the server ends with exit code 0.
    """
    bank.edit("queues.yaml", "kind: Queues", "kind: Quees")
    call = {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": "where_does_it_go", "arguments": CALLER},
    }
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    lines = [json.dumps(INITIALIZE), json.dumps(ready), "no JSON", json.dumps(call)]
    with started(bank) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("".join(f"{line}\n" for line in lines))
        process.stdin.flush()
        answers = {}
        while 2 not in answers:
            message = json.loads(process.stdout.readline())
            answers[message.get("id")] = message
        rest, err = process.communicate(timeout=20)
    assert 0 == process.returncode
    assert "" == rest
    assert "Traceback" not in err
    information = answers[1]["result"]["serverInfo"]
    assert ("cxroute", __version__) == (information["name"], information["version"])
    result = answers[2]["result"]
    assert result["isError"]
    findings = result["structuredContent"]["error"]["findings"]
    assert {"manifests/queues.yaml"} == {each["source"]["file"] for each in findings}


def test_an_interrupt_ends_the_server_at_once(bank: BankHistory) -> None:
    """Also while it waits for the next message."""
    with started(bank) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(f"{json.dumps(INITIALIZE)}\n")
        process.stdin.flush()
        assert "serverInfo" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert -signal.SIGINT == process.wait(10)
        assert "" == process.stderr.read()


def test_an_error_does_not_end_the_server(bank: BankHistory) -> None:
    """An unknown tool, a wrong argument and an unknown Environment; then an answer."""
    calls = [
        ToolCall("no_such_tool", {}),
        ToolCall("where_does_it_go", {"intent": 1}),
        ToolCall("where_does_it_go", {**CALLER, "environment": "mars"}),
        ToolCall("where_does_it_go", CALLER),
    ]
    run = over_stdio(ServedProject(bank.folder), asking(calls))
    *errors, answer = run.result
    assert all(reply.is_error for reply in errors)
    assert all(reply.answer["error"]["message"] for reply in errors)
    assert all(json.loads(reply.text) == reply.answer for reply in run.result)
    assert "fraud/lost-or-stolen-card" == answer.answer["winner"]
    assert "" == run.err


def test_an_edit_is_seen_by_the_next_question(bank: BankHistory) -> None:
    """The files are read for each question; a server need not be started again."""

    async def edit_between(client: Client) -> list[ToolReply]:
        before = await asking([ToolCall("where_does_it_go", CALLER)])(client)
        bank.edit(
            "fraud.yaml",
            'minConfidence: 0.4\n    adopt: "Cog',
            'minConfidence: 0.95\n    adopt: "Cog',
        )
        return [*before, *await asking([ToolCall("where_does_it_go", CALLER)])(client)]

    before, after = over_stdio(ServedProject(bank.folder), edit_between).result
    assert "fraud/lost-or-stolen-card" == before.answer["winner"]
    assert "fraud/lost-or-stolen-card" != after.answer["winner"]


def post(url: str, **headers: str) -> int:
    """Send the first message of a client to a server, and return the status."""
    response = httpx.post(
        f"{url}/mcp", json=INITIALIZE, headers={**HEADERS, **headers}, trust_env=False
    )
    return response.status_code


def test_http_answers_this_machine_alone(bank: BankHistory) -> None:
    """A request to another host's name, and one that a page of another origin makes, are refused:
    a page in a browser must not reach the port.
    """
    with http_server(ServedProject(bank.folder)) as address:
        url = address.removesuffix("/mcp")
        port = url.rpartition(":")[2]
        assert url.startswith("http://127.0.0.1:")
        assert 200 == post(url)
        assert 200 == post(url, host=f"localhost:{port}")
        assert 200 == post(url, origin=f"http://localhost:{port}")
        assert 421 == post(url, host="rules.example")
        assert 421 == post(url, host=f"127.0.0.1.rules.example:{port}")
        assert 403 == post(url, origin="https://rules.example")
        assert 403 == post(url, origin="null")
        replies = over_http(address, asking([ToolCall("where_does_it_go", CALLER)]))
    assert "fraud/lost-or-stolen-card" == replies[0].answer["winner"]


def test_http_answers_to_a_further_name_if_told(bank: BankHistory) -> None:
    """--allow-host adds a name, and no other."""
    options = ("--allow-host", "rules.example")
    with http_server(ServedProject(bank.folder), *options) as address:
        url = address.removesuffix("/mcp")
        assert 200 == post(url, host="rules.example")
        assert 200 == post(url, host="rules.example:8765")
        assert 200 == post(url, host="rules.example", origin="https://rules.example")
        assert 403 == post(url, host="rules.example", origin="https://other.example")
        assert 421 == post(url, host="other.example")


USAGE: Final = [
    (("--http", "0.0.0.0:0"), "--allow-host NAME"),
    (("--http", "rules.example:80"), "--allow-host NAME"),
    (("--http", "x"), "must be a port"),
    (("--http", "70000"), "must be a port"),
    (("--allow-host", "rules.example"), "--allow-host is for --http"),
]


@each_case("words, expected", USAGE)
def test_wrong_options_are_refused_before_the_start(
    words: tuple[str, ...], expected: str, cxroute: Program
) -> None:
    """Other machines may ask only if the command line names this one."""
    assert 64 == cxroute("mcp", *words)
    assert expected in cxroute.err


WITHOUT_SDK: Final = """
import sys

sys.modules["mcp"] = None  # an import of it fails
from reconciler.cli.main import main

main(["mcp"])
main(["--help"])
main(["validate"])
"""
IMPORTED: Final = """
import sys
from reconciler.cli.main import main

for words in (["--help"], ["validate"], ["mcp", "--help"]):
    try:
        main(words)
    except SystemExit:
        pass
print([name for name in sys.modules if name.partition(".")[0] in ("mcp", "mcp_types")])
"""


def run_python(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder."""
    return subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        env=process_environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_missing_extra_is_named(elsewhere: Path) -> None:
    """Without the SDK the command says which extra it needs, and the others work."""
    ended = run_python(WITHOUT_SDK, elsewhere)
    assert "`cxroute mcp` needs the extra `mcp`, which is not installed" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "answer an assistant's questions" in ended.stdout


def test_no_other_command_imports_the_sdk(elsewhere: Path) -> None:
    """Neither the help, also that of `mcp`, nor a command that checks manifests."""
    write(
        "cards.yaml", "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules: []\n"
    )
    ended = run_python(IMPORTED, elsewhere)
    assert ended.stdout.endswith("[]\n"), ended
