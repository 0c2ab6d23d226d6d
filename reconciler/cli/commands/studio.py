"""`cxroute studio TASK`: the managed block of a Studio script, and hand-written snippets as
manifests.
"""

import argparse
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Final

from reconciler.behaviour.diff.difference import compare_behaviour
from reconciler.behaviour.evaluate import route_conversation
from reconciler.behaviour.routing_entry import RoutingEntry, destination_of_rule
from reconciler.checks.lint import lint
from reconciler.checks.lint_view import LintView
from reconciler.cli.command_line import choose_environment
from reconciler.cli.commands import export
from reconciler.cli.files import write_text
from reconciler.cli.output import Output
from reconciler.cli.parsing import check_task
from reconciler.cli.session import LiveFile, Session, open_session
from reconciler.cxone.block_rules import read_block_file
from reconciler.cxone.rule_json import read_file_text
from reconciler.desired.desired import block_layout, desire_offline
from reconciler.desired.expand import InvalidRuleError, RuleExpander
from reconciler.errors import CxrouteError, ManifestError, UsageError
from reconciler.export.export import describe_skipped, export_rules
from reconciler.export.names import NotRepresentableError, find_free_name, slugify
from reconciler.export.ruleset import condition_fields
from reconciler.manifest.kinds.ruleset import RuleSet, rule_entry
from reconciler.manifest.load import load_manifests
from reconciler.manifest.yaml_writer import format_mapping
from reconciler.model.finding import Finding
from reconciler.model.live import LiveRule, Marker
from reconciler.model.rule import Address, Condition, Opaque, Queue, Target
from reconciler.plan.plan import LiveState
from reconciler.studio.build import BlockEntry, build_block
from reconciler.studio.evaluate import Dialect, possible_dialects, run_snippet
from reconciler.studio.language import SnippetError, parse_snippet
from reconciler.studio.layout import QUEUE_ID, BlockLayout, NotStorableError
from reconciler.studio.probe import format_recipe, parse_probe, probe_snippet
from reconciler.studio.read import ImportedSnippet
from reconciler.studio.script import MAX_SCRIPT, find_file_block
from reconciler.text.escape import join_first, pluralize, sanitize

_OPTIONS_OF: Final = {
    "import": ("file", "into"),
    "build": ("out",),
    "probe": ("result",),
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
    "the script."
)


def options(parser: argparse.ArgumentParser) -> None:
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
    parser.epilog = _HELP


def run(options: argparse.Namespace, output: Output) -> int:
    check_task(options, "studio", _OPTIONS_OF)
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


def _build(options: argparse.Namespace) -> str:
    """Return the block of the Environment's rules, or its recipe.

    Raises ManifestError for a queue without an id.
    """
    manifests = load_manifests(Path(options.manifests))
    environment = choose_environment(manifests, options.environment)
    layout, names = block_layout(environment), environment.attributes
    if layout is None:
        remedy = "set `api.rules: studio` and `api.studio` in it, or choose another one with -e"
        raise UsageError(
            f"the rules of Environment {environment.name} are not in a Studio script: {remedy}"
        )
    desired, resolver = desire_offline(manifests, environment)
    rules = desired.rules.values()
    if options.task == "recipe":
        used = {
            part.attribute
            for each in rules
            for part in each.rule.conditions
            if isinstance(part, Condition)
        }
        return format_recipe(layout, (names.intent, names.confidence, *sorted(used)))
    queues = {
        part.queue_id
        for each in rules
        for part in each.rule.targets
        if isinstance(part, Target)
    }
    if unknown := sorted(name for name in queues if not QUEUE_ID.fullmatch(name)):
        message = (
            f"{pluralize(len(unknown), 'queue')} without a skill id: "
            f"{join_first(unknown, _MAX_LISTED, sanitize)}"
        )
        example = f'`{{{environment.name}: {{id: "4001"}}}}`'
        hint = (
            f"write ids in a Queues document, such as {example}; `plan` and `apply` read them from "
            f"the tenant"
        )
        raise ManifestError(
            [Finding(code="CXR105", severity="error", message=message, hint=hint)]
        )
    entries = [
        BlockEntry(each.rule, each.address, each.marker_digest, "") for each in rules
    ]
    return f"{build_block(entries, layout, resolver.names)}\n"


