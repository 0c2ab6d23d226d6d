"""Random scenarios from a seed: a tenant of a few rules, and an event of every known kind for
each.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from reconciler.core.manifest.kinds.ruleset import AdoptById
from reconciler.core.model.live import Marker, format_description, marker_digest
from reconciler.core.model.rule import Target, make_condition, make_opaque
from tests.campaign.profiles import TENANT
from tests.campaign.scenario import Scenario
from tests.campaign.scenario_builder import INTENTS, Making
from tests.campaign.scenario_rules import goals, ours, scenario, theirs
from tests.support.builders import OWNER, address, at_least, intent_is, rule

_LATER: Final = "2026-02-01T09:00:00.000Z"
_MOST_KINDS: Final = 5


def generated(seed: int) -> Scenario:
    """Return the scenario of a seed."""
    making = Making(seed)
    making.settle(
        making.random.choice([1, 2, 3, 3, 4, TENANT.page_size, TENANT.page_size + 1])
    )
    for kind in making.random.sample(
        sorted(KINDS), making.random.randint(1, _MOST_KINDS)
    ):
        if KINDS[kind](making) is not False:
            making.kinds.add(kind)
    return scenario(
        f"generated-{seed}",
        ",".join(making.kinds) or "unchanged",
        making.live,
        goals(making.wished, "cards", *making.rulesets, **making.adopts),
    )


def _rekey(making: Making) -> None:
    for where in making.some():
        old = making.wished.pop(where)
        making.wished[f"{where}-renamed"] = replace(
            old, name=f"renamed {old.name}"[:256]
        )


def _requeue(making: Making) -> None:
    for where in making.some(2):
        making.wished[where] = replace(making.wished[where], targets=making.targets())


def _exchange(field: str, count: int) -> Callable[[Making], object]:
    """Make a kind of scenario that passes one field around among so many rules."""

    def kind(making: Making) -> object:
        actual = making.some(count)
        values = [getattr(making.wished[where], field) for where in actual]
        for where, value in zip(actual, values[1:] + values[:1], strict=True):
            making.wished[where] = replace(making.wished[where], **{field: value})
        return len(actual) == count

    return kind


def _delete(making: Making) -> None:
    for where in making.some(making.random.randint(1, 2)):
        del making.wished[where]


def _empty(making: Making) -> None:
    making.wished, making.adopts = {}, {}
    making.rulesets |= {"cards", "loans"}


def _create(making: Making) -> None:
    for number in range(making.random.randint(1, 2)):
        making.wished[f"cards/new{number}"] = making.rule(f"new {number}")


def _split(making: Making) -> None:
    for where in making.some():
        old = making.wished.pop(where)
        for number, intent in enumerate(making.random.sample(INTENTS, 2)):
            part = replace(
                old, name=f"{number} {old.name}"[:256], conditions=(intent_is(intent),)
            )
            making.wished[f"{where}-{number}"] = part


def _merge(making: Making) -> object:
    actual = making.some(2)
    for where in actual:
        del making.wished[where]
    both = make_condition(
        "cognigyDetectedIntent", "in", making.random.sample(INTENTS, 2)
    )
    making.wished["cards/merged"] = making.rule("merged", conditions=[both])
    return len(actual) == 2


def _move(making: Making) -> None:
    for where in making.some():
        making.wished[f"moved/{where.rpartition('/')[2]}"] = making.wished.pop(where)


def _drift(making: Making) -> None:
    for where in making.some(2):
        now = making.find(where)
        if now is not None:
            making.put(
                {**now, "priority": now["priority"] + making.random.choice([-5, 5])}
            )


def _disable(making: Making) -> None:
    for where in making.some(2):
        making.wished[where] = replace(making.wished[where], enabled=False)


def _foreign(description: str) -> Callable[[Making], None]:
    """Make a kind of scenario with unmanaged rules that resemble managed ones."""

    def kind(making: Making) -> None:
        number = len(making.live)
        name = making.random.choice(
            [f"cards/k{number}", f"RULE {number}", f"(next) acme/cards/k{number}"]
        )
        actual = making.rule(f"{name}  ", description=description)
        making.put(theirs(f"f-{number}", actual, tag={"by": number}))

    return kind


def _other_owner(making: Making) -> None:
    number = len(making.live)
    actual = making.rule(f"dev {number}")
    making.put(
        ours(
            f"cards/k{making.random.randint(0, 3)}",
            actual,
            rule_id=f"f-{number}",
            owner="acme-dev",
        )
    )


def _clone(making: Making) -> None:
    for where in making.some():
        now = making.find(where)
        if now is not None:
            making.put(
                {
                    **now,
                    "id": "zz-clone",
                    "name": f"Copy of {now['name']}"[:256],
                    "dateCreated": _LATER,
                }
            )


def _duplicate(making: Making) -> None:
    for where in making.some():
        old = making.rule(f"as of old {where}")
        making.put(ours(where, old, rule_id="zz-duplicate", dateCreated=_LATER))


def _left_copy(making: Making) -> None:
    for where in making.some():
        temporary = making.rule(f"(next) {OWNER}/{where}")
        marker = Marker(OWNER, address(where), marker_digest(temporary), copy=True)
        making.put(
            {
                **theirs("zz-left", temporary),
                "description": format_description(temporary, marker),
            }
        )


def _unknown_fields(making: Making) -> None:
    for where in making.some(2):
        now = making.find(where)
        if now is not None:
            targets = [{**item, "overflow": "q-general"} for item in now["targets"]]
            making.put({**now, "tag": {"a": [1, None]}, "targets": targets})


def _opaque(making: Making) -> None:
    unknown = make_opaque({"type": "schedule", "scheduleId": "s-1"})
    actual = making.rule("hours", priority=950, conditions=[unknown, intent_is("q")])
    making.put(theirs("f-hours", actual))


def _fill(making: Making) -> None:
    count = making.random.choice(
        [
            TENANT.page_size - 1,
            TENANT.page_size,
            TENANT.page_size + 1,
            10 * TENANT.page_size,
        ]
    )
    for number in range(len(making.live), count):
        where = f"bulk/b{number}"
        making.wished[where] = making.rule(f"bulk {number}")
        making.live.append(ours(where, making.wished[where]))


def _unicode(making: Making) -> None:
    names = [unicodedata.normalize(form, "Café") for form in ("NFC", "NFD")] + [
        "كرت \u202eabc",
        "💳👩‍👩‍👧",
    ]
    for number, name in enumerate(making.random.sample(names, 2)):
        making.wished[f"cards/u{number}"] = making.rule(name)


def _long(making: Making) -> None:
    for where in making.some():
        old = making.wished[where]
        making.wished[where] = replace(
            old, name=f"{old.name}{'n' * (256 - len(old.name))}"
        )


def _adopt(making: Making) -> None:
    by_name = making.rule("theirs to take")
    by_id = making.rule("theirs by id")
    making.put(theirs("f-name", by_name, tag=1))
    making.put(theirs("f-id", by_id, tag=2))
    making.wished |= {
        "cards/taken": replace(by_name, targets=making.targets()),
        "cards/by-id": replace(by_id, priority=7),
    }
    making.adopts |= {"taken": by_name.name, "by-id": AdoptById(id="f-id")}


def _weigh(making: Making) -> None:
    for where in making.some():
        weights = making.random.choices([0, 1, 30, 70], k=2)
        parts = [Target("q-cards", weights[0]), Target("q-fraud", weights[1] + 1)]
        making.wished[where] = rule(
            making.wished[where].name,
            conditions=making.wished[where].conditions,
            targets=parts,
        )


def _threshold(making: Making) -> None:
    for where in making.some():
        actual = [
            making.wished[where].conditions[0],
            at_least(making.random.choice([0.3, 0.5, 0.9])),
        ]
        old = making.wished[where]
        making.wished[where] = rule(
            old.name, conditions=actual, targets=old.targets, priority=old.priority
        )


KINDS: Final[dict[str, Callable[[Making], object]]] = {
    "rename": _rekey,
    "queue": _requeue,
    "swap of two": _exchange("priority", 2),
    "swap of three": _exchange("priority", 3),
    "intents swapped": _exchange("conditions", 2),
    "names exchanged": _exchange("name", 3),
    "delete": _delete,
    "emptied": _empty,
    "create": _create,
    "split": _split,
    "merge": _merge,
    "other ruleset": _move,
    "drift": _drift,
    "disabled": _disable,
    "foreign name style": _foreign("Theirs"),
    "foreign marker prefix": _foreign("[cxroute:acme/cards/k0]"),
    "malformed marker": _foreign("Text\n[cxroute:acme/cards/k0#0badc0de]\n"),
    "marker in free text": _foreign("Was [cxroute:acme/cards/k0#0badc0de] once"),
    "other environment's marker": _other_owner,
    "clone": _clone,
    "duplicates": _duplicate,
    "leftover copy": _left_copy,
    "unknown fields": _unknown_fields,
    "opaque": _opaque,
    "sizes": _fill,
    "unicode": _unicode,
    "long names": _long,
    "adopt": _adopt,
    "weights": _weigh,
    "thresholds": _threshold,
}
"""The possible events, by the kind of scenario that each makes."""
