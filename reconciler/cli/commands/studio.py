"""`cxroute studio TASK`: the managed block of a Studio script, and hand-written snippets as manifests."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from reconciler.behaviour.diff.difference import compare_behaviour
from reconciler.behaviour.evaluate import find_winner
from reconciler.behaviour.routing_entry import RoutingEntry, destination_of_rule, order_entries
from reconciler.checks.lint import lint
from reconciler.cli.command_line import choose_environment, utc_now
from reconciler.cli.commands.export import parse_target, refuse_secrets
from reconciler.cli.files import new_folder, write_all, write_text
from reconciler.cli.output import Output
from reconciler.desired.desired import block_layout, desire_offline
from reconciler.desired.queues import OfflineQueueResolver, resolve_aliases
from reconciler.errors import CxrouteError, ManifestError, UsageError
from reconciler.export.export import (
    ExportedManifests,
    ExportMismatchError,
    ManifestHeader,
    TenantSnapshot,
    export_rules,
    verify_export,
)
from reconciler.export.names import find_free_name, slugify
from reconciler.manifest.kinds.environment import SANDBOX, Environment
from reconciler.manifest.load import Manifests, load_contents, load_manifests, load_with_changes
from reconciler.manifest.yaml_writer import format_mapping
from reconciler.model.finding import Finding
from reconciler.model.live import LiveRule, Marker
from reconciler.model.rule import Address, Condition, Queue, Rule, Target, normalized_conditions, sorted_targets
from reconciler.studio.build import BlockEntry, build_block
from reconciler.studio.dialect import possible_dialects
from reconciler.studio.evaluate import run_snippet
from reconciler.studio.imported import ImportedRule, import_snippet
from reconciler.studio.language import parse_snippet
from reconciler.studio.layout import QUEUE_ID, BlockLayout, NotStorableError
from reconciler.studio.probe import parse_probe, probe_snippet
from reconciler.studio.recipe import format_recipe
from reconciler.studio.script import MAX_SCRIPT, read_script_file
from reconciler.text.escape import join_first, pluralize, sanitize
from reconciler.text.files import read_text

_TASK_OF: Final = {"file": "import", "into": "import", "out": "build", "result": "probe"}
_MAX_LISTED: Final = 50
_STEP: Final = 10
_EXAMPLES: Final = 200  # conversations with which the snippet itself is run
_HELP: Final = (
    "build prints the managed block of the Environment's rules, offline; ids of skills come from a Queues document.\n"
    "import converts a snippet, or a script in JSON or XML, to manifests, and verifies them. probe prints a snippet\n"
    "that finds out how Studio compares; --result reads its last line. recipe prints how to set up the script."
)


def options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("task", choices=("build", "import", "probe", "recipe"), help="the task")
    add("file", nargs="?", metavar="FILE", help="import: the snippet or script; `-` reads stdin")
    add("--out", metavar="FILE", help="build: write the block there instead of to stdout")
    add("--into", metavar="DIR", help="import: write there (DIR/ or FILE.yaml) instead of to stdout")
    add("--result", metavar="LINE", help="probe: the last line of its output; prints the setting `dialect`")
    parser.epilog = _HELP


def run(options: argparse.Namespace, output: Output) -> int:
    for name, task in _TASK_OF.items():
        if getattr(options, name) is not None and options.task != task:
            label = "FILE" if name == "file" else f"--{name}"
            raise UsageError(f"{label} is an option of `studio {task}`, not of `studio {options.task}`")
    if options.task == "import":
        _import(options, output)
        return 0
    text = {"build": _build, "recipe": _recipe, "probe": _probe}[options.task](options)
    if options.out is not None:
        write_text(Path(options.out), text)
        output.note(f"wrote {options.out}")
    else:
        output.file_text(text)
    return 0


def _build(options: argparse.Namespace) -> str:
    """Return the block of the Environment's rules. Raises ManifestError with the queues that have no id."""
    manifests, environment = _load(options)
    layout, (desired, resolver) = _require_layout(environment), desire_offline(manifests, environment)
    rules = desired.rules.values()
    queues = {part.queue_id for each in rules for part in each.rule.targets if isinstance(part, Target)}
    if unknown := sorted(name for name in queues if not QUEUE_ID.fullmatch(name)):
        message = f"{pluralize(len(unknown), 'queue')} without a skill id: {join_first(unknown, _MAX_LISTED, sanitize)}"
        example = f'`{{{environment.name}: {{id: "4001"}}}}`'
        hint = f"write ids in a Queues document, such as {example}; `plan` and `apply` read them from the tenant"
        raise ManifestError([Finding(code="CXR105", severity="error", message=message, hint=hint)])
    entries = [BlockEntry(each.rule, each.address, each.marker_digest, "") for each in rules]
    return f"{build_block(entries, layout, resolver.names)}\n"


