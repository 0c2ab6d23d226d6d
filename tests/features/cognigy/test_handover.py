"""The hand-over of a flow to a script, from the bot's result to the skill: printed texts, a fake of
Cognigy's node in its versions, and an interpreter of Studio's language.
"""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.manifest.kinds.environment import Signal
from reconciler.features.cognigy.handover import (
    HandOver,
    handover_code,
    handover_steps,
)
from reconciler.targets.platform.context_client import signal_writer
from tests.support import cognigy_exit
from tests.support.cases import each_case
from tests.support.code_node import run_code_nodes
from tests.support.cognigy_exit import (
    STRING_MODE,
    VERSIONS,
    ExitFields,
    ExitVersion,
    Flow,
)
from tests.support.program import Program, write
from tests.support.snippet_machine import StudioFacts, Variables, run_machine
from tests.tiers import size

CHANNELS = ("chat", "voice")
FACTS = [
    StudioFacts(*choice)
    for choice in product(
        (True, False), (False, True), (True, False), (False, True), (0, 1)
    )
]
TYPES = ("chat", "voiceGateway2")
ENVIRONMENT = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
tenant: acme
api:
  auth: access-key
  area: na1
  queues: acd-skills
  rules: studio
  studio:
    script: 'Bot\\Hand-over'
    variables: {intent: botIntent, confidence: botScore}
"""
FALLBACK = """\
context: {minConfidence: 0.4, below: {intent: unsure}}
---
apiVersion: routing/v1
kind: Intents
name: bot
intents: [lost_card, stolen_card, transfer, limit, none, größe | maß]
"""
RULES = """\
---
apiVersion: routing/v1
kind: Queues
name: skills
queues:
  fraud: {prod: {id: "4001"}}
  cards: {prod: {id: "4002"}}
  general: {prod: {id: "4003"}}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {key: lost, intents: [lost_card, stolen_card], minConfidence: 0.8, queue: fraud, priority: 10}
  - {key: maybe, intents: [lost_card, stolen_card], queue: cards, priority: 20}
  - {key: transfer, intent: transfer, queue: cards, priority: 30}
  - {key: pipe, intent: größe | maß, queue: cards, priority: 40}
  - {key: unsure, intent: unsure, queue: general, priority: 50}
  - {key: none, intent: none, queue: general, priority: 60}
