"""`cxroute lsp`: a language server for manifests, over stdin and stdout (docs/editors.md)."""

import argparse
import os
import sys

from reconciler.cli.arguments import requires_extra
from reconciler.cli.output import Output


def options(parser: argparse.ArgumentParser) -> None:
    no_effect = "has no effect: editors pass it, and there is no other way"
    parser.add_argument("--stdio", action="store_true", help=no_effect)


def run(options: argparse.Namespace, _output: Output) -> int:
    with requires_extra("lsp", "`cxroute lsp`"):
        from reconciler.cli.language_server import ManifestServer  # noqa: PLC0415 - needs the extra `lsp`
    stdout = os.fdopen(os.dup(sys.stdout.fileno()), "wb")  # the server closes its stream at the end
    ManifestServer(options.manifests, options.environment).server.start_io(stdout=stdout)
    return 0
