"""Which environment a command is about, and what every command knows of it before anything is planned."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Final

from reconciler.desired.desired import desire_offline
from reconciler.errors import UsageError
from reconciler.manifest.kinds.environment import SANDBOX, Environment
from reconciler.manifest.load import Manifests
from reconciler.model.finding import Finding
from reconciler.model.rule import Queue

SIMULATED: Final = "Sandbox: everything below is simulated; no tenant was contacted.\n"


def expected_queues(manifests: Manifests, name: str) -> tuple[Queue, ...]:
    """Expand the manifests offline; return the queues that they count on in an environment. Raises ManifestError."""
    return tuple(desire_offline(manifests, choose_environment(manifests, name))[1].assumed_queues.values())


def unset_tenant(manifests: Manifests, name: str) -> list[Finding]:
    """Return an error where an environment's tenant is still the placeholder that `init` wrote."""
    loaded = manifests.environments.get(name)
    if loaded is None or not loaded.document.is_placeholder:
        return []
    message = f'{name} has no tenant yet: "{loaded.document.tenant}" is a placeholder'
    hint = "write your tenant's name, such as acme for https://acme.my.cxone.com; -e sandbox needs none"
    return [loaded.finding("CXR104", message, "tenant", hint=hint)]


def utc_now() -> datetime:
    """Return the time now. The one clock of the command line."""
    return datetime.now(UTC)


def split_names(names: str) -> tuple[str, ...]:
    """Return the names that -e lists, each once. Raises UsageError for an empty one."""
    parts = [name.strip() for name in names.split(",")]
    if not all(parts):
        raise UsageError(f"-e {names}: between two commas there is no name")
    return tuple(dict.fromkeys(parts))


def require_single(names: str) -> str:
    """Return the name that -e gives to a command that takes one. Raises UsageError for several."""
    if "," in names:
        several = "validate, test, plan, apply and drift take several"
        raise UsageError(f"-e {names[:200]}: this command takes one environment; {several}")
    return names


def chosen_name(name: str | None) -> str:
    """Return the name of the environment that is asked for: by -e, else $CXROUTE_ENV, else the sandbox."""
    return name or os.environ.get("CXROUTE_ENV") or SANDBOX


def choose_environment(manifests: Manifests, name: str | None) -> Environment:
    """Return the environment that is asked for: by -e, else $CXROUTE_ENV, else the sandbox (never where CI is set)."""
    if not (name or os.environ.get("CXROUTE_ENV")) and os.environ.get("CI"):
        names = sorted({*manifests.environments, SANDBOX})
        raise UsageError(f"in CI there is no default environment: say -e with one of {', '.join(names)}")
    name = chosen_name(name)
    if name not in manifests.environments:
        require_single(name)
    return manifests.environment(name)
