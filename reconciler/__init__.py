"""Routing rules as code for NICE CXone. The names below are the public Python API.

| stage | package | function |
|---|---|---|
| load | manifest | `load_manifests` |
| read | cxone | `open_client` and `tenant_settings`, `read_live`; without a tenant `read_live_file` |
| expand, compare, plan, schedule, predict impact | desired, plan | `build_plan`, or a `Planner` from `planner_for` |
| guard | plan | `guard_refusals` |
| explain | checks | `explain` |
| apply | apply | `open_writing_client`, `apply_plan` |

Each name is imported when it is first used: `cxroute --version` needs none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from reconciler.version import __version__

if TYPE_CHECKING:
    from reconciler.core.apply.progress import ApplyReport
    from reconciler.core.errors import CxrouteError
    from reconciler.core.manifest.load import load_manifests
    from reconciler.core.pipeline import (
        Planner,
        apply_plan,
        build_plan,
        explain,
        planner_for,
        read_live,
        read_live_file,
    )
    from reconciler.core.plan.guards import guard_refusals
    from reconciler.core.plan.stages import Plan, PlanOptions
    from reconciler.targets.connect import open_client, open_writing_client
    from reconciler.targets.platform.connect import tenant_settings
    from reconciler.targets.platform.settings import ClientCredentials

__all__ = [
    "ApplyReport",
    "ClientCredentials",
    "CxrouteError",
    "Plan",
    "PlanOptions",
    "Planner",
    "__version__",
]
__all__ += [
    "apply_plan",
    "build_plan",
    "explain",
    "guard_refusals",
    "load_manifests",
    "open_client",
]
__all__ += [
    "open_writing_client",
    "planner_for",
    "read_live",
    "read_live_file",
    "tenant_settings",
]

_NAMES = {
    "core.apply.progress": ("ApplyReport",),
    "targets.connect": ("open_client", "open_writing_client"),
    "targets.platform.connect": ("tenant_settings",),
    "targets.platform.settings": ("ClientCredentials",),
    "core.errors": ("CxrouteError",),
    "core.manifest.load": ("load_manifests",),
    "core.pipeline": (
        "Planner",
        "apply_plan",
        "build_plan",
        "explain",
        "planner_for",
        "read_live",
        "read_live_file",
    ),
    "core.plan.guards": ("guard_refusals",),
    "core.plan.stages": ("Plan", "PlanOptions"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

if not TYPE_CHECKING:  # a type checker knows the names above alone

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"reconciler.{_HOMES[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return __all__
