"""`cxroute studio TASK`: the managed block of a Studio script, and hand-written snippets as
manifests.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

from reconciler.cli.command_line import choose_environment
from reconciler.cli.files import write_text
from reconciler.cli.manifest_files import (
    ExportTarget,
    export_new,
    parse_target,
    snapshot,
    write_new,
)
from reconciler.cli.options import SessionOptions
from reconciler.cli.output import Output
from reconciler.cli.parsing import check_task
from reconciler.cli.rule_sources import read_live_rules, with_live_file
from reconciler.cli.session import LiveFile, Session, open_session
from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.evaluate import route_conversation
from reconciler.core.behaviour.routing_entry import RoutingEntry, destination_of_rule
from reconciler.core.checks.lint import lint
from reconciler.core.checks.lint_view import LintView
from reconciler.core.desired.desired import desire_offline
from reconciler.core.desired.expand import InvalidRuleError, RuleExpander
from reconciler.core.errors import CxrouteError, ManifestError, UsageError
from reconciler.core.export.export import (
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
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.kinds.ruleset import RuleEntry, RuleSet, rule_entry
from reconciler.core.manifest.load import Manifests, load_manifests
from reconciler.core.manifest.yaml_writer import format_mapping
from reconciler.core.model.finding import Finding
from reconciler.core.model.live import LiveRule, Marker
from reconciler.core.model.rule import (
    Address,
    Condition,
    Json,
    Opaque,
    Queue,
    Rule,
    Target,
)
from reconciler.core.plan.stages import LiveState
from reconciler.core.rule_json import read_file_text
from reconciler.core.target import NotStorableError
from reconciler.core.text.escape import join_first, pluralize, sanitize
from reconciler.targets.decide.recipe import (
    ServiceRecipe,
    attribute_variables,
    format_service_recipe,
)
from reconciler.targets.decide.settings import Served
from reconciler.targets.decide.table import bot_variables
from reconciler.targets.decide.target import served_settings
from reconciler.targets.studio.block_rules import read_block_file
from reconciler.targets.studio.build import BlockEntry, build_block
from reconciler.targets.studio.evaluate import Dialect, possible_dialects, run_snippet
from reconciler.targets.studio.language import SnippetError, Statement, parse_snippet
from reconciler.targets.studio.layout import BlockLayout
from reconciler.targets.studio.place import own_layout
from reconciler.targets.studio.probe import format_recipe, parse_probe, probe_snippet
from reconciler.targets.studio.read import ImportedSnippet
from reconciler.targets.studio.script import MAX_SCRIPT, find_file_block

# What `build` needs of each queue, and how a Queues document says it.
_OFFLINE: Final = {
    "id": ("a skill id", 'id: "4001"'),
    "name": ("a name", 'name: "Fraud Desk"'),
    "routing-queue": (
        "a routing queue's id",
        'id: "43dba2dc-d05c-5c74-bf32-aad2ef367801"',
    ),
}
_MAX_LISTED: Final = 50
_STEP: Final = 10
_TRIAL_WORK: Final = 20_000  # CASEs that each dialect evaluates
_HELP: Final = (
    "build prints the managed block of the Environment's rules, offline; ids of skills come from a "
    "Queues document.\n"
    "import converts a snippet, or a script in JSON or XML, to manifests, and verifies them. probe "
    "prints a snippet\n"
    "that finds out how Studio compares; --result reads its last line. recipe prints how to set up "
    "the script;\n"
    "with --decide, how a script asks `cxroute serve --decide`."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudioOptions(SessionOptions):
    """The options of `cxroute studio`."""

    task: str
    file: str | None
    out: str | None
    into: str | None
    result: str | None
    recipe_of: str | None


def options(parser: argparse.ArgumentParser) -> type[StudioOptions]:
    add = parser.add_argument
    add("task", choices=("build", "import", "probe", "recipe"), help="the task")
    add(
        "file",
        nargs="?",
        metavar="FILE",
        help="import: the snippet or script; `-` reads stdin",
    )
    add(
        "--out",
        metavar="FILE",
        help="build: write the block there instead of to stdout",
    )
    add(
        "--into",
        metavar="DIR",
        help="import: write there (DIR/ or FILE.yaml) instead of to stdout",
    )
    add(
        "--result",
        metavar="LINE",
        help="probe: the last line of its output; prints the setting `dialect`",
    )
    add(
        "--decide",
        action="store_const",
        const="decide",
        dest="recipe_of",
        help="recipe: of a script that asks a decision service (`rules: served`)",
    )
    parser.epilog = _HELP
    return StudioOptions


def run(options: StudioOptions, output: Output) -> int:
    values_of = {
        "import": {"FILE": options.file, "--into": options.into},
        "build": {"--out": options.out},
        "probe": {"--result": options.result},
        "recipe": {"--decide": options.recipe_of},
    }
    check_task("studio", options.task, values_of)
    if options.task == "import":
        return _import(options, output)
    try:
        text = _probe(options.result) if options.task == "probe" else _build(options)
    except NotStorableError as error:
        raise UsageError(str(error)) from None
    if options.out is not None:
        write_text(Path(options.out), text)
        output.note(f"wrote {options.out}")
    else:
        output.file_text(text)
    return 0


def _build(options: StudioOptions) -> str:
    """Return the block of the Environment's rules, or its recipe.

    Raises ManifestError for a queue without an id.
    """
    manifests = load_manifests(Path(options.manifests))
    environment = choose_environment(manifests, options.environment)
    if options.recipe_of is not None:
        return _service_recipe(manifests, environment)
    layout = own_layout(environment)
    if layout is None:
        remedy = "set `api.rules: studio` and `api.studio` in it, or choose another one with -e"
        if options.task == "recipe" and is_served(environment):
            remedy = "they are in a decision service: add --decide"
        raise UsageError(
            f"the rules of Environment {environment.name} are not in a Studio script: {remedy}"
        )
    desired, resolver = desire_offline(manifests, environment)
    rules = desired.rules.values()
    if options.task == "recipe":
        names = environment.attributes
        used = _used_attributes(each.rule for each in rules)
        return format_recipe(layout, (names.intent, names.confidence, *used))
    _refuse_unknown(environment.name, layout, [each.rule for each in rules])
    entries = [
        BlockEntry(each.rule, each.address, each.marker_digest, "") for each in rules
    ]
    return f"{build_block(entries, layout, resolver.names)}\n"


def _service_recipe(manifests: Manifests, environment: Environment) -> str:
    """Return the recipe of a script that asks the decision service of an Environment.

    Raises UsageError if its rules are in another place.
    """
    if not is_served(environment):
        raise UsageError(
            f"the rules of Environment {environment.name} are not in a decision service: set "
            f"`api.rules: served` and `api.served` in it, or choose another one with -e"
        )
    served = served_settings(environment)
    desired, _ = desire_offline(manifests, environment)
    names = environment.attributes
    used = _used_attributes(each.rule for each in desired.rules.values())
    others = [name for name in used if name not in (names.intent, names.confidence)]
    blocks = [
        loaded.document.name
        for loaded in manifests.environments.values()
        if environment.tenant
        and loaded.document.tenant == environment.tenant
        and own_layout(loaded.document) is not None
    ]
    bot = bot_variables(served.variables, (names.intent, names.confidence))
    recipe = ServiceRecipe(
        environment=environment.name,
        url=served.url.rstrip("/"),
        answer=served.as_,
        bot=bot,
        names=tuple(others),
        attributes=attribute_variables(others, served.variables, bot),
        blocks=tuple(sorted(blocks)),
    )
    return format_service_recipe(recipe)


def is_served(environment: Environment) -> bool:
    """Return whether the rules of an Environment are the table of a decision service."""
    return isinstance(environment.api.target_settings, Served)


def _used_attributes(rules: Iterable[Rule]) -> list[str]:
    """Return the attributes that conditions of rules name, sorted."""
    conditions = [part for rule in rules for part in rule.conditions]
    used = {part.attribute for part in conditions if isinstance(part, Condition)}
    return sorted(used)


def _refuse_unknown(
    environment: str, layout: BlockLayout, rules: Iterable[Rule]
) -> None:
    """Raise ManifestError for queues whose id, or name, is not in the manifests."""
    targets = [part for rule in rules for part in rule.targets]
    queues = {part.queue_id for part in targets if isinstance(part, Target)}
    unknown = sorted(queue for queue in queues if not layout.is_known_offline(queue))
    if not unknown:
        return
    kind, field = _OFFLINE[layout.skill_as]
    message = (
        f"{pluralize(len(unknown), 'queue')} without {kind}: "
        f"{join_first(unknown, _MAX_LISTED, sanitize)}"
    )
    hint = (
        f"write {field.split(':')[0]}s in a Queues document, such as `{{{environment}: {{{field}}}}}`; "
        f"`plan` and `apply` read them from the tenant"
    )
    raise ManifestError(
        [Finding(code="CXR105", severity="error", message=message, hint=hint)]
    )


def _probe(result: str | None) -> str:
    """Return the snippet to run, or the setting for its result."""
    if result is None:
        return probe_snippet()
    try:
        facts = parse_probe(result)
    except ValueError as error:
        raise UsageError(f"--result: {error}") from None
    if not facts:
        return "dialect: {}\n"
    return "\n".join(["dialect:", *format_mapping(facts, 2), ""])


def _read(file: str) -> str:
    if file != "-":
        return read_file_text(file, "neither a script nor a snippet")
    try:
        return sys.stdin.read(MAX_SCRIPT + 1)
    except UnicodeDecodeError:
        raise UsageError("stdin is neither a script nor a snippet") from None


def _import(options: StudioOptions, output: Output) -> int:
    """Print or write the manifests of a snippet, after a proof that they are its rules."""
    if options.file is None:
        raise UsageError(
            "studio import needs FILE: a snippet, or a script in JSON or XML; `-` reads stdin"
        )
    into = parse_target(options.into, Path(options.manifests))
    session = open_session(options, output)
    text = _read(options.file)
    existing = own_layout(session.environment)
    # the addresses, names and priorities of a block stay
    if existing and existing.begin in text and options.file != "-":
        _refuse_edited(options.file, existing)
        _import_block(options.file, session, into)
        return 0
    layout = existing or _default_layout(session.environment)
    _import_snippet(text, layout, session, options.file, into)
    return 0


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


def _import_snippet(
    text: str,
    layout: BlockLayout,
    session: Session,
    file: str,
    into: ExportTarget,
) -> None:
    """Print or write the manifests of a hand-written snippet, what they prove, and their
    findings.
    """
    snippet, _ = find_file_block(text, layout)
    if "// cxroute:begin " in snippet:
        raise UsageError(
            "the file has a managed block: name it, not `-`, and with -e the Environment of the "
            "block"
        )
    imported = ImportedSnippet(snippet, layout)
    trial = _try_snippet(snippet, imported, layout)
    live = _live_state(imported, session, Path(file).stem)
    session = replace(session, live_file=LiveFile(sanitize(file), live))
    tenant = snapshot(session, live)
    exported = _export_snippet(live, tenant)
    _, (manifests, desired) = write_new(session, tenant, exported, into)

    count = pluralize(len(live.rules), "rule")
    proof = (
        f"Proven: the manifests, read again, route as the {count} of the snippet, by "
        f"`{imported.skill}`. {trial}"
    )
    queues = {queue.id: queue.name for queue in live.queues}
    view = LintView(desired, (), manifests, session.environment, queues)
    _print_import(proof, imported.notes, view, into, session.output)


def _export_snippet(live: LiveState, tenant: TenantSnapshot) -> ExportedManifests:
    """Return the manifests of a snippet's rules. Raises CxrouteError if a rule has none."""
    exported = export_rules(live.rules, tenant, ())
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
    queues = {**_snippet_queues(imported), **resolver.queues_by_id}
    ruleset = _new_ruleset(session, stem)
    rule_names = {each.rule.name for each in desired.rules.values()}
    entries = _snippet_entries(imported, environment)
    rules = []
    for read, (key, entry) in zip(imported.rules, entries.items(), strict=True):
        expander = RuleExpander(environment, queues.__getitem__, ruleset, entry)
        try:
            named = expander.rule()
        except InvalidRuleError as error:
            raise _not_a_rule(read.description, error) from None

        if named.name in rule_names:
            named = replace(named, name=f"Cognigy Intent Route: {ruleset.name}/{key}")
        rule_names.add(named.name)
        rules.append(_live_rule(named, Address(ruleset.name, key), environment.owner))
    return LiveState(tuple(rules), tuple(queues.values()))


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
    """Return the queues of a snippet's rules, by id."""
    targets = [part for rule in imported.rules for part in rule.targets]
    ids = {part.queue_id for part in targets if isinstance(part, Target)}
    queues = {}
    for queue_id in sorted(ids):
        name = imported.queue_names.get(queue_id, "skill")
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


