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

    from reconciler.desired.desired import DesiredRule, DesiredState
    from reconciler.plan.plan import PlanOptions

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
            str(where): as_json(one.rule, f"wish {where}")
            for where, one in desired.rules.items()
        }
        self.held = {
            str(where) for where, one in desired.rules.items() if one.hold is not None
        }
        self._plain = {where: plain(rule) for where, rule in self.rules.items()}
        self._adopts = [
            one for one in map(_adopted, desired.rules.values()) if one is not None
        ]
        if options.adopt:
            self._adopts += [("name", one.rule.name) for one in desired.rules.values()]

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
        found = mark(rule)
        return found is not None and found.owner == self.owner

    def adopts(self, rule: Mapping[str, Json]) -> bool:
        """Return whether a manifest adopts that unmarked rule."""
        given = (("name", rule.get("name")), ("id", rule.get("id")))
        return mark(rule) is None and any(one in self._adopts for one in given)

    def fulfils(self, rule: Mapping[str, Json]) -> bool:
        """Return whether a rule equals the manifest's rule of its address."""
        found = mark(rule)
        return (
            found is not None
            and not found.copy
            and self._plain.get(found.address) == plain(rule)
        )

    def joined(self, rules: Iterable[Rule]) -> list[str]:
        """Return the addresses of the rules that differ only in the joined white space of their
        descriptions.

        The digest proves the text that was sent, and no other managed rule shows that the tenant
        keeps white space: then a finding is due (CXR340), and no write.
        """
        managed = [one for one in rules if self.ours(one)]
        if any(
            self.fulfils(one) and _joined(text_of(one)) != text_of(one)
            for one in managed
        ):
            return []
        found = [(str(mark(one)), one) for one in managed if not self.fulfils(one)]
        return [
            where
            for where, one in found
            if where in self.rules and self._is_joined(one, self.rules[where])
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
        groups, joined = self._groups(live), self.joined(live)
        stuck = self._stuck(groups)
        stuck_names = self._stuck_names(groups, stuck)
        said = []
        for where in self.rules.keys() - self.held:
            found = groups.get(where, [])
            right = next(
                (one for one in found[:1] if self.fulfils(one) or where in joined), None
            )  # the oldest stays
            if (
                right is None
                and where not in stuck
                and self.rules[where]["name"] not in stuck_names
            ):
                said.append(
                    f"{where} is not as wanted: {[(one['id'], one['name']) for one in found]}"
                )
            extra = [
                one["id"]
                for one in found
                if one is not right and not _is_among(one, changed(found))
            ]
            if right is not None and extra:
                said.append(f"{where} is there twice: {right['id']} and {extra}")
        others = (
            groups.keys()
            - self.rules.keys()
            - self.held
            - stuck
            - {f"{one}~next" for one in stuck}
        )
        left = [
            one
            for one in others
            if not one.endswith("~next") or not all(map(_is_clone, groups[one]))
        ]
        left += [
            one for one in stuck if len(changed(groups[one])) < len(groups[one][1:])
        ]
        return [
            *said,
            *(
                f"{where} is still there: {[one['id'] for one in groups[where]]}"
                for where in left
            ),
        ]

    def afterwards(self, rules: Iterable[Rule]) -> list[list[Rule]]:
        """Return the possible final states of the tenant: with users' copies of managed rules, and
        without.

        Changes that such a copy blocks may remain undone, and so may changes that wait for its
        name.
        """
        live = list(rules)
        others = [one for one in live if not self.ours(one) and not self.adopts(one)]
        wanted = list(self.rules.values())
        groups = self._groups(live)
        copies = [
            one
            for found in groups.values()
            for one in (found[1:] if original(found) else found)
        ]
        copies += [
            one
            for where, found in groups.items()
            if where.endswith("~next")
            for one in found[:1]
        ]
        stuck = [one for where in self._stuck(groups) for one in groups[where]]
        theirs = [one for found in groups.values() for one in changed(found)]
        theirs += [
            one
            for where, found in groups.items()
            if where.endswith("~next")
            for one in found
            if is_edited(one)
        ]
        kept = [
            one
            for one in copies
            if _is_among(one, theirs) and not _is_among(one, stuck)
        ]
        names = self._stuck_names(groups, self._stuck(groups))
        free = [one for one in wanted if one["name"] not in names]
        waiting = [
            one
            for where in groups
            for one in groups[where]
            if self.rules.get(where, {}).get("name") in names
        ]
        ends = [
            [*others, *wanted],
            [*others, *wanted, *copies],
            [*others, *wanted, *stuck, *kept],
        ]
        ends.append([*others, *free, *waiting, *stuck, *kept])
        return ends if copies else ends[:1]

    def _groups(self, rules: Iterable[Rule]) -> dict[str, list[Rule]]:
        """Return the managed rules by their unique key, the managed one first, else the oldest."""
        groups: dict[str, list[Rule]] = defaultdict(list)
        for rule in sorted(
            filter(self.ours, rules), key=lambda one: (moment(one) or "~", one["id"])
        ):
            groups[str(mark(rule))].append(rule)
        return {
            where: found if where.endswith("~next") else in_order(found)
            for where, found in groups.items()
        }

    def _stuck_names(
        self, groups: Mapping[str, list[Rule]], stuck: set[str]
    ) -> set[str]:
        """Return the occupied names: of rules that stay, and of those that wait for one of
        these.
        """
        names = {one["name"] for where in stuck for one in groups[where]}
        names |= {
            one["name"]
            for found in groups.values()
            for one in changed(found)
            if one["name"] != found[0]["name"]
        }
        before = -1
        while len(names) > before:
            before = len(names)
            waiting = [
                where for where, rule in self.rules.items() if rule["name"] in names
            ]
            names |= {
                one["name"]
                for where in waiting
                for one in groups.get(where, [])
                if not self.fulfils(one)
            }
        return names

    def _stuck(self, groups: Mapping[str, list[Rule]]) -> set[str]:
        """Return the addresses at which nothing may be done: the managed rule is ambiguous, or may
        not be deleted.
        """
        return {
            where
            for where, found in groups.items()
            if not where.endswith("~next")
            and (
                original(found) is None or (where not in self.rules and changed(found))
            )
        }

    def selects(self, address: str) -> bool:
        """Return whether an address belongs to the run."""
        return not self.options.only or any(
            fnmatchcase(address, one) for one in self.options.only
        )


def _is_clone(rule: Rule) -> bool:
    """Return whether a rule with a copy's marker is a user's: an edited one without a copy's
    name.
    """
    found = mark(rule)
    return (
        is_edited(rule)
        and found is not None
        and rule["name"] != f"(next) {found.owner}/{found.address}"
    )


def _joined(text: str) -> str:
    return " ".join(text.split())


def _is_among(rule: Rule, rules: Iterable[Rule]) -> bool:
    return any(rule is one for one in rules)


def _adopted(wanted: DesiredRule) -> tuple[str, str] | None:
    if wanted.adopt is None:
        return None
    return (
        ("name", wanted.adopt)
        if isinstance(wanted.adopt, str)
        else ("id", wanted.adopt.id)
    )
