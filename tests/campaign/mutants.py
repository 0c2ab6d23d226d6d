"""Deliberate bugs, patched into the real modules in memory: the campaign must catch each
(docs/internals/campaign.md).

Each is a plausible mistake: without faults, and with few rules, the tool still works.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Final

from reconciler.core import pipeline, rule_json
from reconciler.core.apply import attempt
from reconciler.core.apply import loop as apply
from reconciler.core.errors import AmbiguousWriteError
from reconciler.core.model.change import Delete, PlanStep, Update
from reconciler.core.model.live import LiveRule, Marker
from reconciler.core.model.rule import Address
from reconciler.core.plan import changes
from reconciler.core.plan.stages import LiveState, Plan
from reconciler.targets.platform import client
from reconciler.targets.rules_api.client import ReadingClient, WritingClient
from tests.campaign.mutants_patches import again, page_of, patched


def arranged(
    waves: Callable[[tuple[PlanStep, ...]], tuple[tuple[PlanStep, ...], ...]],
) -> AbstractContextManager[None]:
    """Put all steps of a plan into other waves, and mark all as proven."""

    def make(real: Any) -> Any:
        def arrange(given: Plan, given_up: Any = ()) -> Plan:
            actual: Plan = real(given, given_up)
            steps = tuple(step for wave in actual.steps for step in wave)
            return replace(
                actual, steps=tuple(wave for wave in waves(steps) if wave), unproven=()
            )

        return arrange

    return patched((apply, "schedule_steps", make), (pipeline, "schedule_steps", make))


# The twelve


def delete_before_create() -> AbstractContextManager[None]:
    """Deletes come first to free names."""
    return arranged(
        lambda steps: tuple(
            tuple(step for step in steps if step.call == call)
            for call in ("delete", "create", "update")
        )
    )


def ownership_by_prefix() -> AbstractContextManager[None]:
    """Any owner whose name begins like the own one is the own one: `acme` and `acme-staging`."""

    def make(real: Any) -> Any:
        def split(description: str) -> tuple[str, Marker | None]:
            text, marker = real(description)
            short = re.search(
                r"\[cxroute:acme[^/\s]*/([^/\s]+)/([^/\s#~]+)(~next)?#([0-9a-f]{8})\]\s*\Z",
                description,
            )
            if marker is not None and marker.owner == "acme":
                return text, marker
            if short is None:
                return text, marker
            address = Address(short[1], short[2])
            return description[: short.start()].rstrip(), Marker(
                "acme", address, short[4], copy=bool(short[3])
            )

        return split

    return patched((rule_json, "parse_marker", make))


def ownership_by_display_name() -> AbstractContextManager[None]:
    """A rule with the name of a managed rule is managed."""

    def make(real: Any) -> Any:
        def compare(desired: Any, owned: Any) -> Any:
            return real(
                changes.adopt_namesakes(desired, LiveState(owned.unmanaged, ())),
                owned,
            )

        return compare

    return patched((changes, "compare_rules", make))


def blind_post_retry() -> AbstractContextManager[None]:
    """A create with a lost response is sent again."""
    return patched(
        (WritingClient, "create", lambda real: again(real, AmbiguousWriteError))
    )


def first_page_only() -> AbstractContextManager[None]:
    """The first page counts as the list."""

    async def complete(ask: Any, book: Any, *_rest: Any) -> list[Any]:
        actual: list[Any] = page_of(await ask(book.page_query()))["entities"]
        return actual

    return patched((client, "read_complete_list", lambda _real: complete))


def single_unverified_listing() -> AbstractContextManager[None]:
    """Apply uses the plan's list as its own first read."""

    def make(real: Any) -> Any:
        async def rules(self: Any) -> Any:
            first, self.listed = getattr(self, "listed", None), None
            if first is not None:
                return first
            actual = await real(self)
            if not getattr(self, "started", False):
                self.started, self.listed = True, actual
            return actual

        return rules

    return patched((ReadingClient, "rules", make))


