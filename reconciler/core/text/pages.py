"""The pages of the documentation: files beside the package in a checkout, and web addresses after
an installation.
"""

from pathlib import Path
from typing import Final

_CHECKOUT: Final = Path(__file__).resolve().parents[3]
_LABEL: Final = "Documentation"


def page(name: str, section: str = "") -> str:
    """Return where to read a page: `docs/install.md, section Extras` in a checkout, otherwise its
    web address.
    """
    if (_CHECKOUT / "docs" / name).is_file():
        return f"docs/{name}, section {section}" if section else f"docs/{name}"
    anchor = f"#{section.lower().replace(' ', '-')}" if section else ""
    return f"{_documentation()}/{name}{anchor}"


def _documentation() -> str:
    """Return the address of the pages of this version, from the metadata of the installation."""
    from importlib.metadata import PackageNotFoundError, metadata  # noqa: PLC0415 - slow, and not for a checkout

    try:
        addresses = metadata("cxroute").get_all("Project-URL") or []
    except PackageNotFoundError:
        addresses = []
    pairs = (address.partition(", ") for address in addresses)
    found = next(
        (address for label, _, address in pairs if label == _LABEL), "the documentation"
    )
    return found.replace("/tree/", "/blob/")
