"""The page on which people try conversations."""
