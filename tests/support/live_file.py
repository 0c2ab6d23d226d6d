"""The live rules of a tenant as a file, for `--live`."""

from __future__ import annotations

import json
from pathlib import Path

from reconciler.core.desired.desired import desire_offline
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model.live import Marker, format_description
from reconciler.core.model.rule import to_api_json
from tests.support.builders import NOW


def live_file(environment: str = "prod") -> str:
    """Write the rules of the manifests as they are after an apply, and return the file's name."""
    manifests = load_manifests(Path("manifests"), NOW)
    desired, queues = desire_offline(manifests, manifests.environment(environment))
    rules = [
        {
            "id": f"id-{address.ruleset}-{address.key}",
            "name": rule.rule.name,
            "description": format_description(
                rule.rule, Marker(desired.owner, address, rule.marker_digest)
            ),
            "priority": rule.rule.priority,
            "enabled": rule.rule.enabled,
            "conditions": [to_api_json(part) for part in rule.rule.conditions],
            "targets": [to_api_json(part) for part in rule.rule.targets],
        }
        for address, rule in desired.rules.items()
    ]
    named = [
        {"id": queue.id, "name": queue.name} for queue in queues.queues_by_id.values()
    ]
    Path("live.json").write_text(
        json.dumps({"rules": rules, "queues": named}), encoding="utf-8"
    )
    return "live.json"
