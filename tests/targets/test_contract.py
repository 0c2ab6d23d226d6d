"""The contract of targets: each one, built in or not, keeps what `reconciler/core/target.py` says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest
from pydantic import ValidationError

from reconciler.core.apply.progress import ApplyReport
from reconciler.core.behaviour.evaluate import holds
from reconciler.core.behaviour.routing_entry import destination_of
from reconciler.core.errors import RefusedError, UsageError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests, load_manifests
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Condition, Rule
from reconciler.core.pipeline import Planner, apply_plan, planner_for, read_live
from reconciler.core.plan.stages import Plan
from reconciler.core.plugins import built_in_names
from reconciler.core.rule_json import parse_live_rule
from reconciler.core.target import (
    Access,
    LiveSource,
    NotStorableError,
    RuleForm,
    RuleTarget,
    target_of,
)
from tests.support import json_file_target
from tests.support.house import PACKAGE
from tests.support.random_rules import a_list
from tests.support.target_places import PLACES, PlaceSurroundings, TargetPlace

Result = TypeVar("Result")
ENVIRONMENT = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
tenant: acme
attributes: {{intent: intent, confidence: confidence}}
api: {api}
"""
RULES = """\
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - key: lost
    intent: lost_card
    priority: 10
    queue: {first}
  - key: fee
    intents: [card_fee, card_price]
    minConfidence: 0.6
    priority: 20
    queue: {second}
  - key: vip
    when: []
    priority: {priority}
    targets: [{{queue: {first}, weight: 30}}, {{queue: {second}, weight: 70}}]
"""
STORE = {
    "each rule": ("create", "update", "restore", "delete"),
    "whole table": ("lock", "save"),
}
"""The calls that write, by what the form switches."""


class Project:
    """Manifests in a folder, and a place for their rules."""

    def __init__(self, place: TargetPlace, folder: Path) -> None:
        self.place = place
        self.folder = folder
        (folder / "prod.yaml").write_text(ENVIRONMENT.format(api=place.api), "utf-8")
        self.write_rules(priority=30)

    def write_rules(self, priority: int, end: str = "") -> None:
        """Write the RuleSet, with a priority of its last rule."""
        first, second = self.place.queues
        text = RULES.format(first=first, second=second, priority=priority)
        (self.folder / "cards.yaml").write_text(text + end, "utf-8")

    @property
    def manifests(self) -> Manifests:
        """The manifests of the folder."""
        return load_manifests(self.folder)

    @property
    def environment(self) -> Environment:
        """Their Environment."""
        return self.manifests.environment("prod")

    @property
    def form(self) -> RuleForm:
        """The form of its rules."""
        return target_of(self.environment).form(self.environment)

    def open(
        self, access: Access, use: Callable[[LiveSource], Awaitable[Result]]
    ) -> Result:
        """Return the result of a function with a newly opened source."""
        target = target_of(self.environment)
        surroundings = PlaceSurroundings(self.environment, self.place)

        async def opened() -> Result:
            async with target.open(surroundings, access) as source:
                return await use(source)

        return asyncio.run(opened())

    def rules(self) -> tuple[LiveRule, ...]:
        """Return the live rules."""
        return self.open("read", lambda source: source.rules())

    async def _plan(self, source: LiveSource) -> tuple[Planner, Plan]:
        live = await read_live(source)
        planner = planner_for(self.manifests, self.environment, live)
        return planner, planner.build(live)

    def plan(self) -> Plan:
        """Return a plan from a new read."""
        return self.open("read", self._plan)[1]

    def apply(self, meanwhile: Callable[[], object] = lambda: None) -> ApplyReport:
        """Apply the manifests; `meanwhile` is called after the plan, in another thread."""

        async def run(source: LiveSource) -> ApplyReport:
            planner, plan = await self._plan(source)
            await asyncio.to_thread(meanwhile)
            return await apply_plan(plan, planner, source)

        return self.open("write", run)


