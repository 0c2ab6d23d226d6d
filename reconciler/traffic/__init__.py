"""A traffic sample: a CSV file -> how many conversations of each kind there were (semantics "Traffic shares")."""

from reconciler.traffic.sample import SampleRow, TrafficSample, declared_traffic, load_traffic, read_traffic

__all__ = ["SampleRow", "TrafficSample", "declared_traffic", "load_traffic", "read_traffic"]
