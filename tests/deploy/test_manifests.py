"""What is in deploy/kubernetes is what Kubernetes takes; and whoever says so says otherwise of what it does not."""

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
    "a field that is spelt wrong": ("containerPort", "containerport"),
    "a number that is a text": ("containerPort: 3000", "containerPort: '3000'"),
    "a kind of another version": ("apps/v1", "apps/v1beta1"),
    "labels that nobody has": ("{matchLabels: {app: one}}", "{matchLabels: {app: two}}"),
    "a volume that is not there": ("volumes: [{name: keys", "volumes: [{name: locks"),
    "a port without its name": ("[{name: http", "[{name: https"),
    "a field that is missing": ("- name: main\n        image", "- image"),
}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_is_one_that_kubernetes_takes(path: Path) -> None:
    """By its own schemas, the oldest and the newest that are meant."""
    assert [] == problems(path)


def test_a_good_manifest_has_no_problems(tmp_path: Path) -> None:
    """Or the next test would show nothing."""
    path = tmp_path / "good.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert [] == problems(path)


@pytest.mark.parametrize("wrong", WRONG)
def test_what_kubernetes_would_refuse_is_said(tmp_path: Path, wrong: str) -> None:
    """Each is found, with the document's name."""
    path = tmp_path / "wrong.yaml"
    path.write_text(GOOD.replace(*WRONG[wrong]), encoding="utf-8")
    assert {"Deployment/one"} <= {said.partition(",")[0].partition(":")[0] for said in problems(path)}
