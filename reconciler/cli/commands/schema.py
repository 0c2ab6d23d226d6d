"""`cxroute schema`: the JSON Schema of manifests or of plans, and the default profile to start from."""

from __future__ import annotations

import argparse

from reconciler.cli.output import Output


def options(parser: argparse.ArgumentParser) -> None:
    """Add schema's options."""
    parser.add_argument(
        "of", nargs="?", choices=("manifest", "plan", "profile"), default="manifest", help="default: manifest"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Print the schema."""
    if options.of == "plan":
        from reconciler.plan.json_schema import plan_schema  # noqa: PLC0415 - needs no pydantic

        output.document(plan_schema())
    elif options.of == "profile":
        from reconciler.manifest.documents import default_profile_yaml  # noqa: PLC0415 - as below

        output.file_text(default_profile_yaml())
    else:
        from reconciler.manifest.documents import manifest_schema  # noqa: PLC0415 - pydantic's import is not free

        output.document(manifest_schema())
    return 0
