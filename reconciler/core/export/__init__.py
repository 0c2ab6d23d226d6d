"""Live rules -> new manifests, and live values -> edits of existing manifests."""