"""
RESULTS: list[dict[str, Any]] = [
    {"intent": "lost_card", "intentScore": 0.93},
    {"intent": "stolen_card", "intentScore": 0.8},
    {"intent": "lost_card", "intentScore": 0.79},
    {"intent": "lost_card", "intentScore": 0.4},
    {"intent": "lost_card", "intentScore": 0.39},
    {"intent": "lost_card", "intentScore": 1e-7},
    {"intent": "lost_card", "intentScore": None},
    {"intent": "größe | maß", "intentScore": 1},
    {"intent": "transfer", "intentScore": 0},
    {"intent": "limit", "intentScore": 0.9},
    {"intent": "nobody_knows", "intentScore": 0.9},
    {"intent": None, "intentScore": None},
    {},
]
HOSTILE: list[Any] = [
    'lost_card"',
    'x","cxr_intent":"lost_card',
    "lost_card]",
    "[lost_card]",
    "{lost_card}",
    "{cxr_exit}",
    "a\\u0022",
    "a\nASSIGN cxr_skill = 1",
    " lost_card",
    "lost_card\ufeff",
    "\ud800",
    "\u2028",
    "",
    " ",
    None,
    7,
    True,
    ["lost_card"],
    {"intent": "lost_card"},
    "x" * 257,
    "😀" * 257,
]
PLAIN: list[str] = [
    "a|b",
    "|",
    "a,b",
    "a:b // c",
    "it's 100 % & more?",
    "$x = (1)",
    "日本語",
    "x" * 256,
    "😀" * 256,
    "cxr_intent",
    "null",
    "0.5",
]


class Printed(NamedTuple):
    """The texts of a hand-over as a person copies them."""

    code: str
    fields: ExitFields
    snippet: str


def printed(steps: str) -> Printed:
    """Return the parts of printed steps."""
    code, _, rest = steps.partition("(documented):\n\n")[2].partition("\n\n3. ")
    main, spawned = re.findall(
        r"^   (?:Main|Spawned) Contact ID +(\S+)$", rest, re.MULTILINE
    )
    parameters = re.findall(r"^   \[\{\n(?:.*\n)*?   \}\]$", rest, re.MULTILINE)
    snippet = re.findall(
        r"^// cxroute: the hand-over(?:.*\n)+?(?=\n)", rest, re.MULTILINE
    )
    (json_text,) = parameters
    (snippet_text,) = snippet
    fields = ExitFields(main, spawned, json.loads(json_text))
    return Printed(code, fields, snippet_text)


def script_variables(
    channel: str, flow: Flow, texts: Printed, version: ExitVersion, first_index: int
) -> dict[str, Any]:
    """Return what the script has after the node."""
    if channel == "voice":
        sent = cognigy_exit.signal(flow, texts.fields, version)
        assert flow.spawned == sent.contact
        return cognigy_exit.received(sent)
    output = cognigy_exit.chat_output(flow, texts.fields, version)
    return cognigy_exit.returned(output, version, first_index)


def hand_over(
    channel: str, output: Any, texts: Printed, version: ExitVersion, facts: StudioFacts
) -> Variables:
    """Return the variables after the printed SNIPPET; an error goes on to the next action."""
    flow = Flow(dict(zip(CHANNELS, TYPES, strict=True))[channel], output)
    variables = script_variables(channel, flow, texts, version, facts.first_index)
    return run_machine(texts.snippet, variables, facts)


def value_of(value: Any) -> float | None:
    return None if value == "" else float(value)


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize("fallback", ["", FALLBACK], ids=["plain", "fallback"])
@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_contact_reaches_the_skill_that_explain_names(
    cxroute: Program, channel: str, version: ExitVersion, fallback: str
) -> None:
    """For each result of the bot, and whatever is not documented about Studio."""
    write("all.yaml", ENVIRONMENT + fallback + RULES)
    assert 0 == cxroute("cognigy", "--handover", channel, "-e", "prod"), cxroute.err
    texts = printed(cxroute.out)
    assert 0 == cxroute("studio", "build", "-e", "prod"), cxroute.err
    block = cxroute.out
    outputs = run_code_nodes(texts.code, [(each, {}) for each in RESULTS])
    for result, output in zip(RESULTS, outputs, strict=True):
        expected = explained(cxroute, result)
        for facts in FACTS:
            variables = hand_over(channel, output, texts, version, facts)
            decided = run_machine(block, variables, facts)
            skill = decided.get("cxr_skill")
            actual = decided["cxr_rule"], None if skill is None else str(skill)
            assert expected == actual, (result, facts)
            assert "Escalate" == decided["cxr_exit"]
            assert "_err" not in decided


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_confidence_that_became_a_text_never_raises_certainty(
    cxroute: Program, channel: str
) -> None:
    """Where Studio makes a text of the number: as the number if it reads digits as a number,
    otherwise as a missing confidence.
    """
    write("all.yaml", ENVIRONMENT + RULES)
    assert 0 == cxroute("cognigy", "--handover", channel, "-e", "prod")
    texts = printed(cxroute.out)
    assert 0 == cxroute("studio", "build", "-e", "prod")
    block = cxroute.out
    for result in RESULTS[:4]:
        (output,) = run_code_nodes(texts.code, [(result, {})])
        unscored = {**result, "intentScore": None}
        for facts in FACTS:
            own = facts._replace(json_keeps_numbers=False)
            variables = hand_over(channel, output, texts, VERSIONS[2], own)
            rule = run_machine(block, variables, own)["cxr_rule"]
            known = result if facts.digits_are_number else unscored
            assert explained(cxroute, known)[0] == rule, (result, own)


def explained(cxroute: Program, result: dict[str, Any]) -> tuple[str, str | None]:
    """Return the rule and the skill that `explain` names for a result of the bot."""
    words = ["--intent", result.get("intent") or "none"]
    if result.get("intentScore") is not None:
        words += ["--confidence", format(result["intentScore"], "f")]
    code, document = cxroute.json("explain", "-e", "prod", *words)
    assert 0 == code
    queues = document["destination"].get("queues", [{"queueId": None}])
    return document["winner"] or "", queues[0]["queueId"]


def arrived(texts: Printed, results: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    """Return intent and confidence in the script for each result: the same in each version, on each
    channel and for all facts.
    """
    found = []
    for output in run_code_nodes(texts.code, [(each, {}) for each in results]):
        values = set()
        for channel, version, facts in product(CHANNELS, VERSIONS, FACTS[::9]):
            steps = STEPS[channel]
            for index in (0, 1):
                own = facts._replace(first_index=index)
                after = hand_over(channel, output, steps, version, own)
                values.add((after["intent"], value_of(after["confidence"])))
        (pair,) = values
        found.append(pair)
    return found


STEPS = {
    channel: printed(handover_steps(HandOver(channel=channel)))  # type: ignore[arg-type]
    for channel in CHANNELS
}


def is_ordinary(intent: object) -> bool:
    """Return whether nothing about an intent is special to JSON or Studio; written independently."""
    if not isinstance(intent, str) or intent != intent.strip() or not intent:
        return False
    kinds = {unicodedata.category(character) for character in intent}
    is_short = len(intent) <= 256
    special = set('"\\[]{}\ufeff')
    return is_short and not kinds & {"Cc", "Cs", "Zl", "Zp"} and not special & {*intent}


SCORES = st.none() | st.floats(0, 1) | st.integers(0, 1)
TEXTS = (
    st.text(max_size=30)
    | st.text('|"{}[]\\,:$% a1é\n', max_size=12)
    | st.sampled_from([*PLAIN, *HOSTILE])
)


@pytest.mark.generated
@settings(max_examples=size(fast=3, slow=25), deadline=None)
@given(st.lists(st.tuples(TEXTS, SCORES), min_size=30, max_size=60))
def test_an_intent_arrives_exactly_or_as_the_unknown_one(
    said: list[tuple[Any, Any]],
) -> None:
    """Never as another one; with its confidence, or without both."""
    results = [{"intent": intent, "intentScore": score} for intent, score in said]
    pairs = arrived(STEPS["chat"], results)
    for (intent, score), pair in zip(said, pairs, strict=True):
        assert pair in [(intent, score), ("none", None)], (intent, score)
        if is_ordinary(intent):
            assert (intent, score) == pair


def test_texts_that_a_script_cannot_hold_are_unknown() -> None:
    """Quotes, brackets, braces, control characters, half characters, and too long texts."""
    results = [{"intent": each, "intentScore": 0.9} for each in HOSTILE]
    assert [("none", None)] * len(HOSTILE) == arrived(STEPS["chat"], results)


def test_other_texts_arrive_letter_by_letter() -> None:
    """Separators of a list of parameters, too; a score beyond the bounds becomes the bound."""
    results = [{"intent": each, "intentScore": 1.5} for each in PLAIN]
    assert [(each, 1.0) for each in PLAIN] == arrived(STEPS["chat"], results)


@each_case("score", ["0.9", True, [], {"a": 1}, float("-inf")])
def test_an_odd_score_is_none(score: Any) -> None:
    """The intent arrives."""
    odd = None if score == float("-inf") else score
    results = [{"intent": "a", "intentScore": odd}]
    assert [("a", None)] == arrived(STEPS["chat"], results)


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_hand_over_without_our_parameters_is_unknown(channel: str) -> None:
    """No parameters, those of another flow, the wrong mode, a second element: also where the
    snippet stops. A value of an earlier hand-over does not stay.
    """
    steps = STEPS[channel]
    output = {"intent": "lost_card", "confidence": 0.9}
    own = steps.fields.parameters
    foreign: list[list[Any]] = [
        [],
        ["lost_card", "0.9"],
        [{"intent": "lost_card"}],
        [{}, *own],
    ]
    for parameters, version in product(foreign, VERSIONS):
        texts = steps._replace(fields=steps.fields._replace(parameters=parameters))
        assert "none" == intent_after(channel, output, texts, version)
    for version in VERSIONS[:2]:
        fields = steps.fields._replace(parameters=[*own, "more"])
        texts = steps._replace(fields=fields)
        assert "none" == intent_after(channel, output, texts, version)
    assert "none" == intent_after(channel, output, steps, STRING_MODE)


def intent_after(
    channel: str, output: Any, texts: Printed, version: ExitVersion
) -> Any:
    """Return the intent in a script that had another one before."""
    flow = Flow(channel, output)
    facts = StudioFacts()
    variables = script_variables(channel, flow, texts, version, facts.first_index)
    before = {"intent": "old", "confidence": 1}
    return run_machine(texts.snippet, {**before, **variables}, facts)["intent"]


def test_members_of_the_flow_stay_readable() -> None:
    """A text and a number beside the bot's values."""
    for channel, version in product(CHANNELS, VERSIONS):
        steps = STEPS[channel]
        (own,) = steps.fields.parameters
        fields = steps.fields._replace(
            parameters=[{**own, "account": "12|3", "age": 7}]
        )
        output = {"intent": "a", "confidence": 0.5}
        texts = steps._replace(fields=fields)
        after = hand_over(channel, output, texts, version, StudioFacts())
        assert ("a", "12|3", 7) == (
            after["intent"],
            after["cxr_bot"]["account"],
            after["cxr_bot"]["age"],
        )


