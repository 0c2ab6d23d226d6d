"""Kubernetes accepts the files in deploy/kubernetes, and the check itself finds invalid files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.manifests import problems

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
GOOD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: one}
spec:
  selector: {matchLabels: {app: one}}
  template:
    metadata: {labels: {app: one}}
    spec:
      containers:
      - name: main
        image: one:1
        ports: [{name: http, containerPort: 3000}]
        readinessProbe: {httpGet: {path: /ready, port: http}}
        volumeMounts: [{name: keys, mountPath: /keys}]
      volumes: [{name: keys, secret: {secretName: keys}}]
"""
WRONG = {
    "a misspelt field": ("containerPort", "containerport"),
    "a text instead of a number": ("containerPort: 3000", "containerPort: '3000'"),
    "a kind of another version": ("apps/v1", "apps/v1beta1"),
    "labels that no pod has": (
        "{matchLabels: {app: one}}",
        "{matchLabels: {app: two}}",
    ),
    "a missing volume": ("volumes: [{name: keys", "volumes: [{name: locks"),
    "a port without its name": ("[{name: http", "[{name: https"),
    "a missing field": ("- name: main\n        image", "- image"),
}


@pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.name
)
def test_kubernetes_accepts_every_example(path: Path) -> None:
    """By its schemas, of the oldest and the newest supported version."""
    assert [] == problems(path)


def test_a_good_manifest_has_no_problems(tmp_path: Path) -> None:
    """Otherwise the next test would prove nothing."""
    path = tmp_path / "good.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert [] == problems(path)


@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("wrong", WRONG)
def test_errors_that_kubernetes_would_refuse_are_reported(
    tmp_path: Path, wrong: str
) -> None:
    """Each is found, with the document's name."""
    path = tmp_path / "wrong.yaml"
    path.write_text(GOOD.replace(*WRONG[wrong]), encoding="utf-8")
    assert {"Deployment/one"} <= {
        text.partition(",")[0].partition(":")[0] for text in problems(path)
    }
