"""Live rules -> manifests that a person would have written, and single live values into manifests that are there."""
