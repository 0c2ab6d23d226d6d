"""`cxroute azure TASK`: steps of an Azure DevOps pipeline other than plan and apply (docs/azure.md)."""

import argparse
from typing import Final

from reconciler.cli.forge_tasks import ForgeOptions, add_options, run_task
from reconciler.cli.output import Output

FORGE: Final = ForgeOptions(
    tasks=("note", "consent", "reviewed-plan", "drift-issue"),
    token_variable="SYSTEM_ACCESSTOKEN",  # noqa: S106 - the name of a variable
    pipeline=".azure-pipelines/routing-plan.yml",
)


def options(parser: argparse.ArgumentParser) -> None:
    add_options(parser, FORGE)


def run(options: argparse.Namespace, output: Output) -> int:
    return run_task("azure", options, output)
