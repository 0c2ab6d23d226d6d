"""Targets: the places where live rules are kept. `reconciler.core.target` says what each one offers."""

from typing import Final

BUILT_IN: Final = {
    "rules-api": "reconciler.targets.rules_api.target",
    "studio": "reconciler.targets.studio.target",
    "served": "reconciler.targets.decide.target",
}
"""The module of each built-in target by its name, the value of `api.rules`. Each has a `TARGET`."""
