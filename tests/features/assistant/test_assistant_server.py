"""The server in this process: each message has an answer, and the sandbox is read as a tenant is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.features.assistant.live import live_reader
from reconciler.features.assistant.project import AssistantProject
from tests.support.assistant_client import ToolCall, asking
from tests.support.bank_history import BankHistory

if TYPE_CHECKING:
    from mcp import Client

pytestmark = pytest.mark.usefixtures("sdk", "bank")

CALLER = {"intent": "lost_or_stolen_card", "confidence": 0.9}


def talk(
    project: AssistantProject, conversation: Callable[[Client], Awaitable[Any]]
) -> Any:
    """Connect a client to a server in this process."""
    from mcp import Client  # noqa: PLC0415 - an extra

    from reconciler.features.assistant.server import AssistantServer  # noqa: PLC0415 - needs the extra

    async def run() -> Any:
        async with Client(AssistantServer(project).protocol) as client:
            return await conversation(client)

    return asyncio.run(run())


def test_each_message_has_an_answer() -> None:
    """Tools, resources, answers and errors; an unknown resource is an error of the protocol."""
    from mcp import MCPError  # noqa: PLC0415 - an extra

    async def ask(client: Client) -> tuple[Any, ...]:
        tools = (await client.list_tools()).tools
        resources = (await client.list_resources()).resources
        (content,) = (await client.read_resource(resources[0].uri)).contents
        with pytest.raises(MCPError, match="no resource is at"):
            await client.read_resource("cxroute:///manifests/no-such-file.yaml")
        calls = [ToolCall("where_does_it_go", CALLER), ToolCall("no_such_tool", {})]
        return tools, resources, content, await asking(calls)(client)

    project = AssistantProject(directory="manifests", environment="prod")
    tools, resources, content, (answer, error) = talk(project, ask)
    assert 6 == len(tools)
    assert "manifests/account.yaml" == resources[0].name
    assert content.text.startswith("# Identity and the account itself.")
    assert "fraud/lost-or-stolen-card" == answer.answer["winner"]
    assert error.is_error


def test_a_bug_does_not_end_the_server() -> None:
    """An exception that no part expects is an answer; the next question is answered."""

    def broken(*_unused: object) -> Any:
        raise ZeroDivisionError("odd")

    project = AssistantProject(
        directory="manifests", environment="prod", read_live=broken
    )
    calls = [
        ToolCall("where_does_it_go", {**CALLER, "rules": "live"}),
        ToolCall("where_does_it_go", CALLER),
    ]
    error, answer = talk(project, asking(calls))
    message = error.answer["error"]["message"]
    assert "this is a bug in cxroute (ZeroDivisionError: odd). Please report it." == (
        message
    )
    assert not answer.is_error


def test_live_answers_read_the_sandbox(bank: BankHistory) -> None:
    """All four tools that read live rules; the sandbox is new for each question, and has none. Of
    its 69 new rules, those of one RuleSet, queue and priority are one effect.
    """
    del bank
    project = AssistantProject(
        directory="manifests",
        environment="sandbox",
        read_live=live_reader("manifests"),
    )
    calls = [
        ToolCall("where_does_it_go", {**CALLER, "rules": "live"}),
        ToolCall("find_rules", {"queue": "fraud", "rules": "live"}),
        ToolCall("check_promise", {"rules": "live"}),
        ToolCall("who_is_affected", {"tenant": True}),
    ]
    replies = talk(project, asking(calls))
    assert [] == [reply.answer for reply in replies if reply.is_error]
    route, rules, promises, affected = (reply.answer for reply in replies)
    assert (None, {"default": True}) == (route["winner"], route["destination"])
    assert 0 == rules["found"]
    assert promises["broken"] > 0
    assert 36 == affected["effectCount"]
