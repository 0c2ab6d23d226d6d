"""`cxroute test --adequacy`: the report, the written tests, and the exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.core.checks import adequacy
from reconciler.core.checks.adequacy import choose_masks
from reconciler.core.manifest.documents import Given
from reconciler.core.manifest.load import load_manifests
from tests.support.brute_force import Json, destination, winner
from tests.support.cases import each_case
from tests.support.edit_oracle import EditOracle, PlainEndpoint, adequacy_sample
from tests.support.program import Program, write
from tests.support.random_rules import queue
from tests.tiers import size

PAGE = Path(__file__).parents[3] / "docs/reference/plan-json.md"
SAMPLES = size(fast=6, slow=100, full=1000)
ENVIRONMENT = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
tenant: acme
context: {minConfidence: 0.3, below: {intent: none}}
---
"""
RULES = """\
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {intent: lost_card, queue: Fraud, minConfidence: 0.4, priority: 10}
  - {intent: pin, targets: [{queue: Cards, weight: 80}, {queue: General, weight: 20}], minConfidence: 0.6}
  - {key: rest, when: [{attribute: cognigyDetectedIntent, exists: true}], queue: General, priority: 900}
"""
TESTS = """\
# Checked by the fraud team.
apiVersion: routing/v1
kind: RouteTests # the first ones
name: all
tests:
  - {given: {intent: lost_card, confidence: 0.4}, expect: {queue: Fraud}} # the floor
---
# Another document.
apiVersion: routing/v1
kind: Intents
name: bot
intents: [lost_card, pin]
"""


def write_bank(tests: str = TESTS) -> None:
    """Write three rules, and some route tests."""
    write("rules.yaml", ENVIRONMENT + RULES)
    write("tests.yaml", tests)


def test_the_report_names_each_unnoticed_edit(cxroute: Program) -> None:
    """Text has the edit, its place, an example with both destinations, and totals; the exit code
    stays 0.
    """
    write_bank()
    assert 0 == cxroute("test", "--adequacy", "-v")
    lines = cxroute.out.splitlines()
    assert "1 route test passed in prod." == lines[0]
    total = (
        "Adequacy in prod: the tests and promises notice 4 of 18 single edits that move callers "
        "(22.2 %)."
    )
    advice = "To add tests that notice them: cxroute test --adequacy --write manifests/FILE.yaml"
    assert [total, advice] == lines[-2:]
    at = lines.index(
        "  cards/pin: condition confidence >= 0.6 -> confidence >= 0.65   manifests/rules.yaml:13"
    )
    example = (
        '      intent "pin", confidence 0.63: 80 % "Cards", 20 % "General" -> "General"'
    )
    assert example == lines[at + 1]
    edits = [
        line.partition(": ")[2].partition("   ")[0]
        for line in lines
        if line.startswith("  cards/lost-card")
    ]
    bound = "condition confidence >= 0.4 -> confidence >= 0.35"
    assert [
        "condition confidence >= 0.4 -> (none)",
        bound,
        'condition intent is "lost_card" -> (none)',
    ] == edits


def test_the_json_has_the_edited_rules_and_both_destinations(cxroute: Program) -> None:
    """The list of an example sends its witness from `before` to `after`; JSON without --adequacy
    has no such field.
    """
    write_bank()
    code, form = cxroute.json("test", "--adequacy")
    actual = form["adequacy"]
    assert (0, 18, 14) == (code, actual["edits"], actual["unnoticed"])
    assert pytest.approx(100 * 14 / 18) == actual["percent"]
    assert 14 == len(actual["examples"])
    for each in actual["examples"]:
        assert {
            "environment",
            "edit",
            "address",
            "witness",
            "before",
            "after",
            "rules",
        } == set(each)
        assert "prod" == each["environment"]
        assert each["before"] != each["after"]
    (raised,) = (
        each
        for each in actual["examples"]
        if each["edit"] == "condition confidence >= 0.6 -> confidence >= 0.65"
    )
    assert {"queueId": "General", "queueName": "General", "share": 1.0} == raised[
        "after"
    ]["queues"][0]
    assert [0.65] == [
        part["value"]
        for rule in raised["rules"]
        if rule["id"] == raised["address"]
        for part in rule["conditions"]
        if part["operator"] == "greaterThanOrEqual"
    ]
    assert "adequacy" not in cxroute.json("test")[1]


