"""Differences between a bot and the manifests: its intents, the names that rules and tests use, its Lookup cases."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.facts.rule_facts import analyze_slices
from reconciler.checks.lint_names import entries_of_unknown_intents, unrouted_intents
from reconciler.checks.lint_view import LintView
from reconciler.cognigy.bot import Bot, LookupCase, sort_key
from reconciler.cognigy.document import NameChanges, compare_names, new_document
from reconciler.desired.desired import desire_offline
from reconciler.errors import CxrouteError
from reconciler.manifest.documents import Intents
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.load import Manifests, load_contents
from reconciler.manifest.source_map import LoadedDocument
from reconciler.model.rule import Source
from reconciler.text.escape import join_first, pluralize, quote_name, sanitize
from reconciler.text.suggest import suggest

_MAX_LISTED: Final = 20


class UnknownIntent(NamedTuple):
    """An intent of rules, promises or tests that the bot does not have."""

    name: str
    sources: tuple[Source, ...]
    renamed: str  # the bot's intent with the reference id of the document's entry; "" if there is none
    hint: str  # the nearest name

    @property
    def text(self) -> str:
        """Return the sentence of the finding."""
        hint = f"; renamed to {quote_name(self.renamed)}?" if self.renamed else f"; {self.hint}" if self.hint else ""
        return f"the bot does not have the intent {quote_name(self.name)}{hint}"


class BotCheck(NamedTuple):
    """The differences between a bot and the manifests."""

    bot: Bot
    changes: NameChanges  # from the Intents documents
    unrouted: tuple[str, ...]  # intents that no rule takes
    unknown: tuple[UnknownIntent, ...]
    unknown_cases: tuple[LookupCase, ...]  # Lookup cases on intents that the bot does not have
    unnamed_cases: tuple[LookupCase, ...]  # Lookup cases on intents that no rule names

    @property
    def differs(self) -> bool:
        """Return whether there is a difference."""
        return any((self.changes, self.unrouted, self.unknown, self.unknown_cases, self.unnamed_cases))

    @property
    def decided_in_flow(self) -> list[str]:
        """Return the intents with a Lookup case."""
        cases = {case.intent for case in self.bot.cases}
        return [name for name in self.bot.names if name in cases]


def check_bot(
    bot: Bot,
    manifests: Manifests,
    environments: Iterable[Environment],
    documents: Sequence[LoadedDocument[Intents]],
    kept: Collection[str],
) -> BotCheck:
    """Return the differences; `documents` are the Intents documents to compare. Raises CxrouteError.

    An intent counts as taken, and as named, if a rule of one of the environments takes or names it. The intents in
    `kept` are not the bot's, such as `none` for an event without an intent.
    """
    ids = {_name(entry): _id(entry) for loaded in documents for entry in loaded.document.intents}
    with_bot = replace(manifests, intents=load_contents([("bot", new_document(bot, "# bot").encode())]).intents)
    views = [_view(with_bot, environment) for environment in environments]
    unrouted = set(bot.names)
    named: set[str] = set()
    sources: dict[str, dict[Source, None]] = {}
    ignored = {*kept, *(view.fallback.intent or "" for view in views)}
    try:
        for view in views:
            unrouted &= {*unrouted_intents(view, analyze_slices(view.slices))}
            named |= view.rules_by_intent.keys()
            for name, entries in entries_of_unknown_intents(view).items():
                sources.setdefault(name, {}).update((entry.source, None) for entry in entries if entry.source)
    except UndecidedError:
        raise CxrouteError("the rules overlap too much for this check; use conditions on fewer attributes") from None
    for name, source in _test_intents(manifests, ids):
        if name not in bot.names:
            sources.setdefault(name, {})[source] = None
    renamed = {name: bot.names_by_id.get(id_, "") for name, id_ in ids.items()}
    unknown = (
        UnknownIntent(name, tuple(sorted(sources[name])), renamed.get(name, ""), suggest(name, bot.names))
        for name in sorted(sources.keys() - ignored, key=sort_key)
    )
    return BotCheck(
        bot=bot,
        changes=compare_names(ids, bot, ignored),
        unrouted=tuple(name for name in bot.names if name in unrouted),
        unknown=tuple(unknown),
        unknown_cases=tuple(case for case in bot.cases if case.intent not in bot.names),
        unnamed_cases=tuple(case for case in bot.cases if case.intent in bot.names and case.intent not in named),
    )


def _name(entry: Any) -> str:  # noqa: ANN401 - an entry of an Intents document
    return str(getattr(entry, "name", entry))


def _id(entry: Any) -> str:  # noqa: ANN401 - an entry of an Intents document
    return getattr(entry, "id", None) or ""


def _view(manifests: Manifests, environment: Environment) -> LintView:
    desired, resolver = desire_offline(manifests, environment)
    return LintView(desired, (), manifests, environment, resolver.names)


def _test_intents(manifests: Manifests, ids: Mapping[str, str]) -> Iterator[tuple[str, Source]]:
    """Yield the intents of route tests; a test of an intent that no document ever had is about an unknown one."""
    for loaded in manifests.route_tests:
        for index, test in enumerate(loaded.document.tests):
            name = test.given.intent
            if name is not None and not test.expect.default and (name in ids or not ids):
                yield name, loaded.source_of("tests", index)


def check_lines(check: BotCheck, limit: int = _MAX_LISTED) -> list[str]:
    """Return the differences as lines; each list is cut after `limit` items and counted."""
    changes, lines = check.changes, []
    renamed = [f"{quote_name(old)} is now {quote_name(new)}" for old, new in changes.renamed.items()]
    lists = {
        "not in the Intents document": list(map(quote_name, changes.added)),
        "in the Intents document, but not in the bot": list(map(quote_name, changes.removed)),
        "renamed in the bot": renamed,
        "without a rule": list(map(quote_name, check.unrouted)),
        "in a Lookup case, but not in the bot (case-sensitive)": _phrases(check.unknown_cases),
        "in a Lookup case, but named by no rule": _phrases(check.unnamed_cases),
    }
    for title, items in lists.items():
        if items:
            lines.append(f"{pluralize(len(items), 'intent')} {title}: {join_first(items, limit)}")
    for unknown in check.unknown[:limit]:
        first, *others = [f"{sanitize(source.file)}:{source.line}:{source.column}" for source in unknown.sources]
        lines.append(f"{first}: {unknown.text}{f' (and in {len(others)} more places)' if others else ''}")
    if len(check.unknown) > limit:
        lines.append(f"and {len(check.unknown) - limit:,} more intents of rules or tests that the bot does not have")
    if decided := check.decided_in_flow:
        names = join_first(list(map(quote_name, decided)), limit)
        lines.append(f"The flow itself decides for {pluralize(len(decided), 'intent')}, before CXone does: {names}")
    return lines if check.differs else [*lines, "The bot and the manifests agree."]


def _phrases(cases: Iterable[LookupCase]) -> list[str]:
    return [f"{quote_name(case.intent)} (flow {quote_name(case.flow)})" for case in cases]


def check_to_json(check: BotCheck) -> dict[str, Any]:
    """Return the differences as JSON."""
    return {
        "intents": len(check.bot.intents),
        "excluded": [{"name": each.name, "reason": each.exclusion} for each in check.bot.excluded],
        "added": list(check.changes.added),
        "removed": list(check.changes.removed),
        "renamed": [{"before": old, "after": new} for old, new in check.changes.renamed.items()],
        "unrouted": list(check.unrouted),
        "unknown": [
            {"intent": each.name, "renamedTo": each.renamed or None, "sources": [at._asdict() for at in each.sources]}
            for each in check.unknown
        ],
        "lookupCases": {
            "unknown": [case._asdict() for case in check.unknown_cases],
            "withoutRule": [case._asdict() for case in check.unnamed_cases],
        },
        "decidedInFlow": check.decided_in_flow,
        "differs": check.differs,
    }
