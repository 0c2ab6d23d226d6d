"""Something happens meanwhile, and then the request is answered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from reconciler.simulator.exchange import Answer, NotJsonError, encoded
from reconciler.simulator.faults.spec import kind_of
from reconciler.simulator.listing import RULES_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.simulator.faults.call import Call


def _revoke(call: Call) -> Answer:
    call.api.tokens.revoke()
    return call.real()


def _meddled(meddle: Callable[[Call, dict[str, Any]], object]) -> Callable[[Call], Answer]:
    """Make a fault of what somebody does to a rule just before the request: to its own, else to one by lot."""

    def kind(call: Call) -> Answer:
        stored = call.api.state.stored
        own = stored.get(call.request.segments[-1])
        if own is not None or stored:
            meddle(call, (own or call.random.choice(list(stored.values()))).rule)
        return call.real()

    return kind


def _edit(call: Call, rule: dict[str, Any]) -> None:
    call.api.state.edit(rule["id"], call.api.settings.clock(), priority=rule.get("priority", 0) + 1)


def _remove(call: Call, rule: dict[str, Any]) -> None:
    call.api.state.remove(rule["id"])


def _clone(call: Call, rule: dict[str, Any]) -> None:
    identity = call.api.settings.new_id()
    own = {"id": identity, "name": f"{rule['name']} (copy)", "version": 1, "selfUri": f"{RULES_PATH}/{identity}"}
    call.api.state.put({**rule, **own})


NORMALISED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "description": lambda text: " ".join(str(text).split()),
    "name": lambda text: str(text).lower(),
    "priority": lambda _: 1,
    "enabled": lambda enabled: not enabled,
}
"""What a server that alters a field makes of it."""


def _altered(call: Call) -> Answer:
    field = call.argument or "description"
    if call.request.method not in ("POST", "PUT", "PATCH") or kind_of(call.request) not in ("rules", "rule"):
        return call.real()
    try:
        body = call.request.json()
    except NotJsonError:
        return call.real()
    if not isinstance(body, dict):
        return call.real()
    other = replace(call.request, body=encoded({**body, field: NORMALISED[field](body.get(field))}))
    answer = call.api.answer(other)
    call.request.changed = other.changed
    return answer


MEANWHILE: Final[Mapping[str, Callable[[Call], Answer]]] = {
    "revoke": _revoke,
    "edit": _meddled(_edit),
    "remove": _meddled(_remove),
    "clone": _meddled(_clone),
    "altered": _altered,
}
