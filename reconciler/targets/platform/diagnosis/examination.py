"""The checks of a tenant in their order: token, rules, queues, clock. Targets check their rules."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from reconciler.core import rule_json
from reconciler.core.errors import (
    ApiError,
    UnexpectedResponseError,
)
from reconciler.core.manifest.kinds.environment import SANDBOX, Environment
from reconciler.core.model.check import CheckResult, CheckStatus
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Queue
from reconciler.core.text.escape import join_first, sanitize
from reconciler.targets.platform.context_client import custom_fields_hint
from reconciler.targets.platform.diagnosis import observations
from reconciler.targets.platform.diagnosis.entry_points import find_records
from reconciler.targets.platform.diagnosis.probe import FirstPage, Probe
from reconciler.targets.platform.diagnosis.reply import (
    AdviceContext,
    ProbeReply,
    explain_failure,
)
from reconciler.targets.platform.settings import (
    TenantSettings,
)

CUSTOM_FIELDS_PATH: Final = "/dfo/3.0/contacts/custom-field-definitions"


def lacking(reason: str) -> CheckResult:
    """Return the line that the tenant was not checked, because a prerequisite is missing."""
    return CheckResult(
        "tenant",
        "warn",
        f"token, clock, rules and queues were not checked, because {reason}",
    )


@dataclass(kw_only=True)
class Examination:
    """Checks a tenant and adds the results to `lines`. Each target extends it by its rules."""

    rules_setting: ClassVar[str]  # of the Environment: where the rules are
    environment: Environment
    tenant: TenantSettings
    variables: tuple[str, ...]  # the variables that hold the credentials
    lines: list[CheckResult]

    def add(
        self, name: str, status: CheckStatus, message: str, advice: str = ""
    ) -> None:
        """Add a line."""
        self.lines.append(CheckResult(name, status, message, advice))

    def add_unread(self, name: str, reply: ProbeReply, advice: str) -> None:
        """Add that a call, which nothing else depends on, has no usable answer."""
        text = f"not checked: {reply.call} has no usable answer (status {reply.status})"
        self.add(name, "warn", text, advice)

    async def answers(
        self, probe: Probe, expected: Callable[[], Sequence[str]]
    ) -> None:
        """Check token, rules and queues; `expected` returns the names of the manifests' queues."""
        if not await self._has_token(probe):
            self._check_clock(probe)
            self.lines.append(lacking("there is no token"))
            return
        await self.read_rules(probe)
        queues = self.check_page("queues", *await probe.queues())
        if self.environment.context.writer == "digital-custom-fields":
            await self._check_custom_fields(probe)
        self._check_clock(probe)
        self._check_queues(await self.check_rules(probe), queues, expected)

    async def read_rules(self, probe: Probe) -> None:
        """Make the first calls for the rules, and add whether they succeed."""
        raise NotImplementedError

    async def check_rules(self, probe: Probe) -> list[LiveRule]:
        """Add lines on the rules that were read, and return them."""
        raise NotImplementedError

    def compare_queues(
        self,
        rules: Sequence[LiveRule],
        queues: Sequence[Queue],
        expected: Sequence[str],
    ) -> list[CheckResult]:
        """Return lines on queues of rules and manifests that the tenant does not have."""
        return observations.check_queues(rules, queues, expected)

    def explain_incomplete_queues(self) -> None:
        """Add why queues were not compared, because they fill several pages."""

    def advice(self, name: str, status: int) -> str:
        """Return advice about a failed call that is better than the usual one, or an empty text."""
        del name, status
        return ""

    async def _has_token(self, probe: Probe) -> bool:
        context = self._context_for("token")
        try:
            reply = await probe.request_token()
        except ApiError as error:
            last_reply = probe.replies[-1] if probe.replies else None
            if last_reply is not None and not last_reply.is_good:
                self.lines.append(explain_failure(last_reply, context))
            else:
                self.add("token", "fail", str(error), f"{context.setting} may be wrong")
            return False
        self.lines.append(observations.check_token(reply.payload))
        return True

    async def _check_custom_fields(self, probe: Probe) -> None:
        """Add whether the custom fields that `cxroute serve` sets are defined."""
        names = self.environment.attributes
        fields = (names.intent, names.confidence, names.updated_at)
        reply = await probe.get(CUSTOM_FIELDS_PATH)
        if not reply.is_good:
            self.add_unread("context", reply, sanitize(custom_fields_hint(fields)))
            return
        records = find_records(reply.payload, "ident")
        defined = {str(record["ident"]) for record in records}
        missing = [name for name in fields if name not in defined]
        if missing:
            text = f"custom fields are not defined: {join_first(missing, 3, sanitize)}"
            self.add("context", "fail", text, sanitize(custom_fields_hint(missing)))
        else:
            text = f"the custom fields are defined: {join_first(fields, 3, sanitize)}"
            self.add("context", "ok", text)

    def _context_for(self, name: str) -> AdviceContext:
        api = self.environment.api
        settings = {
            "token": "api.issuer" if api.issuer else "api.tokenUrl",
            "queues": "api.queuesPath",
        }
        variables = " and ".join(self.variables)
        setting = settings.get(name, self.rules_setting)
        return AdviceContext(name, setting, variables, api.requests_per_second)

    def check_reply(self, reply: ProbeReply, name: str) -> bool:
        """Return whether a reply is good; add advice if it is not."""
        if reply.is_good:
            return True
        line = explain_failure(reply, self._context_for(name))
        advice = self.advice(name, reply.status) or line.advice
        self.lines.append(replace(line, advice=advice))
        return False

    def check_page(
        self, name: str, reply: ProbeReply, page: FirstPage | None
    ) -> FirstPage | None:
        """Add how many entries the first page has; return the page."""
        if self.check_reply(reply, name) and page is not None:
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
                self.lines.extend(self.compare_queues(rules, queues, names()))
            elif page is not None:
                self.explain_incomplete_queues()
        except UnexpectedResponseError as error:
            advice = "api.queues and api.profile must describe the list of queues"
            self.add("queues", "fail", sanitize(str(error)), advice)
