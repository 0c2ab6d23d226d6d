"""`diff`: what two lists of rules do to conversations, from live rules, manifests and files, as people use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.cxone.rules_file import parse_rules_file
from reconciler.errors import UsageError
from tests.support.hostile_names import CONTROL_CHARACTERS, HOSTILE_TEXTS
from tests.support.program import Program, name_tenant, write


def asks(attribute: str, operator: str, value: Any) -> dict[str, Any]:
    return {"type": "attribute", "attributeName": attribute, "operator": operator, "value": value}


def form(name: str, *conditions: dict[str, Any], queue: str = "q-general", **said: Any) -> dict[str, Any]:
    """A rule in the API's form."""
    target = {"type": "queue", "queueId": queue, "weight": 1}
    return {"id": name, "name": name, "priority": 1, "conditions": list(conditions), "targets": [target], **said}


def card(confidence: float) -> dict[str, Any]:
    sure = asks("cognigyConfidence", "greaterThanOrEqual", confidence)
    return form("card", asks("cognigyDetectedIntent", "equals", "card_not_working"), sure, queue="q-cards")


ALL = form("all", priority=900)


def file(name: str, content: object) -> str:
    Path(name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return name


def test_two_files_need_nothing_else(cxroute: Program) -> None:
    """No manifests, no environment, even in CI; who goes elsewhere, with an example, and the JSON of a plan."""
    left, right = file("left.json", [card(0.5), ALL]), file("right.json", {"entities": [card(0.7), ALL], "total": 2})
    assert 0 == cxroute("diff", left, right)
    assert (
        """\
From left.json (2 rules) to right.json (2 rules)

Who is affected   (share of callers unknown)
  "card_not_working", confidence from 0.5 to below 0.7: "q-cards" -> "q-general"
      example: intent "card_not_working", confidence 0.6   ("card" -> "all")
  Everyone else: no change (proven).
"""
        == cxroute.out
    )
    code, found = cxroute.json("diff", left, right)
    assert (0, True, True) == (code, found["changed"], found["complete"])
    (region,) = found["regions"]
    assert {"queues": [{"queueId": "q-cards", "queueName": None, "share": 1.0}]} == region["before"]
    assert {"cognigyDetectedIntent": "card_not_working", "cognigyConfidence": 0.6} == region["witness"]
    assert ("card", "all") == (region["beforeRule"], region["afterRule"])


@pytest.mark.parametrize("name", ["CI", "CXROUTE_ENV"])
def test_two_files_do_not_look_at_variables(cxroute: Program, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """There is no environment to choose."""
    monkeypatch.setenv(name, "nowhere")
    assert 0 == cxroute("diff", file("a.json", [ALL]), file("b.json", []))
    assert '  every conversation: "q-general" -> the tenant\'s default' in cxroute.out


def test_that_nobody_goes_elsewhere_is_proven(cxroute: Program) -> None:
    """Renumbered, renamed, in another order, in another shape of page; and exit 0 as ever."""
    other = [form("other name", priority=7000), {**card(0.5), "priority": 50}]
    assert 0 == cxroute("diff", file("a.json", [card(0.5), ALL]), file("b.json", {"items": other}))
    assert cxroute.out.endswith("\n\nNo conversation goes elsewhere (proven).\n")
    code, found = cxroute.json("diff", "a.json", "b.json")
    nothing: dict[str, list[object]] = {"rows": [], "balance": []}
    assert (0, {"changed": False, "complete": True, "summary": nothing, "regions": []}) == (code, found)


def test_queue_names_beside_ids_are_used(cxroute: Program) -> None:
    """As a plan's JSON has them; two queues of one name are told apart by their ids."""
    old, new = ALL, form("all", queue="q-2", priority=900)
    for one, name in ((old, "General"), (new, "Fraud")):
        one["targets"][0]["queueName"] = name
    assert 0 == cxroute("diff", file("a.json", [old]), file("b.json", {"rules": [new]}))
    assert 'every conversation: "General" -> "Fraud"\n' in cxroute.out
    new["targets"][0]["queueName"] = "General"
    assert 0 == cxroute("diff", file("a.json", [old]), file("b.json", [new]))
    assert '"General (q-general)" -> "General (q-2)"' in cxroute.out
    del old["targets"][0]["queueName"]
    queues = [{"id": "q-general", "name": "Here"}, {"id": 3}, None]
    assert 0 == cxroute("diff", file("a.json", {"rules": [old], "queues": queues}), "b.json")
    assert '"Here" -> "General"' in cxroute.out


def test_rules_of_ours_go_by_their_address(cxroute: Program) -> None:
    """As in a plan; all others go by their live names, in quotes."""
    ours = {**ALL, "description": "Everything else\n[cxroute:acme/set/rest#12345678]"}
    assert 0 == cxroute("diff", file("a.json", [ours]), file("b.json", []))
    assert "(set/rest -> no rule)" in cxroute.out


def test_live_rules_and_manifests(cxroute: Program) -> None:
    """Before an apply everybody is affected, after it nobody; what somebody edits is seen."""
    assert 0 == cxroute("init")
    assert 0 == cxroute("diff", "live:sandbox", "manifests:sandbox")
    assert cxroute.out.startswith("Sandbox: everything below is simulated; no tenant was contacted.\nFrom live:sandbox")
    assert '"billing_inquiry", confidence at least 0.6: the tenant\'s default -> "Billing"' in cxroute.out
    assert 0 == cxroute("apply", "--yes")
    assert 0 == cxroute("diff", "live:sandbox", "manifests:sandbox")
    assert "No conversation goes elsewhere (proven)." in cxroute.out
    path = Path("manifests/routing.yaml")
    path.write_text(path.read_text().replace("queue: billing", "queue: cards"))
    code, found = cxroute.json("diff", "live:sandbox", "manifests:sandbox")
    (region,) = found["regions"]
    assert (0, "Billing", "routing/billing-inquiry") == (
        code,
        region["before"]["queues"][0]["queueName"],
        region["beforeRule"],
    )


def test_manifests_of_two_environments(cxroute: Program) -> None:
    """Offline, and a queue is what both call it: an alias that means another live queue moves nobody."""
    assert 0 == cxroute("init")
    assert 0 == cxroute("diff", "manifests:sandbox", "manifests:prod")
    assert "No conversation goes elsewhere (proven)." in cxroute.out
    path = Path("manifests/queues.yaml")
    path.write_text(path.read_text().replace("Billing", "{sandbox: {name: B}, prod: {id: b-1}}"))
    assert 0 == cxroute("diff", "manifests:sandbox", "manifests:prod")
    assert "No conversation goes elsewhere (proven)." in cxroute.out
    write(
        "prod.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: p\nenvironments: [prod]\nrules: [{intent: x, queue: cards}]\n",
    )
    code, found = cxroute.json("diff", "manifests:sandbox", "manifests:prod")
    assert (0, [{"queueId": None, "queueName": "cards", "share": 1.0}]) == (
        code,
        found["regions"][0]["after"]["queues"],
    )


def test_a_file_beside_an_environment(cxroute: Program) -> None:
    """The manifests' queues get their ids from the tenant, which a file names them by."""
    assert 0 == cxroute("init")
    assert 0 == cxroute("apply", "--yes")
    rules = ".cxroute/sandbox.json"  # an object with `rules` and `queues`
    for other in ("live:sandbox", "manifests:sandbox"):
        for pair in ((rules, other), (other, rules)):
            assert 0 == cxroute("diff", *pair)
            assert "No conversation goes elsewhere (proven)." in cxroute.out


def test_environments_that_try_rules_in_another_order(cxroute: Program) -> None:
    """Cannot be compared; a file is read in the order of the environment beside it."""
    assert 0 == cxroute("init")
    path = Path("manifests/environments/prod.yaml")
    path.write_text(path.read_text() + "\napi: {evaluation: highest-first}\n", encoding="utf-8")
    assert 64 == cxroute("diff", "manifests:sandbox", "manifests:prod")
    assert "manifests:sandbox and manifests:prod cannot be compared: one tries the lowest priority first" in cxroute.err


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "bad.json: not JSON; a list of rules is wanted, or a page"),
        ("[NaN]", "bad.json: not JSON"),
        ("[" * 100_000, "bad.json: not JSON"),
        ("\udc80", "bad.json: not JSON"),
        ("3", "bad.json: no list of rules, and no page with `entities`, `rules` or `items`"),
        ('{"rules": {}}', "bad.json: no list of rules"),
        ('{"entities": [], "total": 7}', "bad.json: a page with 0 of 7 rules; put all rules into one list"),
        ("[3]", "bad.json: a rule is no JSON object"),
        ('[{"id": "x", "name": "y"}]', "bad.json: rule 'x': `priority` is not a number"),
        ('[{"name": "y", "priority": 1, "targets": [3]}]', "bad.json: rule '#1': `targets` is not a list of objects"),
        (
            '[{"name": "y", "priority": 1, "x": ' + "[" * 80 + "]" * 80 + "}]",
            "bad.json: rule '#1' is nested too deeply",
        ),
    ],
)
def test_a_file_that_is_none_is_one_sentence(cxroute: Program, content: str, why: str) -> None:
    """Exit 64, nothing on stdout, and in JSON one document."""
    Path("bad.json").write_text(content, encoding="utf-8", errors="surrogateescape")
    good = file("good.json", [])
    assert 64 == cxroute("diff", good, "bad.json")
    assert ("", 1) == (cxroute.out, len(cxroute.err.splitlines()))
    assert why in cxroute.err
    code, said = cxroute.json("diff", "bad.json", good)
    assert (64, 64) == (code, said["error"]["exitCode"])


