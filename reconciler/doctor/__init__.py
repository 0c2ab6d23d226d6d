"""Diagnosis of a tenant: single calls, what the responses show, and advice."""
