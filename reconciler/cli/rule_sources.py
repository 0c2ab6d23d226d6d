"""The two lists of rules of `cxroute diff`, named live:ENV, manifests:ENV, or as a JSON file."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from reconciler.behaviour.routing_entry import Evaluation, RoutingEntry
from reconciler.behaviour.space.value_type import Types
from reconciler.cli.live_file import read_tenant
from reconciler.cli.output import Output
from reconciler.cli.session import Session, open_session
from reconciler.cxone.rule_json import read_rules_file
from reconciler.desired.desired import desire_offline, endpoint_types, expand_manifests
from reconciler.desired.queues import OfflineQueueResolver, QueueResolver, resolve_aliases
from reconciler.errors import UsageError
from reconciler.manifest.kinds.environment import Attributes
from reconciler.plan.plan import LiveState
from reconciler.plan.routing_table import RuleList, desired_entries, live_entries
from reconciler.text.escape import sanitize


@dataclass(frozen=True, slots=True)
class DiffSide:
    """One side of a diff: `kind` is live, manifests or file; a file has no session."""

    name: str
    kind: str
    session: Session | None

    @property
    def environment(self) -> str:
        """Return the environment's name; a file has none."""
        return self.session.environment.name if self.session else ""

    @property
    def simulated(self) -> bool:
        """Return whether these are live rules of the simulated tenant."""
        return self.kind == "live" and self.session is not None and self.session.simulated


def parse_source(name: str, options: argparse.Namespace, output: Output) -> DiffSide:
    """Return the side with that name. Raises UsageError and ManifestError."""
    kind, colon, environment = name.partition(":")
    if not colon or kind not in ("live", "manifests"):
        return DiffSide(name, "file", None)
    if not environment:
        raise UsageError(f"{kind}: needs an environment, for example {kind}:prod")
    return DiffSide(name, kind, open_session(options, output, environment))


def evaluation(first: DiffSide, second: DiffSide) -> Evaluation:
    """Return the order in which priorities are evaluated. Raises UsageError if the sides differ in it."""
    orders = {source.session.environment.api.evaluation for source in (first, second) if source.session}
    if len(orders) > 1:
        order = "one evaluates the lowest priority first, the other the highest (api.evaluation)"
        raise UsageError(f"{sanitize(first.name)} and {sanitize(second.name)} cannot be compared: {order}")
    return orders.pop() if orders else "lowest-first"


def labels(first: DiffSide, second: DiffSide) -> dict[str, str]:
    """Return the short labels of the attributes that the API knows by longer names; for two files, the defaults."""
    attributes = [source.session.environment.attributes for source in (first, second) if source.session]
    return {
        name: label
        for names in attributes or [Attributes()]
        for name, label in ((names.intent, "intent"), (names.confidence, "confidence"))
    }


def types(first: DiffSide, second: DiffSide) -> Types:
    """Return the types of attributes on which the Environments of both sources agree; a file has none."""
    environments = [source.session.environment for source in (first, second) if source.session]
    shared, *further = [endpoint_types(environment) for environment in environments] or [{}]
    return {name: type_ for name, type_ in shared.items() if all(known.get(name) == type_ for known in further)}


def read_sources(first: DiffSide, second: DiffSide) -> tuple[RuleList, RuleList]:
    """Return the rules of both sources. Queues are compared by id; across environments by name or alias."""
    sources = (first, second)
    tenants: dict[str, LiveState] = {}
    for source in sources:
        tenant_needed = source.kind == "live" or "file" in (first.kind, second.kind)
        if source.session and source.environment not in tenants and tenant_needed:
            tenants[source.environment] = read_tenant(source.session)
    across = first.environment != second.environment and "" not in (first.environment, second.environment)
    if across and first.kind == second.kind == "manifests":
        return _read_by_alias(first), _read_by_alias(second)
    left, right = (_read_source(source, tenants.get(source.environment)) for source in sources)
    return (left.by_name(), right.by_name()) if across else (left, right)


def _read_source(source: DiffSide, tenant: LiveState | None) -> RuleList:
    if source.session is None:
        return _read_file(source.name)
    manifests, environment = source.session.manifests, source.session.environment
    if tenant is not None and source.kind == "manifests":
        catalogue = QueueResolver(environment.name, resolve_aliases(manifests, environment.name), tenant.queues)
        entries = desired_entries(expand_manifests(manifests, environment, catalogue))
        return RuleList(entries, {queue.id: queue.name for queue in tenant.queues})
    desired, assumed = desire_offline(manifests, environment)
    if tenant is None:
        return RuleList(desired_entries(desired), assumed.names)
    return RuleList(live_entries(tenant.rules, desired), {queue.id: queue.name for queue in tenant.queues})


def _read_by_alias(source: DiffSide) -> RuleList:
    if source.session is None:
        raise AssertionError(source.name)
    catalogue = OfflineQueueResolver(source.environment, {})
    desired = expand_manifests(source.session.manifests, source.session.environment, catalogue)
    return RuleList(desired_entries(desired), catalogue.names)


def _read_file(path: str) -> RuleList:
    try:
        export = read_rules_file(path)
    except UsageError as error:
        if Path(path).suffix:
            raise
        raise UsageError(f"{error}; a side is live:ENV, manifests:ENV or a JSON file") from None
    addresses = [(live, live.marker.address if live.marker else None) for live in export.rules]
    entries = (
        RoutingEntry(name=str(address or live.rule.name), rule=live.rule, id=live.id, address=address)
        for live, address in addresses
    )
    return RuleList(tuple(entries), export.queues)
