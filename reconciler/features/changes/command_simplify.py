"""`cxroute simplify [RULESET...]`: fewer rules that route every conversation as before."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.cli.command_line import utc_now
from reconciler.cli.manifest_files import replace_files
from reconciler.cli.options import CommonOptions
from reconciler.cli.output import Output
from reconciler.cli.rule_lists import read_file_state
from reconciler.core.errors import UsageError
from reconciler.core.manifest.load import (
    Manifests,
    load_manifests,
    load_with_changes,
)
from reconciler.core.text.escape import sanitize
from reconciler.features.changes.simplify import (
    BY_DEFAULT,
    Simplification,
    prove_texts,
    simplify,
)
from reconciler.features.changes.simplify_candidates import EditKind
from reconciler.features.changes.simplify_json import simplification_to_json
from reconciler.features.changes.simplify_rules import (
    EnvironmentRules,
    environments_of,
    read_environment,
    read_environments,
)
from reconciler.features.changes.simplify_text import (
    simplification_markdown,
    simplification_text,
)

_FORMS: Final = ("text", "json", "markdown")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimplifyOptions(CommonOptions):
    """The options of `cxroute simplify`."""

    rulesets: Sequence[str]
    kinds: Sequence[EditKind] | None
    live: str | None
    action: str


def options(parser: argparse.ArgumentParser) -> type[SimplifyOptions]:
    add = parser.add_argument
    rulesets = "edit these RuleSets alone (default: all)"
    add("rulesets", metavar="RULESET", nargs="*", default=(), help=rulesets)
    join = "make one rule of rules with one destination that differ in one attribute"
    add("--join", dest="kinds", action="append_const", const="join", help=join)
    redundant = "remove rules whose conversations go to the same place without them"
    add(
        "--redundant",
        dest="kinds",
        action="append_const",
        const="redundant",
        help=redundant,
    )
    live = "include the rules of this file in the API's format that the manifests of -e do not manage"
    add("--live", metavar="FILE", help=live)
    write = "write the edits (default: print them)"
    add(
        "--write",
        dest="action",
        action="store_const",
        const="write",
        default="print",
        help=write,
    )
    add(
        "--format",
        choices=_FORMS,
        default="text",
        help="output format: markdown for a comment (default: text)",
    )
    parser.epilog = (
        "An edit is proposed only if the analysis proves, for every Environment, that no "
        "conversation goes elsewhere.\n"
        "Rules stay unchanged that are protected or in a promise (decidedBy), with hold, adopt or "
        "accept, switched off,\n"
        "or with the comment `# cxroute: keep` above them or on their first line."
    )
    return SimplifyOptions


def run(options: SimplifyOptions, output: Output) -> int:
    """Search, print the edits, and write them if asked to."""
    directory = Path(options.manifests)
    instant = utc_now()
    manifests = load_manifests(directory, instant)
    environments = _read_environments(options, manifests)
    kinds = BY_DEFAULT | frozenset(options.kinds or ())
    result = simplify(manifests, environments, options.rulesets, kinds, instant)
    written: list[str] = []
    if result.texts:
        changed = {file: text.encode() for file, text in result.texts.items()}
        after = load_with_changes(directory, changed, instant)
        prove_texts(manifests, after, environments)
    if result.texts and options.action == "write":
        replace_files(result.texts, manifests)
        written = list(result.texts)
    _print_result(result, options, output, written)
    return 0


def _read_environments(
    options: SimplifyOptions, manifests: Manifests
) -> list[EnvironmentRules]:
    """Return every Environment at each time from now on; with `--live`, one of them also with the
    rules of the file.

    So an edit is proven for the manifests alone and for both. Raises UsageError.
    """
    alone = read_environments(manifests)
    if options.live is None:
        if options.environment:
            raise UsageError(
                "simplify edits the rules of every Environment: -e goes with --live FILE, and names "
                "the Environment of the file"
            )
        return alone
    names = [environment.name for environment in environments_of(manifests)]
    chosen = options.environment or (names[0] if len(names) == 1 else "")
    if not chosen:
        raise UsageError(
            "--live is for one tenant: set -e to the name of one environment"
        )
    environment = manifests.environment(chosen)
    live, _ = read_file_state(options.live, manifests, environment)
    return [*alone, *read_environment(manifests, environment, live)]


def _print_result(
    result: Simplification,
    options: SimplifyOptions,
    output: Output,
    written: list[str],
) -> None:
    if output.form == "json":
        output.document(simplification_to_json(result, options.live, written))
        return
    if output.form == "markdown":
        output.result(simplification_markdown(result))
    else:
        output.result(simplification_text(result, output.paint))
    if written:
        output.result("".join(f"wrote {sanitize(file)}\n" for file in written))
    elif result.texts:
        output.result("Nothing was written: --write writes these edits.\n")
