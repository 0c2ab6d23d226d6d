"""The public Python API: its names, and their behaviour without a tenant."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import reconciler
from reconciler import (
    build_plan,
    explain,
    guard_refusals,
    load_manifests,
    read_live_file,
)
from tests.support.imports import imported

ROOT = Path(__file__).parents[2]
NAMES = [
    *(
        "ApplyReport",
        "ClientCredentials",
        "CxrouteError",
        "Plan",
        "PlanOptions",
        "Planner",
        "__version__",
    ),
    *(
        "apply_plan",
        "build_plan",
        "explain",
        "guard_refusals",
        "load_manifests",
        "open_client",
        "open_writing_client",
    ),
    *("planner_for", "read_live", "read_live_file", "tenant_settings"),
]
RULE = {
    "id": "1",
    "name": "Mine",
    "priority": 1,
    "enabled": True,
    "conditions": [],
    "targets": [{"queueId": "q"}],
}


def test_the_public_names_are_these() -> None:
    """`__all__` equals a list, each name can be imported, and the package lists no others."""
    assert NAMES == reconciler.__all__ == dir(reconciler)
    assert all(getattr(reconciler, name) for name in NAMES)
    with pytest.raises(AttributeError, match="no attribute 'build'"):
        _ = reconciler.build  # type: ignore[attr-defined]


def test_the_package_imports_only_the_version() -> None:
    """Its names are imported on first use."""
    assert {"importlib", "typing", "reconciler.version"} == set(
        imported(ROOT / "reconciler/__init__.py")
    )
    code = (
        "import reconciler, sys; print(sorted(one for one in sys.modules if "
        "one.startswith('reconciler.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert "['reconciler.version']\n" == done.stdout


def test_a_plan_from_a_file_of_live_rules(tmp_path: Path) -> None:
    """Load, read a file, build the plan, check its guards, and explain a conversation, without a
    network.
    """
    (tmp_path / "routing.yaml").write_text(
        "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\ntenant: acme\n---\n"
        "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules:\n"
        "- {key: lost, intent: lost, queue: Cards, priority: 5}\n",
        encoding="utf-8",
    )
    (tmp_path / "live.json").write_text(
        json.dumps({"rules": [RULE], "queues": [{"id": "q", "name": "Cards"}]})
    )
    manifests = load_manifests(tmp_path)
    environment = manifests.environment("prod")
    plan = build_plan(
        manifests, environment, read_live_file(str(tmp_path / "live.json"))
    )
    assert [("create", "cards/lost")] == [
        (change.action, str(change.address)) for change in plan.changes
    ]
    assert () == guard_refusals(plan)
    assert plan.behaviour is not None
    winner = explain(plan, environment, {environment.attributes.intent: "lost"}).winner
    assert winner is not None
    assert "cards/lost" == winner.name
    assert (
        explain(plan, environment, {environment.attributes.intent: "other"}).winner
        is None
    )
