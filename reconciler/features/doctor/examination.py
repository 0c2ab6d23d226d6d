"""Calls to a tenant without the client's retries: a token, one page of rules and of queues, one
rule, the clock.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from reconciler.core import rule_json
from reconciler.core.errors import (
    ApiError,
    CxrouteError,
    UnexpectedResponseError,
    UnreachableError,
    UnsupportedCallError,
)
from reconciler.core.manifest.kinds.environment import SANDBOX, Environment
from reconciler.core.manifest.kinds.profile import Profile
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Queue
from reconciler.core.text.escape import join_first, pluralize, sanitize
from reconciler.core.text.json_values import STRICT_DECODER, find_member
from reconciler.features.doctor import observations
from reconciler.features.doctor.check import (
    UNCHECKED,
    AdviceContext,
    CheckResult,
    CheckStatus,
    ProbeReply,
    ReplyKind,
    explain_failure,
)
from reconciler.targets.platform.auth import TenantLogin
from reconciler.targets.platform.client import object_path
from reconciler.targets.platform.context_client import context_path, custom_fields_hint
from reconciler.targets.platform.paging import (
    ListEndpoint,
    queues_endpoint,
    rules_endpoint,
)
from reconciler.targets.platform.profile_mapping import ProfileMapper
from reconciler.targets.platform.settings import (
    ClientCredentials,
    TenantSettings,
)
from reconciler.targets.platform.transport import request as http
from reconciler.targets.platform.transport.rate_limiter import TimeSource
from reconciler.targets.platform.transport.sender import RequestKind
from reconciler.targets.studio.block_rules import live_rules
from reconciler.targets.studio.client import display_text, last_save
from reconciler.targets.studio.layout import BlockLayout
from reconciler.targets.studio.place import StudioScript, own_layout, studio_script
from reconciler.targets.studio.script import MAX_PROVEN_BYTES, find_block

_STUDIO_ADVICE: Final = {
    (
        "script",
        403,
    ): "The role of the access key's user lacks the right to view scripts in Studio",
    (
        "script",
        404,
    ): "Make it as `cxroute studio recipe` says, or correct api.studio: its script, or its apiVersion",
    (
        "script",
        500,
    ): "A script of Desktop Studio fails like this: give its XML to `--live FILE`. Else try later",
    (
        "queues",
        404,
    ): "Correct api.queuesPath, or remove it: then the skills are read from the platform's path",
}
MAX_CALL_SECONDS: Final = 10.0  # seconds for one call, unless the settings allow less
_FAILURE_KINDS: Final[dict[type[Exception], ReplyKind]] = {
    UnexpectedResponseError: "garbled",  # too large, or in another encoding
    http.UntrustedCertificateError: "untrusted",
    http.NotSentError: "unreachable",
    http.NoResponseError: "broken",
}


class FirstPage(NamedTuple):
    """The first page of a list."""

    entries: list[dict[str, object]]
    total: int
    is_complete: bool  # the list has no second page


class Probe:
    """Makes single calls, each once: a diagnosis shows what one call meets."""

    def __init__(
        self,
        transport: http.Transport,
        tenant: TenantSettings,
        credentials: ClientCredentials,
        time: TimeSource,
    ) -> None:
        """`transport` lets only reads through."""
        self._transport = transport
        self._tenant = tenant
        self._time = time
        self._login = TenantLogin(tenant, credentials, self._send_for_login, time.clock)
        self._mapper = ProfileMapper(tenant.profile)
        self.replies: list[ProbeReply] = []

    async def request_token(self) -> ProbeReply:
        """Request a token; return the reply. Raises ApiError; the last reply has the details."""
        await self._login.token()
        return next(
            reply for reply in reversed(self.replies) if reply.call.startswith("POST")
        )

    async def rules(self) -> tuple[ProbeReply, FirstPage | None]:
        """Request the first page of rules."""
        return await self._read_first_page(
            rules_endpoint(self._tenant, self._mapper, lambda: self._login.api_server)
        )

    async def queues(self) -> tuple[ProbeReply, FirstPage | None]:
        """Request the first page of queues."""
        return await self._read_first_page(
            queues_endpoint(self._tenant, lambda: self._login.api_server)
        )

    async def _read_first_page(
        self, endpoint: ListEndpoint
    ) -> tuple[ProbeReply, FirstPage | None]:
        query = endpoint.page_query()
        reply = await self.get(f"{endpoint.path}?{query}")
        if reply.status == HTTPStatus.NO_CONTENT and endpoint.call == "list or nothing":
            reply = replace(reply, kind="json")
        if not reply.is_good:
            return reply, None
        try:
            page = endpoint.parse_page(reply.payload, query)
        except UnexpectedResponseError as error:
            return replace(reply, kind="strange", error_text=str(error)), None
        total = page.total or 0
        is_complete = (
            len(page.entities) >= total and not page.token and not page.unknown_link
        )
        return reply, FirstPage(page.entities, total, is_complete)

    async def get(self, path: str) -> ProbeReply:
        """Request a path of the API."""
        base = self._login.api_server
        headers = {
            "Authorization": f"Bearer {await self._login.token()}",
            **http.ACCEPT_HEADERS,
        }
        reply, response = await self._send(
            http.ApiRequest("GET", base, f"{base.path}{path}", headers)
        )
        if reply.is_good and response is not None and self._mapper.is_refusal(response):
            return replace(
                reply, kind="denied", error_text=self._login.explain_error(response)
            )
        return reply

    async def _send_for_login(
        self, request: http.ApiRequest, _call: RequestKind
    ) -> http.ApiResponse:
        reply, response = await self._send(request)
        if response is None:
            raise UnreachableError(f"{reply.call}: {reply.error_text}")
        if reply.kind == "redirect":
            raise UnsupportedCallError(
                f"{reply.call}: the server redirects to another place"
            )
        if response.is_success and reply.kind != "json":
            raise UnexpectedResponseError(f"{reply.call}: the response is not JSON")
        return response

    async def _send(
        self, request: http.ApiRequest
    ) -> tuple[ProbeReply, http.ApiResponse | None]:
        reply, response = await self._exchange(request)
        self.replies.append(reply)
        return reply, response

    async def _exchange(
        self, request: http.ApiRequest
    ) -> tuple[ProbeReply, http.ApiResponse | None]:
        before = self._time.now()
        seconds = min(self._tenant.timeout_seconds, MAX_CALL_SECONDS)
        try:
            async with self._time.deadline(seconds):
                response = await self._transport(request)
        except TimeoutError:
            return ProbeReply(call=request.call, kind="silent"), None
        except (http.NoResponseError, UnexpectedResponseError) as error:
            kind = next(
                kind
                for cause, kind in _FAILURE_KINDS.items()
                if isinstance(error, cause)
            )
            text = http.describe_failure(error)
            return ProbeReply(call=request.call, kind=kind, error_text=text), None
        middle = before + (self._time.now() - before) / 2
        reply = ProbeReply(
            call=request.call,
            kind=_reply_kind(response),
            status=response.status,
            headers=response.headers,
            clock_skew=_clock_skew(response, middle),
        )
        return self._parse_body(reply, response)

    def _parse_body(
        self, reply: ProbeReply, response: http.ApiResponse
    ) -> tuple[ProbeReply, http.ApiResponse]:
        text = ""
        kind = reply.kind
        if kind == "redirect":
            # only the host of the location: the rest may hold a session
            with suppress(ValueError):
                location = urlsplit(response.headers.get("location", ""))
                text = sanitize(location.hostname or "", 100)
        elif kind == "json":
            is_post = response.call.startswith("POST")
            decoder = http.LENIENT_DECODER if is_post else STRICT_DECODER
            try:
                response = response._replace(payload=response.json(decoder))
            except UnexpectedResponseError:
                kind = "garbled"
        if response.status >= HTTPStatus.BAD_REQUEST and kind == "json":
            text = self._login.explain_error(response)
        return replace(
            reply, kind=kind, error_text=text, payload=response.payload
        ), response


def _clock_skew(response: http.ApiResponse, middle: datetime) -> float | None:
    """Return by how many seconds the tenant's clock is ahead; None if it does not send its time."""
    with suppress(ValueError, TypeError, OverflowError):
        date = parsedate_to_datetime(response.headers.get("date", ""))
        return date.timestamp() - middle.timestamp()
    return None


