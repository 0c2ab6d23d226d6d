"""`replay` and `plan --replay`: recorded conversations through live rules, manifests and files."""

from __future__ import annotations

import csv
import json
import re
from html import escape
from pathlib import Path

import pytest

from tests.support.hostile_names import CONTROL_CHARACTERS, HOSTILE_NAMES, HOSTILE_TEXTS
from tests.support.plan_validator import validate_plan
from tests.support.program import Program, write
from tests.support.rule_files import ALL, asks, card, file, form

CALLS = """\
intent,confidence,customerTier,phone
card_not_working,0.9,gold,555-1
card_not_working,0.6,,555-2
card_not_working,0.55,,555-3
lost_card,0.6,,555-4
card_not_working,0.5,,555-5
card_not_working,0.69,gold,555-6
"""


def test_two_files_are_replayed_without_an_environment(cxroute: Program) -> None:
    """Who goes elsewhere, by pair of queues, with the winning rules and an example; JSON has
    three.
    """
    remaining = file("left.json", [card(0.5), ALL])
    right = file("right.json", [card(0.7), ALL])
    calls = file("calls.csv", CALLS)
    assert 0 == cxroute("replay", calls, remaining, right)
    assert (
        """\
calls.csv, from left.json to right.json

Of 6 recorded conversations, 4 (66.7 %) go elsewhere.
  4 conversations: an unknown queue (q-cards) -> an unknown queue (q-general)
      example: line 3: intent "card_not_working", confidence 0.6   ("card" -> "all")
"""
        == cxroute.out
    )
    code, actual = cxroute.json("replay", calls, remaining, right)
    (pair,) = actual.pop("pairs")
    assert {
        "file": "calls.csv",
        "total": 6,
        "moved": 4,
        "movedPercent": 100 * 4 / 6,
    } == dict(list(actual.items())[:4])
    assert (0, 0, [], []) == (
        actual["unknown"],
        actual["unlisted"],
        actual["unrecorded"],
        actual["unseen"],
    )
    assert [{"before": "card", "after": "all"}] == pair["rules"]
    assert 4 == pair["moved"]
    assert {
        "queues": [{"queueId": "q-general", "queueName": None, "share": 1.0}]
    } == pair["after"]
    assert [3, 4, 6] == [example["line"] for example in pair["examples"]]
    assert {
        "cognigyDetectedIntent": "card_not_working",
        "cognigyConfidence": 0.6,
    } == pair["examples"][0]["attributes"]
    assert "555" not in cxroute.out  # a column that no rule tests stays out of reports
    assert 0 == code


def test_the_exit_code_tells_whether_conversations_move(cxroute: Program) -> None:
    """Only with --detailed-exitcode, and also if the destination of some is not known."""
    remaining = file("left.json", [card(0.5), ALL])
    right = file("right.json", [card(0.7), ALL])
    calls = file("calls.csv", CALLS)
    assert 2 == cxroute("replay", calls, remaining, right, "--detailed-exitcode")
    assert 0 == cxroute("replay", calls, remaining, remaining, "--detailed-exitcode")
    assert "Of 6 recorded conversations, none go elsewhere.\n" in cxroute.out
    night = form(
        "night",
        {"type": "schedule", "name": "nights"},
        asks("customerTier", "equals", "gold"),
        queue="q-night",
    )
    odd = file("odd.json", [night, ALL])
    assert 0 == cxroute("replay", calls, odd, odd, "--detailed-exitcode")
    # the same rules decide, whatever the condition means
    assert cxroute.out.endswith("none go elsewhere.\n")
    assert 2 == cxroute(
        "replay", calls, odd, file("all.json", [ALL]), "--detailed-exitcode"
    )
    assert cxroute.out.endswith(
        "Of 6 recorded conversations, it is not known where 2 go; of the others, none go "
        "elsewhere.\n"
        "  Where they go depends on conditions that cxroute does not understand.\n"
    )
    without = file("few.csv", "intent\na\n")
    assert 2 == cxroute("replay", without, odd, remaining, "--detailed-exitcode")
    assert (
        "Where they go depends on attributes without a column: customerTier, or on"
        in cxroute.out
    )
    gold = file(
        "gold.json",
        [form("gold", asks("customerTier", "equals", "gold"), queue="q-gold"), ALL],
    )
    assert 2 == cxroute("replay", without, gold, remaining, "--detailed-exitcode")
    assert cxroute.out.endswith(
        "Where they go depends on attributes without a column: customerTier.\n"
    )