@pytest.mark.parametrize(
    ("side", "why"),
    [
        ("nope.json", "cannot read nope.json: No such file or directory"),
        ("nope", "a side is live:ENV, manifests:ENV or a JSON file"),
        (".", "cannot read .: Is a directory"),
        ("a\0b", "the path holds a NUL character; check the path"),
        ("live:", "live: is of which environment? Say live:prod, for example"),
        ("manifests:", "manifests: is of which environment?"),
        ("live:prd", "no Environment is named 'prd'"),
    ],
)
def test_a_side_that_is_none_is_one_sentence(cxroute: Program, side: str, why: str) -> None:
    """Exit 64, with what a side may be."""
    assert 0 == cxroute("init")
    assert 64 == cxroute("diff", side, file("good.json", []))
    assert why in cxroute.err
    assert ("", 1) == (cxroute.out, len(cxroute.err.splitlines()))


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is made of it."""
    monkeypatch.setattr("reconciler.cxone.rules_file.MAX_FILE_BYTES", 1024 * 1024)
    with pytest.raises(UsageError, match=r"big\.json: larger than 1 MiB"):
        parse_rules_file(b" " * (1024 * 1024 + 1), "big.json")


def test_live_needs_credentials(cxroute: Program) -> None:
    """A real tenant, and nobody logged in; manifests that are wrong are exit 3."""
    assert 0 == cxroute("init")
    name_tenant()
    assert 1 == cxroute("diff", "live:prod", "manifests:prod")
    assert "CXONE_CLIENT_ID" in cxroute.err
    write("bad.yaml", "apiVersion: routing/v1\nkind: RuleSet\nname: b\nrules: [{intent: x, queue: '${nope}'}]\n")
    assert 3 == cxroute("diff", "manifests:sandbox", "manifests:prod")


@pytest.mark.parametrize("hostile", HOSTILE_TEXTS, ids=repr)
def test_names_from_outside_are_escaped(cxroute: Program, hostile: str) -> None:
    """Names, values, attributes and queues of a file are printed escaped."""
    rule = form(hostile, asks(hostile, "equals", hostile), asks(f"{hostile}2", "strange", hostile), queue=hostile)
    rule["targets"][0]["queueName"] = hostile
    assert 0 == cxroute("diff", file("a.json", [rule]), file("b.json", []))
    assert CONTROL_CHARACTERS.search(cxroute.out) is None
    assert 0 == cxroute("diff", "a.json", "b.json", "--format", "json")


def test_a_rule_that_is_not_understood(cxroute: Program) -> None:
    """Its region says what it hangs on, in its own words."""
    strange = asks("words", "matchesRegex", "complain")
    assert 0 == cxroute("diff", file("a.json", [form("k", strange)]), file("b.json", []))
    assert 'if words matchesRegex "complain" (not understood here): "q-general" -> the tenant\'s default' in cxroute.out
