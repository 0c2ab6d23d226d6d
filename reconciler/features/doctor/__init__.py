"""Diagnosis of a tenant: single calls, findings in the responses, and advice."""
