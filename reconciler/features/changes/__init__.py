"""Questions about changes of the manifests that need an exact analysis."""
