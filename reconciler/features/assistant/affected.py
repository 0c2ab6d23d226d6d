"""Who is affected by a change: the conversations that go elsewhere, by the edit that moves them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.cli.command_line import utc_now
from reconciler.cli.git import GitError, GitRepository
from reconciler.cli.git_manifests import (
    UnreadableFileError,
    refuse_linked_folder,
    revision_contents,
)
from reconciler.cli.plan_files import read_plan_file
from reconciler.cli.rule_lists import read_file_state, rules_of
from reconciler.core.behaviour.endpoint_stage import EndpointStage
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.checks.checked_rules import expand_checked
from reconciler.core.checks.route_tests import check, with_promises
from reconciler.core.desired.desired import endpoint_stage
from reconciler.core.desired.queues import QueueResolver, resolve_aliases
from reconciler.core.errors import UsageError
from reconciler.core.manifest.kinds.environment import SANDBOX, Environment
from reconciler.core.manifest.load import Manifests, load_contents, load_manifests
from reconciler.core.model.finding import Document
from reconciler.core.plan.assess import assess
from reconciler.core.plan.behaviour_json import hide_assumed_ids, impact_to_json
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.finding_json import source_to_json
from reconciler.core.plan.headline import headline
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.list_impact import ListSide, impact_of_lists
from reconciler.core.plan.promises import PromiseResult
from reconciler.core.plan.review import read_saved_plan
from reconciler.core.plan.schedule import schedule_steps
from reconciler.core.plan.stages import LiveState, PlanOptions
from reconciler.core.text.escape import quote_name, sanitize
from reconciler.core.text.phrases import Labels, merge_labels
from reconciler.core.traffic.sample import TrafficSample, declared_traffic
from reconciler.features.assistant.answer import MAX_PARTS, LeftOut
from reconciler.features.assistant.arguments import ComparisonArguments
from reconciler.features.assistant.project import AssistantProject
from reconciler.render.colour import no_style
from reconciler.render.effects import EffectsSummary, summarize_effects
from reconciler.render.plan_view import PlanView, read_view
from reconciler.render.text.effects import effects_lines, headline_lines
from reconciler.render.text.explain import DisplayNames
from reconciler.render.text.plan import TextLimits, summary_text

if TYPE_CHECKING:
    from reconciler.core.plan.plan_json import BehaviourJson, EffectJson

_HEAD: Final = "HEAD"
_ROW_FIELDS: Final = (
    "kind",
    "before",
    "after",
    "example",
    "noExample",
    "share",
    "assumed",
)
"""The fields of a row; its exact conditions are in the text, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentState:
    """The manifests in the files now, the Environment of a question, and its traffic sample."""

    manifests: Manifests
    environment: Environment
    sample: TrafficSample | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRules:
    """One side of a comparison."""

    environment: Environment
    entries: tuple[RoutingEntry, ...]
    names: DisplayNames
    endpoint: EndpointStage


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPlan:
    """A saved plan: its document, and what its forms print."""

    document: Document
    view: PlanView


def who_is_affected(
    project: AssistantProject, arguments: ComparisonArguments
) -> Document:
    """Return the conversations that go elsewhere, and the edits that move them."""
    fields = ("revision", "directory", "live_file", "saved_plan", "tenant")
    given = [name for name in fields if getattr(arguments, name) is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)}: name one of them")
    if arguments.saved_plan:
        return _of_saved_plan(project, arguments.environment)
    manifests = project.manifests()
    environment = project.environment_of(manifests, arguments.environment)
    state = PresentState(
        manifests=manifests,
        environment=environment,
        sample=_sample(project, manifests, environment),
    )
    if arguments.tenant:
        live = project.live_state(manifests, environment)
        place = f"the live rules of {environment.name}"
        return _of_apply(state, live, place)
    if arguments.live_file:
        path = project.inner_path(arguments.live_file)
        return _of_live_file(state, path)
    return _of_manifests(project, arguments, state)


def _sample(
    project: AssistantProject, manifests: Manifests, environment: Environment
) -> TrafficSample | None:
    """Return the traffic sample that the Environment names, as `plan` reads it."""
    loaded = manifests.environments.get(environment.name)
    if loaded is None:
        return None
    return declared_traffic(loaded, Path(project.directory))


