"""Checks of the analysis against all inputs (`brute_force`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain, combinations, product
from typing import Any

from tests.support.brute_force import (
    Destination,
    Input,
    Json,
    Known,
    Move,
    Universe,
    destination,
    holds,
    inputs_for,
    is_supported,
    text_of,
    winner,
)

State = dict[tuple[str, int], Json]
"""The live rules by their role: ("fixed", 0), ("move", 1), or ("copy", 1) for its temporary
copy."""
Steps = Sequence[tuple[int, str]]
"""Calls: index of the move, and `whole`, `copy`, `aside` or `drop`."""

QUEUES = {"A": "Queue A", "B": "Queue B", "C": "Queue C"}


def rules_text(rules: Iterable[Json]) -> str:
    """Return rules on one line each, for the message of a failed check."""
    return "\n".join(map(str, rules))


def entry_name(rule: Json | None) -> str | None:
    return None if rule is None else f"set/{rule['id']}"


def destination_of(document: Json) -> Destination:
    """Return the destination of a document in the oracle's form."""
    if document.get("default"):
        return None
    for part in document["queues"]:
        assert part.get("queueName", QUEUES.get(part.get("queueId"))) == QUEUES.get(
            part.get("queueId")
        ), document
    return frozenset(
        (
            part["queueId"] if "queueId" in part else text_of(part["target"]),
            Fraction(part["share"]).limit_denominator(10**6),
        )
        for part in document["queues"]
    )


def holds_where(
    where: Sequence[Json], excepts: Sequence[Sequence[Json]], one: Input
) -> bool:
    """Return whether an input is in a region: all of `where`, and no full list of `except`."""
    return all(holds(condition, *one) for condition in where) and not any(
        all(holds(condition, *one) for condition in several) for several in excepts
    )


def by_destination(wins: Iterable[tuple[Json | None, int]]) -> dict[Destination, int]:
    actual: dict[Destination, int] = {}
    for rule, bits in wins:
        actual[destination(rule)] = actual.get(destination(rule), 0) | bits
    return actual


def completions(
    universe: Universe, assumed: Mapping[str, bool]
) -> Iterator[dict[str, bool]]:
    """Return each combination of truths for the conditions that are not understood, with the
    assumed ones.
    """
    free = [
        name
        for name, values in universe.axes.items()
        if values == [False, True] and name not in assumed
    ]
    for truths in product((False, True), repeat=len(free)):
        yield {**assumed, **dict(zip(free, truths, strict=True))}


class RoutingDifference:
    """The destination of each input before and after."""

    def __init__(
        self,
        old: list[Json],
        new: list[Json],
        evaluation: str,
        known: Known | None = None,
    ) -> None:
        self.old, self.new, self.evaluation = old, new, evaluation
        self.universe = inputs_for(old, new, known=known)
        self.wins = {
            "before": self.universe.wins(old, evaluation),
            "after": self.universe.wins(new, evaluation),
        }
        self.to = {side: by_destination(wins) for side, wins in self.wins.items()}
        self.all = self.universe.all_inputs
        for place, bits in self.to["before"].items():
            self.all &= ~(bits & self.to["after"].get(place, 0))
        self.report = (
            f"{evaluation}\nold:\n{rules_text(old)}\nnew:\n{rules_text(new)}\n"
        )

    def check(self, region: Json) -> int:
        """Assert that all inputs of a region move as it says, including its witness; return
        them.
        """
        inside = self.universe.region(region)
        report = f"{self.report}region: {region}\nexample: "
        item = destination_of(region["before"])
        candidate = destination_of(region["after"])
        assert item != candidate, report
        wrong = inside & ~(
            self.to["before"].get(item, 0) & self.to["after"].get(candidate, 0)
        )
        assert not wrong, report + str(self.universe.example(wrong))
        for side, wins in self.wins.items():
            taking = {entry_name(rule) for rule, bits in wins if bits & inside}
            assert taking <= {region[f"{side}Rule"], *region[f"{side}Rules"]}, (
                report + f"taken by {taking}"
            )
        for assumed in completions(self.universe, assumption(region)):
            check_witness(
                self.old,
                self.new,
                region,
                (region["witness"], assumed),
                self.evaluation,
            )
        check_typable(self.universe, region["witness"])
        return inside


