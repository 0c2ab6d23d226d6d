"""Manifests in an editor: analyses of texts that are not saved yet, and the server that answers
from them.
"""
