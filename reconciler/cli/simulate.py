"""`cxroute simulate`: a simulated CXone over HTTP, on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from reconciler.cli.output import Output


def options(parser: argparse.ArgumentParser) -> None:
    """Add simulate's options."""
    parser.add_argument(
        "--tenant", choices=("empty", "bank"), default="empty", help="empty, or a bank's as found in life"
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8099, help="0 takes a free one (default: 8099)")
    parser.add_argument("--state", metavar="FILE", help="keep rules in this file, so that they survive a kill")
    parser.add_argument("--rate", type=float, metavar="N", help="answer 429 above so many requests a second")
    parser.add_argument("--latency-ms", type=float, default=0.0, metavar="MS", help="wait so long before each answer")
    parser.add_argument("--faults", metavar="SPEC", default="", help="faults to inject, see README")
    parser.add_argument("--seed", type=int, default=0, help="makes random faults the same again")


def run(options: argparse.Namespace, output: Output) -> int:
    """Serve until SIGINT or SIGTERM."""
    return 0
