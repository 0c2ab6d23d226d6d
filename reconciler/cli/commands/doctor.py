"""What `doctor` cannot look at, because that would be to write.

`cxroute doctor`: settings, network, token, scopes, clock, one page of rules and of queues. It writes nothing.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from reconciler.cli.clients import asking, secret, tenant_of, variables_of
from reconciler.cli.environments.choose import expected_queues
from reconciler.cli.session import Session, open_session
from reconciler.cli.signals import run_interruptibly
from reconciler.cxone.context_writers import context_path, custom_fields_hint
from reconciler.cxone.settings import ServerUrl, TenantSettings, check_host
from reconciler.doctor import observations as findings
from reconciler.doctor.advice import AdviceContext, explain_failure
from reconciler.doctor.check import CheckResult, CheckStatus, ProbeReply
from reconciler.doctor.probe import MAX_CALL_SECONDS, FirstPage, Probe
from reconciler.doctor.reachability import check_network_settings, check_reachability
from reconciler.errors import ApiError, CredentialsError, CxrouteError, ManifestError, UnexpectedResponseError
from reconciler.render.text.doctor import doctor_document, doctor_text, is_healthy
from reconciler.text.escape import sanitize

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from reconciler.cli.output import Output
    from reconciler.manifest.kinds.environment import Environment
    from reconciler.model.live import LiveRule


def untried(session: Session) -> Iterator[CheckResult]:
    """Yield what nobody can know without writing, and what has to be there for `cxroute serve`."""
    environment = session.environment
    path = sanitize(context_path(environment, session.manifests.profile(environment)))
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


_SECONDS: Final = 120.0

HELP: Final = """\
It sends what `cxroute plan` sends: the request for a token, and GETs; so it cannot see whether the client may write.
Exit code 1 where anything is a `fail`. `cxroute explain CODE` explains codes; this explains a tenant."""


def options(parser: argparse.ArgumentParser) -> None:
    """Add doctor's options."""
    parser.add_argument("--format", choices=("text", "json"), default="text", help="form of the result (default: text)")
    parser.epilog = HELP


def run(options: argparse.Namespace, output: Output) -> int:
    """Look at everything that can be looked at, and say what to do."""
    session = open_session(options, output)
    doctor = _Doctor(session, tenant_of(session))
    run_interruptibly(lambda _stop: doctor.all())
    if output.form == "json":
        output.document({**doctor_document(doctor.lines, session.environment.name), "simulated": session.simulated})
    else:
        session.introduce()
        output.result(f"Doctor for {session.environment.name}   {sanitize(session.tenant)}\n\n")
        output.result(doctor_text(doctor.lines, output.paint))
    return 0 if is_healthy(doctor.lines) else CxrouteError.exit_code


