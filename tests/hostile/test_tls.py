"""TLS: whoever cannot prove to be the tenant gets no request at all, so no secret either (F37)."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.hostile.command import SLACK, Workspace, assert_refused
from tests.hostile.tenant import HostileTenant, serving
from tests.support.command import RunResult

FOLDER = Path(__file__).parent / "tls"
SELF_SIGNED = FOLDER.parent.parent / "self_signed.pem"


def run(
    place: Workspace, tenant: HostileTenant, certificate: Path, *, trusted: Path | None, scheme: str = "https"
) -> RunResult:
    """Plan against a tenant with that certificate, trusting an authority of our own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if trusted:
        place.more["CXROUTE_CA_FILE"] = str(trusted)
    with serving(tenant, context):
        place.manifests(tenant.url.replace("https", scheme), "one", seconds=1)
        ended = place("plan")
    place.secretive()
    return ended


def test_a_certificate_that_the_operator_s_authority_signed_is_trusted(place: Workspace) -> None:
    """So what the others are refused for is what they are."""
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
def test_any_other_gets_nothing(place: Workspace, certificate: Path, trusted: Path | None, said: str) -> None:
    """Not even the request for a token; and it is said what is wrong."""
    tenant = HostileTenant()
    ended = run(place, tenant, certificate, trusted=trusted)
    assert_refused(ended, tenant)
    assert said in ended.err
    assert [] == tenant.asked
    assert ended.seconds < SLACK


def test_plain_http_where_tls_is_spoken_ends_in_a_sentence(place: Workspace) -> None:
    """An address with the wrong scheme."""
    tenant = HostileTenant()
    ended = run(place, tenant, FOLDER / "good.pem", trusted=None, scheme="http")
    assert_refused(ended, tenant)
    assert [] == tenant.asked


def test_tls_where_plain_http_is_spoken_ends_in_a_sentence(place: Workspace) -> None:
    """An address with the wrong scheme, the other way round."""
    tenant = HostileTenant()
    with serving(tenant):
        place.manifests(tenant.url.replace("http", "https"), "one", seconds=1)
        ended = place("plan")
    assert_refused(ended, tenant)
    assert [] == tenant.asked
