"""Calls to a tenant, one after the other: a token, one page of rules and of queues, one rule, the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.cxone.context_writers import context_path, custom_fields_hint
from reconciler.doctor import observations as findings
from reconciler.doctor.advice import AdviceContext, explain_failure
from reconciler.doctor.check import CheckResult, CheckStatus, ProbeReply
from reconciler.errors import ApiError, UnexpectedResponseError
from reconciler.text.escape import sanitize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reconciler.cxone.settings import TenantSettings
    from reconciler.doctor.probe import FirstPage, Probe
    from reconciler.manifest.kinds.environment import Environment
    from reconciler.manifest.kinds.profile import Profile
    from reconciler.model.live import LiveRule


def unchecked(environment: Environment, profile: Profile) -> Iterator[CheckResult]:
    """Yield the aspects that only a write can check, and the prerequisites of `cxroute serve`."""
    path = sanitize(context_path(environment, profile))
    yield from _of_writer(environment)
    said = (
        "writing (scopes routing:write, interaction:write), the path of conversations' contexts"
        f" ({path}), and which of two priorities comes first (api.evaluation: {environment.api.evaluation}):"
        " to try these would be to write"
    )
    yield CheckResult("untried", "ok", said)


def _of_writer(environment: Environment) -> Iterator[CheckResult]:
    names = environment.attributes
    match environment.context.writer:
        case "digital-custom-fields":
            needed = sanitize(custom_fields_hint((names.intent, names.confidence, names.updated_at)))
            said = (
                "cxroute serve sets custom fields of digital contacts; whether they are defined, only a write can tell"
            )
            yield CheckResult("context", "ok", said, needed)
        case "voice-signal":
            by = environment.context.signal
            said = (
                f"cxroute serve signals voice contacts: intent in p{by.intent}, confidence in p{by.confidence}, time in"
                f" p{by.updated_at}; whether their script has an OnSignal that reads them, only a call can tell"
            )
            yield CheckResult("context", "ok", said)


def lacking(what: str) -> CheckResult:
    """Return the line that the tenant was not checked, for lack of a prerequisite."""
    return CheckResult("tenant", "warn", f"token, clock, rules and queues were not looked at, for lack of {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Checks a tenant and adds the results to `lines`."""

    environment: Environment
    tenant: TenantSettings
    variables: tuple[str, ...]  # the variables that hold the credentials
    simulated: bool
    lines: list[CheckResult]

    def say(self, name: str, state: CheckStatus, message: str, advice: str = "") -> None:
        """Add a line."""
        self.lines.append(CheckResult(name, state, message, advice))

    async def answers(self, probe: Probe, expected: Callable[[], Sequence[str]]) -> None:
        """Check token, rules and queues; `expected` returns the names of the manifests' queues."""
        token = await self.token(probe)
        if token is None:
            self.clock(probe)
            self.lines.append(lacking("a token"))
            return
        self.lines.append(findings.check_token(token.payload))
        rules = self.first("rules", *await probe.rules())
        queues = self.first("queues", *await probe.queues())
        self.clock(probe)
        self.of_queues(await self.of_rules(probe, rules), queues, expected)

    async def token(self, probe: Probe) -> ProbeReply | None:
        """Request a token; None, with advice, if there is none."""
        asked = self.asked("token")
        try:
            reply = await probe.request_token()
        except ApiError as error:
            last = probe.replies[-1] if probe.replies else None
            if last is not None and not last.is_good:
                self.lines.append(explain_failure(last, asked))
            else:
                self.say("token", "fail", str(error), f"{asked.setting} may be of something else")
            return None
        self.heard(reply, asked)
        return reply

    def asked(self, name: str) -> AdviceContext:
        """Return the context for advice on a call."""
        api = self.environment.api
        settings = {"token": "api.issuer" if api.issuer else "api.tokenUrl", "queues": "api.queuesPath"}
        return AdviceContext(
            name, settings.get(name, "api.rulesPath"), " and ".join(self.variables), api.requests_per_second
        )

    def heard(self, reply: ProbeReply, asked: AdviceContext) -> bool:
        """Return whether a reply is good; add advice if it is not."""
        if not reply.is_good:
            self.lines.append(explain_failure(reply, asked))
        elif reply.attempts > 1:
            often = "Look at it if it happens often"
            self.say(asked.name, "warn", f"{reply.call}: answered only when asked again", often)
        return reply.is_good

    def first(self, name: str, reply: ProbeReply, page: FirstPage | None) -> FirstPage | None:
        """Add a line on the first page of a list, and return the page."""
        if self.heard(reply, self.asked(name)) and page is not None:
            self.lines.append(findings.check_pages(name, len(page.entries), page.total, self.tenant.page_size))
        return page

    def clock(self, probe: Probe) -> None:
        """Add a line on the difference of the clocks."""
        skews = [reply.clock_skew for reply in probe.replies if reply.clock_skew is not None]
        if skews or not self.simulated:
            self.lines.append(findings.check_clock(skews))

    async def of_rules(self, probe: Probe, page: FirstPage | None) -> list[LiveRule]:
        """Add lines on the first page's rules, read one of them by itself, and return them."""
        environment = self.environment
        try:
            rules = page.rules if page else []
            reply = await probe.rule(rules[0].id) if rules else None
        except UnexpectedResponseError as error:
            self.say("rules", "fail", sanitize(str(error)), "api.profile says how this tenant writes rules")
            return []
        if page and rules:
            whole = "" if page.is_complete else f" (of the first {len(rules):,})"
            self.lines.append(findings.check_owners(rules, environment.owner, whole))
            self.lines.extend(findings.check_operators(rules, environment.api.operators, whole))
            self.lines.append(findings.check_names(rules, whole, unique=environment.api.names_unique))
        if reply is not None and self.heard(reply, self.asked("one rule")):
            self.lines.append(findings.check_etag(reply.headers.get("etag")))
        return rules

    def of_queues(self, rules: list[LiveRule], page: FirstPage | None, expected: Callable[[], Sequence[str]]) -> None:
        """Add lines on missing queues, if all queues are in one page."""
        if page is None or not page.is_complete:
            return
        try:
            queues = page.queues
        except UnexpectedResponseError as error:
            self.say("queues", "fail", sanitize(str(error)), "api.queues and api.profile say how queues are read")
            return
        self.lines.extend(findings.check_queues(rules, queues, expected()))
