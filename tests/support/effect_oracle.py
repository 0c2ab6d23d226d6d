"""Effects by trying all inputs: each row, its cause and its rules, from a document alone
(effects.md section 2).

It shares no code with the analysis, except the one that reads conditions in the API's form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Final

from tests.support.brute_force import (
    Destination,
    Json,
    Universe,
    destination,
    holds,
    in_routing_order,
    is_supported,
)
from tests.support.brute_force_checks import (
    RoutingDifference,
    assumption,
    by_destination,
    completions,
    destination_of,
    rules_text,
)
from tests.support.random_rules import entry

Wins = list[tuple[Json | None, int]]
"""Rules, and the inputs that each takes; None is the default routing."""
SIDES: Final = {
    "before": ("before",),
    "after": ("after",),
    "both": ("before", "after"),
    "between": ("between",),
}
FALLBACK: Final = "the fallback"
BOUNDS: Final = {
    "greaterThanOrEqual",
    "greaterThan",
    "lessThan",
    "lessThanOrEqual",
}


@dataclass(frozen=True, kw_only=True)
class EffectOracle:
    """What moves between two lists.

    `middle` are the winners of the old list behind a new fallback of the endpoint.
    """

    old: Sequence[Json]
    new: Sequence[Json]
    evaluation: str
    universe: Universe
    wins: dict[str, Wins]
    middle: Wins | None = None
    is_endpoint: bool = False  # a rule may have several parts on events
    # by side, the inputs that each rule matches there, by its id; without an endpoint, empty
    matched: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    report: str = field(default="", repr=False)

    def check(self, document: Json) -> None:
        """Assert that the effects are exact, disjoint, complete, and attributed to the edits that
        move them.
        """
        observed = 0
        for effect in document["effects"]:
            for row in effect["rows"]:
                inside = self._check_row(row, document["rules"])
                assert not inside & observed, (
                    f"{self.report}{row}\nin two rows: {self.universe.example(inside & observed)}"
                )
                observed |= inside
            self._check_causes(effect, document["rules"])
            self._check_merged(effect, document["rules"])
            self._check_order(effect, document["rules"])
        for where in document.get("unknown", []):
            observed |= self.universe.all_of(where["where"])
        missed = self.moved & ~observed
        assert not missed, f"{self.report}in no row: {self.universe.example(missed)}"
        self._check_grouped(document["effects"])
        self._check_named(document)

    @cached_property
    def moved(self) -> int:
        """Return the inputs that move."""
        before = self._to["before"]
        after = self._to["after"]
        same = 0
        for place, bits in before.items():
            same |= bits & after.get(place, 0)
        return self.universe.all_inputs & ~same

    @cached_property
    def _to(self) -> dict[str, dict[Destination, int]]:
        return {side: by_destination(wins) for side, wins in self.wins.items()}

    def inputs_of(self, row: Json, rules: Json) -> int:
        """Return the inputs of a row: all of `where`, without those that a rule of `earlier`
        matches.
        """
        actual = self.universe.all_of(row["where"])
        for name in row["earlier"]:
            actual &= ~self.universe.all_of(rules[name]["conditions"])
        return actual

    def _check_row(self, row: Json, rules: Json) -> int:
        inside = self.inputs_of(row, rules)
        report = (
            f"{self.report}row: {row}\nrules: "
            f"{ {name: rules[name] for name in row['earlier']} }\n"
        )
        assert inside, f"{report}no input"
        before = destination_of(row["before"])
        after = destination_of(row["after"])
        assert before != after, report
        for side, place in (("before", before), ("after", after)):
            wrong = inside & ~self._to[side].get(place, 0)
            assert not wrong, report + side + str(self.universe.example(wrong))

        counterparts: list[str | None] = [
            name and rules[name]["id"] for name in row["counterpart"]
        ]
        assert len(set(counterparts)) == len(counterparts) or self.is_endpoint, report
        side_of_taker = {
            "takes": "before",
            "releases": "after",
            "fallback": "after",
        }.get(row["kind"])
        expected = self._takers(side_of_taker, inside) if side_of_taker else set()
        assert set(counterparts) == expected, f"{report}{expected}"

        self._check_earlier(row, rules, inside)
        for assumed in completions(self.universe, assumption(row)):
            if row["example"] is None:
                break
            item = (row["example"], assumed)
            assert all(holds(part, *item) for part in row["where"]), report
            for name in row["earlier"]:
                assert not all(
                    holds(part, *item) for part in rules[name]["conditions"]
                ), report
        return inside

    def _takers(self, side: str, inside: int) -> set[str | None]:
        """Return the ids of the rules that take some of these inputs; None is the default
        routing.
        """
        wins = self.middle or [] if side == "between" else self.wins[side]
        return _ids(wins, inside)

    def _check_earlier(self, row: Json, rules: Json, inside: int) -> None:
        """Assert that each earlier rule comes before a rule that takes some of the row, and matches
        some of `where`.
        """
        assert len(set(row["earlier"])) == len(row["earlier"]), row
        where = self.universe.all_of(row["where"])
        for name in row["earlier"]:
            named = rules[name]
            assert where & self.universe.all_of(named["conditions"]), (
                f"{self.report}{row}\n{named}"
            )
            sides = {*SIDES[named["when"]], *(["between"] if self.middle else [])}
            assert any(self._is_before(named, side, inside) for side in sides), (
                f"{row}\n{named}"
            )

    def _is_before(self, named: Json, side: str, inside: int) -> bool:
        ordered = [
            item["id"] for item in in_routing_order(self._list(side), self.evaluation)
        ]
        if named["id"] not in ordered:
            return False
        takers = self._takers(side, inside)
        last = max(
            len(ordered) if taker is None else ordered.index(taker) for taker in takers
        )
        place = ordered.index(named["id"])
        return place < last or (self.is_endpoint and place == last)

    def _list(self, side: str) -> Sequence[Json]:
        return self.new if side == "after" else self.old

    # Causes

    def _check_causes(self, effect: Json, rules: Json) -> None:
        """Assert that the effect's edits move its rows, each in its kind, and that no other edit is
        named.
        """
        actual = set[str]()
        for row in effect["rows"]:
            inside = self.inputs_of(row, rules)
            for cause, kind, bits in self._moves:
                if bits & inside:
                    assert kind == row["kind"], (
                        f"{self.report}{row}\n{kind} {self.universe.example(bits & inside)}"
                    )
                    actual.add(cause)
        output = {
            FALLBACK if cause == {"action": "fallback"} else cause["address"]
            for cause in effect["causes"]
        }
        assert output == actual, f"{self.report}{effect}\n{actual}"
        self._check_equal(effect["causes"])

    @cached_property
    def _moves(self) -> list[tuple[str, str, int]]:
        """The cause and the kind of all inputs that move."""
        actual = []
        for old, old_bits in self.wins["before"]:
            for new, new_bits in self.wins["after"]:
                both = old_bits & new_bits & self.moved
                for middle, bits in self.middle or [(old, both)] if both else []:
                    if bits & both:
                        actual.append((*self._cause(old, middle, new), bits & both))
        return actual

    def _cause(
        self, old: Json | None, middle: Json | None, new: Json | None
    ) -> tuple[str, str]:
        """Return the edit that moves an input of these rules; `middle` takes it behind the new
        fallback.
        """
        if self.middle is not None and destination(middle) == destination(new):
            return FALLBACK, "fallback"
        today, later = (
            item["id"] if item and self._is_edited(item["id"]) else None
            for item in (middle, new)
        )
        belongs_to_later = later is not None and (
            today is None or self._changes_what_it_takes(later)
        )
        cause = later if belongs_to_later else today
        assert cause is not None, (old, middle, new)
        if old and new and cause == old["id"] == new["id"]:
            return f"set/{cause}", "redirects"
        return f"set/{cause}", "takes" if cause == later else "releases"

    def _version(self, side: str, rule_id: str) -> Json | None:
        return next((item for item in self._list(side) if item["id"] == rule_id), None)

    def _is_edited(self, rule_id: str) -> bool:
        return self._version("before", rule_id) != self._version("after", rule_id)

    def _changes_what_it_takes(self, rule_id: str) -> bool:
        before = self._version("before", rule_id)
        after = self._version("after", rule_id)
        if before is None and after is not None:
            before = self._moved_from(after)
        if before is None or after is None:
            return True
        item = entry(before).rule
        candidate = entry(after).rule
        if (item.conditions, item.priority, item.enabled) != (
            candidate.conditions,
            candidate.priority,
            candidate.enabled,
        ):
            return True
        return item.name != candidate.name and self._rank(
            before, rule_id
        ) != self._rank(after, rule_id)

    def _moved_from(self, new: Json) -> Json | None:
        """Return the deleted rule that a new one is at another address, if there is just one."""
        ids = [{item["id"] for item in rules} for rules in (self.old, self.new)]
        deleted, created = (
            [
                item
                for item in rules
                if item["id"] not in others and _content_of(item) == _content_of(new)
            ]
            for rules, others in ((self.old, ids[1]), (self.new, ids[0]))
        )
        return deleted[0] if len(deleted) == len(created) == 1 else None

    def _rank(self, form: Json, rule_id: str) -> int:
        """Return the place that a rule would have among the other rules after the change."""
        remaining_items = [item for item in self.new if item["id"] != rule_id]
        ordered = in_routing_order(
            [*remaining_items, {**form, "enabled": True}], self.evaluation
        )
        return [item["id"] for item in ordered].index(form["id"])

    def _check_equal(self, causes: list[Json]) -> None:
        """Assert that several causes are one edit, or one renaming."""
        edits = {self._equal_part(cause) for cause in causes}
        assert len(edits) == 1 or self._is_renaming(causes), causes

    def _check_grouped(self, effects: Sequence[Json]) -> None:
        """Assert that equal edits are causes of one effect."""
        seen = set[Hashable]()
        for effect in effects:
            causes = [cause for cause in effect["causes"] if "address" in cause]
            if self._renames(causes):
                continue
            edits = {self._equal_part(cause) for cause in causes}
            assert not edits & seen, (
                f"{self.report}equal edits in two effects: {causes}"
            )
            seen |= edits

    def _equal_part(self, cause: Json) -> Hashable:
        """Return what equal edits have in common: names do not count."""
        if "address" not in cause:
            return FALLBACK
        version = self._version("after", cause["address"].removeprefix("set/"))
        if cause["action"] == "create" and version is not None:
            targets = str(sorted(map(str, version["targets"])))
            return "create", targets, version["priority"], version["enabled"]
        fields = {*cause["fields"]} - {"name"}
        if cause["action"] == "update" and fields:
            return "update", *sorted(fields), *self._values(cause)
        return cause["action"], *sorted(cause["fields"])

    def _renames(self, causes: list[Json]) -> bool:
        """Return whether rules of these causes are a half of a renaming."""
        changed = {rule["id"] for rule in (*self.old, *self.new)}
        others = [{"address": f"set/{rule_id}"} for rule_id in changed]
        return any(
            self._is_renaming([cause, other]) for cause in causes for other in others
        )

    def _is_renaming(self, causes: list[Json]) -> bool:
        """Return whether two rules swap their names or addresses, or exchange conditions, targets
        and all else but them; or one rule moves to another address.
        """
        if len(causes) != 2:
            return False
        ids = [cause["address"].removeprefix("set/") for cause in causes]
        first, second = (
            [self._version(side, rule_id) for side in ("before", "after")]
            for rule_id in ids
        )
        if None in first and None in second:
            return _content([*first, *second]) == {_content_of(first[0] or first[1])}
        if None in (*first, *second) or first[0] == first[1]:
            return False
        names = [[rule["name"] for rule in pair if rule] for pair in (first, second)]
        contents = [[_content_of(rule) for rule in pair] for pair in (first, second)]
        is_swap = names[0] == names[1][::-1] and all(a == b for a, b in contents)
        is_exchange = contents[0] == contents[1][::-1] and all(
            entry(before).rule.conditions != entry(after).rule.conditions
            and before["targets"] != after["targets"]
            for before, after in (first, second)
            if before and after
        )
        return is_swap or is_exchange

    def _values(self, cause: Json) -> tuple[str, ...]:
        rule_id = cause["address"].removeprefix("set/")
        versions = [self._version(side, rule_id) or {} for side in ("before", "after")]
        requested = [
            {str(part) for part in entry(version).rule.conditions}
            for version in versions
        ]
        values = [
            str(sorted(requested[0] - requested[1])),
            str(sorted(requested[1] - requested[0])),
        ]
        for name, key in (
            ("queue", "targets"),
            ("targets", "targets"),
            ("priority", "priority"),
        ):
            if name in cause["fields"]:
                values += [str(version[key]) for version in versions]
        return tuple(values)

    # Merging

    def _check_merged(self, effect: Json, rules: Json) -> None:
        """Assert that no two rows differ in the listed texts of one attribute alone, and could be
        one row.
        """
        for first, second in combinations(effect["rows"], 2):
            if any(first[name] != second[name] for name in ("kind", "before", "after")):
                continue
            attribute = _differing_list(first["where"], second["where"])
            if attribute is None:
                continue
            rest = [
                part
                for part in first["where"]
                if part.get("attributeName") != attribute
            ]
            wheres = [self.universe.all_of(row["where"]) for row in (first, second)]
            both = self.inputs_of(first, rules) | self.inputs_of(second, rules)
            item = {
                "where": rest,
                "earlier": [*dict.fromkeys((*first["earlier"], *second["earlier"]))],
            }
            joined = self.inputs_of(item, rules) & (wheres[0] | wheres[1])
            assert joined != both, f"{self.report}could be one row:\n{first}\n{second}"

    # Order and names

    def _check_order(self, effect: Json, rules: Json) -> None:
        """Assert that rows are in the order of evaluation.

        A row that several rules take comes where the last of them does.
        """
        places = []
        for row in effect["rows"]:
            side = "before" if row["kind"] == "takes" else "after"
            inside = self.inputs_of(row, rules)
            place = max(
                self._place(rule) for rule, bits in self.wins[side] if bits & inside
            )
            places.append(place)
        assert sorted(places) == places, f"{self.report}{effect}"

    def _place(self, rule: Json | None) -> tuple[bool, float, str, str]:
        if rule is None:
            return True, 0, "", ""
        sign = -1 if self.evaluation == "highest-first" else 1
        return False, sign * rule["priority"], rule["name"], rule["id"]

    def _check_named(self, document: Json) -> None:
        """Assert that `rules` holds the rules that rows name and no other one, each as its list has
        it.
        """
        rows = [row for effect in document["effects"] for row in effect["rows"]]
        named = {
            name for row in rows for name in (*row["earlier"], *row["counterpart"])
        } - {None}
        assert named == set(document["rules"]), document["rules"]
        for form in document["rules"].values():
            sides = {side for side in ("before", "after") if self._has(side, form)}
            output = set(SIDES[form["when"]])
            if output == {"between"}:
                assert self.middle is not None, form
                assert self._is_edited(form["id"]), f"{self.report}{form}"
                output = {"before"}
            assert (output <= sides) if self.is_endpoint else (output == sides), (
                f"{self.report}{form}"
            )
        self._check_boxes(document["rules"].values())

    def _check_boxes(self, forms: Iterable[Json]) -> None:
        """Assert that an entry says what its list does behind its endpoint: each condition once,
        and no box of a rule twice.
        """
        boxes = set[tuple[str, str, int]]()
        for form in forms:
            inside = self.universe.all_of(form["conditions"])
            for side in SIDES[form["when"]]:
                box = side, form["id"], inside
                assert box not in boxes, f"{self.report}{form}\ntwice"
                boxes.add(box)
                if self.is_endpoint:
                    wrong = inside & ~self.matched[side][form["id"]]
                    assert not wrong, f"{self.report}{form}\nnot of {side}"
                    self._check_bounds(form, self._version(side, form["id"]) or {})

    def _check_bounds(self, form: Json, version: Json) -> None:
        """Assert that the endpoint adds no bound beside one of the rule that says the same or
        less.
        """
        own = Counter(map(_bounded, version["conditions"]))
        for name, count in Counter(map(_bounded, form["conditions"])).items():
            is_once = name is None or count <= max(1, own[name])
            assert is_once, f"{self.report}{form}\n{name} twice"

    def _has(self, side: str, form: Json) -> bool:
        """Return whether a list has a rule: with these conditions, or behind the endpoint with a
        part of them.
        """
        version = self._version(side, form["id"])
        if (
            version is None
            or not version["enabled"]
            or version["priority"] != form["priority"]
        ):
            return False
        if self.is_endpoint:
            return True
        return (
            entry(version).rule.conditions
            == entry({**version, "conditions": form["conditions"]}).rule.conditions
        )


def oracle_of(moved: RoutingDifference) -> EffectOracle:
    """Return the oracle of two lists of rules."""
    return EffectOracle(
        old=moved.old,
        new=moved.new,
        evaluation=moved.evaluation,
        universe=moved.universe,
        wins=moved.wins,
        report=f"{moved.evaluation}\nold:\n{rules_text(moved.old)}\nnew:\n{rules_text(moved.new)}\n",
    )


def _differing_list(first: list[Json], second: list[Json]) -> str | None:
    """Return the attribute of the only condition that differs, if both list texts."""
    item, candidate = (
        [part for part in where if part not in neighbours]
        for where, neighbours in ((first, second), (second, first))
    )
    if (
        len(item) != 1
        or len(candidate) != 1
        or not all(map(_lists_texts, (*item, *candidate)))
    ):
        return None
    names = {part["attributeName"] for part in (*item, *candidate)}
    attribute = next(iter(names))
    is_alone = [part.get("attributeName") for part in first].count(attribute) == 1
    return attribute if len(names) == 1 and is_alone else None


def _lists_texts(part: Json) -> bool:
    values = (
        part["value"] if isinstance(part.get("value"), list) else [part.get("value")]
    )
    is_list = part.get("operator") in ("equals", "in") and "negate" not in part
    return is_list and all(isinstance(value, str) for value in values)


def _bounded(part: Json) -> tuple[str, str] | None:
    """Return the attribute and the operator of a bound."""
    if part.get("operator") not in BOUNDS or not is_supported(part):
        return None
    return part["attributeName"], part["operator"]


def _content_of(rule: Json | None) -> str:
    """Return all of a rule but its id and name."""
    assert rule is not None
    read = entry(rule).rule
    return str((read.conditions, read.targets, float(read.priority), read.enabled))


def _content(rules: Iterable[Json | None]) -> set[str]:
    return {_content_of(rule) for rule in rules if rule is not None}


def _ids(wins: Wins, inside: int) -> set[str | None]:
    """Return the ids of the rules that take some of these inputs."""
    return {rule["id"] if rule else None for rule, bits in wins if bits & inside}