def test_the_end_of_a_conversation_is_told_from_an_escalation() -> None:
    """By `cxr_exit`, whatever the parameters are."""
    for channel, version in product(CHANNELS, VERSIONS):
        flow = Flow(channel, {"intent": "a", "confidence": ""}, action="End")
        steps = STEPS[channel]
        variables = script_variables(channel, flow, steps, version, 0)
        after = run_machine(steps.snippet, variables, StudioFacts())
        assert ("End", "a", "") == (
            after["cxr_exit"],
            after["intent"],
            after["confidence"],
        )


def test_the_words_of_a_printed_snippet_are_known() -> None:
    """Only statements and methods that documents or third-party code show."""
    for channel in CHANNELS:
        words = set(re.findall(r"\b[A-Z]{2,}\b", STEPS[channel].snippet))
        assert words <= {"ASSIGN", "IF", "DYNAMIC", "FROM"}
        methods = set(re.findall(r"\.(\w+)\(", STEPS[channel].snippet))
        assert methods <= {"contains", "replace"}


def test_variables_and_unknown_intent_are_those_of_the_options(
    cxroute: Program,
) -> None:
    """Without -e, the names are intent and confidence; the attributes' names, or `variables`."""
    assert 0 == cxroute("cognigy", "--handover", "chat", "--none", "nothing")
    assert 'ASSIGN intent = "nothing"\n' in cxroute.out
    environment = ENVIRONMENT.replace("    variables:", "    # variables:")
    write("all.yaml", environment + "attributes: {confidence: sure}\n")
    assert 0 == cxroute("cognigy", "nodes", "--handover", "voice", "-e", "prod")
    assert 'ASSIGN cognigyDetectedIntent = "none"\n' in cxroute.out
    assert 'ASSIGN sure = ""\n' in cxroute.out
    assert 0 == cxroute("cognigy", "--handover", "voice", "-e", "prod", "--code")
    assert handover_code(HandOver(channel="voice")) == cxroute.out


