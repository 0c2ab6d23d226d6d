"""The environments that a command is about: chosen, selected, and run side by side."""
