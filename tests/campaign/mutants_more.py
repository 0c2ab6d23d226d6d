"""Further deliberate bugs, beyond the twelve."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Final

from reconciler.core import rule_json
from reconciler.core.apply import attempt, first_contact
from reconciler.core.apply import loop as apply
from reconciler.core.apply.attempt import Attempt, Verdict
from reconciler.core.errors import AmbiguousWriteError, RejectedError
from reconciler.core.model import live as marker
from reconciler.core.model.live import FetchedRule, LiveRule, Marker
from reconciler.core.plan import changes, ownership
from reconciler.core.plan import guards as guard
from reconciler.targets.platform import auth
from reconciler.targets.rules_api.client import ReadingClient, WritingClient
from tests.campaign import world
from tests.campaign.mutants_patches import again, patched


def no_if_match() -> AbstractContextManager[None]:
    """A rule is written back without its ETag."""

    def make(real: Any) -> Any:
        async def write(self: Any, read: Any, *given: Any) -> Any:
            return await real(self, replace(read, etag=None), *given)

        return write

    return patched((WritingClient, "update", make), (WritingClient, "delete", make))


def writes_the_listed_version() -> AbstractContextManager[None]:
    """No rule is read again before it is written."""

    def listing(real: Any) -> Any:
        async def rules(self: Any) -> Any:
            actual = await real(self)
            self.seen = {item.id: item for item in actual}
            return actual

        return rules

    def reading(real: Any) -> Any:
        async def rule(self: Any, rule_id: str) -> Any:
            live = getattr(self, "seen", {}).get(rule_id)
            return await real(self, rule_id) if live is None else FetchedRule(live)

        return rule

    return patched((ReadingClient, "rules", listing), (ReadingClient, "rule", reading))


def blind_put_retry() -> AbstractContextManager[None]:
    """An update with a lost response is sent again: the result is the same, unless another user
    wrote in between.
    """
    return patched(
        (WritingClient, "update", lambda real: again(real, AmbiguousWriteError))
    )


def loses_unknown_fields() -> AbstractContextManager[None]:
    """Only the fields that a manifest declares are sent."""

    def make(real: Any) -> Any:
        async def update(self: Any, read: Any, *given: Any) -> Any:
            live = replace(read.live, raw={"id": read.live.id})
            return await real(self, replace(read, live=live), *given)

        return update

    return patched((WritingClient, "update", make))


def any_marker_is_managed() -> AbstractContextManager[None]:
    """The owner of a marker is ignored."""

    def make(real: Any) -> Any:
        def split(description: str) -> tuple[str, Marker | None]:
            text, marker = real(description)
            return text, marker and replace(marker, owner="acme")

        return split

    return patched((rule_json, "parse_marker", make))


def retries_invalid_requests() -> AbstractContextManager[None]:
    """A 422 is repeated once."""
    return patched((WritingClient, "create", lambda real: again(real, RejectedError)))


def a_token_for_each_call() -> AbstractContextManager[None]:
    """No token is used twice."""

    def make(real: Any) -> Any:
        async def token(self: Any, rejected: str = "") -> Any:
            return await real(self, rejected or self._latest.token)

        return token

    return patched((auth.TokenCache, "token", make))


def always_says_that_all_is_well() -> AbstractContextManager[None]:
    """The exit code is 0 for any final state."""
    return patched((world, "exit_code", lambda _real: lambda _report: 0))


def age_alone_decides() -> AbstractContextManager[None]:
    """Of several rules with one marker the oldest is managed, else the one with the smallest id,
    edited or not.
    """
    return patched(
        (
            ownership,
            "find_original",
            lambda _real: (
                lambda rules: min(rules, key=lambda item: item.created or "~")
            ),
        )
    )


def any_twin_is_a_duplicate() -> AbstractContextManager[None]:
    """Unknown parts of a rule are dropped."""
    same: Any = lambda _real: lambda _ours, _other: ()  # noqa: E731
    return patched(
        (ownership, "differing_fields", same), (attempt, "differing_fields", same)
    )


def no_canary() -> AbstractContextManager[None]:
    """On an unknown tenant all rules of a wave are written together."""
    return patched(
        (first_contact, "find_first_write", lambda _real: lambda *_given: None)
    )


def canary_not_undone() -> AbstractContextManager[None]:
    """A rule whose marker the tenant lost stays as it is."""

    def make(_real: Any) -> Any:
        async def take_back(_step: Any, live: Any, _store: Any) -> Attempt:
            return Attempt(verdict=Verdict.DONE, id=live.id, was_sent=False)

        return take_back

    return patched((apply, "revert_step", make))


def a_users_text_is_the_tenants() -> AbstractContextManager[None]:
    """Any name and description of a rule count as the tenant's version of the written ones."""

    def make(_real: Any) -> Any:
        def as_written(rules: Any, desired: Any) -> Any:
            return tuple(_as_wanted(rule, desired) for rule in rules), ()

        return as_written

    return patched((changes, "restore_texts", make))


