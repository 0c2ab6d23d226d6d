"""The report of several environments: their table, and the text that each of them printed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from reconciler.core.text.escape import pluralize
from reconciler.render.colour import Style, no_style
from reconciler.render.github_annotations import quote_for_runner
from reconciler.render.markdown.plan import MAX_CHARACTERS
from reconciler.render.text.environments import (
    EnvironmentRow,
    environments_markdown,
    environments_text,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentList:
    """The parts of the report. `texts` has the text of each row, in the same order."""

    title: str  # before the number of environments: `Plan for`
    rows: Sequence[EnvironmentRow]
    texts: Sequence[str]
    nothing: str  # the report of an empty list, for people
    extent: Literal["every environment", "differences"]
    style: Style  # the colours of the terminal
    token: str  # a random text, which no name from outside can contain

    @property
    def shown_texts(self) -> list[str]:
        """Return the texts for people: without -v, those of environments that differ or fail."""
        shows_all = self.extent == "every environment"
        return [
            text
            for row, text in zip(self.rows, self.texts, strict=True)
            if text and (shows_all or row.status != "same")
        ]


JoinEnvironments = Callable[[EnvironmentList], str]
"""Returns the report of several environments in one form."""


def join_for_terminal(report: EnvironmentList) -> str:
    """Return the table, and below it the texts."""
    if not report.rows:
        return report.nothing
    table = environments_text(report.rows, report.title, report.style)
    return "\n".join([table, *report.shown_texts])


def join_as_json(report: EnvironmentList) -> str:
    """Return one document with the documents of all environments."""
    return f"{join_documents(report.texts)}\n"


def join_documents(documents: Sequence[str], error: str = "") -> str:
    """Return the JSON document of all environments, and of an error that is JSON itself (plan-json
    "Several environments").
    """
    stopped = f',\n"error": {error}' if error else ""
    return '{"environments": [\n' + ",\n".join(documents) + f"\n]{stopped}}}"


def join_for_comment(report: EnvironmentList) -> str:
    """Return the table in Markdown, and below it as many texts as a comment can hold."""
    if not report.rows:
        return report.nothing
    table = environments_markdown(report.rows, report.title)
    parts = [table, *report.shown_texts]
    lengths = accumulate(map(len, parts))
    count = max(1, sum(length <= MAX_CHARACTERS for length in lengths))
    chosen = parts[:count]
    if omitted := len(parts) - count:
        plans = pluralize(omitted, "further plan")
        chosen.append(
            f"{plans} omitted for length. See the plan of each environment.\n"
        )
    return "\n".join(chosen)


def join_for_log(report: EnvironmentList) -> str:
    """Return the table for a workflow's log, and below it the texts."""
    if not report.rows:
        return report.nothing
    table = environments_text(report.rows, report.title, no_style)
    quoted = quote_for_runner(table, report.token)
    return "".join([quoted, *report.shown_texts])
