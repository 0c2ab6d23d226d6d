"""Pages of `cxroute explore` for random lists of rules, and random conversations near their
conditions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.diff.effects import EditSet
from reconciler.core.behaviour.diff.promises import Promise
from reconciler.core.behaviour.endpoint_stage import EndpointStage, FallbackPolicy
from reconciler.core.behaviour.routing_entry import (
    Evaluation,
    RoutingEntry,
    order_entries,
)
from reconciler.core.behaviour.space.value_type import ANY_TEXT, SHARE
from reconciler.core.checks.explain import Explanation, explain
from reconciler.core.desired.desired import DesiredState, desire_offline
from reconciler.core.desired.expand_promises import StatedPromise
from reconciler.core.manifest.kinds.environment import Api, BotAttributes, Environment
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import (
    Address,
    Condition,
    Rule,
    Source,
    Target,
    make_condition,
    make_opaque,
    normalized_conditions,
)
from reconciler.core.plan.edits import edits_of_lists
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.routing_table import RuleList, desired_entries
from reconciler.core.plan.traffic_shares import convert_sample, measure_traffic
from reconciler.core.plan.words import order_effects
from reconciler.core.text.escape import quote
from reconciler.core.text.phrases import Labels
from reconciler.core.traffic.sample import SampleRow, TrafficSample, declared_traffic
from reconciler.features.explore.page import (
    ExplorePage,
    build_plan_sides,
    build_side,
    render_explore,
)
from reconciler.features.practice.command_demo import bank_manifests
from reconciler.render.text.explain import DisplayNames, explain_document
from tests.support.builders import NOW, intent_is, managed, rule, unmanaged, wanted
from tests.support.plans import ORIGIN, assessed_plan
from tests.support.random_rules import (
    KINDS,
    a_list,
    a_pair,
    attribute,
    chance,
    entries,
    queue,
)

INTENT = "intent"
CONFIDENCE = "conf"
# "A" is named as offline queues are: by its id
QUEUES: Final = {
    "A": "A",
    "B": "Desk B",
    "C": "Desk <C>",
}
PIECES: Final = (
    "\U0001f600",
    "\ud83d",
    "\ude00",
    "a\U0001f600b",
    "\u00e9",
    "e\u0301",
    "__proto__",
    "\u2028",
    "</script>",
)
NAMES: Final = ("face", "__proto__", "constructor")
"""Attributes that only this module's conditions test."""


def a_page(random: Random, most: int = 6) -> ExplorePage:
    """A page for a random list, behind a random endpoint."""
    forms = a_list(random, most)
    for form in forms:
        if chance(random, 0.2):
            operators = (
                "equals",
                "contains",
                "startsWith",
                "endsWith",
                "notContains",
                "notStartsWith",
                "notEndsWith",
            )
            value = random.choice((*PIECES, ""))
            form["conditions"] = [
                *form["conditions"],
                attribute(random.choice(NAMES), random.choice(operators), value),
            ]
        if chance(random, 0.05):
            form["targets"] = [queue("unknown"), queue("A", 0.3)]
    sources = (None, Source("rules.yaml", random.randint(1, 99), 3))
    listed = [_placed(entry, random.choice(sources)) for entry in entries(forms)]
    return page_of(
        listed, random.choice(("lowest-first", "highest-first")), an_endpoint(random)
    )


def _placed(entry: RoutingEntry, source: Source | None) -> RoutingEntry:
    return RoutingEntry(name=entry.name, rule=entry.rule, id=entry.id, source=source)


def page_of(
    listed: Sequence[RoutingEntry],
    evaluation: Evaluation = "lowest-first",
    endpoint: EndpointStage | None = None,
    queues: Mapping[str, str] = QUEUES,
    sample: TrafficSample | None = None,
    **more: Any,
) -> ExplorePage:
    """A page for a list of rules."""
    state = desired_state(
        evaluation,
        endpoint or EndpointStage(intent=INTENT, confidence=CONFIDENCE),
        **more,
    )
    side = build_side(
        "the manifests of prod", RuleList(tuple(listed), queues), state, sample
    )
    return ExplorePage(desired=state, queues=queues, sides=(side,))


def desired_state(
    evaluation: Evaluation, endpoint: EndpointStage, **more: Any
) -> DesiredState:
    """The state of an environment without rules of its own."""
    labels = Labels({endpoint.intent: "intent", endpoint.confidence: "confidence"})
    fields: dict[str, Any] = {
        "rules": {},
        "rulesets": frozenset(),
        "findings": (),
        "labels": labels,
        **more,
    }
    return DesiredState(
        environment="prod",
        owner="acme",
        evaluation=evaluation,
        endpoint=endpoint,
        **fields,
    )


