"""Comparison of two lists of rules: for all conversations, and for recorded ones."""
