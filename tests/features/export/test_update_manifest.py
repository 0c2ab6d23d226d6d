"""`cxroute export --write`: an edit in CXone is written to its manifest, and nothing else
changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from reconciler.cli import manifest_files
from reconciler.core.desired.desired import DesiredState, expand_manifests
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.desired.queues import (
    OfflineQueueResolver,
    QueueResolver,
    resolve_aliases,
)
from reconciler.core.export.export import TenantSnapshot
from reconciler.core.export.update_manifest import (
    build_manifest_edit,
    edit_texts,
    find_unintended_changes,
)
from reconciler.core.manifest.load import Manifests, load_manifests, load_with_changes
from reconciler.core.model.live import LiveRule, Marker, marker_digest
from reconciler.core.model.rule import (
    Condition,
    Queue,
    Rule,
    Target,
    make_condition,
    normalized_conditions,
    sorted_targets,
)
from reconciler.core.text.files import read_file
from reconciler.features.practice.simulator.state import TenantState
from tests.support.program import Program, write

BANK = Path(__file__).parents[3] / "manifests"
RULESETS = sorted(
    path.stem
    for path in BANK.glob("*.yaml")
    if "kind: RuleSet" in path.read_text(encoding="utf-8")
)
STATE = Path(".cxroute/sandbox.json")
NEW = (Queue("new-q", "New: queue"), Queue("Q2", "Other $ one"))


@dataclass
class Bench:
    """One RuleSet of the bank with the bank's queues and prod."""

    manifests: Manifests
    tenant: TenantSnapshot

    @property
    def desired(self) -> DesiredState:
        """Return the desired state of the manifests."""
        return self.tenant.desired

    def live(self, wanted: DesiredRule, rule: Rule) -> LiveRule:
        """Return a managed rule as it was changed in CXone."""
        marker = Marker(self.desired.owner, wanted.address, marker_digest(wanted.rule))
        return LiveRule("id", rule, marker, {})


def bench(folder: Path) -> Bench:
    """Return the files of a folder."""
    manifests = load_manifests(folder)
    environment = manifests.environments["prod"].document
    named = OfflineQueueResolver("prod", resolve_aliases(manifests, "prod"))
    expand_manifests(manifests, environment, named)
    queues = (*named.queues_by_id.values(), *NEW)
    catalogue = QueueResolver("prod", resolve_aliases(manifests, "prod"), queues)
    return Bench(
        manifests,
        TenantSnapshot(
            rules=(),
            queues=queues,
            resolver=catalogue,
            environment=environment,
            desired=expand_manifests(manifests, environment, catalogue),
        ),
    )


def of_the_bank(folder: Path, ruleset: str, line_end: str) -> Bench:
    """Copy one RuleSet of the bank to the folder, with these line ends."""
    for name in ("queues.yaml", "environments/prod.yaml"):
        copy(BANK / name, folder)
    text = (
        (BANK / f"{ruleset}.yaml").read_text(encoding="utf-8").replace("\n", line_end)
    )
    (folder / f"{ruleset}.yaml").write_bytes(text.encode())
    return bench(folder)


def drifts(rule: Rule) -> Iterator[Rule]:
    """Yield the rule with each of its fields changed in turn, in each valid way."""
    yield replace(rule, name=f"{rule.name} #x: y")
    yield replace(rule, description='it\'s "new"\nline {two}')
    yield replace(rule, priority=rule.priority + 7)
    yield replace(rule, priority=100)
    yield replace(rule, enabled=not rule.enabled)
    for targets in sending(rule.targets):
        yield replace(rule, targets=sorted_targets(targets))
    for at, condition in enumerate(rule.conditions):
        others = [*rule.conditions[:at], *rule.conditions[at + 1 :]]
        yield replace(rule, conditions=normalized_conditions(others))
        if isinstance(condition, Condition):
            for candidate in asking(condition):
                yield replace(
                    rule, conditions=normalized_conditions([*others, candidate])
                )
    further = [
        make_condition("x y", "between", [1, 2]),
        make_condition("cognigyConfidence", "lessThan", 0.99),
    ]
    yield replace(rule, conditions=normalized_conditions([*rule.conditions, *further]))
    yield replace(rule, conditions=())


def sending(targets: tuple[Any, ...]) -> Iterator[list[Any]]:
    """Yield other queues and weights."""
    yield [Target("new-q", 1)]
    yield [*targets, Target("Q2", 3)]
    yield [replace(target, weight=target.weight + 2) for target in targets]
    yield [targets[0]]
    yield [Target("new-q", targets[0].weight), *targets[1:]]


