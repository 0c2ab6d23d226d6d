"""The effects of a change on the page of `cxroute explore`: in words, and as data that the page's
script evaluates.

A row of the data is a set of conversations as in plan-json: those with all conditions of `where`,
without those that a rule of `earlier` matches. The script filters the rows, and finds the row of a
conversation.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.core.behaviour.diff.effects import FALLBACK, Effect, EffectRow
from reconciler.core.behaviour.routing_entry import (
    Evaluation,
    RoutingEntry,
    evaluation_key,
)
from reconciler.core.model.finding import Document
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.promises import PromiseResult
from reconciler.core.plan.words import Names
from reconciler.core.text.phrases import Labels
from reconciler.features.explore.tables import PageTables
from reconciler.render.effects import (
    OTHER_TYPES_PLACE,
    EffectsSummary,
    EffectText,
    MemberText,
    RowText,
    summarize_effects,
)

MAX_ROWS: Final = 1_000
"""The rows on a page; a first plan of a large tenant may have more."""
_MAX_MEMBERS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEffect:
    """An effect on the page, and the rows behind its words."""

    effect: Effect
    text: EffectText
    rows: tuple[tuple[RowText, EffectRow], ...]
    # rows about values of another type, which a note counts
    unwritten: tuple[EffectRow, ...]

    @property
    def members(self) -> Sequence[MemberText]:
        """Return the first rules of equal edits, if there are several."""
        if len(self.text.members) <= 1:
            return ()
        return self.text.members[:_MAX_MEMBERS]

    @property
    def more_members(self) -> int:
        """Return the number of the other ones."""
        return max(0, len(self.text.members) - _MAX_MEMBERS)

    @property
    def notes(self) -> list[str]:
        """Return the sentences about earlier rules."""
        return [note.removesuffix(OTHER_TYPES_PLACE) for note in self.text.notes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChange:
    """What changes, as the page says it."""

    summary: EffectsSummary
    effects: tuple[ShownEffect, ...]
    hidden_rows: int  # rows that the page leaves out


def show_change(
    impact: Impact,
    names: Names,
    labels: Labels,
    promises: Iterable[PromiseResult],
) -> ShownChange:
    """Return the effects in reading order, as far as they fit on a page."""
    summary = summarize_effects(impact, names, labels, promises)
    shown = []
    left = MAX_ROWS
    for effect, text in zip(impact.behaviour.effects, summary.effects, strict=True):
        visible = text.rows[:left]
        rows = tuple((row, effect.rows[row.number]) for row in visible)
        unwritten = tuple(row for row in effect.rows if row.other_type)
        if left > 0:
            shown.append(
                ShownEffect(
                    effect=effect,
                    text=text,
                    rows=rows,
                    unwritten=unwritten[:left],
                )
            )
        left -= max(1, len(rows))
    hidden = len(summary.rows) - sum(len(each.rows) for each in shown)
    return ShownChange(summary=summary, effects=tuple(shown), hidden_rows=hidden)


def effects_data(
    change: ShownChange,
    impact: Impact,
    tables: PageTables,
    evaluation: Evaluation,
) -> Document:
    """Return the effects as data.

    An effect is the positions of the files of its edits, its rows, and those without words. A row
    is its conditions, the ranges of its earlier rules in `named`, and the two destinations.
    `~position` is the complement of a condition.
    """
    named = _named_rules(change, evaluation)
    numbers = {id(entry): number for number, entry in enumerate(named)}

    def row_form(row: EffectRow) -> list[object]:
        where = [
            ~tables.condition(part) if negate else tables.condition(part)
            for part, negate in row.where
        ]
        earlier = _ranges(numbers[id(rule.entry)] for rule in row.earlier)
        return [
            where,
            earlier,
            tables.destination(row.before),
            tables.destination(row.after),
        ]

    effects = [
        [
            _files(each.effect, impact, tables),
            [row_form(row) for _, row in each.rows],
            [row_form(row) for row in each.unwritten],
        ]
        for each in change.effects
    ]
    return {
        "effects": effects,
        "named": [
            [tables.condition(part) for part in entry.rule.conditions]
            for entry in named
        ],
    }


def _named_rules(change: ShownChange, evaluation: Evaluation) -> list[RoutingEntry]:
    """Return the rules that rows name in the order of evaluation, so that neighbours are ranges."""
    rules: dict[int, RoutingEntry] = {}
    for effect in change.effects:
        rows = [row for _, row in effect.rows]
        for row in [*rows, *effect.unwritten]:
            for rule in row.earlier:
                rules[id(rule.entry)] = rule.entry
    return sorted(rules.values(), key=lambda entry: evaluation_key(entry, evaluation))


def _ranges(numbers: Iterable[int]) -> list[int]:
    """Return sorted numbers as pairs: the first of a range, and its length."""
    pairs: list[int] = []
    for number in sorted(numbers):
        if pairs and pairs[-2] + pairs[-1] == number:
            pairs[-1] += 1
        else:
            pairs += [number, 1]
    return pairs


def _files(effect: Effect, impact: Impact, tables: PageTables) -> list[int]:
    files: dict[int, None] = {}
    for number in effect.edits:
        source = impact.edits[number].source if number != FALLBACK else None
        if source:
            files[tables.file(source)] = None
    return list(files)
