"""The types of single fields, with their requirements in words.

Checks raise PydanticCustomError with a CXR code as its type; `error_messages` adds the field and
its value.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from types import NoneType
from typing import Annotated, Any, Final, Literal, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetPydanticSchema,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, core_schema

from reconciler.core.model.finding import CODES
from reconciler.core.text.hosts import journal_address_problem, request_url
from reconciler.core.text.local_time import TIME, InvalidTimeError, parse_time

T = TypeVar("T")


class StrictModel(BaseModel):
    """A part of a manifest: camelCase keys, no undeclared fields, no conversion of values."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        defer_build=True,  # a model is built when a manifest has it
    )


class ManifestDocument(StrictModel):
    """A document, with the version of the format."""

    api_version: Literal["routing/v1"] = Field(
        default="routing/v1",
        description="The version of the manifest format: always routing/v1.",
    )


def required(description: str, *examples: object) -> Any:  # noqa: ANN401 - typed as Field is
    """Return the declaration of a required field."""
    return Field(description=description, examples=list(examples))


def optional(default: Any, description: str, *examples: object) -> Any:  # noqa: ANN401 - typed as Field is
    """Return the declaration of an optional field."""
    return Field(
        default=default,
        description=description,
        examples=list(examples) or None,
    )


def exemplary(default: Any, description: str) -> Any:  # noqa: ANN401 - typed as Field is
    """Return the declaration of a field whose default is its example."""
    return optional(default, description, default)


def omittable(description: str, *examples: object) -> Any:  # noqa: ANN401 - typed as Field is
    """Return the declaration of an optional field whose default is None."""
    return optional(None, description, *examples)


_SLUG: Final = "[a-z0-9][a-z0-9-]{0,63}"
_LABEL: Final = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
SLUG: Final = f"^{_SLUG}$"
ADDRESS: Final = f"^{_SLUG}/{_SLUG}$"
ENVIRONMENT: Final = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
TENANT: Final = rf"^{_LABEL}((\.{_LABEL})+(:[0-9]{{1,5}})?)?$"
VARIABLE: Final = "^[A-Za-z_][A-Za-z0-9_]{0,127}$"
ADDRESS_GLOB: Final = "^[a-z0-9*][a-z0-9*-]{0,63}/[a-z0-9*][a-z0-9*-]{0,63}$"
VAR_NAME: Final = "^[A-Za-z_][A-Za-z0-9_-]{0,63}$"
# `${name}` as the entire value
REFERENCE: Final = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_-]{0,63}\}", re.ASCII)
AREA: Final = "^[a-z]{1,3}[0-9]{1,3}$"
API_PATH: Final = "^/[A-Za-z0-9._~/%@:+-]{0,511}$"
CONTEXT_PATH: Final = (
    r"^/[A-Za-z0-9._~/%@:+-]{0,511}\{conversationId\}[A-Za-z0-9._~/%@:+-]{0,511}$"
)
_FIELD: Final = "[A-Za-z_$@][A-Za-z0-9_$@:-]{0,63}"
FIELD: Final = f"^{_FIELD}$"
MEMBER: Final = rf"^{_FIELD}(\.{_FIELD}){{0,4}}$"
DOT_OR_MEMBER: Final = rf"^(\.|{_FIELD}(\.{_FIELD}){{0,4}})$"
MESSAGE: Final = rf"^{_FIELD}(\[\])?(\.{_FIELD}(\[\])?){{0,4}}$"
PARAMETER: Final = "^[A-Za-z_$][A-Za-z0-9_.$-]{0,63}$"
HEADER: Final = "^[A-Za-z][A-Za-z0-9-]{0,63}$"
WORD: Final = "^[A-Za-z0-9_.:/=!<>-][A-Za-z0-9 _.:/=!<>-]{0,63}$"
DIGEST: Final = "^[0-9a-f]{8}$"
SCRIPT_VARIABLE: Final = "^[A-Za-z][A-Za-z0-9_]{0,63}$"
SCRIPT_PATH: Final = r"^[^\x00-\x1f\x7f]{1,256}$"
API_VERSION: Final = r"^v[1-9][0-9]?\.[0-9]$"
PLAIN_LABEL: Final = r"^\w[\w '()/.-]*$"
OWNER: Final = (
    "^@[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,19}$"
)
CLOCK: Final = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
DURATION: Final = "^[1-9][0-9]{0,4}[smhd]$"

