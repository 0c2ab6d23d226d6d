"""Manifests: files of a directory -> typed documents, with all errors."""