@dataclass(slots=True)
class _Doctor:
    session: Session
    tenant: TenantSettings
    lines: list[CheckResult] = field(default_factory=list)

    def say(self, name: str, state: CheckStatus, message: str, advice: str = "") -> None:
        """Add a line."""
        self.lines.append(CheckResult(name, state, message, advice))

    async def all(self) -> None:
        """Look at one thing after another; what fails keeps only that from being looked at which needs it."""
        try:
            async with asyncio.timeout(_SECONDS):
                await self.look()
        except TimeoutError:
            self.say("time", "fail", f"not everything could be looked at in {_SECONDS:.0f} seconds", "Try again")
        except CxrouteError as error:
            self.say("client", "fail", str(error))

    async def look(self) -> None:
        """Look at settings, then at the network, then at answers."""
        there = self.credentials()
        if self.session.simulated:
            self.say("network", "ok", "none is needed: the tenant is simulated in this process")
        elif not (self.hosts() and await self.network()):
            self.untried("a server that may be asked")
            return
        if not there:
            self.untried("credentials")
            return
        async with asking(self.session) as probe:
            await self.answers(probe)
        self.lines += untried(self.session)

    def untried(self, lack: str) -> None:
        """Say what could not be looked at, and for lack of what."""
        self.say("tenant", "warn", f"token, clock, rules and queues were not looked at, for lack of {lack}")

    def credentials(self) -> bool:
        """Say whether all that is needed is there; none of it is shown."""
        names = () if self.session.simulated else variables_of(self.session.environment)
        found = [self.has(name) for name in names if name]
        return all(found)

    def has(self, name: str) -> bool:
        """Look for one variable, or its file."""
        try:
            found = secret(name)
        except CredentialsError as error:
            self.say("credentials", "fail", str(error), "The Environment's `credentials:` says which names count")
            return False
        where = name if os.environ.get(name) else f"{name}_FILE"
        spaced = found != found.strip()
        advice = "It begins or ends with a space or a line break, which is sent along" if spaced else ""
        self.say("credentials", "warn" if spaced else "ok", f"{where} is set", advice)
        return True

    def hosts(self) -> bool:
        """Say whether credentials may be sent to where the API is."""
        try:
            for url in self.tenant.known_urls:
                check_host(url, self.tenant.allowed_hosts)
        except CxrouteError as error:
            self.say("host", "fail", str(error))
            return False
        hosts = dict.fromkeys(ServerUrl.parse(url).host for url in self.tenant.known_urls)
        self.say("host", "ok", f"credentials may be sent to {', '.join(hosts)}")
        return True

    async def network(self) -> bool:
        """Say whether the servers can be reached; by a proxy, only an answer can tell."""
        found = check_network_settings()
        self.lines += found
        if any(line.status == "fail" for line in found) or any(line.name == "proxy" for line in found):
            return all(line.status != "fail" for line in found)
        seconds = min(self.tenant.timeout_seconds, MAX_CALL_SECONDS)
        servers = {server.authority: server for server in map(ServerUrl.parse, self.tenant.known_urls)}
        reached = [await check_reachability(server, seconds) for server in servers.values()]
        self.lines += reached
        return all(line.status != "fail" for line in reached)

    async def answers(self, probe: Probe) -> None:
        """Ask for a token, and with it for a page of everything."""
        token = await self.token(probe)
        if token is None:
            self.clock(probe)
            self.untried("a token")
            return
        self.lines.append(findings.check_token(token.payload))
        rules = self.first("rules", *await probe.rules())
        queues = self.first("queues", *await probe.queues())
        self.clock(probe)
        self.of_queues(await self.of_rules(probe, rules), queues)

    async def token(self, probe: Probe) -> ProbeReply | None:
        """Ask for a token; say what to do where none is given."""
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
        """Return what is asked for, and by which settings."""
        api = self.session.environment.api
        settings = {"token": "api.issuer" if api.issuer else "api.tokenUrl", "queues": "api.queuesPath"}
        variables = " and ".join(filter(None, variables_of(self.session.environment)))
        return AdviceContext(name, settings.get(name, "api.rulesPath"), variables, api.requests_per_second)

    def heard(self, reply: ProbeReply, asked: AdviceContext) -> bool:
        """Say what to do where an answer is none that helps."""
        if not reply.is_good:
            self.lines.append(explain_failure(reply, asked))
        elif reply.attempts > 1:
            often = "Look at it if it happens often"
            self.say(asked.name, "warn", f"{reply.call}: answered only when asked again", often)
        return reply.is_good

    def first(self, name: str, reply: ProbeReply, page: FirstPage | None) -> FirstPage | None:
        """Say what the first page of a list tells."""
        if self.heard(reply, self.asked(name)) and page is not None:
            self.lines.append(findings.check_pages(name, len(page.entries), page.total, self.tenant.page_size))
        return page

    def clock(self, probe: Probe) -> None:
        """Say how far the clocks are apart."""
        skews = [reply.clock_skew for reply in probe.replies if reply.clock_skew is not None]
        if skews or not self.session.simulated:
            self.lines.append(findings.check_clock(skews))

    async def of_rules(self, probe: Probe, page: FirstPage | None) -> list[LiveRule]:
        """Say what the rules of the first page use, and whether one can be read by itself; return them."""
        environment = self.session.environment
        try:
            rules = page.rules if page else []
            reply = await probe.rule(rules[0].id) if rules else None
        except UnexpectedResponseError as error:
            self.say("rules", "fail", sanitize(str(error)), "api.profile says how this tenant writes rules")
            return []
        if page and rules:
            whole = "" if page.is_complete else f" (of the first {len(rules):,})"
            self.lines.append(findings.check_owners(rules, environment.owner, whole))
            self.lines += findings.check_operators(rules, environment.api.operators, whole)
            self.lines.append(findings.check_names(rules, whole, unique=environment.api.names_unique))
        if reply is not None and self.heard(reply, self.asked("one rule")):
            self.lines.append(findings.check_etag(reply.headers.get("etag")))
        return rules

    def of_queues(self, rules: list[LiveRule], page: FirstPage | None) -> None:
        """Say which queues are named and missing, where all of them came in one page."""
        if page is None or not page.is_complete:
            return
        try:
            queues = page.queues
        except UnexpectedResponseError as error:
            self.say("queues", "fail", sanitize(str(error)), "api.queues and api.profile say how queues are read")
            return
        self.lines += findings.check_queues(rules, queues, self.wanted())

    def wanted(self) -> list[str]:
        """Return the names of the queues that the manifests count on."""
        try:
            return [queue.name for queue in expected_queues(self.session.manifests, self.session.environment.name)]
        except ManifestError as error:
            self.say("manifests", "fail", str(error), "`cxroute validate` lists them")
            return []