def _reply_kind(response: http.ApiResponse) -> ReplyKind:
    if response.status in http.REDIRECTS:
        return "redirect"
    return "page" if response.is_html() else "json"


def unchecked(environment: Environment, profile: Profile) -> Iterator[CheckResult]:
    """Yield the aspects that only a write can check, and the prerequisites of `cxroute serve`."""
    path = sanitize(context_path(environment, profile))
    names = environment.attributes
    signal = environment.context.signal
    writer = environment.context.writer
    if writer == "digital-custom-fields":
        fields = (names.intent, names.confidence, names.updated_at)
        hint = sanitize(custom_fields_hint(fields))
        text = (
            "cxroute serve sets custom fields of digital contacts; only a write can show whether "
            "they are defined"
        )
        yield CheckResult("context", "ok", text, hint)
    elif writer == "voice-signal":
        text = (
            f"cxroute serve signals voice contacts: intent in p{signal.intent}, confidence in "
            f"p{signal.confidence},"
            f" time in p{signal.updated_at}; only a call can show whether their script has an "
            f"OnSignal that reads them"
        )
        yield CheckResult("context", "ok", text)
    writes = "locking and saving the script"
    order = ""
    if own_layout(environment) is None:
        writes = "the scopes routing:write and interaction:write"
        order = (
            f", and which of two priorities comes first (api.evaluation: "
            f"{environment.api.evaluation})"
        )
    untried = f"{writes}, the path of conversations' contexts ({path}){order}"
    yield CheckResult(UNCHECKED, "ok", f"not checked (a check would write): {untried}")