def _try_snippet(snippet: str, imported: ImportedSnippet, layout: BlockLayout) -> str:
    """Return what came of running the snippet itself; differences become notes.

    Raises CxrouteError for wrong rules.
    """
    entries = [RoutingEntry(name="", rule=rule) for rule in imported.rules]
    examples = _trial_examples(entries)
    dialects = possible_dialects(layout.facts)
    trial = _Trial(parse_snippet(snippet), entries, layout.variables, imported.skill)
    try:
        differing = _differing_dialects(trial, examples, dialects)
    except SnippetError as error:
        imported.notes.append(f"the snippet itself was not run: {error}")
        return ""

    trials = f"The snippet itself was run on {pluralize(len(examples), 'example')}"
    if not differing:
        return (
            f"{trials}, in every possible dialect of Studio, and assigns the skills of the rules. "
            f"This holds where each variable has a value of the type that it is compared with."
        )
    difference = next(iter(differing.values()))
    if len(differing) == len(dialects):
        raise CxrouteError(f"nothing was written. {trials}: {difference}")
    imported.notes.append(
        f"in {len(differing)} of {len(dialects)} possible dialects of Studio, the snippet does not "
        f"decide as its rules: {difference}. Run `cxroute studio probe`"
    )
    return f"{trials}."


class _Trial(NamedTuple):
    """A snippet to run, the rules read from it, the variables by attribute, and the variable of
    the skill.
    """

    statements: Sequence[Statement]
    entries: Sequence[RoutingEntry]
    variables: Mapping[str, str]
    skill: str

    def find_difference(self, example: Mapping[str, Any], dialect: Dialect) -> str:
        """Return how the snippet decides differently from the rules; empty if it does not.

        Raises SnippetError.
        """
        winner = route_conversation(self.entries, example).winner
        expected = dict(destination_of_rule(winner) or {"": 1})
        values = {
            self.variables.get(name, name): value for name, value in example.items()
        }
        difference = ""
        for contact in (0, 99)[: len(expected)]:
            result = run_snippet(self.statements, values, dialect, contact)
            skill = result.get(self.skill) or ""
            if str(skill) not in expected:
                queues = " or ".join(expected)
                text = f"it assigns {skill or 'no skill'} for {example}, and the rules {queues}"
                difference = difference or sanitize(text)
        return difference


def _trial_examples(entries: Sequence[RoutingEntry]) -> list[Mapping[str, Json]]:
    """Return a conversation without attributes, and examples that the rules decide."""
    regions = compare_behaviour((), entries).regions
    step = 1 + len(regions) * len(entries) // _TRIAL_WORK
    return [{}, *(region.example.attributes for region in regions[::step])]


def _differing_dialects(
    trial: _Trial,
    examples: Iterable[Mapping[str, Json]],
    dialects: Iterable[Dialect],
) -> dict[Dialect, str]:
    """Return the dialects in which the snippet assigns another skill than the rules, each with its
    first difference.

    Raises SnippetError.
    """
    differing: dict[Dialect, str] = {}
    for example, dialect in product(examples, dialects):
        difference = trial.find_difference(example, dialect)
        if difference:
            differing.setdefault(dialect, difference)
    return differing
