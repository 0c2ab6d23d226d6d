"""Names and descriptions that a tenant keeps otherwise than they were written: in lower case, escaped, cut.

Such a text routes nobody, and the next write would end the same way, so it is a finding and not a change. Two things
have to be told from each other: what the tenant made of a text, and what a person did. First, the marker's digest must
prove that the live rule is what was last written, but for its texts. Second, a tenant treats all texts alike: each
differing text is the same form of what was written, and no managed rule has kept a text that has this form otherwise.
A person's edit fails one or the other; what fails is drift, as any edit is. Nothing else of a rule is ever taken so.
"""

from __future__ import annotations

import html
import unicodedata
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.model.change import Change, Create, Delete
from reconciler.model.finding import Finding
from reconciler.model.live import LiveRule, copy_name, marker_digest
from reconciler.plan.ownership import LiveRulesByOwner, classify_by_owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reconciler.desired.desired import DesiredRule, DesiredState
    from reconciler.model.rule import Rule


TEXT_ALTERED: Final = "CXR340"
TEXT_FIELDS: Final = ("name", "description")
MIN_CUT_TEXTS: Final = 2  # names of one length that tell a tenant that cuts them from a person who shortened one


class TextForm(NamedTuple):
    """What a tenant makes of a text, in words, and as a function."""

    description: str
    transform: Callable[[str], str]


def _escape_html(single: str, double: str = "&quot;") -> Callable[[str], str]:
    return lambda text: html.escape(text, quote=False).replace('"', double).replace("'", single)


TEXT_FORMS: Final = (
    TextForm("in lower case", str.lower),
    TextForm("in upper case", str.upper),
    TextForm("HTML-escaped", html.escape),
    TextForm("HTML-escaped", lambda text: html.escape(text, quote=False)),
    TextForm("HTML-escaped", _escape_html("&#39;")),
    TextForm("HTML-escaped", _escape_html("&apos;")),
    TextForm("HTML-escaped", _escape_html("&#039;")),
    TextForm("HTML-escaped", _escape_html("&#39;", "&#34;")),
    TextForm("HTML-escaped", _escape_html("'")),
    TextForm("without white space at its ends", str.strip),
    TextForm("without white space at its beginning", str.lstrip),
    TextForm("with its white space collapsed", lambda text: " ".join(text.split())),
    TextForm("with a line end behind it", lambda text: f"{text}\n"),
    TextForm("in Unicode's composed form", lambda text: unicodedata.normalize("NFC", text)),
    TextForm("in Unicode's decomposed form", lambda text: unicodedata.normalize("NFD", text)),
)


class _Pair(NamedTuple):
    live: LiveRule
    desired: DesiredRule


def is_form_of(stored: str, original: str) -> bool:
    """Say whether a text can be what a tenant made of another one."""
    return (
        original.startswith(stored)
        or html.unescape(stored) == original
        or any(form.transform(original) == stored for form in TEXT_FORMS)
    )


def restore_texts(
    rules: tuple[LiveRule, ...], desired: DesiredState
) -> tuple[tuple[LiveRule, ...], tuple[Finding, ...]]:
    """Return the rules, texts that the tenant keeps otherwise as they were written, and a finding for each of these."""
    # A temporary copy is known by its name, in whatever form the tenant keeps it: that one is told of no rule.
    restored: dict[str, LiveRule] = {one.id: one for one in _restored_copies(rules, desired)}
    pairs = list(_pair_rules(rules, desired))
    differing = [(pair, written) for pair in pairs if (written := _last_applied_rule(pair)) is not None]
    if not differing and not restored:
        return rules, ()
    forms = {field: list(_find_forms(field, pairs, differing)) for field in TEXT_FIELDS}
    findings: list[Finding] = []
    for (live, wanted), written in differing:
        fields = [field for field in TEXT_FIELDS if getattr(live.rule, field) != getattr(written, field)]
        made = [_matching_form(forms[field], getattr(live.rule, field), getattr(written, field)) for field in fields]
        if all(made):
            restored[live.id] = replace(live, rule=written)
            findings += [_finding(field, form, live, wanted) for field, form in zip(fields, made, strict=True) if form]
    return tuple(restored.get(live.id, live) for live in rules), tuple(findings)


