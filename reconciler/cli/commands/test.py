"""`cxroute test`: the RouteTests, offline in every environment, or on the live rules of one."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.environments.choose import choose, separate, utc_now
from reconciler.cli.files import write_whole
from reconciler.cli.route_tests import Checked, asked_for, check, check_live, failures, tested
from reconciler.cli.session import Session, open_session
from reconciler.errors import ManifestError
from reconciler.manifest.load import load_manifests
from reconciler.render.text.route_tests import junit_document, tests_document, tests_line

if TYPE_CHECKING:
    import argparse

    from reconciler.cli.output import Output
    from reconciler.cli.signals import Stop


def options(parser: argparse.ArgumentParser) -> None:
    """Add test's options."""
    parser.add_argument("--live", action="store_true", help="on the tenant's live rules, in place of the manifests")
    parser.add_argument("--junit", metavar="FILE", help="write the results as JUnit XML too")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="form of the result (default: text)")


def run(options: argparse.Namespace, output: Output) -> int:
    """Try every test in every environment (or in those that -e names); exit 3 where one fails."""
    checked = _live(options, output) if options.live else _offline(options)
    failed = failures(checked, options.manifests)
    tried = [one for each in checked for one in each.tried]
    if options.junit is not None:
        labels = {each.environment.name: each.labels for each in checked}
        write_whole(Path(options.junit), junit_document(tried, labels, utc_now()))
    if output.form == "json":
        output.document(tests_document(tried))
    else:
        output.findings(failed, sys.stdout)
        output.result(("\n" if failed else "") + tests_line(tried) + "\n")
    return ManifestError.exit_code if failed else 0


def _offline(options: argparse.Namespace) -> list[Checked]:
    """Try every test on the rules of the manifests. Raises ManifestError where these are wrong."""
    manifests = load_manifests(Path(options.manifests))
    names = asked_for(manifests, options.environment)
    chosen = [name for name in names if tested(manifests, options.environment, name)]
    checked = [check(manifests, choose(manifests, name)) for name in chosen]
    wrong = [finding for each in checked for finding in each.findings if finding.severity == "error"]
    if wrong:
        raise ManifestError(list(dict.fromkeys(wrong)))
    return checked


def _live(options: argparse.Namespace, output: Output) -> list[Checked]:
    """Try every test on the live rules of each environment that -e names."""
    from reconciler.cli.clients import reading  # noqa: PLC0415 - brings HTTP in, which offline would only cost
    from reconciler.cli.signals import run_interruptibly  # noqa: PLC0415 - offline nothing can be interrupted

    async def read_one(session: Session, _stop: Stop) -> Checked:
        async with reading(session) as client:
            live = await session.read(client)
        return check_live(session.manifests, session.environment, session.desired(live), live)

    names = separate(options.environment) if options.environment else (None,)
    sessions = [open_session(options, output, name) for name in names]
    sessions[0].introduce()
    return [run_interruptibly(partial(read_one, session)) for session in sessions]