def an_endpoint(random: Random) -> EndpointStage:
    """An endpoint: usually one that writes events unchanged."""
    if chance(random, 0.5):
        return EndpointStage(intent=INTENT, confidence=CONFIDENCE)
    declared = frozenset(random.choice(((), ("a", "b", "ab"), ("x",))))
    policy = FallbackPolicy(
        random.choice((None, "a", "x")), random.choice((0.0, 0.5, 0.7, 0.95)), declared
    )
    types = random.choice(
        (
            {},
            {INTENT: ANY_TEXT, CONFIDENCE: SHARE},
            {INTENT: ANY_TEXT, CONFIDENCE: ANY_TEXT},
        )
    )
    return EndpointStage(
        intent=INTENT, confidence=CONFIDENCE, fallback=policy, context_types=types
    )


def an_event(random: Random, page: ExplorePage) -> dict[str, Any]:
    """A conversation: values that conditions name, values near them, values of other types, missing
    ones.
    """
    parts = [
        part
        for side in page.sides
        for entry in side.entries
        for part in entry.rule.conditions
    ]
    named: dict[str, list[Any]] = {}
    for part in parts:
        if isinstance(part, Condition):
            values = (
                part.raw_value
                if isinstance(part.raw_value, tuple)
                else (part.raw_value,)
            )
            named.setdefault(part.attribute, []).extend(values)
    texts = page.desired.endpoint.context_types
    event = {}
    for name in dict.fromkeys(
        (INTENT, CONFIDENCE, *named, random.choice((*KINDS, *NAMES)))
    ):
        value = a_value(random, named.get(name, []))
        if not chance(random, 0.15):
            event[name] = _as_typed(value) if texts.get(name) == ANY_TEXT else value
    return event


def a_value(random: Random, named: Sequence[Any]) -> Any:
    kinds: tuple[Any, ...] = (
        *random.choice([*KINDS.values()])[0],
        *PIECES,
        True,
        False,
        None,
        2**53 + 1,
        -(10**30),
    )
    value = random.choice((*named, *named, *named, *kinds))
    if isinstance(value, str) and chance(random, 0.5):
        return _joined(
            random.choice(("", "a", *PIECES))
            + value
            + random.choice(("", "b", *PIECES))
        )
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and chance(random, 0.5)
    ):
        return random.choice(
            (value + 1, value - 1, value / 2, float(value), -value, value + 1e-9)
        )
    return value


def _joined(text: str) -> str:
    """Return a text as JSON and UTF-8 have it: two halves of a character beside each other are the
    character.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _as_typed(value: Any) -> Any:
    """Return a number as JavaScript has it: 1.0 and 1 are one number there, and the endpoint gets
    `1`.
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


def explained(
    page: ExplorePage, event: Mapping[str, Any], side: int = 0
) -> Explanation:
    """What `cxroute explain` computes for a side."""
    names = BotAttributes(intent=INTENT, confidence=CONFIDENCE)
    api = Api(evaluation=page.desired.evaluation)
    environment = Environment(
        name="prod", owner="acme", tenant="acme", attributes=names, api=api
    )
    return explain(
        page.sides[side].entries, event, environment, page.sides[side].endpoint
    )


def document_of(page: ExplorePage, event: Mapping[str, Any]) -> dict[str, Any]:
    """The answer in the form of `window.cxroute.route`, from the document of `explain --format
    json`.
    """
    form = explain_document(
        explained(page, event), DisplayNames("", page.queues, page.desired.labels)
    )
    retained = (
        "destination",
        "context",
        "fallback",
        "undecided",
        "next",
        "tied",
        "switchedOff",
        "otherwise",
    )
    answer = {name: form[name] for name in retained if name in form}
    answer |= {"rule": form["winner"], "reasons": form["passed"]}
    return json.loads(json.dumps(answer))  # type: ignore[no-any-return]


def html_of(page: ExplorePage) -> str:
    return render_explore(page)


def bank_page() -> ExplorePage:
    """The page of the bank's manifests, with its sample."""
    desired, queues, sample = _bank()
    side = build_side(
        "the manifests of prod",
        RuleList(desired_entries(desired), queues),
        desired,
        sample,
    )
    return ExplorePage(
        desired=desired, queues=queues, sides=(side,), links=ORIGIN, period="October"
    )


