"""Lists of rules by what people call them on the command line: live:ENV, manifests:ENV, or a JSON file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.behaviour.routing_entry import Evaluation, RoutingEntry
from reconciler.cli.live_file import read_tenant
from reconciler.cli.session import Session, open_session
from reconciler.cxone.rules_file import read_rules_file
from reconciler.desired.desired import desire_offline, endpoint_types, expand_manifests
from reconciler.desired.queues import OfflineQueueResolver, QueueResolver, resolve_aliases
from reconciler.errors import UsageError
from reconciler.manifest.kinds.environment import Attributes
from reconciler.plan.routing_table import RuleList, desired_entries, live_entries
from reconciler.text.escape import sanitize

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from reconciler.behaviour.space.value_type import Types
    from reconciler.cli.output import Output
    from reconciler.plan.plan import LiveState


@dataclass(frozen=True, slots=True)
class Side:
    """What was asked for: `kind` is live, manifests or file; a file has no session."""

    written: str
    kind: str
    session: Session | None

    @property
    def environment(self) -> str:
        """Return the environment's name; a file has none."""
        return self.session.environment.name if self.session else ""

    @property
    def simulated(self) -> bool:
        """Say whether these are live rules of no tenant."""
        return self.kind == "live" and self.session is not None and self.session.simulated


def side(written: str, options: argparse.Namespace, output: Output) -> Side:
    """Read one side's name. Raises UsageError and ManifestError."""
    kind, colon, environment = written.partition(":")
    if not colon or kind not in ("live", "manifests"):
        return Side(written, "file", None)
    if not environment:
        raise UsageError(f"{kind}: is of which environment? Say {kind}:prod, for example")
    return Side(written, kind, open_session(options, output, environment))


def evaluation(left: Side, right: Side) -> Evaluation:
    """Return the order in which priorities are tried. Raises UsageError where the sides differ in it."""
    orders = {one.session.environment.api.evaluation for one in (left, right) if one.session}
    if len(orders) > 1:
        raise UsageError(
            f"{sanitize(left.written)} and {sanitize(right.written)} cannot be compared:"
            f" one tries the lowest priority"
            " first, the other the highest (api.evaluation)"
        )
    return orders.pop() if orders else "lowest-first"


def labels(left: Side, right: Side) -> dict[str, str]:
    """Return what people call the attributes that the API knows by longer names; in two files, the usual ones."""
    names = [one.session.environment.attributes for one in (left, right) if one.session] or [Attributes()]
    return {long: short for one in names for long, short in ((one.intent, "intent"), (one.confidence, "confidence"))}


def types(left: Side, right: Side) -> Types:
    """Return the types of attributes on which the Environments of both sides agree; a file has none."""
    first, *others = [endpoint_types(one.session.environment) for one in (left, right) if one.session] or [{}]
    return {name: known for name, known in first.items() if all(other.get(name) == known for other in others)}


def read(left: Side, right: Side) -> tuple[RuleList, RuleList]:
    """Return both sides' rules, with queues that can be compared.

    Within one environment and in files a queue is its id. Between two environments, where ids differ anyway, it is
    its name, or, between two manifests, what those call it: one alias means the same queue everywhere.
    """
    sides = (left, right)
    tenants = _tenants(left, right)
    across = left.environment != right.environment and "" not in (left.environment, right.environment)
    if across and left.kind == right.kind == "manifests":
        return _as_called(left), _as_called(right)
    found = [_file(one.written) if one.session is None else _of(one, one.session, tenants) for one in sides]
    if across:
        found = [rules.by_name() for rules in found]
    return found[0], found[1]


def _tenants(left: Side, right: Side) -> dict[str, LiveState]:
    """Read the tenants whose rules are asked for, or whose queues a file names by their ids."""
    found: dict[str, LiveState] = {}
    for one in (left, right):
        if one.session and one.environment not in found and (one.kind == "live" or "file" in (left.kind, right.kind)):
            found[one.environment] = read_tenant(one.session)
    return found


def _of(one: Side, session: Session, tenants: Mapping[str, LiveState]) -> RuleList:
    """Return the rules of an environment. Raises ManifestError."""
    manifests, environment, tenant = session.manifests, session.environment, tenants.get(one.environment)
    if tenant is not None and one.kind == "manifests":
        catalogue = QueueResolver(environment.name, resolve_aliases(manifests, environment.name), tenant.queues)
        entries = desired_entries(expand_manifests(manifests, environment, catalogue))
        return RuleList(entries, {queue.id: queue.name for queue in tenant.queues})
    desired, assumed = desire_offline(manifests, environment)
    if tenant is None:
        return RuleList(desired_entries(desired), assumed.names)
    return RuleList(live_entries(tenant.rules, desired), {queue.id: queue.name for queue in tenant.queues})


def _as_called(one: Side) -> RuleList:
    """Return the rules of manifests with queues as the manifests call them. Raises ManifestError."""
    if one.session is None:
        raise AssertionError(one.written)
    catalogue = OfflineQueueResolver(one.environment, {})
    desired = expand_manifests(one.session.manifests, one.session.environment, catalogue)
    return RuleList(desired_entries(desired), catalogue.names)


def _file(written: str) -> RuleList:
    """Read a file of rules: those with our marker by their address. Raises UsageError."""
    try:
        export = read_rules_file(written)
    except UsageError as error:
        if Path(written).suffix:
            raise
        raise UsageError(f"{error}; a side is live:ENV, manifests:ENV or a JSON file") from None
    entries = []
    for one in export.rules:
        address = one.marker.address if one.marker else None
        entries.append(
            RoutingEntry(name=str(address) if address else one.rule.name, rule=one.rule, id=one.id, address=address)
        )
    return RuleList(tuple(entries), export.queues)
