"""A Cognigy bot: the nodes of its flow, its hand-over to a script, and its intents compared with the manifests."""

from typing import Final

from reconciler.cli.feature import Command, Feature

API: Final = "https://api-app.cognigy.ai/v2.0"  # the default address

FEATURE: Final = Feature(
    commands={
        "cognigy": Command(
            "context endpoint",
            20,
            "print the nodes of a flow for `cxroute serve` or a script; write the bot's intents",
            f"{__name__}.command",
        ),
    },
)
