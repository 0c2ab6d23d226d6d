"""The context endpoint: authenticates events, puts them in order and writes them to
conversations.
"""

from typing import Final

from reconciler.cli.feature import Command, Feature

FEATURE: Final = Feature(
    commands={
        "serve": Command(
            "context endpoint",
            10,
            "receive intents from the bot and write them to the conversation",
            f"{__name__}.command",
        ),
    },
)
