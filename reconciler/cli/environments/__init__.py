"""The environments of a command: chosen, selected, and run concurrently."""
