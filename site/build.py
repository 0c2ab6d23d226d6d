"""`make site`: builds the documentation into build/site, a folder for each version. `latest` has the
files of this folder; with `--releases`, the newest release of each minor version has one, too.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sources import Version, write_sources

ROOT: Final = Path(__file__).resolve().parents[1]
LATEST: Final = "latest"
_TAG: Final = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
_FIRST_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={name}/index.html">
<title>cxroute</title>
<a href="{name}/index.html">cxroute {name}</a>
</html>
"""


def main() -> int:
    """Build the site; return 1 with the reason if a page is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--releases", action="store_true", help="build the releases, too"
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "build/site", help="a folder of its own"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cxroute-site-") as folder:
        work = Path(folder)
        releases = list(_releases(work)) if options.releases else []
        try:
            _build([*releases, _present(releases)], work)
        except ValueError as error:
            print(f"site: {error}", file=sys.stderr)
            return 1
        _replace(options.output, work / "site")
    print(f"site: {options.output}/index.html")
    return 0


def _build(versions: list[Version], work: Path) -> None:
    """Build all versions into the folder `site`; the first one is what readers should see."""
    for version in versions:
        sources = work / "sources" / version.name
        sources.mkdir(parents=True)
        write_sources(version, versions, sources)
        _run_sphinx(sources, work / "site" / version.name)
    first = _FIRST_PAGE.format(name=versions[0].name)
    (work / "site/index.html").write_text(first, encoding="utf-8")


def _run_sphinx(sources: Path, output: Path) -> None:
    doctrees = f"{sources}-doctrees"
    options = ("-b", "html", "-j", "auto", "-q", "-W", "--keep-going", "-d", doctrees)
    command = (sys.executable, "-m", "sphinx", *options, str(sources), str(output))
    if subprocess.run(command, check=False).returncode:
        raise ValueError("Sphinx found the errors above")
    (output / ".buildinfo").unlink()


def _present(releases: list[Version]) -> Version:
    """Return the version that is in this folder."""
    number = _number(ROOT)
    state = "not released" if releases else number
    try:
        revision = _git("rev-parse", "HEAD").decode().strip()
    except (OSError, subprocess.CalledProcessError):  # a source archive
        revision = f"v{number}"
    return Version(
        name=LATEST,
        label=f"{LATEST} ({state})",
        release=f"{number}.dev",
        files=ROOT,
        repository=_repository(ROOT),
        revision=revision,
    )


def _releases(work: Path) -> Iterator[Version]:
    """Yield the newest release of each minor version, the newest first, each in a folder.

    A tag without site/pages.toml is older than the site, and left out.
    """
    found = [_TAG.fullmatch(tag) for tag in _git("tag", "--list").decode().split()]
    numbers = sorted(tuple(map(int, tag.groups())) for tag in found if tag)
    newest = {number[:2]: number for number in numbers}
    for major, minor, patch in reversed(newest.values()):
        tag = f"v{major}.{minor}.{patch}"
        if not _git("ls-tree", tag, "site/pages.toml"):
            continue
        files = work / "releases" / tag
        packed = io.BytesIO(_git("archive", "--format=zip", tag))
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(files)
        yield Version(
            name=f"{major}.{minor}",
            label=tag.removeprefix("v"),
            release=tag.removeprefix("v"),
            files=files,
            repository=_repository(ROOT),
            revision=tag,
        )


def _git(*arguments: str) -> bytes:
    command = ("git", *arguments)
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout


def _number(files: Path) -> str:
    """Return the number in version.py."""
    text = (files / "reconciler/version.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if found is None:
        raise ValueError("reconciler/version.py has no version")
    return found[1]


def _repository(files: Path) -> str:
    """Return the address in pyproject.toml."""
    project = tomllib.loads((files / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["tool"]["hatch"]["metadata"]["hooks"]["custom"]["repository"])


def _replace(output: Path, built: Path) -> None:
    """Put a built site where an earlier one was, and nothing else."""
    if output.exists():
        if not (output / LATEST / "searchindex.js").is_file():
            raise SystemExit(f"site: {output} has other files: remove it")
        shutil.rmtree(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(built, output)


if __name__ == "__main__":
    sys.exit(main())
