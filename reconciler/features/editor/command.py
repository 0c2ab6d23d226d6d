"""`cxroute lsp`: a language server for manifests, over stdin and a copy of stdout, which it
closes.
"""

import argparse
import os
from dataclasses import dataclass

from reconciler.cli.arguments import requires_extra
from reconciler.cli.options import CommonOptions
from reconciler.cli.output import Output


@dataclass(frozen=True, slots=True, kw_only=True)
class EditorOptions(CommonOptions):
    """The options of `cxroute lsp`."""

    stdio: bool


def options(parser: argparse.ArgumentParser) -> type[EditorOptions]:
    no_effect = "has no effect: editors pass it, and there is no other way"
    parser.add_argument("--stdio", action="store_true", help=no_effect)
    return EditorOptions


def run(options: EditorOptions, _output: Output) -> int:
    with requires_extra("lsp", "`cxroute lsp`"):
        from reconciler.features.editor.server import ManifestServer  # noqa: PLC0415 - needs the extra `lsp`
    ManifestServer(options.manifests, options.environment).server.start_io(
        stdout=os.fdopen(os.dup(1), "wb")
    )
    return 0
