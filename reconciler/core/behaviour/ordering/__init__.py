"""An order of changes that keeps every conversation on its old or its new queue."""
