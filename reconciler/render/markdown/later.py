"""The edited dates and the part "Later" of a comment: what changes at later times."""

from collections.abc import Iterator
from typing import Final

from reconciler.core.text.escape import pluralize
from reconciler.render.edited_dates import DATES_TITLE, FEW_DATES, EditedDatesSummary
from reconciler.render.escape_markdown import alert, code_span, details, escape_markdown
from reconciler.render.later import LATER_TITLE, LaterSummary, LaterText
from reconciler.render.markdown.effects import Columns, moves_blocks
from reconciler.render.provenance import SourceLinks

# a later change is compared with the time before it
_COLUMNS: Final = Columns("Before", "Afterwards")


def edited_dates_blocks(edited: EditedDatesSummary | None) -> list[str]:
    """Return the dates that a change of manifests edits, as a list below its title."""
    if edited is None:
        return []
    lines = [
        f"- {code_span(date.rule)} {date.event} {date.times.replace('->', '→')}"
        for date in edited.dates[:FEW_DATES]
    ]
    hidden = edited.hidden_phrase(FEW_DATES)
    lines += [f"- {hidden}"] if hidden else []
    return [f"**{DATES_TITLE}:**", "\n".join(lines)]


def later_refusals(later: LaterSummary | None) -> list[str]:
    """Return what apply will refuse at later times, in a box; empty if it is nothing."""
    if later is None:
        return []
    lines = [
        f"- {change.when}: {escape_markdown(refusal)}"
        for change in later.changes
        for refusal in change.refusals
    ]
    title = "**Apply will refuse this at a later time:**"
    return [alert("WARNING", [title, *lines])] if lines else []


def later_part(
    later: LaterSummary | None, links: SourceLinks, rows: int, longest: int
) -> Iterator[str]:
    """Yield the later changes in a closed part; each table has up to `rows` rows, and without any,
    a change is its headline.
    """
    if later is None:
        return
    blocks = [
        block
        for change in later.changes
        for block in _change_blocks(change, links, rows, longest)
    ]
    blocks += [escape_markdown(text) for text in (later.closing, later.more) if text]
    count = pluralize(len(later.changes), "time")
    yield details(f"{LATER_TITLE}: {count}", "\n\n".join(blocks) + "\n")


def _change_blocks(
    change: LaterText, links: SourceLinks, rows: int, longest: int
) -> Iterator[str]:
    headline = escape_markdown(change.effects.headline)
    yield f"**{change.when}** {headline}"
    if change.delay:
        yield escape_markdown(change.delay)
    if rows:
        yield from moves_blocks(
            change.effects, links, rows=rows, longest=longest, columns=_COLUMNS
        )
    if change.effects.quiet:
        yield escape_markdown(change.effects.quiet)
