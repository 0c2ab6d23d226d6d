"""The kind Environment with each target's own part of `api`."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from pydantic import Field, create_model

import reconciler.core.manifest.kinds.fields as f
from reconciler.core.manifest.kinds.environment import Api, Environment, settings_field
from reconciler.core.plugins import built_in_names, load_plugin


def environment_model(root: Mapping[str, object]) -> type[Environment]:
    """Return the model of an Environment document, which knows the target that the document names."""
    api = root.get("api")
    name = api.get("rules") if isinstance(api, Mapping) else None
    if isinstance(name, str) and name not in built_in_names() and load_plugin(name):
        return model_with_targets((*built_in_names(), name))
    return model_with_targets(built_in_names())


@cache
def model_with_targets(names: tuple[str, ...]) -> type[Environment]:
    """Return the model of an Environment whose `api` has the part of each of these targets."""
    parts: dict[str, Any] = {}
    for name in names:
        target = load_plugin(name)
        if target is not None and target.settings is not None:
            omittable: Any = f.Omittable
            part = Field(
                default=None,
                alias=name,
                description=target.settings_help,
                examples=[target.settings_example],
            )
            parts[settings_field(name)] = (omittable[target.settings], part)

    rules = Api.model_fields["rules"]
    chosen: Any = Literal[names]
    api = create_model(
        Api.__name__,
        __base__=Api,
        __doc__=Api.__doc__,
        rules=(chosen, rules),
        **parts,
    )
    environment = Environment.model_fields["api"]
    return create_model(
        Environment.__name__,
        __base__=Environment,
        __doc__=Environment.__doc__,
        api=(api, environment),
    )
