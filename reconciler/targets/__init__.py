"""Targets: the places where live rules are kept."""