def _of_manifests(
    project: AssistantProject, arguments: ComparisonArguments, state: PresentState
) -> Document:
    """Return the effects from other manifests to those in the files now."""
    instant = state.manifests.instant
    place, earlier = _earlier_manifests(project, arguments, instant)
    before = _earlier_side(place, earlier, state.environment)
    after = _side(state.manifests, state.environment)
    labels = merge_labels([before.names.labels, after.names.labels])
    impact = _compare(before, after, labels, state.sample)
    queues = {**before.names.queues, **after.names.queues}
    checked = with_promises(check(state.manifests, state.environment))
    promises = [each for each in checked.tried if isinstance(each, PromiseResult)]
    first = headline(impact, queues, labels, promises)
    document = impact_to_json(impact, queues, first)
    text = _effects_text(summarize_effects(impact, queues, labels, promises))
    sides = {"from": place, "to": "the manifests now", **_broken(promises)}
    return _answer(state.environment.name, sides, text, document)


def _broken(promises: Iterable[PromiseResult]) -> Document:
    """Return the field of an answer about the promises that do not hold after a change."""
    broken = [
        {"name": each.name, "source": source_to_json(each.finding.source)}
        for each in promises
        if each.facts.holds is False
    ]
    return {"brokenPromises": broken[:MAX_PARTS]} if broken else {}


def _effects_text(summary: EffectsSummary) -> str:
    lines = [*headline_lines(summary, no_style), *effects_lines(summary, no_style)]
    return "\n".join(lines)


def _earlier_manifests(
    project: AssistantProject,
    arguments: ComparisonArguments,
    instant: datetime | None,
) -> tuple[str, Manifests]:
    """Return other manifests for the rules of an instant, and where they are.

    Raises UsageError and ManifestError.
    """
    if arguments.directory:
        path = project.inner_path(arguments.directory)
        return quote_name(arguments.directory), load_manifests(path, instant)
    revision = arguments.revision or _HEAD
    place = f"revision {quote_name(revision)}"
    return place, _manifests_at(project.directory, revision, instant)


def _earlier_side(
    place: str, manifests: Manifests, environment: Environment
) -> ComparedRules:
    """Return the rules of the same Environment in other manifests.

    Raises UsageError if there is none, or if rules on both cannot be compared.
    """
    name = environment.name
    if name not in {*manifests.environments, SANDBOX}:
        raise UsageError(
            f"{place} has no Environment {quote_name(name)} to compare with"
        )
    before = _side(manifests, manifests.environment(name))
    if not _is_comparable(before.environment, environment):
        raise UsageError(
            f"{place}: the Environment {quote_name(name)} has other `attributes` or another "
            f"`api.evaluation` there, and rules on both cannot be compared"
        )
    return before


def _side(manifests: Manifests, environment: Environment) -> ComparedRules:
    entries, names = rules_of(manifests, environment)
    return ComparedRules(
        environment=environment,
        entries=entries,
        names=names,
        endpoint=endpoint_stage(manifests, environment),
    )


def _is_comparable(before: Environment, after: Environment) -> bool:
    """Return whether rules of both are about the same attributes, in the same order."""
    return (before.attributes, before.api.evaluation) == (
        after.attributes,
        after.api.evaluation,
    )


def _compare(
    before: ComparedRules,
    after: ComparedRules,
    labels: Labels,
    sample: TrafficSample | None,
) -> Impact:
    """Return the conversations that the two sides route differently."""
    left = before.endpoint.compared_with(after.endpoint)
    right = after.endpoint.compared_with(before.endpoint)
    return impact_of_lists(
        ListSide(before.entries, left),
        ListSide(after.entries, right),
        after.environment.api.evaluation,
        labels,
        sample,
    )


def _of_apply(state: PresentState, live: LiveState, place: str) -> Document:
    """Return the effects of an apply on live rules, as a plan has them."""
    manifests, environment = state.manifests, state.environment
    aliases = resolve_aliases(manifests, environment.name)
    resolver = QueueResolver(environment.name, aliases, live.queues)
    desired = expand_checked(manifests, environment, resolver)
    options = PlanOptions(prune=environment.prune)
    changes = find_changes(desired, live, options, utc_now())
    plan = assess(schedule_steps(changes), state.sample)
    impact, queues, labels = plan.impact, plan.queue_names, plan.labels
    first = headline(impact, queues, labels, plan.promises)
    document = impact_to_json(impact, queues, first)
    text = _effects_text(summarize_effects(impact, queues, labels, plan.promises))
    to = "the same after an apply of the manifests"
    sides = {"from": place, "to": to, **_broken(plan.promises)}
    return _answer(environment.name, sides, text, document)


