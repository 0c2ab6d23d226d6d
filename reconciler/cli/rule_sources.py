"""Sources of rules: the tenant, a file in its place, and live:ENV, manifests:ENV or a file for
`cxroute diff`.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from reconciler.cli.advice import environment_names
from reconciler.cli.options import SessionOptions
from reconciler.cli.output import Output
from reconciler.cli.rule_lists import (
    file_state,
    refuse_other_reading,
    rules_of,
)
from reconciler.cli.session import (
    Cancellation,
    LiveFile,
    Session,
    open_session,
    run_interruptibly,
)
from reconciler.core.behaviour.endpoint_stage import DIRECT, EndpointStage
from reconciler.core.behaviour.routing_entry import Evaluation, RoutingEntry
from reconciler.core.desired.desired import (
    endpoint_stage,
    expand_manifests,
    labels_of,
    short_labels,
)
from reconciler.core.desired.queues import (
    OfflineQueueResolver,
    QueueResolver,
    resolve_aliases,
)
from reconciler.core.errors import UsageError
from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.model.finding import Finding
from reconciler.core.plan.routing_table import RuleList, desired_entries
from reconciler.core.plan.stages import LiveState, stage_with_settings
from reconciler.core.plugins import built_in_names
from reconciler.core.rule_json import RulesFile, read_rules_file
from reconciler.core.target import target_of
from reconciler.core.text.escape import pluralize, sanitize
from reconciler.core.text.phrases import Labels, merge_labels
from reconciler.render.text.explain import DisplayNames


def add_live_file_option(parser: argparse.ArgumentParser) -> None:
    """Add the option --live of plan and export."""
    source = (
        "read rules and queues from a JSON file in the API's format instead of the tenant; needs "
        "no access to it"
    )
    source += (
        ". With `api.rules: studio`: from a script's JSON or XML, or a snippet's text"
    )
    parser.add_argument("--live", metavar="FILE", help=source)


def with_live_file(session: Session, path: str | None) -> Session:
    """Return the session with the file instead of the tenant, if a path is given.

    Raises UsageError.
    """
    if path is None:
        return session
    export = _read_file(path, session)
    name = sanitize(Path(path).name)
    message = (
        f"the live rules come from {name}, and no tenant was contacted; apply reads the tenant "
        f"itself"
    )
    hint = ""
    state = file_state(export, session.manifests, session.environment)
    if state.assumed is not None:
        message += (
            f". It lists no queues; assumed from the manifests: "
            f"{pluralize(len(state.assumed), 'queue')}"
        )
        hint = target_of(session.environment).file_hint
    finding = Finding(code="CXR320", severity="warning", message=message, hint=hint)
    live_file = LiveFile(name, state.live)
    return replace(session, live_file=live_file, findings=(*session.findings, finding))


def _read_file(path: str, session: Session | None) -> RulesFile:
    if session is None:
        return read_rules_file(path)
    target = target_of(session.environment)
    return target.read_file(path, session.environment)


def read_tenant(session: Session) -> LiveState:
    """Read every rule and queue, with a client that cannot write."""
    from reconciler.cli.clients import open_source  # noqa: PLC0415 - imports HTTP, which is not needed offline

    async def read_all(_stop: Cancellation) -> LiveState:
        async with open_source(session, "read") as client:
            return await session.read(client)

    return run_interruptibly(read_all)


def read_live_rules(session: Session) -> LiveState:
    """Return the rules of the session's file, or of its tenant without one."""
    if session.live_file:
        return session.live_file.live
    return read_tenant(session)


def list_rules(
    session: Session, live: LiveState | None = None
) -> tuple[tuple[RoutingEntry, ...], DisplayNames]:
    """Return the rules of the manifests, or all live rules, and the names to show.

    Raises ManifestError.
    """
    return rules_of(session.manifests, session.environment, live)


class DiffSide(NamedTuple):
    """One side of a diff: `kind` is live, manifests or file; a file has no session."""

    name: str
    kind: str
    session: Session | None


def parse_source(name: str, options: SessionOptions, output: Output) -> DiffSide:
    """Return the side with that name. Raises UsageError and ManifestError."""
    kind, colon, environment = name.partition(":")
    is_target = bool(colon) and kind in built_in_names()
    if not is_target and (not colon or kind not in ("live", "manifests")):
        if not Path(name).exists() and name in environment_names(options.manifests):
            sides = (
                f"live:{name} for its live rules, or manifests:{name} for those of the "
                f"manifests"
            )
            raise UsageError(f"{name} is the name of an environment: write {sides}")
        return DiffSide(name, "file", None)
    if not environment:
        raise UsageError(f"{kind}: needs an environment, for example {kind}:prod")
    session = open_session(options, output, environment)
    if is_target:
        place = target_of(session.environment).name
        if place != kind:
            raise UsageError(
                f"{sanitize(name)}: the rules of this environment are kept by `rules: {place}`"
            )
        kind = "live"
    return DiffSide(name, kind, session)


