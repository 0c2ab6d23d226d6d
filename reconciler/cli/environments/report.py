"""The report of a list of environments: one table, then a part for each environment that has something to say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from reconciler.cli.files import new_folder, write_text
from reconciler.cli.output import error_document
from reconciler.errors import CxrouteError
from reconciler.render.colour import no_style
from reconciler.render.github_annotations import quote_for_runner
from reconciler.render.markdown.plan import MAX_CHARACTERS
from reconciler.render.text.environments import environments_markdown, environments_text
from reconciler.text.escape import pluralize
from reconciler.text.redact import REDACTOR

if TYPE_CHECKING:
    from reconciler.cli.environments.run import EnvironmentReport
    from reconciler.cli.environments.selection import EnvironmentSelection

SUMMARY: Final = "environments.md"  # what `--report` calls the table beside the folders, one for each environment


def print_list(selection: EnvironmentSelection, reports: Sequence[EnvironmentReport], title: str) -> None:
    """Print the table, then the parts; a single environment has printed by itself."""
    if not selection.listed:
        return
    output, rows = selection.output, [report.row for report in reports]
    if output.form == "json":
        output.result(f"{join_documents([report.text for report in reports])}\n")
        return
    if not reports:
        output.result(selection.nothing)
        return
    texts = [
        report.text
        for report in reports
        if report.text and (report.row.status != "same" or output.loudness == "verbose")
    ]
    if output.form == "markdown":
        output.result(_within_a_comment(environments_markdown(rows, title), texts))
    elif output.form == "github":
        output.result(quote_for_runner(environments_text(rows, title, no_style), token_hex(16)) + "".join(texts))
    else:
        output.result("\n".join([environments_text(rows, title, output.paint), *texts]))


def write_table(selection: EnvironmentSelection, reports: Sequence[EnvironmentReport], title: str) -> None:
    """Write the table of a list into the folder of `--report`, where there is one."""
    if selection.listed and selection.options.report:
        table = environments_markdown([report.row for report in reports], title)
        write_text(new_folder(Path(selection.options.report)) / SUMMARY, REDACTOR.redact(table))


def join_documents(documents: Sequence[str], error: CxrouteError | None = None) -> str:
    """Return the JSON document of all environments and what stopped them (plan-json "Several environments")."""
    stopped = f',\n"error": {REDACTOR.dump_redacted(error_document(error))}' if error else ""
    return '{"environments": [\n' + ",\n".join(documents) + f"\n]{stopped}}}"


def _within_a_comment(table: str, parts: Sequence[str]) -> str:
    """Return as many parts below the table as one comment holds, and say how many it does not."""
    chosen, length = [table], len(table)
    for part in parts:
        if length + len(part) > MAX_CHARACTERS:
            break
        chosen.append(part)
        length += len(part)
    left_out = len(parts) - len(chosen) + 1
    if left_out:
        chosen.append(f"{pluralize(left_out, 'further plan')} would be too long here: see each environment's own.\n")
    return "\n".join(chosen)
