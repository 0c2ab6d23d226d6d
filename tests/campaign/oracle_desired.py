"""Compares the desired rules of an applier with the server's rules, and returns the remaining
changes.
"""

from __future__ import annotations

from collections import defaultdict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from tests.campaign.oracle_copies import changed, in_order, moment, original
from tests.campaign.oracle_facts import as_json, mark, plain, text_of
from tests.campaign.oracle_marks import digest, is_edited

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.core.desired.desired import DesiredState
    from reconciler.core.desired.desired_rule import DesiredRule
    from reconciler.core.plan.stages import PlanOptions

Json = Any
Rule = dict[str, Any]


class Wish:
    """The desired rules of one manifest."""

    def __init__(self, desired: DesiredState, options: PlanOptions) -> None:
        self.owner, self.options, self.evaluation = (
            desired.owner,
            options,
            desired.evaluation,
        )
        self.rules = {
            str(where): as_json(rule.rule, f"wish {where}")
            for where, rule in desired.rules.items()
        }
        self.held = {
            str(where) for where, rule in desired.rules.items() if rule.hold is not None
        }
        self._plain = {where: plain(rule) for where, rule in self.rules.items()}
        self._adopts = [
            rule for rule in map(_adopted, desired.rules.values()) if rule is not None
        ]
        if options.adopt:
            self._adopts += [
                ("name", rule.rule.name) for rule in desired.rules.values()
            ]

    @property
    def whole(self) -> bool:
        """Return whether all of it will be done: nothing held, skipped or kept."""
        return not (
            self.held
            or self.options.only
            or self.options.keep_drift
            or not self.options.prune
        )

    def ours(self, rule: Mapping[str, Json]) -> bool:
        """Return whether a rule has the own owner's marker."""
        actual = mark(rule)
        return actual is not None and actual.owner == self.owner

    def adopts(self, rule: Mapping[str, Json]) -> bool:
        """Return whether a manifest adopts that unmarked rule."""
        source_values = (("name", rule.get("name")), ("id", rule.get("id")))
        return mark(rule) is None and any(
            item in self._adopts for item in source_values
        )

    def fulfils(self, rule: Mapping[str, Json]) -> bool:
        """Return whether a rule equals the manifest's rule of its address."""
        actual = mark(rule)
        return (
            actual is not None
            and not actual.copy
            and self._plain.get(actual.address) == plain(rule)
        )

    def joined(self, rules: Iterable[Rule]) -> list[str]:
        """Return the addresses of the rules that differ only in the joined white space of their
        descriptions.

        The digest proves the text that was sent, and no other managed rule shows that the tenant
        keeps white space: then a finding is due (CXR340), and no write.
        """
        managed = [rule for rule in rules if self.ours(rule)]
        if any(
            self.fulfils(item) and _joined(text_of(item)) != text_of(item)
            for item in managed
        ):
            return []
        actual = [(str(mark(item)), item) for item in managed if not self.fulfils(item)]
        return [
            where
            for where, item in actual
            if where in self.rules and self._is_joined(item, self.rules[where])
        ]

    @staticmethod
    def _is_joined(rule: Rule, wanted: Rule) -> bool:
        text = wanted["description"]
        same = plain({**rule, "description": text}) == plain(wanted) and text_of(
            rule
        ) == _joined(text)
        return same and rule["description"].rstrip().endswith(f"#{digest(wanted)}]")

    def missing(self, rules: Iterable[Rule]) -> list[str]:
        """Return the differences from the desired state, as text; edited copies of users are
        ignored.

        A rule of which a user made an edited copy stays at its address: there the copy would count
        as managed.
        """
        live = list(rules)
        groups = self._groups(live)
        joined = self.joined(live)
        stuck = self._stuck(groups)
        stuck_names = self._stuck_names(groups, stuck)
        text = []
        for where in self.rules.keys() - self.held:
            actual = groups.get(where, [])
            # the oldest stays
            right = next(
                (item for item in actual[:1] if self.fulfils(item) or where in joined),
                None,
            )
            if (
                right is None
                and where not in stuck
                and self.rules[where]["name"] not in stuck_names
            ):
                text.append(
                    f"{where} is not as wanted: {[(item['id'], item['name']) for item in actual]}"
                )
            extra = [
                item["id"]
                for item in actual
                if item is not right and not _is_among(item, changed(actual))
            ]
            if right is not None and extra:
                text.append(f"{where} is there twice: {right['id']} and {extra}")
        remaining_items = (
            groups.keys()
            - self.rules.keys()
            - self.held
            - stuck
            - {f"{item}~next" for item in stuck}
        )
        remaining = [
            item
            for item in remaining_items
            if not item.endswith("~next") or not all(map(_is_clone, groups[item]))
        ]
        remaining += [
            item for item in stuck if len(changed(groups[item])) < len(groups[item][1:])
        ]
        return [
            *text,
            *(
                f"{where} is still there: {[group['id'] for group in groups[where]]}"
                for where in remaining
            ),
        ]

    def afterwards(self, rules: Iterable[Rule]) -> list[list[Rule]]:
        """Return the possible final states of the tenant: with users' copies of managed rules, and
        without.

        Changes that such a copy blocks may remain undone, and so may changes that wait for its
        name.
        """
        live = list(rules)
        remaining_items = [
            item for item in live if not self.ours(item) and not self.adopts(item)
        ]
        expected = list(self.rules.values())
        groups = self._groups(live)
        copies = [
            item
            for actual in groups.values()
            for item in (actual[1:] if original(actual) else actual)
        ]
        copies += [
            item
            for where, actual in groups.items()
            if where.endswith("~next")
            for item in actual[:1]
        ]
        stuck = [group for where in self._stuck(groups) for group in groups[where]]
        foreign_side = [item for actual in groups.values() for item in changed(actual)]
        foreign_side += [
            item
            for where, actual in groups.items()
            if where.endswith("~next")
            for item in actual
            if is_edited(item)
        ]
        retained = [
            copy
            for copy in copies
            if _is_among(copy, foreign_side) and not _is_among(copy, stuck)
        ]
        names = self._stuck_names(groups, self._stuck(groups))
        free = [item for item in expected if item["name"] not in names]
        waiting = [
            group
            for where in groups
            for group in groups[where]
            if self.rules.get(where, {}).get("name") in names
        ]
        ends = [
            [*remaining_items, *expected],
            [*remaining_items, *expected, *copies],
            [*remaining_items, *expected, *stuck, *retained],
        ]
        ends.append([*remaining_items, *free, *waiting, *stuck, *retained])
        return ends if copies else ends[:1]

    def _groups(self, rules: Iterable[Rule]) -> dict[str, list[Rule]]:
        """Return the managed rules by their unique key, the managed one first, else the oldest."""
        groups: dict[str, list[Rule]] = defaultdict(list)
        for rule in sorted(
            filter(self.ours, rules), key=lambda item: (moment(item) or "~", item["id"])
        ):
            groups[str(mark(rule))].append(rule)
        return {
            where: actual if where.endswith("~next") else in_order(actual)
            for where, actual in groups.items()
        }

    def _stuck_names(
        self, groups: Mapping[str, list[Rule]], stuck: set[str]
    ) -> set[str]:
        """Return the occupied names: of rules that stay, and of those that wait for one of
        these.
        """
        names = {group["name"] for where in stuck for group in groups[where]}
        names |= {
            item["name"]
            for actual in groups.values()
            for item in changed(actual)
            if item["name"] != actual[0]["name"]
        }
        before = -1
        while len(names) > before:
            before = len(names)
            waiting = [
                where for where, rule in self.rules.items() if rule["name"] in names
            ]
            names |= {
                item["name"]
                for where in waiting
                for item in groups.get(where, [])
                if not self.fulfils(item)
            }
        return names

    def _stuck(self, groups: Mapping[str, list[Rule]]) -> set[str]:
        """Return the addresses at which nothing may be done: the managed rule is ambiguous, or may
        not be deleted.
        """
        return {
            where
            for where, actual in groups.items()
            if not where.endswith("~next")
            and (
                original(actual) is None
                or (where not in self.rules and changed(actual))
            )
        }

    def selects(self, address: str) -> bool:
        """Return whether an address belongs to the run."""
        return not self.options.only or any(
            fnmatchcase(address, item) for item in self.options.only
        )


def _is_clone(rule: Rule) -> bool:
    """Return whether a rule with a copy's marker is a user's: an edited one without a copy's
    name.
    """
    actual = mark(rule)
    return (
        is_edited(rule)
        and actual is not None
        and rule["name"] != f"(next) {actual.owner}/{actual.address}"
    )


def _joined(text: str) -> str:
    return " ".join(text.split())


def _is_among(rule: Rule, rules: Iterable[Rule]) -> bool:
    return any(rule is item for item in rules)


def _adopted(wanted: DesiredRule) -> tuple[str, str] | None:
    if wanted.adopt is None:
        return None
    return (
        ("name", wanted.adopt)
        if isinstance(wanted.adopt, str)
        else ("id", wanted.adopt.id)
    )
