"""The campaign's figures: the measurements of its tests are printed after the results."""

from __future__ import annotations

from _pytest.terminal import TerminalReporter

from tests.tiers import FULL


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print the figures that tests recorded."""
    if not FULL:
        return
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties if report.when == "call" else ():
                printed = f"{value:.3g}" if isinstance(value, float) else value
                terminalreporter.write_line(
                    f"{report.nodeid.partition('::')[2]}: {name} {printed}"
                )
