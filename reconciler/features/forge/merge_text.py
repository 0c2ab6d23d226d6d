"""Comparisons of an open pull request with the others -> Markdown for its comment. Pure.

Titles, paths and messages are from outside; each is one escaped sentence on one line.
"""

import html
from collections import Counter
from collections.abc import Iterator
from typing import Final

from reconciler.cli.hooks import PairResult
from reconciler.core.text.escape import pluralize, quote_name, sanitize
from reconciler.features.forge.merge_pairs import ComparedRequest, MergeChecks
from reconciler.render.escape_markdown import code_span, details, escape_markdown

_MAX_SENTENCE: Final = 400  # characters
_OMISSION: Final = 200  # characters that say what is omitted
_SHORT: Final = 8  # digits of a commit
_NEWS: Final = ("unexpected", "undecided")  # results with rows
_WORDS: Final[tuple[tuple[PairResult, str], ...]] = (
    ("unexpected", "not as expected"),
    ("undecided", "not decided"),
    ("not compared", "not compared"),
    ("expected", "as expected"),
)


def has_news(checks: MergeChecks) -> bool:
    """Return whether a pair is not proven to be as expected."""
    return any(each.report.result in _NEWS for each in checks.compared)


def merge_lines(checks: MergeChecks, request: str) -> list[str]:
    """Return the result of each pair as a line for a log, and a conclusion; `request` is the word
    of the forge for a pull request.
    """
    lines = [f"{_name(each)}: {each.report.sentence}" for each in checks.compared]
    lines.append(" ".join(_conclusion(checks, request)))
    return [sanitize(line, 2 * _MAX_SENTENCE) for line in lines]


def merge_part(checks: MergeChecks, request: str, limit: int) -> str:
    """Return the part of the comment, in at most `limit` characters; one line if each pair is as
    expected.
    """
    sentences = [escape_markdown(text) for text in _conclusion(checks, request)]
    results = {each.report.result for each in checks.compared}
    if checks.unchecked or results <= {"expected"}:
        return " ".join(sentences)[:limit]
    title = html.escape(f"Merge check: {_counts(checks, request)}", quote=False)
    frame = len(details(title, ""))
    return details(title, _body(checks, request, sentences[1:], limit - frame))


def _conclusion(checks: MergeChecks, request: str) -> Iterator[str]:
    """Yield sentences: what was compared, with which result, and what was not."""
    branch = quote_name(checks.branch)
    if checks.unchecked:
        yield (
            f"Merge check: this {request} was not compared with the other open ones into "
            f"{branch}: {sanitize(checks.unchecked, _MAX_SENTENCE)}."
        )
        return
    if not checks.compared:
        looked = (
            f"none of the newest other open {request}s"
            if checks.left
            else f"no other open {request}"
        )
        yield f"Merge check: {looked} into {branch} changes manifests."
    else:
        yield f"Merge check: {_counts(checks, request)}."
        if all(each.report.result == "expected" for each in checks.compared):
            yield (
                "Merged with each of them alone, each conversation goes where it went, or where "
                "one of the two changes sends it (proven)."
            )
        yield f"Pairs are compared: three {request}s together may still surprise."
    if checks.left:
        verb = "is" if checks.left == 1 else "are"
        yield f"{pluralize(checks.left, f'older {request}')} {verb} not compared."


def _counts(checks: MergeChecks, request: str) -> str:
    """Return `3 other open pull requests: 1 not as expected, 2 as expected`."""
    counted = Counter(each.report.result for each in checks.compared)
    words = [f"{counted[name]} {word}" for name, word in _WORDS if counted[name]]
    total = len(checks.compared)
    noun = pluralize(total, f"other open {request}")
    return f"{noun}: {', '.join(words)}"


def _body(checks: MergeChecks, request: str, sentences: list[str], limit: int) -> str:
    """Return the pairs, the rows of those that are not as expected, and the conclusion."""
    branch = escape_markdown(quote_name(checks.branch))
    intro = (
        f"Each pair is this {request} at {code_span(checks.head[:_SHORT])} (`ours`) and another "
        f"one (`theirs`), both merged into {branch} at {code_span(checks.tip[:_SHORT])} (`base`)."
    )
    end = " ".join(sentences)
    room = limit - len(intro) - len(end) - _OMISSION
    pairs = _list(checks, room)
    return "\n\n".join([intro, pairs, *_rows(checks, room - len(pairs)), end])


def _rows(checks: MergeChecks, room: int) -> Iterator[str]:
    """Yield the rows of the pairs that are not as expected, as far as there is room, and how many
    pairs are omitted.
    """
    omitted = 0
    for each in checks.compared:
        if each.report.result not in _NEWS:
            continue
        block = f"**{escape_markdown(_name(each))}**\n\n{each.report.markdown.strip()}"
        if len(block) > room:
            omitted += 1
        else:
            room -= len(block) + 2
            yield block
    if omitted:
        pairs = pluralize(omitted, "pair")
        text = f"The rows of {pairs} are too long for this comment."
        yield f"{text} `cxroute merge-check` prints them."


def _list(checks: MergeChecks, room: int) -> str:
    """Return a list of the pairs, those with news first, as far as there is room."""
    order = [result for result, _ in _WORDS]
    listed = sorted(checks.compared, key=lambda each: order.index(each.report.result))
    lines: list[str] = []
    for number, each in enumerate(listed):
        sentence = sanitize(each.report.sentence, _MAX_SENTENCE)
        line = f"- {escape_markdown(f'{_name(each)}: {sentence}')}"
        room -= len(line) + 1
        if room < 0:
            lines.append(f"- and {len(listed) - number} more")
            break
        lines.append(line)
    return "\n".join(lines)


def _name(each: ComparedRequest) -> str:
    """Return `12 "Title"`."""
    return f"{each.request.number} {quote_name(each.request.title)}"
