"""The order in which pipelines apply to environments: production last.

A pipeline stops at the first failure.
"""

import re
from collections.abc import Iterable
from typing import Final

_STAGES: Final = (
    {"local", "sandbox", "dev", "devel", "develop", "development"},
    {"test", "tests", "testing", "tst", "qa", "ci", "int", "integration", "demo"},
    {"uat", "sit", "acceptance", "acc"},
    {
        "staging",
        "stage",
        "stg",
        "pre",
        "non",
        "preprod",
        "preproduction",
        "nonprod",
        "nonproduction",
        "canary",
        "pilot",
    },
)
"""Words of names, by stage. A name with one of them is not production: `prod-test`, `pre-prod`."""
_OTHER_STAGE: Final = len(_STAGES)
_PRODUCTION_STAGE: Final = _OTHER_STAGE + 1
_PRODUCTION: Final = {"prd", "live"}
_WORDS: Final = re.compile(r"[a-z]+")


def order_environments(names: Iterable[str]) -> list[str]:
    """Return the environments, production last, by the words of their names; equal stages keep
    their order.
    """
    return sorted(names, key=_stage)


def _stage(name: str) -> int:
    words = _WORDS.findall(name.lower())
    stages = [
        number for number, stage in enumerate(_STAGES) if stage.intersection(words)
    ]
    if stages:
        return stages[0]
    is_production = any(
        word in _PRODUCTION or word.startswith("prod") for word in words
    )
    return _PRODUCTION_STAGE if is_production else _OTHER_STAGE
