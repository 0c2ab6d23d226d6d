"""Diagnosis of a tenant: single calls, and findings in their responses."""
