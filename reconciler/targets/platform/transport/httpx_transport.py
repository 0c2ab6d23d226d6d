"""A transport over an httpx transport in this process: the sandbox, and the tenants of tests."""

from http.cookiejar import DefaultCookiePolicy

import httpx

from reconciler.targets.platform.transport import request as http


def transport_over(http_transport: httpx.AsyncBaseTransport) -> http.Transport:
    """Return a transport over an httpx client without cookies and environment variables."""
    client = httpx.AsyncClient(
        transport=http_transport,
        trust_env=False,
        follow_redirects=False,
        timeout=None,  # noqa: S113
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    async def send(request: http.ApiRequest) -> http.ApiResponse:
        headers = dict(request.headers)
        content = request.content or None
        try:
            async with client.stream(
                request.method,
                request.url,
                headers=headers,
                content=content,
            ) as response:
                body = await _read_body(response)
                return http.ApiResponse(
                    request.call,
                    response.status_code,
                    response.headers,
                    body,
                )
        except httpx.ConnectError as failure:
            raise http.NotSentError(http.describe_failure(failure)) from failure
        except httpx.TransportError as failure:
            timed_out = isinstance(failure, httpx.TimeoutException)
            text = (
                "no response in time" if timed_out else http.describe_failure(failure)
            )
            raise http.NoResponseError(text) from failure

    return send


async def _read_body(response: httpx.Response) -> bytes:
    if response.is_stream_consumed:  # the transport had the full response in memory
        return response.content
    body = http.ResponseBody(response.headers.get("content-encoding", ""))
    async for raw in response.aiter_raw():
        body.add(raw)
    return body.content()
