"""`diff`: the routing difference between two lists of rules, from live rules, manifests and
files.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.core.errors import UsageError
from reconciler.core.rule_json import read_rules_file
from tests.support.cases import each_case
from tests.support.hostile_names import CONTROL_CHARACTERS, HOSTILE_TEXTS
from tests.support.program import Program, name_tenant, write
from tests.support.rule_files import ALL, asks, card, file, form


def test_two_files_need_no_environment(cxroute: Program) -> None:
    """No manifests and no environment, also in CI.

    It prints rerouted conversations, or JSON as in a plan.
    """
    remaining = file("left.json", [card(0.5), ALL])
    right = file("right.json", {"entities": [card(0.7), ALL], "total": 2})
    assert 0 == cxroute("diff", remaining, right)
    assert (
        """\
From left.json (2 rules) to right.json (2 rules)

"card_not_working" with confidence 0.5 to 0.7 moves from an unknown queue (q-cards) to an unknown queue (q-general).

~ "card"   confidence 0.5 -> 0.7
    "card_not_working", confidence 0.5 to 0.7   an unknown queue (q-cards) -> an unknown queue (q-general)   by "all"
Everyone else: no change (proven).
"""
        == cxroute.out
    )
    code, actual = cxroute.json("diff", remaining, right)
    assert (0, True, True) == (code, actual["changed"], actual["complete"])
    (region,) = actual["regions"]
    assert {
        "queues": [{"queueId": "q-cards", "queueName": None, "share": 1.0}]
    } == region["before"]
    assert {
        "cognigyDetectedIntent": "card_not_working",
        "cognigyConfidence": 0.6,
    } == region["witness"]
    assert ("card", "all") == (region["beforeRule"], region["afterRule"])


@pytest.mark.parametrize("name", ["CI", "CXROUTE_ENV"])
def test_two_files_ignore_the_environment_variable(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """There is nothing to choose, so the variable has no effect."""
    monkeypatch.setenv(name, "nowhere")
    assert 0 == cxroute("diff", file("a.json", [ALL]), file("b.json", []))
    assert (
        "  every conversation   an unknown queue (q-general) -> the tenant's default routing"
        in cxroute.out
    )


def test_equal_routing_is_proven(cxroute: Program) -> None:
    """Rules with other numbers, names, order and page format route equally. The exit code is 0."""
    candidate = [form("other name", priority=7000), {**card(0.5), "priority": 50}]
    assert 0 == cxroute(
        "diff", file("a.json", [card(0.5), ALL]), file("b.json", {"items": candidate})
    )
    sentence = "No conversation goes elsewhere (proven). 3 edits."
    edits = 'Edited: "card" (priority), "all" (delete), "other name" (create).'
    assert cxroute.out.endswith(f"\n\n{sentence}\n\n{edits}\n")
    code, actual = cxroute.json("diff", "a.json", "b.json")
    nothing = {"summary": {"balance": []}, "effects": [], "rules": {}, "regions": []}
    assert (
        0,
        {"changed": False, "complete": True, "headline": sentence, **nothing},
    ) == (code, actual)


def test_queue_names_next_to_ids_are_used(cxroute: Program) -> None:
    """As in the JSON of a plan. Ids distinguish two queues with one name."""
    old = ALL
    new = form("all", queue="q-2", priority=900)
    for item, name in ((old, "General"), (new, "Fraud")):
        item["targets"][0]["queueName"] = name
    assert 0 == cxroute("diff", file("a.json", [old]), file("b.json", {"rules": [new]}))
    assert 'queue "General" -> "Fraud"\n    every conversation\n' in cxroute.out
    new["targets"][0]["queueName"] = "General"
    assert 0 == cxroute("diff", file("a.json", [old]), file("b.json", [new]))
    assert '"General" (q-general) -> "General" (q-2)' in cxroute.out
    del old["targets"][0]["queueName"]
    queues = [{"id": "q-general", "name": "Here"}, {"id": 3}, None]
    assert 0 == cxroute(
        "diff", file("a.json", {"rules": [old], "queues": queues}), "b.json"
    )
    assert '"Here" -> "General"' in cxroute.out


def test_managed_rules_are_named_by_address(cxroute: Program) -> None:
    """As in a plan. Other rules are named by their live names, in quotes."""
    own_side = {
        **ALL,
        "description": "Everything else\n[cxroute:acme/set/rest#12345678]",
    }
    assert 0 == cxroute("diff", file("a.json", [own_side]), file("b.json", []))
    assert "- set/rest   deleted" in cxroute.out


def test_live_rules_and_manifests(cxroute: Program) -> None:
    """Every conversation is affected before an apply, and none after it.

    An edit in CXone is visible.
    """
    assert 0 == cxroute("init")
    assert 0 == cxroute("diff", "live:sandbox", "manifests:sandbox")
    assert cxroute.out.startswith(
        "Simulated: no tenant was contacted.\nFrom live:sandbox"
    )
    assert (
        '"billing_inquiry", confidence 0.6 or more   the tenant\'s default routing -> "Billing"'
        in cxroute.out
    )
    assert 0 == cxroute("apply", "--yes")
    assert 0 == cxroute("diff", "live:sandbox", "manifests:sandbox")
    assert "No conversation goes elsewhere (proven)." in cxroute.out
    path = Path("manifests/routing.yaml")
    path.write_text(path.read_text().replace("queue: billing", "queue: cards"))
    code, actual = cxroute.json("diff", "live:sandbox", "manifests:sandbox")
    (region,) = actual["regions"]
    assert (0, "Billing", "routing/billing-inquiry") == (
        code,
        region["before"]["queues"][0]["queueName"],
        region["beforeRule"],
    )


def test_manifests_of_two_environments(cxroute: Program) -> None:
    """Offline.

    Queues are compared by name in both: an alias for another live queue changes no routing.
    """
    assert 0 == cxroute("init")
    assert 0 == cxroute("diff", "manifests:sandbox", "manifests:prod")
    assert "No conversation goes elsewhere (proven)." in cxroute.out
    path = Path("manifests/queues.yaml")
    path.write_text(
        path.read_text().replace("Billing", "{sandbox: {name: B}, prod: {id: b-1}}")
    )
    assert 0 == cxroute("diff", "manifests:sandbox", "manifests:prod")
    assert "No conversation goes elsewhere (proven)." in cxroute.out
    write(
        "prod.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: p\nenvironments: [prod]\nrules: [{intent: x, "
        "queue: cards}]\n",
    )
    code, actual = cxroute.json("diff", "manifests:sandbox", "manifests:prod")
    assert (0, [{"queueId": None, "queueName": "cards", "share": 1.0}]) == (
        code,
        actual["regions"][0]["after"]["queues"],
    )


def test_a_file_and_an_environment(cxroute: Program) -> None:
    """The queues of the manifests get their ids from the tenant, and the file names queues by
    id.
    """
    assert 0 == cxroute("init")
    assert 0 == cxroute("apply", "--yes")
    rules = ".cxroute/sandbox.json"  # an object with `rules` and `queues`
    for candidate in ("live:sandbox", "manifests:sandbox"):
        for pair in ((rules, candidate), (candidate, rules)):
            assert 0 == cxroute("diff", *pair)
            assert "No conversation goes elsewhere (proven)." in cxroute.out


def test_environments_with_another_rule_order(cxroute: Program) -> None:
    """They cannot be compared. A file is read in the order of the environment on the other side."""
    assert 0 == cxroute("init")
    path = Path("manifests/environments/prod.yaml")
    path.write_text(
        path.read_text() + "\napi: {evaluation: highest-first}\n", encoding="utf-8"
    )
    assert 64 == cxroute("diff", "manifests:sandbox", "manifests:prod")
    assert (
        "manifests:sandbox and manifests:prod cannot be compared: one evaluates the lowest "
        "priority first" in cxroute.err
    )


@each_case(
    "content, why",
    [
        ("{", "bad.json: not valid JSON; expected a list of rules, or one page"),
        ("[NaN]", "bad.json: not valid JSON"),
        ("[" * 100_000, "bad.json: not valid JSON"),
        ("\udc80", "bad.json: not valid JSON"),
        (
            "3",
            "bad.json: neither a list of rules nor a page with `entities`, `rules` or `items`",
        ),
        ('{"rules": {}}', "bad.json: neither a list of rules nor"),
        (
            '{"entities": [], "total": 7}',
            "bad.json: a page with 0 of 7 rules; put all rules into one list",
        ),
        ("[3]", "bad.json: a rule is not a JSON object"),
        (
            '[{"id": "x", "name": "y"}]',
            "bad.json: rule 'x': `priority` is not a number",
        ),
        (
            '[{"name": "y", "priority": 1, "targets": [3]}]',
            "bad.json: rule '#1': `targets` is not a list of objects",
        ),
        (
            '[{"name": "y", "priority": 1, "x": ' + "[" * 80 + "]" * 80 + "}]",
            "bad.json: rule '#1' is nested too deeply",
        ),
    ],
)
def test_an_invalid_file_is_one_sentence(
    cxroute: Program, content: str, why: str
) -> None:
    """Exit 64, nothing on stdout, and one document in JSON."""
    Path("bad.json").write_text(content, encoding="utf-8", errors="surrogateescape")
    good = file("good.json", [])
    assert 64 == cxroute("diff", good, "bad.json")
    assert ("", 1) == (cxroute.out, len(cxroute.err.splitlines()))
    assert why in cxroute.err
    code, text = cxroute.json("diff", "bad.json", good)
    assert (64, 64) == (code, text["error"]["exitCode"])


@pytest.mark.fast_cases(3)
@pytest.mark.parametrize(
    ("side", "why"),
    [
        ("nope.json", "cannot read nope.json: No such file or directory"),
        ("nope", "a side is live:ENV, manifests:ENV or a JSON file"),
        (".", "cannot read .: Is a directory"),
        ("a\0b", "an argument contains the character NUL"),
        ("live:", "live: needs an environment, for example live:prod"),
        ("manifests:", "manifests: needs an environment, for example manifests:prod"),
        ("live:prd", "no Environment is named 'prd'"),
    ],
)
def test_an_invalid_side_is_one_sentence(cxroute: Program, side: str, why: str) -> None:
    """Exit 64. The message lists the valid forms of a side."""
    assert 0 == cxroute("init")
    assert 64 == cxroute("diff", side, file("good.json", []))
    assert why in cxroute.err
    assert ("", 1) == (cxroute.out, len(cxroute.err.splitlines()))


def test_a_file_that_is_too_large_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before it is parsed."""
    monkeypatch.chdir(tmp_path)
    Path("big.json").write_bytes(b" " * (1024 * 1024 + 1))
    monkeypatch.setattr("reconciler.core.rule_json.MAX_FILE_BYTES", 1024 * 1024)
    with pytest.raises(UsageError, match=r"big\.json: larger than 1 MiB"):
        read_rules_file("big.json")


