"""`cxroute studio import`: a hand-written snippet, or a managed block, as manifests."""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from reconciler.cli.command_line import env_name, run_time
from reconciler.cli.manifest_files import (
    ExportTarget,
    export_new,
    parse_target,
    snapshot,
    write_new,
)
from reconciler.cli.output import Output
from reconciler.cli.rule_sources import read_live_rules, with_live_file
from reconciler.cli.session import LiveFile, Session, build_session
from reconciler.core.checks.lint import lint
from reconciler.core.checks.lint_view import LintView
from reconciler.core.desired.desired import desire_offline
from reconciler.core.desired.expand import InvalidRuleError, RuleExpander
from reconciler.core.desired.queues import QueueError, QueueResolver
from reconciler.core.errors import CxrouteError, ManifestError, UsageError
from reconciler.core.export.export import (
    ExportedDocument,
    ExportedManifests,
    TenantSnapshot,
    describe_skipped,
    export_rules,
)
from reconciler.core.export.names import (
    NotRepresentableError,
    find_free_name,
    slugify,
)
from reconciler.core.export.ruleset import condition_fields
from reconciler.core.manifest.kinds.environment import SANDBOX, Environment
from reconciler.core.manifest.kinds.ruleset import RuleEntry, RuleSet, rule_entry
from reconciler.core.manifest.load import (
    Manifests,
    is_no_manifests,
    load_contents,
    load_manifests,
)
from reconciler.core.model.live import LiveRule, Marker
from reconciler.core.model.rule import Address, Opaque, Queue, Rule, Target
from reconciler.core.plan.stages import LiveState
from reconciler.core.rule_json import read_file_text
from reconciler.core.text.escape import join_first, pluralize, sanitize
from reconciler.features.studio_block.new_environment import environment_lines
from reconciler.features.studio_block.options import StudioOptions
from reconciler.features.studio_block.trial import try_snippet
from reconciler.targets.studio.block_rules import read_block_file
from reconciler.targets.studio.imported import ImportedSnippet
from reconciler.targets.studio.layout import BlockLayout, form_of_skill
from reconciler.targets.studio.place import own_layout
from reconciler.targets.studio.script import MAX_SCRIPT, ScriptSnippet, find_decisions

