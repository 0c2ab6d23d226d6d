"""What a merge does to conversations, as text for a terminal and as Markdown.

Text from outside is safe for its destination.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from reconciler.core.behaviour.routing_entry import RoutingEntry, destination_of_rule
from reconciler.core.behaviour.space.space import Example
from reconciler.core.desired.calendar import interval_phrase
from reconciler.core.model.grouping import group_pairs
from reconciler.core.plan.clauses import FEW_VALUES, clauses_phrase, condition_phrases
from reconciler.core.plan.routing_table import entry_name
from reconciler.core.plan.words import (
    ALL_VALUES,
    MANY_ROWS,
    Names,
    destination_phrase,
    destination_with_ids,
    two_destinations,
)
from reconciler.core.text.escape import (
    join_all,
    join_first,
    pluralize,
    sanitize,
    sanitize_message,
)
from reconciler.core.text.phrases import Labels, conversation_phrase
from reconciler.features.changes.merge_behaviour import MergeBehaviour, MergeRow
from reconciler.features.changes.merge_check import (
    MergedEnvironment,
    MergeReport,
    MergeTime,
)
from reconciler.features.changes.merge_ties import MergedTie
from reconciler.features.changes.merge_winners import VERSIONS
from reconciler.render.colour import Style
from reconciler.render.escape_markdown import alert, escape_markdown, table_cell
from reconciler.render.limits import ALL_ROWS

Said = TypeVar("Said", bound=Hashable)

AS_EXPECTED: Final = (
    "Merged, each conversation goes where it went, or where one of the two changes sends it "
    "(proven)."
)
NOTHING_COMPARED: Final = "No Environment is in all versions, so nothing was compared."
_SURPRISES: Final = "Merged, these conversations go elsewhere than expected:"
_CONFLICTS: Final = "Both changes move these conversations, to different places:"
_UNKNOWN: Final = (
    "Not decided, because the analysis stopped at its bound of work; these conversations may go "
    "elsewhere:"
)
_TIES: Final = (
    "Merged, these rules have equal priority and send conversations to different places, and the "
    "tenant may try either first:"
)
_MAX_EARLIER: Final = 6


@dataclass(frozen=True, slots=True)
class MergeLimits:
    """How much a report shows: rows of each kind, and values of a list."""

    rows: int
    values: int


BRIEF: Final = MergeLimits(MANY_ROWS, FEW_VALUES)
VERBOSE: Final = MergeLimits(ALL_ROWS, ALL_VALUES)


def merge_headline(report: MergeReport) -> str:
    """Return the result of a merge, and the number of rows in each Environment."""
    if not report.environments:
        return NOTHING_COMPARED
    if report.is_as_expected:
        return AS_EXPECTED
    behaviours = [
        time.behaviour
        for environment in report.environments
        for time in environment.unexpected_times
    ]
    sentence = "Where merged conversations go is not decided for all of them."
    if any(behaviour.surprises for behaviour in behaviours):
        sentence = "Merged, conversations go elsewhere than expected."
    elif any(behaviour.conflicts for behaviour in behaviours):
        sentence = "The two changes move conversations to different places."
    elif not any(behaviour.undecided for behaviour in behaviours):
        sentence = "Merged, rules of equal priority are in conflict."
    counted = _alike(report, lambda _, time: _count_phrase(time))
    counts = [
        f"{title}: {count}{' each' if environments > 1 else ''}"
        for title, count, environments in counted
    ]
    return f"{sentence} {'; '.join(counts)}."


def _alike(
    report: MergeReport, form: Callable[[MergedEnvironment, MergeTime], Said]
) -> list[tuple[str, Said, int]]:
    """Return what a report says of Environments and times, once for Environments of which it says
    the same at the same times: the title, what it says, and the number of Environments.

    The title is `prod and staging`, or with dates `prod from 2027-12-27T06:00:00+01:00`.
    """
    groups = group_pairs(
        (
            (interval_phrase(time.interval, environment.zone), form(environment, time)),
            environment,
        )
        for environment in report.environments
        for time in environment.unexpected_times
    )
    return [
        (f"{_names(environments)} {when}".rstrip(), said, len(environments))
        for (when, said), environments in groups.items()
    ]


def _names(environments: Iterable[MergedEnvironment]) -> str:
    return join_all([each.name for each in environments], "and", sanitize)


def _count_phrase(time: MergeTime) -> str:
    """Return `2 surprises and 1 conflict`."""
    behaviour = time.behaviour
    counts = {
        "surprise": len(behaviour.surprises),
        "conflict": len(behaviour.conflicts),
        "undecided case": len(behaviour.undecided),
        "tie": len(time.ties),
    }
    words = [pluralize(count, noun) for noun, count in counts.items() if count]
    return join_all(words, "and")


def merge_text(report: MergeReport, style: Style, limits: MergeLimits) -> str:
    """Return the report for a terminal."""
    lines = [style("bold", merge_headline(report))]
    sections = _alike(
        report,
        lambda environment, time: tuple(_time_lines(time, environment, style, limits)),
    )
    for title, section, _ in sections:
        lines += ["", style("bold", title), *section]
    lines += _others_lines(report)
    return "".join(f"{line}\n" for line in lines)


def _others_lines(report: MergeReport) -> list[str]:
    if not report.others:
        return []
    names = join_all(report.others, "and", sanitize)
    return ["", f"Not in all versions, so not compared: {names}."]


def _time_lines(
    time: MergeTime,
    environment: MergedEnvironment,
    style: Style,
    limits: MergeLimits,
) -> Iterator[str]:
    behaviour = time.behaviour
    for title, rows in _parts(behaviour):
        yield title
        shown = rows[: limits.rows]
        alike = group_pairs(((row.destinations, row.expected), row) for row in shown)
        for group in alike.values():
            yield from _group_lines(group, environment, style, limits)
        if len(rows) > limits.rows:
            yield f"  and {pluralize(len(rows) - limits.rows, 'more row')}: -v shows all"
    if behaviour.undecided:
        yield style("yellow", _UNKNOWN)
        for where in behaviour.undecided[: limits.rows]:
            yield f"  {clauses_phrase(where, environment.labels, limits.values)}"
        hidden = len(behaviour.undecided) - limits.rows
        if hidden > 0:
            yield f"  and {hidden:,} more"
    if time.ties:
        yield _TIES
        yield from (f"  {line}" for line in _tie_lines(time, environment, limits))


def _tie_lines(
    time: MergeTime, environment: MergedEnvironment, limits: MergeLimits
) -> Iterator[str]:
    for tie in time.ties[: limits.rows]:
        yield f"{entry_name(tie.first)} and {entry_name(tie.second)}: {_tied(tie, environment)}"
    hidden = len(time.ties) - limits.rows
    if hidden > 0:
        yield f"and {hidden:,} more"


def _tied(tie: MergedTie, environment: MergedEnvironment) -> str:
    """Return a conversation that both rules of a tie match, and where it may go."""
    if tie.example is None:
        return "whether both match one conversation is not decided"
    example = tie.example
    if example.reason:
        return example.reason
    conversation = conversation_phrase(
        example.attributes, environment.labels, example.absent
    )
    first, second = two_destinations(
        destination_of_rule(tie.first),
        destination_of_rule(tie.second),
        environment.queues,
    )
    return f"for example, {conversation} goes to {first} or to {second}"


def _parts(behaviour: MergeBehaviour) -> list[tuple[str, Sequence[MergeRow]]]:
    parts = [(_SURPRISES, behaviour.surprises), (_CONFLICTS, behaviour.conflicts)]
    return [(title, rows) for title, rows in parts if rows]


def _group_lines(
    rows: Sequence[MergeRow],
    environment: MergedEnvironment,
    style: Style,
    limits: MergeLimits,
) -> Iterator[str]:
    """Yield rows with equal destinations: what each is about, then where all of them go."""
    notes = [list(_notes(row, environment, limits)) for row in rows]
    is_shared = all(note == notes[0] for note in notes)
    for row, own_notes in zip(rows, notes, strict=True):
        yield f"  {clauses_phrase(row.where, environment.labels, limits.values)}"
        if not is_shared:
            yield from (f"    {note}" for note in own_notes)

    yield from _route_lines(rows, environment, style, limits)
    if is_shared:
        yield from (f"    {note}" for note in notes[0])


def _route_lines(
    rows: Sequence[MergeRow],
    environment: MergedEnvironment,
    style: Style,
    limits: MergeLimits,
) -> Iterator[str]:
    """Yield where each version sends rows with equal destinations, and what is expected."""
    routes = _routes(rows[0], environment.queues)
    width = max(map(len, routes))
    most = 1 if limits.rows < ALL_ROWS else len(rows)
    for number, version in enumerate(VERSIONS):
        rules = _rules_phrase((row.rules[number] for row in rows), most)
        yield f"    {version:<8}  {routes[number]:<{width}}   {rules}".rstrip()
    if rows[0].expected:
        yield style("yellow", f"    expected  {routes[-1]}")


def _rules_phrase(rules: Iterable[RoutingEntry | None], most: int) -> str:
    """Return `by cards/lost and 3 more`; empty for the default routing alone."""
    names = dict.fromkeys(entry_name(rule) for rule in rules if rule)
    return f"by {join_first(list(names), most)}" if names else ""


def _routes(row: MergeRow, queues: Names) -> list[str]:
    """Return the destinations of a row in words, the expected one last; queues with one name have
    their ids.
    """
    destinations = list(row.destinations)
    if row.expected:
        destinations.append(row.expected.destination)
    texts = [destination_phrase(each, queues) for each in destinations]
    if len(set(texts)) == len(set(destinations)):
        return texts
    return [destination_with_ids(each, queues) for each in destinations]


def _notes(
    row: MergeRow, environment: MergedEnvironment, limits: MergeLimits
) -> Iterator[str]:
    """Yield sentences about earlier rules, and with all values the example."""
    if row.earlier:
        names = list(
            dict.fromkeys(entry_name(rule.entry.whole) for rule in row.earlier)
        )
        most = _MAX_EARLIER if limits.rows < ALL_ROWS else len(names)
        yield (
            f"Without conversations that these rules match: {join_first(names, most)}"
        )
    if limits.rows == ALL_ROWS:
        yield _example_sentence(row.example, environment.labels)


def _example_sentence(example: Example, labels: Labels) -> str:
    if example.reason:
        return f"{example.reason[:1].upper()}{example.reason[1:]}"
    conversation = conversation_phrase(example.attributes, labels, example.absent)
    return f"For example {conversation}"


def merge_markdown(report: MergeReport, limits: MergeLimits = BRIEF) -> str:
    """Return the report as Markdown, for a comment."""
    blocks = [f"**{escape_markdown(merge_headline(report))}**"]
    sections = _alike(
        report, lambda environment, time: tuple(_time_blocks(time, environment, limits))
    )
    for title, section, _ in sections:
        blocks += [f"### {escape_markdown(title)}", *section]
    blocks += _failure_blocks(report)
    blocks += [escape_markdown(line) for line in _others_lines(report) if line]
    return "\n\n".join(blocks) + "\n"


def rows_markdown(report: MergeReport, limits: MergeLimits = BRIEF) -> str:
    """Return the rows and failures of a report about one Environment, without headings."""
    (environment,) = report.environments
    blocks: list[str] = []
    for time in environment.unexpected_times:
        when = interval_phrase(time.interval, environment.zone)
        blocks += [f"**{escape_markdown(when)}**"] if when else []
        blocks += _time_blocks(time, environment, limits)
    blocks += _failure_blocks(report)
    return "\n\n".join(blocks) + "\n"


def _failure_blocks(report: MergeReport) -> Iterator[str]:
    failures = [
        f"- {escape_markdown(sanitize_message(finding.message))}"
        for finding in report.failures
    ]
    if failures:
        yield "These tests and promises fail in the merge, and in neither change:"
        yield "\n".join(failures)


def _time_blocks(
    time: MergeTime, environment: MergedEnvironment, limits: MergeLimits
) -> Iterator[str]:
    behaviour = time.behaviour
    for title, rows in _parts(behaviour):
        yield escape_markdown(title)
        yield "\n".join(_table_lines(rows[: limits.rows], environment, limits))
        if len(rows) > limits.rows:
            yield f"and {pluralize(len(rows) - limits.rows, 'more row')}"
    if behaviour.undecided:
        items = [
            escape_markdown(clauses_phrase(where, environment.labels, limits.values))
            for where in behaviour.undecided[: limits.rows]
        ]
        hidden = len(behaviour.undecided) - limits.rows
        items += [f"and {hidden:,} more"] if hidden > 0 else []
        yield alert("WARNING", [escape_markdown(_UNKNOWN), *items])
    if time.ties:
        tied = _tie_lines(time, environment, limits)
        lines = [escape_markdown(line) for line in tied]
        yield escape_markdown(_TIES)
        yield "\n".join(f"- {line}" for line in lines)


def _table_lines(
    rows: Iterable[MergeRow], environment: MergedEnvironment, limits: MergeLimits
) -> Iterator[str]:
    yield "| Conversations | Base | Ours | Theirs | Merged | Expected |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        phrases = condition_phrases(row.where, environment.labels, limits.values)
        callers = ", ".join(phrases) or clauses_phrase((), environment.labels)
        cells = [escape_markdown(callers)]
        notes = [escape_markdown(note) for note in _notes(row, environment, limits)]
        cells[0] = "<br>".join([cells[0], *(f"<sub>{note}</sub>" for note in notes)])
        routes = [escape_markdown(text) for text in _routes(row, environment.queues)]
        for rule, place in zip(row.rules, routes, strict=False):
            by_rule = f"<br>by {escape_markdown(entry_name(rule))}" if rule else ""
            cells.append(f"{place}{by_rule}")
        cells.append(routes[-1] if row.expected else "*conflict*")
        yield f"| {' | '.join(map(table_cell, cells))} |"