def test_the_environments_variable_names_the_environment(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for every other command."""
    write("all.yaml", ENVIRONMENT)
    monkeypatch.setenv("CXROUTE_ENV", "prod")
    assert 0 == cxroute("cognigy", "--handover", "voice")
    assert 'ASSIGN botScore = ""\n' in cxroute.out


def test_a_service_with_the_fallback_gets_the_plain_intent(cxroute: Program) -> None:
    """A decision service applies the published fallback itself."""
    served = (
        ENVIRONMENT.partition("  auth:")[0]
        + '  rules: served\n  served: {url: "https://r.example", variables: {intent: asked}}\n'
    )
    write("all.yaml", served + FALLBACK)
    assert 0 == cxroute("cognigy", "--handover", "chat", "-e", "prod"), cxroute.err
    assert 'ASSIGN asked = "none"\n' in cxroute.out
    assert "context.below" not in cxroute.out
    assert "The fallback" not in cxroute.out


@each_case(
    "words, manifest, message",
    [
        (("--url", "https://x.example"), "", "--url does not go with --handover"),
        (("--conversation", "input.x"), "", "--conversation does not go with"),
        (("--none", 'a"b'), "", '--none "a\\"b" cannot be handed over'),
        (("--none", "a[b]"), "", "cannot be handed over"),
        (("-e", "prod"), "attributes: {intent: 'bot intent'}\n", "letters, digits"),
        (("-e", "prod"), "attributes: {intent: cxr_x}\n", "a meaning of its own"),
        (
            ("-e", "prod"),
            "context: {below: {intent: '{x}'}}\n",
            "`context.below.intent`",
        ),
        (("-e", "nowhere"), "", "nowhere"),
    ],
)
def test_a_hand_over_that_cannot_work_is_refused(
    cxroute: Program, words: tuple[str, ...], manifest: str, message: str
) -> None:
    """Exit 64 with the reason, and nothing printed."""
    environment = ENVIRONMENT.replace("    variables:", "    # variables:")
    write("all.yaml", environment + manifest)
    code = cxroute("cognigy", "--handover", "voice", *words)
    assert (64, "") == (code, cxroute.out)
    assert message in cxroute.err


def test_intents_that_never_arrive_are_named(cxroute: Program) -> None:
    """A warning, with the intent that arrives instead."""
    intents = FALLBACK.replace("limit,", "'li[m]it',")
    write("all.yaml", ENVIRONMENT + intents)
    assert 0 == cxroute("cognigy", "--handover", "voice", "-e", "prod")
    assert "1 intent of the Intents documents cannot be handed over" in cxroute.err
    assert 'arrive as "unsure": "li[m]it"' in cxroute.err


def test_signal_interaction_sends_what_the_writer_sends() -> None:
    """The parameters on the page, with the Code node of the hand-over; the time stays empty."""
    page = Path(__file__).parents[3] / "docs" / "cognigy.md"
    section = page.read_text(encoding="utf-8").partition("### Signal Interaction")[2]
    (listed,) = re.findall(r"```json\n(.*)\n```", section)
    result = {"intent": "größe | maß & more", "intentScore": 0.93}
    (output,) = run_code_nodes(STEPS["voice"].code, [(result, {})])
    texts = Flow("voice", output).resolve(json.loads(listed))
    by_node = {f"p{number}": text for number, text in enumerate(texts, 1) if text}

    requested: list[str] = []

    async def call(_name: str, path: str, _body: bytes) -> Any:
        requested.append(path)

    names = {"intent": 7, "confidence": 8, "updatedAt": 9}
    values: dict[str, Any] = {
        "intent": result["intent"],
        "confidence": 0.93,
        "updatedAt": None,
    }

    async def write_signal() -> None:
        await signal_writer(names)(call, "/signal", values)

    asyncio.run(write_signal())
    query = requested[0].partition("?")[2]
    assert by_node == {name: text for name, (text,) in parse_qs(query).items()}
    assert Signal() == Signal.model_validate(names)


def test_a_signal_of_the_endpoint_goes_to_the_spawned_contact(
    cxroute: Program,
) -> None:
    """With the id that Context Init keeps; other writers keep the session's id."""
    write("all.yaml", ENVIRONMENT + "context: {writer: voice-signal}\n")
    assert 0 == cxroute("cognigy", "-e", "prod", "--code")
    context = {"data": {"contactId": "1", "spawnedContactId": "2"}}
    bot = {"intent": "a", "sessionId": "3"}
    assert "2" == run_code_nodes(cxroute.out, [(bot, context)])[0]["conversationId"]
    write("all.yaml", ENVIRONMENT)
    assert 0 == cxroute("cognigy", "-e", "prod", "--code")
    assert "3" == run_code_nodes(cxroute.out, [(bot, context)])[0]["conversationId"]
