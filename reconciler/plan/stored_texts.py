"""Names and descriptions that a tenant stores in another form: in lower case, escaped, cut.

These texts do not affect routing, and another write would have the same result, so they are
findings, not changes. They differ from a user's edit: the marker's digest must prove that the rest
of the rule is as last written, and each text must have a form of the written text that no other
managed rule contradicts.
"""

import html
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from reconciler.desired.desired import DesiredRule, DesiredState
from reconciler.model.change import Change, Create, Delete
from reconciler.model.finding import Finding
from reconciler.model.live import LiveRule, copy_name, marker_digest
from reconciler.model.rule import Rule
from reconciler.plan.ownership import LiveRulesByOwner, classify_by_owner

TEXT_ALTERED: Final = "CXR340"
TEXT_FIELDS: Final = ("name", "description")
MIN_CUT_TEXTS: Final = (
    2  # texts of one length that show that the tenant cuts, not a user
)


class TextForm(NamedTuple):
    """A form in which a tenant stores texts, in words and as a function."""

    description: str
    transform: Callable[[str], str]


TEXT_FORMS: Final = (
    TextForm("in lower case", str.lower),
    TextForm("in upper case", str.upper),
    TextForm("HTML-escaped", html.escape),
    TextForm("HTML-escaped", lambda text: html.escape(text, quote=False)),
    TextForm("HTML-escaped", lambda text: html.escape(text).replace("&#x27;", "&#39;")),
    TextForm("without white space at its ends", str.strip),
    TextForm("without white space at its beginning", str.lstrip),
    TextForm("with its white space collapsed", lambda text: " ".join(text.split())),
    TextForm("with a line end added", lambda text: f"{text}\n"),
    TextForm(
        "in Unicode's composed form", lambda text: unicodedata.normalize("NFC", text)
    ),
    TextForm(
        "in Unicode's decomposed form", lambda text: unicodedata.normalize("NFD", text)
    ),
)


_Pair = tuple[LiveRule, DesiredRule]  # two rules of one address


def is_form_of(stored: str, original: str) -> bool:
    """Return whether a stored text can be a tenant's form of the original text."""
    is_cut_or_escaped = original.startswith(stored) or html.unescape(stored) == original
    return is_cut_or_escaped or any(
        form.transform(original) == stored for form in TEXT_FORMS
    )


def restore_texts(
    rules: tuple[LiveRule, ...], desired: DesiredState
) -> tuple[tuple[LiveRule, ...], tuple[Finding, ...]]:
    """Return the rules with altered texts as they were written, and a finding for each, except for
    temporary copies.
    """
    own = [
        (live, live.marker)
        for live in rules
        if live.marker is not None and live.marker.owner == desired.owner
    ]
    names = [
        (live, copy_name(marker.owner, marker.address))
        for live, marker in own
        if marker.copy
    ]
    restored: dict[str, LiveRule] = {}
    for live, name in names:
        stored = live.rule.name
        if stored and stored != name and is_form_of(stored, name):
            restored[live.id] = replace(live, rule=replace(live.rule, name=name))
    pairs: list[_Pair] = []
    differing: list[tuple[_Pair, Rule]] = []
    for live, marker in own:
        target = desired.rules.get(marker.address)
        if marker.copy or target is None:
            continue
        pairs.append((live, target))
        rule = _last_applied_rule(live, target)
        if rule is not None:
            differing.append(((live, target), rule))
    if not differing and not restored:
        return rules, ()
    forms = {field: list(_find_forms(field, pairs, differing)) for field in TEXT_FIELDS}
    findings: list[Finding] = []
    for (live, target), rule in differing:
        texts = [
            (field, getattr(live.rule, field), getattr(rule, field))
            for field in TEXT_FIELDS
        ]
        matches = [
            (
                field,
                next(
                    (
                        form
                        for form in forms[field]
                        if form.transform(original) == stored
                    ),
                    None,
                ),
            )
            for field, stored, original in texts
            if stored != original
        ]
        if all(form for _, form in matches):
            restored[live.id] = replace(live, rule=rule)
            findings += [
                _finding(field, form, live, target) for field, form in matches if form
            ]
    return tuple(restored.get(live.id, live) for live in rules), tuple(findings)


def classify_live_rules(
    rules: Iterable[LiveRule], desired: DesiredState
) -> LiveRulesByOwner:
    """Return the live rules by their owner, with texts that the tenant altered as they were
    written.
    """
    return classify_by_owner(restore_texts(tuple(rules), desired)[0], desired.owner)


def attach_read_rules(
    changes: Sequence[Change], rules: Iterable[LiveRule]
) -> list[Change]:
    """Return the changes with the live rules as they were read, for the comparison before a
    write.
    """
    read = {live.id: live for live in rules}

    def attach(change: Change) -> Change:
        if isinstance(change, Create):
            return change
        if isinstance(change, Delete) and change.original is not None:
            change = replace(change, original=read[change.original.id])
        return replace(change, live=read[change.live.id])

    return list(map(attach, changes))


def _last_applied_rule(live: LiveRule, desired: DesiredRule) -> Rule | None:
    """Return the last written form of a live rule that differs only in texts; None for all other
    rules.
    """
    # The texts are those of the manifest; the digest proves them.
    rule = desired.rule
    if (live.rule.name, live.rule.description) == (rule.name, rule.description):
        return None
    original = replace(live.rule, name=rule.name, description=rule.description)
    return (
        original
        if live.marker is not None and marker_digest(original) == live.marker.digest
        else None
    )


def _find_forms(
    field: str, pairs: Sequence[_Pair], differing: Iterable[tuple[_Pair, Rule]]
) -> Iterator[TextForm]:
    """Yield the forms that the tenant gives this field, and that no unchanged text contradicts."""
    texts = [
        (getattr(live.rule, field), getattr(rule, field))
        for (live, _), rule in differing
    ]
    changed = [(stored, original) for stored, original in texts if stored != original]
    both = (
        (getattr(live.rule, field), getattr(desired.rule, field))
        for live, desired in pairs
    )
    unchanged = {stored for stored, original in both if stored == original}
    forms = [*TEXT_FORMS]
    cuts = Counter(
        len(stored) for stored, original in changed if original.startswith(stored)
    )
    longest = max(cuts, default=0)
    if cuts[longest] >= MIN_CUT_TEXTS and all(
        len(stored) <= longest for stored in unchanged
    ):
        forms.append(
            TextForm(f"cut at {longest} characters", lambda text: text[:longest])
        )
    for form in forms:
        explains = any(
            form.transform(original) == stored for stored, original in changed
        )
        if explains and all(form.transform(stored) == stored for stored in unchanged):
            yield form


def _finding(
    field: str, form: TextForm, live: LiveRule, desired: DesiredRule
) -> Finding:
    stored = getattr(live.rule, field)
    message = (
        f"the tenant keeps the {field} {form.description} and not as it was written"
    )
    # Do not suggest a text that the tenant would alter again: `&` becomes `&amp;`, and that becomes
    # `&amp;amp;`.
    is_stable = form.transform(stored) == stored
    way = (
        "write it the same way in the manifest"
        if is_stable
        else "use a text that the tenant does not change"
    )
    hint = f"{way}, or accept this finding: cxroute does not write the text again"
    source = desired.source
    address = desired.address
    return Finding(
        code=TEXT_ALTERED,
        severity="warning",
        message=message,
        source=source,
        address=address,
        hint=hint,
    )