@pytest.fixture(params=PLACES)
def project(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Project:
    """A project for each target."""
    packages = tmp_path / "packages"
    packages.mkdir()
    json_file_target.install(packages)
    monkeypatch.syspath_prepend(packages)
    folder = tmp_path / "manifests"
    folder.mkdir()
    return Project(PLACES[request.param](tmp_path), folder)


def random_rules(form: RuleForm, seed: int) -> list[tuple[Rule, Rule]]:
    """Return random rules that a form can keep, each with its stored form."""
    pairs = []
    for raw in a_list(Random(seed), 40):
        rule = parse_live_rule({"description": "", **raw}).rule
        with suppress(NotStorableError):
            pairs.append((rule, form.storable(rule)))
    return pairs


def test_every_built_in_target_has_a_place() -> None:
    """The suite below runs for each of them."""
    assert set(built_in_names()) <= PLACES.keys()


def test_a_target_has_every_part_of_the_protocol(project: Project) -> None:
    """Its name leads to it, and its settings refuse what they do not know."""
    target = target_of(project.environment)
    assert target is project.place.target
    assert isinstance(target, RuleTarget)
    assert target.name == project.environment.api.rules
    if target.settings is not None:
        assert isinstance(project.environment.api.target_settings, target.settings)
        with pytest.raises(ValidationError):
            target.settings.model_validate({"unknown": 1})


def test_equal_settings_have_equal_forms(project: Project) -> None:
    """A form has no state: two of one Environment are equal."""
    assert project.form == project.form
    assert project.form.switches in STORE


def test_a_stored_rule_stays_as_it_is(project: Project) -> None:
    """What a target keeps is its own stored form."""
    form = project.form
    for seed in range(4):
        for _, stored in random_rules(form, seed):
            assert form.storable(stored) == stored, seed


def test_storing_keeps_the_meaning_of_a_rule(project: Project) -> None:
    """The stored rule takes the same conversations, to the same destination."""
    form = project.form
    for seed in range(4):
        random = Random(seed)
        for rule, stored in random_rules(form, seed):
            assert destination_of(rule.targets) == destination_of(stored.targets)
            for _ in range(20):
                conversation = random_conversation(random, rule.conditions)
                assert matches(rule, conversation) == matches(stored, conversation)


def random_conversation(random: Random, parts: Sequence[Any]) -> dict[str, Any]:
    """Return values of the attributes that conditions test, near the values that they name."""
    conversation: dict[str, Any] = {}
    for part in parts:
        if isinstance(part, Condition) and random.random() < 0.9:
            numbers = [value for value in part.values if not isinstance(value, str)]
            near = [value + random.choice((-1, 0.5, 1)) for value in numbers]
            values = [*part.values, *near, "another text"]
            conversation[part.attribute] = random.choice(values)
    return conversation


def matches(rule: Rule, conversation: dict[str, Any]) -> bool:
    """Return whether every condition of a rule holds."""
    return all(
        holds(part, conversation)
        for part in rule.conditions
        if isinstance(part, Condition)
    )


def test_a_run_makes_the_rules_those_of_the_manifests(project: Project) -> None:
    """A new read proves it, and a second run changes nothing."""
    assert len(project.plan().changes) == 3
    report = project.apply()
    assert report.remaining is not None
    assert not report.remaining.changes
    assert {live.marker.address.key for live in project.rules() if live.marker} == {
        "lost",
        "fee",
        "vip",
    }
    before = project.rules()
    assert not project.plan().changes
    project.apply()
    assert project.rules() == before


def test_a_changed_and_a_removed_rule_are_applied(project: Project) -> None:
    """An update and a delete; the rule that stays is untouched."""
    project.apply()
    text = (project.folder / "cards.yaml").read_text("utf-8")
    without = text.replace("priority: 30", "priority: 5")
    start = without.index("  - key: fee")
    end = without.index("  - key: vip")
    (project.folder / "cards.yaml").write_text(without[:start] + without[end:], "utf-8")
    report = project.apply()
    assert report.remaining is not None
    assert not report.remaining.changes
    priorities = {
        live.marker.address.key: live.rule.priority
        for live in project.rules()
        if live.marker
    }
    assert priorities == {"lost": 10, "vip": 5}


def test_a_reading_source_has_no_call_that_writes(project: Project) -> None:
    """A plan cannot write by mistake."""

    async def calls(source: LiveSource) -> list[str]:
        return [
            name for names in STORE.values() for name in names if hasattr(source, name)
        ]

    assert project.open("read", calls) == []
    assert project.open("write", calls) == list(STORE[project.form.switches])


def test_an_edit_after_the_plan_is_not_overwritten_unseen(project: Project) -> None:
    """A run that finds another state than it planned leaves that edit, and says so."""
    project.apply()
    other = Project(project.place, project.folder.parent / "manifests")

    def edit() -> None:
        other.write_rules(priority=77)
        other.apply()

    project.write_rules(priority=30, end=NEW_RULE.format(queue=project.place.queues[0]))
    with suppress(RefusedError):
        report = project.apply(edit)
        assert report.remaining is None or report.remaining.changes
    live = {
        each.marker.address.key: each.rule for each in project.rules() if each.marker
    }
    assert live["vip"].priority == 77


NEW_RULE = """\
  - key: new
    intent: new_card
    priority: 40
    queue: {queue}
"""


def test_a_source_counts_its_calls(project: Project) -> None:
    """The counts rise with each read, and a time limit can be set at any moment."""

    async def read(source: LiveSource) -> list[int]:
        source.limit_time(900)
        counts = [source.call_counts().requests]
        for _ in range(2):
            await source.rules()
            counts.append(source.call_counts().requests)
        return counts

    counts = project.open("read", read)
    assert counts == sorted(set(counts))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'{"a": 1}', b"[1]"])
