"""Manifests in tests, and the findings of loading them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.errors import ManifestError
from reconciler.core.manifest.load import Manifests, load_manifests
from reconciler.core.model.finding import Finding

MANIFESTS = Path(__file__).parents[1] / "manifests"
ENVIRONMENT = (
    "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\ntenant: acme\n"
)
HEAD = "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules:\n"
CARDS = HEAD + "  - {intent: lost_card, queue: fraud}\n"


def findings(directory: Path) -> tuple[Finding, ...]:
    with pytest.raises(ManifestError) as caught:
        load_manifests(directory)
    return caught.value.findings


def line(finding: Finding) -> str:
    assert finding.source is not None
    file, row, column = finding.source
    return (
        f"{file}:{row}:{column}: {finding.severity}[{finding.code}]: {finding.message}"
    )


def lines(directory: Path) -> list[str]:
    return [line(finding) for finding in findings(directory)]


def loaded(room: Path, text: str) -> Manifests:
    (room / "a.yaml").write_text(text)
    return load_manifests(room)


def yaml_of(document: dict[str, Any]) -> str:
    """Each field on its own line, its value as JSON, which is YAML."""
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in document.items())
