"""`cxroute doctor`: settings, network, token, scopes, clock, one page of rules and of queues.

It writes nothing.
"""

import argparse
import asyncio
import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx

from reconciler.cli.clients import (
    SessionSurroundings,
    ca_file,
    credential_variables,
    read_secret,
    read_tenant_settings,
)
from reconciler.cli.command_line import expected_queues
from reconciler.cli.options import SessionOptions
from reconciler.cli.output import Output
from reconciler.cli.parsing import add_format_option
from reconciler.cli.session import Session, open_session, run_interruptibly
from reconciler.core.desired.desired import endpoint_stage
from reconciler.core.errors import (
    CredentialsError,
    CxrouteError,
    ManifestError,
    UsageError,
)
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.kinds.profile import Profile
from reconciler.core.model.check import UNCHECKED, CheckResult, CheckStatus
from reconciler.core.target import form_of, target_of
from reconciler.core.text.escape import sanitize
from reconciler.core.text.files import MIB
from reconciler.core.text.hosts import request_url
from reconciler.features.doctor.decision_service import DecisionServiceCheck
from reconciler.features.doctor.reachability import (
    check_network_settings,
    check_reachability,
)
from reconciler.features.doctor.text import doctor_document, doctor_text, is_healthy
from reconciler.targets.platform.context_client import context_path
from reconciler.targets.platform.diagnosis.examination import lacking
from reconciler.targets.platform.diagnosis.probe import MAX_CALL_SECONDS
from reconciler.targets.platform.settings import ServerUrl, TenantSettings, check_host
from reconciler.targets.platform.transport.tls import load_tls_context

_SECONDS: Final = 120.0

