"""What cxroute does on GitHub: one comment on a pull request, one issue of drift, the plan that was reviewed."""
