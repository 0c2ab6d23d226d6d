"""`cxroute simplify`: what it prints, what it writes, and what stays."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from reconciler.core.manifest.load import load_contents
from reconciler.features.changes.simplify import BY_DEFAULT, simplify
from reconciler.features.changes.simplify_rules import read_environments
from tests.support.program import Program, write

PROD: Final = (
    "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\ntenant: acme\n"
)
HEAD: Final = "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules:\n"
RULES: Final = """\
  # gold customers have a desk of their own
  - key: gold
    when: [{attribute: tier, equals: gold}]
    queue: Premium
    priority: 10
  # the campaign of last year
  - key: gold-cards   # never used
    intent: lost_card
    when: [{attribute: tier, in: [gold]}]
    queue: Cards
    priority: 20
  - key: lost
    intent: lost_card
    when: [{attribute: tier, notEquals: gold}]
    queue: Cards
    priority: 30
  - {key: stolen, intent: stolen_card, queue: Cards, priority: 30}
  - {key: other, intent: fees, queue: General, priority: 40}
  - {key: rest, when: [], queue: General, priority: 900}
"""
TEXT: Final = """\
1 edit; after them, every conversation still goes where it goes now (proven for prod).

- cards/gold-cards   manifests/cards.yaml:11
    never takes a conversation: cards/gold takes them first