def _recipe(options: argparse.Namespace) -> str:
    """Return the set-up of the script for the attributes of the Environment's rules."""
    manifests, environment = _load(options)
    layout, names = _require_layout(environment), environment.attributes
    parts = [part for each in desire_offline(manifests, environment)[0].rules.values() for part in each.rule.conditions]
    used = sorted({part.attribute for part in parts if isinstance(part, Condition)})
    try:
        return format_recipe(layout, (names.intent, names.confidence, *used))
    except NotStorableError as error:
        raise UsageError(error.message) from None


def _probe(options: argparse.Namespace) -> str:
    """Return the snippet to run, or the setting for its result."""
    if options.result is None:
        return probe_snippet()
    try:
        facts = parse_probe(options.result)
    except ValueError as error:
        raise UsageError(f"--result: {error}") from None
    return "\n".join(["dialect:", *format_mapping(facts, 2), ""]) if facts else "dialect: {}\n"


def _load(options: argparse.Namespace) -> tuple[Manifests, Environment]:
    directory = Path(options.manifests)
    manifests = load_manifests(directory) if directory.exists() else load_contents([])
    return manifests, choose_environment(manifests, options.environment)


def _require_layout(environment: Environment) -> BlockLayout:
    layout = block_layout(environment)
    if layout is None:
        remedy = "set `api.rules: studio` and `api.studio` in it, or choose another one with -e"
        raise UsageError(f"the rules of Environment {environment.name} are not in a Studio script: {remedy}")
    return layout


def _import(options: argparse.Namespace, output: Output) -> None:
    """Print or write the manifests of a snippet, after a proof that they are its rules."""
    if options.file is None:
        raise UsageError("studio import needs FILE: a snippet, or a script in JSON or XML; `-` reads stdin")
    directory, (manifests, environment) = Path(options.manifests), _load(options)
    into = parse_target(options.into, directory)
    names = environment.attributes
    variables = {names.intent: "intent", names.confidence: "confidence"}
    layout = block_layout(environment) or BlockLayout(owner=environment.owner, block="main", variables=variables)
    snippet = read_script_file(_read(options.file), layout)
    imported = import_snippet(snippet, layout)
    taken = {loaded.document.name for loaded in manifests.rulesets}
    ruleset = find_free_name(slugify(Path(options.file).stem) or "imported", taken)
    rules = _live_rules(imported.rules, environment, ruleset)
    exported, tenant = _export(rules, imported.rules, manifests, environment)
    others = {*manifests.environments} - {environment.name, SANDBOX}
    free_name = find_free_name("queues", {loaded.document.name for loaded in manifests.queues})
    head = f"Imported from {sanitize(Path(options.file).name)}, {utc_now():%Y-%m-%d %H:%M} UTC."
    texts = into.texts(exported, ManifestHeader(head, (environment.name,) if others else (), free_name))
    refuse_secrets(texts)
    contents = {path: text.encode() for path, text in texts.items()}
    after = load_with_changes(directory, contents) if directory.exists() else load_contents(sorted(contents.items()))
    desired, resolver = desire_offline(after, environment)
    try:
        proof = verify_export(exported, tenant, desired)
    except ExportMismatchError as error:
        raise CxrouteError(
            f"nothing was written: the manifests would not be the rules of the snippet ({error})"
        ) from None
    trial = _try_snippet(snippet, imported.skill, rules, layout)
    if into.printed:
        output.file_text("".join(texts.values()))
    else:
        write_all({new_folder(Path(path).parent) / Path(path).name: text for path, text in texts.items()})
    proven = "Proven: the manifests, read again, route every conversation as the"
    lines = [f"wrote {path}" for path in texts if not into.printed]
    lines.append(
        f"{proven if proof.behaviour.complete else 'The manifests have the'} {len(rules):,} rules of the snippet."
    )
    for line in (*lines, trial):
        output.note(line) if into.printed else output.result(f"{line}\n")
    for note in imported.notes:
        output.warn(sanitize(note))
    findings = lint(desired, (), after, environment, resolver.names)
    output.findings(output.without_infos(findings), sys.stderr if into.printed else sys.stdout)


