"""The error where the packages of an extra are missing."""

from __future__ import annotations

from reconciler.errors import CxrouteError


def missing_extra(feature: str) -> CxrouteError:
    """Return the error that names the extra and the page.

    No command to copy: no package index has the name of this project, and whoever registers it there could be anyone.
    """
    return CxrouteError(
        f"{feature} needs the extra `serve`, which is not installed. See docs/getting-started.md, section Install."
    )
