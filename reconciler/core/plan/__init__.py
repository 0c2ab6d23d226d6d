"""Plans: ownership, comparison, holds, schedule, traffic impact, guards, and the JSON of a plan."""
