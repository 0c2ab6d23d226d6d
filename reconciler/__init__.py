"""Routing rules as code for NICE CXone: load, compare, prove, apply."""

__version__ = "0.1.0"
