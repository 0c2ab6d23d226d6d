"""Twenty questions about the bank, answered by a client of the protocol alone.

What is expected comes from the oracle of the bank's YAML, or was read in the manifests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import pytest

from tests.support.assistant_client import (
    ServedProject,
    ToolCall,
    ToolReply,
    asking,
    http_server,
    over_http,
    over_stdio,
)
from tests.support.bank_history import SUBJECT, BankHistory
from tests.support.stated_bank import StatedBank, StatedRule

pytestmark = pytest.mark.slow

Answer = Mapping[str, Any]
_MOST_WORDS: Final = 700


class Case(NamedTuple):
    """A question of a person, the call that an assistant makes of it, and whether the answer is
    true.
    """

    question: str
    call: ToolCall
    is_true: Callable[[Answer, StatedBank], bool]


def shares_of(destination: Answer) -> dict[str, float]:
    """Return the share of each queue of an answer's destination."""
    return {each["queueName"]: each["share"] for each in destination["queues"]}


def place_of(source: Answer) -> tuple[str, int]:
    """Return the file and the line of an answer."""
    return source["file"], source["line"]


def route(question: str, **event: Any) -> Case:
    """Return a question about one conversation; the oracle says where it goes."""
    names = ("intent", "confidence")
    arguments = {name: event[name] for name in names if name in event}
    others = {name: value for name, value in event.items() if name not in names}
    call = ToolCall("where_does_it_go", {**arguments, "attributes": others})

    def is_true(answer: Answer, bank: StatedBank) -> bool:
        rule = bank.route(**event)
        assert rule is not None, question
        return (
            rule.address == answer["winner"]
            and (rule.file, rule.line) == place_of(answer["winnerSource"])
            and shares_of(answer["destination"]) == pytest.approx(rule.shares)
            and all(f'"{queue}"' in answer["text"] for queue in rule.shares)
        )

    return Case(question, call, is_true)


def search(question: str, fits: Callable[[StatedRule], bool], **arguments: str) -> Case:
    """Return a question about rules; `fits` is the search of the oracle."""

    def is_true(answer: Answer, bank: StatedBank) -> bool:
        listed = [*answer["matches"], *answer["inBrief"]]
        found = {each["rule"]: place_of(each["source"]) for each in listed}
        expected = {
            rule.address: (rule.file, rule.line) for rule in bank.rules if fits(rule)
        }
        return found == expected and answer["found"] == len(expected) > 0

    return Case(question, ToolCall("find_rules", arguments), is_true)


def lists_all_queues(answer: Answer, bank: StatedBank) -> bool:
    """Return whether the queues and Environments are those of the YAML."""
    counts = {each["name"]: each["ruleCount"] for each in answer["queues"]}
    expected = {
        name: sum(name in rule.shares for rule in bank.rules)
        for name in bank.queues.values()
    }
    environments = sorted(bank.environments)
    return counts == expected and answer["environments"] == environments


def promise_holds(answer: Answer, _bank: StatedBank) -> bool:
    """Return whether the promise about stolen cards holds; promises.yaml:10 states it."""
    (first, *_) = answer["promises"]
    return (
        answer["broken"] == 0
        and first["holds"] is True
        and first["requires"] == 'only "fraud"'
        and place_of(first["source"]) == ("manifests/promises.yaml", 10)
    )


def no_promise_is_broken(answer: Answer, bank: StatedBank) -> bool:
    """Return whether each promise of the YAML is listed, and none is broken."""
    names = [each["name"] for each in answer["promises"]]
    return sorted(names) == sorted(bank.promises) and answer["broken"] == 0


def is_the_pending_transfers(answer: Answer, bank: StatedBank) -> bool:
    """Return whether the edit of transfers.yaml is the only one, with those whom it moves."""
    (effect,) = answer["effects"]
    (cause,) = effect["causes"]
    examples = [row["example"] for row in effect["rows"]]
    rule = next(
        each for each in bank.rules if each.address == "transfers/pending-transfer"
    )
    return (
        answer["complete"] is True
        and cause["address"] == rule.address
        and cause["source"] == f"{rule.file}:{rule.line}"
        and {"pending_transfer"}
        == {example["cognigyDetectedIntent"] for example in examples}
        and all(
            shares_of(row["before"]) == {"Payments and Top-ups": 1}
            and shares_of(row["after"]) == {"General Service": 1}
            for row in effect["rows"]
        )
    )


def has_the_floor_too(answer: Answer, _bank: StatedBank) -> bool:
    """Return whether the earlier commit's floor of stolen cards moves callers to the fraud desk."""
    edits = {
        cause["address"]: shares_of(row["after"])
        for effect in answer["effects"]
        for cause in effect["causes"]
        for row in effect["rows"]
    }
    return edits == {
        "fraud/lost-or-stolen-card": {"Fraud Desk": 1},
        "transfers/pending-transfer": {"General Service": 1},
    }


