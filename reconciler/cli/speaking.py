"""A Profile document -> how the simulator speaks: so that a profile can be tried before a tenant is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.manifest.paging import AllAtOnce, NextLink, PageNumber, ScrollToken, SkipTop
from reconciler.manifest.vocabulary import operator_names
from reconciler.simulator.dialect import Dialect, Shelf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.manifest.profile import Listed, Profile


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
