"""A traffic sample: a CSV file -> how many conversations of each kind there were (semantics "Traffic shares")."""

from reconciler.traffic.sample import Row, Sample, declared_traffic, load_traffic, read_traffic

__all__ = ["Row", "Sample", "declared_traffic", "load_traffic", "read_traffic"]