def no_check_while_paging() -> AbstractContextManager[None]:
    """Pages are read until they end; the items are not counted."""

    async def complete(ask: Any, book: Any, *_rest: Any) -> list[Any]:
        first = page_of(await ask(book.page_query()))
        size = max(1, len(first["entities"]))
        pages = -(-first["total"] // size)
        remaining_items = await asyncio.gather(
            *(ask(book.page_query(index, size)) for index in range(1, pages))
        )
        actual = [
            entity
            for form in (first, *map(page_of, remaining_items))
            for entity in form["entities"]
        ]
        return list({entity["id"]: entity for entity in actual}.values())

    return patched((client, "read_complete_list", lambda _real: complete))


def trusts_its_own_writes() -> AbstractContextManager[None]:
    """After the first reads the acknowledged state counts as the real one."""

    def remembering(real: Any) -> Any:
        async def rules(self: Any) -> Any:
            self.reads = getattr(self, "reads", 0) + 1
            if self.reads <= 2:
                self.model = {item.id: item for item in await real(self)}
            return tuple(self.model.values())

        return rules

    def writing(real: Any) -> Any:
        async def write(self: Any, *given: Any) -> LiveRule:
            actual: LiveRule = await real(self, *given)
            self.model[actual.id] = actual
            return actual

        return write

    def deleting(real: Any) -> Any:
        async def delete(self: Any, read: Any) -> None:
            await real(self, read)
            self.model.pop(read.live.id, None)

        return delete

    return patched(
        (ReadingClient, "rules", remembering),
        (WritingClient, "create", writing),
        (WritingClient, "update", writing),
        (WritingClient, "delete", deleting),
    )


def never_heals_duplicates() -> AbstractContextManager[None]:
    """Further rules with an own marker are ignored."""

    def make(real: Any) -> Any:
        return lambda live, owner: replace(real(live, owner), duplicates=())

    return patched((changes, "classify_by_owner", make))


def put_although_equal() -> AbstractContextManager[None]:
    """Every rule is written in each run, changed or not."""
    planned: Counter[str] = Counter()

    def comparing(real: Any) -> Any:
        def compare(desired: Any, owned: Any) -> Any:
            actual = real(desired, owned)
            again = [where for where in actual.unchanged if planned[str(where)] < 2]
            planned.update(map(str, again))
            further = [
                _rewrite(desired.rules[where], owned.managed[where]) for where in again
            ]
            remaining = tuple(where for where in actual.unchanged if where not in again)
            return replace(
                actual, changes=(*actual.changes, *further), unchanged=remaining
            )

        return compare

    async def update(change: Any, what: Any, store: Any) -> Any:
        read = await store.rule(change.live.id)
        if read is None:
            return attempt.Attempt(
                verdict=attempt.Verdict.CONFLICT, error="gone", was_sent=False
            )
        return attempt.Attempt(
            verdict=attempt.Verdict.DONE, id=(await store.update(read, *what)).id
        )

    return patched(
        (changes, "compare_rules", comparing),
        (attempt, "_update", lambda _real: update),
    )


def deletes_although_a_create_failed() -> AbstractContextManager[None]:
    """Failed changes are skipped, and all others continue, including deletes."""

    def make(real: Any) -> Any:
        def arrange(given: Plan, given_up: Any = ()) -> Plan:
            failed = [item for item in given_up if not isinstance(item, Delete)]
            changes = tuple(
                change
                for change in given.changes
                if not any(change is two for two in failed)
            )
            actual: Plan = real(replace(given, changes=changes))
            return replace(actual, unproven=())

        return arrange

    return patched((apply, "schedule_steps", make))


def delete_in_the_same_round() -> AbstractContextManager[None]:
    """Creates, updates and deletes follow each other without a read between."""
    return arranged(lambda steps: (steps,))


TWELVE: Final[dict[str, Callable[[], AbstractContextManager[None]]]] = {
    "delete before create": delete_before_create,
    "ownership by prefix": ownership_by_prefix,
    "ownership by display name": ownership_by_display_name,
    "blind POST retry": blind_post_retry,
    "first page only": first_page_only,
    "single unverified listing": single_unverified_listing,
    "no count/unique check while paging": no_check_while_paging,
    "trusts its own writes": trusts_its_own_writes,
    "never heals duplicates": never_heals_duplicates,
    "PUT although equal": put_although_equal,
    "deletes although a create failed": deletes_although_a_create_failed,
    "delete in the same round, unconfirmed": delete_in_the_same_round,
}


def _rewrite(wanted: Any, live: LiveRule) -> Update:
    return Update(
        address=wanted.address,
        live=live,
        after=wanted.rule,
        fields=(),
        source=wanted.source,
        cause="manifest",
    )
