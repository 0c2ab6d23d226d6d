"""The directory of manifests: which files are read, and the handling of links, pipes and invalid
bytes.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.core.manifest.load import load_manifests
from tests.support.program import Program, write
from tests.support.written_manifests import CARDS, ENVIRONMENT, findings, lines


def test_paths_begin_with_the_directory_as_given(room: Path) -> None:
    """Files are sorted; hidden files and other extensions are skipped."""
    for name in (
        "b.yml",
        "a/z.yaml",
        "a.yaml",
        ".hidden/x.yaml",
        ".x.yaml",
        "x.json",
        "x.yaml.txt",
    ):
        (room / name).parent.mkdir(exist_ok=True)
        (room / name).write_text("[")
    names = ["a.yaml", "a/z.yaml", "b.yml"]
    printed = [
        [
            finding.source and finding.source.file
            for finding in findings(Path(source_values))
        ]
        for source_values in ("manifests", "./manifests")
    ]
    assert [[f"manifests/{name}" for name in names]] * 2 == printed
    os.chdir(room)
    assert names == [
        finding.source and finding.source.file for finding in findings(Path())
    ]


@pytest.mark.usefixtures("room")
def test_a_missing_or_empty_directory_is_an_error() -> None:
    """A missing directory, a file instead of one, and a directory without manifests."""
    Path("file").write_text("")
    assert [
        ["missing:1:1: error[CXR115]: the directory does not exist"],
        ["file:1:1: error[CXR115]: the directory does not exist"],
        ["manifests:1:1: error[CXR115]: no *.yaml or *.yml file in this directory"],
    ] == [lines(Path(name)) for name in ("missing", "file", "manifests")]


def test_links_that_leave_the_directory_are_refused(room: Path) -> None:
    """Links to files or directories outside are errors; links that are not manifests are
    ignored.
    """
    Path("outside").mkdir()
    Path("outside/secret.yaml").write_text(CARDS)
    Path("manifests-2").mkdir()
    (room / "a.yaml").symlink_to("../outside/secret.yaml")
    (room / "b.yaml").symlink_to("/etc/passwd")
    (room / "c").symlink_to("../outside")
    (room / "d").symlink_to("../manifests-2")
    (room / "up").symlink_to("..")
    (room / "readme.md").symlink_to("/etc/passwd")
    message = (
        "1:1: error[CXR003]: the symbolic link leads out of the manifests' directory"
    )
    assert [
        f"manifests/{name}:{message}" for name in ("a.yaml", "b.yaml", "c", "d", "up")
    ] == lines(room)


def test_links_inside_the_directory_are_followed_once(room: Path) -> None:
    """Loops end, a file with two names is read once, and a ConfigMap's hidden directory is read
    through its links.
    """
    (room / "..data").mkdir()
    (room / "..data" / "cards.yaml").write_text(CARDS)
    (room / "cards.yaml").symlink_to("..data/cards.yaml")
    (room / "again.yaml").symlink_to("cards.yaml")
    (room / "loop").symlink_to(".")
    (room / "deep").mkdir()
    (room / "deep" / "back").symlink_to("..")
    (room / "deep" / "fees.yaml").write_text(CARDS.replace("cards", "fees"))
    (room / "also").symlink_to("deep")
    assert {
        ("cards", "manifests/again.yaml"),
        ("fees", "manifests/deep/fees.yaml"),
    } == {
        (ruleset.document.name, ruleset.file)
        for ruleset in load_manifests(room).rulesets
    }


def test_only_regular_files_are_opened(room: Path) -> None:
    """Pipes, dangling and circular links are errors, and reading does not block."""
    os.mkfifo(room / "a.yaml")
    (room / "b.yaml").symlink_to("nowhere.yaml")
    (room / "c.yaml").symlink_to("c.yaml")
    (room / "d.yaml").mkdir()
    (room / "d.yaml" / "ok.yaml").write_text(CARDS)
    output = lines(room)
    assert [
        "manifests/a.yaml:1:1: error[CXR014]: this is not a regular file",
        "manifests/b.yaml:1:1: error[CXR014]: the file cannot be read: no such file or directory",
        (
            "manifests/c.yaml:1:1: error[CXR014]: the file cannot be read: too many levels of symbolic "
            "links"
        ),
    ] == output


def test_a_link_to_a_name_that_is_too_long_is_an_error(room: Path) -> None:
    """The system does not look up such a name at all. pytest cannot delete such links."""
    links = [room / "a.yaml", room / "b"]
    for link in links:
        link.symlink_to("n" * 300)
    try:
        assert [
            "manifests/a.yaml:1:1: error[CXR014]: the file cannot be read: file name too long"
        ] == lines(room)
    finally:
        for link in links:
            link.unlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_files_and_directories_are_errors(room: Path) -> None:
    """A file or directory without permission, and a link to a file in it, is an error and is not
    skipped silently.
    """
    (room / "a.yaml").write_text(CARDS)
    (room / "a.yaml").chmod(0)
    (room / "b").mkdir(mode=0)
    (room / "c.yaml").symlink_to("b/cards.yaml")
    assert ["CXR014", "CXR014", "CXR014"] == [
        finding.code for finding in findings(room)
    ]


def test_invalid_encodings_sizes_and_file_names(room: Path) -> None:
    """An error names the invalid byte or the size; file names are escaped."""
    (room / "a.yaml").write_bytes(CARDS.encode().replace(b"lost", b"l\xe4st"))
    (room / "b.yaml").write_bytes(CARDS.encode("utf-16"))
    (room / "c.yaml").write_bytes(b"#" * (5 * 1024 * 1024 + 1))
    Path(os.fsdecode(b"manifests/d\xff\n.yaml")).symlink_to("/")
    assert [
        "manifests/a.yaml:5:15: error[CXR001]: byte 0xe4 is not UTF-8",
        "manifests/b.yaml:1:1: error[CXR001]: the file is UTF-16, not UTF-8",
        "manifests/c.yaml:1:1: error[CXR002]: the file is larger than 5 MiB",
        (
            r"manifests/d\udcff\u000a.yaml:1:1: error[CXR003]: the symbolic link leads out of the "
            r"manifests' directory"
        ),
    ] == lines(room)


def test_a_file_with_capitals_in_its_extension_is_named(
    room: Path, cxroute: Program
) -> None:
    """It is not read, and says so; hidden files and folders are neither read nor counted."""
    del room
    write("a.yaml", ENVIRONMENT)
    write(".hidden.yaml", "a: [")
    Path("manifests/.git").mkdir()
    write(".git/b.yaml", "a: [")
    write("rules.YAML", CARDS)
    Path("manifests/deep").mkdir()
    write("deep/Queues.Yml", CARDS)
    Path("manifests/link.YML").symlink_to("a.yaml")
    assert 0 == cxroute("validate")
    assert (
        "manifests/rules.YAML:1:1: warning[CXR014]: the file is not read, because its name ends in "
        ".YAML;" in cxroute.out
    )
    assert "rename it to rules.yaml" in cxroute.out
    assert "rename it to deep/Queues.yml" in cxroute.out
    assert "rename it to link.yml" in cxroute.out
    assert "3 warnings in 1 file." in cxroute.out


def test_a_directory_with_nothing_but_capital_extensions_has_no_manifest(
    room: Path, cxroute: Program
) -> None:
    """The error and the reason."""
    del room
    write("rules.YAML", CARDS)
    assert 3 == cxroute("validate")
    assert "error[CXR115]: no *.yaml or *.yml file in this directory" in cxroute.out
    assert "rename it to rules.yaml" in cxroute.out
