"""Traffic samples, from the endpoint's counters or from records."""
