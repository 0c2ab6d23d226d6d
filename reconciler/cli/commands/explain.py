"""`cxroute explain`: the rule that takes a conversation, and why earlier ones do not; or the
meaning of a code.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, replace

from reconciler.cli import conversation
from reconciler.cli.hooks import ExplainAddition, ExplainPart, explain_parts
from reconciler.cli.options import option_parts
from reconciler.cli.output import Output
from reconciler.cli.parsing import add_format_option
from reconciler.cli.rule_lists import refuse_other_reading
from reconciler.cli.rule_sources import list_rules, read_tenant
from reconciler.cli.session import Session, open_session
from reconciler.cli.validation import note_assumed_steps
from reconciler.core.checks.explain import explain, misspellings
from reconciler.core.desired.desired import desire_offline, endpoint_stage
from reconciler.core.errors import UsageError
from reconciler.core.model.finding import CODES, Document
from reconciler.core.text.escape import quote_name, sanitize
from reconciler.core.text.suggest import suggest
from reconciler.render.text.explain import explain_document, explain_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOptions(conversation.ConversationOptions):
    """The options of `cxroute explain`, and those of features."""

    code: str | None
    live: bool
    parts: tuple[ExplainPart, ...] = option_parts(explain_parts)

    @property
    def explained_rules(self) -> str:
        """Return which rules are explained: `live` or `manifests`."""
        return "live" if self.live else "manifests"

    @property
    def given_parts(self) -> list[ExplainPart]:
        """Return the options of features that stand in the command line."""
        return [part for part in self.parts if part.is_given]


def options(parser: argparse.ArgumentParser) -> type[ExplainOptions]:
    parser.add_argument(
        "code",
        nargs="?",
        metavar="CODE",
        help="explain the code of a finding, such as CXR105",
    )
    conversation.add_options(parser)
    parser.add_argument(
        "--live",
        action="store_true",
        help="use the tenant's live rules instead of the manifests",
    )
    for part in explain_parts():
        part.add_option(parser)
    add_format_option(parser)
    parser.epilog = conversation.HELP
    return ExplainOptions


def run(options: ExplainOptions, output: Output) -> int:
    has_conversation = (
        options.intent is not None or options.confidence is not None or options.attr
    )
    is_about_rules = has_conversation or options.live or options.given_parts
    if options.code is not None and is_about_rules:
        raise UsageError("specify a code or a conversation, not both")
    if options.code is not None:
        _explain_code(options.code, output)
        return 0
    if not has_conversation:
        example = "--intent lost_or_stolen_card --confidence 0.8 --attr language=de"
        raise UsageError(
            f"specify a conversation, such as {example}, or the code of a finding, such as CXR105"
        )
    if options.live and options.given_parts:
        option = options.given_parts[0].option
        raise UsageError(
            f"{option} is about the manifests, and --live about the tenant: remove one of them"
        )
    _explain_conversation(options, output)
    return 0


def _explain_code(text: str, output: Output) -> None:
    code = text.upper()
    if code not in CODES:
        hint = suggest(code, CODES)
        if not hint:
            hint = f"for a conversation, specify --intent {sanitize(text)}"
        raise UsageError(f"unknown code {quote_name(text)}; {hint}")
    title, explanation = CODES[code]
    if output.form == "json":
        output.document({"code": code, "title": title, "text": explanation})
    else:
        output.result(f"{code}: {title}\n\n{explanation}\n")


def _explain_conversation(options: ExplainOptions, output: Output) -> None:
    session = open_session(options, output)
    environment = session.environment
    words = conversation.read_conversation(options, environment.attributes)
    stage = endpoint_stage(session.manifests, environment)
    live = None
    if options.live:
        live = read_tenant(session)
        refuse_other_reading(session.manifests, session.environment, live)
        stage = live.endpoint(stage)
    entries, names = list_rules(session, live)
    explanation = explain(entries, words, environment, stage)
    additions = _additions(session, options)
    if output.form == "json":
        document = {
            "environment": environment.name,
            "rules": options.explained_rules,
            **explain_document(explanation, names),
        }
        output.document(_with_fields(document, additions))
    else:
        session.print_banner()
        text = explain_text(explanation, names, output.paint, session.limits.rows)
        output.result(_with_texts(text, additions))
    notes = misspellings(entries, session.manifests, environment, words)
    _print_notes(session, notes, options)


def _additions(session: Session, options: ExplainOptions) -> list[ExplainAddition]:
    """Return what features add, about the same time."""
    instant = session.manifests.instant
    asked = replace(options, at=instant.isoformat() if instant else None)
    return [part.answer(asked, session.output) for part in options.given_parts]


def _print_notes(
    session: Session, notes: Iterable[str], options: ExplainOptions
) -> None:
    """Print the notes below an explanation."""
    if not options.live:
        _note_steps(session)
    for note in notes:
        session.output.note(note)


def _note_steps(session: Session) -> None:
    """Print which due steps count as made; only rules with a step that may wait cost more."""
    rules = (
        rule for loaded in session.manifests.rulesets for rule in loaded.document.rules
    )
    if any(step.condition for rule in rules for step in rule.steps or ()):
        desired, _ = desire_offline(session.manifests, session.environment)
        note_assumed_steps([desired], session.output)


def _with_texts(text: str, additions: Iterable[ExplainAddition]) -> str:
    return "\n".join([text, *(addition.text for addition in additions)])


def _with_fields(document: Document, additions: Iterable[ExplainAddition]) -> Document:
    fields = dict(document)
    for addition in additions:
        fields |= addition.fields
    return fields
