"""Each reason for which `make release-check` refuses a release, on packages that are really
built.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple
from zipfile import ZipFile

import pytest

from hatch_build import with_full_links
from tests.release import check, notes, packages, sbom
from tests.release.packages import ReleaseError
from tests.support.checkout import commit_checkout

pytestmark = pytest.mark.slow

EPOCH: Final = {"SOURCE_DATE_EPOCH": "1700000000"}
CHANGELOG: Final = (
    "# Changelog\n\n## [Unreleased]\n\n- next\n\n## [1.2.3] - 2026-01-31\n\n- "
    "[new](docs/a.md)\n\n## [1.2.2]\n"
)


class Built(NamedTuple):
    """A repository with this project's files as its commit, a copy of the commit, and its
    packages.
    """

    repository: Path
    source: Path
    wheel: bytes
    sdist: bytes
    version: str


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build from the files as they are now: a developer may not have committed them."""
    folder = tmp_path_factory.mktemp("release")
    repository = commit_checkout(folder / "repository")
    source = packages.copy_commit(repository, folder / "source", 0o644)
    version = notes.read_version(
        (source / "reconciler/version.py").read_text(encoding="utf-8")
    )
    files = packages.build_packages(source, folder / "dist", EPOCH)
    packages.check_names(set(files), version)
    return Built(
        repository,
        source,
        files[f"cxroute-{version}-py3-none-any.whl"],
        files[f"cxroute-{version}.tar.gz"],
        version,
    )


def test_the_packages_of_this_project_are_valid(built: Built) -> None:
    """Wheel, source archive and metadata; a changed package below is refused for its change
    alone.
    """
    packages.check_wheel(built.wheel, built.source, built.version)
    packages.check_sdist(built.sdist, built.wheel, built.source, built.version)


def edited(wheel: bytes, edit: Callable[[dict[str, bytes]], object]) -> bytes:
    """Return a wheel after an edit of its files."""
    with ZipFile(io.BytesIO(wheel)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    edit(files)
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def replace(
    path: str, before: bytes, after: bytes
) -> Callable[[dict[str, bytes]], object]:
    def edit(files: dict[str, bytes]) -> None:
        (name,) = (name for name in files if name.endswith(path))
        assert before in files[name]
        files[name] = files[name].replace(before, after, 1)
        if name.endswith("METADATA"):
            record = next(file for file in files if file.endswith("RECORD"))
            lines = [
                line
                for line in files[record].splitlines(keepends=True)
                if b"METADATA" not in line
            ]
            files[record] = b"".join(lines)

    return edit


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (
            lambda files: files.update({"tests/conftest.py": b""}),
            r"\['tests/conftest.py'\] too much",
        ),
        (
            lambda files: files.update({"reconciler/secret.env": b""}),
            r"\['reconciler/secret.env'\] too much",
        ),
        (
            lambda files: files.pop("reconciler/py.typed"),
            r"lacks \['reconciler/py.typed'\]",
        ),
        (
            replace("reconciler/version.py", b'"0', b'"9'),
            "another digest of reconciler/version.py",
        ),
        (
            replace("METADATA", b"\nVersion: ", b"\nVersion: 9"),
            "metadata are of cxroute 9",
        ),
        (
            replace(
                "METADATA", b"\nLicense-Expression: MIT", b"\nLicense-Expression: None"
            ),
            "invalid metadata: .*None",
        ),
        (replace("METADATA", b"text/markdown", b"text/x-rst"), "not Markdown"),
        (
            replace("METADATA", b"\n# cxroute", b"\n[guide](docs/guide.md)"),
            r"relative links.*docs/guide.md",
        ),
        (
            replace("METADATA", b"cxroute/tree/v", b"cxroute/tree/main-v"),
            "does not name v",
        ),
    ],
)
def test_a_wheel_with_other_contents_is_refused(
    built: Built, edit: Callable[[dict[str, bytes]], object], reason: str
) -> None:
    """A file too much or too few, a changed file, metadata that an index refuses or that lead
    nowhere.
    """
    wheel = edited(built.wheel, edit)
    with pytest.raises(ReleaseError, match=reason):
        packages.check_wheel(wheel, built.source, built.version)