def check_difference(
    old: list[Json],
    new: list[Json],
    document: Json,
    evaluation: str = "lowest-first",
    known: Known | None = None,
) -> None:
    """Assert that the regions are sound, complete and disjoint, each with a witness that moves as
    it says.
    """
    moved = RoutingDifference(old, new, evaluation, known)
    assert document["complete"] is True, moved.report
    assert "unknown" not in document, moved.report
    assert document["changed"] is bool(moved.all), moved.report
    _check_regions(moved, document)


def check_bounded(
    old: list[Json], new: list[Json], document: Json, evaluation: str
) -> None:
    """Assert that the regions are sound and disjoint, and that other moves are declared unknown."""
    _check_regions(RoutingDifference(old, new, evaluation), document)


def _check_regions(moved: RoutingDifference, document: Json) -> None:
    observed = 0
    for region in document["regions"]:
        inside = moved.check(region)
        assert not inside & observed, (
            f"{moved.report}region: {region}\nin two: {moved.universe.example(inside & observed)}"
        )
        observed |= inside
    unknown = 0
    for where in document.get("unknown", []):
        unknown |= moved.universe.all_of(where["where"])
    missed = moved.all & ~observed & ~unknown
    assert not missed, f"{moved.report}in no region: {moved.universe.example(missed)}"
    assert document["complete"] is not bool(document.get("unknown")), moved.report


def assumption(region: Json) -> dict[str, bool]:
    actual = {
        text_of(item["condition"]): item["holds"] for item in region.get("assumed", [])
    }
    assert not any(
        is_supported(item["condition"]) for item in region.get("assumed", [])
    ), region
    return actual


def check_witness(
    old: list[Json], new: list[Json], region: Json, one: Input, evaluation: str
) -> None:
    """Assert that a region's witness is in it, and that the named rules match the witness."""
    report = (
        f"{evaluation}\nold:\n{rules_text(old)}\nnew:\n{rules_text(new)}\nregion: "
        f"{region}\nassumed: {one[1]}"
    )
    assert holds_where(region["where"], region["except"], one), report
    first = winner(old, one, evaluation)
    second = winner(new, one, evaluation)
    assert (destination(first), destination(second)) == (
        destination_of(region["before"]),
        destination_of(region["after"]),
    ), report
    assert (entry_name(first), entry_name(second)) == (
        region["beforeRule"],
        region["afterRule"],
    ), report


def check_typable(universe: Universe, witness: Json) -> None:
    """Assert that a witness can be typed, and has no attribute without a rule."""
    assert set(witness) <= set(universe.axes), witness
    for name, value in witness.items():
        if isinstance(value, str):
            named = "".join(
                item for item in universe.axes[name] if isinstance(item, str)
            )
            assert all(char.isprintable() or char in named for char in value), witness
            assert len(value) <= len(named) + 8, witness
        else:
            assert type(value) in (int, float), witness
            assert len(repr(value)) <= 24, witness


# A safe order


def before_of(moves: Sequence[Move], fixed: Sequence[Json]) -> State:
    return {
        **{("fixed", at): rule for at, rule in enumerate(fixed)},
        **{
            ("move", at): move[0]
            for at, move in enumerate(moves)
            if move[0] is not None
        },
    }


def after_of(moves: Sequence[Move], fixed: Sequence[Json]) -> State:
    return {
        **{("fixed", at): rule for at, rule in enumerate(fixed)},
        **{
            ("move", at): move[1]
            for at, move in enumerate(moves)
            if move[1] is not None
        },
    }