# code and message by pattern, because pydantic's error carries the unmatched pattern
PATTERN_MESSAGES: Final[dict[str, tuple[str, str]]] = {
    SLUG: ("CXR108", "must be 1 to 64 of a-z, 0-9 and -, and must not begin with -"),
    ADDRESS: ("CXR108", "must be an address, ruleset/key, each of a-z, 0-9 and -"),
    ADDRESS_GLOB: (
        "CXR108",
        "must be an address, ruleset/key, or a pattern of addresses, such as cards/*",
    ),
    ENVIRONMENT: (
        "CXR108",
        "must be 1 to 64 letters, digits, ., _ or -, and begin with a letter or digit",
    ),
    TENANT: (
        "CXR104",
        "must be a tenant's name, such as acme, or a host, such as acme.my.cxone.com",
    ),
    VARIABLE: (
        "CXR104",
        "must be the name of an environment variable (never a secret itself)",
    ),
    VAR_NAME: (
        "CXR104",
        "must be letters, digits, _ or -, and begin with a letter or _",
    ),
    AREA: ("CXR104", "must be an area, such as na1 or eu1"),
    API_PATH: ("CXR104", "must be a path that begins with /, without a query"),
    CONTEXT_PATH: (
        "CXR104",
        "must be a path that begins with / and holds {conversationId} once",
    ),
    FIELD: (
        "CXR104",
        "must be the name of a field: letters, digits, _, $, @, : or -, and not begin with a digit",
    ),
    MEMBER: (
        "CXR104",
        "must be names of members separated by dots, such as _links.next",
    ),
    DOT_OR_MEMBER: (
        "CXR104",
        "must be a dot, or names of members separated by dots, such as data.rules",
    ),
    MESSAGE: (
        "CXR104",
        "must be names of members separated by dots, such as errors[].message",
    ),
    PARAMETER: (
        "CXR104",
        "must be the name of a query parameter: letters, digits, _, ., $ or -",
    ),
    HEADER: ("CXR104", "must be the name of a header: letters, digits and -"),
    WORD: (
        "CXR104",
        "must be a word of the tenant: letters, digits, spaces and _.:/=!<>-",
    ),
    DIGEST: (
        "CXR104",
        "must be a digest: 8 of 0-9 and a-f, in quotes if all are digits",
    ),
    SCRIPT_VARIABLE: (
        "CXR104",
        "must be a variable of a script: letters, digits or _, and begin with a letter",
    ),
    SCRIPT_PATH: (
        "CXR104",
        "must be a script's path, such as Bot\\Hand-over, without control characters",
    ),
    API_VERSION: ("CXR104", "must be a version of the API, such as v34.0"),
    PLAIN_LABEL: (
        "CXR104",
        "must be letters, digits, spaces and '()/.-, and begin with a letter or digit",
    ),
    OWNER: (
        "CXR104",
        'must be a user or a group of the forge, in quotes: "@name" or "@group/name"',
    ),
    CLOCK: ("CXR104", "must be a time of day from 00:00 to 24:00"),
    DURATION: (
        "CXR104",
        "must be a whole number of seconds, minutes, hours or days: 30s, 10m, 1h, 1d",
    ),
}


def _non_null_schema(source: Any, handler: Any) -> core_schema.CoreSchema:  # noqa: ANN401 - pydantic's own hook is typed so
    """Validate as the type without None."""
    (inner,) = (kind for kind in get_args(source) if kind is not NoneType)
    schema: core_schema.CoreSchema = handler.generate_schema(inner)
    return schema


def _number(
    message: str,
    ge: int | None = None,
    gt: int | None = None,
    le: int | None = None,
) -> GetPydanticSchema:
    """Accept integers and floats without conversion; a plain union would report two errors."""
    schema = core_schema.union_schema(
        [
            core_schema.int_schema(strict=True, ge=ge, gt=gt, le=le),
            core_schema.float_schema(
                strict=True,
                allow_inf_nan=False,
                ge=ge,
                gt=gt,
                le=le,
            ),
        ],
        custom_error_type="CXR104",
        custom_error_message=message,
    )
    bounds = {"minimum": ge, "exclusiveMinimum": gt, "maximum": le}
    described = {"type": "number"} | {
        name: bound for name, bound in bounds.items() if bound is not None
    }
    return GetPydanticSchema(
        lambda _source, _handler: schema, lambda _schema, _handler: dict(described)
    )


_SCALAR: Final = core_schema.union_schema(
    [
        core_schema.str_schema(),
        core_schema.bool_schema(),
        core_schema.int_schema(),
        core_schema.float_schema(),
    ]
)


