"""Secrets in environment variables, or in files that variables name; neither a value nor a path is ever shown."""

from __future__ import annotations

import os
from pathlib import Path

from reconciler.errors import CredentialsError


def secret(name: str, what: str = "credentials") -> str:
    """Return what the variable NAME holds, or the file that NAME_FILE names. Raises CredentialsError."""
    found = os.environ.get(name)
    if found:
        return found
    file = os.environ.get(f"{name}_FILE")
    if not file:
        raise CredentialsError(f"no {what}: set {name}, or {name}_FILE to the path of a file that holds it")
    try:
        found = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CredentialsError(f"the file that {name}_FILE names cannot be read: {reason}") from None
    if not found:
        raise CredentialsError(f"the file that {name}_FILE names is empty")
    return found
