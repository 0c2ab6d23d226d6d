"""Workloads of a given size: manifests with a tenant that differs in about 1 %, and the nearest
thing for octoDNS.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from reconciler.core.desired.desired import expand_manifests
from reconciler.core.desired.queues import QueueResolver
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model.rule import Queue, to_api_json

QUEUES = [
    {"id": f"00000000-0000-4000-8000-{n:012d}", "name": f"Queue {n}"} for n in range(12)
]
PER_FILE = 10_000


def manifests(directory: Path, count: int, base_url: str) -> None:
    """Write `count` rules of one intent, a queue, a priority and a confidence each."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "environment.yaml").write_text(
        "apiVersion: routing/v1\nkind: Environment\nname: bench\nowner: bench\ntenant: bench\n"
        f"api: {{baseUrl: '{base_url}', requestsPerSecond: 10000}}\n"
    )
    for first in range(0, count, PER_FILE):
        lines = [
            "apiVersion: routing/v1",
            "kind: RuleSet",
            f"name: rules-{first // PER_FILE}",
            "rules:",
        ]
        for n in range(first, min(first + PER_FILE, count)):
            lines += [
                f"  - intent: intent_{n:06d}",
                f"    queue: Queue {n % 12}",
                f"    priority: {n}",
                f"    minConfidence: 0.{n % 9 + 1}",
            ]
        (directory / f"rules-{first // PER_FILE}.yaml").write_text(
            "\n".join(lines) + "\n"
        )


def state(path: Path, documents: Path) -> None:
    """Write the simulator's state: what the manifests want, but for 1 % that was updated, added or
    removed.
    """
    loaded = load_manifests(documents)
    environment = loaded.environments["bench"].document
    desired = expand_manifests(
        loaded,
        environment,
        QueueResolver("bench", {}, [Queue(**queue) for queue in QUEUES]),
    )
    now = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    rules = []
    for n, (address, expected) in enumerate(desired.rules.items()):
        kind = n // 100 % 3 if n % 100 == 50 else None
        if kind == 0:
            continue
        name = f"removed/{address.key}" if kind == 1 else str(address)
        rule = expected.rule
        rules.append(
            {
                "id": f"{n:08d}-0000-4000-9000-000000000000",
                "name": f"Removed {n}" if kind == 1 else rule.name,
                "description": f"{rule.description}\n[cxroute:bench/{name}#{expected.marker_digest}]",
                "priority": rule.priority + (1 if kind == 2 else 0),
                "enabled": True,
                "conditions": [to_api_json(condition) for condition in rule.conditions],
                "targets": [
                    {
                        "type": "queue",
                        "queueId": getattr(target, "queue_id", ""),
                        "weight": 1,
                    }
                    for target in rule.targets
                ],
                "version": 1,
                "dateCreated": now,
                "dateModified": now,
                "selfUri": f"/api/v2/routing/rules/{n}",
                "division": {"id": "home", "name": "Home"},
            }
        )
    path.write_text(json.dumps({"queues": QUEUES, "rules": rules, "contexts": {}}))


def octodns(directory: Path, count: int, kind: str) -> Path:
    """Write a YAML source and target for octoDNS that differ in 1 %; `kind` is `a` or `srv`.

    Returns its config.

    An A record is the cheapest that octoDNS knows (a TTL and a value); an SRV record, with one or
    two values of four fields, is the nearest in shape to a routing rule.
    """
    for side in ("source", "target"):
        (directory / side).mkdir(parents=True, exist_ok=True)
        lines = ["---"]
        for n in range(count):
            chosen = n // 100 % 3 if n % 100 == 50 else None
            if (side, chosen) in {("target", 0), ("source", 1)}:
                continue
            lines += _record(n, kind, 1000 if (side, chosen) == ("target", 2) else 0)
        (directory / side / "unit.tests.yaml").write_text("\n".join(lines) + "\n")
    config = directory / "config.yaml"
    providers = "".join(
        f"  {side}:\n    class: octodns.provider.yaml.YamlProvider\n    directory: "
        f"{directory}/{side}\n"
        for side in ("source", "target")
    )
    config.write_text(
        f"---\nmanager:\n  max_workers: 1\nproviders:\n{providers}zones:\n"
        "  unit.tests.:\n    sources: [source]\n    targets: [target]\n"
    )
    return config


def _record(n: int, kind: str, more: int) -> list[str]:
    if kind == "a":
        address = f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"
        return [
            f"r{n:06d}:",
            f"  ttl: {310 + more}",
            "  type: A",
            f"  value: {address}",
        ]
    lines = [f"_s{n:06d}._tcp:", "  ttl: 300", "  type: SRV", "  values:"]
    for k in range(1 + n % 2):
        lines += [f"  - port: {5000 + k}", f"    priority: {10 + more + k}"]
        lines += [f"    target: host-{n:06d}-{k}.unit.tests.", "    weight: 1"]
    return lines


def replay(directory: Path, count: int) -> None:
    """Write two lists of 1,000 rules, of which a hundred differ, and `count` conversations:
    calls.csv.

    Confidences have six digits, so that nearly every row is another one; a tenth of the rules also
    test the tier.
    """
    for side, queues in (("left", 10), ("right", 11)):
        rules = []
        for n in range(1_000):
            pairs = [("cognigyDetectedIntent", "equals", f"intent_{n // 2}")]
            pairs += [
                (
                    "cognigyConfidence",
                    "greaterThanOrEqual",
                    0.8 if n % 2 == 0 else n % 16 / 20,
                )
            ]
            pairs += (
                [("customerTier", "in", ["gold", "platinum"])] if n % 10 == 3 else []
            )
            target = {
                "type": "queue",
                "queueId": f"q{n % queues if n % 10 == 0 else n % 10}",
                "weight": 1,
            }
            forms = [
                {"type": "attribute", "attributeName": a, "operator": o, "value": v}
                for a, o, v in pairs
            ]
            rules.append(
                {
                    "id": f"r{n}",
                    "name": f"r{n}",
                    "priority": n,
                    "conditions": forms,
                    "targets": [target],
                }
            )
        (directory / f"{side}.json").write_text(json.dumps(rules))
    random = Random(1)  # noqa: S311 - not a secret
    with (directory / "calls.csv").open("w") as file:
        file.write("intent,confidence,customerTier,language\n")
        for _ in range(count):
            intent = random.randrange(600)
            confidence = random.random()
            tier = random.choice(("gold", "platinum", "standard", ""))
            language = random.choice(("en", "de", "fr"))
            file.write(f"intent_{intent},{confidence:.6f},{tier},{language}\n")


if __name__ == "__main__":
    what, *values = sys.argv[1:]
    match what:
        case "manifests":
            manifests(Path(values[0]), int(values[1]), values[2])
        case "state":
            state(Path(values[0]), Path(values[1]))
        case "octodns":
            octodns(Path(values[0]), int(values[1]), values[2])
        case "replay":
            replay(Path(values[0]), int(values[1]))
