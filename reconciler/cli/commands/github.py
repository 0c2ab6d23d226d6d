"""`cxroute github TASK`: steps of a GitHub workflow other than plan and apply (docs/github.md)."""

import argparse
from typing import Final

from reconciler.cli.forge_tasks import ForgeOptions, add_options, run_task
from reconciler.cli.output import Output

FORGE: Final = ForgeOptions(
    tasks=("outputs", "comment", "consent", "reviewed-plan", "drift-issue"),
    token_variable="GITHUB_TOKEN",  # noqa: S106 - the name of a variable
    pipeline="routing-plan.yml",
)


def options(parser: argparse.ArgumentParser) -> None:
    add_options(parser, FORGE)


def run(options: argparse.Namespace, output: Output) -> int:
    return run_task("github", options, output)
