"""Manifests that `export` refuses to write: an apply of them would not adopt the rules
unchanged.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.queues import QueueResolver
from reconciler.core.export.export import (
    ExportedManifests,
    ExportMismatchError,
    TenantSnapshot,
    export_rules,
    verify_export,
)
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Rule, Target
from tests.support.builders import QUEUES, desired, managed, rule, unmanaged, wanted
from tests.support.plans import environment

BY_HAND = unmanaged("7", rule("by hand"))
FRAUD = (Target("q-fraud", 1),)


def tenant(*rules: LiveRule) -> TenantSnapshot:
    """A tenant with these rules, none of them in a manifest."""
    return TenantSnapshot(
        rules=rules,
        queues=QUEUES,
        resolver=QueueResolver("prod", {}, QUEUES),
        environment=environment(),
        desired=desired(),
    )


def exported(*rules: LiveRule) -> ExportedManifests:
    """Return the export of these rules."""
    return export_rules(rules, tenant(*rules), ())


def read_back(made: ExportedManifests, adopt: str | None = "by hand") -> DesiredState:
    """Return the desired state with the exported manifests."""
    return desired(
        *(wanted(str(rule.address), rule.rule, adopt=adopt) for rule in made.rules)
    )


def otherwise(made: ExportedManifests, meant: Rule) -> ExportedManifests:
    """Return the same manifests, with another definition of the one rule."""
    (group,) = made.rulesets
    return replace(
        made, rulesets=(replace(group, rules=(replace(group.rules[0], rule=meant),)),)
    )


def test_an_unchanged_rule_is_proven() -> None:
    """One adoption under the same name, no other change, and no impact."""
    created = exported(BY_HAND)
    proof = verify_export(created, tenant(BY_HAND), read_back(created))
    assert (1, 0, 0, False) == (
        proof.adoptions,
        proof.renamed,
        proof.other_changes,
        proof.behaviour.changed,
    )


def test_a_missing_rule_is_not_proven() -> None:
    """The manifests do not have its address when they are read."""
    with pytest.raises(
        ExportMismatchError,
        match=r"^card-services/by-hand would not be read back unchanged$",
    ):
        verify_export(exported(BY_HAND), tenant(BY_HAND), desired())


def test_a_changed_rule_is_not_proven() -> None:
    """The manifest has another priority when it is read."""
    created = exported(BY_HAND)
    candidate = desired(
        wanted("card-services/by-hand", rule("by hand", priority=7), adopt="by hand")
    )
    with pytest.raises(
        ExportMismatchError,
        match=r"^card-services/by-hand would not be read back unchanged$",
    ):
        verify_export(created, tenant(BY_HAND), candidate)


@pytest.mark.parametrize("adopt", [None, "another"])
def test_a_rule_that_would_not_be_adopted_is_not_proven(adopt: str | None) -> None:
    """Without `adopt:` its name is taken, and with the `adopt:` of another rule that rule would be
    adopted.
    """
    remaining_items = (BY_HAND, unmanaged("8", rule("another")))
    created = exported(BY_HAND)
    with pytest.raises(
        ExportMismatchError,
        match=r"^card-services/by-hand could not be adopted unchanged$",
    ):
        verify_export(created, tenant(*remaining_items), read_back(created, adopt))


def test_an_adoption_of_another_rule_is_not_proven() -> None:
    """Two rules have the name; the manifest adopts the other one."""
    created = exported(BY_HAND)
    with pytest.raises(ExportMismatchError, match="could not be adopted unchanged"):
        verify_export(
            created, tenant(unmanaged("8", rule("by hand"))), read_back(created)
        )


def test_a_managed_rule_needs_no_adoption() -> None:
    """Its manifest was deleted: with the exported one it is unchanged."""
    own_side = managed("7", "cards/by-hand", rule("by hand"))
    created = exported(own_side)
    proof = verify_export(created, tenant(own_side), read_back(created, None))
    assert (0, 0, 0) == (proof.adoptions, proof.renamed, proof.other_changes)


def test_manifests_that_send_conversations_elsewhere_are_not_proven() -> None:
    """The manifest reads back as written, and sends to another queue than the live rule."""
    created = otherwise(exported(BY_HAND), rule("by hand", targets=FRAUD))
    with pytest.raises(
        ExportMismatchError, match=r"^conversations would go elsewhere$"
    ):
        verify_export(created, tenant(BY_HAND), read_back(created))


def test_the_proof_counts_new_names_and_the_changes_of_other_manifests() -> None:
    """A rule that gets a new name, and a rule that a manifest already defined."""
    created = otherwise(exported(BY_HAND), replace(rule("by hand"), name="another"))
    candidate = wanted("cards/new", rule("new"))
    proof = verify_export(
        created, tenant(BY_HAND), desired(*read_back(created).rules.values(), candidate)
    )
    assert (1, 1, 1) == (proof.adoptions, proof.renamed, proof.other_changes)
