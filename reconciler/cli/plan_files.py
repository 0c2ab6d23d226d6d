"""The file of a saved plan, or of several ones, as JSON. Nothing here writes."""

import json
from pathlib import Path
from typing import Final

from reconciler.core.errors import UsageError
from reconciler.core.text.files import MIB, read_text

LARGEST_PLAN: Final = 128 * MIB


def read_plan_file(path: Path, name: str) -> object:
    """Return the JSON of a file; `name` is the file's name in messages. Raises UsageError."""
    try:
        return json.loads(read_text(path, LARGEST_PLAN))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise UsageError(
            f"cannot read {name}: {reason}. Create a plan with `cxroute plan --out FILE`"
        ) from None
