"""`cxroute cognigy intents --check`: what differs between the bot and the manifests, as text and
JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.cognigy_bots import Intent, intent, lookup_chart, write_folder
from tests.support.program import Program, write

ENVIRONMENTS = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
tenant: acme
context: {minConfidence: 0.4, below: {intent: unsure}}
---
apiVersion: routing/v1
kind: Environment
name: staging
owner: acme
tenant: acme-staging
"""
RULES = """\
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {key: theft, intents: [lost, stolen], queue: Cards}
  - {key: limits, intent: limits, queue: Cards, environments: [staging]}
  - {intent: unsure, queue: Cards}
  - {intent: none, queue: Cards}
---
apiVersion: routing/v1
kind: RouteTests
name: cards
tests:
  - {given: {intent: lost, confidence: 0.9}, expect: {queue: Cards}}
"""
KINDS = ("added", "removed", "renamed", "unrouted", "unknown", "unknownCases")
FACTS = ("decidedInFlow",)
SAME = ("lost", "stolen", "limits")


class Desk:
    """Manifests with three intents, and a bot in a folder."""

    def __init__(self, cxroute: Program) -> None:
        self.cxroute = cxroute
        write("environments.yaml", ENVIRONMENTS)
        write("rules.yaml", RULES)
        self.document(SAME)

    def document(self, names: Iterable[str]) -> None:
        """Write the Intents document, with reference ids."""
        listed = "".join(
            f"  - {{name: {name}, id: {intent(name)['referenceId']}}}\n"
            for name in names
        )
        write(
            "intents.yaml",
            f"apiVersion: routing/v1\nkind: Intents\nname: bot\nintents:\n{listed}",
        )

    def check(
        self, items: Iterable[Intent], *words: str, chart: Any = None
    ) -> tuple[int, dict[str, Any]]:
        """Return the exit code, and the kinds of differences that are not empty."""
        self.words = ["cognigy", "intents", "--from", "bot", "--check", *words]
        write_folder(
            Path("bot"),
            {"Main": {"English": list(items)}},
            {"Main": chart} if chart else None,
        )
        code, form = self.cxroute.json(*self.words)
        assert form["differs"] == any(form[kind] for kind in KINDS)
        assert (2 if form["differs"] else 0) == code
        return code, {kind: form[kind] for kind in (*KINDS, *FACTS) if form[kind]}

    def text(self) -> str:
        """Return the output of the last check as text."""
        self.cxroute(*self.words)
        return self.cxroute.out


@pytest.fixture
def desk(cxroute: Program) -> Desk:
    return Desk(cxroute)


def test_equal_intents_agree(desk: Desk) -> None:
    """Intents of the endpoint's fallback and `none` are not the bot's. Nothing is written."""
    before = {path: path.read_bytes() for path in Path("manifests").iterdir()}
    assert (0, {}) == desk.check(map(intent, SAME))
    assert "The bot and the manifests agree.\n" == desk.text()
    assert before == {path: path.read_bytes() for path in Path("manifests").iterdir()}


def test_an_intent_without_a_rule_is_a_difference(desk: Desk) -> None:
    """In the environment of -e, or without it in any; a catch-all takes every intent."""
    bot = [*map(intent, (*SAME, "new"))]
    assert (2, {"added": ["new"], "unrouted": ["new"]}) == desk.check(bot)
    assert '1 intent that no rule takes:\n  "new"\n' in desk.text()
    assert (2, {"added": ["new"], "unrouted": ["limits", "new"]}) == desk.check(
        bot, "-e", "prod"
    )
    write(
        "rest.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: rest\nrules: [{key: all, when: [], queue: "
        "Q}]\n",
    )
    assert (2, {"added": ["new"]}) == desk.check(bot)


def test_a_disabled_intent_is_not_the_bots(desk: Desk) -> None:
    """Rules and tests for it are reported, each with its position."""
    bot = [intent("lost", isDisabled=True), *map(intent, SAME[1:])]
    places = ["manifests/rules.yaml:5:5", "manifests/rules.yaml:14:5"]
    unknown = [{"intent": "lost", "renamedTo": None, "sources": places}]
    assert (2, {"removed": ["lost"], "unknown": unknown}) == desk.check(bot)
    assert f'  "lost" in {", ".join(places)}\n' in desk.text()