def _probe(result: str | None) -> str:
    """Return the snippet to run, or the setting for its result."""
    if result is None:
        return probe_snippet()
    try:
        facts = parse_probe(result)
    except ValueError as error:
        raise UsageError(f"--result: {error}") from None
    return (
        "\n".join(["dialect:", *format_mapping(facts, 2), ""])
        if facts
        else "dialect: {}\n"
    )


def _read(file: str) -> str:
    if file != "-":
        return read_file_text(file, "neither a script nor a snippet")
    try:
        return sys.stdin.read(MAX_SCRIPT + 1)
    except UnicodeDecodeError:
        raise UsageError("stdin is neither a script nor a snippet") from None


def _import(options: argparse.Namespace, output: Output) -> int:
    """Print or write the manifests of a snippet, after a proof that they are its rules."""
    if options.file is None:
        raise UsageError(
            "studio import needs FILE: a snippet, or a script in JSON or XML; `-` reads stdin"
        )
    into, session = (
        export.parse_target(options.into, Path(options.manifests)),
        open_session(options, output),
    )
    text, own, names = (
        _read(options.file),
        block_layout(session.environment),
        session.environment.attributes,
    )
    if (
        own and own.begin in text and options.file != "-"
    ):  # the addresses, names and priorities of a block stay
        rules = read_block_file(options.file, own).rules
        edited = [
            each.id
            for each in rules
            if {Opaque} & {*map(type, each.rule.conditions + each.rule.targets)}
        ]
        if edited:
            listed = join_first(edited, _MAX_LISTED)
            raise CxrouteError(
                f"nothing was written: edited by hand, and not understood: {listed}"
            )
        vars(options).update(rules=[], all=True, write=False, live=options.file)
        return export.run(options, output)
    variables = {names.intent: "intent", names.confidence: "confidence"}
    layout = own or BlockLayout(
        owner=session.environment.owner, block="main", variables=variables
    )
    snippet, _ = find_file_block(text, layout)
    if "// cxroute:begin " in snippet:
        raise UsageError(
            "the file has a managed block: name it, not `-`, and with -e the Environment of the "
            "block"
        )
    imported = ImportedSnippet(snippet, layout)
    trial, live = (
        _try_snippet(snippet, imported, layout),
        _live_state(imported, session, Path(options.file).stem),
    )
    session = replace(session, live_file=LiveFile(sanitize(options.file), live))
    tenant = export.snapshot(session, live)
    exported = export_rules(live.rules, tenant, ())
    if exported.skipped:
        raise CxrouteError(
            f"nothing was written: {join_first(describe_skipped(exported.skipped), _MAX_LISTED)}"
        )
    groups = tuple(
        replace(each, title="Rules of a hand-written snippet.")
        for each in exported.rulesets
    )
    exported = replace(exported, rulesets=groups)
    _, (manifests, desired) = export.write_new(session, tenant, exported, into)
    count = pluralize(len(live.rules), "rule")
    proof = (
        f"Proven: the manifests, read again, route as the {count} of the snippet, by "
        f"`{imported.skill}`. {trial}"
    )
    output.note(proof) if into.path is None else output.result(f"{proof}\n")
    for note in imported.notes:
        output.warn(note)
    queues = {queue.id: queue.name for queue in live.queues}
    findings = lint(LintView(desired, (), manifests, session.environment, queues))
    output.findings(
        output.without_infos(findings), sys.stderr if into.path is None else sys.stdout
    )
    return 0


