"""Differences between a bot and the manifests: its intents, the names that rules and tests use, its
Lookup cases.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from reconciler.core.behaviour.budget import UndecidedError
from reconciler.core.behaviour.facts.rule_facts import analyze_slices
from reconciler.core.checks.lint_names import (
    entries_of_unknown_intents,
    unrouted_intents,
)
from reconciler.core.checks.lint_view import LintView
from reconciler.core.desired.desired import desire_offline
from reconciler.core.errors import CxrouteError
from reconciler.core.manifest.documents import Intents
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests, load_contents
from reconciler.core.manifest.source_map import LoadedDocument
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.rule import Source
from reconciler.core.text.escape import join_first, pluralize, quote_name, sanitize
from reconciler.features.cognigy.bot import Bot, sort_key
from reconciler.features.cognigy.document import (
    compare_names,
    new_document,
    reference_ids,
)

_MAX_SOURCES: Final = 3  # positions of one intent in a text
_FACT: Final = "decidedInFlow"  # no difference: a flow may answer such intents itself
_TITLES: Final = {
    "added": "missing in the Intents documents",
    "removed": "in the Intents documents, but not in the bot",
    "renamed": "renamed in the bot",
    "unrouted": "that no rule takes",
    "unknown": "of rules or tests, but not in the bot",
    "unknownCases": "with a Lookup case, but not in the bot (compared with upper and lower case)",
    _FACT: "with a Lookup case: the flow itself decides for them, before CXone does",
}

# the intents of each kind in `_TITLES`, as JSON; `differs` is true if there is a difference
BotCheck = dict[str, Any]


def check_bot(
    bot: Bot,
    manifests: Manifests,
    environments: Iterable[Environment],
    documents: Sequence[LoadedDocument[Intents]],
    kept: Collection[str],
) -> BotCheck:
    """Return the differences; `documents` are the Intents documents to compare.

    Raises CxrouteError.
    """
    # A rule of one environment suffices. The intents in `kept` are not the bot's: `none` stands for
    # no intent.
    ids = reference_ids(
        entry for loaded in documents for entry in loaded.source_map.value(("intents",))
    )
    views = _view_rules(bot, manifests, environments)
    kept = {*kept, *(view.fallback.intent or "" for view in views)}
    unrouted, rule_uses = _check_rules(bot, views)
    uses = [*_unknown_tests(bot, manifests, ids), *rule_uses]
    sources = group_pairs((name, source) for name, source in uses if name not in kept)
    check = {
        **_check_names(ids, bot, kept),
        "unrouted": [name for name in bot.intents if name in unrouted],
        "unknown": _describe_uses(sources, bot, ids),
        **_check_cases(bot),
    }
    differs = any(intents for kind, intents in check.items() if kind != _FACT)
    return {**check, "differs": differs}


def _check_names(ids: Mapping[str, str], bot: Bot, kept: Collection[str]) -> BotCheck:
    """Return the differences between the names of the documents and those of the bot."""
    changes = compare_names(ids, bot, kept)
    renamed = [{"before": old, "after": new} for old, new in changes.renamed.items()]
    return {**changes._asdict(), "renamed": renamed}


def _check_rules(
    bot: Bot, views: Sequence[LintView]
) -> tuple[Container[str], list[tuple[str, Source]]]:
    """Return the intents that no rule takes, and the uses of intents that the bot does not have."""
    try:
        return _find_unrouted(bot, views), _list_unknown_uses(views)
    except UndecidedError:
        raise CxrouteError(
            "the rules overlap too much for this check; use conditions on fewer attributes"
        ) from None


def _unknown_tests(
    bot: Bot,
    manifests: Manifests,
    ids: Mapping[str, str],
) -> Iterator[tuple[str, Source]]:
    """Yield the intents of route tests that the bot does not have, with their positions."""
    for name, source in _test_intents(manifests, ids):
        if name not in bot.intents:
            yield name, source


def _check_cases(bot: Bot) -> BotCheck:
    """Return the Lookup cases of no intent, and the intents for which the flow itself decides."""
    unknown = [case._asdict() for case in bot.cases if case.intent not in bot.intents]
    decided = {case.intent for case in bot.cases}
    return {
        "unknownCases": unknown,
        _FACT: [name for name in bot.intents if name in decided],
    }


def _describe_uses(
    sources: Mapping[str, Sequence[Source]],
    bot: Bot,
    ids: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return the intents that the bot does not have as JSON, with the positions of their uses."""
    names_by_id = bot.names_by_id
    uses = []
    for name in sorted(sources, key=sort_key):
        positions = sorted({*sources[name]})
        use = {
            "intent": name,
            "renamedTo": names_by_id.get(ids.get(name, "")),
            "sources": [":".join(map(str, position)) for position in positions],
        }
        uses.append(use)
    return uses


def _view_rules(
    bot: Bot,
    manifests: Manifests,
    environments: Iterable[Environment],
) -> list[LintView]:
    """Return the rules of each environment, as if the bot's intents were the documented ones."""
    document = new_document(bot, "# bot").encode()
    intents = load_contents([("bot", document)]).intents
    with_bot = replace(manifests, intents=intents)
    views = []
    for environment in environments:
        desired, _ = desire_offline(with_bot, environment)
        views.append(LintView(desired, (), with_bot, environment, {}))
    return views


def _find_unrouted(bot: Bot, views: Iterable[LintView]) -> set[str]:
    """Return the bot's intents that no rule of any environment takes."""
    unrouted = {*bot.intents}
    for view in views:
        facts = analyze_slices(view.slices)
        unrouted.intersection_update(unrouted_intents(view, facts))
    return unrouted


def _list_unknown_uses(views: Iterable[LintView]) -> list[tuple[str, Source]]:
    """Return the intents of rules that the bot does not have, each with a rule's position."""
    uses = []
    for view in views:
        for name, entries in entries_of_unknown_intents(view).items():
            uses += [(name, entry.source) for entry in entries if entry.source]
    return uses


def _test_intents(
    manifests: Manifests, documented: Collection[str]
) -> Iterator[tuple[str, Source]]:
    """Yield the intents of route tests; a test of an undocumented intent is meant to be about an
    unknown one.
    """
    for loaded in manifests.route_tests:
        for index, test in enumerate(loaded.document.tests):
            name = test.given.intent
            if (
                name is not None
                and not test.expect.default
                and (name in documented or not documented)
            ):
                yield name, loaded.source_of("tests", index)


def check_lines(check: BotCheck, limit: int) -> list[str]:
    """Return the differences as lines; of each kind at most `limit` intents."""
    lines = []
    for kind, title in _TITLES.items():
        items = check[kind]
        if not items:
            continue
        lines.append(f"{pluralize(len(items), 'intent')} {title}:")
        lines += [f"  {_phrase(item)}" for item in items[:limit]]
        if len(items) > limit:
            lines.append(f"  and {len(items) - limit:,} more (-v lists all)")
    if not check["differs"]:
        lines.append("The bot and the manifests agree.")
    return lines


def _phrase(item: Any) -> str:  # noqa: ANN401 - a name, or a mapping
    if isinstance(item, str):
        return quote_name(item)
    if "before" in item:
        return f"{quote_name(item['before'])} is now {quote_name(item['after'])}"
    if "flow" in item:
        return f"{quote_name(item['intent'])} in flow {quote_name(item['flow'])}"
    sources = join_first(item["sources"], _MAX_SOURCES, sanitize)
    phrase = f"{quote_name(item['intent'])} in {sources}"
    if item["renamedTo"]:
        phrase += f"; renamed to {quote_name(item['renamedTo'])}?"
    return phrase
