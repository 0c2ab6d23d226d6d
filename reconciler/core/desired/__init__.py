"""Desired rules: manifests expanded for one environment, with queues resolved."""