def test_a_renamed_intent_is_recognised_by_its_id(desk: Desk) -> None:
    """By the reference id that the previous document holds."""
    bot = [
        intent("lost_card", referenceId=intent("lost")["referenceId"]),
        *map(intent, SAME[1:]),
    ]
    code, differences = desk.check(bot)
    assert (2, [{"before": "lost", "after": "lost_card"}]) == (
        code,
        differences["renamed"],
    )
    assert ("lost", "lost_card") == tuple(differences["unknown"][0].values())[:2]
    assert '; renamed to "lost_card"?\n' in desk.text()
    assert ["lost_card"] == differences["unrouted"]
    assert {"unrouted", "unknown", "renamed"} == {*differences}


def test_a_document_outside_the_manifests_is_compared(desk: Desk) -> None:
    """With --into; a file that does not exist has no intents."""
    bot = [*map(intent, SAME)]
    assert (2, {"added": sorted(SAME)}) == desk.check(bot, "--into", "other.yaml")
    assert 0 == desk.cxroute(
        "cognigy", "intents", "--from", "bot", "--into", "other.yaml"
    )
    assert (0, {}) == desk.check(bot, "--into", "other.yaml")


def test_route_tests_of_unknown_intents_are_not_reported(desk: Desk) -> None:
    """A test that expects the default routing, or that names an intent of no document, is meant
    that way.
    """
    head = "apiVersion: routing/v1\nkind: RouteTests\nname: more\ntests:\n"
    default = "  - {given: {intent: small_talk}, expect: {default: true}}\n"
    write(
        "more.yaml",
        f"{head}{default}  - {{given: {{intent: weather}}, expect: {{queue: Cards}}}}\n",
    )
    assert (0, {}) == desk.check(map(intent, SAME))
    Path("manifests/intents.yaml").unlink()
    unknown = [
        {"intent": "weather", "renamedTo": None, "sources": ["manifests/more.yaml:6:5"]}
    ]
    assert (2, {"added": sorted(SAME), "unknown": unknown}) == desk.check(
        map(intent, SAME)
    )


def test_lookup_cases_are_compared_letter_by_letter(desk: Desk) -> None:
    """A case on an unknown intent, and those on intents of the bot; the flow decides before
    CXone.
    """
    chart = lookup_chart("lost", "Lost", "limits", "quiet")
    names = [*SAME, "quiet"]
    desk.document(names)
    write(
        "rest.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: rest\nrules: [{key: all, when: [], queue: "
        "Q}]\n",
    )
    code, differences = desk.check(map(intent, names), chart=chart)
    assert 2 == code
    assert {"unknownCases", "decidedInFlow"} == {*differences}
    assert [{"intent": "Lost", "flow": "Main"}] == differences["unknownCases"]
    assert ["limits", "lost", "quiet"] == differences["decidedInFlow"]
    assert (
        "3 intents with a Lookup case: the flow itself decides for them, before CXone does:\n"
        in desk.text()
    )
    code, differences = desk.check(map(intent, names), chart=lookup_chart("quiet"))
    assert (0, {"decidedInFlow": ["quiet"]}) == (code, differences)
    decided = {"decidedInFlow": ["limits", "lost"]}
    assert (0, decided) == desk.check(
        map(intent, names), chart=lookup_chart("lost", "limits")
    )


def test_long_lists_are_cut_except_in_json_and_with_v(desk: Desk) -> None:
    """Each name is on a line of its own, with control characters escaped."""
    bot = [*map(intent, SAME), *(intent(f"new\n{number:02}") for number in range(30))]
    _, differences = desk.check(bot)
    assert 30 == len(differences["added"]) == len(differences["unrouted"])
    assert '  "new\\n19"\n  and 10 more (-v lists all)\n' in desk.text()
    assert 0 != desk.cxroute("-v", *desk.words)
    assert '  "new\\n29"\n' in desk.cxroute.out


def test_errors_of_the_manifests_exit_with_3(desk: Desk) -> None:
    """And a wrong bot with 1, as one JSON document."""
    write("rules.yaml", RULES.replace("queue: Cards", "queues: Cards", 1))
    write_folder(Path("bot"), {"Main": {"English": [intent("a")]}})
    assert 3 == desk.cxroute("cognigy", "intents", "--from", "bot", "--check")
    code, form = desk.cxroute.json("cognigy", "intents", "--from", "none", "--check")
    assert (1, "Bot") == (code, form["error"]["kind"]), json.dumps(form)
