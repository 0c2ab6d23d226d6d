"""A traffic sample: a CSV file -> how many conversations of each kind there were (semantics
"Traffic shares").
"""
