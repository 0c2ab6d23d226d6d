"""The hook `explain_parts`: `explain --since`."""

import argparse
from dataclasses import dataclass
from typing import ClassVar

from reconciler.cli.conversation import ConversationOptions
from reconciler.cli.hooks import ExplainAddition, ExplainPart
from reconciler.cli.output import Output
from reconciler.features.changes.since import find_since, since_to_json
from reconciler.features.changes.since_text import since_text


@dataclass(frozen=True, slots=True, kw_only=True)
class SinceOption(ExplainPart):
    """The option `--since`."""

    option: ClassVar[str] = "--since"
    since: bool

    @staticmethod
    def add_option(parser: argparse.ArgumentParser) -> None:
        """Add `--since`."""
        parser.add_argument(
            "--since",
            action="store_true",
            help="add since which commit the manifests send it there (see `cxroute since`)",
        )

    @property
    def is_given(self) -> bool:
        """Return whether `--since` stands in the command line."""
        return self.since

    def answer(self, options: ConversationOptions, output: Output) -> ExplainAddition:
        """Return the newest change. Raises ManifestError, UsageError and CxrouteError."""
        answer = find_since(options, output, "newest")
        text = since_text(answer, "newest")
        return ExplainAddition(text, {"since": since_to_json(answer)})