def _bank() -> tuple[DesiredState, Mapping[str, str], TrafficSample | None]:
    manifests = load_manifests(bank_manifests(), NOW)
    desired, queues = desire_offline(manifests, manifests.environment("prod"))
    sample = declared_traffic(manifests.environments["prod"], bank_manifests().parent)
    return desired, queues.names, sample


def changed_bank_page() -> ExplorePage:
    """The page of a change of the bank: a queue, a bound, a deleted rule, and ten equal edits, with
    its sample.
    """
    desired, queues, sample = _bank()
    before = desired_entries(desired)
    fraud = next(
        entry.rule.targets
        for entry in before
        if str(entry.address) == "fraud/compromised-card"
    )

    def edited(entry: RoutingEntry) -> RoutingEntry:
        address = str(entry.address)
        if address == "cards/pin-blocked":
            return replace(entry, rule=replace(entry.rule, targets=fraud))
        if address.startswith("transfers/"):
            return replace(entry, rule=_with_bound(entry.rule, 0.8))
        return entry

    after = [
        edited(entry) for entry in before if str(entry.address) != "cash/card-swallowed"
    ]
    page = compared_page(before, after, desired, queues, sample=sample)
    return replace(page, links=ORIGIN, period="October")


def _with_bound(changed: Rule, least: float) -> Rule:
    retained = [
        part
        for part in changed.conditions
        if getattr(part, "operator", "") != "greaterThanOrEqual"
    ]
    bound = make_condition("cognigyConfidence", "greaterThanOrEqual", least)
    return replace(changed, conditions=normalized_conditions([*retained, bound]))


def compared_page(
    before: Sequence[RoutingEntry],
    after: Sequence[RoutingEntry],
    desired: DesiredState,
    queues: Mapping[str, str] = QUEUES,
    *,
    base: EndpointStage | None = None,
    sample: TrafficSample | None = None,
) -> ExplorePage:
    """The page of the change between two lists; `base` is the endpoint before it."""
    endpoint = desired.endpoint
    endpoints = (
        (base or endpoint).compared_with(endpoint),
        endpoint.compared_with(base or endpoint),
    )
    old = endpoints[0].pull_back(before)
    new = endpoints[1].pull_back(after)
    edits = edits_of_lists(before, after, desired.labels, words="plan")
    is_moved = endpoints[0].fallback.digest != endpoints[1].fallback.digest
    middle = endpoints[1].pull_back(before) if is_moved else None
    edited = EditSet([each.edit for each in edits], middle)
    types = endpoints[1].types
    behaviour = compare_behaviour(
        old, new, desired.evaluation, types=types, edited=edited
    )
    traffic = None
    if sample is not None:
        ordered = (
            order_entries(old, desired.evaluation),
            order_entries(new, desired.evaluation),
        )
        traffic = measure_traffic(behaviour, *ordered, convert_sample(types, sample))
    lists = (("today", before), ("after this change", after))
    sides = [
        build_side(name, RuleList(tuple(rules), queues), desired, sample)
        for name, rules in lists
    ]
    sides = [
        replace(side, endpoint=stage)
        for side, stage in zip(sides, endpoints, strict=True)
    ]
    return ExplorePage(
        desired=desired,
        queues=queues,
        sides=sides,
        impact=order_effects(Impact(behaviour, edits, traffic), desired.labels),
    )


def a_compared_page(random: Random, *, direct: bool = False) -> ExplorePage:
    """The page of a random change, behind random endpoints, or behind none that changes an
    event.
    """
    pair = a_pair(random)
    endpoint = (
        EndpointStage(intent=INTENT, confidence=CONFIDENCE)
        if direct
        else an_endpoint(random)
    )
    base = endpoint
    if not direct and chance(random, 0.3):
        base = replace(endpoint, fallback=an_endpoint(random).fallback)
    sources = (
        None,
        Source("rules.yaml", random.randint(1, 99), 3),
        Source("more.yaml", 7, 3),
    )
    old, new = (
        [_placed(entry, random.choice(sources)) for entry in entries(rules)]
        for rules in (pair.old, pair.new)
    )
    return compared_page(old, new, desired_state(pair.evaluation, endpoint), base=base)


def large_page(count: int) -> ExplorePage:
    """A page of many rules, with a sample and with links."""
    listed = [_numbered(number, count) for number in range(count)]
    rows = tuple(
        SampleRow({INTENT: f"intent_number_{number}", "customerTier": None}, 1, number)
        for number in range(100)
    )
    sample = TrafficSample(name="x", digest="", period="October", rows=rows, total=100)
    queues = {f"Queue {number}": f"Queue {number}" for number in range(60)}
    return replace(page_of(listed, queues=queues, sample=sample), links=ORIGIN)


