"""The parts of uvicorn that the endpoint uses: a uvicorn without one of them fails here, with the
part's name.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import tomllib
from pathlib import Path

import pytest
import uvicorn
from packaging.requirements import Requirement
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from reconciler.cli import http_server as serve
from reconciler.cli.http_server import StrictHttpProtocol
from tests.features.endpoint.in_process_endpoint import Endpoint
from tests.support.cases import each_case
from tests.support.http_server import hand_over_connections

ROOT = Path(__file__).parents[3]
EXTENDED = (
    (StrictHttpProtocol, HttpToolsProtocol),
    (serve.QuietServer, uvicorn.Server),
)
OVERRIDES = [
    (child, parent, name)
    for child, parent in EXTENDED
    for name, value in vars(child).items()
    if inspect.isfunction(value) and not name.startswith("_")
]
READ_OF_CONNECTION = {
    "connections", "cycle", "headers", "loop", "parser", "transport", "url", "_unset_keepalive_if_required",
}  # fmt: skip
READ_OF_CYCLE = {
    "disconnected",
    "keep_alive",
    "message_event",
    "more_body",
    "response_complete",
}


def test_the_installed_uvicorn_is_the_one_reviewed_minor_version() -> None:
    """Before another one is allowed, compare its httptools_impl.py with cli/http_server.py."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    extra = map(Requirement, project["optional-dependencies"]["serve"])
    (bounds,) = [str(item.specifier) for item in extra if item.name == "uvicorn"]
    major, minor = map(int, uvicorn.__version__.split(".")[:2])
    assert {f">={major}.{minor}", f"<{major}.{minor + 1}"} == set(bounds.split(","))


def stated_parameters(owner: type, name: str) -> list[str]:
    """Return the parameters of a method as the source of its class states them: sse-starlette, which
    the SDK of `cxroute mcp` imports, replaces a method of uvicorn's server.
    """
    for parent in inspect.getmro(owner):
        if name in vars(parent):
            (stated,) = ast.parse(inspect.getsource(parent)).body
            methods = [
                item
                for item in ast.walk(stated)
                if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
                and item.name == name
            ]
            return [argument.arg for argument in methods[0].args.args]
    raise AssertionError(name)


@each_case("child, parent, name", OVERRIDES)
def test_each_overridden_method_is_one_that_uvicorn_has(
    child: type, parent: type, name: str
) -> None:
    """With the same parameters; otherwise uvicorn calls its own method and the endpoint does not
    check anything.
    """
    assert getattr(parent, name, None) is not None, (
        f"uvicorn {uvicorn.__version__} has no {parent.__name__}.{name}"
    )
    assert stated_parameters(parent, name) == [
        *inspect.signature(getattr(child, name)).parameters
    ]


@pytest.mark.parametrize(("child", "parent"), EXTENDED, ids=["connection", "server"])
def test_no_private_method_replaces_one_of_uvicorns(child: type, parent: type) -> None:
    """A private name that uvicorn begins to use would be replaced unnoticed."""
    private = {
        name for name in vars(child) if name.startswith("_") and not name.endswith("__")
    }
    assert set() == private & set(dir(parent))


def test_the_attributes_that_a_connection_reads_exist() -> None:
    """Of the connection after the first bytes of a request, of the server's state and of the
    request's cycle.
    """

    async def begun() -> tuple[set[str], set[str]]:
        config = serve.quiet_config(Endpoint().app)
        config.load()
        state = uvicorn.Server(config).server_state
        parts: list[StrictHttpProtocol] = []

        def connect() -> StrictHttpProtocol:
            parts.append(
                StrictHttpProtocol(config=config, server_state=state, app_state={})
            )
            return parts[-1]

        server = await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0)
        async with server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(
                b"POST /api/route HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
            )
            async with asyncio.timeout(5):
                while not parts or parts[0].cycle is None:  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.01)
            actual = {*dir(parts[0])}, {*dir(parts[0].cycle)}
            writer.close()
            await asyncio.gather(*state.tasks)
            await hand_over_connections()
        return actual

    connection, cycle = asyncio.run(begun())
    assert set() == READ_OF_CONNECTION - connection
    assert set() == READ_OF_CYCLE - cycle


def test_a_second_parser_has_the_settings_of_the_first() -> None:
    """A request that asks for another protocol is parsed by one of the endpoint's own."""
    settings = "self.parser.set_dangerous_leniencies(lenient_data_after_close=True)"
    first = inspect.getsource(HttpToolsProtocol.__init__)
    second = inspect.getsource(StrictHttpProtocol._parse_without_upgrade)
    assert settings in first
    assert (
        [settings]
        == re.findall(r"self\.parser\.set_\w+\(.*?\)", first)
        == re.findall(r"self\.parser\.set_\w+\(.*?\)", second)
    )
