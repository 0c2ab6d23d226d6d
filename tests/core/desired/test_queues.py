"""Queues: the live queue of a name in a manifest, and the errors of missing and ambiguous names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from reconciler.core.desired.queues import (
    OfflineQueueResolver,
    QueueError,
    QueueResolver,
    resolve_aliases,
)
from reconciler.core.manifest.documents import QueueRef
from reconciler.core.model.rule import Queue
from tests.support.cases import each_case
from tests.support.written_manifests import loaded

CARDS = Queue("1", "Cards")
FRAUD = Queue("2", "Fraud")
OTHER_FRAUD = Queue("3", "Fraud")
ALIASES: Final[dict[str, str | QueueRef | None]] = {
    "cards": "Cards",
    "named": QueueRef(name="Cards"),
    "twice": "Fraud",
    "second": QueueRef(id="3"),
    "gone": QueueRef(id="9"),
    "elsewhere": None,
}
CATALOGUE = QueueResolver("prod", ALIASES, [CARDS, FRAUD, OTHER_FRAUD])


@pytest.mark.parametrize(
    ("name", "queue"),
    [("Cards", CARDS), ("cards", CARDS), ("named", CARDS), ("second", OTHER_FRAUD)],
)
def test_a_queue_is_found_by_its_live_name_or_by_an_alias(
    name: str, queue: Queue
) -> None:
    """An alias has a name or an id; an id selects one of several queues with the same name."""
    assert queue == CATALOGUE.resolve(name)


@each_case(
    "name, code, message, hint",
    [
        (
            "Fraud",
            "CXR106",
            '2 live queues of prod are named "Fraud"',
            "select one by id in a Queues document",
        ),
        (
            "twice",
            "CXR106",
            "2 live queues of prod are named \"Fraud\" (alias 'twice')",
            "select one by id in a Queues document",
        ),
        ("elsewhere", "CXR105", "queue alias 'elsewhere' has no entry for prod", ""),
        ("gone", "CXR105", "queue id \"9\" (alias 'gone') is not live in prod", ""),
        (
            "Card",
            "CXR105",
            'queue "Card" is neither an alias nor a live queue of prod',
            'did you mean "cards"?',
        ),
    ],
)
def test_a_queue_that_is_ambiguous_or_unknown_is_refused(
    name: str, code: str, message: str, hint: str
) -> None:
    """The first of several is not chosen; an alias without an entry for the environment is an
    error.
    """
    with pytest.raises(QueueError) as refused:
        CATALOGUE.resolve(name)
    assert (code, message, hint) == (
        refused.value.code,
        str(refused.value),
        refused.value.hint,
    )


def test_an_alias_of_a_name_that_is_not_live_is_refused() -> None:
    """The message contains both names."""
    with pytest.raises(QueueError) as refused:
        QueueResolver("prod", {"cards": "Card"}, [CARDS]).resolve("cards")
    assert (
        "CXR105",
        "queue \"Card\" (alias 'cards') is not a live queue of prod",
        'did you mean "cards"?',
    ) == (
        refused.value.code,
        str(refused.value),
        refused.value.hint,
    )


def test_offline_every_queue_is_assumed_to_exist() -> None:
    """A queue's name is its id; an alias without an entry is an error."""
    catalogue = OfflineQueueResolver("prod", ALIASES)
    assert [Queue("Fraud", "Fraud"), Queue("3", "second")] == [
        catalogue.resolve(item) for item in ("Fraud", "second")
    ]
    with pytest.raises(QueueError, match="no entry for prod"):
        catalogue.resolve("elsewhere")
    assert {
        "Fraud": Queue("Fraud", "Fraud"),
        "3": Queue("3", "second"),
    } == catalogue.queues_by_id


def test_an_alias_has_a_queue_for_each_environment(room: Path) -> None:
    """None without an entry for the environment; in the sandbox, each alias is a queue."""
    manifests = loaded(
        room,
        "apiVersion: routing/v1\nkind: Queues\nname: q\nqueues:\n"
        "  cards: Cards\n  fraud: {prod: {id: '2'}, staging: {name: Fraud}}\n  late: {staging: "
        "{name: Late}}\n",
    )
    assert {
        "cards": "Cards",
        "fraud": QueueRef(id="2"),
        "late": None,
    } == resolve_aliases(manifests, "prod")
    assert {"cards": "Cards", "fraud": "fraud", "late": "late"} == resolve_aliases(
        manifests, "sandbox"
    )


def test_offline_a_live_queue_comes_before_an_assumed_one() -> None:
    """By name or alias, also an inactive one; of several, an active one."""
    live = (Queue("1", "Cards", False), Queue("2", "Cards"), Queue("3", "Fraud", False))
    actual = OfflineQueueResolver("prod", {"desk": "Fraud"}, live)
    assert ["2", "3", "3", "New"] == [
        actual.resolve(name).id for name in ("Cards", "desk", "Fraud", "New")
    ]
    assert {"1": "Cards", "2": "Cards", "3": "Fraud", "New": "New"} == actual.names