def lacking(reason: str) -> CheckResult:
    """Return the line that the tenant was not checked, because a prerequisite is missing."""
    return CheckResult(
        "tenant",
        "warn",
        f"token, clock, rules and queues were not checked, because {reason}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Checks a tenant and adds the results to `lines`."""

    environment: Environment
    tenant: TenantSettings
    variables: tuple[str, ...]  # the variables that hold the credentials
    lines: list[CheckResult]

    @property
    def _script(self) -> StudioScript | None:
        if own_layout(self.environment) is None:
            return None
        return studio_script(self.environment)

    def _add(
        self, name: str, status: CheckStatus, message: str, advice: str = ""
    ) -> None:
        self.lines.append(CheckResult(name, status, message, advice))

    async def answers(
        self, probe: Probe, expected: Callable[[], Sequence[str]]
    ) -> None:
        """Check token, rules and queues; `expected` returns the names of the manifests' queues."""
        if not await self._has_token(probe):
            self._check_clock(probe)
            self.lines.append(lacking("there is no token"))
            return
        studio = self._script
        page = None if studio else self._check_page("rules", *await probe.rules())
        in_block = await self._check_script(probe, studio) if studio else []
        queues = self._check_page("queues", *await probe.queues())
        self._check_clock(probe)
        self._check_queues(
            in_block or await self._check_rules(probe, page), queues, expected
        )

    async def _check_script(self, probe: Probe, studio: StudioScript) -> list[LiveRule]:
        """Add lines on the script with the rules, and return the rules in its block."""
        paths = [
            studio.target(call, scriptPath=studio.path)
            for call in ("", "/historyByName")
        ]
        replies = [await probe.get(path) for path in paths]
        if not all(self._check_reply(reply, "script") for reply in replies):
            return []
        save = last_save(replies[1].payload)
        self._add("script", "ok", f"{sanitize(studio.path)} can be read")
        text = f"{save.by or 'an unknown user'} saved the script last, {save.at}"
        self._add(
            "version",
            "ok" if save.by else "warn",
            f"{studio.api_version} of the API answers; {text}",
        )
        script = replies[0].payload
        holder = display_text(find_member(script, "header.lockInfo.lockedName"))
        if holder:
            advice = (
                "Close or unlock it in Studio: apply does not take a user's lock away"
            )
            self._add("lock", "warn", f"locked by {holder}", advice)
        else:
            self._add("lock", "ok", "not locked")
        return self._check_block(json.dumps(script), studio.layout)

    def _check_block(self, content: str, layout: BlockLayout) -> list[LiveRule]:
        try:
            block = find_block(content, layout)
            rules = [
                live for live, _ in live_rules(block.text, layout, block.first_line)
            ]
        except CxrouteError as error:
            self._add(
                "block", "fail", sanitize(str(error)), "Correct the script in Studio"
            )
            return []
        unmanaged = [live.rule.name for live in rules if not live.marker]
        managed_count = len(rules) - len(unmanaged)
        size = len(block.value.encode(errors="replace"))
        snippet = f"{pluralize(managed_count, 'managed rule')}, in a snippet of {size:,} bytes"
        self._add("block", "ok", snippet)
        if unmanaged:
            text = (
                f"not managed, so apply refuses: {join_first(unmanaged, 5, sanitize)}"
            )
            self._add(
                "block", "warn", text, "Move them out of it, or `adopt: {id: line N}`"
            )
        if size > MAX_PROVEN_BYTES:
            text = (
                f"{snippet}; the largest that is known to work has {MAX_PROVEN_BYTES:,}"
            )
            self._add(
                "block",
                "warn",
                text,
                "Try it in Studio's Snippet editor, or use fewer rules",
            )
        return rules

    async def _has_token(self, probe: Probe) -> bool:
        context = self._context_for("token")
        try:
            reply = await probe.request_token()
        except ApiError as error:
            last_reply = probe.replies[-1] if probe.replies else None
            if last_reply is not None and not last_reply.is_good:
                self.lines.append(explain_failure(last_reply, context))
            else:
                self._add(
                    "token", "fail", str(error), f"{context.setting} may be wrong"
                )
            return False
        self.lines.append(observations.check_token(reply.payload))
        return True

    def _context_for(self, name: str) -> AdviceContext:
        api = self.environment.api
        settings = {
            "token": "api.issuer" if api.issuer else "api.tokenUrl",
            "queues": "api.queuesPath",
        }
        variables = " and ".join(self.variables)
        default = "api.studio" if self._script else "api.rulesPath"
        return AdviceContext(
            name, settings.get(name, default), variables, api.requests_per_second
        )

    def _check_reply(self, reply: ProbeReply, name: str) -> bool:
        """Return whether a reply is good; add advice if it is not."""
        if reply.is_good:
            return True
        line = explain_failure(reply, self._context_for(name))
        if self._script:
            advice = _STUDIO_ADVICE.get((name, reply.status), line.advice)
            line = replace(line, advice=advice)
        self.lines.append(line)
        return False

    def _check_page(
        self, name: str, reply: ProbeReply, page: FirstPage | None
    ) -> FirstPage | None:
        if self._check_reply(reply, name) and page is not None:
            self.lines.append(
                observations.check_pages(
                    name, len(page.entries), page.total, self.tenant.page_size
                )
            )
        return page

    def _check_clock(self, probe: Probe) -> None:
        skews = [
            reply.clock_skew for reply in probe.replies if reply.clock_skew is not None
        ]
        if skews or self.environment.name != SANDBOX:
            self.lines.append(observations.check_clock(skews))

    async def _check_rules(
        self, probe: Probe, page: FirstPage | None
    ) -> list[LiveRule]:
        """Add lines on the first page's rules, read one of them by itself, and return them."""
        environment = self.environment
        rules: list[LiveRule] = []
        reply = None
        try:
            if page:
                rules = list(map(rule_json.parse_live_rule, page.entries))
            if rules:
                path = object_path(self.tenant.rules_path, rules[0].id)
                reply = await probe.get(path)
        except UnexpectedResponseError as error:
            self._add(
                "rules",
                "fail",
                sanitize(str(error)),
                "api.profile must describe the tenant's form of rules",
            )
            return []
        if page and rules:
            scope = "" if page.is_complete else f" (of the first {len(rules):,})"
            self.lines.append(
                observations.check_owners(rules, environment.owner, scope)
            )
            self.lines.extend(
                observations.check_operators(rules, environment.api.operators, scope)
            )
            self.lines.append(
                observations.check_names(
                    rules, scope, unique=environment.api.names_unique
                )
            )
        if reply is not None and self._check_reply(reply, "one rule"):
            self.lines.append(observations.check_etag(reply.headers.get("etag")))
        return rules

    def _check_queues(
        self,
        rules: list[LiveRule],
        page: FirstPage | None,
        names: Callable[[], Sequence[str]],
    ) -> None:
        """Add lines on missing queues, if all queues are in one page."""
        try:
            if page is not None and page.is_complete:
                queues = list(map(rule_json.parse_queue, page.entries))
                check = check_skills if self._script else observations.check_queues
                self.lines.extend(check(rules, queues, names()))
            elif page is not None and self._script:
                self._add(
                    "skills",
                    "warn",
                    "not compared with the manifests: the tenant lists them in several pages",
                )
        except UnexpectedResponseError as error:
            advice = "api.queues and api.profile must describe the list of queues"
            self._add("queues", "fail", sanitize(str(error)), advice)


def check_skills(
    rules: Sequence[LiveRule], skills: Sequence[Queue], expected: Sequence[str]
) -> list[CheckResult]:
    """Return whether the queues of the manifests and of the block are active skills; `skills` must
    be complete.
    """
    active = [skill for skill in skills if skill.active]
    lines = []
    for line in observations.check_queues(rules, active, expected):
        message = line.message.replace(
            "do not exist", "do not exist or are inactive", 1
        )
        lines.append(replace(line, name="skills", message=message))
    if not lines:
        count = pluralize(len(expected), "queue")
        text = f"{count} of the manifests: active skills"
        lines.append(CheckResult("skills", "ok", text))
    return lines