def _as_wanted(live: LiveRule, desired: Any) -> LiveRule:
    """Return a managed rule with the manifest's texts."""
    own_side = (
        live.marker is not None
        and live.marker.owner == desired.owner
        and not live.marker.copy
    )
    expected = (
        desired.rules.get(live.marker.address) if own_side and live.marker else None
    )
    if expected is None:
        return live
    texts = {"name": expected.rule.name, "description": expected.rule.description}
    return replace(live, rule=replace(live.rule, **texts))


def no_weight_is_routed() -> AbstractContextManager[None]:
    """The guard `unrouted` counts only the default routing."""

    def make(real: Any) -> Any:
        def unrouted(plan: Any) -> Any:
            regions = tuple(
                region for region in plan.behaviour.regions if region.after != ()
            )
            behaviour = replace(plan.behaviour, regions=regions)
            return real(replace(plan, impact=replace(plan.impact, behaviour=behaviour)))

        return unrouted

    return patched((guard, "_check_unrouted", make))


def switching_off_is_not_counted() -> AbstractContextManager[None]:
    """The guard `deletes` counts only deletes."""
    return patched((guard, "_switches_off", lambda _real: lambda _change: False))


def a_reviewed_plan_never_stops() -> AbstractContextManager[None]:
    """After concurrent edits the moved conversations are not checked again."""
    return patched(
        (apply._ApplyRun, "is_within_review", lambda _real: lambda _self, _fresh: True)
    )


def the_digest_leaves_out_the_switch() -> AbstractContextManager[None]:
    """A rule that a user disabled counts as unchanged."""
    return patched(
        (
            marker,
            "canonical_json",
            lambda real: lambda rule: real(replace(rule, enabled=True)),
        )
    )


def every_rule_is_read_as_switched_on() -> AbstractContextManager[None]:
    """`enabled` is ignored in the server's responses."""

    def switch_on(real: Callable[..., LiveRule]) -> Callable[..., LiveRule]:
        return lambda id_, rule, marker, data: real(
            id_, replace(rule, enabled=True), marker, data
        )

    return patched((rule_json, "LiveRule", switch_on))


EXTRAS: Final[dict[str, Callable[[], AbstractContextManager[None]]]] = {
    "no If-Match": no_if_match,
    "writes the listed version": writes_the_listed_version,
    "blind PUT retry": blind_put_retry,
    "loses unknown fields": loses_unknown_fields,
    "any marker is managed": any_marker_is_managed,
    "retries invalid requests": retries_invalid_requests,
    "a token for each call": a_token_for_each_call,
    "always says that all is well": always_says_that_all_is_well,
    "age alone decides": age_alone_decides,
    "any twin is a duplicate": any_twin_is_a_duplicate,
    "no canary": no_canary,
    "canary not undone": canary_not_undone,
    "a user's text is the tenant's": a_users_text_is_the_tenants,
    "no weight is routed": no_weight_is_routed,
    "switching off is not counted": switching_off_is_not_counted,
    "a reviewed plan never stops": a_reviewed_plan_never_stops,
    "the digest leaves out the switch": the_digest_leaves_out_the_switch,
    "every rule is read as switched on": every_rule_is_read_as_switched_on,
}
