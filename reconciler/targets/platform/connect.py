"""From an Environment to the settings of its tenant, and transports with a guard."""

from contextlib import suppress

from reconciler.core.errors import ApiError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.target import Access
from reconciler.core.text.json_values import STRICT_DECODER
from reconciler.core.text.redact import REDACTOR, RotatingTokens
from reconciler.targets.platform.auth import issued_tokens
from reconciler.targets.platform.discovery import openid_request, parse_token_server
from reconciler.targets.platform.paging import choose_queue_list
from reconciler.targets.platform.settings import (
    ServerUrl,
    TenantSettings,
)
from reconciler.targets.platform.transport.request import (
    LENIENT_DECODER,
    ApiRequest,
    ApiResponse,
    Transport,
)


def tenant_settings(
    manifests: Manifests,
    environment: Environment,
    allowed_hosts: frozenset[str] = frozenset(),
) -> TenantSettings:
    """Return the settings for the environment's API; `allowed_hosts` may receive credentials,
    too.
    """
    api = environment.api
    profile = manifests.profile(environment)
    queues = choose_queue_list(api, profile.queues)
    return TenantSettings(
        base_url=environment.base_url,
        token_url=environment.token_url,
        issuer=(api.issuer or "").rstrip("/"),
        rules_path=api.rules_path or profile.rules.path,
        queues_path=api.queues_path or queues.path,
        page_size=api.page_size or profile.page_size,
        profile=profile,
        queues=queues,
        timeout_seconds=api.timeout_seconds,
        requests_per_second=api.requests_per_second,
        concurrency=api.concurrency,
        idempotency_keys=api.idempotency_keys,
        allowed_hosts=allowed_hosts,
        environment=environment,
    )


def has_token(request: ApiRequest) -> bool:
    """Return whether a request carries an access token; otherwise it requests one."""
    authorization = request.headers.get("Authorization", "")
    return request.method != "POST" or authorization.startswith("Bearer ")


def redacted(transport: Transport) -> Transport:
    """Return a transport that registers each token in requests and responses for redaction."""
    tokens = RotatingTokens(REDACTOR)
    newest = ""

    async def send(request: ApiRequest) -> ApiResponse:
        nonlocal newest
        authorization = request.headers.get("Authorization", "")
        if authorization != newest:
            newest = authorization
            tokens.add(authorization.removeprefix("Bearer "))
        response = await transport(request)
        if not has_token(request):
            with suppress(ApiError):
                tokens.add(*issued_tokens(response.json(LENIENT_DECODER)))
            newest = ""  # the tokens may have displaced the one in use
        return response

    return send


def limit_access(
    transport: Transport, tenant: TenantSettings, access: Access
) -> Transport:
    """Return the transport; with "read", one that lets only reads through."""
    return transport if access == "write" else read_only_transport(transport, tenant)


def read_only_transport(transport: Transport, tenant: TenantSettings) -> Transport:
    """Return a transport for GETs and token requests; others fail before a byte is sent (R10)."""
    discovery = (
        openid_request(ServerUrl.parse(tenant.issuer)) if tenant.issuer else None
    )
    server = ServerUrl.parse(tenant.token_url) if tenant.token_url else None

    async def send(request: ApiRequest) -> ApiResponse:
        nonlocal server
        is_login = server and (request.method, request.server, request.target) == (
            "POST",
            server,
            server.path,
        )
        if request.method != "GET" and not is_login:
            raise AssertionError(f"a reading client was about to send {request.method}")
        response = await transport(request)
        if discovery is not None and (request.server, request.target) == (
            discovery.server,
            discovery.target,
        ):
            # the fence reads the token server itself, from the response that passes through it
            server = None
            with suppress(ApiError):
                server = parse_token_server(response.json(STRICT_DECODER), tenant)
        return response

    return send
