"""The dry run of the release workflow finds what would publish the wrong files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.release.dry_run import WORKFLOW, DryRun, subjects
from tests.release.packages import ReleaseError
from tests.support.requirements import skip_or_fail

ROOT: Final = Path(__file__).resolve().parents[2]
PARTS: Final = (WORKFLOW, ".github/workflows/ci.yml", "Dockerfile")


def prepare(
    folder: Path, before: str = "", after: str = "", tag: str = "v1.20.3"
) -> DryRun:
    """Return a run of this project's workflow after an edit, with small files as its packages."""
    if shutil.which("bash") is None:
        skip_or_fail("bash is not on the path, and a release runs its steps with it")
    for name in PARTS:
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "source" / name).write_text(
            (ROOT / name).read_text(encoding="utf-8"), encoding="utf-8"
        )
    workflow = folder / "source" / WORKFLOW
    text = workflow.read_text(encoding="utf-8")
    assert before in text
    workflow.write_text(text.replace(before, after, 1), encoding="utf-8")
    checked = folder / "checked"
    checked.mkdir()
    for name in (
        "cxroute-1.20.3-py3-none-any.whl",
        "cxroute-1.20.3.tar.gz",
        "cxroute-1.20.3.cdx.json",
    ):
        (checked / name).write_text(name, encoding="utf-8")
    (checked / "SHA256SUMS").write_text(subjects(checked), encoding="utf-8")
    (checked / "notes.md").write_text("notes", encoding="utf-8")
    return DryRun(folder / "source", checked, folder / "run", tag)


def test_a_release_publishes_the_checked_files(tmp_path: Path) -> None:
    """The index gets two files, each with the digest that was checked; the release gets all, with
    its notes.
    """
    run = prepare(tmp_path)
    run.run()
    names = [line.split()[1] for line in run.published["package"].splitlines()]
    assert ["cxroute-1.20.3-py3-none-any.whl", "cxroute-1.20.3.tar.gz"] == names
    assert "ghcr.io/owner/cxroute:1.20.3" == run.published["image"]
    files = " ".join(
        f"./cxroute-1.20.3{end}"
        for end in ("-py3-none-any.whl", ".tar.gz", ".cdx.json")
    )
    create = "gh release create v1.20.3 --verify-tag --title cxroute 1.20.3 --notes-file ./notes.md"
    assert ["make release-check", f"{create} {files} ./SHA256SUMS"] == run.calls


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("attestations: true", "attestations: false", "without attestations"),
        (
            "            dist/*.tar.gz\n",
            "            dist/*\n",
            "other files than were checked",
        ),
        ("            dist/*.tar.gz\n", "", "other files than were checked"),
        ("dist/*.cdx.json", "dist/*.spdx.json", r"has no file dist/\*\.spdx\.json"),
        ("provenance: mode=max", "provenance: false", "without provenance or SBOM"),
        ("sbom: true", "sbom: false", "without provenance or SBOM"),
        (
            "${GITHUB_REPOSITORY,,}",
            "$GITHUB_REPOSITORY",
            "not a valid name of an image",
        ),
        ('${TAG#v}" >>', 'latest" >>', "not a valid name of an image"),
        ("context: .\n", "context: deploy\n", "no Dockerfile"),
        ("steps.image.outputs.name", "steps.image.outputs.tag", "no earlier step sets"),
        ("needs: image", "needs: images", r"the jobs \['release'\] never run"),
        (
            "          name: release\n          path: |",
            "          name: notes\n          path: |",
            "no earlier job stores",
        ),
        (
            "./*.cdx.json ./SHA256SUMS",
            "./*.spdx.json ./SHA256SUMS",
            "Create the release failed",
        ),
        ("run: make release-check", "run: make release", "Build and check failed"),
        ("sha256sum --check", "sha256sum --chekc", "Create the release failed"),
        (
            "docker/login-action@",
            "docker/other-action@",
            "does not know the action docker/other-action",
        ),
    ],
)
def test_a_workflow_that_would_publish_wrongly_is_refused(
    tmp_path: Path, before: str, after: str, reason: str
) -> None:
    """One edit of the workflow each."""
    with pytest.raises(ReleaseError, match=reason):
        prepare(tmp_path, before, after).run()


def test_files_that_changed_on_their_way_are_not_published(tmp_path: Path) -> None:
    """The publish step compares with the checked digests."""
    run = prepare(tmp_path)
    (run.checked / "cxroute-1.20.3.tar.gz").write_text("other", encoding="utf-8")
    with pytest.raises(ReleaseError, match="other files than were checked"):
        run.run()


@pytest.mark.parametrize("tag", ["1.2.3", "v1.2", "v1.2.3-rc1", "nightly"])
def test_other_tags_start_no_release(tmp_path: Path, tag: str) -> None:
    """The trigger has versions alone."""
    with pytest.raises(ReleaseError, match="does not run for the tag"):
        prepare(tmp_path, tag=tag).run()


def test_a_workflow_of_tests_that_cannot_be_called_is_refused(tmp_path: Path) -> None:
    """GitHub would refuse the release workflow when the tag is pushed."""
    run = prepare(tmp_path)
    ci = run.source / ".github/workflows/ci.yml"
    ci.write_text(
        ci.read_text(encoding="utf-8").replace(
            "  workflow_call:", "  workflow_dispatch:"
        ),
        encoding="utf-8",
    )
    with pytest.raises(ReleaseError, match="cannot be called"):
        run.run()
