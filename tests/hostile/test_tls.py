"""TLS: a server without a valid certificate gets no request, and so no secret (F37)."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.hostile.command import MOST_WORK, Workspace, assert_refused
from tests.hostile.tenant import HostileTenant, serving
from tests.support.command import RunResult

FOLDER = Path(__file__).parent / "tls"
SELF_SIGNED = FOLDER.parent.parent / "self_signed.pem"


def run(
    place: Workspace,
    tenant: HostileTenant,
    certificate: Path,
    *,
    trusted: Path | None,
    scheme: str = "https",
) -> RunResult:
    """Plan against a tenant with this certificate, trusting the test's certificate authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if trusted:
        place.more["CXROUTE_CA_FILE"] = str(trusted)
    with serving(tenant, context):
        place.manifests(tenant.url.replace("https", scheme), "one", seconds=1)
        ended = place("plan")
    place.secretive()
    return ended


def test_a_certificate_of_the_operators_authority_is_trusted(place: Workspace) -> None:
    """So the other certificates are refused for their own reasons."""
    tenant = HostileTenant()
    ended = run(place, tenant, FOLDER / "good.pem", trusted=FOLDER / "authority.pem")
    assert 0 == ended.code, ended
    assert {"token", "list", "queues"} == {request.kind for request in tenant.asked}


@pytest.mark.parametrize(
    ("certificate", "trusted", "said"),
    [
        (FOLDER / "good.pem", None, "certificate verify failed"),
        (FOLDER / "other_host.pem", FOLDER / "authority.pem", "certificate"),
        (FOLDER / "expired.pem", FOLDER / "authority.pem", "certificate has expired"),
        (FOLDER / "not_yet.pem", FOLDER / "authority.pem", "not yet valid"),
        (SELF_SIGNED, FOLDER / "authority.pem", "certificate"),
    ],
)
def test_any_other_certificate_gets_no_request(
    place: Workspace, certificate: Path, trusted: Path | None, said: str
) -> None:
    """Not even the token request; the message has the reason."""
    tenant = HostileTenant()
    ended = run(place, tenant, certificate, trusted=trusted)
    assert_refused(ended, tenant)
    assert said in ended.err
    assert [] == tenant.asked
    assert ended.cpu_seconds < MOST_WORK


def test_an_http_address_of_a_tls_server_ends_in_a_sentence(place: Workspace) -> None:
    """An address with the wrong scheme."""
    tenant = HostileTenant()
    ended = run(place, tenant, FOLDER / "good.pem", trusted=None, scheme="http")
    assert_refused(ended, tenant)
    assert [] == tenant.asked


@pytest.mark.slow
def test_an_https_address_of_an_http_server_ends_in_a_sentence(
    place: Workspace,
) -> None:
    """An address with the other wrong scheme."""
    tenant = HostileTenant()
    with serving(tenant):
        place.manifests(tenant.url.replace("http", "https"), "one", seconds=1)
        ended = place("plan")
    assert_refused(ended, tenant)
    assert [] == tenant.asked
