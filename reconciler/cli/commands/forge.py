"""`cxroute github|gitlab|azure|bitbucket TASK`: steps of a pipeline other than plan and apply (docs/github.md)."""

import argparse
import os
from typing import Final, NamedTuple

from reconciler.cli.forge_tasks import NOTES, TASKS, Step, load_forge
from reconciler.cli.output import Output
from reconciler.forge.consent import MEMBERS_TOKEN
from reconciler.forge.step import StepFiles
from reconciler.text.redact import REDACTOR


class ForgeOptions(NamedTuple):
    """The tasks of one forge, and its words in the help of its command."""

    tasks: tuple[str, ...]
    pipeline: str  # the default of --workflow
    pipeline_help: tuple[str, str] = ("FILE", "file name of the plan workflow")  # its value, and its meaning


_COMMON: Final = ("note", "consent", "reviewed-plan")
FORGES: Final = {
    "github": ForgeOptions(("outputs", "comment", "consent", "reviewed-plan", "drift-issue"), "routing-plan.yml"),
    "gitlab": ForgeOptions(
        ("widget", *_COMMON, "drift-issue"), "cxroute-plan", pipeline_help=("JOB", "name of the job that plans")
    ),
    "azure": ForgeOptions((*_COMMON, "drift-issue"), ".azure-pipelines/routing-plan.yml"),
    "bitbucket": ForgeOptions(_COMMON, "bitbucket-pipelines.yml"),  # Bitbucket has no issues
}
_REPORTING: Final = ("outputs", "widget", *NOTES, "consent")  # tasks with --report


def options(parser: argparse.ArgumentParser) -> None:
    name = parser.prog.rpartition(" ")[2]  # the command is the name of the forge
    forge, token_variable = FORGES[name], load_forge(name).DIALECT.token_variable
    parser.set_defaults(forge=name)
    parser.add_argument("task", choices=forge.tasks, help=f"the task; the variable {token_variable} holds the token")
    parser.add_argument("--author", metavar="LOGIN", help="login of the token's owner (default: as the forge reports)")
    plan = parser.add_argument_group(", ".join(task for task in forge.tasks if task in _REPORTING))
    plan.add_argument("--report", metavar="DIR", help="directory that `cxroute plan --report DIR` wrote")
    comment = parser.add_argument_group(next(task for task in forge.tasks if task in NOTES))
    comment.add_argument("--applied", metavar="FILE", help="report the result: the output of `apply --format json`")
    comment.add_argument("--outdated", metavar="WHY", nargs="?", const="", help="mark the plan as out of date")
    comment.add_argument("--pull-request", metavar="NUMBER", help="the pull request (default: from the event)")
    reviewed = parser.add_argument_group("reviewed-plan")
    reviewed.add_argument("--out", metavar="FILE", help="file for the reviewed plan")
    metavar, meaning = forge.pipeline_help
    workflow = f"{meaning} (default: {forge.pipeline})"
    unchanged = "no manifest is changed: no consent is needed"
    parser.add_argument_group("consent").add_argument("--unchanged", action="store_true", help=unchanged)
    planned = parser.add_argument_group("consent (without --report), reviewed-plan")
    planned.add_argument("--workflow", metavar=metavar, default=forge.pipeline, help=workflow)
    if "drift-issue" in forge.tasks:
        drift = parser.add_argument_group("drift-issue")
        drift.add_argument("--plan", metavar="FILE", help="output of `cxroute drift --format json`")
        drift.add_argument("--body", metavar="FILE", help="output of `cxroute drift --format markdown`")


def run(options: argparse.Namespace, output: Output) -> int:
    module = load_forge(options.forge)
    for variable in (module.DIALECT.token_variable, MEMBERS_TOKEN):
        REDACTOR.add(os.environ.get(variable))
    TASKS[options.task](Step(options, output, module, StepFiles.from_variables(os.environ)))
    return 0
