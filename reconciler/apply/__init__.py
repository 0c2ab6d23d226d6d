"""Apply: the loop that writes a plan, and the report of its outcomes."""