def test_a_file_without_rules_is_refused(
    project: Project, tmp_path: Path, content: bytes
) -> None:
    """`--live FILE` with another file ends in one sentence that names it."""
    file = tmp_path / "other.json"
    file.write_bytes(content)
    target = target_of(project.environment)
    for path in (file, tmp_path / "missing.json"):
        with pytest.raises(UsageError, match=path.name):
            target.read_file(str(path), project.environment)


def test_a_simulated_tenant_is_prepared_once(project: Project) -> None:
    """What must exist is added where it is missing, and never twice."""

    class Tenant:
        def __init__(self) -> None:
            self.scripts: list[str] = []

        def current_script(self, path: str) -> object:
            return path in self.scripts

        def add_script(self, path: str, *, block: str) -> object:
            assert block == "acme/main"
            self.scripts.append(path)
            return path

    tenant = Tenant()
    target = target_of(project.environment)
    for _ in range(2):
        target.prepare(project.environment, tenant)
    assert len(tenant.scripts) == len(set(tenant.scripts))


OF_TARGETS = (
    "targets/",
    "features/studio_block/",
    "features/cognigy/environment.py",
    "features/endpoint/",
    "features/practice/",
    "features/doctor/decision_service.py",
    "cli/hooks.py",
)
"""The targets, the commands about Studio scripts and the hand-over to one, and the decision service with its sandbox
and its check."""
QUESTION = re.compile(
    r"""\bapi\.rules\b(?!`|: )|targets\.(?:studio|rules_api|decide)\b|[!=]= ["'](?:studio|rules-api|served)["']"""
)
ANSWERS = {"core/target.py": "environment.api.rules"}
"""The one place that finds a target by its name."""


def test_nothing_outside_a_target_asks_which_one_it_is() -> None:
    """What differs between targets is a part of the protocol."""
    questions = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith(OF_TARGETS):
            continue
        code = "\n".join(
            line
            for line in path.read_text("utf-8").splitlines()
            if QUESTION.search(line) and ANSWERS.get(name, "\n") not in line
        )
        if code:
            questions[name] = code
    assert questions == {}