def _scalar_schema(message: str, *further: core_schema.CoreSchema) -> GetPydanticSchema:
    choices = [*_SCALAR["choices"], *further]
    schema = core_schema.union_schema(
        choices,
        custom_error_type="CXR104",
        custom_error_message=message,
    )
    return GetPydanticSchema(lambda _source, _handler: schema)


def _limit_items(limit: int) -> Callable[[object], object]:
    def check(value: object) -> object:
        if isinstance(value, list) and len(value) > limit:
            raise PydanticCustomError("CXR104", f"must have {limit:,} items at most")
        return value

    return check


Omittable = Annotated[T | None, GetPydanticSchema(_non_null_schema)]
"""An optional field that cannot be null: an empty value is more likely a mistake."""
YamlList = Annotated[tuple[T, ...], Field(strict=False)]
"""A YAML list, kept as a tuple; `strict` would require a Python tuple."""
ShortList = Annotated[
    tuple[T, ...], Field(strict=False), BeforeValidator(_limit_items(100))
]
LongList = Annotated[
    tuple[T, ...], Field(strict=False), BeforeValidator(_limit_items(1000))
]
"""Lists whose errors are slow to report. Pydantic's max_length validates all items first."""
NonEmptyList = Annotated[
    tuple[T, ...],
    Field(strict=False, min_length=1),
    BeforeValidator(_limit_items(1000)),
]

NonEmptyText = Annotated[str, Field(min_length=1)]
# short, so that no label is cut
Label = Annotated[str, Field(min_length=1, max_length=100)]
Slug = Annotated[str, Field(pattern=SLUG)]
Variable = Annotated[str, Field(pattern=VARIABLE)]
Priority = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
Share = Annotated[int | float, _number("must be a number from 0 to 1", ge=0, le=1)]
Percent = Annotated[
    int | float, _number("must be a number from 0 to 100", ge=0, le=100)
]
NonNegative = Annotated[int | float, _number("must be a number, 0 or more", ge=0)]
Number = Annotated[int | float, _number("must be a number")]
Positive = Annotated[
    int | float, _number("must be a number above 0", gt=0, le=1_000_000)
]
Scalar = Annotated[
    str | bool | int | float, _scalar_schema("must be text, a number, true or false")
]
Attribute = Annotated[
    str | bool | int | float | None,
    _scalar_schema(
        "must be text, a number, true, false or null", core_schema.none_schema()
    ),
]

# the value of a name in `vars`
Constant = Annotated[
    str | bool | int | float | tuple[str | bool | int | float, ...],
    _scalar_schema(
        "must be text, a number, true or false, or a list of these",
        core_schema.tuple_variable_schema(_SCALAR, strict=False, max_length=1000),
    ),
]


def _variable_or_value(value: object) -> str:
    return (
        "<variable>"
        if isinstance(value, str) and REFERENCE.fullmatch(value)
        else "<value>"
    )


OrVariable = Annotated[
    Annotated[T, Tag("<value>")]
    | Annotated[str, Field(pattern=f"^{REFERENCE.pattern}$"), Tag("<variable>")],
    Discriminator(_variable_or_value),
    # a value that is not text, or `${name}`, which is checked when each environment's value is
    # filled in
]

_MAX_URL_LENGTH: Final = 2048


def read_time(value: object) -> datetime:
    """Return the time of a text; a time stays as it is."""
    if isinstance(value, datetime):
        return value
    try:
        return parse_time(value if isinstance(value, str) else "")
    except InvalidTimeError as error:
        raise PydanticCustomError("CXR104", str(error)) from None


_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(text: str) -> timedelta:
    """Return the length of a duration such as `10m`, which has the pattern `DURATION`."""
    seconds = int(text[:-1]) * _UNIT_SECONDS[text[-1]]
    return timedelta(seconds=seconds)


@cache
def time_zones() -> Mapping[str, None]:
    """Return the keys of all time zones in order, equal on every machine."""
    return dict.fromkeys(
        files("tzdata").joinpath("zones").read_text(encoding="ascii").split()
    )


def _one_of(names: Callable[[], Mapping[str, object]], message: str) -> AfterValidator:
    # Time zones are looked up in a list, not in the file system, because their keys are untrusted.
    def check(text: str) -> str:
        if text in names():
            return text
        raise PydanticCustomError("CXR104", message, {"known": tuple(names())})

    return AfterValidator(check)


