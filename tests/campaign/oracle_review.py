"""The conversations that a reviewed plan moves; it must stop if it would move more by now (R9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.campaign.oracle_routes import Routes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.campaign.oracle_desired import Wish
    from tests.campaign.oracle_process import Process
    from tests.campaign.oracle_routes import Destination
    from tests.campaign.oracle_verdict import Verdicts

Json = Any
Rule = dict[str, Any]
Move = tuple[frozenset["Destination"], frozenset["Destination"]]


class Review:
    """A reviewed plan: the managed rules at the review, the desired ones, and the moved
    conversations.
    """

    def __init__(
        self, wish: Wish, conversations: Sequence[Json], rules: Iterable[Rule]
    ) -> None:
        """`rules` are all live rules at the review."""
        every = list(rules)
        self._wish = wish
        self._routes = Routes(
            conversations, wish.evaluation, [*every, *wish.rules.values()]
        )
        self._ours = [item for item in every if wish.ours(item)]
        self._reviewed = self._moves(every)

    def look(self, process: Process, where: str, verdicts: Verdicts) -> None:
        """Check a write: with the unmanaged rules of its sender's last complete list, it moves no
        other conversation.

        A single read shows one rule, and only the write of that rule depends on it.
        """
        if not process.listings:
            return
        moves = self._moves(process.listings[-1].rules.values())
        further = [
            self._routes.name(case)
            for case, (move, reviewed) in enumerate(
                zip(moves, self._reviewed, strict=True)
            )
            if move[0] != move[1] and move != reviewed
        ]
        verdicts.check(
            "R9",
            not further,
            f"{where}: with the rules read the reviewed plan also moves {further}",
        )

    def _moves(self, rules: Iterable[Rule]) -> list[Move]:
        remaining_items = [rule for rule in rules if not self._wish.ours(rule)]
        before = self._routes.destinations([*remaining_items, *self._ours])
        after = self._routes.destinations(
            [*remaining_items, *self._wish.rules.values()]
        )
        return list(zip(before, after, strict=True))
