"""Facts about one rule list: shadowed, redundant and tied rules."""
