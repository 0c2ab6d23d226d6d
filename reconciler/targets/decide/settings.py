"""The part of `api` in an Environment whose rules are the table of a decision service."""

from typing import Annotated, Literal

from pydantic import Field

import reconciler.core.manifest.kinds.fields as f

Answer = Literal["id", "name"]
"""What `cxr_skill` holds: the id of the queue, or its name."""


class Served(f.StrictModel):
    """The decision service with the rules."""

    url: f.ServiceUrl = f.required(
        "Address of the service, without `/rules`.", "https://routing.acme.example"
    )
    key_env: f.Variable = f.exemplary(
        "CXROUTE_ADMIN_KEY",
        "Name of the environment variable with the key of the service: a key to publish, or, for "
        "plans, one to read.",
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
        "Names in `customPayload` by attribute, `intent` or `confidence`; others have the attribute's"
        " name.",
        {"accountType": "acct_type"},
    )
