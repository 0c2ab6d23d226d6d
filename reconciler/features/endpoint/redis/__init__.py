"""State that several instances of the endpoint share in Redis."""
