"""The layout in CONTRIBUTING.md, generated from the import contracts of pyproject.toml and the
docstrings of the packages.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.docs.page import CONTRIBUTING, ROOT

_PART: Final = re.compile(
    r"(?<=<!-- layout -->\n).*(?=<!-- end of layout -->)", re.DOTALL
)


def contributing_page() -> str:
    """Return CONTRIBUTING.md with the layout of today."""
    text = CONTRIBUTING.read_text(encoding="utf-8")
    assert _PART.search(text), "CONTRIBUTING.md has no place for the layout"
    return _PART.sub(lambda _: layout(), text)


def layout() -> str:
    """Return a table of each container of layers, and one of the features."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    tables = [
        _table(container, _rows(container, contract["layers"]))
        for contract in contracts
        if contract["type"] == "layers"
        for container in contract["containers"]
    ]
    features = "reconciler.features"
    folders = sorted(path.parent.name for path in _path(features).glob("*/__init__.py"))
    return "\n".join([*tables, _table(features, _rows(features, folders))])


def _rows(container: str, layers: list[str]) -> Iterator[str]:
    """Yield a row of each layer, the highest first."""
    for layer in layers:
        names = [name.strip(" ()") for name in re.split(r"[|:]", layer)]
        packages = [f"`{name}`: {_content(f'{container}.{name}')}" for name in names]
        yield f"| {'<br>'.join(packages)} |"


def _table(container: str, rows: Iterator[str]) -> str:
    head = f"| in `{container.replace('.', '/')}/` |\n|---|\n"
    return head + "".join(f"{row}\n" for row in rows)


def _content(module: str) -> str:
    """Return the first sentence of a module's docstring, without its full stop."""
    path = _path(module)
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    first = re.split(r"\.(?:\s|$)|\s\(", docstring.split("\n\n")[0], maxsplit=1)[0]
    name = module.rpartition(".")[2]
    return " ".join(first.split()).removeprefix(f"{name.capitalize()}: ")


def _path(module: str) -> Path:
    return ROOT.joinpath(*module.split("."))
