"""Differences between a bot and the manifests: its intents, the names that rules and tests use, its
Lookup cases.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.facts.rule_facts import analyze_slices
from reconciler.checks.lint_names import entries_of_unknown_intents, unrouted_intents
from reconciler.checks.lint_view import LintView
from reconciler.cognigy.bot import Bot, sort_key
from reconciler.cognigy.document import compare_names, new_document, reference_ids
from reconciler.desired.desired import desire_offline
from reconciler.errors import CxrouteError
from reconciler.manifest.documents import Intents
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.load import Manifests, load_contents
from reconciler.manifest.source_map import LoadedDocument
from reconciler.model.grouping import group_pairs
from reconciler.model.rule import Source
from reconciler.text.escape import join_first, pluralize, quote_name, sanitize

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

BotCheck = dict[
    str, Any
]  # the intents of each kind in `_TITLES`, as JSON; `differs` is true if there is a difference


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
    with_bot = replace(
        manifests,
        intents=load_contents([("bot", new_document(bot, "# bot").encode())]).intents,
    )
    views = [
        LintView(desire_offline(with_bot, each)[0], (), with_bot, each, {})
        for each in environments
    ]
    kept = {*kept, *(view.fallback.intent or "" for view in views)}
    uses = [use for use in _test_intents(manifests, ids) if use[0] not in bot.intents]
    unrouted = {*bot.intents}
    try:
        for view in views:
            unrouted.intersection_update(
                unrouted_intents(view, analyze_slices(view.slices))
            )
            unknown = entries_of_unknown_intents(view).items()
            uses += [
                (name, entry.source)
                for name, users in unknown
                for entry in users
                if entry.source
            ]
    except UndecidedError:
        raise CxrouteError(
            "the rules overlap too much for this check; use conditions on fewer attributes"
        ) from None
    changes, sources, names_by_id = (
        compare_names(ids, bot, kept),
        group_pairs(uses),
        bot.names_by_id,
    )
    decided = {case.intent for case in bot.cases}
    check = {
        **changes._asdict(),
        "renamed": [
            {"before": old, "after": new} for old, new in changes.renamed.items()
        ],
        "unrouted": [name for name in bot.intents if name in unrouted],
        "unknown": [
            {
                "intent": name,
                "renamedTo": names_by_id.get(ids.get(name, "")),
                "sources": [
                    ":".join(map(str, source)) for source in sorted({*sources[name]})
                ],
            }
            for name in sorted(sources.keys() - kept, key=sort_key)
        ],
        "unknownCases": [
            case._asdict() for case in bot.cases if case.intent not in bot.intents
        ],
        _FACT: [name for name in bot.intents if name in decided],
    }
    return {
        **check,
        "differs": any(items for kind, items in check.items() if kind != _FACT),
    }


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
        if items := check[kind]:
            lines += [
                f"{pluralize(len(items), 'intent')} {title}:",
                *(f"  {_phrase(item)}" for item in items[:limit]),
            ]
            lines += [f"  and {len(items) - limit:,} more (-v lists all)"] * (
                len(items) > limit
            )
    return lines if check["differs"] else [*lines, "The bot and the manifests agree."]


def _phrase(item: Any) -> str:  # noqa: ANN401 - a name, or a mapping
    if isinstance(item, str):
        return quote_name(item)
    if "before" in item:
        return f"{quote_name(item['before'])} is now {quote_name(item['after'])}"
    if "flow" in item:
        return f"{quote_name(item['intent'])} in flow {quote_name(item['flow'])}"
    renamed = (
        f"; renamed to {quote_name(item['renamedTo'])}?" if item["renamedTo"] else ""
    )
    return (
        f"{quote_name(item['intent'])} in "
        f"{join_first(item['sources'], _MAX_SOURCES, sanitize)}{renamed}"
    )
