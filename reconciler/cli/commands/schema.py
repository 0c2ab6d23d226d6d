"""`cxroute schema`: the JSON Schema of manifests or plans, and the default profile."""

import argparse

from reconciler.cli.output import Output
from reconciler.manifest.documents import default_profile_yaml, manifest_schema_text
from reconciler.plan.json_schema import plan_schema


def options(parser: argparse.ArgumentParser) -> None:
    choices = ("manifest", "plan", "profile")
    of = "the schema or profile to print (default: manifest)"
    parser.add_argument("of", nargs="?", choices=choices, default="manifest", help=of)


def run(options: argparse.Namespace, output: Output) -> int:
    if options.of == "plan":
        output.document(plan_schema())
    elif options.of == "profile":
        output.file_text(default_profile_yaml())
    else:
        output.file_text(manifest_schema_text())
    return 0
