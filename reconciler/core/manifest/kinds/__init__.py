"""The kinds of documents: their fields, types and rules."""