def test_a_split_moves_a_part_of_each_conversation(cxroute: Program) -> None:
    """80:20 -> 50:50 moves 30 of 100, as in a plan; counts of rows add up."""
    split = {
        "targets": [
            {"type": "queue", "queueId": "a", "weight": 80},
            {"type": "queue", "queueId": "b", "weight": 20},
        ]
    }
    half = {"targets": [{**target, "weight": 1} for target in split["targets"]]}
    remaining = file("left.json", [{**ALL, **split}])
    right = file("right.json", [{**ALL, **half}])
    code, actual = cxroute.json(
        "replay", file("calls.csv", "intent,count\nx,70\ny,30\n"), remaining, right
    )
    assert (0, 100, pytest.approx(30)) == (code, actual["total"], actual["moved"])
    assert 0 == cxroute("replay", "calls.csv", remaining, right)
    assert "Of 100 recorded conversations, 30.0 (30.0 %) go elsewhere.\n" in cxroute.out


BANK = """\
apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
context: {minConfidence: 0.4, below: {intent: none}}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {intent: lost_card, queue: fraud, minConfidence: 0.8}
  - {intent: none, queue: general}
  - {key: vip, when: [{attribute: customerTier, equals: gold}], targets: [{queue: cards, weight: 3}, {queue: fraud}]}
---
apiVersion: routing/v1
kind: RouteTests
name: t
tests: []
"""


@pytest.fixture
def sample(cxroute: Program) -> str:
    """Live rules that differ from the manifests, and a file of conversations with every
    attribute.
    """
    write("all.yaml", BANK)
    assert 0 == cxroute("apply", "--yes")
    write(
        "all.yaml",
        BANK.replace("minConfidence: 0.8", "minConfidence: 0.6").replace(
            "weight: 3", "weight: 1"
        ),
    )
    rows = [
        (intent, confidence, tier, count)
        for intent in ("lost_card", "pin", "none", "")
        for count, confidence in enumerate(
            ("", "0", "0.39", "0.4", "0.6", "0.79", "0.8", "1"), 1
        )
        for tier in ("", "gold", "silver")
    ]
    with Path("calls.csv").open("w", encoding="utf-8", newline="") as text:
        csv.writer(text).writerows(
            [("intent", "confidence", "customerTier", "count"), *rows]
        )
    return "calls.csv"


def test_replay_gives_the_shares_of_a_plan_on_the_same_file(
    cxroute: Program, sample: str
) -> None:
    """In percent, behind the endpoint's fallback, in `replay` and in `plan --replay`."""
    code, plan = cxroute.json("plan", "--traffic", sample, "--replay", sample)
    assert 0 == code
    share = sum(region["trafficPercent"] for region in plan["behaviour"]["regions"])
    assert plan["replay"]["movedPercent"] == pytest.approx(share, rel=1e-12)
    assert share > 0
    code, alone = cxroute.json("replay", sample, "live:sandbox", "manifests:sandbox")
    assert (alone["moved"], alone["total"]) == (
        plan["replay"]["moved"],
        plan["replay"]["total"],
    )
    assert (0, 0, 0) == (code, alone["unknown"], plan["replay"]["unknown"])


