"""Names of attributes that no custom field can have where the endpoint writes custom fields (CXR211)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from reconciler.words import value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.findings import Finding
    from reconciler.manifest.environment import Environment
    from reconciler.manifest.load import Manifests

_IDENT: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
"""What idents look like wherever public documents show one; none says what they may hold."""


def about_writer(manifests: Manifests, environment: Environment) -> Iterator[Finding]:
    """Yield a finding for each of the three names that is most likely no ident."""
    loaded = manifests.environments.get(environment.name)
    if loaded is None or environment.context.writer != "digital-custom-fields":
        return
    names = environment.attributes
    of_fields = {"intent": names.intent, "confidence": names.confidence, "updatedAt": names.updated_at}
    for field, name in of_fields.items():
        if not _IDENT.fullmatch(name):
            message = (
                f"{value(name)} is most likely no ident of a custom field: letters, digits, -, _ and ., 64 at most"
            )
            hint = "write the ident that the field has in CXone"
            yield loaded.finding("CXR211", message, "attributes", field, severity="warning", hint=hint)
