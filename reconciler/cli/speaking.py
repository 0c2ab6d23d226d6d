"""What an Environment says of its tenant -> how the simulator speaks: to try a profile before a tenant is there."""

from __future__ import annotations

from secrets import randbelow
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reconciler.cli.environments import choose, expected_queues
from reconciler.cli.sandbox import custom_fields
from reconciler.cxone.platform import queues_of
from reconciler.manifest.load import load
from reconciler.manifest.paging import AllAtOnce, NextLink, PageNumber, ScrollToken, SkipTop
from reconciler.manifest.vocabulary import operator_names
from reconciler.model import Queue
from reconciler.simulator.dialect import Dialect, Shelf

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from reconciler.manifest.profile import Listed, Profile

_FIRST_NUMBER: Final = 4001


class Spoken(NamedTuple):
    """How a simulated tenant speaks, and which queues it has."""

    switches: dict[str, Any]
    queues: list[Queue]

    def lacking(self, there: Iterable[Mapping[str, Any]]) -> list[Queue]:
        """Return the queues of which there is none of the name: a number that was made up is no reason for another."""
        names = {one["name"] for one in there}
        return [queue for queue in self.queues if queue.name not in names]


def spoken_by(name: str, directory: Path) -> Spoken:
    """Return how the tenant of an Environment speaks. Raises ManifestError and UsageError.

    Where queues are skills, or their ids are numbers, each gets a number.
    """
    manifests = load(directory)
    environment = choose(manifests, name)
    api, profile = environment.api, manifests.profile(environment)
    beside_rules = (api.queues_path if api.queues == "rules-api" else None) or profile.queues.path
    switches: dict[str, Any] = {
        "dialect": dialect_of(profile, api.rules_path or profile.rules.path, beside_rules),
        "custom_fields": custom_fields(environment),
    }
    if profile.rules.ids == "number":
        switches["new_id"] = lambda: str(randbelow(10**12))
    queues = list(expected_queues(manifests, environment.name))
    if queues_of(api, profile.queues).ids == "number":
        queues = [_numbered(queue, _FIRST_NUMBER + place) for place, queue in enumerate(queues)]
    return Spoken(switches, queues)


def _numbered(queue: Queue, number: int) -> Queue:
    return queue if queue.id.isdecimal() else Queue(str(number), queue.name)


def dialect_of(profile: Profile, rules_path: str, queues_path: str) -> Dialect:
    """Return how a tenant of the profile speaks; its lists are at these paths."""
    rules, queues, errors = profile.rules, profile.queues, profile.errors
    types = {"attribute": profile.condition.attribute, "queue": profile.target.queue}
    of_queues = {"name": queues.name, **({"isActive": queues.active} if queues.active else {})}
    return Dialect(
        rules=_shelf(rules, rules_path, profile.rule.written()),
        queues=_shelf(queues, queues_path, of_queues),
        single=rules.single,
        condition=profile.condition.written(),
        target=profile.target.written(),
        words={**types, **operator_names(profile.operators)},
        queue_numbers=profile.target.queue_ids == "number",
        update=profile.update,
        message=errors.messages[0] if errors.messages else "",
        header=errors.header or "",
        refused=errors.refused[0] if errors.refused else "",
    )


def _shelf(listed: Listed, path: str, names: Mapping[str, str]) -> Shelf:
    said = {"id": listed.id, **names}
    common = (path, listed.list, listed.paging.style)
    more = (
        listed.no_content,
        {ours: theirs for ours, theirs in said.items() if ours != theirs},
        listed.ids == "number",
    )
    match listed.paging:
        case PageNumber() as by:
            return Shelf(*common, by.page, by.first, by.size, by.total, by.next, *more)
        case SkipTop() as by:
            return Shelf(*common, by.skip, 0, by.top, by.total, by.next, *more)
        case NextLink() as by:
            return Shelf(*common, "cursor", 0, by.size or "", by.total or "", by.next, *more)
        case ScrollToken() as by:
            return Shelf(*common, by.parameter, 0, by.size or "", by.total or "", by.token, *more)
        case AllAtOnce() as by:
            return Shelf(*common, "", 0, "", by.total or "", "", *more)