def asking(one: Condition) -> Iterator[Condition]:
    """Yield other conditions on the same attribute."""
    stored = one.raw_value
    if isinstance(stored, tuple):
        yield make_condition(one.attribute, "in", [*stored, "010"])
        yield make_condition(one.attribute, "in", [*stored[:1], *stored[2:], "q, r"])
        yield make_condition(one.attribute, "equals", stored[0])
        yield make_condition(one.attribute, "notIn", list(stored))
    elif isinstance(stored, str):
        yield make_condition(one.attribute, "equals", "${no} new: intent")
        yield make_condition(one.attribute, "in", [stored, "b"])
        yield make_condition(one.attribute, "contains", "b")
    elif stored is not None:
        yield make_condition(one.attribute, one.operator, 0.33)
        yield make_condition(one.attribute, one.operator, "0.33")
        yield make_condition(one.attribute, "greaterThan", 0.33)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ruleset", "line_end"), [*((name, "\n") for name in RULESETS), ("fraud", "\r\n")]
)
def test_every_field_of_every_rule_of_the_bank_can_be_kept(
    tmp_path: Path, ruleset: str, line_end: str
) -> None:
    """The new file defines the live rule, and all other rules as before; the lines of other rules
    are unchanged.
    """
    at = of_the_bank(tmp_path, ruleset, line_end)
    (loaded,) = at.manifests.rulesets
    before = loaded.source_map.text.text
    tried = 0
    for expected in at.desired.rules.values():
        for rule in drifts(expected.rule):
            if rule == expected.rule:
                continue
            live = at.live(expected, rule)
            edit = build_manifest_edit(live, expected, at.manifests, at.tenant)
            changed = edit_texts([(edit.file, edit.edits)], at.manifests)
            after = load_with_changes(
                tmp_path, {file: text.encode() for file, text in changed.items()}
            )
            desired = expand_manifests(after, at.tenant.environment, at.tenant.resolver)
            assert [] == find_unintended_changes(
                at.desired, desired, {expected.address: live}
            )
            assert others(before, loaded.source_of, expected) == others(
                changed[loaded.file], after.rulesets[0].source_of, expected
            )
            tried += 1
    assert tried >= 8 * len(at.desired.rules)


def others(text: str, at: Any, wanted: DesiredRule) -> tuple[str, str]:
    """Return the text before a rule, and from the dash of the next rule on."""
    rules = text.count("\n  - ")
    lines = text.splitlines(keepends=True)
    starts = [at("rules", index).line for index in range(rules)]
    index = starts.index(wanted.source.line if wanted.source else 0)
    end = starts[index + 1] if index + 1 < rules else len(lines) + 1
    return "".join(lines[: starts[index] - 1]), "".join(lines[end - 1 :])


OWN = """apiVersion: routing/v1
kind: Environment
name: {name}
owner: acme
vars: {{overflow: General}}
"""
CARDS = """# Cards.
apiVersion: routing/v1
kind: RuleSet
name: cards
defaults: {priority: 40, minConfidence: 0.6}
rules:
  - {intent: lost_card, queue: Fraud} # urgent
  - key: help
    intents: ['a', "b"]   # two
    targets: [{queue: Cards, weight: 80}, {queue: "${overflow}", weight: 20}]
"""


@pytest.fixture
def applied(cxroute: Program) -> Program:
    """The sandbox with two managed rules, as the manifests define them."""
    write("environment.yaml", OWN.format(name="sandbox"))
    write("cards.yaml", CARDS)
    assert 0 == cxroute("apply", "--yes"), cxroute.err
    return cxroute


def change(which: str, /, **fields: Any) -> None:
    """Edit a live rule in CXone."""
    with TenantState.load(STATE) as state:
        (rule,) = (rule for rule in state.rules() if rule["name"] == which)
        state.edit(rule["id"], **fields)


LOST = "Cognigy Intent Route: lost_card"
HELP = "Cognigy Intent Route: help"


def test_a_kept_rule_is_not_drift_any_more(applied: Program) -> None:
    """Two values are written in the surrounding style; the next apply renews only the marker."""
    change(LOST, priority=7, enabled=False)
    assert 0 == applied("export", "cards/lost-card", "--write"), applied.err
    assert (
        CARDS.replace("queue: Fraud}", "queue: Fraud, priority: 7, enabled: false}")
        == Path("manifests/cards.yaml").read_text()
    )
    assert (
        "cards/lost-card   manifests/cards.yaml:7: priority, enabled\nVerified: "
        in applied.out
    )
    _, plan = applied.json("plan")
    assert [["marker"]] == [
        [field["path"] for field in item["fields"]] for item in plan["changes"]
    ]
    assert 0 == applied("apply", "--yes")
    assert 0 == applied("plan", "--detailed-exitcode")


