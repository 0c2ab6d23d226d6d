"""`make release-check`: builds a release twice from the last commit, checks all of it, and leaves
it in dist/.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

from tests.release.dry_run import DryRun, subjects
from tests.release.notes import (
    UNRELEASED,
    check_tag,
    find_section,
    read_version,
    release_notes,
)
from tests.release.packages import (
    NAME,
    ReleaseError,
    build_packages,
    check_names,
    check_sdist,
    check_wheel,
    commit_time,
    copy_commit,
    extract_sdist,
    require_same,
)
from tests.release.sbom import (
    check_sbom,
    require_extras,
    requirements_of_users,
    write_sbom,
)

ROOT: Final = Path(__file__).resolve().parents[2]
_PLACEHOLDER: Final = "git.example"


def main(arguments: list[str] | None = None) -> int:
    """Check the last commit; return 1 with the reason if it must not be released."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.release.check", description=__doc__
    )
    parser.add_argument(
        "--tag",
        default="",
        help="check a release: the version, its section in CHANGELOG.md, addresses",
    )
    tag = parser.parse_args(arguments).tag
    try:
        with tempfile.TemporaryDirectory(prefix="cxroute-release-") as folder:
            check_release(ROOT, Path(folder), ROOT / "dist", tag)
    except ReleaseError as error:
        print(f"release-check: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def check_release(repository: Path, folder: Path, dist: Path, tag: str) -> None:
    """Build and check the last commit of a repository, and leave the files in `dist`.

    Without a tag, and before the version has a section, the notes are those of what is not released
    yet.

    Raises:
        ReleaseError: The commit must not be released.
    """
    variables = {"SOURCE_DATE_EPOCH": commit_time(repository)}
    source = copy_commit(repository, folder / "first", 0o644)
    version = read_version(
        (source / "reconciler/version.py").read_text(encoding="utf-8")
    )
    notes = _notes(source, version, tag)
    _report(f"version {version}, with its notes")
    files = _packages(repository, source, folder, version, variables)
    files |= _sbom(source, folder, version, variables)
    out = folder / "dist"
    out.mkdir()
    for name, content in files.items():
        (out / name).write_bytes(content)
    (out / "SHA256SUMS").write_text(subjects(out), encoding="utf-8")
    (out / "notes.md").write_text(notes, encoding="utf-8")
    run = DryRun(source, out, folder / "run", tag or f"v{version}")
    run.run()
    _report(*run.lines)
    shutil.rmtree(dist, ignore_errors=True)
    shutil.copytree(out, dist)
    _report(f"dist/: {', '.join(sorted(path.name for path in dist.iterdir()))}")


def _notes(source: Path, version: str, tag: str) -> str:
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))
    repository = str(
        project["tool"]["hatch"]["metadata"]["hooks"]["custom"]["repository"]
    )
    if tag:
        check_tag(tag, version)
        if _PLACEHOLDER in repository:
            raise ReleaseError(
                f"pyproject.toml has the placeholder {repository} instead of this repository's "
                f"address"
            )
    changelog = (source / "CHANGELOG.md").read_text(encoding="utf-8")
    # before the tag, the section may bear either name
    released = tag or f"\n## [{version}]" in changelog
    _, section = find_section(changelog, version if released else UNRELEASED)
    return release_notes(section, repository, version)


def _packages(
    repository: Path,
    source: Path,
    folder: Path,
    version: str,
    variables: dict[str, str],
) -> dict[str, bytes]:
    """Return wheel and source archive, after two builds from two copies, and one from the
    archive.
    """
    files = build_packages(
        source, folder / "build", {**variables, "TZ": "UTC", "PYTHONHASHSEED": "1"}
    )
    check_names(set(files), version)
    candidate = copy_commit(repository, folder / "a second copy", 0o600)
    # Another folder, time, zone, mode and order of hashes than those of the first build.
    again = build_packages(
        candidate,
        folder / "again",
        {**variables, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "2"},
    )
    require_same(files, again, "two builds of one commit are different")
    _report("two builds are the same, byte for byte")
    wheel = files[f"{NAME}-{version}-py3-none-any.whl"]
    sdist = files[f"{NAME}-{version}.tar.gz"]
    check_wheel(wheel, source, version)
    check_sdist(sdist, wheel, source, version)
    extracted = extract_sdist(sdist, folder / "extracted")
    require_same(
        files,
        build_packages(extracted, folder / "rebuilt", variables),
        "the archive builds other files",
    )
    _report(
        "wheel, source archive and metadata are valid; the archive builds the same files"
    )
    return files


def _sbom(
    source: Path, folder: Path, version: str, variables: dict[str, str]
) -> dict[str, bytes]:
    name = f"{NAME}-{version}.cdx.json"
    requirements = requirements_of_users(source)
    require_extras(source, requirements)
    texts = []
    for place in (folder / "sbom.json", folder / "sbom again.json"):
        write_sbom(source, version, place, variables)
        texts.append(place.read_text(encoding="utf-8"))
    require_same(
        {name: texts[0].encode()},
        {name: texts[1].encode()},
        "the SBOM is different a second time",
    )
    count = check_sbom(texts[0], requirements)
    _report(f"the SBOM is valid CycloneDX, with {count} packages and their digests")
    return {name: texts[0].encode()}


def _report(*lines: str) -> None:
    for line in lines:
        print(f"  ok  {line}")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
