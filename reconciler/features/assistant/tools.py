"""The tools: their names, the words by which an assistant chooses, and the functions behind them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from reconciler.core.errors import UsageError
from reconciler.core.model.finding import Document
from reconciler.core.text.escape import quote_name
from reconciler.core.text.suggest import suggest
from reconciler.features.assistant.affected import who_is_affected
from reconciler.features.assistant.answer import finished
from reconciler.features.assistant.arguments import (
    ComparisonArguments,
    ConversationArguments,
    PromiseArguments,
    QueueArguments,
    RouteArguments,
    SearchArguments,
    ToolArguments,
    parse_arguments,
)
from reconciler.features.assistant.project import AssistantProject
from reconciler.features.assistant.promises import check_promise
from reconciler.features.assistant.routes import since, where_does_it_go
from reconciler.features.assistant.rules import find_rules, list_queues


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantTool:
    """A question that an assistant may ask."""

    title: str
    description: str
    arguments: type[ToolArguments]
    answer: Callable[[AssistantProject, Any], Document]

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the arguments."""
        return self.arguments.model_json_schema()


TOOLS: Final[Mapping[str, AssistantTool]] = {
    "where_does_it_go": AssistantTool(
        title="Where does this caller go?",
        description=(
            "Where one conversation goes: its queue, the rule that takes it (with file and line), "
            "why earlier rules do not take it, and where it would go without that rule. Use it "
            "for: where does a caller with intent X go, which rule decides, why does this caller "
            "not reach queue Y, what happens at confidence 0.3, what if the language is German. "
            "An attribute that you do not give is missing, which is not the same as any value."
        ),
        arguments=RouteArguments,
        answer=where_does_it_go,
    ),
    "find_rules": AssistantTool(
        title="Which rules are about this?",
        description=(
            "The rules that send conversations to a queue, name an intent, or have a condition on "
            "an attribute, in the order in which they are tried, each with its conditions, queue, "
            "file and line. Use it for: which rules serve a queue, which rules mention an intent, "
            "what depends on the language, where is this written. A rule that is found need not "
            "take every such caller: an earlier one may. For one caller ask where_does_it_go. "
            "forAnyIntent has the rules that ask for no intent."
        ),
        arguments=SearchArguments,
        answer=find_rules,
    ),
    "list_queues": AssistantTool(
        title="Which queues and Environments are there?",
        description=(
            "The queues of an Environment with their aliases, owners and the rules that send "
            "conversations to them, and the names of all Environments. Use it first if you do not "
            "know the name of a queue or of an Environment."
        ),
        arguments=QueueArguments,
        answer=list_queues,
    ),
    "who_is_affected": AssistantTool(
        title="Who is affected by this change?",
        description=(
            "The conversations that a change sends elsewhere: each edit of a rule (with file and "
            "line), the callers that it moves, from which queue to which, with an example. It "
            "compares the manifests in the files now with another state: a git revision (default: "
            "HEAD, so what is not committed), another directory, a file of live rules, or the "
            "tenant; or it tells what a saved plan does. `complete` says whether the answer is "
            "proven for all conversations. Use it for: who is affected by my change, what does "
            "this branch do, is this edit safe, what would apply do."
        ),
        arguments=ComparisonArguments,
        answer=who_is_affected,
    ),
    "check_promise": AssistantTool(
        title="Does this promise hold?",
        description=(
            "Whether the promises of the manifests hold, proven for all conversations: those with "
            "certain words in their names, or all. A broken one has an example, and the rule that "
            "breaks it with file and line. Use it for: do stolen cards always reach the fraud "
            "desk, is any promise broken, what do we promise about German callers."
        ),
        arguments=PromiseArguments,
        answer=check_promise,
    ),
    "since": AssistantTool(
        title="Since when does this caller go there?",
        description=(
            "Since which git commit one conversation goes where it goes: the commit, its date, "
            "author, pull request and subject, and the route before. It reads the commits of the "
            "manifests up to HEAD, not changes that are not committed. Use it for: since when, "
            "who changed it, which commit moved these callers, where did they go before."
        ),
        arguments=ConversationArguments,
        answer=since,
    ),
}


def call_tool(
    project: AssistantProject, name: str, given: Mapping[str, Any] | None
) -> Document:
    """Return the answer of a tool. Raises CxrouteError."""
    tool = TOOLS.get(name)
    if tool is None:
        hint = suggest(name, TOOLS) or f"tools: {', '.join(TOOLS)}"
        raise UsageError(f"no tool is named {quote_name(name)}; {hint}")
    return finished(tool.answer(project, parse_arguments(tool.arguments, given)))