def test_groups_of_values_stay_and_are_not_written_in_rules(cxroute: Program) -> None:
    """In the same file: a rule gets the values, and the documents about values keep every byte."""
    described = """---
apiVersion: routing/v1
kind: Attributes
name: bank
attributes: {tier: {values: {g: {label: Gold, group: Best}, p: {group: Best}, s: Silver}}} # groups
---
apiVersion: routing/v1
kind: Intents
name: bot
intents: [{name: lost_card, group: Cards}, {name: a, group: Cards}, b]
"""
    write("environment.yaml", OWN.format(name="sandbox"))
    write("cards.yaml", CARDS + described)
    assert 0 == cxroute("apply", "--yes"), cxroute.err
    tiers = {
        "type": "attribute",
        "attributeName": "tier",
        "operator": "in",
        "value": ["g", "p"],
    }
    with TenantState.load(STATE) as state:
        (rule,) = (rule for rule in state.rules() if rule["name"] == LOST)
        state.edit(rule["id"], conditions=[*rule["conditions"], tiers])
    assert 0 == cxroute("export", "cards/lost-card", "--write"), cxroute.err
    text = Path("manifests/cards.yaml").read_text(encoding="utf-8")
    assert text.endswith(described)
    assert "when: [{attribute: tier, in: [g, p]}]" in text


def test_all_drift_is_kept_together(applied: Program) -> None:
    """With --all, in one command; without drift, the files do not change."""
    change(LOST, name="Lost: card")
    change(HELP, priority=1)
    assert 0 == applied("export", "--all", "--write"), applied.err
    text = Path("manifests/cards.yaml").read_text()
    assert 'queue: Fraud, name: "Lost: card"}' in text
    assert "weight: 20}]\n    priority: 1\n" in text
    assert 0 == applied("export", "--all", "--write")
    assert (text, "Nothing to keep: no managed rule was changed in CXone.\n") == (
        Path("manifests/cards.yaml").read_text(),
        applied.err,
    )


def test_a_weight_of_1_that_is_not_in_the_manifest_is_not_added(
    applied: Program,
) -> None:
    """The other target gets its new weight."""
    targets = (
        'targets: [{queue: Cards, weight: 80}, {queue: "${overflow}", weight: 20}]'
    )
    text = CARDS.replace(
        targets, "targets: [{queue: Cards}, {queue: Fraud, weight: 20}]"
    )
    write("cards.yaml", text)
    assert 0 == applied("apply", "--yes"), applied.err
    with TenantState.load(STATE) as state:
        (live,) = (rule for rule in state.rules() if rule["name"] == HELP)
    change(
        HELP,
        targets=[
            {**item, "weight": 30 if item["weight"] == 20 else item["weight"]}
            for item in live["targets"]
        ],
    )
    assert 0 == applied("export", "cards/help", "--write"), applied.err
    assert (
        text.replace("weight: 20", "weight: 30")
        == Path("manifests/cards.yaml").read_text()
    )


@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("values", [["a", "b", "c"], ["b"], ["b", "a"], []])
@pytest.mark.parametrize("operator", ["in", "notIn"])
def test_a_list_from_a_variable_becomes_the_live_values(
    applied: Program, operator: str, values: list[str]
) -> None:
    """The variable is the whole list, so no value of it has a text to keep: the live values are
    written instead.
    """
    own = OWN.format(name="sandbox").replace(
        "overflow: General", "overflow: General, tiers: [a, b]"
    )
    write("environment.yaml", own)
    rule = '  - {key: tiers, queue: Cards, when: [{attribute: tier, OPERATOR: "${tiers}"}]}\n'
    write("cards.yaml", CARDS + rule.replace("OPERATOR", operator))
    assert 0 == applied("apply", "--yes"), applied.err
    name = "Cognigy Intent Route: tiers"
    with TenantState.load(STATE) as state:
        (live,) = (rule for rule in state.rules() if rule["name"] == name)
    conditions = [
        {**item, "value": values} if item["attributeName"] == "tier" else item
        for item in live["conditions"]
    ]
    change(name, conditions=conditions)
    assert 0 == applied("export", "cards/tiers", "--write"), applied.err
    if sorted(values) != ["a", "b"]:
        assert "${tiers}" not in Path("manifests/cards.yaml").read_text()
    _, plan = applied.json("plan")
    assert [] == [
        field
        for item in plan["changes"]
        for field in item["fields"]
        if field["path"] != "marker"
    ]