6 rules with 7 conditions before, 5 rules with 5 conditions after.
This comment is deleted, too: # the campaign of last year
This comment is deleted, too: # never used
Not proven for prod: rules in CXone that the manifests do not manage. --live FILE includes those of one tenant.
--join and --redundant look for more edits.
Nothing was written: --write writes these edits.
"""
NOW: Final = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def project(elsewhere: Path) -> None:
    """Rules of which one never takes a conversation."""
    assert Path.cwd() == elsewhere
    write("prod.yaml", PROD)
    write("cards.yaml", HEAD + RULES)


@pytest.mark.usefixtures("project")
def test_it_prints_each_edit_with_its_reason(cxroute: Program) -> None:
    """Nothing is written without --write."""
    assert 0 == cxroute("simplify")
    assert TEXT == cxroute.out
    assert HEAD + RULES == Path("manifests/cards.yaml").read_text()


@pytest.mark.usefixtures("project")
def test_the_document_has_the_same_edits(cxroute: Program) -> None:
    code, document = cxroute.json("simplify", "--join", "--redundant")
    assert 0 == code
    kinds = [(edit["kind"], edit["addresses"]) for edit in document["edits"]]
    assert [("unused", ["cards/gold-cards"]), ("redundant", ["cards/other"])] == kinds
    assert {"rules": 6, "conditions": 7} == document["before"]
    assert {"rules": 4, "conditions": 4} == document["after"]
    assert ["# the campaign of last year", "# never used"] == document["lostComments"]
    assert (True, [], None) == (
        document["complete"],
        document["written"],
        document["live"],
    )


@pytest.mark.usefixtures("project")
def test_written_edits_leave_every_other_byte(cxroute: Program) -> None:
    """The comment of the removed rule goes with it; a second run has nothing to do."""
    assert 0 == cxroute("simplify", "--write")
    assert cxroute.out.endswith("wrote manifests/cards.yaml\n")
    first, _, last = RULES.partition("  # the campaign of last year\n")
    remaining = last[last.index("  - key: lost\n") :]
    assert HEAD + first + remaining == Path("manifests/cards.yaml").read_text()

    assert 0 == cxroute("simplify")
    assert cxroute.out.startswith(
        "No edit was found after which every conversation still goes where it goes now.\n"
        "\n5 rules with 5 conditions.\n"
    )


def test_only_comments_are_listed_as_deleted(elsewhere: Path, cxroute: Program) -> None:
    """A number sign in a text begins none, and behind a comma one needs no blank."""
    assert elsewhere == Path.cwd()
    write("prod.yaml", PROD)
    first, _ = (TWICE % "").splitlines()
    write(
        "cards.yaml",
        f"{HEAD}{first}\n"
        "  - key: never\n"
        "    intent: fees\n"
        "    targets: [{queue: General,# one\n      weight: 1}]\n"
        "    priority: 20\n"
        '    name: "ticket #12"\n'
        "    description: |  # two\n      # of the text\n"
        "    # three\n"
        "  # cxroute: keep\n"
        "  - {key: other, name: 'a # b', intent: other, queue: General}\n",
    )
    _, document = cxroute.json("simplify")
    assert ["cards/never"] == document["edits"][0]["addresses"]
    assert ["# one", "# two"] == document["lostComments"]


def proposed(cxroute: Program, *words: str) -> list[tuple[str, list[str], str]]:
    """Return the edits that are proposed: kind, addresses and reason."""
    code, document = cxroute.json("simplify", *words)
    assert 0 == code
    return [(one["kind"], one["addresses"], one["reason"]) for one in document["edits"]]


def test_a_condition_that_never_decides_is_dropped(
    elsewhere: Path, cxroute: Program
) -> None:
    """The callers without it are taken first. The field that needs a key gets one."""
    write("prod.yaml", PROD)
    write(
        "cards.yaml",
        HEAD + "  - {key: all, when: [], queue: General, priority: 50}\n"
        "  - {key: small, intent: fees, belowConfidence: 0.9, minConfidence: 0.2,\n"
        "     queue: Cards, priority: 20}\n"
        "  - {key: sure, intent: fees, minConfidence: 0.9, queue: Fraud, priority: 10}\n",
    )
    assert elsewhere == Path.cwd()
    assert [
        ("condition", ["cards/small"], "`confidence < 0.9` never decides")
    ] == proposed(cxroute)
    assert 0 == cxroute("simplify", "--write", "--format", "markdown")
    assert (
        "- Drop a condition of `cards/small`: `confidence < 0.9` never decides\n"
        in cxroute.out
    )
    assert (
        "{key: small, intent: fees, minConfidence: 0.2,"
        in Path("manifests/cards.yaml").read_text()
    )


def test_the_fallback_of_the_endpoint_is_named_once(
    elsewhere: Path, cxroute: Program
) -> None:
    """It takes what the bot does not know, and what it is not sure of."""
    assert elsewhere == Path.cwd()
    context = "context: {minConfidence: 0.5, below: {intent: none}}\n"
    write("prod.yaml", PROD + context)
    bot = "apiVersion: routing/v1\nkind: Intents\nname: bot\nintents: [fees, none]\n"
    write("bot.yaml", bot)
    write("cards.yaml", HEAD + "  - {intent: ghost, queue: Cards, priority: 2}\n")
    reason = "never takes a conversation: the endpoint's fallback takes them first"
    assert [("unused", ["cards/ghost"], reason)] == proposed(cxroute)


def test_rules_with_one_destination_become_one(
    elsewhere: Path, cxroute: Program
) -> None:
    """The rule that is tried first keeps its key and its place; values keep their order."""
    write("prod.yaml", PROD)
    write(
        "cards.yaml",
        HEAD + "  - {intent: b, queue: Cards, priority: 20}\n"
        "  - {intent: a, queue: Cards, priority: 10}\n"
        "  - {key: c, intents: [c, d], queue: Cards, priority: 30}\n"
        "  - {intent: e, queue: Fraud, priority: 30}\n",
    )
    assert elsewhere == Path.cwd()
    reason = "they have one destination, and their conditions differ in intent alone"
    assert [] == proposed(cxroute)
    assert [("join", ["cards/a", "cards/b", "cards/c"], reason)] == proposed(
        cxroute, "--join"
    )
    assert 0 == cxroute("simplify", "--join", "--write")
    assert (
        "~ cards/a takes in cards/b and cards/c   manifests/cards.yaml:6\n"
        in cxroute.out
    )
    assert (
        HEAD
        + (
            "  - {key: a, intents: [a, b, c, d], queue: Cards, priority: 10}\n"
            "  - {intent: e, queue: Fraud, priority: 30}\n"
        )
        == Path("manifests/cards.yaml").read_text()
    )


TWICE: Final = """\
  - {key: first, intent: fees, queue: General, priority: 10}
  - {key: never, intent: fees, queue: General, priority: 20%s}