def test_the_page_of_the_json_has_exactly_its_fields(cxroute: Program) -> None:
    """Each field of `adequacy`, and of its examples and added tests, is in plan-json "Adequacy",
    and no other.
    """
    write_bank()
    actual = cxroute.json("test", "--adequacy")[1]["adequacy"]
    actual |= (
        cxroute.json("test", "--adequacy", "--write", "manifests/tests.yaml")[1][
            "adequacy"
        ]
        | actual
    )
    fields = {
        *actual,
        *(f"examples.{name}" for name in actual["examples"][0]),
        *(f"added.{name}" for name in actual["added"]),
    }
    section = (
        PAGE.read_text(encoding="utf-8")
        .partition("\n## Adequacy\n")[2]
        .partition("\n## ")[0]
    )
    assert fields == set(re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE))


PROMISES = """\
apiVersion: routing/v1
kind: Promises
name: all
promises:
  - {name: lost cards, for: {intent: lost_card, minConfidence: 0.4}, always: {queues: [Fraud]}}
  - {name: broken, for: {intent: pin}, always: {queues: [Cards]}, severity: warning}
"""


def test_a_promise_that_holds_notices_edits(cxroute: Program) -> None:
    """Of the rule that it is about, all that move its conversations; a broken promise notices
    nothing.
    """
    write_bank(TESTS.partition("---")[0].partition("tests:")[0] + "tests: []\n")
    before = cxroute.json("test", "--adequacy")[1]["adequacy"]
    write("promises.yaml", PROMISES)
    after = cxroute.json("test", "--adequacy")[1]["adequacy"]
    edits, unnoticed = (
        {(each["address"], each["edit"]) for each in actual["examples"]}
        for actual in (before, after)
    )
    noticed = {
        ("cards/lost-card", "without the rule"),
        ("cards/lost-card", 'queue "Fraud" -> "Cards"'),
        ("cards/lost-card", "condition confidence >= 0.4 -> confidence >= 0.45"),
    }
    assert (before["edits"], noticed) == (
        after["edits"],
        {each for each in edits - unnoticed if "priority" not in each[1]},
    )
    assert 0 == cxroute("test", "--adequacy")
    assert (
        f"the tests and promises notice {after['edits'] - len(unnoticed)} of {len(edits)}"
        in cxroute.out
    )


@pytest.mark.parametrize(
    ("percent", "code"), [("0", 0), ("22.2", 0), ("22.3", 3), ("100", 3)]
)
def test_a_low_share_of_noticed_edits_is_exit_3(
    cxroute: Program, percent: str, code: int
) -> None:
    """`--fail-under` compares the exact share; a failed test is exit 3 in any case."""
    write_bank()
    assert code == cxroute("test", "--adequacy", "--fail-under", percent)
    write_bank(TESTS.replace("expect: {queue: Fraud}", "expect: {queue: Cards}"))
    assert 3 == cxroute("test", "--adequacy", "--fail-under", percent)


