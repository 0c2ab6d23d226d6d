"""Text: escaping, strict reading, redaction, suggestions, and phrases for routing values."""
