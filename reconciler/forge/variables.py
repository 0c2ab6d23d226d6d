"""The variables that a forge sets for a step of a pipeline, checked before they are used."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from reconciler.errors import UsageError
from reconciler.text.hosts import request_url

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_SHA: Final = re.compile(r"[0-9a-f]{7,64}")
_UNSAFE: Final = re.compile(r"[\s()<>]")


class StepVariables(NamedTuple):
    """The variables of a step on one forge. Its methods raise UsageError outside of a pipeline."""

    values: Mapping[str, str]
    forge: str  # "GitHub"

    def matching(self, name: str, pattern: re.Pattern[str], default: str = "") -> str:
        """Return a variable that matches the pattern in full."""
        value = self.values.get(name) or default
        if not pattern.fullmatch(value):
            text = f"{name} is not set as {self.forge} sets it: run this in a step of a {self.forge} pipeline"
            raise UsageError(text)
        return value

    def number(self, name: str, default: str = "") -> int:
        """Return a number above 0."""
        return int(self.matching(name, _NUMBER, default))

    def optional_number(self, name: str) -> int | None:
        """Return a number above 0; None if the variable is not set or holds another value."""
        value = self.values.get(name, "")
        return int(value) if _NUMBER.fullmatch(value) else None

    def sha(self, name: str) -> str:
        """Return a commit."""
        return self.matching(name, _SHA)

    def address(self, name: str, default: str = "") -> str:
        """Return a base address without a slash at its end. The token is sent there: it must be https, or loopback."""
        address = (self.values.get(name) or default).rstrip("/")
        parts = request_url(address)
        if parts is None or parts.query or parts.fragment or _UNSAFE.search(address):
            raise UsageError(f"{name} is not an https:// address: the token is not sent there")
        return address
