"""The workflows of a repository with manifests, written from the templates that this project's own are written from."""

from __future__ import annotations

import re
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


FILES: Final = ("routing-plan.yml", "routing-apply.yml", "routing-drift.yml")
OURS: Final = "./ # zizmor: ignore[self-repository]"
"""The action, as this project's own workflows name it (docs/github.md says why that finding is passed over)."""
UNKNOWN: Final = f"OWNER/cxroute@{'0' * 40}"
"""Stands where nobody said where cxroute comes from."""
_ACTION: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}(/[A-Za-z0-9._-]+)*@([0-9a-f]{40}|[0-9a-f]{64})"
)
_HELD: Final = re.compile(rf"^( *(?:- )?uses: )({re.escape(OURS)}|{_ACTION.pattern})$", re.MULTILINE)
"""Where a workflow gets cxroute from; other actions have their version behind the hash."""
_HEAD: Final = "# Written by `cxroute init --github`, which writes it anew as long as nobody edits it: "
_SIGNED: Final = re.compile(f"{_HEAD}([0-9a-f]{{16}})\n")
_FOLDER: Final = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_VARIABLE: Final = re.compile(r"(?!GITHUB_)[A-Z][A-Z0-9_]*")


class Setting(NamedTuple):
    """What differs between repositories."""

    action: str
    """Where cxroute comes from: OWNER/REPOSITORY@COMMIT."""
    manifests: str
    variables: tuple[str, ...]
    """That hold credentials; the secrets are named alike."""


def workflows(setting: Setting) -> Iterator[tuple[str, str]]:
    """Yield each workflow's file name and text. Raises UsageError where that would not be a workflow."""
    check(setting)
    lines = [f"{name}: ${{{{ secrets.{name} }}}}" for name in setting.variables]
    # To which other hosts secrets may go is said by whoever keeps the repository, never by a manifest.
    credentials = "\n".join([*lines, "CXROUTE_HOSTS: ${{ vars.CXROUTE_HOSTS }}"])
    for name in FILES:
        text = files("reconciler").joinpath("github", "templates", name).read_text(encoding="utf-8")
        text = text.replace("@ACTION@", setting.action).replace("@MANIFESTS@", setting.manifests)
        text = re.sub("^( *)@CREDENTIALS@", lambda found: _indented(credentials, found[1]), text, flags=re.MULTILINE)
        yield name, f"{_HEAD}{_digest(text)}\n{text}"


def held_action(text: str) -> str | None:
    """Return where a workflow gets cxroute from; None where it does not say so as ours do."""
    found = _HELD.search(text)
    return found[2] if found else None


def is_edited(text: str) -> bool:
    """Say whether somebody edited the workflow, or wrote it; another commit of cxroute is no edit."""
    signed = _SIGNED.match(text)
    return signed is None or signed[1] != _digest(text[signed.end() :])


def check(setting: Setting) -> None:
    """Refuse what could mean something else in a workflow, and an action that is not pinned. Raises UsageError."""
    if setting.action != OURS and not _ACTION.fullmatch(setting.action):
        raise UsageError(
            f"--action {setting.action}: say where cxroute comes from as OWNER/REPOSITORY@COMMIT, with a commit's whole"
            " hash: a tag can be moved to other code"
        )
    parts = setting.manifests.split("/")
    if not _FOLDER.fullmatch(setting.manifests) or ".." in parts or setting.manifests.startswith("-"):
        raise UsageError(
            f"-m {setting.manifests}: for workflows, name a folder below this one, of letters, digits, . _ -"
        )
    wrong = [name for name in setting.variables if not _VARIABLE.fullmatch(name)]
    if wrong:
        raise UsageError(f"the variable {wrong[0]} cannot be a secret of GitHub: use A-Z, 0-9 and _, without GITHUB_")


def _digest(text: str) -> str:
    return sha256(_HELD.sub(r"\1", text).encode()).hexdigest()[:16]


def _indented(text: str, indent: str) -> str:
    return "\n".join(indent + line for line in text.split("\n"))
