"""Kubernetes manifests checked with Kubernetes' own schemas, which a package contains: nothing is
downloaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import kubernetes_validate  # type: ignore[import-untyped]
import yaml

VERSIONS: Final = ("1.29", "1.37")
"""The oldest that the examples are meant for, and the newest whose schemas there are."""


def documents(path: Path) -> list[dict[str, Any]]:
    """Return the documents of a file."""
    return [
        item
        for item in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if item is not None
    ]


def problems(path: Path) -> list[str]:
    """Return fields that Kubernetes would refuse or drop (the schemas are strict), and references
    without a target.
    """
    actual = [
        f"{_name(document)}, Kubernetes {version}: {text}"
        for document in documents(path)
        for version in VERSIONS
        for text in _refused(document, version)
    ]
    return actual + [
        f"{_name(document)}: {text}"
        for document in documents(path)
        for text in _loose(document)
    ]


def pods(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the specs of the pods of a Deployment, Job, CronJob and similar kinds."""
    spec = document.get("spec", {})
    template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
    return [template["spec"]] if template else []


def _name(document: dict[str, Any]) -> str:
    return f"{document.get('kind')}/{document.get('metadata', {}).get('name')}"


def _refused(document: dict[str, Any], version: str) -> Iterator[str]:
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{'.'.join(map(str, error.path))}: {error.message[:200]}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield error.message


def _loose(document: dict[str, Any]) -> Iterator[str]:
    """Return references that no schema checks: labels, volumes, ports."""
    spec = document.get("spec", {})
    expected = (
        spec.get("selector", {}).get("matchLabels", {}) if "template" in spec else {}
    )
    if (
        not expected.items()
        <= spec.get("template", {}).get("metadata", {}).get("labels", {}).items()
    ):
        yield "selector.matchLabels: the template has other labels"
    for pod in pods(document):
        volumes = {volume["name"] for volume in pod.get("volumes", ())}
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            for mount in container.get("volumeMounts", ()):
                if mount["name"] not in volumes:
                    yield f"{container['name']}: there is no volume {mount['name']}"
            ports = {port.get("name") for port in container.get("ports", ())}
            for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                if isinstance(port, str) and port not in ports:
                    yield f"{container['name']}: {probe}: there is no port {port}"