def is_bobs_commit(answer: Answer, _bank: StatedBank) -> bool:
    """Return whether the second commit is the answer, with its author and pull request."""
    since = answer["since"]
    return (since["author"], since["subject"], since["pullRequest"]) == (
        "Bob",
        SUBJECT,
        57,
    ) and place_of(answer["sourceNow"]) == ("manifests/fraud.yaml", 9)


def next_is_the_german_desk(answer: Answer, bank: StatedBank) -> bool:
    """Return whether the German desk would be next."""
    rule = next(each for each in bank.rules if each.address == "languages/german")
    return answer["next"]["rule"] == rule.address and place_of(
        answer["nextSource"]
    ) == (rule.file, rule.line)


QUESTIONS: Final = (
    route(
        "Where does a caller with a stolen card go?",
        intent="lost_or_stolen_card",
        confidence=0.9,
    ),
    route(
        "And if the caller speaks German?",
        intent="lost_or_stolen_card",
        confidence=0.9,
        language="de-AT",
    ),
    Case(
        "Where would that caller go if the fraud rule were not there?",
        ToolCall(
            "where_does_it_go",
            {
                "intent": "Lost or stolen card",
                "confidence": 0.9,
                "attributes": {"language": "de"},
            },
        ),
        next_is_the_german_desk,
    ),
    route(
        "Which desk unblocks a PIN for a Swiss German caller?",
        intent="pin_blocked",
        confidence=0.9,
        language="de-CH",
    ),
    route(
        "Where does a French caller with a question about cash machines go?",
        intent="atm_support",
        confidence=0.8,
        language="fr",
    ),
    route(
        "Who takes gold customers whose card does not work?",
        intent="card_not_working",
        confidence=0.9,
        customerTier="gold",
    ),
    route(
        "What happens with a stolen card if the bot is only 30 % sure?",
        intent="lost_or_stolen_card",
        confidence=0.3,
    ),
    route(
        "Where do I land if I want 12,000 euros back?",
        intent="cancel_transfer",
        confidence=0.8,
        transferAmount=12000,
    ),
    route(
        "Does a customer who perhaps wants to leave get an offer?",
        intent="terminate_account",
        confidence=0.7,
    ),
    route(
        "Where does an intent go that is in no rule?",
        intent="order_pizza",
        confidence=0.9,
    ),
    search(
        "Which rules send callers to the fraud desk?",
        lambda rule: "Fraud Desk" in rule.shares,
        queue="Fraud Desk",
    ),
    search(
        "Which rules mention cancelled transfers?",
        lambda rule: "cancel_transfer" in rule.intents,
        intent="cancel_transfer",
    ),
    search(
        "What depends on the tier of a customer?",
        lambda rule: "customerTier" in rule.attributes,
        attribute="customerTier",
    ),
    search(
        "Where is it written what the partner gets?",
        lambda rule: "Overflow Partner" in rule.shares,
        queue="overflow-partner",
    ),
    Case(
        "Which queues do we have, and in which Environments?",
        ToolCall("list_queues", {}),
        lists_all_queues,
    ),
    Case(
        "Do stolen cards always reach the fraud desk?",
        ToolCall("check_promise", {"promise": "stolen cards reach fraud desk"}),
        promise_holds,
    ),
    Case(
        "Do we break any promise now?",
        ToolCall("check_promise", {}),
        no_promise_is_broken,
    ),
    Case(
        "Who is affected by my change?",
        ToolCall("who_is_affected", {}),
        is_the_pending_transfers,
    ),
    Case(
        "And compared with the state before Bob's commit?",
        ToolCall("who_is_affected", {"revision": "HEAD~1"}),
        has_the_floor_too,
    ),
    Case(
        "Since when do stolen cards go to fraud at a confidence of one half?",
        ToolCall("since", {"intent": "lost_or_stolen_card", "confidence": 0.5}),
        is_bobs_commit,
    ),
)


def wrong(replies: list[ToolReply], bank: StatedBank) -> list[tuple[str, Answer]]:
    """Return the questions whose answers are not true, or too long for a conversation."""
    return [
        (case.question, reply.answer)
        for case, reply in zip(QUESTIONS, replies, strict=True)
        if reply.is_error
        or len(reply.text.split()) > _MOST_WORDS
        or not case.is_true(reply.answer, bank)
    ]


@pytest.mark.usefixtures("sdk")
def test_a_client_alone_answers_the_questions(bank: BankHistory) -> None:
    """Over stdin and stdout; nothing but the protocol is written, and nothing is warned of."""
    assert 20 == len(QUESTIONS)
    run = over_stdio(
        ServedProject(bank.folder), asking([case.call for case in QUESTIONS])
    )
    assert "" == run.err
    assert [] == wrong(run.result, StatedBank(bank.folder, "prod"))


@pytest.mark.usefixtures("sdk")
def test_a_client_answers_them_over_http(bank: BankHistory) -> None:
    """Over a socket, the answers are the same."""
    with http_server(ServedProject(bank.folder)) as url:
        replies = over_http(url, asking([case.call for case in QUESTIONS]))
    assert [] == wrong(replies, StatedBank(bank.folder, "prod"))
