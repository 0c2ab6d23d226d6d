"""Edits after which rules are fewer and route as before, as text and as Markdown.

Text from outside is safe for its destination.
"""

from collections.abc import Iterator
from typing import Final

from reconciler.core.checks.lint_view import list_rules
from reconciler.core.text.escape import join_all, pluralize, sanitize
from reconciler.core.text.phrases import Labels, condition_phrase
from reconciler.features.changes.simplify import BY_DEFAULT, Simplification
from reconciler.features.changes.simplify_search import ListSize, ProvenEdit
from reconciler.render.colour import Style
from reconciler.render.escape_markdown import code_span, escape_markdown
from reconciler.render.finding_subject import source_location

_UNMANAGED: Final = "rules in CXone that the manifests do not manage. --live FILE includes those of one tenant."
_INCOMPLETE: Final = (
    "The analysis stopped at its bound of work, so some edits were not tried."
)
_NONE: Final = (
    "No edit was found after which every conversation still goes where it goes now."
)
_MORE: Final = "--join and --redundant look for more edits."
_SIGNS: Final = {"unused": "-", "redundant": "-", "condition": "~", "join": "~"}
_COLOURS: Final = {"-": "red", "~": "yellow"}


def edit_reason(edit: ProvenEdit, labels: Labels) -> str:
    """Return why an edit moves no conversation."""
    if edit.kind == "join":
        name = labels.name(str(edit.subject))
        return f"they have one destination, and their conditions differ in {name} alone"
    if not isinstance(edit.subject, str):
        return f"`{condition_phrase(edit.subject, labels)}` never decides"
    if not edit.takers:
        return "never takes a conversation: its conditions contradict each other"
    takers = list_rules(edit.takers)
    if edit.kind == "redundant":
        return f"its conversations go to the same place without it: by {takers}"
    verb = "takes" if len(edit.takers) == 1 else "take"
    return f"never takes a conversation: {takers} {verb} them first"


def headline(result: Simplification) -> str:
    """Return the number of edits, and what is proven about them."""
    if not result.edits:
        return _NONE
    edits = pluralize(len(result.edits), "edit")
    environments = dict.fromkeys(each.name for each in result.environments)
    names = join_all(list(environments), "and", sanitize)
    return (
        f"{edits}; after them, every conversation still goes where it goes now (proven for "
        f"{names})."
    )


def simplification_text(result: Simplification, style: Style) -> str:
    """Return the edits for a terminal."""
    labels = result.environments[0].desired.labels
    lines = [style("bold", headline(result))]
    for edit in result.edits:
        lines += ["", *_edit_lines(edit, labels, style)]
    lines += ["", *remarks(result)]
    return "".join(f"{line}\n" for line in lines)


def _edit_lines(edit: ProvenEdit, labels: Labels, style: Style) -> Iterator[str]:
    sign = _SIGNS[edit.kind]
    first = edit.entries[0]
    place = source_location(first.source) if first.source else ""
    yield f"{style(_COLOURS[sign], sign)} {_subject(edit)}   {style('dim', place)}"
    yield f"    {edit_reason(edit, labels)}"


def _subject(edit: ProvenEdit) -> str:
    """Return the rule, or the rule that remains of several, with the others."""
    first, *others = [sanitize(entry.name) for entry in edit.entries]
    if not others:
        return first
    return f"{first} takes in {join_all(others, 'and', str)}"


def simplification_markdown(result: Simplification) -> str:
    """Return the edits for a comment. Names of rules become no markup."""
    labels = result.environments[0].desired.labels
    lines = [escape_markdown(headline(result)), ""]
    for edit in result.edits:
        first, *others = [code_span(entry.name) for entry in edit.entries]
        subject = (
            f"{first} takes in {join_all(others, 'and', str)}" if others else first
        )
        reason = escape_markdown(edit_reason(edit, labels))
        lines.append(f"- {_SIGNS_IN_WORDS[edit.kind]} {subject}: {reason}")
    lines += [""] if result.edits else []
    lines += [escape_markdown(remark) for remark in remarks(result)]
    return "\n".join(lines) + "\n"


_SIGNS_IN_WORDS: Final = {
    "unused": "Remove",
    "redundant": "Remove",
    "condition": "Drop a condition of",
    "join": "Join:",
}


def remarks(result: Simplification) -> Iterator[str]:
    """Yield the sizes, and what the reader should know before the edits are written."""
    found = result.found
    if found.before == found.after:
        yield f"{_size_phrase(found.before)}."
    else:
        yield f"{_size_phrase(found.before)} before, {_size_phrase(found.after)} after."
    for comment in result.lost_comments:
        yield f"This comment is deleted, too: {sanitize(comment)}"
    for guard in result.guards:
        yield (
            f"The next plan of {sanitize(guard.environment)} trips the guard {guard.name}: it "
            f"{sanitize(guard.message)}."
        )
    if not found.complete:
        yield _INCOMPLETE
    without = _names_without_live(result)
    if without:
        yield f"Not proven for {join_all(without, 'and', sanitize)}: {_UNMANAGED}"
    if result.kinds == BY_DEFAULT:
        yield _MORE


def _names_without_live(result: Simplification) -> list[str]:
    """Return the Environments whose unmanaged live rules are not known."""
    names = dict.fromkeys(each.name for each in result.environments)
    known = {each.name for each in result.environments if each.live}
    return [name for name in names if name not in known]


def _size_phrase(size: ListSize) -> str:
    rules = pluralize(size.rules, "rule")
    return f"{rules} with {pluralize(size.conditions, 'condition')}"