"""


@pytest.mark.parametrize(
    "reason",
    [
        "hold: {until: 2027-01-01T00:00:00Z}",
        "adopt: by hand",
        "accept: {CXR203: for the summer}",
        "enabled: false",
    ],
)
def test_a_rule_with_a_reason_to_stay_stays(
    reason: str, elsewhere: Path, cxroute: Program
) -> None:
    assert elsewhere == Path.cwd()
    write("prod.yaml", PROD)
    write("cards.yaml", HEAD + TWICE % "")
    assert ["unused"] == [kind for kind, *_ in proposed(cxroute)]
    write("cards.yaml", HEAD + TWICE % f", {reason}")
    assert [] == proposed(cxroute, "--join")


@pytest.mark.parametrize(
    ("above", "behind"),
    [
        ("  # cxroute: keep\n", ""),
        ("  # cxroute: keep - the auditors ask for it\n  # another remark\n", ""),
        ("", "  # cxroute: keep"),
    ],
)
def test_a_comment_keeps_a_rule(
    above: str, behind: str, elsewhere: Path, cxroute: Program
) -> None:
    """Above the rule, or on its first line."""
    assert elsewhere == Path.cwd()
    write("prod.yaml", PROD)
    first, second = (TWICE % "").splitlines()
    write("cards.yaml", f"{HEAD}{first}\n{above}{second}{behind}\n")
    assert [] == proposed(cxroute, "--join")
    # a comment of another rule
    write("cards.yaml", f"{HEAD}  # cxroute: keep\n{first}\n{second}\n")
    assert ["unused"] == [kind for kind, *_ in proposed(cxroute)]


def test_a_comment_behind_the_dash_keeps_a_rule(
    elsewhere: Path, cxroute: Program
) -> None:
    """The dash is in the first line of a rule, although its fields begin below."""
    assert elsewhere == Path.cwd()
    write("prod.yaml", PROD)
    never = (
        "    # another remark\n"
        "    key: never\n    intent: fees\n    queue: General\n    priority: 20\n"
        "    when: [{attribute: tier, exists: true}, {attribute: tier, equals: gold}]\n"
    )
    write("cards.yaml", f"{HEAD}  - # a remark\n{never}")
    assert ["condition"] == [kind for kind, *_ in proposed(cxroute)]
    write("cards.yaml", f"{HEAD}  - # cxroute: keep\n{never}")
    assert [] == proposed(cxroute)


def test_protected_rules_and_those_of_promises_stay(
    elsewhere: Path, cxroute: Program
) -> None:
    """In one Environment is enough; another rule takes none of their conversations."""
    assert elsewhere == Path.cwd()
    write("cards.yaml", HEAD + TWICE % "")
    write("prod.yaml", PROD + "guard: {protected: [cards/never]}\n")
    assert [] == proposed(cxroute, "--join")
    write("prod.yaml", PROD)
    write(
        "promises.yaml",
        "apiVersion: routing/v1\nkind: Promises\nname: p\npromises:\n"
        "  - {name: one, for: {intent: other}, decidedBy: cards/n*}\n",
    )
    assert [] == proposed(cxroute, "--join")


def test_a_promise_about_the_rule_outlives_a_join(
    elsewhere: Path, cxroute: Program
) -> None:
    """Joined, the first rule would take conversations from the one that a promise names."""
    assert elsewhere == Path.cwd()
    write("prod.yaml", PROD)
    tier = "when: [{attribute: tier, equals: gold}]"
    write(
        "cards.yaml",
        HEAD + f"  - {{key: one, intent: a, {tier}, queue: Cards, priority: 10}}\n"
        "  - {key: decides, intent: b, queue: Cards, priority: 20}\n"
        f"  - {{key: two, intents: [b, c], {tier}, queue: Cards, priority: 30}}\n",
    )
    assert ["join"] == [kind for kind, *_ in proposed(cxroute, "--join")]
    write(
        "promises.yaml",
        "apiVersion: routing/v1\nkind: Promises\nname: p\npromises:\n"
        "  - {name: one, for: {intent: b}, decidedBy: cards/decides}\n",
    )
    assert [] == proposed(cxroute, "--join")


def test_a_tie_is_not_resolved(elsewhere: Path, cxroute: Program) -> None:
    """Of two rules with one priority, the platform may choose: both destinations stay possible."""
    assert elsewhere == Path.cwd()
    write("prod.yaml", PROD)
    tied = (
        "  - {key: a, intent: fees, queue: Cards, priority: 10}\n"
        "  - {key: b, intent: fees, queue: %s, priority: 10}\n"
    )
    write("cards.yaml", HEAD + tied % "General")
    assert [] == proposed(cxroute, "--join")
    write("cards.yaml", HEAD + tied % "Cards")
    assert ["unused"] == [kind for kind, *_ in proposed(cxroute)]


TIER_EXISTS: Final = "when: [{attribute: tier, exists: true}]"
OTHER_INTENTS: Final = """\
  - {key: others, when: [{attribute: cognigyDetectedIntent, notEquals: a}], queue: B, priority: 1}
  - {key: none, when: [{attribute: cognigyDetectedIntent, notExists: true}], queue: B, priority: 1}
