"""From an Environment to its Studio script and the block in it."""

from typing import NamedTuple, cast
from urllib.parse import quote, urlencode

from reconciler.core.manifest.kinds.environment import Environment
from reconciler.targets.studio.layout import BlockLayout
from reconciler.targets.studio.settings import Studio


class StudioScript(NamedTuple):
    """A Studio script with rules, and the version of the API of scripts, such as `v34.0`."""

    path: str  # with its folders: Bot\Hand-over
    api_version: str
    layout: BlockLayout

    @property
    def services(self) -> str:
        """Return the path of the version of the API."""
        version = quote(self.api_version, safe="")
        return f"/inContactAPI/services/{version}"

    def target(self, call: str = "", **parameters: str) -> str:
        """Return path and query of a call; `call` is below the path of the scripts."""
        path = f"{self.services}/scripts{call}"
        if not parameters:
            return path
        query = urlencode(parameters, quote_via=quote, safe="")
        return f"{path}?{query}"


def own_layout(environment: Environment) -> BlockLayout | None:
    """Return the managed block of an Environment; None if its rules are in another place."""
    if not isinstance(environment.api.target_settings, Studio):
        return None
    return block_layout(environment)


def studio_settings(environment: Environment) -> Studio:
    """Return the settings of the script of an Environment with `api.rules: studio`."""
    return cast("Studio", environment.api.target_settings)


def block_layout(environment: Environment) -> BlockLayout:
    """Return the managed block of an Environment with `api.rules: studio`."""
    settings = studio_settings(environment)
    attributes = environment.attributes
    names = {"intent": attributes.intent, "confidence": attributes.confidence}
    variables = {
        names.get(name, name): variable for name, variable in settings.variables.items()
    }
    return BlockLayout(
        owner=environment.owner,
        block=settings.block,
        variables=variables,
        skill=settings.result.skill,
        rule=settings.result.rule,
        skill_as=settings.result.as_,
        is_digital=environment.api.queues == "digital",
        highest_first=environment.api.evaluation == "highest-first",
        facts=settings.dialect.model_dump(by_alias=True, exclude_none=True),
    )


def studio_script(environment: Environment) -> StudioScript:
    """Return the script of an Environment with `api.rules: studio`."""
    settings = studio_settings(environment)
    return StudioScript(
        settings.script,
        settings.api_version,
        block_layout(environment),
    )