def _live_state(imported: ImportedSnippet, session: Session, stem: str) -> LiveState:
    """Return the rules of a snippet as if they were live, with default names, and the queues of the
    manifests.
    """
    environment = session.environment
    desired, resolver = desire_offline(session.manifests, environment)
    targets = [
        [part for part in rule.targets if isinstance(part, Target)]
        for rule in imported.rules
    ]
    queues: dict[str, Queue] = {}
    for queue_id in sorted({part.queue_id for parts in targets for part in parts}):
        name = imported.queue_names.get(queue_id, "skill")
        # A comment may not have the name of the skill. The name of two queues leads to an alias
        # with the id.
        queues |= {queue_id: Queue(queue_id, name), f"{name} ": Queue(f"{name} ", name)}
    queues |= resolver.queues_by_id
    taken = {each.document.name for each in session.manifests.rulesets}
    ruleset = RuleSet(name=find_free_name(slugify(stem) or "rules", taken), rules=())
    names, keys, rules = (
        {each.rule.name for each in desired.rules.values()},
        set[str](),
        list[LiveRule](),
    )
    highest = (
        0 if environment.api.evaluation == "lowest-first" else len(imported.rules) + 1
    )
    for number, (rule, parts) in enumerate(
        zip(imported.rules, targets, strict=True), 1
    ):
        try:
            fields = condition_fields(rule, environment.attributes)
            tests = [fields.get("intent"), *fields.get("intents", ())]
            tests += (each.get("equals") for each in fields.get("when", ()))
            key = find_free_name(
                slugify(str(next(filter(None, tests), ""))) or f"rule-{number}", keys
            )
            split = [{"queue": part.queue_id, "weight": part.weight} for part in parts]
            entry = rule_entry(
                fields
                | {
                    "key": key,
                    "targets": split,
                    "priority": _STEP * abs(highest - number),
                }
            )
            named = RuleExpander(environment, queues.__getitem__, ruleset, entry).rule()
        except (NotRepresentableError, InvalidRuleError, ValueError) as error:
            raise CxrouteError(
                f"nothing was written: {rule.description} cannot be a rule: {error}"
            ) from None
        named = (
            replace(named, name=f"Cognigy Intent Route: {ruleset.name}/{key}")
            if named.name in names
            else named
        )
        keys.add(key)
        names.add(named.name)
        marker = Marker(environment.owner, Address(ruleset.name, key), "00000000")
        rules.append(LiveRule(str(marker.address), named, marker, {}))
    return LiveState(tuple(rules), tuple(queues.values()))


def _try_snippet(snippet: str, imported: ImportedSnippet, layout: BlockLayout) -> str:
    """Return what came of running the snippet itself; differences become notes.

    Raises CxrouteError for wrong rules.
    """
    entries = [RoutingEntry(name="", rule=rule) for rule in imported.rules]
    regions = compare_behaviour((), entries).regions
    step = 1 + len(regions) * len(entries) // _TRIAL_WORK
    examples = [{}, *(region.example.attributes for region in regions[::step])]
    statements, dialects = parse_snippet(snippet), possible_dialects(layout.facts)
    differing: dict[Dialect, str] = {}
    for example, dialect in product(examples, dialects):
        expected = dict(
            destination_of_rule(route_conversation(entries, example).winner) or {"": 1}
        )
        values = {
            layout.variables.get(name, name): value for name, value in example.items()
        }
        for contact in (0, 99)[: len(expected)]:
            try:
                skill = (
                    run_snippet(statements, values, dialect, contact).get(
                        imported.skill
                    )
                    or ""
                )
            except SnippetError as error:
                imported.notes.append(f"the snippet itself was not run: {error}")
                return ""
            if str(skill) not in expected:
                text = (
                    f"it assigns {skill or 'no skill'} for {example}, and the rules "
                    f"{' or '.join(expected)}"
                )
                differing.setdefault(dialect, sanitize(text))
    tried = f"The snippet itself was run on {pluralize(len(examples), 'example')}"
    for text in differing.values():
        if len(differing) == len(dialects):
            raise CxrouteError(f"nothing was written. {tried}: {text}")
        doubt = f"in {len(differing)} of {len(dialects)} possible dialects of Studio"
        imported.notes.append(
            f"{doubt}, the snippet does not decide as its rules: {text}. Run `cxroute studio probe`"
        )
        return f"{tried}."
    types = "This holds where each variable has a value of the type that it is compared with"
    return (
        f"{tried}, in every possible dialect of Studio, and assigns the skills of the rules. "
        f"{types}."
    )
