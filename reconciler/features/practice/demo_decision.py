"""The last step of the tour: one decision over HTTP, by the contract that NICE publishes."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from importlib.util import find_spec
from typing import Any, Final

from reconciler.core.errors import CxrouteError

_SECONDS: Final = 10.0
_ADDRESS: Final = re.compile(r"http://127\.0\.0\.1:([0-9]+)")


def has_server() -> bool:
    """Return whether the extra `serve` is installed."""
    return find_spec("uvicorn") is not None


@contextmanager
def decision_service() -> Iterator[int]:
    """Run `cxroute serve --decide` on the sandbox; yields its port. Raises CxrouteError."""
    words = ("-m", "reconciler", "-e", "sandbox", "serve", "--decide", "--port", "0")
    with subprocess.Popen(  # noqa: S603 - this program
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield _read_port(process)
        finally:
            process.terminate()


def _read_port(process: "subprocess.Popen[str]") -> int:
    for line in process.stdout or ():
        address = _ADDRESS.search(line)
        if address:
            return int(address[1])
    raise CxrouteError("`cxroute serve --decide` did not start")


def ask(port: int, payload: Mapping[str, str]) -> dict[str, Any]:
    """Return the answer to an exchange with this `customPayload`, as a script sends it."""
    body = json.dumps({"customPayload": payload})
    connection = HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request(
            "POST", "/exchange", body, {"Content-Type": "application/json"}
        )
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
    except (OSError, ValueError) as error:
        raise CxrouteError(f"the decision service did not answer: {error}") from error
    finally:
        connection.close()
    return answer
