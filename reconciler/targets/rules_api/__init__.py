"""The target `api`: rules behind the API that the default profile assumes."""
