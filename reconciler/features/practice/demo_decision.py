"""The last step of the tour: one decision over HTTP, by the contract that NICE publishes."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

from reconciler.core.errors import CxrouteError
from reconciler.features.practice.simulator.script_engine import ContactScript

_CONTACT: Final = 4711
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


def run_contact(port: int, payload: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the variables of a script after a contact asked the service."""
    ran = ContactScript(f"http://127.0.0.1:{port}").run(payload, _CONTACT)
    if ran.branch == "Error":
        raise CxrouteError("the decision service did not answer")
    return ran.variables
