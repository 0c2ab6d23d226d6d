"""`cxroute diff LEFT RIGHT`: which conversations two lists of rules send to different places."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.difference import difference
from reconciler.behaviour.entry import Entry
from reconciler.behaviour_document import behaviour_document
from reconciler.catalogue import AssumedCatalogue, Catalogue, aliases
from reconciler.cli.session import SIMULATED, open_session
from reconciler.cxone.export import LARGEST, read_export
from reconciler.desired import desire
from reconciler.entries import desired_entries, live_entries
from reconciler.errors import UsageError
from reconciler.manifest.environment import Attributes
from reconciler.model import Target
from reconciler.render.behaviour_text import EVERYTHING, MOST_SHOWN, behaviour_lines
from reconciler.words import counted, plain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.behaviour.difference import Behaviour
    from reconciler.behaviour.entry import Evaluation
    from reconciler.cli.output import Output
    from reconciler.cli.session import Session
    from reconciler.desired import Desired
    from reconciler.plan import Live

_HELP: Final = (
    "A side is live:ENV (the tenant's live rules), manifests:ENV (what the manifests want there), or a JSON file in the\n"
    "API's form: a list of rules, or a page. Two files need no environment, network or credentials. Queues compare by\n"
    "id; between two environments by name, and between two manifests by what those call them."
)


@dataclass(frozen=True, slots=True)
class _Side:
    """What was asked for on one side: `kind` is live, manifests or file; a file has no session."""

    written: str
    kind: str
    session: Session | None

    @property
    def environment(self) -> str | None:
        """Return the environment's name."""
        return self.session.environment.name if self.session else None


@dataclass(frozen=True, slots=True)
class _Rules:
    """One side's rules, and queues by id."""

    entries: tuple[Entry, ...]
    queues: Mapping[str, str]


def options(parser: argparse.ArgumentParser) -> None:
    """Add diff's options."""
    parser.add_argument("left", metavar="LEFT", help="live:ENV, manifests:ENV, or a JSON file of rules")
    parser.add_argument("right", metavar="RIGHT", help="likewise")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="form of the result (default: text)")
    parser.epilog = _HELP


def run(options: argparse.Namespace, output: Output) -> int:
    """Compare, and print who goes elsewhere; exit 0 either way."""
    left, right = (_side(written, options, output) for written in (options.left, options.right))
    evaluation = _evaluation(left, right)
    before, after = _read(left, right)
    found = difference(before.entries, after.entries, evaluation)
    queues = {**before.queues, **after.queues}
    if output.form == "json":
        output.document(_document(found, queues))
        return 0
    if any(side.session and side.session.simulated and side.kind == "live" for side in (left, right)):
        output.result(SIMULATED)
    output.result(
        f"From {plain(left.written)} ({counted(len(before.entries), 'rule')}) to {plain(right.written)}"
        f" ({counted(len(after.entries), 'rule')})\n\n"
    )
    most = EVERYTHING if output.loudness == "verbose" else MOST_SHOWN
    names = {**_unnamed(found), **queues}
    for line in behaviour_lines(found, names, _labels(left, right), output.paint, None, most):
        output.result(f"{line}\n")
    return 0


def _side(written: str, options: argparse.Namespace, output: Output) -> _Side:
    """Read one side's name. Raises UsageError and ManifestError."""
    kind, colon, environment = written.partition(":")
    if not colon or kind not in ("live", "manifests"):
        return _Side(written, "file", None)
    if not environment:
        raise UsageError(f"{kind}: is of which environment? Say {kind}:prod, for example")
    return _Side(written, kind, open_session(options, output, environment))


def _evaluation(left: _Side, right: _Side) -> Evaluation:
    """Return the order in which priorities are tried. Raises UsageError where the sides differ in it."""
    orders = {side.session.environment.api.evaluation for side in (left, right) if side.session}
    if len(orders) > 1:
        raise UsageError(
            f"{plain(left.written)} and {plain(right.written)} cannot be compared: one tries the lowest priority first,"
            " the other the highest (api.evaluation)"
        )
    return orders.pop() if orders else "lowest-first"


def _labels(left: _Side, right: _Side) -> dict[str, str]:
    found: dict[str, str] = {}
    for side in (left, right):
        names = side.session.environment.attributes if side.session else Attributes()
        if side.session or not found:
            found |= {names.intent: "intent", names.confidence: "confidence"}
    return found


def _read(left: _Side, right: _Side) -> tuple[_Rules, _Rules]:
    """Return both sides' rules, their queues called alike."""
    sides = (left, right)
    known = {side.environment for side in sides if side.session}
    live = {side.environment: _live(side.session) for side in sides if side.session and _needs_tenant(side, sides)}
    found = tuple(_rules(side, sides, live) for side in sides)
    if len(known) > 1:
        found = tuple(_by_name(rules) for rules in found)
    return found[0], found[1]