def _read(file: str) -> str:
    try:
        return sys.stdin.read(MAX_SCRIPT + 1) if file == "-" else read_text(file, MAX_SCRIPT)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"cannot read {sanitize(file)}: {reason}") from None


def _live_rules(imported: Sequence[ImportedRule], environment: Environment, ruleset: str) -> list[LiveRule]:
    """Return the imported rules with priorities in their order, and an address and a name of their own."""
    keys, names, rules = set[str](), set[str](), list[LiveRule]()
    is_lowest_first, intent = environment.api.evaluation == "lowest-first", environment.attributes.intent
    for position, each in enumerate(imported):
        equal = [part for part in each.conditions if part.operator in ("equals", "in")]
        values = [part.value for part in sorted(equal, key=lambda part: part.attribute != intent)]
        first = str(values[0][0] if isinstance(values[0], tuple) else values[0]) if values else "rule"
        key = find_free_name(slugify(first) or "rule", keys)
        is_intent = any(part.attribute == intent and part.value == first for part in equal)
        label = first if is_intent and first not in names else key
        keys.add(key)
        names.add(label)
        rule = Rule(
            name=f"Cognigy Intent Route: {label}",
            description=f"Routes conversations with intent '{first}' to {each.comment}" if is_intent else "",
            priority=_STEP * (position + 1 if is_lowest_first else len(imported) - position),
            enabled=True,
            conditions=normalized_conditions(each.conditions),
            targets=sorted_targets(each.targets),
        )
        marker = Marker(environment.owner, Address(ruleset, key), "00000000")
        rules.append(LiveRule(str(marker.address), rule, marker, {}))
    return rules


def _export(
    rules: Sequence[LiveRule], imported: Sequence[ImportedRule], manifests: Manifests, environment: Environment
) -> tuple[ExportedManifests, TenantSnapshot]:
    """Return the manifests of the rules, and what they are compared with. Raises CxrouteError."""
    comments = {part.queue_id: each.comment for each in reversed(imported) for part in each.targets}
    # The name in a comment may not be that of the skill: as the name of two queues it leads to an alias with the id.
    queues = [
        Queue(*pair) for queue_id, name in comments.items() for pair in ((queue_id, name), (name, name)) if pair[0]
    ]
    resolver = OfflineQueueResolver(environment.name, resolve_aliases(manifests, environment.name))
    desired = desire_offline(manifests, environment)[0]
    tenant = TenantSnapshot(
        rules=tuple(rules), queues=tuple(queues), resolver=resolver, environment=environment, desired=desired
    )
    exported = export_rules(rules, tenant, {loaded.document.name for loaded in manifests.rulesets})
    if exported.skipped:
        reasons = [f"{each.live.id}: {each.reason}" for each in exported.skipped]
        raise CxrouteError(f"nothing was written: {join_first(reasons, _MAX_LISTED, sanitize)}")
    titled = (replace(group, title="Rules of a hand-written snippet.") for group in exported.rulesets)
    return replace(exported, rulesets=tuple(titled)), tenant


def _try_snippet(snippet: str, skill: str, rules: Sequence[LiveRule], layout: BlockLayout) -> str:
    """Return what came of running the snippet itself on an example of every change between the rules."""
    entries = order_entries([RoutingEntry(name=live.id, rule=live.rule) for live in rules], "lowest-first")
    examples = [region.example.attributes for region in compare_behaviour((), entries).regions][:_EXAMPLES]
    statements, dialects, differing = parse_snippet(snippet), possible_dialects({}), []
    for example in examples:
        shares = destination_of_rule(find_winner(entries, example)) or ()
        values = {layout.variables.get(name, name): value for name, value in example.items()}
        results = (
            [run_snippet(statements, values, dialect).get(skill) for dialect in dialects] if len(shares) == 1 else []
        )
        if any(str(result) != shares[0][0] for result in results):
            differing.append(example)
    tried = f"Tried: the snippet itself on {pluralize(len(examples), 'example')}, in every possible dialect of Studio"
    if not differing:
        return f"{tried}. It assigns the skills of the rules."
    return f"{tried}. In some, it assigns another skill for {differing[0]}: run `cxroute studio probe`."
