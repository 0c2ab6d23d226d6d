"""The difference between two rule lists: pairs of winners, regions and rows."""
