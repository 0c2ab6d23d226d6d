"""Names and descriptions that a tenant stores in another form: in lower case, escaped, cut.

These texts do not affect routing, and another write would have the same result, so they are
findings, not changes. They differ from a user's edit: the marker's digest must prove that the rest
of the rule is as last written, and each text must have a form of the written text that no other
managed rule contradicts.
"""

import html
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.model.change import Change, Create, Delete
from reconciler.core.model.finding import Finding
from reconciler.core.model.live import LiveRule, Marker, copy_name, marker_digest
from reconciler.core.model.rule import Rule
from reconciler.core.plan.ownership import LiveRulesByOwner, classify_by_owner

TEXT_ALTERED: Final = "CXR340"
TEXT_FIELDS: Final = ("name", "description")
# texts of one length that show that the tenant cuts, not a user
MIN_CUT_TEXTS: Final = 2


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
    if original.startswith(stored) or html.unescape(stored) == original:
        return True
    return any(form.transform(original) == stored for form in TEXT_FORMS)


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
    restored = _restore_copies(own)
    pairs = _pair_with_desired(own, desired)
    differing = _differing_pairs(pairs)
    if not differing and not restored:
        return rules, ()

    findings: list[Finding] = []
    for (live, target), rule, forms in _match_pairs(pairs, differing):
        restored[live.id] = replace(live, rule=rule)
        for field, form in forms.items():
            findings.append(_finding(field, form, live, target))
    return tuple(restored.get(live.id, live) for live in rules), tuple(findings)


def _match_pairs(
    pairs: Sequence[_Pair], differing: Sequence[tuple[_Pair, Rule]]
) -> Iterator[tuple[_Pair, Rule, Mapping[str, TextForm]]]:
    """Yield the differing pairs whose texts all have a form, each with its forms by field."""
    forms = {field: list(_find_forms(field, pairs, differing)) for field in TEXT_FIELDS}
    for pair, rule in differing:
        matches = _match_forms(pair[0].rule, rule, forms)
        if matches is not None:
            yield pair, rule, matches


def _pair_with_desired(
    own: Iterable[tuple[LiveRule, Marker]], desired: DesiredState
) -> list[_Pair]:
    """Return each managed rule with the desired rule of its address, without temporary copies."""
    pairs = []
    for live, marker in own:
        target = desired.rules.get(marker.address)
        if target is not None and not marker.copy:
            pairs.append((live, target))
    return pairs


def _differing_pairs(pairs: Iterable[_Pair]) -> list[tuple[_Pair, Rule]]:
    """Return the pairs whose live rule has other texts, each with the rule as it was written."""
    differing = []
    for live, target in pairs:
        rule = _last_applied_rule(live, target)
        if rule is not None:
            differing.append(((live, target), rule))
    return differing


def _restore_copies(own: Iterable[tuple[LiveRule, Marker]]) -> dict[str, LiveRule]:
    """Return the temporary copies with an altered name by their id, each with its name."""
    restored = {}
    for live, marker in own:
        if not marker.copy:
            continue
        name = copy_name(marker.owner, marker.address)
        stored = live.rule.name
        if stored not in ("", name) and is_form_of(stored, name):
            restored[live.id] = replace(live, rule=replace(live.rule, name=name))
    return restored


def _match_forms(
    live: Rule, original: Rule, forms: Mapping[str, Iterable[TextForm]]
) -> dict[str, TextForm] | None:
    """Return the form of each text that differs; None if one of them has no form."""
    matches: dict[str, TextForm] = {}
    for field in TEXT_FIELDS:
        stored_text = getattr(live, field)
        original_text = getattr(original, field)
        if stored_text == original_text:
            continue
        for form in forms[field]:
            if form.transform(original_text) == stored_text:
                matches[field] = form
                break
        else:
            return None
    return matches


def classify_live_rules(
    rules: Iterable[LiveRule], desired: DesiredState
) -> LiveRulesByOwner:
    """Return the live rules by their owner, with texts that the tenant altered as they were
    written.
    """
    restored, _ = restore_texts(tuple(rules), desired)
    return classify_by_owner(restored, desired.owner)


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
    if live.marker is not None and marker_digest(original) == live.marker.digest:
        return original
    return None


def _find_forms(
    field: str, pairs: Sequence[_Pair], differing: Iterable[tuple[_Pair, Rule]]
) -> Iterator[TextForm]:
    """Yield the forms that the tenant gives this field, and that no unchanged text contradicts."""
    changed: list[tuple[str, str]] = []  # the stored and the original texts
    for (live, _), rule in differing:
        stored = getattr(live.rule, field)
        original = getattr(rule, field)
        if stored != original:
            changed.append((stored, original))
    unchanged: set[str] = set()
    for live, desired in pairs:
        stored = getattr(live.rule, field)
        if stored == getattr(desired.rule, field):
            unchanged.add(stored)

    for form in (*TEXT_FORMS, *_cut_forms(changed, unchanged)):
        explains = any(
            form.transform(original) == stored for stored, original in changed
        )
        if explains and all(form.transform(stored) == stored for stored in unchanged):
            yield form


def _cut_forms(
    changed: Iterable[tuple[str, str]], unchanged: Iterable[str]
) -> Iterator[TextForm]:
    """Yield the form of texts that the tenant cuts at a length, if it does."""
    cuts = Counter(
        len(stored) for stored, original in changed if original.startswith(stored)
    )
    longest = max(cuts, default=0)
    if cuts[longest] < MIN_CUT_TEXTS:
        return
    if all(len(stored) <= longest for stored in unchanged):
        yield TextForm(f"cut at {longest} characters", lambda text: text[:longest])


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
    way = "use a text that the tenant does not change"
    if is_stable:
        way = "write it the same way in the manifest"
    return Finding(
        code=TEXT_ALTERED,
        severity="warning",
        message=message,
        source=desired.source,
        address=desired.address,
        hint=f"{way}, or accept this finding: cxroute does not write the text again",
    )