def test_an_edit_that_is_not_decided_is_not_noticed(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any work each edit is undecided: the share of an empty number is not enough for
    `--fail-under`.
    """
    write_bank()
    monkeypatch.setattr(adequacy, "WORK_PER_RULE", 0)
    assert 3 == cxroute("test", "--adequacy", "--fail-under", "1")
    assert "notice 0 of 0 single edits that move callers; " in cxroute.out
    assert 0 == cxroute("test", "--adequacy", "--fail-under", "0")


def test_an_edited_priority_is_one_that_a_manifest_can_have(cxroute: Program) -> None:
    """No rule passes a rival of the highest or the lowest priority."""
    write_bank()
    ends = RULES.replace("priority: 900", "priority: 2147483647").replace(
        "priority: 10", "priority: -2147483648"
    )
    write("rules.yaml", ENVIRONMENT + ends)
    _, form = cxroute.json("test", "--adequacy")
    priorities = {
        rule["priority"]
        for each in form["adequacy"]["examples"]
        for rule in each["rules"]
    }
    assert {-2147483648, 2147483647} == {min(priorities), max(priorities)}


@each_case(
    "options, message",
    [
        (["--fail-under", "90"], "--fail-under and --write need --adequacy"),
        (["--write", "manifests/new.yaml"], "--fail-under and --write need --adequacy"),
        (
            ["--adequacy", "--live"],
            "--adequacy is about the rules of the manifests: omit --live",
        ),
        (
            ["--adequacy", "--fail-under", "101"],
            "--fail-under 101: must be a number from 0 to 100",
        ),
        (
            ["--adequacy", "--fail-under", ""],
            "--fail-under : must be a number from 0 to 100",
        ),
        (
            ["--adequacy", "--fail-under", "most"],
            "--fail-under most: must be a number from 0 to 100",
        ),
        (
            ["--adequacy", "--write", "new.yaml"],
            "--write new.yaml: must be a .yaml file in a directory of manifests",
        ),
        (
            ["--adequacy", "--write", "manifests/new.txt"],
            "must be a .yaml file in a directory of manifests",
        ),
        (
            ["--adequacy", "--write", "manifests/.hidden.yaml"],
            "must be a .yaml file in a directory of manifests",
        ),
        (
            ["--adequacy", "--write", "manifests/no/new.yaml"],
            "must be a .yaml file in a directory of manifests",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(
    cxroute: Program, options: list[str], message: str
) -> None:
    """In one sentence, with exit 64, before anything is written."""
    write_bank()
    assert 64 == cxroute("test", *options)
    assert message in cxroute.err
    assert {"rules.yaml", "tests.yaml"} == {
        path.name for path in Path("manifests").iterdir()
    }


def test_written_tests_leave_the_rest_of_the_file_unchanged(cxroute: Program) -> None:
    """Comments and other documents stay; the share counts the new tests; a second run adds
    nothing.
    """
    write_bank()
    assert 0 == cxroute(
        "test", "--adequacy", "--write", "manifests/tests.yaml", "--fail-under", "100"
    )
    text = Path("manifests/tests.yaml").read_text()
    added = [line for line in text.splitlines() if line not in TESTS.splitlines()]
    assert TESTS == "".join(
        f"{line}\n" for line in text.splitlines() if line not in added
    )
    count = sum("given: " in line for line in added)
    assert f"{1 + count} route tests passed in prod." in cxroute.out
    assert "the tests and promises notice 18 of 18 single edits" in cxroute.out
    assert f"{count} route tests added to manifests/tests.yaml." in cxroute.out
    assert 0 == cxroute("test", "--adequacy", "--write", "manifests/tests.yaml")
    assert "the tests and promises notice 18 of 18 single edits" in cxroute.out
    assert text == Path("manifests/tests.yaml").read_text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# Only a comment.\n",
        "apiVersion: routing/v1\nkind: Intents\nname: x\nintents: [a] # one\n",
    ],
)
def test_a_file_without_tests_gets_a_document_of_its_own(
    cxroute: Program, text: str
) -> None:
    """Also a file that does not exist yet.

    Its name is that of the file, unless another document has that name.
    """
    write_bank(TESTS.replace("name: all", "name: new"))
    if text:
        write("new.yaml", text)
    code, form = cxroute.json("test", "--adequacy", "--write", "manifests/new.yaml")
    assert 0 == code
    assert Path("manifests/new.yaml").read_text().startswith(text)
    (loaded,) = (
        each
        for each in load_manifests(Path("manifests")).route_tests
        if each.file == "manifests/new.yaml"
    )
    assert "new-2" == loaded.document.name
    added = {"file": "manifests/new.yaml", "tests": len(loaded.document.tests)}
    assert (added, 0) == (form["adequacy"]["added"], form["adequacy"]["unnoticed"])


@pytest.mark.parametrize(
    "tests",
    [
        "tests: []\n",
        (
            "tests: [{given: {intent: pin, confidence: 1}, expect: {split: {Cards: 4, General: 1}}}] # "
            "one\n"
        ),
        (
            "tests:\n- given:\n    intent: pin # one\n    confidence: 1\n  expect: {split: {Cards: 4, "
            "General: 1}}\n"
        ),
        "tests:\r\n  - given: {}\r\n    expect: {default: true} # CRLF\r\n",
    ],
)
def test_tests_are_added_in_any_style(cxroute: Program, tests: str) -> None:
    """An empty list, a list in brackets, blocks, and line ends of Windows: the lines with comments
    stay.
    """
    write_bank()
    head = "apiVersion: routing/v1\nkind: RouteTests\nname: other\n"
    text = head.replace("\n", "\r\n" if "\r" in tests else "\n") + tests
    Path("manifests/other.yaml").write_bytes(text.encode())
    assert 0 == cxroute(
        "test", "--adequacy", "--write", "manifests/other.yaml", "--fail-under", "100"
    )
    stored = Path("manifests/other.yaml").read_bytes().decode()
    assert all(line.partition("#")[2] in stored for line in tests.splitlines())
    assert stored.count("\r\n") == (stored.count("\n") if "\r" in tests else 0)
    assert 0 == cxroute("test", "--adequacy", "--fail-under", "100")


def test_a_written_test_passes_in_every_environment(cxroute: Program) -> None:
    """Queues are named by aliases; an edit of a rule of one environment only may stay without a
    test.
    """
    candidate = ENVIRONMENT.replace("name: prod", "name: staging").replace(
        "tenant: acme", "tenant: test"
    )
    queues = "queues: {Fraud: {prod: {id: '7'}, staging: {name: Fraud Test}}}"
    aliases = f"apiVersion: routing/v1\nkind: Queues\nname: q\n{queues}\n---\n"
    smoke = (
        "{key: smoke, when: [{attribute: smoke, equals: 'yes'}], queue: Cards, priority: 1, "
        "environments: [staging]}"
    )
    write_bank()
    write("rules.yaml", ENVIRONMENT + candidate + f"{aliases}{RULES}  - {smoke}\n")
    for options in ([], ["-e", "prod"]):
        Path("manifests/new.yaml").unlink(missing_ok=True)
        code, form = cxroute.json(
            "test", "--adequacy", "--write", "manifests/new.yaml", *options
        )
        assert (0, True) == (code, form["passed"])
        assert (0 if options else 5) == form["adequacy"]["unnoticed"]
        code, form = cxroute.json("test")
        assert (0, True) == (code, form["passed"])


def test_edits_with_most_traffic_come_first(cxroute: Program) -> None:
    """By the Environment's sample: an edit of the rule that takes most conversations is the first
    example.
    """
    write_bank(
        TESTS.replace("lost_card, confidence: 0.4", "nothing, confidence: 0.4").replace(
            "Fraud}}", "General}}"
        )
    )
    for intent in ("lost_card", "pin"):
        counts = {"lost_card": 1, "pin": 1, intent: 50}
        Path("sample.csv").write_text(
            "intent,count\n" + "".join(f"{name},{n}\n" for name, n in counts.items())
        )
        environment = ENVIRONMENT.replace(
            "context:", "traffic: {file: sample.csv, period: May}\ncontext:"
        )
        write("rules.yaml", environment + RULES)
        examples = cxroute.json("test", "--adequacy")[1]["adequacy"]["examples"]
        removed = [
            each["address"] for each in examples if each["edit"] == "without the rule"
        ]
        candidate = {"lost_card": "cards/pin", "pin": "cards/lost-card"}[intent]
        assert removed.index(f"cards/{intent.replace('_', '-')}") < removed.index(
            candidate
        )


def test_texts_with_a_dollar_stay_texts_in_written_tests(cxroute: Program) -> None:
    """An intent, an attribute, a value and a queue that contain one: the written tests pass."""
    rules = RULES.replace(
        "intent: pin,", 'intent: "$${pin}", when: [{attribute: $$a, equals: "$$"}],'
    )
    write(
        "rules.yaml",
        ENVIRONMENT + rules.replace("queue: General", 'queue: "$$General"'),
    )
    assert 0 == cxroute(
        "test", "--adequacy", "--write", "manifests/tests.yaml", "--fail-under", "100"
    )
    assert 0 == cxroute("test", "--adequacy", "--fail-under", "100")
    assert "$${pin}" in Path("manifests/tests.yaml").read_text(encoding="utf-8")


def test_a_chosen_test_that_others_make_redundant_is_dropped() -> None:
    """The test that notices most is chosen first, and superfluous once two others notice the
    rest.
    """
    assert [1, 2] == choose_masks({0: 0b011110, 1: 0b001110 | 1, 2: 0b110000})
    assert [0] == choose_masks({0: 0b11, 1: 0b11, 2: 0b01})
    assert [] == choose_masks({0: 0})


@pytest.mark.fast_cases(6)
@pytest.mark.generated
@pytest.mark.parametrize("seed", range(SAMPLES))
def test_written_tests_pass_and_none_is_redundant(cxroute: Program, seed: int) -> None:
    """By plain evaluation: all edits that move callers are noticed, and each test alone notices one
    of them.
    """
    rules, evaluation, endpoint = adequacy_sample(Random(f"written {seed}"))
    rules = [
        {**rule, "targets": [queue("A")]} if destination(rule) == frozenset() else rule
        for rule in rules
    ]
    write("rules.yaml", manifests_of(rules, evaluation, endpoint))
    code, form = cxroute.json("test", "--adequacy", "--write", "manifests/tests.yaml")
    assert (0, 0) == (code, form["adequacy"]["undecided"])
    tests = [
        test
        for loaded in load_manifests(Path("manifests")).route_tests
        for test in loaded.document.tests
    ]
    contexts = [endpoint.context(event_of(test.given)) for test in tests]
    oracle = EditOracle(rules, evaluation, endpoint, {"intent": None, "conf": (0, 1)})
    edits = [
        edited for edited in oracle.edited_lists().values() if oracle.moves(edited)
    ]
    today = [goes(rules, context, evaluation) for context in contexts]
    after = [
        [goes(edited, context, evaluation) for context in contexts] for edited in edits
    ]
    noticing = [
        {
            at
            for at, (old, new) in enumerate(zip(today, each, strict=True))
            if old != new
        }
        for each in after
    ]
    assert all(noticing)
    assert form["adequacy"]["edits"] == len(edits)
    assert 0 == form["adequacy"]["unnoticed"]
    assert set(range(len(tests))) == {
        next(iter(each)) for each in noticing if len(each) == 1
    }
    code, form = cxroute.json("test", "--adequacy", "--write", "manifests/tests.yaml")
    assert (0, len(tests), 0) == (
        code,
        form["tests"],
        form["adequacy"]["added"]["tests"],
    )


def goes(rules: list[Json], context: Json, evaluation: str) -> Any:
    return destination(winner(rules, (context, {}), evaluation))


def event_of(given: Given) -> Json:
    """Return the event that a test states."""
    event = {"intent": given.intent, "conf": given.confidence, **given.attributes}
    return {name: value for name, value in event.items() if value is not None}


def manifests_of(rules: list[Json], evaluation: str, endpoint: PlainEndpoint) -> str:
    """Return an Environment with these rules, as JSON, which is YAML."""
    below = (
        {"below": {"intent": endpoint.fallback}, "minConfidence": endpoint.least}
        if endpoint.fallback
        else {}
    )
    environment = {
        "kind": "Environment",
        "name": "prod",
        "owner": "acme",
        "tenant": "acme",
        "attributes": {"intent": "intent", "confidence": "conf"},
        "api": {"evaluation": evaluation},
        "context": below,
    }
    documents: list[Json] = [
        environment,
        {"kind": "RuleSet", "name": "set", "rules": list(map(rule_of, rules))},
    ]
    if endpoint.known:
        documents.append({"kind": "Intents", "name": "bot", "intents": endpoint.known})
    return "\n---\n".join(
        json.dumps({"apiVersion": "routing/v1", **document}) for document in documents
    )


def rule_of(rule: Json) -> Json:
    conditions = [
        {
            "attribute": part["attributeName"],
            part["operator"]: True if part.get("value") is None else part["value"],
        }
        for part in rule["conditions"]
    ]
    return {
        "key": rule["id"],
        "name": rule["name"],
        "priority": rule["priority"],
        "enabled": rule["enabled"],
        "when": conditions,
        "targets": [
            {"queue": target["queueId"], "weight": target["weight"]}
            for target in rule["targets"]
        ],
    }


def test_written_tests_hold_at_all_times(cxroute: Program) -> None:
    """What a campaign changes later has a test about the time of the command alone."""
    campaign = (
        "  - {key: campaign, intent: pin, queue: Fraud, priority: 20, "
        'from: "2999-01-01T00:00Z", until: "2999-02-01T00:00Z"}\n'
    )
    write("rules.yaml", ENVIRONMENT + RULES + campaign)
    assert 0 == cxroute("test", "--adequacy", "--write", "manifests/new.yaml")
    written = Path("manifests/new.yaml").read_text("utf-8")
    timed = [test for test in written.split("- given:")[1:] if "at: " in test]
    assert timed
    assert all("intent: pin" in test for test in timed)
    assert 0 == cxroute("test")
    _, document = cxroute.json("test", "--adequacy")
    assert 0 == document["adequacy"]["unnoticed"]