def evaluation(first: DiffSide, second: DiffSide) -> Evaluation:
    """Return the order in which priorities are evaluated.

    Raises UsageError if the sides differ in it.
    """
    orders = {
        source.session.environment.api.evaluation
        for source in (first, second)
        if source.session
    }
    if len(orders) > 1:
        order = "one evaluates the lowest priority first, the other the highest (api.evaluation)"
        raise UsageError(
            f"{sanitize(first.name)} and {sanitize(second.name)} cannot be compared: {order}"
        )
    return orders.pop() if orders else "lowest-first"


def labels(first: DiffSide, second: DiffSide) -> Labels:
    """Return what people read instead of names: the labels of both sides; for two files, the
    defaults.
    """
    sessions = [source.session for source in (first, second) if source.session]
    sides = [labels_of(each.manifests, each.environment) for each in sessions]
    return merge_labels(sides or [short_labels(BotAttributes())])


def endpoints(
    sources: tuple[DiffSide, DiffSide], lists: tuple[RuleList, RuleList]
) -> tuple[EndpointStage, EndpointStage]:
    """Return the endpoint of each side; a file has that of the other side, and two files have
    none. A fallback that is kept beside the rules is that of its side.
    """
    sessions = [source.session for source in sources]
    left, right = (
        each and endpoint_stage(each.manifests, each.environment) for each in sessions
    )
    before = stage_with_settings(left or right or DIRECT, lists[0].settings)
    after = stage_with_settings(right or left or DIRECT, lists[1].settings)
    return before.compared_with(after), after.compared_with(before)


def read_sources(first: DiffSide, second: DiffSide) -> tuple[RuleList, RuleList]:
    """Return the rules of both sources.

    Queues are compared by id; across environments by name or alias.
    """
    sessions = [source.session for source in (first, second) if source.session]
    across = len({session.environment.name for session in sessions}) > 1
    if across and first.kind == second.kind == "manifests":
        return _read_by_alias(sessions[0]), _read_by_alias(sessions[1])
    tenants = _read_tenants(first, second)
    reader = first.session or second.session  # says what the file of the other side has
    left = _read_source(first, tenants, reader)
    right = _read_source(second, tenants, reader)
    if across:
        return left.by_name(), right.by_name()
    return left, right


def _read_tenants(first: DiffSide, second: DiffSide) -> dict[str, LiveState]:
    """Return what each live side says; beside a file, also for the queues of manifests."""
    has_file = "file" in (first.kind, second.kind)
    tenants: dict[str, LiveState] = {}
    for source in (first, second):
        session = source.session
        if session is None or not (source.kind == "live" or has_file):
            continue
        name = session.environment.name
        if name not in tenants:
            tenants[name] = read_tenant(session)
            refuse_other_reading(session.manifests, session.environment, tenants[name])
    return tenants


def _read_source(
    source: DiffSide, tenants: Mapping[str, LiveState], reader: Session | None
) -> RuleList:
    if source.session is None:
        return _read_export(source.name, reader)
    manifests = source.session.manifests
    environment = source.session.environment
    tenant = tenants.get(environment.name)
    if tenant is not None and source.kind == "manifests":
        aliases = resolve_aliases(manifests, environment.name)
        resolver = QueueResolver(environment.name, aliases, tenant.queues)
        desired = expand_manifests(manifests, environment, resolver)
        return RuleList(desired_entries(desired), resolver.names)
    entries, names = list_rules(source.session, tenant)
    settings = tenant.settings if tenant else None
    return RuleList(entries, names.queues, settings)


def _read_export(file: str, reader: Session | None) -> RuleList:
    """Return the rules of a file. Raises UsageError."""
    try:
        export = _read_file(file, reader)
    except UsageError as error:
        if Path(file).suffix:
            raise
        raise UsageError(
            f"{error}; a side is live:ENV, manifests:ENV or a JSON file"
        ) from None
    entries = []
    for live in export.rules:
        address = live.marker.address if live.marker else None
        name = str(address or live.rule.name)
        entry = RoutingEntry(name=name, rule=live.rule, id=live.id, address=address)
        entries.append(entry)
    return RuleList(tuple(entries), export.queues, export.settings)


def _read_by_alias(session: Session) -> RuleList:
    resolver = OfflineQueueResolver(session.environment.name, {})
    desired = expand_manifests(session.manifests, session.environment, resolver)
    return RuleList(desired_entries(desired), resolver.names)
