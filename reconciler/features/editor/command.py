"""`cxroute lsp`: a language server for manifests, over stdin and a copy of stdout, which it
closes.
"""

import argparse
import os

from reconciler.cli.arguments import requires_extra
from reconciler.cli.output import Output


def options(parser: argparse.ArgumentParser) -> None:
    no_effect = "has no effect: editors pass it, and there is no other way"
    parser.add_argument("--stdio", action="store_true", help=no_effect)


def run(options: argparse.Namespace, _output: Output) -> int:
    with requires_extra("lsp", "`cxroute lsp`"):
        from reconciler.features.editor.server import ManifestServer  # noqa: PLC0415 - needs the extra `lsp`
    ManifestServer(options.manifests, options.environment).server.start_io(
        stdout=os.fdopen(os.dup(1), "wb")
    )
    return 0