_MAX_LISTED: Final = 50
_STEP: Final = 10
_FORMS: Final = {
    "name": "names of skills",
    "routing-queue": "ids of digital routing queues",
    "id": "ids of skills",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the rules of a snippet belong: a session, and the Environment that the import writes."""

    session: Session
    is_new: bool  # whether there are no manifests yet, and -e names the Environment


def import_snippet(options: StudioOptions, output: Output) -> int:
    """Print or write the manifests of a snippet, after a proof that they are its rules."""
    if options.file is None:
        raise UsageError(
            "studio import needs FILE: a snippet, or a script in JSON or XML; `-` reads stdin"
        )
    into = parse_target(options.into, Path(options.manifests))
    place = _open_place(options, output)
    session = place.session
    text = _read(options.file)
    existing = own_layout(session.environment)
    # the addresses, names and priorities of a block stay
    if existing and existing.begin in text and options.file != "-":
        _refuse_edited(options.file, existing)
        _import_block(options.file, session, into)
        return 0
    layout = existing or _default_layout(session.environment)
    snippet = _choose(find_decisions(text), options.action).text
    if "// cxroute:begin " in snippet:
        raise UsageError(
            "the file has a managed block: name it, not `-`, and with -e the Environment of the "
            "block"
        )
    imported = ImportedSnippet(snippet, layout)
    _import_rules(snippet, imported, layout, place, into, options.file)
    return 0


def _open_place(options: StudioOptions, output: Output) -> _Place:
    """Return the session; before the first manifest, one with a new Environment of the name in -e.

    Raises ManifestError and UsageError.
    """
    name = env_name(options.environment)
    is_new = False
    try:
        manifests = load_manifests(Path(options.manifests), run_time(options))
    except ManifestError as error:
        if not all(map(is_no_manifests, error.findings)):
            raise
        is_new = name != SANDBOX
        manifests = _new_manifests(environment_lines(name, None) if is_new else ())
    session = build_session(manifests, options, output, options.environment)
    return _Place(session=session, is_new=is_new)


def _new_manifests(lines: Sequence[str]) -> Manifests:
    """Return the manifests of a text, or none."""
    if not lines:
        return Manifests(environments={})
    return load_contents([("environment", "\n".join(lines).encode())])


def _read(file: str) -> str:
    if file != "-":
        return read_file_text(file, "neither a script nor a snippet")
    try:
        return sys.stdin.read(MAX_SCRIPT + 1)
    except UnicodeDecodeError:
        raise UsageError("stdin is neither a script nor a snippet") from None


def _choose(snippets: Sequence[ScriptSnippet], action: str | None) -> ScriptSnippet:
    """Return the snippet of an action, by default the only one. Raises UsageError."""
    labels = []
    for snippet in snippets:
        caption = f' "{sanitize(snippet.caption)}"' if snippet.caption else ""
        labels.append(f"{sanitize(snippet.action)}{caption}")
    names = join_first(labels, _MAX_LISTED)
    if action is not None:
        chosen = [each for each in snippets if each.action == action]
        if len(chosen) != 1:
            has_actions = any(each.action for each in snippets)
            known = f"the actions are {names}" if has_actions else "the file has none"
            raise UsageError(
                f"--action {sanitize(action)}: {len(chosen) or 'no'} snippets with a decision are "
                f"in this action; {known}"
            )
        return chosen[0]
    if not snippets:
        raise CxrouteError(
            "the script has no snippet that assigns a variable in an IF, a SELECT or a SWITCH"
        )
    if len(snippets) > 1:
        raise UsageError(
            f"{len(snippets)} snippets of the script could be meant: choose one with --action ID, "
            f"of the actions {names}"
        )
    return snippets[0]


def _import_block(file: str, session: Session, into: ExportTarget) -> None:
    """Print or write the manifests of the rules in a managed block."""
    session = with_live_file(session, file)
    for finding in session.findings:
        session.output.warn(finding.message)
    live = read_live_rules(session)
    export_new(session, snapshot(session, live), live.rules, into)


def _refuse_edited(file: str, layout: BlockLayout) -> None:
    """Raise CxrouteError for a block with rules that are not understood."""
    edited = []
    for live in read_block_file(file, layout).rules:
        parts = [*live.rule.conditions, *live.rule.targets]
        if any(isinstance(part, Opaque) for part in parts):
            edited.append(live.id)
    if edited:
        ids = join_first(edited, _MAX_LISTED)
        raise CxrouteError(
            f"nothing was written: edited by hand, and not understood: {ids}"
        )


def _default_layout(environment: Environment) -> BlockLayout:
    """Return the layout of a snippet for an environment whose rules are not in a script."""
    names = environment.attributes
    variables = {names.intent: "intent", names.confidence: "confidence"}
    return BlockLayout(owner=environment.owner, block="main", variables=variables)


def _import_rules(
    snippet: str,
    imported: ImportedSnippet,
    layout: BlockLayout,
    place: _Place,
    into: ExportTarget,
    file: str,
) -> None:
    """Print or write the manifests of a hand-written snippet, what they prove, and their
    findings.
    """
    trial = try_snippet(snippet, imported, layout)
    session, further = _with_environment(place, imported)
    live = _live_state(imported, session, Path(file).stem)
    session = replace(session, live_file=LiveFile(sanitize(file), live))
    tenant = snapshot(session, live)
    exported = replace(_export_snippet(live, tenant), further=further)
    _, (manifests, desired) = write_new(session, tenant, exported, into)

    count = pluralize(len(live.rules), "rule")
    proof = (
        f"Proven: the manifests, read again, route as the {count} of the snippet, by "
        f"`{imported.skill}`. {trial}"
    )
    queues = {queue.id: queue.name for queue in live.queues}
    view = LintView(desired, (), manifests, session.environment, queues)
    notes = [*imported.notes, *_form_notes(imported, session.environment)]
    _print_import(proof, notes, view, into, session.output)


def _with_environment(
    place: _Place, imported: ImportedSnippet
) -> tuple[Session, tuple[ExportedDocument, ...]]:
    """Return the session, and the new Environment of a snippet if there are no manifests yet."""
    session = place.session
    if not place.is_new:
        return session, ()
    name = session.environment.name
    lines = environment_lines(name, imported)
    manifests = _new_manifests(lines)
    environment = manifests.environment(name)
    session = replace(session, manifests=manifests, environment=environment)
    return session, (ExportedDocument(f"{name}-environment", tuple(lines)),)


def _form_notes(imported: ImportedSnippet, environment: Environment) -> list[str]:
    """Return what the Environment must state for a block that assigns what the snippet does."""
    layout = own_layout(environment)
    stated = layout.skill_as if layout else "id"
    if stated == imported.skill_as:
        return []
    setting = f"api.studio.result: {{as: {imported.skill_as}}}"
    source = ""
    if imported.skill_as == "routing-queue":
        source = " and `api.queues: digital`"
    note = (
        f"the snippet assigns {_FORMS[imported.skill_as]}: state `{setting}`{source} in the "
        f"Environment of its script, or the block assigns {_FORMS[stated]}"
    )
    return [note]


def _export_snippet(live: LiveState, tenant: TenantSnapshot) -> ExportedManifests:
    """Return the manifests of a snippet's rules. Raises CxrouteError if a rule has none."""
    exported = export_rules(live.rules, tenant, (), "all")
    if exported.skipped:
        skipped = join_first(describe_skipped(exported.skipped), _MAX_LISTED)
        raise CxrouteError(f"nothing was written: {skipped}")
    rulesets = tuple(
        replace(ruleset, title="Rules of a hand-written snippet.")
        for ruleset in exported.rulesets
    )
    return replace(exported, rulesets=rulesets)


def _print_import(
    proof: str,
    notes: Iterable[str],
    view: LintView,
    into: ExportTarget,
    output: Output,
) -> None:
    """Print the proof, the notes about a snippet, and the findings about its rules."""
    if into.path is None:
        output.note(proof)
    else:
        output.result(f"{proof}\n")
    for note in notes:
        output.warn(note)
    findings = output.without_infos(lint(view))
    output.findings(findings, sys.stderr if into.path is None else sys.stdout)


def _live_state(imported: ImportedSnippet, session: Session, stem: str) -> LiveState:
    """Return the rules of a snippet as if they were live, with default names, and the queues of the
    manifests.
    """
    environment = session.environment
    desired, resolver = desire_offline(session.manifests, environment)
    queues, by_text = _find_queues(imported, resolver)
    ruleset = _new_ruleset(session, stem)
    rule_names = {each.rule.name for each in desired.rules.values()}
    entries = _snippet_entries(imported, environment)
    rules = []
    for read, (key, entry) in zip(imported.rules, entries.items(), strict=True):
        expander = RuleExpander(environment, by_text.__getitem__, ruleset, entry)
        try:
            named = expander.rule()
        except InvalidRuleError as error:
            raise _not_a_rule(read.description, error) from None

        if named.name in rule_names:
            named = replace(named, name=f"Cognigy Intent Route: {ruleset.name}/{key}")
        rule_names.add(named.name)
        rules.append(_live_rule(named, Address(ruleset.name, key), environment.owner))
    return LiveState(tuple(rules), queues)


def _find_queues(
    imported: ImportedSnippet, resolver: QueueResolver
) -> tuple[tuple[Queue, ...], dict[str, Queue]]:
    """Return the queues of the manifests and of a snippet, and those of the snippet by what it
    assigns: an id, or a name.
    """
    for alias in resolver.aliases:  # also of queues that no rule uses
        with suppress(QueueError):
            resolver.resolve(alias)
    by_name = _queues_by_name(resolver.queues_by_id.values())
    own = _snippet_queues(imported)
    unknown = {name: queue for name, queue in own.items() if name not in by_name}
    queues = {**unknown, **resolver.queues_by_id}
    return tuple(queues.values()), {**queues, **by_name}


def _queues_by_name(queues: Iterable[Queue]) -> dict[str, Queue]:
    """Return the queues of the manifests by name, without names that two of them have."""
    named = [each for each in queues if form_of_skill(each.name) == "name"]
    counts = Counter(queue.name for queue in named)
    return {queue.name: queue for queue in named if counts[queue.name] == 1}


def _snippet_entries(
    imported: ImportedSnippet, environment: Environment
) -> dict[str, RuleEntry]:
    """Return the manifest rules of a snippet by key, in the order of the snippet.

    Raises CxrouteError.
    """
    entries: dict[str, RuleEntry] = {}
    is_lowest_first = environment.api.evaluation == "lowest-first"
    highest = 0 if is_lowest_first else len(imported.rules) + 1
    for number, rule in enumerate(imported.rules, 1):
        priority = _STEP * abs(highest - number)
        try:
            fields = condition_fields(rule, environment.attributes)
            key = find_free_name(_key_of(fields) or f"rule-{number}", entries)
            fields |= {"key": key, "targets": _split(rule), "priority": priority}
            entries[key] = rule_entry(fields)
        except (NotRepresentableError, ValueError) as error:
            raise _not_a_rule(rule.description, error) from None
    return entries


def _not_a_rule(description: str, error: Exception) -> CxrouteError:
    return CxrouteError(f"nothing was written: {description} cannot be a rule: {error}")


def _live_rule(rule: Rule, address: Address, owner: str) -> LiveRule:
    """Return a rule as if it were live, with the marker of an address."""
    marker = Marker(owner, address, "00000000")
    return LiveRule(str(address), rule, marker, {})


def _new_ruleset(session: Session, stem: str) -> RuleSet:
    """Return an empty RuleSet with the name of a file, or a similar one that is free."""
    names = {loaded.document.name for loaded in session.manifests.rulesets}
    name = find_free_name(slugify(stem) or "rules", names)
    return RuleSet(name=name, rules=())


def _snippet_queues(imported: ImportedSnippet) -> dict[str, Queue]:
    """Return the queues of a snippet's rules, by id; a queue that is known by its name has it as its
    id.
    """
    targets = [part for rule in imported.rules for part in rule.targets]
    ids = {part.queue_id for part in targets if isinstance(part, Target)}
    names = {queue_id for queue_id in ids if form_of_skill(queue_id) == "name"}
    queues = {name: Queue(name, name) for name in sorted(names)}
    for queue_id in sorted(ids - names):
        default = "skill" if form_of_skill(queue_id) == "id" else "queue"
        name = imported.queue_names.get(queue_id, default)
        if name in names:
            name = default
        queues[queue_id] = Queue(queue_id, name)
        # A comment may not have the name of the skill. The name of two queues leads to an alias
        # with the id.
        queues[f"{name} "] = Queue(f"{name} ", name)
    return queues


def _key_of(fields: Mapping[str, Any]) -> str:
    """Return the first value that a rule's conditions name, as a key; empty if there is none."""
    values = [fields.get("intent"), *fields.get("intents", ())]
    values += [test.get("equals") for test in fields.get("when", ())]
    return slugify(str(next(filter(None, values), "")))


def _split(rule: Rule) -> list[dict[str, object]]:
    return [
        {"queue": part.queue_id, "weight": part.weight}
        for part in rule.targets
        if isinstance(part, Target)
    ]