def _of_live_file(state: PresentState, path: Path) -> Document:
    """Return the effects of an apply on the rules of a file, as `plan --live FILE` has them."""
    manifests, environment = state.manifests, state.environment
    read = read_file_state(str(path), manifests, environment)
    place = sanitize(path.name)
    if read.assumed is not None:
        place += ", which lists no queues: those of the manifests are assumed"
    return _of_apply(state, read.live, place)


def _manifests_at(directory: str, revision: str, instant: datetime | None) -> Manifests:
    """Return the manifests of a git revision, for the rules of an instant.

    Raises UsageError and ManifestError.
    """
    try:
        repository = GitRepository.find(directory)
        refuse_linked_folder(repository, directory)
        commit = repository.find_commit(revision)
        contents = revision_contents(repository, commit, directory)
    except (GitError, UnreadableFileError) as error:
        raise UsageError(f"revision {quote_name(revision)}: {error}") from None
    return load_contents(contents, instant=instant)


def read_plan(project: AssistantProject, environment: str | None) -> SavedPlan:
    """Return the last saved plan. Raises UsageError, and RefusedError for one of another version."""
    if project.plan is None:
        raise UsageError(
            "this server has no plan: start it with `cxroute mcp --plan FILE`, a file of "
            "`cxroute plan --out FILE`"
        )
    path = Path(project.plan)
    name = sanitize(path.name)
    form = _plan_of(read_plan_file(path, name), name, environment)
    read_saved_plan(json.dumps(form), name)
    return SavedPlan(document=form, view=read_view(form, name))


def _plan_of(form: object, name: str, environment: str | None) -> Document:
    """Return the plan of a file, or that of the Environment in a file of several."""
    is_mapping = isinstance(form, dict)
    several = form.get("environments") if isinstance(form, dict) else None
    forms = several if isinstance(several, list) else [form] if is_mapping else []
    plans = {
        str(each.get("environment")): each for each in forms if isinstance(each, dict)
    }
    if len(plans) == 1 and environment is None:
        (environment,) = plans
    chosen = plans.get(environment or "")
    if chosen is None:
        names = ", ".join(map(sanitize, plans))
        raise UsageError(f"{name} has no such plan: name an environment of {names}")
    if "error" in chosen:
        raise UsageError(
            f"{name} has no plan for {environment}, because planning failed there"
        )
    return dict(chosen)


def plan_text(plan: SavedPlan) -> str:
    """Return a saved plan as text, as `cxroute show` prints it."""
    limits = TextLimits()
    banner = plan.view.provenance.banner
    text = summary_text(plan.view.summary, no_style, limits)
    return f"{banner}\n{text}" if banner else text


def _of_saved_plan(project: AssistantProject, environment: str | None) -> Document:
    plan = read_plan(project, environment)
    sides = {
        "from": "the live rules when the plan was made",
        "to": "the same after an apply of the plan",
        "madeAt": plan.view.provenance.read_at,
        "planId": plan.view.provenance.plan_id,
    }
    name = plan.document["environment"]
    return _answer(name, sides, plan_text(plan), plan.document["behaviour"])


def _answer(
    environment: str, sides: Document, text: str, behaviour: "BehaviourJson"
) -> Document:
    """Return the effects in words, and the first ones as JSON, with the places of their edits."""
    left_out = LeftOut()
    rows = [row for effect in behaviour["effects"] for row in effect["rows"]]
    hide_assumed_ids(end for row in rows for end in (row["before"], row["after"]))
    shown = left_out.first("effects", behaviour["effects"])
    return {
        "environment": environment,
        **sides,
        "text": left_out.text(text),
        "changed": behaviour["changed"],
        "complete": behaviour["complete"],
        "headline": behaviour["headline"],
        "effectCount": len(behaviour["effects"]),
        "effects": [_effect(effect, left_out) for effect in shown],
        **left_out.document(),
    }


def _effect(effect: "EffectJson", left_out: LeftOut) -> Document:
    """Return an effect with its first edits and rows."""
    return {
        "causes": left_out.first("edits", effect["causes"], MAX_PARTS),
        "share": effect["share"],
        "rows": [
            {name: value for name, value in row.items() if name in _ROW_FIELDS}
            for row in left_out.first("rows", effect["rows"], MAX_PARTS)
        ],
    }
