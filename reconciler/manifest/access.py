"""How an Environment's tenant is entered: where a token is had, and in which variables the credentials are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.manifest.fields import AREA, ServiceUrl, Strict, Unset, Variable


class Access(Strict):
    """How to get in: with a client's id and secret, or with an access key."""

    auth: Literal["client-credentials", "access-key"] = Field(
        default="client-credentials",
        description="With what a token is asked for: a client's id and secret, as in the tutorial, or an access key, as"
        " NICE documents it. An access key needs `issuer` or `area`.",
    )
    issuer: Unset[ServiceUrl] = Field(
        default=None,
        description="With an access key, who issues tokens: its documents say where, and where the tenant's API is. The"
        " client's id and secret are needed as well.",
        examples=["https://cxone.niceincontact.com"],
    )
    area: Unset[Annotated[str, Field(pattern=AREA)]] = Field(
        default=None,
        description="In place of `issuer`, the area that the tenant is in: one call, and no client's id. The API is at"
        " api-AREA.niceincontact.com.",
        examples=["na1"],
    )


class Credentials(Strict):
    """Names of environment variables, never values. NAME_FILE, the path of a file that holds it, works too."""

    client_id_env: Variable = Field(
        default="CXONE_CLIENT_ID",
        description="Name of the environment variable that holds the client id. Never the id itself.",
        examples=["CXONE_CLIENT_ID"],
    )
    client_secret_env: Variable = Field(
        default="CXONE_CLIENT_SECRET",
        description="Name of the environment variable that holds the client secret. Never the secret itself.",
        examples=["CXONE_CLIENT_SECRET"],
    )
    access_key_id_env: Variable = Field(
        default="CXONE_ACCESS_KEY_ID",
        description="With `auth: access-key`, name of the environment variable that holds the access key's id.",
        examples=["CXONE_ACCESS_KEY_ID"],
    )
    access_key_secret_env: Variable = Field(
        default="CXONE_ACCESS_KEY_SECRET",
        description="With `auth: access-key`, name of the environment variable that holds the access key's secret.",
        examples=["CXONE_ACCESS_KEY_SECRET"],
    )
