"""A Cognigy bot: its intents as an Intents document, and their differences from the manifests."""
