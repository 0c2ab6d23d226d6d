"""Clients for an Environment: credentials, hosts, proxy and transport, or the sandbox in this
process.
"""

import math
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.cli.command_line import (
    expected_queues,
    unset_tenant,
    user_name,
    utc_now,
)
from reconciler.cli.files import text_of_variable
from reconciler.cli.git import GitError, GitRepository
from reconciler.cli.hooks import open_sandbox
from reconciler.cli.session import Session
from reconciler.cli.terminal import WaitLog
from reconciler.core.errors import CredentialsError, ManifestError, UsageError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.model.rule import Queue
from reconciler.core.target import Access, Author, LiveSource, target_of
from reconciler.core.text.hosts import request_url
from reconciler.core.text.redact import REDACTOR
from reconciler.targets.platform.client import Connection
from reconciler.targets.platform.connect import (
    has_token,
    limit_access,
    redacted,
    tenant_settings,
)
from reconciler.targets.platform.context_client import (
    ContextClient,
    choose_writer,
    context_path,
)
from reconciler.targets.platform.service import (
    ServiceConnection,
    allowed_hosts,
    check_service_host,
    service_settings,
)
from reconciler.targets.platform.settings import ClientCredentials, TenantSettings
from reconciler.targets.platform.transport.rate_limiter import REAL_TIME, WaitCallback
from reconciler.targets.platform.transport.request import (
    ApiRequest,
    ApiResponse,
    Transport,
)
from reconciler.targets.platform.transport.tls import load_tls_context, parse_proxy

if TYPE_CHECKING:
    import httpx

    from reconciler.rest.client import RestClient, RestDialect