def state_after(state: State, moves: Sequence[Move], step: tuple[int, str]) -> State:
    """Return the state after one call. A call that could not be made is an error of the order."""
    at, kind = step
    before, after = moves[at]
    actual = dict(state)
    if kind == "drop":
        del actual["copy", at]
        return actual
    if kind == "copy":
        assert after is not None
        assert ("copy", at) not in actual
        return {
            **actual,
            ("copy", at): {**after, "name": f"(next) {at}", "id": f"next-{at}"},
        }
    assert before is None or ("move", at) in actual
    if after is None:
        assert kind == "whole"
        del actual["move", at]
        return actual
    return {
        **actual,
        ("move", at): {**after, "name": f"(next) {at}, renamed"}
        if kind == "aside"
        else after,
    }


def shared_names(state: State) -> set[str]:
    """Return the names that more than one rule bears."""
    names = [rule["name"] for rule in state.values()]
    return {name for name in names if names.count(name) > 1}


class OrderSafety:
    """The permitted states during the moves: old or new destinations under any order of ties,
    unique names.
    """

    def __init__(
        self,
        moves: Sequence[Move],
        fixed: Sequence[Json],
        evaluation: str = "lowest-first",
    ) -> None:
        first = before_of(moves, fixed)
        last = after_of(moves, fixed)
        self.evaluation = evaluation
        self.universe = inputs_for(first.values(), last.values())
        self.allowed = by_destination(
            chain.from_iterable(
                self.universe.may_win(state.values(), evaluation)
                for state in (first, last)
            )
        )
        self.names = shared_names(first) | shared_names(last)
        """Rules share these names at the start or at the end, so they may share them in between."""

    def harm(self, state: State) -> str | None:
        """Return the problem of a state, or None."""
        for rule, bits in self.universe.may_win(state.values(), self.evaluation):
            wrong = bits & ~self.allowed.get(destination(rule), 0)
            if wrong:
                return f"{self.universe.example(wrong)} goes to {rule and rule['name']}"
        twice = shared_names(state) - self.names
        return f"one name twice: {twice}" if twice else None


def check_order(
    moves: Sequence[Move],
    fixed: Sequence[Json],
    waves: Sequence[Steps],
    evaluation: str,
) -> None:
    """Assert that the waves make all moves, and are safe after any part of a wave."""
    report = (
        f"{evaluation}\nfixed:\n{rules_text(fixed)}\nmoves:\n{rules_text(moves)}\nwaves: "
        f"{waves}\n"
    )
    safety = OrderSafety(moves, fixed, evaluation)
    state = before_of(moves, fixed)
    for wave in waves:
        assert len({at for at, _ in wave}) == len(wave) > 0, (
            report + "two calls for one rule in a wave"
        )
        for count in range(1, len(wave) + 1):
            for selected in combinations(wave, count):
                reached = state
                for step in selected:
                    reached = state_after(reached, moves, step)
                harm = safety.harm(reached)
                assert harm is None, f"{report}after {selected} of {wave}: {harm}"
        for step in wave:
            state = state_after(state, moves, step)
    assert after_of(moves, fixed) == state, report
    kinds: dict[int, list[Any]] = {at: [] for at in range(len(moves))}
    for at, kind in chain.from_iterable(waves):
        kinds[at].append(kind)
    assert all(kinds[at].count("whole") == 1 for at in kinds), report


def order_without_copies(
    moves: Sequence[Move], fixed: Sequence[Json], evaluation: str = "lowest-first"
) -> bool:
    """Return whether the moves can be made safely one by one, each in one call: every order is
    tried.
    """
    safety = OrderSafety(moves, fixed, evaluation)
    start = before_of(moves, fixed)
    reached = {frozenset[int]()}
    for _ in moves:
        longer = {
            done | {at}
            for done in reached
            for at in range(len(moves))
            if at not in done
        }
        reached = {
            done for done in longer if safety.harm(_made(start, moves, done)) is None
        }
    return bool(reached)


def _made(state: State, moves: Sequence[Move], done: Iterable[int]) -> State:
    for at in done:
        state = state_after(state, moves, (at, "whole"))
    return state
