"""The variables and the fallback of an Environment, for the hand-over to its script."""

from dataclasses import replace
from typing import Final

from reconciler.core.behaviour.endpoint_stage import FallbackPolicy
from reconciler.core.desired.desired import endpoint_stage
from reconciler.core.errors import UsageError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.target import NotStorableError, form_of
from reconciler.core.text.escape import join_first, pluralize, quote_name
from reconciler.features.cognigy.handover import HandOver, unfit_intents
from reconciler.targets.studio.layout import BlockLayout
from reconciler.targets.studio.place import own_layout

_OWN: Final = frozenset({"cxr_exit", "cxr_params", "cxr_bot"})
_MAX_LISTED: Final = 5


def environment_handover(
    handover: HandOver, manifests: Manifests, environment: Environment
) -> tuple[HandOver, list[str]]:
    """Return a hand-over with the names and the fallback of an Environment, and warnings.

    Raises UsageError for names that a script cannot have as variables.
    """
    names = environment.attributes
    layout = own_layout(environment) or _layout_elsewhere(environment)
    stage = endpoint_stage(manifests, environment)
    # where the fallback is kept beside the rules, it is applied there
    keeps_fallback = form_of(environment).keeps_settings
    fallback = FallbackPolicy() if keeps_fallback else stage.fallback
    try:
        intent = layout.variable(names.intent)
        confidence = layout.variable(names.confidence)
    except NotStorableError as error:
        raise UsageError(f"Environment {environment.name}: {error}") from None
    used = _OWN & {layout.skill.lower(), layout.rule.lower()}
    if used:
        listed = join_first(sorted(used), _MAX_LISTED)
        raise UsageError(
            f"Environment {environment.name}: the hand-over uses {listed} itself; choose another "
            f"name in `api.studio.result`"
        )
    named = replace(
        handover,
        intent=intent,
        confidence=confidence,
        environment=environment.name,
        fallback=fallback,
    )
    return named, _warnings(stage.fallback, named)


def _layout_elsewhere(environment: Environment) -> BlockLayout:
    """Return a layout with the variables of an Environment whose rules are not in a script."""
    names = environment.attributes
    own = getattr(environment.api.target_settings, "variables", {})
    variables = {
        attribute: own.get(key, own.get(attribute, attribute))
        for key, attribute in (
            ("intent", names.intent),
            ("confidence", names.confidence),
        )
    }
    return BlockLayout(owner=environment.owner, block="main", variables=variables)


def _warnings(known: FallbackPolicy, handover: HandOver) -> list[str]:
    """Return a warning about intents of the manifests that cannot be handed over."""
    unfit = unfit_intents(known.known_intents)
    if not unfit:
        return []
    listed = join_first(unfit, _MAX_LISTED, quote_name)
    warning = (
        f"{pluralize(len(unfit), 'intent')} of the Intents documents cannot be handed over, and "
        f"arrive as {quote_name(handover.unknown)}: {listed}. Rename them in the bot"
    )
    return [warning]
