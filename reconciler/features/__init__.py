"""Features: one folder each, with its command, its logic and its texts."""
