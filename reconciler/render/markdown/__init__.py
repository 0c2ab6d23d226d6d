"""Reports in Markdown for pull-request comments and issues."""
