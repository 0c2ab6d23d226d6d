"""The checks of rules behind an API, for `cxroute doctor`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from reconciler.core import rule_json
from reconciler.core.errors import UnexpectedResponseError
from reconciler.core.model.live import LiveRule
from reconciler.core.text.escape import sanitize
from reconciler.targets.platform.client import object_path
from reconciler.targets.platform.diagnosis import observations
from reconciler.targets.platform.diagnosis.examination import Examination
from reconciler.targets.platform.diagnosis.probe import FirstPage, Probe


@dataclass(kw_only=True)
class RulesApiExamination(Examination):
    """Checks the first page of rules, and one rule by itself."""

    page: FirstPage | None = None
    rules_setting: ClassVar[str] = "api.rulesPath"

    async def read_rules(self, probe: Probe) -> None:
        """Read the first page of rules."""
        self.page = self.check_page("rules", *await probe.rules())

    async def check_rules(self, probe: Probe) -> list[LiveRule]:
        """Add lines on the first page's rules, read one of them by itself, and return them."""
        page = self.page
        rules: list[LiveRule] = []
        reply = None
        try:
            if page:
                rules = list(map(rule_json.parse_live_rule, page.entries))
            if rules:
                path = object_path(self.tenant.rules_path, rules[0].id)
                reply = await probe.get(path)
        except UnexpectedResponseError as error:
            self.add(
                "rules",
                "fail",
                sanitize(str(error)),
                "api.profile must describe the tenant's form of rules",
            )
            return []
        if page and rules:
            scope = "" if page.is_complete else f" (of the first {len(rules):,})"
            self._observe(rules, scope)
        if reply is not None and self.check_reply(reply, "one rule"):
            self.lines.append(observations.check_etag(reply.headers.get("etag")))
        return rules

    def _observe(self, rules: Sequence[LiveRule], scope: str) -> None:
        """Add lines on owners, operators and names."""
        owner = self.environment.owner
        api = self.environment.api
        unique = api.names_unique
        self.lines.append(observations.check_owners(rules, owner, scope))
        self.lines.extend(observations.check_operators(rules, api.operators, scope))
        self.lines.append(observations.check_names(rules, scope, unique=unique))
