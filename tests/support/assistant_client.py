"""An assistant: the SDK's own client of `cxroute mcp`, over stdin and stdout or over HTTP.

The SDK is imported when an assistant connects: a machine without it skips the tests.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from tests.support.command import ROOT, process_environment, serving
from tests.support.requirements import skip_or_fail

if TYPE_CHECKING:
    from mcp import Client

ResultT = TypeVar("ResultT")
Conversation = Callable[["Client"], Awaitable[ResultT]]
"""What an assistant does on a connection."""

_SDK: Final = "mcp"
_PATH: Final = "/mcp"


class ToolCall(NamedTuple):
    """A call of a tool."""

    tool: str
    arguments: Mapping[str, Any]


class ToolReply(NamedTuple):
    """The answer of a tool: the document, its text for clients that show texts, and whether it is
    an error.
    """

    answer: dict[str, Any]
    text: str
    is_error: bool


class ServedProject(NamedTuple):
    """A folder, the options before `mcp`, those after it, and further variables."""

    folder: Path
    before: Sequence[str] = ("-e", "prod")
    after: Sequence[str] = ()
    variables: Mapping[str, str] = {}

    @property
    def command(self) -> list[str]:
        """Return the words of the server's command."""
        return [sys.executable, "-m", "reconciler", *self.before, "mcp", *self.after]

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of the server's process."""
        return process_environment(**{"PYTHONPATH": str(ROOT), **self.variables})


class StdioRun(NamedTuple):
    """The result of a conversation over stdin and stdout, and what the server wrote to stderr."""

    result: Any
    err: str


def require_sdk() -> None:
    """Skip a test where the SDK is not installed; fail it if CI=true."""
    if find_spec(_SDK) is None:
        skip_or_fail("the extra `mcp` is not installed here")


def over_stdio(project: ServedProject, conversation: Conversation[Any]) -> StdioRun:
    """Start a server, talk to it, and end it by closing its stdin."""
    from mcp import Client, StdioServerParameters, stdio_client  # noqa: PLC0415 - an extra

    program, *words = project.command
    parameters = StdioServerParameters(
        command=program, args=words, env=project.environment, cwd=project.folder
    )

    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:

        async def talk() -> Any:
            async with Client(stdio_client(parameters, errlog=log)) as client:
                return await conversation(client)

        result = asyncio.run(talk())
        log.seek(0)
        return StdioRun(result, log.read())


@contextmanager
def http_server(project: ServedProject, *options: str) -> Iterator[str]:
    """Start a server on a free port of this machine, and yield its address."""
    command = [*project.command, "--http", "0", *options]
    process = subprocess.Popen(
        command,
        cwd=project.folder,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with serving(process) as url:
        yield url


def over_http(url: str, conversation: Conversation[ResultT]) -> ResultT:
    """Talk to a server at an address."""
    from mcp import Client  # noqa: PLC0415 - an extra

    async def talk() -> ResultT:
        async with Client(url) as client:
            return await conversation(client)

    return asyncio.run(talk())


def asking(calls: Sequence[ToolCall]) -> Conversation[list[ToolReply]]:
    """Return the conversation of these calls, one after the other."""

    async def ask(client: Client) -> list[ToolReply]:
        replies = []
        for call in calls:
            result = await client.call_tool(call.tool, dict(call.arguments))
            (content,) = result.content
            replies.append(
                ToolReply(
                    answer=result.structured_content,
                    text=getattr(content, "text", ""),
                    is_error=result.is_error,
                )
            )
        return replies

    return ask
