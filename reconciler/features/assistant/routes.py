"""Where one conversation goes, by which rule, and since when."""

import json
from typing import TYPE_CHECKING, Final

from reconciler.cli.conversation import ConversationOptions, read_conversation
from reconciler.cli.hooks import ExplainPart, explain_parts
from reconciler.cli.options import read_options
from reconciler.cli.rule_lists import rules_of
from reconciler.core.checks.explain import explain, misspellings
from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.finding import Document
from reconciler.core.plan.finding_json import source_to_json
from reconciler.core.text.escape import quote_name
from reconciler.features.assistant.answer import MAX_PARTS, MAX_ROWS, LeftOut
from reconciler.features.assistant.arguments import (
    ConversationArguments,
    RouteArguments,
    Value,
)
from reconciler.features.assistant.project import (
    SILENT,
    AssistantProject,
    intent_name,
)
from reconciler.render.colour import no_style
from reconciler.render.text.explain import explain_document, explain_text

if TYPE_CHECKING:
    from reconciler.core.plan.plan_json import SourceJson

_LISTED: Final = ("undecided", "tied", "switchedOff")
_SINCE: Final = "--since"


def where_does_it_go(project: AssistantProject, arguments: RouteArguments) -> Document:
    """Return the queue of a conversation, the rule that takes it, and the next one."""
    view = project.view(arguments.environment, arguments.rules)
    environment = view.environment
    options = _options(project, arguments, view.manifests)
    event = read_conversation(options, environment.attributes)
    explanation = explain(view.entries, event, environment, view.endpoint)
    left_out = LeftOut()
    text = explain_text(explanation, view.names, no_style, MAX_ROWS, "")
    answer = explain_document(explanation, view.names)
    # those that matter are in the text, each with the condition that does not hold
    left_out.count("passed", len(answer.pop("passed")))
    for name in _LISTED:
        answer[name] = left_out.first(name, answer[name], MAX_PARTS)
    following = explanation.next_match
    answer["nextSource"] = source_to_json(following.source) if following else None
    notes = misspellings(view.entries, view.manifests, environment, event)
    return {
        "environment": environment.name,
        "rules": view.origin,
        "text": left_out.text(text),
        **answer,
        "notes": [*notes, *view.date_notes()],
        **left_out.document(),
    }


def since(project: AssistantProject, arguments: ConversationArguments) -> Document:
    """Return the commit since which a conversation goes where it goes."""
    manifests = _valid_manifests(project)
    options = _options(project, arguments, manifests)
    part = _since_part()
    addition = part.answer(options, SILENT)
    left_out = LeftOut()
    fields = dict(addition.fields["since"])
    # the newest one is `since`, and `explain` adds no other
    fields.pop("changes")
    fields["broken"] = left_out.first("broken", fields["broken"], MAX_PARTS)
    text = left_out.text(addition.text)
    source = None
    if manifests is not None:
        source = _source_now(project, manifests, fields)
    return {"text": text, **fields, "sourceNow": source, **left_out.document()}


def _source_now(
    project: AssistantProject, manifests: Manifests, fields: Document
) -> "SourceJson | None":
    """Return where the rule of an answer about HEAD stands in the files now; None without it."""
    environment = project.environment_of(manifests, fields["environment"])
    entries, _ = rules_of(manifests, environment)
    sources = {entry.name: entry.source for entry in entries}
    return source_to_json(sources.get(fields["now"]["rule"]))


def _since_part() -> ExplainPart:
    """Return the part of `explain` that searches the history. Raises UsageError without it."""
    for part in explain_parts():
        if part.option == _SINCE:
            return read_options(part, {"since": True})
    raise UsageError("this installation has no feature that searches the history")


def _valid_manifests(project: AssistantProject) -> Manifests | None:
    """Return the manifests, for the labels of intents; those at HEAD decide about errors."""
    try:
        return project.manifests()
    except ManifestError:
        return None


def _options(
    project: AssistantProject,
    arguments: ConversationArguments,
    manifests: Manifests | None,
) -> ConversationOptions:
    """Return the conversation as the options of a command. Raises UsageError without one."""
    intent = arguments.intent
    confidence = arguments.confidence
    if intent is None and confidence is None and not arguments.attributes:
        raise UsageError("describe a conversation: intent, confidence or attributes")
    if intent is not None and manifests is not None:
        intent = intent_name(manifests, intent)
    return ConversationOptions(
        environment=arguments.environment or project.environment,
        manifests=project.directory,
        color=SILENT.colour,
        loudness=SILENT.loudness,
        log_format=SILENT.log_format,
        no_input=True,
        intent=intent,
        confidence=None if confidence is None else json.dumps(confidence),
        attr=[_word(*item) for item in arguments.attributes.items()],
    )


def _word(name: str, value: Value) -> str:
    """Return an attribute as the value of `--attr`. Raises UsageError."""
    if not name or "=" in name:
        raise UsageError(
            f"attributes: {quote_name(name)} is not the name of an attribute"
        )
    if isinstance(value, bool):  # true and false are texts, as in rules
        value = json.dumps(value)
    return f"{name}={json.dumps(value)}"
