"""`cxroute gitlab TASK`: steps of a GitLab job other than plan and apply (docs/gitlab.md)."""

import argparse
from typing import Final

from reconciler.cli.forge_tasks import ForgeOptions, add_options, run_task
from reconciler.cli.output import Output

FORGE: Final = ForgeOptions(
    tasks=("widget", "note", "consent", "reviewed-plan", "drift-issue"),
    token_variable="CXROUTE_GITLAB_TOKEN",  # noqa: S106 - the name of a variable
    pipeline="cxroute-plan",
    pipeline_help=("JOB", "name of the job that plans"),
)


def options(parser: argparse.ArgumentParser) -> None:
    add_options(parser, FORGE)


def run(options: argparse.Namespace, output: Output) -> int:
    return run_task("gitlab", options, output)
