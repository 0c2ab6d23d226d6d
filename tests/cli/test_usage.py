"""Invalid command lines: exit code 64, one sentence with the reason, and no effect."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.support.program import Program


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "apply --allow nothing --reason x",
            "--allow nothing: unknown guard. The guards are ",
        ),
        (
            "apply --allow freeze",
            "--allow requires --reason TEXT, which the journal records",
        ),
        (
            "apply plan.json --only cards",
            "a saved plan contains its options: remove --only",
        ),
        ("apply missing.json", "cannot read missing.json: No such file"),
        (
            "plan --undo run --adopt",
            "--undo selects its changes itself: remove --adopt and --keep-drift",
        ),
        (
            "plan --undo run -e a,b",
            "--undo is for a run in one environment: set -e to its name",
        ),
        (
            "plan --journal file",
            "--journal is the journal with the run of --undo, but --undo is not set",
        ),
        (
            "plan -e a,b --journal file",
            "--journal is the journal with the run of --undo, but --undo is not set",
        ),
        (
            "apply -e a,b --yes --journal file",
            "--journal is the journal with the run of --undo, but --undo is not set",
        ),
        ("plan -e a,,b", "-e a,,b: empty environment name"),
        (
            "plan --all --live live.json",
            "--live is for one tenant: set -e to the name of one environment",
        ),
        (
            "plan -e a,b --replay -",
            "--replay - reads stdin for one environment: set -e to its name, or name a file",
        ),
        ("plan --live missing.json", "cannot read missing.json: No such file"),
        ("plan --all --shard half", "--shard 'half': must be INDEX/COUNT, such as 0/4"),
        ("plan --all --shard /2", "has no index. Specify INDEX/COUNT, such as 0/2"),
        ("plan --all --shard 2/2", "indexes count from 0, so the last of 2 is 1"),
        ("cognigy --url ftp://host", "--url must begin with https:// or http://"),
        ("cognigy --url https://host --none ' '", "--none must have 1 to "),
        (
            "cognigy --url https://host --conversation ' '",
            "--conversation must be an expression on one line",
        ),
        ("explain --attr lonely", "--attr 'lonely': must be NAME=VALUE"),
        ("explain --attr =x", "--attr '=x': must be NAME=VALUE"),
        ("explain --attr a=1 --attr a=2", "--attr 'a=2': 'a' is given twice"),
        ("explain --attr 'a=\"x'", "begins with a quote but is not a JSON string"),
        (
            "explain --attr a=1e999",
            "the number '1e999' is too large; in JSON quotes it is text",
        ),
        ("explain --confidence 2", "--confidence '2': must be a number from 0 to 1"),
        (
            "explain --confidence none",
            "--confidence 'none': must be a number from 0 to 1",
        ),
        ("export --all cards", "--all or the names of rules, not both"),
        (
            "export --all --write --into new.yaml",
            "--into writes new ones: specify one of them",
        ),
        (
            "export --all --write --live live.json",
            "and --live reads a file: specify one of them",
        ),
        (
            "export --all --into rules.txt",
            "--into rules.txt: the name of a file must end in .yaml",
        ),
        (
            "export --all --into manifests/routing.yaml",
            "manifests/routing.yaml exists already; nothing was written",
        ),
        ("simulate --port 70000", "--port 70000: must be a port from 0 to 65535"),
        (
            "simulate --latency-ms -1",
            "--latency-ms must be at least 0, and --rate must be greater than 0",
        ),
        (
            "simulate --rate 0",
            "--latency-ms must be at least 0, and --rate must be greater than 0",
        ),
        ("simulate --host 0.0.0.0", "must be a loopback address, such as 127.0.0.1"),
        ("simulate --host name", "must be a loopback address, such as 127.0.0.1"),
        ("simulate --faults nonsense", "--faults: "),
        ("serve --port many", "invalid port 'many' (0-65535)"),
        ("serve --port 70000", "invalid port '70000' (0-65535)"),
        (
            "serve --host 0.0.0.0",
            "without keys in $CXROUTE_API_KEYS, `serve` listens on loopback only",
        ),
        (
            "serve --host name",
            "without keys in $CXROUTE_API_KEYS, `serve` listens on loopback only",
        ),
        ("watch --every 1s", "--every 1s"),
        ("watch --every often", "--every often"),
        ("watch --listen nowhere", "--listen nowhere"),
        ("watch --listen 127.0.0.1:70000", "--listen 127.0.0.1:70000"),
        (
            "history run",
            (
                'has no run "run". Runs of another machine are in its journal: copy that file, and '
                "set --journal FILE; `journal:` in the Environment lets all machines share one."
            ),
        ),
        ("nothing", "unknown command 'nothing'; `cxroute --help` lists all"),
        ("--loud plan", "unrecognized arguments: --loud"),
        ("--versions", 'missing command; did you mean "--version"?'),
    ],
)
def test_an_invalid_command_line_is_refused_in_a_sentence(
    cxroute: Program, line: str, said: str
) -> None:
    """The message names the option and a valid form. No file of the manifests changes."""
    assert 0 == cxroute("init")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert (64, "") == (cxroute(*shlex.split(line)), cxroute.out)
    assert said in " ".join(cxroute.err.split())
    assert before == {
        path: path.read_bytes() for path in Path().rglob("*") if path.is_file()
    }
