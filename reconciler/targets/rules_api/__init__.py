"""The target `rules-api`: rules behind the API that the default profile assumes."""