def test_a_source_archive_of_other_files_is_refused(
    built: Built, tmp_path: Path
) -> None:
    """One that lacks a file of the commit, and one whose metadata are not the wheel's."""
    extracted = packages.extract_sdist(built.sdist, tmp_path / "extracted")
    assert (extracted / "docs/guide.md").is_file()
    (built.source / "docs/new.md").write_text("new", encoding="utf-8")
    try:
        with pytest.raises(ReleaseError, match=r"lacks \['docs/new.md'\]"):
            packages.check_sdist(built.sdist, built.wheel, built.source, built.version)
    finally:
        (built.source / "docs/new.md").unlink()
    candidate = edited(
        built.wheel, replace("METADATA", b"\nVersion: ", b"\nVersion: 9")
    )
    with pytest.raises(ReleaseError, match="different metadata"):
        packages.check_sdist(built.sdist, candidate, built.source, built.version)


def test_a_build_that_depends_on_more_than_the_commit_is_refused(
    built: Built, tmp_path: Path
) -> None:
    """Builds of two times are different, in any case; a wheel with another file names the file."""
    later = packages.build_packages(
        built.source, tmp_path / "later", {"SOURCE_DATE_EPOCH": "1800000000"}
    )
    wheel, sdist = (
        next(name for name in later if name.endswith(end))
        for end in (".whl", ".tar.gz")
    )
    with pytest.raises(ReleaseError, match="differs in the form of the archive"):
        packages.require_same(
            {wheel: built.wheel}, {wheel: later[wheel]}, "built twice"
        )
    with pytest.raises(ReleaseError, match=r"\.tar\.gz differs"):
        packages.require_same(
            {sdist: built.sdist}, {sdist: later[sdist]}, "built twice"
        )
    candidate = edited(built.wheel, replace("reconciler/version.py", b'"0', b'"9'))
    with pytest.raises(ReleaseError, match=r"differs in reconciler/version\.py"):
        packages.require_same({wheel: built.wheel}, {wheel: candidate}, "built twice")
    with pytest.raises(ReleaseError, match="built twice"):
        packages.require_same({wheel: built.wheel}, {}, "built twice")


@pytest.mark.parametrize(
    "name",
    ["cxroute-{}-py2.py3-none-any.whl", "CXroute-{}.tar.gz", "cxroute-9.9.9.tar.gz"],
)
def test_other_names_of_packages_are_refused(name: str) -> None:
    """Attestations bind to names: exactly the two normalized ones of the version."""
    names = {"cxroute-1.2.3-py3-none-any.whl", "cxroute-1.2.3.tar.gz"}
    packages.check_names(names, "1.2.3")
    with pytest.raises(ReleaseError, match="instead of"):
        packages.check_names({*names, name.format("1.2.3")}, "1.2.3")


@pytest.fixture(scope="module")
def bill(built: Built, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("sbom") / "sbom.json"
    sbom.write_sbom(built.source, built.version, file, EPOCH)
    return file.read_text(encoding="utf-8")


def drop_digest(document: dict[str, Any]) -> None:
    next(item for item in document["components"] if item["name"] == "pyyaml")[
        "externalReferences"
    ][0]["hashes"].pop()


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (
            lambda document: document["components"].pop(3),
            "lacks .* or some of its digests",
        ),
        (drop_digest, "lacks pyyaml"),
        (
            lambda document: document["components"][0].update(version="0.0.1"),
            "lacks aiohappyeyeballs",
        ),
        (
            lambda document: document["components"].append(
                {"type": "library", "name": "left-pad", "version": "1"}
            ),
            "not pinned: .*left-pad",
        ),
        (
            lambda document: document["components"][0].update(type="nonsense"),
            "not CycloneDX 1.6",
        ),
    ],
)
def test_a_list_of_other_packages_is_refused(
    built: Built, bill: str, edit: Callable[[dict[str, Any]], object], reason: str
) -> None:
    """A pinned package or digest that is missing, another version, a package too much, an invalid
    document.
    """
    requirements = sbom.requirements_of_users(built.source)
    assert sbom.check_sbom(bill, requirements) == len(requirements.splitlines())
    assert {"aiohttp", "uvicorn", "openpyxl"} <= {
        line.partition("==")[0] for line in requirements.splitlines()
    }
    assert "pytest==" not in requirements
    document = json.loads(bill)
    assert built.version == document["metadata"]["component"]["version"]
    edit(document)
    with pytest.raises(ReleaseError, match=reason):
        sbom.check_sbom(json.dumps(document), requirements)


