"""The arguments of the tools: what an assistant may send, with the words by which it chooses."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reconciler.core.errors import UsageError
from reconciler.core.text.escape import sanitize

RuleOrigin = Literal["manifests", "live"]
Value = str | bool | int | Annotated[float, Field(allow_inf_nan=False)]
Parsed = TypeVar("Parsed", bound="ToolArguments")

_MAX_PROBLEMS: Final = 3
_LONGEST: Final = 1000  # characters of a name, a path or a revision
Name = Annotated[str, Field(min_length=1, max_length=_LONGEST)]


class ToolArguments(BaseModel):
    """The arguments of every tool. An unknown one is refused, because it would be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: Annotated[
        Name | None,
        Field(
            description="The Environment, such as prod. list_queues names all. Without it: the "
            "one that the server was started with, else sandbox."
        ),
    ] = None


class RuleArguments(ToolArguments):
    """The arguments of a tool that reads the manifests or the live rules."""

    rules: Annotated[
        RuleOrigin,
        Field(
            description="manifests: the rules as the files state them. live: the rules in the "
            "tenant now; only if the server was started with --live."
        ),
    ] = "manifests"


class ConversationArguments(ToolArguments):
    """The arguments that describe one conversation."""

    intent: Annotated[
        Name | None,
        Field(
            description="The intent that the bot detected, by its name, such as "
            "lost_or_stolen_card, or by its label in the Intents document."
        ),
    ] = None
    confidence: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="The bot's confidence in the intent, from 0 to 1. Most rules need one.",
        ),
    ] = None
    attributes: Annotated[
        Mapping[str, Value],
        Field(
            max_length=50,
            description='Further attributes by the names of the rules, such as {"language": '
            '"de"}. One that is not given is missing.',
        ),
    ] = Field(default_factory=dict)


class RouteArguments(ConversationArguments, RuleArguments):
    """The arguments of `where_does_it_go`."""


class SearchArguments(RuleArguments):
    """The arguments of `find_rules`; a rule must fit all that are given."""

    queue: Annotated[
        Name | None,
        Field(
            description="Rules that send conversations to this queue: its alias in the "
            "manifests, its name in CXone, or its id."
        ),
    ] = None
    intent: Annotated[
        Name | None,
        Field(
            description="Rules whose conditions name this intent, by its name or its label."
        ),
    ] = None
    attribute: Annotated[
        Name | None,
        Field(
            description="Rules with a condition on this attribute, such as language."
        ),
    ] = None
    value: Annotated[
        Value | None,
        Field(
            description="With `attribute`: rules whose conditions on it hold for this value."
        ),
    ] = None


class QueueArguments(ToolArguments):
    """The arguments of `list_queues`."""

    queue: Annotated[
        Name | None,
        Field(description="A part of a queue's name or alias. Without it: all queues."),
    ] = None


class PromiseArguments(RuleArguments):
    """The arguments of `check_promise`."""

    promise: Annotated[
        Name | None,
        Field(
            description="Words of the promise's name. Without it: all promises, in brief."
        ),
    ] = None


class ComparisonArguments(ToolArguments):
    """The arguments of `who_is_affected`: what the manifests are compared with, one of them."""

    revision: Annotated[
        Name | None,
        Field(
            description="A git revision, such as main or HEAD~1: from its manifests to those in "
            "the files now. Without any argument: HEAD, so the change that is not committed."
        ),
    ] = None
    directory: Annotated[
        Name | None,
        Field(
            description="Another directory of manifests, below the server's folder: from the "
            "manifests in it to those in the files now."
        ),
    ] = None
    live_file: Annotated[
        Name | None,
        Field(
            description="A JSON file of live rules, below the server's folder: what an apply of "
            "the manifests would do to those rules."
        ),
    ] = None
    saved_plan: Annotated[
        Literal[True] | None,
        Field(
            description="The last saved plan, if the server was started with --plan: who is "
            "affected when it is applied."
        ),
    ] = None
    tenant: Annotated[
        Literal[True] | None,
        Field(
            description="The tenant's live rules, if the server was started with --live: what an "
            "apply of the manifests would do now."
        ),
    ] = None


def parse_arguments(kind: type[Parsed], given: Mapping[str, Any] | None) -> Parsed:
    """Return the arguments of a call. Raises UsageError."""
    try:
        return kind.model_validate(given or {})
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        shown = [_problem(problem) for problem in problems[:_MAX_PROBLEMS]]
        known = ", ".join(kind.model_fields)
        raise UsageError(f"{'; '.join(shown)}. Arguments: {known}") from None


def _problem(problem: Mapping[str, Any]) -> str:
    place = ".".join(map(str, problem["loc"]))
    return sanitize(f"{place}: {problem['msg']}")
