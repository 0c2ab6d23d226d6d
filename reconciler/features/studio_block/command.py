"""`cxroute studio TASK`: the managed block of a Studio script, and hand-written snippets as
manifests.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from reconciler.cli.command_line import (
    add_at_option,
    choose_environment,
    run_time,
)
from reconciler.cli.files import write_text
from reconciler.cli.output import Output
from reconciler.cli.parsing import check_task
from reconciler.cli.validation import note_assumed_steps
from reconciler.core.desired.desired import desire_offline
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests, load_manifests
from reconciler.core.manifest.yaml_writer import format_mapping
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import (
    Condition,
    Rule,
    Target,
)
from reconciler.core.target import NotStorableError
from reconciler.core.text.escape import join_first, pluralize, sanitize
from reconciler.features.studio_block.import_snippet import import_snippet
from reconciler.features.studio_block.options import StudioOptions
from reconciler.targets.decide.recipe import (
    ServiceRecipe,
    attribute_variables,
    format_service_recipe,
)
from reconciler.targets.decide.settings import Served
from reconciler.targets.decide.table import bot_variables
from reconciler.targets.decide.target import served_settings
from reconciler.targets.studio.build import BlockEntry, build_block
from reconciler.targets.studio.layout import BlockLayout
from reconciler.targets.studio.place import own_layout
from reconciler.targets.studio.probe import format_recipe, parse_probe, probe_snippet

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
        "--action",
        metavar="ID",
        help="import: the action of the script whose snippet is read, if several could be",
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
    add_at_option(parser)
    parser.epilog = _HELP
    return StudioOptions


def run(options: StudioOptions, output: Output) -> int:
    values_of = {
        "import": {
            "FILE": options.file,
            "--into": options.into,
            "--action": options.action,
        },
        "build": {"--out": options.out, "--at": options.at},
        "probe": {"--result": options.result},
        "recipe": {"--decide": options.recipe_of},
    }
    check_task("studio", options.task, values_of)
    if options.task == "import":
        return import_snippet(options, output)
    try:
        if options.task == "probe":
            text = _probe(options.result)
        else:
            text = _build(options, output)
    except NotStorableError as error:
        raise UsageError(str(error)) from None
    if options.out is not None:
        write_text(Path(options.out), text)
        output.note(f"wrote {options.out}")
    else:
        output.file_text(text)
    return 0


def _build(options: StudioOptions, output: Output) -> str:
    """Return the block of the Environment's rules, or its recipe.

    Raises ManifestError for a queue without an id.
    """
    manifests = load_manifests(Path(options.manifests), run_time(options))
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
    note_assumed_steps([desired], output)
    _refuse_unknown(environment.name, layout, rules)
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
    environment: str, layout: BlockLayout, rules: Iterable[DesiredRule]
) -> None:
    """Raise ManifestError for queues whose id, or name, is not in the manifests."""
    targets = [part for each in rules for part in each.rule.targets]
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
