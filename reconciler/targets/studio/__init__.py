"""Routing rules as a managed block of a Studio script: build, read, evaluate, and find the block in
a script.
"""
