"""The part of `api` in an Environment whose rules are the table of a decision service."""

from typing import Annotated, Literal

from pydantic import Field

import reconciler.core.manifest.kinds.fields as f

Answer = Literal["id", "name"]
"""What `cxr_skill` holds: the id of the queue, or its name."""


class Served(f.StrictModel):
    """The decision service that holds the rules, and how it answers a script."""

    url: f.ServiceUrl = f.required(
        "Address of the service, without `/rules`.", "https://routing.acme.example"
    )
    key_env: f.Variable = f.exemplary(
        "CXROUTE_ADMIN_KEY",
        "Name of the environment variable that holds the key of the service: a key to publish, or, for plans, one to "
        "read. Never the key itself.",
    )
    as_: Answer = Field(
        default="id",
        alias="as",
        description="What `cxr_skill` of an answer holds: the id of the queue, or its name.",
        examples=["id"],
    )
    variables: dict[
        f.NonEmptyText, Annotated[str, Field(pattern=f.SCRIPT_VARIABLE)]
    ] = f.optional(
        {},
        "Names in `customPayload` by attribute, where they differ from the attribute's name. `intent` and `confidence` "
        "stand for the attributes of those two.",
        {"accountType": "acct_type"},
    )
