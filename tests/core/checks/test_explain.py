"""`cxroute explain`: the rule that takes a conversation, why each earlier rule does not, and the
meaning of a code.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.files import STATE
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.checks.explain import Explanation, explain
from reconciler.core.manifest.kinds.environment import Api, Environment
from reconciler.core.model.finding import CODES
from reconciler.core.model.rule import Target, make_condition, make_opaque
from reconciler.features.practice.sandbox import open_state
from reconciler.features.practice.simulator.state import bank_tenant
from reconciler.render.colour import no_style
from reconciler.render.limits import ALL_ROWS
from reconciler.render.text.explain import DisplayNames, explain_document, explain_text
from tests.support.builders import LABELS, QUEUES, address, at_least, intent_is, rule
from tests.support.cases import each_case
from tests.support.hostile_names import CONTROL_CHARACTERS, HOSTILE_TEXTS
from tests.support.program import Program, name_tenant, write
from tests.support.work_bounds import takes_at_most

pytestmark = pytest.mark.usefixtures("elsewhere")
ROOT = Path(__file__).resolve().parents[3]
PROD = Environment(name="prod", owner="acme", tenant="acme")
NAMES = DisplayNames(
    "the manifests of prod", {queue.id: queue.name for queue in QUEUES}, LABELS
)
UNKNOWN = make_opaque(
    {
        "type": "attribute",
        "attributeName": "words",
        "operator": "matchesRegex",
        "value": "x",
    }
)


def entry(name: str, **said: object) -> RoutingEntry:
    """Return a managed rule for the intent `name`, with the given changes."""
    return RoutingEntry(
        name=f"cards/{name}", rule=rule(name, **said), address=address(f"cards/{name}")
    )


def explained(
    entries: list[RoutingEntry], environment: Environment = PROD, **given: Any
) -> Explanation:
    names = {"intent": "cognigyDetectedIntent", "confidence": "cognigyConfidence"}
    return explain(
        entries,
        {names.get(name, name): value for name, value in given.items()},
        environment,
    )


def text(entries: list[RoutingEntry], **given: Any) -> str:
    return explain_text(explained(entries, **given), NAMES, no_style)


CATCH_ALL = entry("rest", conditions=[], priority=900, targets=[Target("q-general", 1)])


def test_the_text_of_an_explanation() -> None:
    """The destination, the relevant rules, the number of further rules, and the next match."""
    entries = [
        entry(
            "billing", conditions=[intent_is("billing"), at_least(0.75)], priority=10
        ),
        entry("dispute", priority=12),
        entry(
            "gold",
            conditions=[make_condition("tier", "in", ["gold", "platinum"])],
            priority=50,
        ),
        CATCH_ALL,
    ]
    assert """\
By the manifests of prod, a conversation with intent "billing", confidence 0.62, tier "silver"
goes to "General", by cards/rest.

  no   cards/billing  priority 10   confidence >= 0.75, but it is 0.62   in no manifest
  no   cards/gold     priority 50   tier is one of "gold", "platinum", but it is "silver"   in no manifest
  yes  cards/rest     priority 900  every conversation   in no manifest

