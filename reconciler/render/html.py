"""A plan as one self-contained HTML page.

The template escapes all values. The Content-Security-Policy allows only the page's own style and
script, by digest.
"""

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

from markupsafe import Markup

from reconciler.core.model.finding import Document
from reconciler.core.text.escape import escape_invisible, pluralize, sanitize
from reconciler.core.text.phrases import failing_tests_phrase
from reconciler.render import summary as texts
from reconciler.render.change_summary import ACTION_ORDER, YOUR_CHANGE
from reconciler.render.edited_dates import DATES_TITLE, MAX_DATES, EditedDatesSummary
from reconciler.render.effects import UNKNOWN_NOTE, WAITING_NOTE
from reconciler.render.escape_markdown import (
    EXPLAIN_COMMAND,
    QUOTED_VALUE,
    unquote,
    unquote_values,
)
from reconciler.render.finding_subject import finding_subject, source_location
from reconciler.render.later import LATER_TITLE, LaterSummary
from reconciler.render.limits import MAX_MEMBERS
from reconciler.render.provenance import Provenance
from reconciler.render.refusals import (
    count_refusals,
    group_failed_tests,
    is_refused,
    next_step,
    refused_guards,
)
from reconciler.render.summary import PlanSummary

_TEMPLATES: Final = Path(__file__).parent / "templates"
_PIECES: Final = re.compile(f"({QUOTED_VALUE})")
_TYPESET: Final = (("->", "→"), (">=", "≥"), ("<=", "≤"), (" %", "\u00a0%"))
_MAX_UNBREAKABLE: Final = 20


class TextPiece(NamedTuple):
    """A part of a sentence: words, or a value from outside."""

    text: str
    is_value: bool

    @property
    def is_unbreakable(self) -> bool:
        """Return whether the piece stays on one line, as a short name with hyphens does: de-AT."""
        return (
            "-" in self.text
            and len(self.text) <= _MAX_UNBREAKABLE
            and not any(map(str.isspace, self.text))
        )


class PagePart(NamedTuple):
    """A part of the page in the list of its parts, which the first screen shows."""

    anchor: str
    title: str
    note: str = ""  # the number of its items, if it has any
    is_bad: bool = False


def render_html(summary: PlanSummary, provenance: Provenance) -> str:
    """Return the page."""
    near, notes = texts.split_notes(summary)
    actions = Counter(change.action for change in summary.changes)
    return render_page(
        "report",
        page_files("report.css"),
        page_files("report.js"),
        summary=summary,
        provenance=provenance,
        parts=_page_parts(summary),
        refused=is_refused(summary),
        failed_groups=group_failed_tests(summary.failed_tests),
        guards=refused_guards(summary),
        next_step=next_step(summary),
        actions=[(kind, actions[kind]) for kind in ACTION_ORDER if actions[kind]],
        phrases={
            "not_known": UNKNOWN_NOTE,
            "waiting": WAITING_NOTE,
            "safe_order": texts.SAFE_ORDER_NOTE,
            "yours": YOUR_CHANGE,
            "later": LATER_TITLE,
            "dates": DATES_TITLE,
        },
        few_rules=MAX_MEMBERS,
        max_dates=MAX_DATES,
        near=near,
        notes=notes,
        tests_title=f"{failing_tests_phrase(len(summary.failed_tests))}:",
    )


def _page_parts(summary: PlanSummary) -> list[PagePart]:
    """Return the parts in the order of the page, with the number of their items."""
    effects = len(summary.effects.effects) if summary.effects else 0
    refusals = count_refusals(summary)
    changes = len(summary.changes) + len(summary.held_changes)
    parts = [
        PagePart(
            "refused",
            "What apply will refuse",
            _number(refusals),
            is_bad=refusals > 0,
        ),
        PagePart("who", "What changes for callers", _number(effects)),
        PagePart("others", "What else changes"),
        *_dates_parts(summary.edited_dates),
        *_later_parts(summary.later),
        PagePart("next", "How to go on"),
        PagePart("rules", "Changed rules", _number(changes)),
    ]
    if summary.notes or summary.acknowledged:
        findings = sum(len(note.occurrences) for note in summary.notes)
        parts.append(PagePart("notes", "Warnings and notes", _number(findings)))
    return parts


def _dates_parts(edited: EditedDatesSummary | None) -> list[PagePart]:
    if edited is None:
        return []
    return [PagePart("dates", "Edited dates", _number(edited.total))]


def _later_parts(later: LaterSummary | None) -> list[PagePart]:
    if later is None:
        return []
    is_bad = any(change.refusals for change in later.changes)
    return [PagePart("later", "Later", _number(len(later.changes)), is_bad=is_bad)]


def _number(count: int) -> str:
    return f"{count:,}" if count else "none"


def split_sentence(text: str) -> list[TextPiece]:
    """Return the words and the quoted values of a sentence, with typographic arrows."""
    escaped = escape_invisible(text)
    command = EXPLAIN_COMMAND.search(escaped)
    sentence = escaped[: command.start()] if command else escaped
    pieces = []
    for number, part in enumerate(_PIECES.split(sentence)):
        is_value = number % 2 == 1
        pieces.append(
            TextPiece(unquote(part) if is_value else _typeset(part), is_value)
        )
    if command:
        pieces.append(TextPiece(command.group(), is_value=True))
    return [piece for piece in pieces if piece.text]


def _typeset(words: str) -> str:
    for typed, drawn in _TYPESET:
        words = words.replace(typed, drawn)
    return words


def page_files(*names: str) -> str:
    """Return files of styles or of scripts as one."""
    return "".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in names)


def render_page(
    name: str,
    style: str,
    script: str,
    data: Document | None = None,
    **values: object,
) -> str:
    """Return the page of a template with its style and its script; `data` is JSON for it."""
    sources = f"style-src {_digest(style)}; script-src {_digest(script)}"
    policy = f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    # Files of this package, and ASCII without markup, in elements without markup.
    raw = {
        key: Markup(part)  # noqa: S704
        for key, part in (("style", style), ("script", script), ("data", text))
    }
    return _template(name)(**values, **raw, policy=policy)


@cache
def _template(name: str) -> Callable[..., str]:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - slow, and rarely needed

    loader = FileSystemLoader(_TEMPLATES)
    strict = StrictUndefined
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=strict,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        pieces=split_sentence,
        place=source_location,
        plain=sanitize,
    )
    environment.filters.update(bare=unquote_values, subject=finding_subject)
    # In the text of an element, quotes need no escape, which would be a tenth of a large table.
    environment.filters.update(text=lambda text: Markup(escape(text, quote=False)))  # noqa: S704
    environment.filters.update(nowrap=lambda text: text.replace(" ", "\u00a0"))
    environment.globals.update(counted=pluralize)
    return environment.get_template(f"{name}.html.j2").render


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
