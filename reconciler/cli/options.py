"""The options of a command as one frozen object; here are the options that commands share.

A command declares its options in a function `options`, which returns the class of the object. Each
field of the class has the name of an option. Only a field that several commands share has a
default: that of a command without the option.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Parsed = TypeVar("Parsed", bound="DataclassInstance")
_PARTS: Final = "parts"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonOptions:
    """The options of every command."""

    environment: str | None
    manifests: str
    color: str
    loudness: str
    log_format: str
    no_input: bool
    format: str | None = "text"
    at: str | None = None  # the time of the run, for rules with dates


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions(CommonOptions):
    """The options of a command that opens a session."""

    has_traffic: ClassVar[bool] = False
    """Whether the command has --traffic, and reads the sample of the Environment without it."""
    only: Sequence[str] | None = None
    adopt: bool = False
    keep_drift: bool = False
    no_prune: bool = False
    traffic: str | None = None
    undo: str | None = None
    due: bool = False
    base: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionOptions(SessionOptions):
    """The options of a command that takes several environments: plan, apply and drift."""

    has_base: ClassVar[bool] = False
    """Whether the command has --base, and compares with the merge base without it."""
    has_traffic: ClassVar[bool] = True
    all: bool
    shard: str | None
    plan: str | None = None  # the saved plan
    report: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOptions(SelectionOptions):
    """The options of plan and apply."""

    has_base: ClassVar[bool] = True
    journal: str | None


def option_parts(load: Callable[[], Iterable[type[Parsed]]]) -> tuple[Parsed, ...]:
    """Return the field of objects whose classes are known when the command runs; their fields have
    the names of options, too.
    """
    parts: tuple[Parsed, ...] = field(metadata={_PARTS: load})
    return parts


def option_fields(
    options_class: "type[DataclassInstance]",
) -> "Iterator[Field[Any]]":
    """Yield the fields that have the name of an option, those of parts included."""
    for each in fields(options_class):
        if _PARTS in each.metadata:
            for part in each.metadata[_PARTS]():
                yield from option_fields(part)
        else:
            yield each


def read_options(options_class: type[Parsed], values: Mapping[str, Any]) -> Parsed:
    """Return the object of a class with the values of a parsed command line."""
    parsed = {}
    for each in fields(options_class):
        if _PARTS in each.metadata:
            parts = each.metadata[_PARTS]()
            parsed[each.name] = tuple(read_options(part, values) for part in parts)
        elif each.name in values:
            parsed[each.name] = values[each.name]
    return options_class(**parsed)
