"""The Environment that `cxroute studio import` writes before there are manifests."""

import re
from typing import Final

import reconciler.core.manifest.kinds.fields as f
from reconciler.core.manifest.yaml_writer import format_mapping
from reconciler.targets.studio.imported import ImportedSnippet

_OWNER: Final = "my-team-routing"
_TENANT: Final = "your-tenant.invalid"
_SCRIPT: Final = "Folder\\Script"
_QUEUES: Final = {"routing-queue": "digital"}  # what a script assigns; else skills


def environment_lines(name: str, imported: ImportedSnippet | None) -> list[str]:
    """Return an Environment for the script of a snippet, with placeholders for what a snippet does
    not say.

    Its block assigns what the snippet does, to the same variable; None: that is not known yet.
    """
    studio: dict[str, object] = {
        "script": _SCRIPT,
        "variables": {"intent": "intent", "confidence": "confidence"},
    }
    queues = "acd-skills"
    if imported is not None:
        queues = _QUEUES.get(imported.skill_as, queues)
        result: dict[str, object] = {"as": imported.skill_as}
        if re.fullmatch(f.SCRIPT_VARIABLE, imported.skill):
            result = {"skill": imported.skill, **result}
        studio["result"] = result
    api: dict[str, object] = {
        "auth": "access-key",
        "area": "na1",
        "queues": queues,
        "rules": "studio",
        "studio": studio,
    }
    fields: dict[str, object] = {
        "apiVersion": "routing/v1",
        "kind": "Environment",
        "name": name,
        "owner": _OWNER,
        "tenant": _TENANT,
        "api": api,
    }
    title = "# Replace owner, tenant and area by yours, and script by the folder and the name of the script."
    return [title, *format_mapping(fields, 0)]
