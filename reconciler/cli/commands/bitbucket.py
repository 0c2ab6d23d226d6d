"""`cxroute bitbucket TASK`: steps of a Bitbucket pipeline other than plan and apply (docs/bitbucket.md)."""

import argparse
from typing import Final

from reconciler.cli.forge_tasks import ForgeOptions, add_options, run_task
from reconciler.cli.output import Output

FORGE: Final = ForgeOptions(
    tasks=("note", "consent", "reviewed-plan"),  # Bitbucket has no issues, so there is no task for one about drift
    token_variable="CXROUTE_BITBUCKET_TOKEN",  # noqa: S106 - the name of a variable
    pipeline="bitbucket-pipelines.yml",
)


def options(parser: argparse.ArgumentParser) -> None:
    add_options(parser, FORGE)


def run(options: argparse.Namespace, output: Output) -> int:
    return run_task("bitbucket", options, output)