def _numbered(number: int, count: int) -> RoutingEntry:
    conditions = [
        make_condition(CONFIDENCE, "greaterThanOrEqual", (0.5, 0.6, 0.7)[number % 3])
    ]
    if number % 20:
        conditions.append(make_condition(INTENT, "equals", f"intent_number_{number}"))
    else:
        conditions.append(
            make_condition("customerTier", "in", ["gold", f"tier-{number % 7}"])
        )
    address = Address(f"set-{number // 100}", f"intent-number-{number}")
    subject = rule(
        str(address),
        priority=number // 10,
        conditions=conditions if number < count - 1 else [],
        targets=[Target(f"Queue {number % 60}", 1)],
    )
    source = Source(f"manifests/set-{number // 100}.yaml", 5 * (number % 100) + 8, 5)
    return RoutingEntry(name=str(address), rule=subject, address=address, source=source)


def hostile_page(names: Sequence[str]) -> ExplorePage:
    """A page with each name as a rule, a value, an attribute, a queue, an unknown condition, a
    label and a promise.
    """
    listed = []
    for number, name in enumerate(names):
        conditions = [
            make_condition(INTENT, "equals", name),
            make_condition(f"{name}a", "contains", name),
        ]
        parts = [*conditions, make_opaque({"type": name})] if number % 2 else conditions
        subject = rule(
            name,
            priority=number,
            conditions=parts,
            targets=[Target(name, 1), Target("A", 1)],
        )
        listed.append(
            RoutingEntry(
                name=name,
                rule=subject,
                id=f"{number}",
                source=Source(f"{name}.yaml", 1, 1),
            )
        )
    labels = Labels(
        {INTENT: "intent"},
        {(INTENT, names[0]): names[-1], (f"{names[0]}a",): names[0] or "x"},
    )
    promises = tuple(_promise(name) for name in names)
    queues = {name: name for name in names}
    page = page_of(listed, queues=queues, labels=labels, promises=promises)
    return replace(page, links=ORIGIN, banner="Sandbox", values={INTENT: names})


def _promise(name: str) -> StatedPromise:
    finding = Finding(code="CXR221", severity="error", message="")
    conditions = (make_condition(INTENT, "equals", name),)
    promise = Promise(conditions=conditions, always=frozenset({"other"}))
    return StatedPromise(
        document=name,
        name=name,
        promise=promise,
        finding=finding,
        requirement=f"only {quote(name)}",
    )


def two_sides_page() -> ExplorePage:
    """A page of a plan that moves one intent, and deletes and creates a rule."""
    moved = rule(
        "moved",
        targets=[Target("q-fraud", 1)],
        conditions=[intent_is("moved")],
        priority=1,
    )
    after = replace(moved, targets=(Target("q-cards", 1),))
    old = rule("old", conditions=[intent_is("old")], priority=2)
    created = assessed_plan(
        [wanted("cards/moved", after), wanted("cards/new", rule("new", priority=3))],
        [
            managed("1", "cards/moved", moved),
            managed("2", "cards/old", old),
            unmanaged("3", rule("by hand")),
        ],
    )
    sides = build_plan_sides(created)
    return ExplorePage(
        desired=created.desired,
        queues=created.queue_names,
        sides=sides,
        impact=created.impact,
    )


def large_change_page(count: int, edits: int) -> ExplorePage:
    """The page of a change of many rules: the first ones go to another queue."""
    page = large_page(count)
    before = page.sides[0].entries
    moved = [
        replace(entry, rule=replace(entry.rule, targets=(Target("Queue 0", 1),)))
        for entry in before[:edits]
    ]
    after = (*moved, *before[edits:])
    return replace(
        compared_page(before, after, page.desired, page.queues), links=ORIGIN
    )


def hostile_change_page(names: Sequence[str]) -> ExplorePage:
    """The page of a change with each name as a rule, a value, an attribute, a queue, a file and a
    label.
    """
    page = hostile_page(names)
    before = page.sides[0].entries
    after = [
        replace(entry, rule=replace(entry.rule, targets=(Target("A", 1),)))
        for entry in before
    ]
    compared = compared_page(before, after, page.desired, page.queues)
    return replace(page, sides=compared.sides, impact=compared.impact)
