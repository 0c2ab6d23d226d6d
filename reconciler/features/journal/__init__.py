"""The journal of applied changes, and the undo of a recorded run."""
