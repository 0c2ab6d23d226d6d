"""A Cognigy bot: its intents as an Intents document, and their differences from the manifests."""

from typing import Final

from reconciler.cli.feature import Command, Feature

API: Final = "https://api-app.cognigy.ai/v2.0"  # the default address

FEATURE: Final = Feature(
    commands={
        "cognigy": Command(
            "context endpoint",
            20,
            "print the nodes of a flow that post to `cxroute serve`; write the bot's intents",
            f"{__name__}.command",
        ),
    },
)
