"""`cxroute version`: the version, as --version prints it."""

import argparse

from reconciler.cli.options import CommonOptions
from reconciler.cli.output import Output
from reconciler.version import __version__


def options(parser: argparse.ArgumentParser) -> type[CommonOptions]:
    del parser
    return CommonOptions


def run(_options: CommonOptions, output: Output) -> int:
    output.result(f"cxroute {__version__}\n")
    return 0
