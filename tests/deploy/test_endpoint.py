"""deploy/kubernetes/context-endpoint.yaml: its parts fit each other and the program, and it runs
unchanged.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from reconciler.cli.http_server import _GRACE
from reconciler.cli.parsing import CommandParser
from reconciler.features.endpoint import command as serve
from reconciler.features.endpoint.app import _PROBES
from tests.deploy.manifests import documents, pods
from tests.features.endpoint.in_process_endpoint import event
from tests.features.endpoint.instances import fleet
from tests.features.endpoint.redis_server import redis_server
from tests.support import canary_secrets as canary
from tests.support.plain_http import PLAIN
from tests.support.server_process import KEY

FILE: Final = (
    Path(__file__).parents[2] / "deploy" / "kubernetes" / "context-endpoint.yaml"
)
PARTS: Final = {document["kind"]: document for document in documents(FILE)}
POD: Final[dict[str, Any]] = pods(PARTS["Deployment"])[0]
CONTAINER: Final[dict[str, Any]] = POD["containers"][0]
FILES: Final = {
    "client-id": canary.CLIENT,
    "client-secret": canary.SECRET,
    "api-keys": f"old-key,{KEY}",
}
"""The content of the secret, without the URL of Redis."""


def test_service_budget_and_autoscaler_mean_the_pods_of_the_deployment() -> None:
    """By the pods' labels and the port's name."""
    labels = PARTS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels == PARTS["Service"]["spec"]["selector"]
    assert labels == PARTS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
    assert [labels] == [
        item["labelSelector"]["matchLabels"]
        for item in POD["topologySpreadConstraints"]
    ]
    assert {part["targetPort"] for part in PARTS["Service"]["spec"]["ports"]} == {
        item["name"] for item in CONTAINER["ports"]
    }
    target = PARTS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    intended = PARTS["Deployment"]
    assert (
        intended["apiVersion"],
        intended["kind"],
        intended["metadata"]["name"],
    ) == tuple(target.values())
    assert "replicas" not in intended["spec"], (
        "each apply would undo the decisions of the autoscaler"
    )


def test_a_pod_has_time_to_finish_accepted_requests() -> None:
    """After the load balancers know about the end, as long as `serve` may take."""
    heard = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert POD["terminationGracePeriodSeconds"] > heard + _GRACE


def test_probes_use_existing_paths() -> None:
    """Only readiness depends on other services."""
    paths = {
        name: CONTAINER[name]["httpGet"]["path"].encode()
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert {b"/health", b"/ready"} == set(paths.values()) & set(_PROBES)
    assert b"/health" == paths["livenessProbe"]
    assert b"/ready" == paths["readinessProbe"]


def test_a_pod_has_minimal_permissions() -> None:
    """An unprivileged user without capabilities, and only /work is writable."""
    assert POD["securityContext"]["runAsNonRoot"]
    assert not POD["automountServiceAccountToken"]
    rights = CONTAINER["securityContext"]
    assert (False, True, ["ALL"]) == (
        rights["allowPrivilegeEscalation"],
        rights["readOnlyRootFilesystem"],
        rights["capabilities"]["drop"],
    )
    assert ["/work"] == [
        item["mountPath"]
        for item in CONTAINER["volumeMounts"]
        if not item.get("readOnly")
    ]


def test_the_secret_of_the_comment_is_the_secret_of_the_pod() -> None:
    """Its name and files are equal; the file contains no secret."""
    head = FILE.read_text(encoding="utf-8").partition("apiVersion")[0]
    read = {
        item["value"].removeprefix("/secrets/")
        for item in CONTAINER["env"]
        if item["name"].endswith("_FILE")
    }
    assert read == {
        word.partition("=")[2]
        for word in head.split()
        if word.startswith("--from-file=")
    }
    assert read == {*FILES, "shared"}
    (volume,) = [item for item in POD["volumes"] if "secret" in item]
    assert f"secret generic {volume['secret']['secretName']} " in head


@pytest.mark.slow
def test_the_container_runs_unchanged(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With the container's command and variables, and files instead of volumes, it is ready and
    writes events.
    """
    secrets = tmp_path_factory.mktemp("secrets")
    with redis_server(tmp_path) as server, fleet(tmp_path) as item:
        for name, text in {**FILES, "shared": server.url}.items():
            (secrets / name).write_text(f"{text}\n", encoding="utf-8")
        words = [
            word.replace("/manifests", str(tmp_path / "manifests"))
            for word in CONTAINER["args"]
        ]
        variables = {
            line["name"]: line["value"].replace("/secrets", str(secrets))
            for line in CONTAINER["env"]
        }
        words[words.index("3000")] = "0"
        plain = dict.fromkeys(
            ("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET", "CXROUTE_API_KEYS"), ""
        )
        _, url = item.run(words, **plain, **variables)
        url = url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - where it is called, not where it listens
        ready = _until_ready(url)
        answer = httpx.post(
            f"{url}/api/route",
            json=event(),
            headers={"X-API-Key": KEY},
            trust_env=False,
            verify=PLAIN,
        )
        with server.client() as client:
            remembered = client.exists("cxroute:prod:event:c-1")
    assert ready
    assert 200 == answer.status_code
    assert remembered


def test_its_command_line_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every word is used, and means the intended command."""
    monkeypatch.delenv("CXROUTE_ENV", raising=False)
    words = [word for word in CONTAINER["args"] if word != "serve"]
    options = CommandParser("serve", serve).parse_args(words)
    assert ("prod", "/manifests", None) == (
        options.environment,
        options.manifests,
        options.shared,
    )
    assert {"0.0.0.0", "3000"} == {options.host, options.port}  # noqa: S104 - in a pod, with keys


def _until_ready(url: str) -> bool:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if httpx.get(f"{url}/ready", trust_env=False, verify=PLAIN).status_code == 200:
            return True
        time.sleep(0.1)
    return False