def classify_live_rules(rules: Iterable[LiveRule], desired: DesiredState) -> LiveRulesByOwner:
    """Sort live rules by who manages them; those of ours whose texts the tenant keeps otherwise are as written."""
    return classify_by_owner(restore_texts(tuple(rules), desired)[0], desired.owner)


def attach_read_rules(changes: Sequence[Change], rules: Iterable[LiveRule]) -> list[Change]:
    """Return changes, each of the live rule as it was read: before a write it is held against a fresh read."""
    read = {live.id: live for live in rules}
    return [_attach_read_rule(change, read) for change in changes]


def _attach_read_rule(change: Change, read: Mapping[str, LiveRule]) -> Change:
    if isinstance(change, Create):
        return change
    live = read[change.live.id]
    if isinstance(change, Delete) and change.original is not None:
        return replace(change, live=live, original=read[change.original.id])
    return replace(change, live=live)


def _restored_copies(rules: Iterable[LiveRule], desired: DesiredState) -> Iterator[LiveRule]:
    """Yield each temporary copy of ours whose name the tenant keeps otherwise, under the name that it was given."""
    for live in rules:
        marker, kept = live.marker, live.rule.name
        if marker is not None and marker.copy and marker.owner == desired.owner:
            name = copy_name(marker.owner, marker.address)
            if kept and kept != name and is_form_of(kept, name):
                yield replace(live, rule=replace(live.rule, name=name))


def _pair_rules(rules: Iterable[LiveRule], desired: DesiredState) -> Iterator[_Pair]:
    for live in rules:
        if live.marker is not None and live.marker.owner == desired.owner and not live.marker.copy:
            wanted = desired.rules.get(live.marker.address)
            if wanted is not None:
                yield _Pair(live, wanted)


def _last_applied_rule(pair: _Pair) -> Rule | None:
    """Return what was last written of a live rule that differs from it in texts alone; None for all others."""
    # The texts are the manifest's. The digest proves them, whatever else the manifest wants by now.
    live, rule = pair.live, pair.desired.rule
    if (live.rule.name, live.rule.description) == (rule.name, rule.description):
        return None
    written = replace(live.rule, name=rule.name, description=rule.description)
    return written if live.marker is not None and marker_digest(written) == live.marker.digest else None


def _find_forms(field: str, pairs: Sequence[_Pair], differing: Iterable[tuple[_Pair, Rule]]) -> Iterator[TextForm]:
    texts = [(getattr(pair.live.rule, field), getattr(written, field)) for pair, written in differing]
    changed = [(kept, written) for kept, written in texts if kept != written]
    unchanged = {
        kept for pair in pairs if (kept := getattr(pair.live.rule, field)) == getattr(pair.desired.rule, field)
    }
    for form in (*TEXT_FORMS, *_find_cut(changed, unchanged)):
        explains = any(form.transform(written) == kept for kept, written in changed)
        if explains and all(form.transform(kept) == kept for kept in unchanged):
            yield form


def _find_cut(changed: Iterable[tuple[str, str]], unchanged: Iterable[str]) -> Iterator[TextForm]:
    """Return the one length at which several texts were cut, where no longer one was kept."""
    cut = Counter(len(kept) for kept, written in changed if written.startswith(kept))
    longest = max(cut, default=0)
    if cut[longest] >= MIN_CUT_TEXTS and all(len(kept) <= longest for kept in unchanged):
        yield TextForm(f"cut at {longest} characters", lambda text: text[:longest])


def _matching_form(forms: Iterable[TextForm], stored: str, original: str) -> TextForm | None:
    return next((form for form in forms if form.transform(original) == stored), None)


def _finding(field: str, form: TextForm, live: LiveRule, desired: DesiredRule) -> Finding:
    """A text that the tenant would change once more is no advice: `&` becomes `&amp;`, and that `&amp;amp;`."""
    kept = getattr(live.rule, field)
    message = f"the tenant keeps the {field} {form.description}, and not as it was written"
    way = "write it so in the manifest" if form.transform(kept) == kept else "leave out of it what the tenant changes"
    hint = f"{way}, or accept this finding: it is not written again"
    return Finding(
        code=TEXT_ALTERED,
        severity="warning",
        message=message,
        source=desired.source,
        address=desired.address,
        hint=hint,
    )
