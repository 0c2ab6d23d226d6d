"""The version of a release, and its notes from CHANGELOG.md."""

from __future__ import annotations

import re
from typing import Final

from hatch_build import with_full_links
from tests.release.packages import ReleaseError

UNRELEASED: Final = "Unreleased"
LIMIT: Final = 125_000
"""The characters that GitHub takes as the text of a release."""
_VERSION: Final = re.compile(r'^__version__ = "(\d+\.\d+\.\d+)"$', re.MULTILINE)
_HEADING: Final = re.compile(r"^## \[(.+?)\](.*)$", re.MULTILINE)
_DATE: Final = re.compile(r" - \d{4}-\d{2}-\d{2}")


def read_version(module: str) -> str:
    """Return the version in the text of reconciler/version.py."""
    actual = _VERSION.search(module)
    if not actual:
        raise ReleaseError("reconciler/version.py has no version of the form X.Y.Z")
    return actual[1]


def check_tag(tag: str, version: str) -> None:
    """Raise ReleaseError unless a tag is that of the version."""
    if tag != f"v{version}":
        raise ReleaseError(
            f"the tag is {tag}, and reconciler/version.py has {version}: the tag must be v{version}"
        )


def find_section(changelog: str, version: str) -> tuple[str, str]:
    """Return the heading and the text of a version's section.

    Raises:
        ReleaseError: There is no such section, it has no date, or it is empty.

    """
    headings = list(_HEADING.finditer(changelog))
    for number, heading in enumerate(headings):
        if heading[1] == version:
            end = (
                headings[number + 1].start()
                if number + 1 < len(headings)
                else len(changelog)
            )
            text = changelog[heading.end() : end].strip()
            if not text:
                raise ReleaseError(f"the section [{version}] of CHANGELOG.md is empty")
            if version != UNRELEASED and not _DATE.fullmatch(heading[2]):
                raise ReleaseError(
                    f"the section [{version}] of CHANGELOG.md has no date: ## [{version}] - "
                    f"YYYY-MM-DD"
                )
            return heading[0], text
    raise ReleaseError(f"CHANGELOG.md has no section [{version}]")


def release_notes(section: str, repository: str, version: str) -> str:
    """Return the notes: the section with full links, and where the documents of this version
    are.
    """
    docs = f"{repository}/blob/v{version}/docs"
    notes = with_full_links(section, repository, f"v{version}")
    notes += (
        f"\n\nInstall: [install.md]({docs}/install.md). All pages: "
        f"[docs]({repository}/tree/v{version}/docs).\n"
    )
    if len(notes) > LIMIT:
        raise ReleaseError(
            f"the notes have {len(notes):,} characters; GitHub takes {LIMIT:,}"
        )
    return notes