def test_a_requirement_without_a_hash_is_refused(bill: str) -> None:
    """A list of packages could not say what was installed."""
    with pytest.raises(ReleaseError, match="not pinned by version and hash: aiohttp"):
        sbom.check_sbom(bill, "aiohttp==3.14.5\n")


def test_an_extra_without_pinned_packages_is_refused(built: Built) -> None:
    """The list could not have them; each extra needs a requirement file that `make lock` writes."""
    requirements = sbom.requirements_of_users(built.source)
    sbom.require_extras(built.source, requirements)
    remaining_items = "".join(
        line
        for line in requirements.splitlines(keepends=True)
        if not line.startswith("openpyxl==")
    )
    with pytest.raises(ReleaseError, match="pins openpyxl, which sheets requires"):
        sbom.require_extras(built.source, remaining_items)


def test_the_notes_are_the_section_with_links_to_the_tag() -> None:
    """Full links, because a release shows no file beside its notes; the documents are those of the
    version.
    """
    heading, section = notes.find_section(CHANGELOG, "1.2.3")
    assert ("## [1.2.3] - 2026-01-31", "- [new](docs/a.md)") == (heading, section)
    text = notes.release_notes(section, "https://git.example/a/b", "1.2.3")
    assert "- [new](https://git.example/a/b/blob/v1.2.3/docs/a.md)\n" in text
    assert "https://git.example/a/b/tree/v1.2.3/docs" in text
    assert "next" not in text
    with pytest.raises(ReleaseError, match="GitHub takes 125,000"):
        notes.release_notes("x" * 125_000, "https://git.example/a/b", "1.2.3")


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("1.2.2", "is empty"),
        ("1.2", "has no section"),
        ("2.0.0", "has no date"),
        ("3.0.0", "has no date"),
    ],
)
def test_a_version_without_its_section_is_refused(version: str, reason: str) -> None:
    """A heading without text, none, and one without a date."""
    changelog = f"{CHANGELOG}\n## [2.0.0]\n\n- a\n\n## [3.0.0] - soon\n\n- b\n"
    with pytest.raises(ReleaseError, match=reason):
        notes.find_section(
            changelog.replace("## [1.2.2]\n\n", "## [1.2.2] - 2026-01-01\n\n"), version
        )


def test_a_tag_of_another_version_or_a_placeholder_is_refused(
    built: Built, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is built; the command prints one sentence and exits with 1."""
    for tag, reason in (
        ("v9.9.9", "must be v"),
        (f"v{built.version}", "placeholder https://git.example"),
    ):
        with pytest.raises(ReleaseError, match=reason):
            check.check_release(
                built.repository, tmp_path / tag, tmp_path / "dist", tag
            )
    assert not (tmp_path / "dist").exists()
    assert 1 == check.main(["--tag", "v9.9.9"])
    assert (
        "release-check: the tag is v9.9.9, and reconciler/version.py has"
        in capsys.readouterr().err
    )


def test_relative_links_of_a_description_lead_to_its_tag() -> None:
    """Pages as pages, pictures as files; full addresses and places in the same text stay."""
    text = (
        "[a](docs/a.md#b) ![c d](.github/c.png) [e](#e) [f](https://f.example/g) "
        "[h](mailto:i@j.example)"
    )
    assert (
        "[a](https://git.example/r/blob/v1.2.3/docs/a.md#b) ![c d](https://git.example/r/raw/v1.2.3/.github/c.png)"
        " [e](#e) [f](https://f.example/g) [h](mailto:i@j.example)"
    ) == with_full_links(text, "https://git.example/r", "v1.2.3")