def _check_url(text: str) -> str:
    if len(text) <= _MAX_URL_LENGTH and request_url(text):
        return text
    raise PydanticCustomError(
        "CXR104",
        "must be an address that begins with https:// (http:// only for this machine)",
    )


def _check_service_url(text: str) -> str:
    if "?" in text or "#" in text:
        raise PydanticCustomError("CXR104", "must be an address without a query")
    return _check_url(text)


def _check_base_url(text: str) -> str:
    if urlsplit(_check_service_url(text)).path not in {"", "/"}:
        message = (
            "must be an address without a path; set rulesPath, queuesPath and contextPath for "
            "paths"
        )
        raise PydanticCustomError("CXR104", message)
    return text


def _check_relative_path(path: str) -> str:
    parts = path.split("/")
    if (
        path.isprintable()
        and path
        and "\\" not in path
        and ":" not in path
        and parts[0] != ""
        and ".." not in parts
    ):
        return path
    raise PydanticCustomError(
        "CXR104",
        "must be a path inside the working directory, such as traffic/prod.csv",
    )


def _check_journal(text: str) -> str:
    if "://" in text:
        problem = journal_address_problem(text)
    else:
        is_path = (
            text.isprintable()
            and text
            and "\\" not in text
            and not text.startswith("~")
        )
        problem = (
            ""
            if is_path
            else "must be a directory, or an address such as s3://BUCKET/PREFIX"
        )
    if problem:
        raise PydanticCustomError("CXR104", problem)
    return text


ALL_CODES: Final = "all"
_STRICT_CODE: Final = "must be the code of a finding, such as CXR203, or all"
StrictCode = Annotated[str, _one_of(lambda: {ALL_CODES: None, **CODES}, _STRICT_CODE)]
FindingCode = Annotated[
    str, _one_of(lambda: CODES, "must be the code of a finding, such as CXR203")
]
TIME_SCHEMA: Final = WithJsonSchema({"type": "string", "pattern": f"^{TIME.pattern}$"})
Time = Annotated[datetime, BeforeValidator(read_time), TIME_SCHEMA]
"""A time with its offset from UTC, or the local time of the Environment's `timezone`."""
Duration = Annotated[str, Field(pattern=DURATION)]
Zone = Annotated[str, _one_of(time_zones, "must be a time zone, such as Europe/Berlin")]
Url = Annotated[str, AfterValidator(_check_url)]
ServiceUrl = Annotated[str, AfterValidator(_check_service_url)]
BaseUrl = Annotated[str, AfterValidator(_check_base_url)]
JournalText = Annotated[str, AfterValidator(_check_journal)]
RelativePath = Annotated[str, AfterValidator(_check_relative_path)]


def _shape(value: object) -> str | None:
    if isinstance(value, str):
        return "<text>"
    if isinstance(value, (list, tuple)):
        return "<list>"
    return "<mapping>" if isinstance(value, (Mapping, StrictModel)) else None


def of_shape(
    message: str, shape: Callable[[object], str | None] = _shape
) -> Discriminator:
    """Return the discriminator of `<text>`, `<list>` and `<mapping>`, with the message for other
    values.
    """
    return Discriminator(
        shape,
        custom_error_type="CXR104",
        custom_error_message=message,
    )


def form_of_queue(value: object) -> str | None:
    """Return the form of an alias's queue.

    An Environment may have the name of a field; its value is a mapping.
    """
    fields = (
        [value[name] for name in ("id", "name", "owners") if name in value]
        if isinstance(value, Mapping)
        else []
    )
    is_queue = isinstance(value, StrictModel) or any(
        _shape(field) != "<mapping>" for field in fields
    )
    return "<queue>" if is_queue else _shape(value)


def require(is_valid: Callable[[Any], bool], message: str, code: str = "CXR104") -> Any:  # noqa: ANN401 - a validator
    """Return the check of several fields of a small part; `cross_checks` checks the fields of
    rules.
    """

    def check(part: StrictModel) -> StrictModel:
        if not is_valid(part):
            raise PydanticCustomError(code, message)
        return part

    return model_validator(mode="after")(check)


def require_exactly_one(*names: str) -> Any:  # noqa: ANN401 - a validator, which only pydantic calls
    """Return the check that exactly one of the fields is set."""
    message = f"exactly one of {', '.join(map(to_camel, names))} is required"
    return require(
        lambda part: sum(getattr(part, name) is not None for name in names) == 1,
        message,
    )
