"""Text: made safe for people, read strictly, redacted, suggested, and the phrases for routing values."""
