"""`cxroute version`: the version, as --version prints it."""

import argparse

from reconciler.cli.output import Output
from reconciler.version import __version__


def options(parser: argparse.ArgumentParser) -> None:
    del parser


def run(_options: argparse.Namespace, output: Output) -> int:
    output.result(f"cxroute {__version__}\n")
    return 0
