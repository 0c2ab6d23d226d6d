"""Findings from good responses of a tenant: its token, its clock, its pages, and the parts of its
rules.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from reconciler.core.model.check import CheckResult
from reconciler.core.model.live import LiveRule
from reconciler.core.model.operators import OPERATORS
from reconciler.core.model.rule import Condition, Opaque, Queue, Target
from reconciler.core.text.escape import join_first, pluralize, quote, sanitize
from reconciler.core.text.json_values import parse_object

_SHORT_LIFETIME: Final = 120  # seconds. A token is used until a minute before its end.
_MAX_SKEW: Final = 60
_MAX_LIFETIME: Final = 1e9
_MAX_NAMED: Final = 5


def check_token(payload: Mapping[str, Any]) -> CheckResult:
    """Return the type and lifetime of the token."""
    kind = payload.get("token_type")
    expires_in = payload.get("expires_in")
    lifetime = None
    duration = "without a lifetime"
    if (
        isinstance(expires_in, int | float)
        and not isinstance(expires_in, bool)
        and 0 <= expires_in < _MAX_LIFETIME
    ):
        lifetime = int(expires_in)
        duration = f"for {pluralize(lifetime, 'second')}"
    kind_text = sanitize(str(kind)) if kind else "without a type"
    text = f"issued: {kind_text}, {duration}"
    if str(kind).lower() != "bearer":
        return CheckResult(
            "token",
            "warn",
            text,
            "It is sent as a Bearer token; the tenant may expect another type",
        )
    if lifetime is None:
        return CheckResult(
            "token",
            "warn",
            text,
            "It is used for an hour, and renewed when it is refused",
        )
    if lifetime < _SHORT_LIFETIME:
        return CheckResult(
            "token",
            "warn",
            text,
            "Its lifetime is so short that nearly every call requests a new one",
        )
    return CheckResult("token", "ok", text)


def check_clock(skews: Iterable[float]) -> CheckResult:
    """Return the difference between this machine's clock and the tenant's."""
    skew = min(skews, key=abs, default=None)
    if skew is None:
        advice = "Freezes and holds use this machine's clock"
        return CheckResult("clock", "warn", "the tenant does not send its time", advice)
    if abs(skew) <= _MAX_SKEW:
        return CheckResult(
            "clock",
            "ok",
            "this machine's clock and the tenant's agree within a minute",
        )
    direction = "behind" if skew > 0 else "ahead of"
    text = f"this machine's clock is {pluralize(int(abs(skew)), 'second')} {direction} the tenant's"
    return CheckResult(
        "clock",
        "warn",
        text,
        "Set it by NTP: freezes and holds use this machine's clock",
    )


def check_pages(name: str, received: int, total: int, requested: int) -> CheckResult:
    """Return the number of entries and pages, and whether a page holds as many as requested."""
    pages = max(1, -(-total // received)) if received else 1
    text = f"{total:,} {name} in {pluralize(pages, 'page')}"
    uneven = f"{text}: {received:,} received, {requested:,} requested"
    if received < min(total, requested):
        return CheckResult(name, "warn", uneven, f"Set api.pageSize to {received}")
    if received > requested:
        advice = (
            "The tenant seems to ignore pageSize; all entries are still read if its totals are "
            "right"
        )
        return CheckResult(name, "warn", uneven, advice)
    return CheckResult(name, "ok", text)


def check_etag(etag: str | None) -> CheckResult:
    """Return whether ETags protect a rule from concurrent edits."""
    if etag:
        return CheckResult(
            "etags",
            "ok",
            "a rule has an ETag: no concurrent edit is overwritten",
        )
    text = (
        "a rule has no ETag: each is read again just before its write, which leaves a gap of one "
        "request"
    )
    return CheckResult("etags", "ok", text)


def check_owners(rules: Sequence[LiveRule], owner: str, scope: str) -> CheckResult:
    """Return the owners of the rules; `scope` limits the statement to some rules."""
    owners = Counter("" if rule.marker is None else rule.marker.owner for rule in rules)
    own = owners[owner]
    unowned = owners[""]
    foreign = len(rules) - own - unowned
    text = f"{own:,} managed by {owner}, {unowned:,} without an owner"
    if foreign:
        text += f", {foreign:,} managed by other owners"
    return CheckResult("owners", "ok", f"{text}{scope}")


def check_operators(
    rules: Sequence[LiveRule],
    known_operators: Iterable[str],
    scope: str,
) -> list[CheckResult]:
    """Return the operators and types of live rules, and those unknown to cxroute or the
    Environment.
    """
    conditions = [part for rule in rules for part in rule.rule.conditions]
    targets = [part for rule in rules for part in rule.rule.targets]
    parts: list[Condition | Target | Opaque] = [*conditions, *targets]
    used = Counter(part.operator for part in parts if isinstance(part, Condition))
    lines = [_check_known(used, known_operators, scope)]

    opaque = Counter(
        _describe_opaque(part) for part in parts if isinstance(part, Opaque)
    )
    if opaque:
        counts = opaque.most_common(_MAX_NAMED)
        names = ", ".join(f"{name} ({count:,})" for name, count in counts)
        text = f"not understood: {names}{scope}"
        advice = (
            "Rules with these parts are changed only if they are managed; a plan assumes that "
            "such a condition may match or not"
        )
        lines.append(CheckResult("unknown parts", "warn", text, advice))
    return lines


def _check_known(
    used: Counter[str],
    known_operators: Iterable[str],
    scope: str,
) -> CheckResult:
    missing = sorted(set(used) - set(known_operators))
    if missing:
        text = (
            f"live rules use {', '.join(missing)}, which api.operators of the Environment "
            f"omits{scope}"
        )
        advice = "Add them to api.operators, if the tenant understands them"
        return CheckResult("operators", "warn", text, advice)
    operators = ", ".join(f"{name} {count:,}" for name, count in used.most_common())
    text = f"live rules use {operators or 'none'}{scope}"
    return CheckResult("operators", "ok", text)


def _describe_opaque(part: Opaque) -> str:
    part_json = parse_object(part.text)
    if "type" not in part_json:
        return "a part without a type"
    operator = part_json.get("operator")
    if part_json["type"] == "attribute" and isinstance(operator, str):
        if operator in OPERATORS:
            return f"a value of {operator}"
        return f"operator {quote(operator)}"
    return f"type {quote(str(part_json['type']))}"


def check_names(rules: Sequence[LiveRule], scope: str, *, unique: bool) -> CheckResult:
    """Return whether live names are unique."""
    counts = Counter(rule.rule.name for rule in rules)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if not repeated:
        return CheckResult("names", "ok", f"rule names are unique{scope}")
    names = ", ".join(map(quote, repeated[:_MAX_NAMED]))
    if len(repeated) > _MAX_NAMED:
        names += " and others"
    text = f"several rules are named {names}; the tenant does not keep names unique"
    if not unique:
        return CheckResult("names", "ok", text)
    advice = "The Environment sets api.namesUnique: true, which is wrong: remove it"
    return CheckResult("names", "fail", text, advice)


def check_queues(
    rules: Sequence[LiveRule],
    queues: Sequence[Queue],
    expected: Iterable[str],
) -> list[CheckResult]:
    """Return the queues in rules or manifests that are missing in the tenant; `queues` must be
    complete.
    """
    ids = {queue.id for queue in queues}
    names = {queue.name for queue in queues}
    targets = [part for rule in rules for part in rule.rule.targets]
    used = {part.queue_id for part in targets if isinstance(part, Target)}
    lines = []
    unlisted = used - ids
    if unlisted:
        count = pluralize(len(unlisted), "queue")
        text = (
            f"live rules send conversations to {count} missing from the list of queues"
        )
        advice = "They may be deleted, or api.queuesPath may list other queues than routing uses"
        lines.append(CheckResult("queues", "warn", text, advice))
    missing = sorted(set(expected) - names - ids)
    if missing:
        text = (
            f"the manifests name queues that do not exist: "
            f"{join_first(missing, _MAX_NAMED, quote)}"
        )
        advice = "Create them in CXone, or correct the names. Until then, plan refuses"
        lines.append(CheckResult("queues", "fail", text, advice))
    return lines