"""


@pytest.mark.parametrize("switch", ["", ", enabled: false"])
def test_no_rule_gets_the_name_of_another(
    switch: str, elsewhere: Path, cxroute: Program
) -> None:
    """The default name follows the intent, which never decides here."""
    assert elsewhere == Path.cwd()
    write("prod.yaml", PROD)
    rule = f"  - {{key: x, intent: a, {TIER_EXISTS}, queue: A, priority: 10}}\n"
    write("cards.yaml", HEAD + OTHER_INTENTS + rule)
    dropped = ("condition", ["cards/x"], '`intent is "a"` never decides')
    assert [dropped] == proposed(cxroute)
    other = "[{attribute: region, equals: north}]"
    write(
        "other.yaml",
        HEAD.replace("cards", "other")
        + f"  - {{intent: x, when: {other}, queue: C, priority: 0{switch}}}\n",
    )
    assert [] == proposed(cxroute)


def test_other_environments_count(elsewhere: Path, cxroute: Program) -> None:
    """A rule that never takes a conversation in one Environment may take some in another."""
    assert elsewhere == Path.cwd()
    write("prod.yaml", PROD)
    write(
        "staging.yaml",
        PROD.replace("prod", "staging").replace("tenant: acme", "tenant: acme-2"),
    )
    rules = TWICE.replace("priority: 10", "priority: 10, environments: [prod]") % ""
    write("cards.yaml", HEAD + rules)
    assert [] == proposed(cxroute)
    write("cards.yaml", HEAD + TWICE % "")
    assert ["unused"] == [kind for kind, *_ in proposed(cxroute)]


def a_live_rule(**fields: object) -> dict[str, object]:
    return {
        "id": "1",
        "name": "by hand",
        "priority": 15,
        "enabled": True,
        "conditions": [],
        "targets": [{"type": "queue", "queueId": "q-2", "weight": 1}],
    } | fields


def test_live_rules_count_if_a_file_has_them(elsewhere: Path, cxroute: Program) -> None:
    """An unmanaged rule may need what no rule of the manifests needs."""
    assert elsewhere == Path.cwd()
    write("prod.yaml", PROD)
    write(
        "cards.yaml",
        HEAD + "  - {key: fees, intent: fees, queue: General, priority: 10}\n"
        "  - {key: rest, when: [], queue: General, priority: 900}\n",
    )
    queues = [{"id": "q-1", "name": "General"}, {"id": "q-2", "name": "Cards"}]
    live = {"rules": [a_live_rule()], "queues": queues}
    Path("live.json").write_text(json.dumps(live))
    assert ["redundant"] == [kind for kind, *_ in proposed(cxroute, "--redundant")]
    assert [] == proposed(cxroute, "--redundant", "--live", "live.json")
    assert 0 == cxroute("simplify", "--redundant", "--live", "live.json")
    assert "Not proven" not in cxroute.out


def test_wrong_options_are_refused(elsewhere: Path, cxroute: Program) -> None:
    assert elsewhere == Path.cwd()
    write("prod.yaml", PROD)
    write("cards.yaml", HEAD + TWICE % "")
    assert 64 == cxroute("simplify", "-e", "prod")
    assert "-e goes with --live FILE" in cxroute.err
    assert 64 == cxroute("simplify", "card")
    assert "there is no RuleSet 'card'. did you mean" in cxroute.err
    write(
        "staging.yaml",
        PROD.replace("prod", "staging").replace("tenant: acme", "tenant: acme-2"),
    )
    assert 64 == cxroute("simplify", "--live", "live.json")
    assert "set -e to the name of one environment" in cxroute.err
    assert 64 == cxroute("simplify", "-e", "prod", "--live", "missing.json")
    write("cards.yaml", HEAD + "  - {}\n")
    assert 3 == cxroute("simplify")


def test_only_the_named_rulesets_are_edited(elsewhere: Path, cxroute: Program) -> None:
    assert elsewhere == Path.cwd()
    write("prod.yaml", PROD)
    write("cards.yaml", HEAD + TWICE % "")
    other = (TWICE % "").replace("intent: fees", "intent: charges")
    write("fees.yaml", HEAD.replace("cards", "fees") + other)
    addresses = [addresses for _, addresses, _ in proposed(cxroute, "fees")]
    assert [["fees/never"]] == addresses
    assert 0 == cxroute("simplify", "fees", "--write")
    assert HEAD + TWICE % "" == Path("manifests/cards.yaml").read_text()


def test_a_guard_that_the_next_plan_trips_is_named(
    elsewhere: Path, cxroute: Program
) -> None:
    assert elsewhere == Path.cwd()
    write("prod.yaml", PROD + "guard: {deletes: {count: 0, percent: 0}}\n")
    write("cards.yaml", HEAD + TWICE % "")
    assert 0 == cxroute("simplify")
    assert (
        "The next plan of prod trips the guard deletes: it deletes 1 of 2 managed rules (50 %); "
        "the limit for prod is 0 (0 or 0 %, whichever is more).\n"
    ) in cxroute.out
    _, document = cxroute.json("simplify")
    (guard,) = document["guards"]
    assert ("prod", "deletes") == (guard["environment"], guard["guard"])
    write("prod.yaml", PROD)
    write("cards.yaml", HEAD + TWICE % "")
    assert [] == cxroute.json("simplify")[1]["guards"]


def test_a_ruleset_may_lose_its_last_rule(elsewhere: Path, cxroute: Program) -> None:
    """Its list becomes empty, and the guard that the next plan trips is named."""
    assert elsewhere == Path.cwd()
    write("prod.yaml", PROD)
    never = "[{attribute: tier, equals: gold}, {attribute: tier, equals: basic}]"
    write("cards.yaml", f"{HEAD}  - {{key: never, when: {never}, queue: Cards}}\n")
    assert 0 == cxroute("simplify", "--write")
    assert (
        "    never takes a conversation: its conditions contradict each other\n"
    ) in cxroute.out
    assert (
        "The next plan of prod trips the guard emptied: it deletes every rule of cards.\n"
    ) in cxroute.out
    assert (
        HEAD.replace("rules:\n", "rules: []\n")
        == Path("manifests/cards.yaml").read_text()
    )


def test_an_edit_that_would_lose_another_text_is_not_made(
    elsewhere: Path, cxroute: Program
) -> None:
    """In brackets, the comment between two rules could belong to either."""
    assert elsewhere == Path.cwd()
    write("prod.yaml", PROD)
    text = HEAD.replace("rules:\n", "rules: [\n") + (
        "  {key: first, intent: fees, queue: General, priority: 10},\n"
        "  # about which?\n"
        "  {key: never, intent: fees, queue: General, priority: 20}\n]\n"
    )
    write("cards.yaml", text)
    assert [] == proposed(cxroute)


def test_a_rule_that_cannot_go_keeps_no_other_one(
    elsewhere: Path, cxroute: Program
) -> None:
    """What a second run would propose is proposed at once."""
    assert elsewhere == Path.cwd()
    write("prod.yaml", PROD)
    first, never = (TWICE % "").splitlines()
    behind = (
        "  - # a remark\n    {key: third, intent: fees, queue: General, priority: 30}\n"
    )
    write("cards.yaml", f"{HEAD}{first}\n{never}\n{behind}")
    reason = "never takes a conversation: cards/first takes them first"
    assert [("unused", ["cards/never"], reason)] == proposed(cxroute)


def test_line_ends_stay_at_the_end_of_a_file(elsewhere: Path, cxroute: Program) -> None:
    """The last rule goes, and no line end follows it."""
    assert elsewhere == Path.cwd()
    write("prod.yaml", PROD)
    first, never = (HEAD + TWICE % "").rstrip().rsplit("\n", 1)
    text = f"{first}\n{never}".replace("\n", "\r\n")
    Path("manifests/cards.yaml").write_bytes(text.encode())
    assert 0 == cxroute("simplify", "--write")
    expected = first.replace("\n", "\r\n")
    assert expected.encode() == Path("manifests/cards.yaml").read_bytes()


def test_the_search_ends_at_its_bound_of_work() -> None:
    """What is proven until then is proposed, and the result says that it is not complete."""
    text = PROD + "---\n" + HEAD + RULES
    manifests = load_contents([("cards.yaml", text.encode())])
    environments = read_environments(manifests)
    result = simplify(manifests, environments, (), BY_DEFAULT, NOW, work=1)
    assert (False, ()) == (result.found.complete, result.edits)


@pytest.mark.usefixtures("elsewhere")
def test_names_from_outside_become_no_markup(cxroute: Program) -> None:
    write("prod.yaml", PROD)
    hostile = "[x](http://evil.example) <b> | \u202e"
    rules = (TWICE % "").replace("intent: fees", f"intent: {json.dumps(hostile)}")
    write("cards.yaml", HEAD + rules)
    when = json.dumps([{"attribute": "<i>|`", "equals": hostile}])
    third = f"  - {{key: third, when: {when}, queue: General, priority: 30}}\n"
    write("cards.yaml", HEAD + rules + third + third.replace("third", "fourth"))
    assert 0 == cxroute("simplify", "--join", "--format", "markdown")
    assert "](http" not in cxroute.out
    assert "<b>" not in cxroute.out
    assert "\u202e" not in cxroute.out


def test_the_bank_has_nothing_to_leave_out(
    monkeypatch: pytest.MonkeyPatch, cxroute: Program
) -> None:
    """The example of this repository is as small as it can be by default."""
    monkeypatch.chdir(Path(__file__).parents[3])
    assert [] == proposed(cxroute)


def test_a_removal_that_would_change_another_rule_is_not_made(
    elsewhere: Path, cxroute: Program
) -> None:
    """Blank lines before a removed rule would become part of the text above them."""
    assert Path.cwd() == elsewhere
    write("prod.yaml", PROD)
    text = (
        "  - key: first\n    intent: fees\n    queue: General\n    priority: 10\n"
        "    description: |+\n      All fees.\n%s"
        "  - {key: never, intent: fees, queue: General, priority: 20}\n%s"
        "  - {key: gone, intent: fees, queue: General, priority: 30}\n"
    )
    write("cards.yaml", HEAD + text % ("", "\n\n"))
    assert [["cards/gone"]] == [rules for _, rules, _ in proposed(cxroute)]
    write("cards.yaml", HEAD + text % ("", ""))
    assert 2 == len(proposed(cxroute))