_REST_SECONDS = 15.0
# a secret has no such form
_VARIABLE_NAME: Final = re.compile("[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
_UNLIMITED = 100_000.0  # calls per second to the sandbox, which runs in this process
_Transport = tuple[Transport, TenantSettings, WaitCallback]


def read_secret(name: str, purpose: str = "credentials") -> str:
    """Return the value of the variable NAME, or of the file that NAME_FILE names.

    Raises CredentialsError.
    """
    value = text_of_variable(name, CredentialsError)
    if value is None and not _VARIABLE_NAME.fullmatch(name):
        rename = (
            "is not printed, because it may be the secret itself. If it is, replace the secret "
            "with a new one"
        )
        form = "write the name of a variable in capital letters, such as CXONE_CLIENT_SECRET"
        raise CredentialsError(
            f"no {purpose}: a name in `credentials` of the Environment {rename}; {form}"
        )
    if value is None:
        raise CredentialsError(
            f"no {purpose}: set {name}, or {name}_FILE to the path of a file that contains it"
        )
    if not value:
        raise CredentialsError(f"the file that {name}_FILE names is empty")
    # how Python represents undecodable bytes
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise CredentialsError(f"{name} contains bytes that are not valid text")
    return value


def open_source(
    session: Session, access: Access
) -> AbstractAsyncContextManager[LiveSource]:
    """Open the live rules of a session's environment; with "read", only reads are let through."""
    target = target_of(session.environment)
    return target.open(SessionSurroundings(session), access)


@dataclass(frozen=True, slots=True)
class SessionSurroundings:
    """What a target may use to open its rules: the tenant of a session."""

    session: Session

    @property
    def environment(self) -> Environment:
        """Return the environment of the session."""
        return self.session.environment

    @property
    def has_tenant(self) -> bool:
        """Return whether there is a tenant, over the network or simulated."""
        return self.session.simulated or self.environment.has_tenant

    def expected_queues(self) -> tuple[Queue, ...]:
        """Return the queues that the manifests use."""
        return expected_queues(self.session.manifests, self.environment.name)

    def author(self) -> Author:
        """Return the user, and the commit that is checked out where the manifests are."""
        commit = ""
        with suppress(GitError):
            commit = GitRepository.find(self.session.directory).find_commit("HEAD")
        return Author(user_name(), commit)

    @asynccontextmanager
    async def connect_service(
        self, url: str, key_variable: str, access: Access
    ) -> AsyncIterator[ServiceConnection]:
        """Connect to the decision service, or to that of the simulated tenant."""
        session = self.session
        key = "sandbox"
        if session.simulated:
            url = "http://localhost"
        else:
            check_service_host(url, allowed_hosts())
            key = read_secret(key_variable, "key of the decision service")
            REDACTOR.add(key)
        settings = service_settings(url, self.environment.api.timeout_seconds)
        waits = WaitLog(session.output, session.environment.name)
        async with _open_transport(session, settings, access) as transport:
            limited = limit_access(transport, settings, access)
            yield ServiceConnection(limited, settings, key, REAL_TIME, waits.log)

    @asynccontextmanager
    async def connect(self, access: Access) -> AsyncIterator[Connection]:
        """Connect to the tenant; with "read", only reads are let through."""
        session = self.session
        async with _connect(session, access) as (transport, tenant, on_wait):
            yield Connection(
                limit_access(transport, tenant, access),
                tenant,
                read_credentials(session),
                REAL_TIME,
                session.progress.step,
                on_wait,
            )


@asynccontextmanager
async def _connect(session: Session, access: Access) -> AsyncIterator[_Transport]:
    tenant = read_tenant_settings(session)
    waits = WaitLog(session.output, session.environment.name)
    async with _open_transport(session, tenant, access) as transport:

        async def send(request: ApiRequest) -> ApiResponse:
            reason = f"an access token from {request.server.host}"
            if has_token(request):
                reason = f"an answer to {request.call}"
            with waits.answer(reason):
                return await transport(request)

        yield send, tenant, waits.log


@asynccontextmanager
async def open_context_client(
    session: Session, deadline: float
) -> AsyncIterator[ContextClient]:
    """Connect with a client that writes contexts, each within `deadline` seconds, without a time
    limit for the run.
    """
    tenant = read_tenant_settings(session)
    tenant = replace(
        tenant,
        timeout_seconds=min(tenant.timeout_seconds, deadline),
        run_seconds=math.inf,
    )
    path = context_path(session.environment, tenant.profile)
    writer = choose_writer(session.environment)
    async with _open_transport(session, tenant) as transport:
        yield ContextClient(
            transport, tenant, read_credentials(session), REAL_TIME, path, writer
        )


def read_tenant_settings(session: Session) -> TenantSettings:
    """Return the settings of the environment's tenant. Raises ManifestError where none is set."""
    unset = unset_tenant(session.manifests, session.environment.name)
    if unset:
        raise ManifestError(unset)
    tenant = tenant_settings(session.manifests, session.environment, allowed_hosts())
    if not session.simulated:
        return tenant
    base = "http://localhost"
    return replace(
        tenant,
        base_url=base,
        token_url=f"{base}/oauth/token",
        issuer="",
        requests_per_second=_UNLIMITED,
    )


def read_credentials(session: Session) -> ClientCredentials:
    """Return the credentials that the Environment names.

    Raises ManifestError first, then CredentialsError.
    """
    if session.simulated:
        return ClientCredentials(client_id="sandbox", client_secret="sandbox-secret")  # noqa: S106 - for the simulator
    names = credential_variables(session.environment)
    try:
        client_id, client_secret, key_id, key_secret = (
            read_secret(name) if name else "" for name in names
        )
    except CredentialsError:
        expected_queues(session.manifests, session.environment.name)
        raise
    REDACTOR.add(client_secret, key_secret)
    used = tuple(filter(None, names))
    return ClientCredentials(
        client_id=client_id,
        client_secret=client_secret,
        key_id=key_id,
        key_secret=key_secret,
        variables=used,
    )


def needed_variables(environment: Environment) -> tuple[str, ...]:
    """Return the variables that the commands about an environment read secrets from: those of the
    tenant, and the key of the service that keeps its rules.
    """
    key = getattr(environment.api.target_settings, "key_env", "")
    tenant = credential_variables(environment) if environment.has_tenant else ()
    return tuple(filter(None, (*tenant, key)))


def credential_variables(environment: Environment) -> tuple[str, str, str, str]:
    """Return the variables of the client's id and secret and of the access key's; "" for each that
    is not needed.
    """
    names = environment.credentials
    client = ("", "")
    if not environment.api.area:
        client = (names.client_id_env, names.client_secret_env)
    key = ("", "")
    if environment.api.auth == "access-key":
        key = (names.access_key_id_env, names.access_key_secret_env)
    return (*client, *key)


@asynccontextmanager
async def _open_transport(
    session: Session, tenant: TenantSettings, access: Access = "write"
) -> AsyncIterator[Transport]:
    if session.simulated:
        queues = expected_queues(session.manifests, session.environment.name)
        with open_sandbox(session.environment, queues, access) as simulated:
            yield simulated
        return
    from reconciler.targets.platform.transport.aiohttp_transport import (  # noqa: PLC0415 - takes 0.2 s
        network_transport,
    )

    async with network_transport(
        tenant, os.environ.get("CXROUTE_PROXY"), ca_file()
    ) as transport:
        yield _observed(redacted(transport), session)


def _observed(transport: Transport, session: Session) -> Transport:
    """Return a transport that tells the session's clock the time of each read."""

    async def send(request: ApiRequest) -> ApiResponse:
        response = await transport(request)
        # a token may come from another server
        if request.method == "GET":
            session.server_clock.observe(response.headers, utc_now())
        return response

    return send


def open_rest_http() -> "httpx.Client":
    """Return a client of another REST API.

    It reads no netrc and no other proxy variables, and follows no redirects.
    """
    import httpx  # noqa: PLC0415 - 30 MiB, which the endpoint does not need

    proxy = os.environ.get("CXROUTE_PROXY")
    transport = httpx.HTTPTransport(
        verify=load_tls_context(ca_file()), proxy=parse_proxy(proxy) if proxy else None
    )
    return httpx.Client(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        timeout=_REST_SECONDS,
    )


@contextmanager
def open_rest_client(
    dialect: "RestDialect",
    option: str,
    url: str,
    read_token: Callable[[str], str | None],
) -> Iterator["RestClient"]:
    """Connect to another REST API at the URL of an option; `read_token` is called with the token's
    variable.

    Raises UsageError for the URL, and CredentialsError.
    """
    from reconciler.rest.client import RestClient  # noqa: PLC0415 - imports httpx

    parts = request_url(url)
    if parts is None or parts.query or parts.fragment:
        raise UsageError(
            f"{option} must be an https:// URL without user and query (http:// only to this "
            f"machine)"
        )
    token = read_token(dialect.token_variable) or ""
    REDACTOR.add(token)
    if not token.isascii() or not token.isprintable():
        raise CredentialsError(
            f"{dialect.token_variable} has characters that no token has; copy it again"
        )
    with open_rest_http() as http:
        yield RestClient(dialect=dialect, http=http, base=url.rstrip("/"), token=token)


def ca_file() -> Path | None:
    """Return the file of further certificate authorities ($CXROUTE_CA_FILE)."""
    path = os.environ.get("CXROUTE_CA_FILE")
    return Path(path) if path else None