HELP: Final = """\
doctor sends the same requests as `cxroute plan`: one for a token, and GETs. It cannot check whether the client may
write. Exit code 1 if a check ends with `fail`. `cxroute explain CODE` explains the code of a finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorOptions(SessionOptions):
    """The options of `cxroute doctor`."""

    endpoint: str | None


def options(parser: argparse.ArgumentParser) -> type[DoctorOptions]:
    endpoint = (
        "also check that the context endpoint at this address has the fallback of the "
        "manifests; with `rules: served`, check the decision service there"
    )
    parser.add_argument("--endpoint", metavar="URL", help=endpoint)
    add_format_option(parser)
    parser.epilog = HELP
    return DoctorOptions


def run(options: DoctorOptions, output: Output) -> int:
    """Run every possible check, and print the advice."""
    session = open_session(options, output)
    doctor = _Doctor(session, read_tenant_settings(session))
    run_interruptibly(lambda _stop: doctor.run())
    endpoint = options.endpoint
    if endpoint:
        check_address(endpoint)
        check_running = doctor.check_endpoint
        if form_of(session.environment).keeps_settings:
            check_running = doctor.check_service
        run_interruptibly(lambda _stop: check_running(endpoint))
    if output.form == "json":
        output.document(
            {
                **doctor_document(doctor.lines, session.environment.name),
                "simulated": session.simulated,
            }
        )
    else:
        session.print_banner()
        output.result(
            f"Doctor for {session.environment.name}   {sanitize(session.tenant)}\n\n"
        )
        output.result(doctor_text(doctor.lines, output.paint))
    return 0 if is_healthy(doctor.lines) else CxrouteError.exit_code


def check_address(url: str) -> None:
    """Raise UsageError for an address that no request may be sent to."""
    if request_url(url) is None:
        raise UsageError(
            "--endpoint: must be an address with https:// (http:// only for this machine)"
        )


@dataclass(slots=True)
class _Doctor:
    session: Session
    tenant: TenantSettings
    lines: list[CheckResult] = field(default_factory=list)

    def add(
        self, name: str, state: CheckStatus, message: str, advice: str = ""
    ) -> None:
        self.lines.append(CheckResult(name, state, message, advice))

    async def run(self) -> None:
        try:
            async with asyncio.timeout(_SECONDS):
                await self.check_all()
        except TimeoutError:
            self.add(
                "time",
                "fail",
                f"the checks did not finish in {_SECONDS:.0f} seconds",
                "Try again",
            )
        except CxrouteError as error:
            self.add("client", "fail", str(error))

    async def check_all(self) -> None:
        session = self.session
        environment = session.environment
        target = target_of(environment)
        if target.uses_platform and not await self.can_log_in():
            return
        surroundings = SessionSurroundings(session)
        await target.examine(surroundings, self.lines, self.expected)
        profile = session.manifests.profile(environment)
        self.lines += unchecked(environment, profile, target.untried(environment))

    async def can_log_in(self) -> bool:
        """Return whether the tenant's servers and the credentials are there; add lines on them."""
        complete = self.credentials()
        if self.session.simulated:
            self.add(
                "network", "ok", "not needed: the tenant is simulated in this process"
            )
        elif not (self.hosts() and await self.network()):
            self.lines.append(lacking("no allowed server can be reached"))
            return False
        if not complete:
            self.lines.append(lacking("there are no credentials"))
        return complete

    def credentials(self) -> bool:
        names = (
            ()
            if self.session.simulated
            else credential_variables(self.session.environment)
        )
        complete = True
        for name in filter(None, names):
            try:
                value = read_secret(name)
            except CredentialsError as error:
                self.add(
                    "credentials",
                    "fail",
                    str(error),
                    "The Environment's `credentials:` sets the names",
                )
                complete = False
                continue
            where = name if os.environ.get(name) else f"{name}_FILE"
            spaced = value != value.strip()
            advice = (
                "It begins or ends with a space or a line break, which is sent with it"
                if spaced
                else ""
            )
            self.add(
                "credentials", "warn" if spaced else "ok", f"{where} is set", advice
            )
        return complete

    def hosts(self) -> bool:
        try:
            for url in self.tenant.known_urls:
                check_host(url, self.tenant.allowed_hosts)
        except CxrouteError as error:
            self.add("host", "fail", str(error))
            return False
        hosts = dict.fromkeys(
            ServerUrl.parse(url).host for url in self.tenant.known_urls
        )
        self.add("host", "ok", f"credentials may be sent to {', '.join(hosts)}")
        return True

    async def network(self) -> bool:
        """Return whether the servers can be reached; through a proxy, only a request can tell."""
        settings = check_network_settings(os.environ.get("CXROUTE_PROXY"), ca_file())
        self.lines += settings
        failed = any(line.status == "fail" for line in settings)
        if failed or any(line.name == "proxy" for line in settings):
            return not failed
        seconds = min(self.tenant.timeout_seconds, MAX_CALL_SECONDS)
        servers = {
            server.authority: server
            for server in map(ServerUrl.parse, self.tenant.known_urls)
        }
        reached = [
            await check_reachability(server, seconds, ca_file())
            for server in servers.values()
        ]
        self.lines += reached
        return all(line.status != "fail" for line in reached)

    def expected(self) -> list[str]:
        try:
            return [
                queue.name
                for queue in expected_queues(
                    self.session.manifests, self.session.environment.name
                )
            ]
        except ManifestError as error:
            self.add("manifests", "fail", str(error), "`cxroute validate` lists them")
            return []

    async def check_service(self, url: str) -> None:
        """Add what the decision service at this address answers."""
        await DecisionServiceCheck(self.session, url, self.lines).run()

    async def check_endpoint(self, url: str) -> None:
        """Add whether the endpoint at this address writes as the manifests say."""
        stage = endpoint_stage(self.session.manifests, self.session.environment)
        expected = stage.fallback.digest
        text = ""
        problem = "there is no usable response"
        advice = "Check that `cxroute serve` runs there"
        with contextlib.suppress(
            TimeoutError, httpx.HTTPError, httpx.InvalidURL, CxrouteError
        ):
            async with (
                asyncio.timeout(MAX_CALL_SECONDS),
                httpx.AsyncClient(
                    verify=load_tls_context(ca_file()), trust_env=False
                ) as client,
                client.stream(
                    "GET",
                    f"{url.rstrip('/')}/metrics",
                    headers={"Accept-Encoding": "identity"},
                ) as response,
            ):
                # not decompressed: a little may expand to much
                raw = await anext(response.aiter_raw(MIB), b"")
                text = raw.decode(errors="replace")
                problem = (
                    "" if response.is_success else f"status {response.status_code}"
                )
        if problem:
            problem = f"its /metrics cannot be read: {problem}"
        elif "cxroute_fallback_info{" not in text:
            problem = (
                "its /metrics does not say which fallback it uses: is it `cxroute serve`, in this "
                "version?"
            )
        elif f'cxroute_fallback_info{{digest="{expected}"}}' not in text:
            problem = (
                "its fallback is not that of the manifests: `context` or an Intents document "
                "differs"
            )
            advice = (
                "Plans show what the manifests say: restart `cxroute serve` with these manifests, "
                "in this version"
            )
        status: CheckStatus = "fail" if problem else "ok"
        self.add(
            "endpoint",
            status,
            problem or "its fallback is that of the manifests",
            advice if problem else "",
        )


def unchecked(
    environment: Environment, profile: Profile, untried: Sequence[str]
) -> Iterator[CheckResult]:
    """Yield the aspects that only a write can check, and the prerequisites of `cxroute serve`."""
    path = sanitize(context_path(environment, profile))
    signal = environment.context.signal
    writer = environment.context.writer
    if writer == "voice-signal":
        text = (
            f"cxroute serve signals voice contacts: intent in p{signal.intent}, confidence in "
            f"p{signal.confidence},"
            f" time in p{signal.updated_at}; only a call can show whether their script has an "
            f"OnSignal that reads them"
        )
        yield CheckResult("context", "ok", text)
    first, *others = untried
    contexts = f"the path of conversations' contexts ({path})"
    text = ", ".join((first, contexts, *others))
    yield CheckResult(UNCHECKED, "ok", f"not checked (a check would write): {text}")
