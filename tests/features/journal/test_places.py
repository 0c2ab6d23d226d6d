"""Journals that operators share: a directory or an address, with one file for each run."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec  # type: ignore[import-untyped]
import pytest

from reconciler.features.journal.journal import Journal
from reconciler.features.journal.places import (
    JournalAddress,
    JournalFile,
    JournalFolder,
    parse_place,
    parse_shared_place,
)
from reconciler.features.practice.simulator.state import TenantState
from tests.support.cases import each_case
from tests.support.program import Program, write

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
RULES = (
    "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules:\n  - {{intent: lost, queue: "
    "{queue}}}\n"
)
SANDBOX = (
    "apiVersion: routing/v1\nkind: Environment\nname: sandbox\nowner: acme\n{journal}"
)
PASSWORD = "hunter2-of-the-bucket"


def use(journal: str) -> None:
    """Write an Environment with a journal."""
    write(
        "sandbox.yaml",
        SANDBOX.format(journal=f"journal: {json.dumps(journal)}\n" if journal else ""),
    )


def route(queue: str) -> None:
    write("rules.yaml", RULES.format(queue=queue))


def address() -> str:
    """Return an address of the store in this process's memory."""
    return f"memory://bucket-{uuid4().hex}/journal"


def entries_of(text: str | bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(params=["folder", "address", "file-address"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A directory, and addresses of two stores that fsspec has itself."""
    places = {
        "folder": str(tmp_path / "shared"),
        "address": address(),
        "file-address": f"file://{tmp_path}/objects",
    }
    return places[request.param]


def test_all_operators_see_all_runs(
    cxroute: Program, shared: str, tmp_path: Path
) -> None:
    """Two machines with one Environment; each lists, shows and undoes the run of the other."""
    runs = []
    for number, queue in enumerate(("Cards", "Fraud")):
        machine = tmp_path / f"machine{number}"
        machine.mkdir()
        with contextlib.chdir(machine):
            use(shared)
            route(queue)
            code, applied = cxroute.json("apply", "--yes")
            assert 0 == code, cxroute.err
            runs.append(applied["run"])
            assert not Path(".cxroute/journal.jsonl").exists()
    with contextlib.chdir(tmp_path / "machine0"):
        code, listed = cxroute.json("history")
        assert (0, runs) == (code, [item["run"] for item in listed["runs"]])
        assert 0 == cxroute("history", runs[1])
        assert f"Undo: cxroute plan -e sandbox --undo {runs[1]}" in cxroute.out
    with contextlib.chdir(tmp_path / "machine1"):
        assert 0 == cxroute("plan", "--undo", runs[1]), cxroute.err
        assert "1 to delete" in cxroute.out
        assert 64 == cxroute("plan", "--undo", "2026-11-25T120000-sandbox-0000")
        assert shared in cxroute.err


def test_each_run_has_its_own_file(shared: str) -> None:
    """Also two runs with one name, as of two machines in the same second."""
    place = parse_shared_place(shared)
    first = place.reserve("run")
    second = ""
    journals = []
    for number in range(2):
        name = first if number == 0 else (second := place.reserve("run"))
        journal = Journal(place.sink(name), name, lambda: NOW, pytest.fail)
        journal.write_entry("start", who=str(number))
        journals.append(journal)
    for number, journal in enumerate(journals):
        journal.write_entry("end", who=str(number))
        journal.close()
    assert ("run", "run-2") == (first, second)
    recorded = place.read()
    assert ["run", "run-2"] == sorted(run.id for run in recorded)
    assert all(run.end and run.end["who"] == run.start["who"] for run in recorded)


def test_the_order_is_that_of_the_starts(tmp_path: Path) -> None:
    """Whatever the names of the files are."""
    place = JournalFolder(tmp_path)
    for name, hour in (("b", 1), ("a", 2), ("c", 0)):
        item = Journal(
            place.sink(name),
            name,
            lambda hour=hour: NOW.replace(hour=hour),  # type: ignore[misc]
            pytest.fail,
        )
        item.write_entry("start")
        item.close()
    (tmp_path / "notes.txt").write_text("not a run", encoding="utf-8")
    assert ["c", "b", "a"] == [run.id for run in place.read()]


def test_an_object_has_the_intended_writes_before_they_are_made() -> None:
    """At the start and at each sync, which comes before the writes of a wave."""
    where = address()
    place = parse_shared_place(where)
    item = Journal(place.sink("run"), "run", lambda: NOW, pytest.fail)
    files, path = fsspec.core.url_to_fs(where)

    def stored() -> list[str]:
        return [
            entry["event"] for entry in entries_of(files.cat_file(f"{path}/run.jsonl"))
        ]

    item.write_entry("start")
    assert ["start"] == stored()
    item.write_entry("intend", address="a/b")
    item.write_entry("intend", address="a/c")
    item.sync()
    assert ["start", "intend", "intend"] == stored()
    item.write_entry("tried", address="a/b")
    item.close()
    assert ["start", "intend", "intend", "tried"] == stored()


def test_the_intended_writes_of_a_wave_are_stored_before_it(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the wave, before the first of them is made; each once."""
    where = address()
    use(where)
    write(
        "rules.yaml", RULES.format(queue="Cards") + "  - {intent: pin, queue: Cards}\n"
    )
    assert 0 == cxroute("apply", "--yes")
    files, path = fsspec.core.url_to_fs(where)
    observed: list[list[str]] = []
    real = TenantState.put

    def update(state: TenantState, *arguments: Any, **options: Any) -> Any:
        newest = max(files.ls(path, detail=False))
        entries = entries_of(files.cat_file(newest))
        observed.append(
            sorted(entry["address"] for entry in entries if entry["event"] == "intend")
        )
        return real(state, *arguments, **options)

    monkeypatch.setattr(TenantState, "put", update)
    write(
        "rules.yaml", RULES.format(queue="Fraud") + "  - {intent: pin, queue: Fraud}\n"
    )
    assert 0 == cxroute("apply", "--yes")
    assert [["cards/lost", "cards/pin"]] * 2 == observed


@pytest.mark.parametrize("kind", ["folder", "address", "unknown", "missing"])
def test_a_shared_journal_that_cannot_be_written_stops_nothing(
    cxroute: Program, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One warning with the reason; the changes are applied."""
    Path("file").write_text("", encoding="utf-8")
    places = {
        "folder": "file/journal",
        "address": f"file://{Path.cwd()}/file/journal",
        "unknown": "nowhere-fs://b/p",
    }
    if kind == "missing":
        monkeypatch.setitem(sys.modules, "fsspec.core", None)
    use(places.get(kind, "s3://bucket/journal"))
    route("Cards")
    assert 0 == cxroute("apply", "--yes"), cxroute.err
    assert 1 == cxroute.err.count("cannot write the journal")
    assert "the run continues without it" in cxroute.err
    if kind == "missing":
        assert "the extra `journal`" in cxroute.err
    assert 0 == cxroute("plan", "--detailed-exitcode")


def test_the_variable_and_the_option_win(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the Environment's; the default for pipelines does not."""
    use("shared")
    route("Cards")
    monkeypatch.setenv("CXROUTE_JOURNAL_DEFAULT", "pipeline.jsonl")
    monkeypatch.setenv("CXROUTE_JOURNAL", "mine.jsonl")
    assert 0 == cxroute("apply", "--yes")
    assert (True, False, False) == tuple(
        Path(name).exists() for name in ("mine.jsonl", "shared", "pipeline.jsonl")
    )
    monkeypatch.delenv("CXROUTE_JOURNAL")
    route("Fraud")
    assert 0 == cxroute("apply", "--yes")
    assert (1, False) == (
        len(list(Path("shared").iterdir())),
        Path("pipeline.jsonl").exists(),
    )
    use("")
    route("General")
    assert 0 == cxroute("apply", "--yes")
    assert Path("pipeline.jsonl").exists()
    assert 1 == len(cxroute.json("history", "--journal", "mine.jsonl")[1]["runs"])


def test_a_plan_writes_no_journal(cxroute: Program) -> None:
    """A pull request may name any place, and its plan touches none."""
    use("shared")
    route("Cards")
    for command in ("plan", "validate", "test"):
        assert 0 == cxroute(command), cxroute.err
    assert not Path("shared").exists()


@pytest.mark.parametrize(
    "text",
    [
        f"s3://key:{PASSWORD}@bucket/p",
        f"s3://{PASSWORD}@bucket",
        f"s3://key:a/{PASSWORD}@b",
        f"memory://u:{PASSWORD}@b/p",
    ],
)
def test_an_address_with_a_password_is_refused_without_printing_it(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """In the Environment, in the variable and in the option."""
    use(text)
    route("Cards")
    assert 3 == cxroute("apply", "--yes")
    assert "contains a user name or a password" in cxroute.err
    assert "sandbox.yaml:5" in cxroute.err
    assert PASSWORD not in cxroute.err + cxroute.out
    use("")
    assert 64 == cxroute("history", "--journal", text)
    assert PASSWORD not in cxroute.err + cxroute.out
    monkeypatch.setenv("CXROUTE_JOURNAL", text)
    assert 64 == cxroute("history")
    assert PASSWORD not in cxroute.err + cxroute.out
    assert "contains a user name or a password" in cxroute.err


@each_case(
    "text",
    ["s3://", "s3://b/p?sig=1", "simplecache::s3://b/p", "~/journal", "", "a\\b"],
)
def test_a_place_that_is_none_is_refused(cxroute: Program, text: str) -> None:
    """With its line and what to write."""
    use(text) if text else write(
        "sandbox.yaml", SANDBOX.format(journal='journal: ""\n')
    )
    route("Cards")
    assert 3 == cxroute("validate")
    assert "sandbox.yaml:5" in cxroute.out + cxroute.err
    assert "s3://BUCKET/PREFIX" in cxroute.out + cxroute.err


def test_a_journal_is_a_file_a_directory_or_an_address(tmp_path: Path) -> None:
    """By the text of --journal; that of the Environment is never a file."""
    assert isinstance(parse_place("a.jsonl"), JournalFile)
    assert isinstance(parse_place("a/"), JournalFolder)
    assert isinstance(parse_place(str(tmp_path)), JournalFolder)
    assert isinstance(parse_place("s3://b/p"), JournalAddress)
    assert isinstance(parse_shared_place("a.jsonl"), JournalFolder)


def test_an_unreachable_store_is_an_error_of_history(cxroute: Program) -> None:
    """With the address and the reason; a place that does not exist has no runs."""
    assert 64 == cxroute("history", "--journal", "nowhere-fs://b/p")
    assert "cannot read the journal nowhere-fs://b/p" in cxroute.err
    assert () == tuple(parse_shared_place(address()).read())


def test_a_store_that_does_not_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An apply does not wait for it: one warning."""
    monkeypatch.setattr("reconciler.features.journal.object_store._SECONDS", 0.05)
    ended: list[bool] = []
    gate = os.pipe()

    def stuck(*_arguments: object, **_options: object) -> None:
        os.read(gate[0], 1)
        ended.append(True)

    monkeypatch.setattr("fsspec.core.url_to_fs", stuck)
    warnings: list[str] = []
    place = parse_shared_place("s3://bucket/journal")
    item = Journal(place.sink("run"), "run", lambda: NOW, warnings.append)
    item.write_entry("start")
    item.write_entry("end")
    item.close()
    os.write(gate[1], b"x")
    (warning,) = warnings
    assert "no answer within" in warning
    assert "s3://bucket/journal/run.jsonl" in warning


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (
            ".github/workflows/routing-apply.yml",
            ["gh run download", "routing-journal-ENV-1"],
        ),
        (
            ".gitlab-ci.yml",
            ["routing-journal-ENV", "cxroute-apply", "out/ENV/journal.jsonl"],
        ),
        (
            ".azure-pipelines/routing-apply.yml",
            ["routing-journal-ENV-1", "routing-apply"],
        ),
        ("bitbucket-pipelines.yml", ["routing-journal-ENV", "out/journal-ENV.jsonl"]),
        ("README.md", ["copy that file"]),
    ],
)
def test_another_machine_is_told_where_runs_are(
    cxroute: Program, file: str, words: list[str]
) -> None:
    """`history` and `--undo` name the file, and the artifact of the forge."""
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x", encoding="utf-8")
    route("Cards")
    assert 0 == cxroute("history")
    printed = " ".join(cxroute.out.split())
    for word in (".cxroute/journal.jsonl", "--journal FILE", *words):
        assert word in printed
    for command in (
        ("history", "a-run"),
        ("plan", "--undo", "a-run"),
        ("apply", "--undo", "a-run", "--yes"),
    ):
        assert 64 == cxroute(*command)
        message = " ".join(cxroute.err.split())
        for word in (".cxroute/journal.jsonl", "--journal FILE", *words):
            assert word in message


def test_history_reads_the_journals_of_all_environments(cxroute: Program) -> None:
    """With -e that of one; invalid manifests do not hide the journal of this machine."""
    use("one")
    write(
        "prod.yaml",
        SANDBOX.replace("sandbox", "prod").format(
            journal="tenant: acme\njournal: two\n"
        ),
    )
    route("Cards")
    assert 0 == cxroute("apply", "--yes")
    Path("two").mkdir()
    Path("two/r.jsonl").write_text(
        '{"run": "r", "at": "2020", "event": "start"}\n', encoding="utf-8"
    )
    assert 2 == len(cxroute.json("history")[1]["runs"])
    assert 1 == len(cxroute.json("history", "-e", "sandbox")[1]["runs"])
    write("prod.yaml", "kind: Environment\n")
    Path(".cxroute/journal.jsonl").write_text(
        '{"run": "q", "at": "2020", "event": "start"}\n', encoding="utf-8"
    )
    assert ["q"] == [run["run"] for run in cxroute.json("history")[1]["runs"]]
