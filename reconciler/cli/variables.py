"""Secrets in environment variables, or in files that variables name; neither a value nor a path is ever shown."""

from __future__ import annotations

import os

from reconciler.errors import CredentialsError
from reconciler.regular_file import MIB, read_text


def secret(name: str, what: str = "credentials") -> str:
    """Return what the variable NAME holds, or the file that NAME_FILE names. Raises CredentialsError."""
    found = os.environ.get(name)
    if found:
        return _checked(found, name)
    file = os.environ.get(f"{name}_FILE")
    if not file:
        raise CredentialsError(f"no {what}: set {name}, or {name}_FILE to the path of a file that holds it")
    try:
        found = read_text(file, MIB).strip()
    except OSError as error:
        raise CredentialsError(f"the file that {name}_FILE names cannot be read: {error.strerror}") from None
    if not found:
        raise CredentialsError(f"the file that {name}_FILE names is empty")
    return found


def _checked(found: str, name: str) -> str:
    """Return what can be sent: Python keeps bytes that are none of the variable's encoding as half of a character."""
    if any("\ud800" <= one <= "\udfff" for one in found):
        raise CredentialsError(f"{name} holds bytes that are no text")
    return found