def test_the_report_has_the_counts_in_every_format(
    cxroute: Program, sample: str
) -> None:
    """Text, Markdown, page and JSON; a saved plan with them can be applied, and has the id of one
    without.
    """
    assert 0 == cxroute("plan", "--replay", sample)
    counted = next(text for text in cxroute.out.splitlines() if text.startswith("Of "))
    assert counted.startswith("Of 432 recorded conversations, ")
    assert 0 == cxroute(
        "plan", "--replay", sample, "--report", "report", "--out", "plan.json"
    )
    assert f"**{counted}**" in Path("report/plan.md").read_text(encoding="utf-8")
    after = Path("report/plan.md").read_text(encoding="utf-8").partition(counted)[2]
    assert after.lstrip("*\n").startswith("| Callers | Today | Afterwards |\n")
    assert (
        "<details><summary>Examples of recorded conversations</summary>\n\n- line "
        in after
    )
    assert escape(counted) in Path("report/plan.html").read_text(encoding="utf-8")
    saved = json.loads(Path("report/plan.json").read_text(encoding="utf-8"))
    _, bare = cxroute.json("plan")
    assert (saved["planId"], True, False) == (
        bare["planId"],
        "replay" in saved,
        "replay" in bare,
    )
    validate_plan(saved)
    assert 0 == cxroute("apply", "plan.json", "--yes")


def test_a_wrong_row_stops_with_its_position(cxroute: Program, sample: str) -> None:
    """In both commands; exit 3, and nothing is printed of what was counted before."""
    with Path(sample).open("a", encoding="utf-8") as text:
        text.write('pin,high,"a\nb",1\n')
    for command in (
        ("replay", sample, "live:sandbox", "manifests:sandbox"),
        ("plan", "--replay", sample),
    ):
        assert 3 == cxroute(*command)
        assert (
            'calls.csv:98:5: error[CXR233]: "confidence" must be empty or a number from 0 to 1'
            in cxroute.err
        )
        assert not cxroute.out
    assert 64 == cxroute("replay", "nowhere.csv", "live:sandbox", "manifests:sandbox")
    assert (
        "nowhere.csv: the file cannot be read: no such file or directory" in cxroute.err
    )


def test_environments_that_name_the_intent_differently_are_refused(
    cxroute: Program, sample: str
) -> None:
    """A column `intent` would be another attribute on each side."""
    candidate = "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\ntenant: acme\n"
    write("prod.yaml", f"{candidate}attributes: {{intent: theirIntent}}\n")
    assert 64 == cxroute("replay", sample, "manifests:sandbox", "manifests:prod")
    assert "name the bot's attributes differently" in cxroute.err


@pytest.mark.fast_cases(6)
@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=repr)
def test_hostile_cells_and_names_stay_text(cxroute: Program, text: str) -> None:
    """Of a cell, an attribute, a rule and a queue: no control character reaches the terminal."""
    rule = form(
        "r", asks("x", "equals", text), asks(f"x{text}x", "exists", None), queue=text
    )
    row = {"x": text, f"x{text}x": text, "intent": text}
    file("calls.jsonl", f"{json.dumps(row)}\n")
    assert cxroute(
        "replay", "calls.jsonl", file("left.json", [rule]), file("right.json", [])
    ) in (0, 3)
    assert not CONTROL_CHARACTERS.search(cxroute.out + cxroute.err)


@pytest.mark.slow
def test_hostile_cells_stay_text_in_the_comment_and_on_the_page(
    cxroute: Program,
) -> None:
    """Markup, mentions and cell ends of a row are neither in the Markdown outside code, nor in the
    page's markup.
    """
    write(
        "all.yaml",
        BANK
        + "---\napiVersion: routing/v1\nkind: RuleSet\nname: rest\nrules: [{key: k, when: [], queue: q}]\n",
    )
    for number, text in enumerate(HOSTILE_NAMES.values()):
        if not any("\ud800" <= char <= "\udfff" for char in text):
            file(
                "calls.jsonl", f"{json.dumps({'customerTier': text, 'intent': text})}\n"
            )
            assert 0 == cxroute(
                "plan", "--replay", "calls.jsonl", "--report", f"report{number}"
            )
            comment, page = (
                Path(f"report{number}/plan.{kind}").read_text(encoding="utf-8")
                for kind in ("md", "html")
            )
            (row,) = (each for each in comment.splitlines() if "line 1" in each)
            outside = re.sub(r"(`+)(?:(?!`).|(?!\1)`+)*?\1(?!`)", "", row)
            assert not re.search(r"<(?!br>)|@\w|\]\(", outside), row
            assert "<img" not in page
            assert "<script>alert" not in page
