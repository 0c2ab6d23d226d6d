"""Manifests: files of a directory -> typed documents, every error at once."""