def test_a_newer_manifest_is_not_reverted(applied: Program) -> None:
    """A change that is not applied is not drift; if both sides changed, the rule must be named."""
    write("cards.yaml", CARDS.replace("0.6", "0.7"))
    assert 4 == applied("export", "cards/*", "--write")
    assert "its manifest changed and is not applied yet" in applied.err
    change(HELP, priority=1)
    assert 0 == applied("export", "--all", "--write")
    assert "cards/help is skipped" in applied.err
    assert CARDS.replace("0.6", "0.7") == Path("manifests/cards.yaml").read_text()


def test_another_environment_is_never_changed(applied: Program) -> None:
    """The command refuses and names the text to write; a rule of this environment alone can be
    kept.
    """
    write("staging.yaml", OWN.format(name="staging") + "tenant: staging\n")
    change(HELP, priority=1)
    assert 4 == applied("export", "cards/help", "--write")
    assert "staging would get these values too" in applied.err
    assert "      priority: 1\n" in applied.err
    assert CARDS == Path("manifests/cards.yaml").read_text()
    write(
        "cards.yaml",
        CARDS.replace("key: help", "key: help\n    environments: [sandbox]"),
    )
    assert 0 == applied("export", "cards/help", "--write"), applied.err


def test_the_byte_order_mark_and_the_permissions_are_kept(applied: Program) -> None:
    """Also if the file is a link to another one."""
    path = Path("manifests/cards.yaml")
    real = path.rename("manifests/real.yaml")
    real.write_bytes(b"\xef\xbb\xbf" + CARDS.replace("\n", "\r\n").encode())
    real.chmod(0o640)
    path.symlink_to("real.yaml")
    change(HELP, priority=1)
    assert 0 == applied("export", "cards/help", "--write"), applied.err
    assert path.is_symlink()
    assert 0o640 == real.stat().st_mode & 0o777
    assert (
        b"\xef\xbb\xbf" + f"{CARDS}    priority: 1\n".replace("\n", "\r\n").encode()
        == real.read_bytes()
    )


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"priority": 1.5}, "which is not an integer"),
        (
            {"conditions": [{"type": "schedule", "name": "nights"}]},
            "a condition that cxroute does not understand",
        ),
        (
            {"targets": [{"type": "queue", "queueId": "gone", "weight": 1}]},
            "gone has no unique name",
        ),
    ],
)
def test_a_change_that_is_not_representable_is_refused(
    applied: Program, fields: dict[str, Any], why: str
) -> None:
    """With the reason, and without a changed file."""
    change(HELP, **fields)
    assert 4 == applied("export", "cards/help", "--write")
    assert why in applied.err
    assert CARDS == Path("manifests/cards.yaml").read_text()


def test_a_secret_in_a_live_rule_is_not_written(
    applied: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret of the run is never written to a manifest, because many can read manifests."""
    monkeypatch.setenv("CXONE_CLIENT_SECRET", "of-this-test-alone-4711")
    change(HELP, name="pass of-this-test-alone-4711")
    assert 4 == applied("export", "--write", "cards/help")
    assert "it would contain a secret of this run" in applied.err
    assert CARDS == Path("manifests/cards.yaml").read_text()
    assert "4711" not in applied.err


def test_a_file_that_changed_during_the_export_is_not_overwritten(
    applied: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was saved while the tenant was read."""
    change(HELP, priority=1)
    monkeypatch.setattr(manifest_files, "write_all", lambda _: pytest.fail("written"))
    monkeypatch.setattr(
        manifest_files,
        "read_file",
        lambda path, limit: read_file(path, limit) + b"# saved\n",
    )
    assert 4 == applied("export", "cards/help", "--write")
    assert "changed meanwhile" in applied.err


def test_names_from_outside_are_escaped_in_a_refusal(applied: Program) -> None:
    """Terminal escapes are shown as text."""
    with TenantState.load(STATE) as state:
        (live,) = (rule for rule in state.rules() if rule["name"] == HELP)
        state.put({**live, "id": "by-hand", "name": "\x1b[31mred", "description": ""})
    assert 4 == applied("export", "by-hand", "--write")
    assert '"\\u001b[31mred" is not in a manifest' in applied.err
