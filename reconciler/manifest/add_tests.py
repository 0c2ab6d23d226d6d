"""Adds route tests to the text of a file: its comments and its other documents stay as they are."""

from collections.abc import Sequence
from typing import Any

from reconciler.manifest.documents import RouteTests
from reconciler.manifest.source_map import LoadedDocument
from reconciler.manifest.yaml_patch import apply_edits, compute_edits, find_mapping
from reconciler.manifest.yaml_writer import format_mapping


def add_route_tests(
    text: str, document: LoadedDocument[RouteTests] | None, name: str, tests: Sequence[dict[str, Any]]
) -> str:
    """Return the text with further tests in its RouteTests document; None: in a new document with a name."""
    if document is not None:
        source_map = document.source_map
        old = dict(source_map.root)
        node = find_mapping(text, source_map.index(()))
        return apply_edits(text, compute_edits(text, node, old, {**old, "tests": [*old["tests"], *tests]}))
    fields = {"apiVersion": "routing/v1", "kind": "RouteTests", "name": name, "tests": list(tests)}
    lines = "\n".join(format_mapping(fields, 0))
    return f"{text.rstrip()}\n---\n{lines}\n" if text.strip() else f"{lines}\n"
