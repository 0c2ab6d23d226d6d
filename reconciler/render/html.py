"""A plan as one page that needs nothing else: no network, any width, light and dark, on paper; a script to filter.

What is said is `telling`'s; how it stands is the template's, which escapes everything. Nothing but this page's own
style and script may run in it (Content-Security-Policy by their digests).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from reconciler.render.affected import MOST_SHOWN, NOT_KNOWN, OTHERS, WAITING
from reconciler.render.equal_edits import common_rows, equal_edits
from reconciler.render.finding_subject import subject
from reconciler.render.inline import COMMAND, QUOTED, bare, unquoted
from reconciler.render.map_drawing import WIDTH, draw
from reconciler.render.routing_map import by_queue
from reconciler.render.telling import far_title, parted, tests_title
from reconciler.render.told_change import READING, noticed, place, says
from reconciler.words import counted, plain, value, visible

if TYPE_CHECKING:
    from reconciler.render.origin import Facts
    from reconciler.render.routing_map import RoutingMap
    from reconciler.render.telling import Telling

_TEMPLATES: Final = Path(__file__).parent / "templates"
_PIECES: Final = re.compile(f"({QUOTED})")
_WHOLE: Final = 20
SENTENCES: Final = {"not_known": NOT_KNOWN, "others": OTHERS, "waiting": WAITING}


class Piece(NamedTuple):
    """A part of a sentence: `named` where it is a value from outside."""

    text: str
    named: bool

    @property
    def whole(self) -> bool:
        """Say whether it stays on one line: a short name with hyphens, such as de-AT, where a line may not end."""
        return "-" in self.text and len(self.text) <= _WHOLE and not any(map(str.isspace, self.text))


def html(told: Telling, routing: RoutingMap, facts: Facts) -> str:
    """Return the page."""
    style, script = (_file(name) for name in ("report.css", "report.js"))
    sources = f"style-src {_digest(style)}; script-src {_digest(script)}"
    policy = f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"
    near, far = parted(told)
    actions = Counter(change.action for change in told.changes)
    return _template().render(
        told=told,
        facts=facts,
        routing=routing,
        drawing=draw(routing),
        width=WIDTH,
        shown=MOST_SHOWN,
        queues=list(by_queue(routing)),
        policy=policy,
        # Both are files of ours, and stand in elements whose content is no markup.
        style=Markup(style),  # noqa: S704 - ours
        script=Markup(script),  # noqa: S704 - ours
        actions=[(kind, actions[kind]) for kind in READING if actions[kind]],
        said=SENTENCES,
        near=near,
        far=far,
        far_title=far_title(far),
        tests_title=tests_title(told.failed_tests),
        infos=[one for one in told.notes if one.severity == "info"],
        still=[lane for lane in (*routing.lanes, *routing.off) if lane.state in ("same", "off")],
    )


def pieces(text: str) -> list[Piece]:
    """Part a sentence into its words and the values in quotes; arrows as people draw them."""
    seen = visible(text)
    command = COMMAND.search(seen)
    found = [
        Piece(unquoted(part), named=True) if number % 2 else Piece(_as_drawn(part), named=False)
        for number, part in enumerate(_PIECES.split(seen[: command.start()] if command else seen))
    ]
    found += [Piece(command.group(), named=True)] if command else []
    return [piece for piece in found if piece.text]


def _as_drawn(words: str) -> str:
    for typed, drawn in (("->", "→"), (">=", "≥"), ("<=", "≤"), (" %", "\u00a0%")):
        words = words.replace(typed, drawn)
    return words


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"pieces": pieces, "place": place, "plain": plain, "says": says, "noticed": noticed, "bare": bare}
    environment.filters.update(filters, subject=subject, common_rows=common_rows, equal_edits=equal_edits)
    environment.globals.update(counted=counted, number=value)
    return environment.get_template("report.html.j2")


def _file(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
