"""`cxroute schema`: the JSON Schema of manifests or plans, and the default profile."""

import argparse
from dataclasses import dataclass

from reconciler.cli.feature import load_features, load_object
from reconciler.cli.options import CommonOptions
from reconciler.cli.output import Output
from reconciler.core.errors import UsageError
from reconciler.core.manifest.documents import (
    default_profile_yaml,
    manifest_schema_text,
)
from reconciler.core.model.finding import Document
from reconciler.core.plan.plan_json import json_schema, plan_schema
from reconciler.render.command_json import OUTPUTS, FailureJson


def commands_with_json() -> tuple[str, ...]:
    """Return the names of the commands with `--format json`."""
    names = [*OUTPUTS]
    for feature in load_features():
        names += feature.documents
    return tuple(names)


def output_schema(command: str) -> Document:
    """Return the schema of a command's document, or of its error."""
    documents = dict(OUTPUTS)
    for feature in load_features():
        if command in feature.documents:
            documents[command] = load_object(feature.documents[command])
    return json_schema(
        documents[command] | FailureJson, f"cxroute {command} --format json"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaOptions(CommonOptions):
    """The options of `cxroute schema`."""

    of: str | None
    command: str | None


def options(parser: argparse.ArgumentParser) -> type[SchemaOptions]:
    choices = ("manifest", "plan", "profile")
    of = "the schema or profile to print (default: manifest)"
    add = parser.add_argument
    add("of", nargs="?", choices=choices, help=of)
    add(
        "--for",
        dest="command",
        choices=commands_with_json(),
        help="instead: the schema of this command's --format json",
    )
    return SchemaOptions


def run(options: SchemaOptions, output: Output) -> int:
    if options.command and options.of:
        raise UsageError(
            "specify manifest, plan or profile, or --for COMMAND, not both"
        )
    if options.command:
        output.document(output_schema(options.command))
    elif options.of == "plan":
        output.document(plan_schema())
    elif options.of == "profile":
        output.file_text(default_profile_yaml())
    else:
        output.file_text(manifest_schema_text())
    return 0