def test_live_needs_credentials(cxroute: Program) -> None:
    """A real tenant without credentials is an error. Invalid manifests are exit 3."""
    assert 0 == cxroute("init")
    name_tenant()
    assert 1 == cxroute("diff", "live:prod", "manifests:prod")
    assert "CXONE_CLIENT_ID" in cxroute.err
    write(
        "bad.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: b\nrules: [{intent: x, queue: '${nope}'}]\n",
    )
    assert 3 == cxroute("diff", "manifests:sandbox", "manifests:prod")


@pytest.mark.fast_cases(6)
@pytest.mark.parametrize("hostile", HOSTILE_TEXTS, ids=repr)
def test_foreign_text_is_escaped(cxroute: Program, hostile: str) -> None:
    """Names, values, attributes and queues of a file are printed escaped."""
    rule = form(
        hostile,
        asks(hostile, "equals", hostile),
        asks(f"{hostile}2", "strange", hostile),
        queue=hostile,
    )
    rule["targets"][0]["queueName"] = hostile
    assert 0 == cxroute("diff", file("a.json", [rule]), file("b.json", []))
    assert CONTROL_CHARACTERS.search(cxroute.out) is None
    assert 0 == cxroute("diff", "a.json", "b.json", "--format", "json")


def test_a_rule_that_is_not_understood(cxroute: Program) -> None:
    """Its region quotes the part that cxroute does not understand."""
    strange = asks("words", "matchesRegex", "complain")
    assert 0 == cxroute(
        "diff", file("a.json", [form("k", strange)]), file("b.json", [])
    )
    row = 'if words matchesRegex "complain" (not understood here)   an unknown queue (q-general) -> '
    assert f"{row}the tenant's default routing" in cxroute.out