def _needs_tenant(side: _Side, sides: Sequence[_Side]) -> bool:
    """Say whether a side's live queues are needed: to read its rules, or to know a queue's id in a file."""
    return side.kind == "live" or any(other.kind == "file" for other in sides)


def _rules(side: _Side, sides: Sequence[_Side], live: Mapping[str | None, Live]) -> _Rules:
    if side.session is None:
        return _file(side.written)
    read = live.get(side.environment)
    if side.kind == "live" and read is not None:
        return _Rules(live_entries(read.rules, _offline(side.session)[0]), {one.id: one.name for one in read.queues})
    if read is None:
        by_alias = all(other.kind == "manifests" for other in sides) and sides[0].environment != sides[1].environment
        desired, catalogue = _called(side.session) if by_alias else _offline(side.session)
        return _Rules(desired_entries(desired), {one.id: one.name for one in catalogue.assumed.values()})
    name = side.session.environment.name
    catalogue = Catalogue(name, aliases(side.session.manifests, name), read.queues)
    desired = desire(side.session.manifests, side.session.environment, catalogue)
    return _Rules(desired_entries(desired), {one.id: one.name for one in read.queues})


def _offline(session: Session) -> tuple[Desired, AssumedCatalogue]:
    """Expand the manifests; every queue that they name is taken to be there, its name for an id."""
    name = session.environment.name
    catalogue = AssumedCatalogue(name, aliases(session.manifests, name))
    return desire(session.manifests, session.environment, catalogue), catalogue


def _called(session: Session) -> tuple[Desired, AssumedCatalogue]:
    """Expand the manifests with queues as the manifests call them: an alias means the same queue everywhere."""
    catalogue = AssumedCatalogue(session.environment.name, {})
    return desire(session.manifests, session.environment, catalogue), catalogue


def _live(session: Session) -> Live:
    """Read a tenant's rules and queues."""
    from reconciler.cli.connect import reading  # noqa: PLC0415 - brings HTTP in, which files would only pay for
    from reconciler.cli.interrupt import run_interruptibly  # noqa: PLC0415 - nothing else can be interrupted

    async def read() -> Live:
        async with reading(session) as client:
            return await session.read(client)

    return run_interruptibly(lambda _stop: read())


def _file(written: str) -> _Rules:
    """Read a file of rules: those with our marker by their address. Raises UsageError."""
    path = Path(written)
    try:
        with path.open("rb") as file:
            export = read_export(file.read(LARGEST + 1), plain(written))
    except OSError as error:
        hint = "" if path.suffix else "; a side is live:ENV, manifests:ENV or a JSON file"
        raise UsageError(f"cannot read {plain(written)}: {error.strerror}{hint}") from None
    entries = []
    for one in export.rules:
        address = one.marker.address if one.marker else None
        entries.append(Entry(str(address) if address else one.rule.name, one.rule, one.id, address))
    return _Rules(tuple(entries), export.queues)


def _by_name(rules: _Rules) -> _Rules:
    """Call queues by their names in place of their ids, where a name means one queue alone."""
    names = list(rules.queues.values())
    alone = {queue: name for queue, name in rules.queues.items() if names.count(name) == 1}
    entries = tuple(
        replace(
            entry,
            rule=replace(
                entry.rule,
                targets=tuple(
                    Target(alone.get(one.queue_id, one.queue_id), one.weight) if isinstance(one, Target) else one
                    for one in entry.rule.targets
                ),
            ),
        )
        for entry in rules.entries
    )
    return _Rules(entries, {alone.get(queue, queue): name for queue, name in rules.queues.items()})


def _unnamed(found: Behaviour) -> dict[str, str]:
    """Return the queues that regions lead to by id, for those whose names nobody knows."""
    splits = (split for region in found.regions for split in (region.before, region.after))
    return {queue: queue for split in splits for queue, _ in split or () if not queue.startswith('{"')}


def _document(found: Behaviour, queues: Mapping[str, str]) -> dict[str, object]:
    """Return the difference as JSON. A queue that is known by its name alone has no id."""
    document = behaviour_document(found, queues)
    for queue in _all_queues(document["regions"]):
        queue["queueId"] = None if queue["queueId"] == queue["queueName"] else queue["queueId"]
    return document


def _all_queues(regions: Iterable[Mapping[str, dict[str, list[dict[str, object]]]]]) -> Iterable[dict[str, object]]:
    return (queue for region in regions for side in ("before", "after") for queue in region[side].get("queues", ()))
