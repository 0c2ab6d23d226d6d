"""Expansion of the promises of one environment (docs/manifests/promises.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from reconciler.core.behaviour.diff.promises import Promise
from reconciler.core.behaviour.space.space import Conditions
from reconciler.core.desired.expand import (
    FieldPath,
    InvalidRuleError,
    ResolveQueue,
    RuleExpander,
    TextBudget,
)
from reconciler.core.desired.substitution import PERCENT
from reconciler.core.manifest.documents import PromiseEntry, Promises, ShareBounds
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.kinds.ruleset import Conversations, RuleEntry, RuleSet
from reconciler.core.manifest.source_map import LoadedDocument
from reconciler.core.model.finding import Finding
from reconciler.core.model.operators import OPERATORS
from reconciler.core.model.rule import Json, normalized_conditions
from reconciler.core.text.escape import join_first, quote

_MAX_LISTED: Final = 4


@dataclass(frozen=True, kw_only=True)
class StatedPromise:
    """A promise of the manifests in one environment."""

    document: str
    name: str
    promise: Promise
    finding: Finding  # at the promise, without a message; its severity is that of a broken promise
    requirement: str  # what the promise demands, in words and in the manifest's names


def list_queues(stated: PromiseEntry) -> list[tuple[str, FieldPath]]:
    """Return the name and the path of each queue of a promise, without expansion."""
    fields = {
        "always": stated.always and stated.always.queues,
        "never": stated.never and stated.never.queues,
    }
    names: list[tuple[str, FieldPath]] = []
    for field, queues in fields.items():
        names += [
            (name, (field, "queues", index)) for index, name in enumerate(queues or ())
        ]
    names += [(name, ("split", name)) for name in stated.split or ()]
    return names


def promise_expander(
    environment: Environment,
    resolve_queue: ResolveQueue,
    stated: PromiseEntry,
    budget: TextBudget | None = None,
) -> RuleExpander:
    """Return the expander of a promise: its conversations are stated like the conditions of a
    rule.
    """
    entry = RuleEntry.model_construct(**dict(stated.conversations or Conversations()))
    expander = RuleExpander(
        environment, resolve_queue, RuleSet(name="promises", rules=()), entry, budget
    )
    # the tenant, which does not support all of them, does not evaluate promises
    expander.operators = OPERATORS
    return expander


def expand_promise(
    expander: RuleExpander, loaded: LoadedDocument[Promises], index: int
) -> StatedPromise:
    """Return a promise, whose conditions are expanded like those of a rule.

    Raises InvalidRuleError.
    """
    stated = loaded.document.promises[index]
    conditions = _conditions(expander)
    queues = {path: expander.queue(name, path).id for name, path in list_queues(stated)}
    requirements = _requirements(stated, expander)
    splits = []
    for name, bounds in (stated.split or {}).items():
        least, most = _split_bounds(expander, name, bounds)
        splits.append((queues["split", name], _share(least), _share(most)))
        requirements.append(_split_requirement(expander, name, least, most))

    promise = _bound_promise(stated, conditions, queues, splits)
    finding = loaded.finding("CXR221", "", "promises", index, severity=stated.severity)
    return StatedPromise(
        document=loaded.document.name,
        name=stated.name,
        promise=promise,
        finding=finding,
        requirement=" and ".join(requirements),
    )


def _bound_promise(
    stated: PromiseEntry,
    conditions: Conditions,
    queues: Mapping[FieldPath, str],
    splits: Sequence[tuple[str, Fraction, Fraction]],
) -> Promise:
    """Return a promise on queue ids; `queues` are the ids by the paths of `list_queues`."""
    always = frozenset(queue for path, queue in queues.items() if path[0] == "always")
    never = [queue for path, queue in queues.items() if path[0] == "never"]
    shares = [*((queue, Fraction(0), Fraction(0)) for queue in never), *splits]
    return Promise(
        conditions=conditions,
        always=always or None,
        never_default=stated.never is not None and stated.never.default is True,
        shares=tuple(shares),
        decided_by=stated.decided_by or "",
    )


def _conditions(expander: RuleExpander) -> Conditions:
    """Return the conditions of a promise in normal form.

    Raises InvalidRuleError, with a path below `for`.
    """
    try:
        conditions = [condition for condition, _ in expander.conditions()]
    except InvalidRuleError as error:
        error.path = ("for", *error.path)
        raise
    return normalized_conditions(conditions)


def _share(percent: Json) -> Fraction:
    """Return a share from 0 to 1."""
    return Fraction(str(percent)) / 100


def _split_bounds(
    expander: RuleExpander, name: str, bounds: ShareBounds
) -> tuple[Json, Json]:
    """Return the least and the most percent of a queue. Raises InvalidRuleError."""
    least, most = (
        expander.typed_value(raw, PERCENT, "split", name, end) for end, raw in bounds
    )
    if not bounds.model_fields_set:
        raise InvalidRuleError("CXR104", "needs least or most", "split", name)
    if least > most:
        message = (
            f"least must not be above most, and {least} is above {most} in "
            f"{expander.environment.name}"
        )
        raise InvalidRuleError("CXR104", message, "split", name)
    return least, most


def _split_requirement(
    expander: RuleExpander, name: str, least: Json, most: Json
) -> str:
    label = quote(expander.fill_text(name, ("split",)))
    return f"{float(least):g} to {float(most):g} % {label}"


def _requirements(stated: PromiseEntry, expander: RuleExpander) -> list[str]:
    """Return what a promise demands, except of a split: `only "fraud"`, or `other queues than
    "overflow"`.
    """
    queues = [
        quote(expander.fill_text(name, (path[0],)))
        for name, path in list_queues(stated)
    ]
    names = join_first(queues, _MAX_LISTED)
    demands: dict[str, object] = {
        f"only {names}": stated.always,
        f"rule {stated.decided_by}": stated.decided_by,
    }
    demands |= {
        f"other queues than {names}": stated.never and queues,
        "a rule": stated.never and stated.never.default,
    }
    return [demand for demand, is_stated in demands.items() if is_stated]
