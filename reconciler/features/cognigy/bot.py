"""A bot: its intents of all flows and locales, each name once, and the Lookup cases that decide in
the flow.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from reconciler.core.errors import CxrouteError

MAX_INTENTS: Final = 10_000  # of one bot


class BotError(CxrouteError, kind="Bot"):
    """A bot cannot be read: the message names the file or the call, the problem and the fix."""


class BotIntent(NamedTuple):
    """An intent; "" stands for a missing text."""

    name: str
    label: str = ""  # its description on one line
    parent: str = ""  # the name of the intent above it
    id: str = ""  # its reference id, which stays when the intent is renamed
    exclusion: str = (
        ""  # why it never arrives: "disabled", "reject", "unusable name"; "" if it does
    )


class LookupCase(NamedTuple):
    """A case of a Lookup node on the intent: the flow itself decides for this intent."""

    intent: str
    flow: str


class Bot(NamedTuple):
    """A bot's intents in order: those that can arrive, by name, and those that are left out."""

    intents: dict[str, BotIntent]
    excluded: list[BotIntent]
    cases: list[LookupCase]

    @property
    def names_by_id(self) -> dict[str, str]:
        """Return the names of the intents that have a reference id."""
        return {intent.id: intent.name for intent in self.intents.values() if intent.id}


def sort_key(name: str) -> tuple[str, str]:
    """Return the key of the order of intents: by letter, and upper case first."""
    return name.casefold(), name


def merge_bot(intents: Iterable[BotIntent], cases: Iterable[LookupCase] = ()) -> Bot:
    """Return the bot of the intents of all flows and locales, the primary locale first.

    Raises BotError.
    """
    by_name: dict[str, BotIntent] = {}
    for intent in intents:
        first = by_name.get(intent.name, intent)
        by_name[intent.name] = BotIntent(
            name=intent.name,
            label=first.label or intent.label,
            parent=first.parent or intent.parent,
            id=first.id or intent.id,
            # An intent that is enabled in one place can arrive.
            exclusion=first.exclusion and intent.exclusion,
        )
    merged = [by_name[name] for name in sorted(by_name, key=sort_key)]
    included = {intent.name: intent for intent in merged if not intent.exclusion}
    if not 0 < len(included) <= MAX_INTENTS:
        raise BotError(
            f"the bot has {len(included):,} intents, not 1 to {MAX_INTENTS:,}; check the source"
        )
    return Bot(
        included,
        [each for each in merged if each.exclusion],
        list(dict.fromkeys(cases)),
    )