1 earlier rule is for another intent; -v lists all.
Without cards/rest it would go to the tenant's default routing.
""" == text(entries, tier="silver", confidence=0.62, intent="billing")
    full = explain_text(
        explained(entries, intent="billing", confidence=0.62), NAMES, no_style, ALL_ROWS
    )
    assert (
        '  no   cards/dispute  priority 12   intent is "dispute", but it is "billing"   in no manifest\n'
        in full
    )
    assert "-v" not in full


def test_another_intent_is_always_the_reason() -> None:
    """Even if other conditions do not hold: a rule for another intent did not almost match."""
    entries = [
        entry("other", conditions=[intent_is("other"), at_least(0.9)]),
        CATCH_ALL,
    ]
    (miss,) = explained(entries, intent="x", confidence=0.1).non_matches
    assert ("cognigyDetectedIntent", True) == (
        getattr(miss.condition, "attribute", ""),
        miss.other_intent,
    )
    assert "1 earlier rule asks for an intent, and this conversation has none" in text(
        entries, confidence=0.1
    )


def test_the_next_match_is_named() -> None:
    """With its queue: an editor of the winner sees the next destination."""
    assert 'Without cards/pin it would go to "General", by cards/rest' in text(
        [entry("pin"), CATCH_ALL], intent="pin"
    )
    assert "goes to the tenant's default routing: no rule takes it.\n" in text(
        [entry("pin")], intent="x"
    )


def test_a_relevant_tie_is_named() -> None:
    """The platform decides between equal priorities; a tie with the same queue is not relevant."""
    both = [
        entry("a", conditions=[]),
        entry("b", conditions=[], targets=[Target("q-fraud", 1)]),
    ]
    message = text(both, x=1)
    assert 'cards/b has the same priority and would send it to "Fraud"' in message
    same = [
        entry("a", conditions=[]),
        entry("b", conditions=[], targets=[Target("q-cards", 7)]),
    ]
    assert "same priority" not in text(same, x=1)
    assert ("cards/b",) == tuple(
        rival.name for rival in explained(both, x=1).tied_rules
    )


def test_disabled_rules_that_would_take_it_are_named() -> None:
    """But only those before the winner."""
    off = [
        entry("pin", enabled=False, priority=1),
        entry("late", enabled=False, conditions=[], priority=999),
    ]
    message = text([*off, CATCH_ALL], intent="pin")
    assert "cards/pin is switched off; it would take this conversation." in message
    assert "cards/late" not in message
    highest = PROD.model_copy(update={"api": Api(evaluation="highest-first")})
    assert ["cards/late"] == [
        item.name
        for item in explained([*off, CATCH_ALL], highest, intent="pin").switched_off
    ]


def test_a_condition_that_is_not_understood_is_never_decided() -> None:
    """Neither winner nor destination in JSON, a question mark in text; unless a known condition
    does not hold.
    """
    unsure = entry(
        "words", conditions=[UNKNOWN], targets=[Target("q-fraud", 1)], priority=5
    )
    declared = entry("both", conditions=[UNKNOWN, intent_is("other")], priority=6)
    entries = [unsure, declared, CATCH_ALL]
    message = text(entries, intent="x")
    assert (
        "Unless the rule marked ? takes it: cxroute does not understand its condition."
        in message
    )
    assert (
        '  ?    cards/words  priority 5    a part that cxroute does not understand: {"attributeName"'
        in message
    )
    assert '; then to "Fraud"' in message
    form = explain_document(explained(entries, intent="x"), NAMES)
    assert (None, None) == (form["winner"], form["destination"])
    assert ("cards/rest", ["cards/words"]) == (
        form["otherwise"]["winner"],
        [item["rule"] for item in form["undecided"]],
    )
    assert (
        []
        == explain_document(explained([declared, CATCH_ALL], intent="x"), NAMES)[
            "undecided"
        ]
    )


def test_a_long_list_stays_readable() -> None:
    """Twenty relevant rules, the others counted; and no rule that may take the conversation is
    hidden.
    """
    many = [
        entry(f"t{n}", conditions=[make_condition("t", "equals", n)], priority=n)
        for n in range(50)
    ]
    unsure = entry("words", conditions=[UNKNOWN], priority=500)
    message = text([*many, unsure, CATCH_ALL], x=1)
    assert 20 == message.count("\n  no ")
    assert "  ?    cards/words" in message
    assert "30 further earlier rules do not take it; -v lists all." in message


def test_ten_thousand_rules_take_milliseconds() -> None:
    """Far below the time to load them; the bound is wide, for busy machines."""
    entries = [entry(f"i{n}", priority=1) for n in range(10_000)]
    with takes_at_most(rules=20_000):
        assert 10_000 == len(
            explained([*entries, CATCH_ALL], intent="none of them").non_matches
        )


@each_case("hostile", HOSTILE_TEXTS)
def test_hostile_names_do_not_reach_the_terminal(hostile: str) -> None:
    """As an intent, an attribute, a live rule's name, a queue, and a condition that is not
    understood.
    """
    odd = make_opaque({"type": hostile})
    foreign_side = [
        RoutingEntry(
            name=hostile,
            rule=rule(
                hostile,
                conditions=[make_condition(hostile, "equals", hostile)],
                priority=1,
            ),
        ),
        RoutingEntry(
            name=hostile,
            rule=rule(hostile, conditions=[odd], targets=[odd], priority=2),
        ),
        RoutingEntry(name=hostile, rule=rule(hostile, conditions=[], priority=3)),
        RoutingEntry(
            name=hostile, rule=rule(hostile, conditions=[], enabled=False, priority=0)
        ),
    ]
    names = replace(NAMES, queues={"q-cards": hostile})
    attributes = {"cognigyDetectedIntent": hostile, hostile + "x": hostile}
    actual = explain(foreign_side, attributes, PROD)
    for message in (
        explain_text(actual, names, no_style),
        explain_text(actual, names, no_style, ALL_ROWS),
    ):
        assert CONTROL_CHARACTERS.search(message) is None
    json.dumps(explain_document(actual, names))


def test_the_bank_is_explained_by_its_manifests_or_by_its_tenant(
    cxroute: Program,
) -> None:
    """Offline: the desired rules. --live: every live rule, unmanaged ones with their names."""
    with open_state(STATE, bank_tenant()):
        pass
    message = [
        "-m",
        str(ROOT / "manifests"),
        "explain",
        "--intent",
        "pin_blocked",
        "--confidence",
        "0.65",
    ]
    code, offline = cxroute.json(*message)
    assert (0, "manifests", "general/catch-all") == (
        code,
        offline["rules"],
        offline["winner"],
    )
    assert {
        "queues": [{"queueId": None, "queueName": "General Service", "share": 1.0}]
    } == offline["destination"]
    passed = {item["rule"]: item for item in offline["passed"]}
    assert ("cognigyConfidence", "greaterThanOrEqual", 0.7) == tuple(
        passed["cards/pin-blocked"]["condition"][name]
        for name in ("attributeName", "operator", "value")
    )
    assert passed["cards/pin-blocked"]["source"]["file"].endswith("cards.yaml")
    assert "fraud/lost-or-stolen-card" in passed
    assert 0 == cxroute(*message)
    assert cxroute.out.startswith(
        "Simulated: no tenant was contacted.\nBy the manifests"
    )
    assert len(cxroute.out.splitlines()) < 20
    code, live = cxroute.json(
        *message, "--live", "--attr", "ivrMenu=branch", "--attr", "channel=phone"
    )
    assert (0, "live", "IVR | branch line") == (code, live["rules"], live["winner"])


def test_managed_live_rules_have_the_position_of_the_manifests(
    cxroute: Program,
) -> None:
    """A managed rule has address, file and line; one without a manifest has only its address."""
    assert 0 == cxroute("init")
    assert 0 == cxroute("apply", "--yes")
    assert 0 == cxroute(
        "explain", "--live", "--intent", "billing_inquiry", "--confidence", "0.9", "-v"
    )
    assert (
        '  yes  routing/billing-inquiry      priority 100  intent is "billing_inquiry"'
        in cxroute.out
    )
    assert "manifests/routing.yaml:8\n" in cxroute.out
    Path("manifests/tests.yaml").unlink()
    write(
        "routing.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: routing\nrules: []\n",
    )
    assert 0 == cxroute(
        "explain", "--live", "--intent", "billing_inquiry", "--confidence", "0.9"
    )
    assert "confidence >= 0.6   in no manifest\n" in cxroute.out
    assert 0 == cxroute("explain", "--intent", "billing_inquiry")
    assert "goes to the tenant's default routing: no rule takes it." in cxroute.out


@pytest.mark.parametrize(
    ("said", "attributes"),
    [
        (
            ["--intent", "x", "--confidence", "0.5"],
            {"cognigyDetectedIntent": "x", "cognigyConfidence": 0.5},
        ),
        (
            ["--attr", "n=1", "--attr", "m=-1.5e2", "--attr", "t=01"],
            {"n": 1, "m": -150.0, "t": "01"},
        ),
        (["--attr", 'n="1"', "--attr", 'q="a\\"b"'], {"n": "1", "q": 'a"b'}),
        (["--attr", "a=true", "--attr", "b=null"], {"a": "true", "b": "null"}),
        (["--attr", "a=b=c", "--attr", "e="], {"a": "b=c", "e": ""}),
        (["--intent="], {"cognigyDetectedIntent": ""}),
    ],
)
def test_a_conversation_is_given_on_the_command_line(
    cxroute: Program, said: list[str], attributes: dict[str, object]
) -> None:
    """Numbers as in JSON, all other values are text; true and false are the texts that rules
    compare with.
    """
    assert 0 == cxroute("init")
    code, form = cxroute.json("explain", *said)
    assert (0, attributes) == (code, form["input"])
    assert [type(attribute) for attribute in attributes.values()] == [
        type(item) for item in form["input"].values()
    ]


@pytest.mark.fast_cases(6)
@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([], "specify a conversation, such as --intent"),
        (["--live"], "specify a conversation, such as --intent"),
        (["CXR1005"], 'did you mean "CXR105"?'),
        (
            ["lost_or_stolen_card"],
            "for a conversation, specify --intent lost_or_stolen_card",
        ),
        (["\x1b[31m"], 'unknown code "\\u001b[31m"'),
        (["CXR105", "--intent", "x"], "a code or a conversation, not both"),
        (["--confidence", "62"], "must be a number from 0 to 1"),
        (["--confidence", "-0.1"], "must be a number from 0 to 1"),
        (["--confidence", "nan"], "must be a number from 0 to 1"),
        (["--confidence", ""], "must be a number from 0 to 1"),
        (["--attr", "x"], "must be NAME=VALUE"),
        (["--attr", "=x"], "must be NAME=VALUE"),
        (["--attr", "a=1", "--attr", "a=2"], "'a' is given twice"),
        (["--intent", "x", "--attr", "cognigyDetectedIntent=y"], "is given twice"),
        (["--attr", "a=1e999"], "the number '1e999' is too large"),
        (["--attr", 'a="x'], "begins with a quote but is not a JSON string"),
        (["--intent", "x", "-e", "prd"], "no Environment is named 'prd'"),
    ],
)
def test_an_invalid_request_is_one_sentence(
    cxroute: Program, said: list[str], why: str
) -> None:
    """Exit 64, nothing on stdout; in JSON one document."""
    assert 0 == cxroute("init")
    assert 64 == cxroute("explain", *said)
    assert ("", 1) == (cxroute.out, len(cxroute.err.splitlines()))
    assert why in cxroute.err
    assert CONTROL_CHARACTERS.search(cxroute.err) is None
    code, form = cxroute.json("explain", *said)
    assert (64, 64) == (code, form["error"]["exitCode"])


def test_invalid_manifests_are_exit_3(cxroute: Program) -> None:
    """Offline as with --live; a failed route test does not prevent the command that explains it."""
    assert 0 == cxroute("init")
    path = Path("manifests/tests.yaml")
    path.write_text(
        path.read_text().replace(
            "expect: { queue: cards }", "expect: { queue: billing }"
        )
    )
    for further in ([], ["--live"]):
        assert 0 == cxroute("explain", "--intent", "lost_or_stolen_card", *further)
    path = Path("manifests/routing.yaml")
    path.write_text(path.read_text().replace("queue: billing", "queue: ${nope}"))
    for further in ([], ["--live"]):
        assert 3 == cxroute("explain", "--intent", "lost_or_stolen_card", *further)
        assert "CXR107" in cxroute.err


def test_live_needs_credentials_and_offline_none(cxroute: Program) -> None:
    """A real tenant, without credentials."""
    assert 0 == cxroute("init")
    name_tenant()
    assert 0 == cxroute("explain", "-e", "prod", "--intent", "x")
    assert 1 == cxroute("explain", "-e", "prod", "--intent", "x", "--live")
    assert "CXONE_CLIENT_ID" in cxroute.err


def test_a_likely_misspelling_is_reported(cxroute: Program) -> None:
    """An attribute without a condition in any rule, and an unknown intent; on stderr, with the
    nearest name.
    """
    assert 0 == cxroute("init")
    assert 0 == cxroute(
        "explain", "--intent", "biling_inquiry", "--attr", "cognigyConfidense=1"
    )
    assert (
        'intent "biling_inquiry" is in no Intents document; did you mean "billing_inquiry"?'
        in cxroute.err
    )
    assert (
        'no rule has a condition on "cognigyConfidense"; did you mean "cognigyConfidence"?'
        in cxroute.err
    )
    assert 0 == cxroute("explain", "-q", "--intent", "biling_inquiry")
    assert "" == cxroute.err


@each_case("code", sorted(CODES))
def test_every_code_is_explained(cxroute: Program, code: str) -> None:
    """Its title and its long text, in upper or lower case, without manifests."""
    assert 0 == cxroute("explain", code.lower())
    assert f"{code}: {CODES[code].title}\n\n{CODES[code].text}\n" == cxroute.out
    assert (
        0,
        {"code": code, "title": CODES[code].title, "text": CODES[code].text},
    ) == cxroute.json("explain", code)
