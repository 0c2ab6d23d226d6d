"""Checks of rules: lint, route tests, and the explanation of one conversation."""
