"""Commands for the block of a Studio script, offline."""
