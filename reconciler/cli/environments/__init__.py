"""The environments of a command: selection, and concurrent runs."""
