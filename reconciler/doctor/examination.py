"""Calls to a tenant, one after the other: a token, one page of rules and of queues, one rule, the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.cxone.context_writers import context_path, custom_fields_hint
from reconciler.cxone.settings import TenantSettings
from reconciler.doctor import observations as findings
from reconciler.doctor.advice import AdviceContext, explain_failure
from reconciler.doctor.check import CheckResult, CheckStatus, ProbeReply
from reconciler.errors import ApiError, UnexpectedResponseError
from reconciler.manifest.kinds.environment import SANDBOX, Environment
from reconciler.manifest.kinds.profile import Profile
from reconciler.model.live import LiveRule
from reconciler.text.escape import sanitize

if TYPE_CHECKING:
    from reconciler.doctor.probe import FirstPage, Probe


def unchecked(environment: Environment, profile: Profile) -> Iterator[CheckResult]:
    """Yield the aspects that only a write can check, and the prerequisites of `cxroute serve`."""
    path = sanitize(context_path(environment, profile))
    names, signal = environment.attributes, environment.context.signal
    match environment.context.writer:
        case "digital-custom-fields":
            hint = sanitize(custom_fields_hint((names.intent, names.confidence, names.updated_at)))
            text = (
                "cxroute serve sets custom fields of digital contacts; whether they are defined, only a write can tell"
            )
            yield CheckResult("context", "ok", text, hint)
        case "voice-signal":
            text = (
                f"cxroute serve signals voice contacts: intent in p{signal.intent}, confidence in p{signal.confidence},"
                f" time in p{signal.updated_at}; whether their script has an OnSignal that reads them, only a call can"
                " tell"
            )
            yield CheckResult("context", "ok", text)
    text = (
        "writing (scopes routing:write, interaction:write), the path of conversations' contexts"
        f" ({path}), and which of two priorities comes first (api.evaluation: {environment.api.evaluation}):"
        " to try these would be to write"
    )
    yield CheckResult("untried", "ok", text)


def lacking(requirement: str) -> CheckResult:
    """Return the line that the tenant was not checked, for lack of a prerequisite."""
    text = f"token, clock, rules and queues were not looked at, for lack of {requirement}"
    return CheckResult("tenant", "warn", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Checks a tenant and adds the results to `lines`."""

    environment: Environment
    tenant: TenantSettings
    variables: tuple[str, ...]  # the variables that hold the credentials
    lines: list[CheckResult]

    def _add(self, name: str, state: CheckStatus, message: str, advice: str = "") -> None:
        self.lines.append(CheckResult(name, state, message, advice))

    async def answers(self, probe: Probe, expected: Callable[[], Sequence[str]]) -> None:
        """Check token, rules and queues; `expected` returns the names of the manifests' queues."""
        token = await self._request_token(probe)
        if token is None:
            self._check_clock(probe)
            self.lines.append(lacking("a token"))
            return
        self.lines.append(findings.check_token(token.payload))
        rules = self._check_page("rules", *await probe.rules())
        queues = self._check_page("queues", *await probe.queues())
        self._check_clock(probe)
        self._check_queues(await self._check_rules(probe, rules), queues, expected)

    async def _request_token(self, probe: Probe) -> ProbeReply | None:
        """Request a token; None, with advice, if there is none."""
        context = self._context_for("token")
        try:
            reply = await probe.request_token()
        except ApiError as error:
            last = probe.replies[-1] if probe.replies else None
            if last is not None and not last.is_good:
                self.lines.append(explain_failure(last, context))
            else:
                self._add("token", "fail", str(error), f"{context.setting} may be of something else")
            return None
        self._check_reply(reply, context)
        return reply

    def _context_for(self, name: str) -> AdviceContext:
        api = self.environment.api
        settings = {"token": "api.issuer" if api.issuer else "api.tokenUrl", "queues": "api.queuesPath"}
        variables = " and ".join(self.variables)
        return AdviceContext(name, settings.get(name, "api.rulesPath"), variables, api.requests_per_second)

    def _check_reply(self, reply: ProbeReply, context: AdviceContext) -> bool:
        """Return whether a reply is good; add advice if it is not."""
        if not reply.is_good:
            self.lines.append(explain_failure(reply, context))
        elif reply.attempts > 1:
            text = f"{reply.call}: answered only when asked again"
            self._add(context.name, "warn", text, "Look at it if it happens often")
        return reply.is_good

    def _check_page(self, name: str, reply: ProbeReply, page: FirstPage | None) -> FirstPage | None:
        if self._check_reply(reply, self._context_for(name)) and page is not None:
            self.lines.append(findings.check_pages(name, len(page.entries), page.total, self.tenant.page_size))
        return page

    def _check_clock(self, probe: Probe) -> None:
        skews = [reply.clock_skew for reply in probe.replies if reply.clock_skew is not None]
        if skews or self.environment.name != SANDBOX:
            self.lines.append(findings.check_clock(skews))

    async def _check_rules(self, probe: Probe, page: FirstPage | None) -> list[LiveRule]:
        """Add lines on the first page's rules, read one of them by itself, and return them."""
        environment = self.environment
        try:
            rules = page.rules if page else []
            reply = await probe.rule(rules[0].id) if rules else None
        except UnexpectedResponseError as error:
            self._add("rules", "fail", sanitize(str(error)), "api.profile says how this tenant writes rules")
            return []
        if page and rules:
            scope = "" if page.is_complete else f" (of the first {len(rules):,})"
            self.lines.append(findings.check_owners(rules, environment.owner, scope))
            self.lines.extend(findings.check_operators(rules, environment.api.operators, scope))
            self.lines.append(findings.check_names(rules, scope, unique=environment.api.names_unique))
        if reply is not None and self._check_reply(reply, self._context_for("one rule")):
            self.lines.append(findings.check_etag(reply.headers.get("etag")))
        return rules

    def _check_queues(self, rules: list[LiveRule], page: FirstPage | None, names: Callable[[], Sequence[str]]) -> None:
        """Add lines on missing queues, if all queues are in one page."""
        if page is not None and page.is_complete:
            try:
                queues = page.queues
            except UnexpectedResponseError as error:
                self._add("queues", "fail", sanitize(str(error)), "api.queues and api.profile say how queues are read")
            else:
                self.lines.extend(findings.check_queues(rules, queues, names()))
