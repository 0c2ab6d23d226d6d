"""Access by key over real sockets: the simulator's issuer and area, commands, and the endpoint's
transport.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.targets.platform.context_client import ContextClient
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.aiohttp_transport import network_transport
from reconciler.targets.platform.transport.rate_limiter import REAL_TIME
from tests.support import canary_secrets as canary
from tests.support.bank_workspace import BankWorkspace
from tests.support.in_process_tenant import TENANT

pytestmark = pytest.mark.slow

AREA = (
    "area: na1, baseUrl: '{url}', tokenUrl: '{url}/authentication/v1/token/access-key'"
)
ENVIRONMENT = """\
apiVersion: routing/v1
kind: Environment
name: bank
owner: bank-routing
tenant: bank
api: {{auth: access-key, {how}, requestsPerSecond: 10000, timeoutSeconds: 5}}
vars: {{overflow: overflow-partner}}
context: {{minConfidence: 0.35, below: {{intent: none}}}}
"""
KEYS = {"CXONE_ACCESS_KEY_ID": canary.KEY, "CXONE_ACCESS_KEY_SECRET": canary.KEY_SECRET}
OF_CLIENT = ("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET")
WAYS = {"issuer": "issuer: '{url}'", "area": AREA}


@pytest.fixture
def place(tmp_path: Path) -> BankWorkspace:
    return BankWorkspace(tmp_path)


def keyed(place: BankWorkspace, url: str, way: str) -> None:
    """Configure the bank's tenant for an access key."""
    place.manifests(url)
    path = place.path / "manifests/environments/bank.yaml"
    path.write_text(ENVIRONMENT.format(how=WAYS[way].format(url=url)), "utf-8")


@pytest.mark.parametrize("way", WAYS)
def test_an_access_key_plans_and_applies(place: BankWorkspace, way: str) -> None:
    """From a plan with changes to a plan without, with the simulator's key."""
    place.environment |= KEYS
    with place.simulated("--tenant", "bank") as url:
        keyed(place, url, way)
        if way == "area":
            for name in OF_CLIENT:
                del place.environment[name]
        plan = place.run_without_waits("-e", "bank", "plan", "--format", "json")
        assert 0 == plan.code, plan.err
        assert json.loads(plan.out)["summary"]["create"] > 0
        applied = place.run_without_waits("-e", "bank", "apply", "--yes", "--adopt")
        assert 0 == applied.code, applied.out + applied.err
        again = place.run_without_waits("-e", "bank", "plan", "--detailed-exitcode")
        assert 0 == again.code, again.out
    journal = (place.path / ".cxroute/journal.jsonl").read_text("utf-8")
    assert f'"tenant": "{url}/bank"' in journal or f'"tenant":"{url}/bank"' in journal


@pytest.mark.parametrize(
    ("name", "said"),
    [("CXONE_ACCESS_KEY_SECRET", "access key"), ("CXONE_CLIENT_SECRET", "client")],
)
def test_a_wrong_key_names_every_variable_that_may_be_wrong(
    place: BankWorkspace, name: str, said: str
) -> None:
    """A 401 does not tell which one; no value is shown."""
    place.environment |= KEYS
    with place.simulated() as url:
        keyed(place, url, "issuer")
        place.environment[name] = "wrong-canary-wrong"
        refused = place.run_without_waits("-e", "bank", "plan")
    assert 1 == refused.code
    assert "the tenant refuses the access key or the client id or secret" in refused.err
    assert said in refused.err
    assert ", ".join((*OF_CLIENT, *KEYS)) in refused.err
    assert "wrong-canary-wrong" not in refused.err


@pytest.mark.parametrize("way", WAYS)
def test_a_missing_key_is_requested_by_the_name_of_its_variable(
    place: BankWorkspace, way: str
) -> None:
    """The first missing one; with an area, the client's id and secret are not required."""
    for name in OF_CLIENT:
        del place.environment[name]
    keyed(place, "http://127.0.0.1:9", way)
    missing = place.run_without_waits("-e", "bank", "plan")
    assert 1 == missing.code
    assert (
        f"set {'CXONE_CLIENT_ID' if way == 'issuer' else 'CXONE_ACCESS_KEY_ID'}, or"
        in missing.err
    )


@pytest.mark.parametrize("name", [*OF_CLIENT, *KEYS])
def test_a_variable_with_other_bytes_than_text_is_named(
    place: BankWorkspace, name: str
) -> None:
    """A variable may hold any bytes; they cause no bug report, and are not shown."""
    place.environment |= {**KEYS, name: "canary-\udcff-canary"}
    keyed(place, "http://127.0.0.1:9", "issuer")
    refused = place.run_without_waits("-e", "bank", "plan")
    assert (1, f"error: {name} contains bytes that are not valid text") == (
        refused.code,
        refused.err.strip(),
    )


def test_keys_can_come_from_files(place: BankWorkspace) -> None:
    """NAME_FILE, as for all secrets."""
    for name, value in KEYS.items():
        canary.mark_as_secret(place.path / name).write_text(value + "\n", "utf-8")
        place.environment[f"{name}_FILE"] = name
    with place.simulated() as url:
        keyed(place, url, "issuer")
        assert 0 == place.run_without_waits("-e", "bank", "plan").code


def test_a_busy_issuer_is_retried(place: BankWorkspace) -> None:
    """Documents and token are requested again like every read."""
    with place.simulated(
        "--faults", "discovery:503@#1,token:429=0@#1,discovery:cut@#3"
    ) as url:
        place.environment |= KEYS
        keyed(place, url, "issuer")
        assert 0 == place.run_without_waits("-e", "bank", "plan").code


def test_the_endpoints_client_logs_in(place: BankWorkspace) -> None:
    """Documents, token and context on kept connections; a refused token is renewed once."""
    credentials = ClientCredentials(
        client_id=canary.CLIENT,
        client_secret=canary.SECRET,
        key_id=canary.KEY,
        key_secret=canary.KEY_SECRET,
    )

    async def run(url: str) -> list[Any]:
        tenant = replace(TENANT, base_url="", token_url="", issuer=url, run_seconds=1e6)
        path = "/api/v2/interactions/interactions/{conversationId}/context"
        async with network_transport(tenant, None, None) as transport:
            client = ContextClient(transport, tenant, credentials, REAL_TIME, path)
            assert await client.is_ready()
            return [await client.write("c-1", {"a": number}, 5.0) for number in (1, 2)]

    with place.simulated("--faults", "context:revoke@#1") as url:
        stored = asyncio.run(run(url))
    assert [{"a": 1}, {"a": 2}] == [item["attributes"] for item in stored]
