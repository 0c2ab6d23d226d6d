"""The default profile, written out as the document that a person would write: all of it, to start from."""

from __future__ import annotations

from typing import Any, Final

import yaml

from reconciler.manifest.profile import TUTORIAL
from reconciler.manifest.vocabulary import operator_names

_HEAD: Final = """\
# The default profile: the tutorial's contract, unverified against a tenant. What a Profile leaves out is as here.
# An Environment names one with `api: {profile: NAME}`.
"""


def default_profile() -> str:
    """Return the text of the document."""
    return _HEAD + yaml.safe_dump(_document(), sort_keys=False, width=120)


def _document() -> dict[str, Any]:
    """Return the document; lists begin with where they are."""
    said: dict[str, Any] = TUTORIAL.model_dump(mode="json", by_alias=True, exclude_none=True)
    for name in ("rules", "queues"):
        said[name] = {"path": said[name].pop("path"), **said[name]}
    return {**said, "operators": operator_names(TUTORIAL.operators)}
