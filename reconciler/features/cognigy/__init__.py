"""A Cognigy bot: its intents as an Intents document, and their differences from the manifests."""

from typing import Final

API: Final = "https://api-app.cognigy.ai/v2.0"  # the default address
