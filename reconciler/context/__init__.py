"""The context endpoint: what the bot understood, checked, in order, and handed to a `write` that it is given."""
