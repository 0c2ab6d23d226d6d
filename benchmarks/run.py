"""`make bench`: each figure as a ratio against its floor or peer, in one run, medians of
interleaved runs.

CPU is user plus system time of the whole process, as the operating system accounts it; memory is
its peak. octoDNS is installed from PyPI into an environment of its own below benchmarks/.work, and
the packages of `house` into folders there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import changes
import dates
import decide
import endpoint
import pace
import sandbox
import tenants
from adversarial import LISTS

HERE = Path(__file__).resolve().parent
WORK = HERE / ".work"
SECONDS_OF_1000 = 2.0
"""The CPU seconds that the lint may take for 1,000 rules, on whatever list."""
ROOT = HERE.parent
CXROUTE = [sys.executable, "-m", "reconciler"]
CREDENTIALS = {"CXONE_CLIENT_ID": "bench", "CXONE_CLIENT_SECRET": "bench"}


@dataclass(frozen=True)
class Cost:
    """What one process cost: CPU in seconds, peak memory in MiB."""

    cpu: float
    memory: float


def cost(command: list[str], expected: tuple[int, ...] = (0,)) -> Cost:
    """Run a command to its end and return what it cost."""
    environment = {**os.environ, **CREDENTIALS, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=WORK,
    ) as run:
        assert run.stderr is not None
        text = run.stderr.read().decode(errors="replace")
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
    assert run.returncode in expected, (
        f"{command} ended with {run.returncode}:\n{text[-2000:]}"
    )
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def interleaved(runs: int, commands: dict[str, Callable[[], Cost]]) -> dict[str, Cost]:
    """Run the commands in turn, once unmeasured and then `runs` times; return the median of
    each.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            measured = command()
            if turn:
                costs[name].append(measured)
    return {
        name: Cost(
            statistics.median(item.cpu for item in actual),
            statistics.median(item.memory for item in actual),
        )
        for name, actual in costs.items()
    }


def workload(what: str, *values: object) -> None:
    """Make a workload in a process of its own: a child's peak memory counts what its parent had
    when it was born.
    """
    command = [sys.executable, str(HERE / "workload.py"), what, *map(str, values)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


@contextmanager
def simulated(count: int) -> Iterator[Path]:
    """Serve a tenant of `count` rules over a socket; yields the manifests' directory."""
    documents = WORK / f"manifests-{count}"
    state = WORK / f"state-{count}.json"
    workload("manifests", documents, count, "http://127.0.0.1:1")
    workload("state", state, documents)
    for log in WORK.glob(f"{state.name}.*"):
        log.unlink()
    command = [*CXROUTE, "simulate", "--port", "0", "--state", str(state)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        cwd=WORK,
    ) as server:
        try:
            assert server.stdout is not None
            url = next(
                actual.group()
                for line in server.stdout
                if (actual := re.search(r"http://[\d.]+:\d+", line))
            )
            workload("manifests", documents, count, url)
            yield documents
        finally:
            server.terminate()
            server.wait(30)


def plan_of(documents: Path) -> Callable[[], Cost]:
    return lambda: cost(
        [*CXROUTE, "-m", str(documents), "-e", "bench", "plan", "--detailed-exitcode"],
        (2,),
    )


def octodns_sync() -> Path:
    """Install octoDNS once, into an environment of its own."""
    home = WORK / "octodns"
    if not (home / "bin" / "octodns-sync").exists():
        venv.create(home, with_pip=True, clear=True)
        subprocess.run(
            [home / "bin" / "python", "-m", "pip", "install", "--quiet", "octodns"],
            check=True,
        )
    return home / "bin" / "octodns-sync"


def bench_plan(runs: int) -> None:
    """Plan 10,000 rules, beside octoDNS planning 10,000 records."""
    sync = octodns_sync()
    for kind in ("a", "srv"):
        workload("octodns", WORK / f"octodns-{kind}", 10_000, kind)
    peers = {
        kind: ["--config-file", str(WORK / f"octodns-{kind}" / "config.yaml")]
        for kind in ("a", "srv")
    }
    with simulated(10_000) as documents:
        actual = interleaved(
            runs,
            {
                "cxroute": plan_of(documents),
                "a": lambda: cost([str(sync), *peers["a"]]),
                "srv": lambda: cost([str(sync), *peers["srv"]]),
            },
        )
    own_side = actual["cxroute"]
    a = actual["a"]
    srv = actual["srv"]
    print("plan of 10,000 rules, 1 % changed                CPU s   MiB")
    for name, item in (
        ("cxroute plan", own_side),
        ("octoDNS, A records", a),
        ("octoDNS, SRV records", srv),
    ):
        print(f"  {name:<44} {item.cpu:6.2f} {item.memory:6.0f}")
    print(
        f"  CPU against A records {own_side.cpu / a.cpu:.3f} (at most 0.40), SRV "
        f"{own_side.cpu / srv.cpu:.3f}"
    )
    print(f"  memory against A records {own_side.memory / a.memory:.2f} (at most 1.5)")


def bench_growth(runs: int, sizes: tuple[int, ...]) -> None:
    """From 1,000 to 10,000 to 100,000 rules."""
    print("growth of plan                                   CPU s   MiB  x")
    before: Cost | None = None
    for size in sizes:
        with simulated(size) as documents:
            actual = interleaved(
                runs if size <= 10_000 else 1, {"cxroute": plan_of(documents)}
            )["cxroute"]
        step = f"{actual.cpu / before.cpu:5.1f} (at most 11)" if before else ""
        print(
            f"  {size:>9,} rules {'':<28} {actual.cpu:6.2f} {actual.memory:6.0f} {step}"
        )
        before = actual


def bench_start(runs: int) -> None:
    """--version and --help, beside a bare interpreter; validate on this repository's manifests."""
    actual = interleaved(
        runs * 4,
        {
            "python -c pass": lambda: cost([sys.executable, "-c", "pass"]),
            "cxroute --version": lambda: cost([*CXROUTE, "--version"]),
            "cxroute --help": lambda: cost([*CXROUTE, "--help"]),
            "cxroute validate": lambda: cost(
                [*CXROUTE, "-m", str(ROOT / "manifests"), "validate"]
            ),
        },
    )
    print("start-up                                         CPU s   MiB  x")
    for name, item in actual.items():
        print(
            f"  {name:<44} {item.cpu:6.3f} {item.memory:6.0f} "
            f"{item.cpu / actual['python -c pass'].cpu:5.1f}"
        )
    print("  --version and --help at most 3.0 x; validate at most 0.5 s")


def bench_transport(runs: int) -> None:
    """Carry answers of the size of a page of rules: httpx's own transport, and aiohttp."""
    counts = (100, 1_000)
    with simulated(1_000) as documents:
        (base,) = re.findall(
            r"http://[\d.]+:\d+", (documents / "environment.yaml").read_text()
        )
        # Without a token the answer is a short 401: what is measured is the carrying, not the
        # reading of JSON.
        url = f"{base}/api/v2/routing/rules"
        costs = interleaved(
            runs,
            {
                f"{way} {count}": lambda way=way, count=count: cost(  # type: ignore[misc]
                    [sys.executable, str(HERE / "transport.py"), way, url, str(count)]
                )
                for count in counts
                for way in ("httpx", "aiohttp")
            },
        )
    print("calls, 16 at a time, imports and all              CPU s   x")
    for count in counts:
        floor = costs[f"aiohttp {count}"].cpu
        for way in ("httpx", "aiohttp"):
            item = costs[f"{way} {count}"]
            print(
                f"  {count:>5,} calls, {way:<32} {item.cpu:6.2f} {item.cpu / floor:5.1f}"
            )


ANALYSIS: tuple[tuple[str, tuple[str, ...], dict[int, float]], ...] = (
    ("lint", ("lint",), {1_000: 0.045, 10_000: 2.1}),
    (
        "10 edits: difference and order",
        ("difference-10", "order-10"),
        {1_000: 0.040, 10_000: 1.0},
    ),
    (
        "100 edits: difference and order",
        ("difference-100", "order-100"),
        {1_000: 0.137, 10_000: 2.1},
    ),
    ("every rule retargeted: difference", ("retargeted",), {1_000: 0.190, 10_000: 4.5}),
    (
        "renumbered: proof that nothing moves",
        ("renumbered",),
        {1_000: 0.032, 10_000: 0.5},
    ),
    ("explain, one conversation", ("explain",), {10_000: 0.0002}),
    ("adequacy of 1,000 route tests: at most 10 s", ("adequacy",), {}),
    ("overlapping boxes: lint", ("boxes-lint",), {1_000: 6.0}),
    ("overlapping boxes: one change", ("boxes-difference",), {1_000: 0.2}),
    ("boxes and patterns: lint", ("patterns-lint",), {}),
    ("boxes and patterns: one change", ("patterns-difference",), {}),
)
"""What is asked, of which questions of analysis.py, and the prototype's CPU seconds by number of
rules."""


def answer(what: str, size: int, runs: int) -> Cost:
    """Ask the analysis one question, in processes of their own; return the median."""
    command = [sys.executable, str(HERE / "analysis.py"), what, str(size)]
    path = os.environ | {"PYTHONPATH": str(ROOT)}
    actual = [
        json.loads(subprocess.check_output(command, env=path)) for _ in range(runs)
    ]
    print(
        f"  undecided: {actual[0]['undecided']:,}\n" if actual[0]["undecided"] else "",
        end="",
    )
    seconds, memory = (
        statistics.median(item[name] for item in actual) for name in ("seconds", "mib")
    )
    # explain: so many conversations
    return Cost(seconds / (1_000 if what == "explain" else 1), memory)


def bench_analysis(runs: int, sizes: tuple[int, ...]) -> None:
    """Ask what rules do, of the mix that is harder than most tenants, and of lists meant to be
    hard.
    """
    print(
        "analysis of rules                             rules      CPU s  (prototype)    MiB  (19 "
        "and 76)"
    )
    for size, (name, whats, prototype) in product(sizes, ANALYSIS):
        # hard enough as they are
        if size > 1_000 and whats[0].startswith(("adequacy", "boxes", "patterns")):
            continue
        costs = [
            answer(subject, size, runs if size <= 10_000 else 1) for subject in whats
        ]
        output = f"({prototype[size]})" if size in prototype else ""
        actual = (
            f"{sum(cost.cpu for cost in costs):10.4f}  {output:<12} "
            f"{max(cost.memory for cost in costs):5.0f}"
        )
        print(f"  {name:<38} {size:>10,} {actual}", flush=True)


PROMISES: dict[int, float] = {1_000: 0.3, 10_000: 2.0}
"""The CPU seconds that 100 promises may take, by number of rules."""


def bench_promises(runs: int) -> None:
    """Check 100 promises for all conversations.

    Raises AssertionError where that takes more than its limit.
    """
    print(
        "100 promises                                  rules      CPU s  (at most)   MiB"
    )
    slow = []
    for size, limit in PROMISES.items():
        actual = answer("promises", size, runs)
        print(
            f"  {'mix, behind an endpoint':<38} {size:>10,} {actual.cpu:10.2f}  ({limit:.1f}) "
            f"{actual.memory:10.0f}",
            flush=True,
        )
        slow += [f"{size:,} rules"] if actual.cpu > limit else []
    assert not slow, f"100 promises took too long: {'; '.join(slow)}"


def bench_adversarial(sizes: tuple[int, ...]) -> None:
    """Lint lists that are made to be hard.

    Raises AssertionError where one takes more than 2 s for 1,000 rules.
    """
    print(
        "adversarial lists: lint                       rules      CPU s    MiB  not checked"
    )
    slow = []
    for size, kind in product(sizes, LISTS):
        command = [
            sys.executable,
            str(HERE / "analysis.py"),
            f"adversarial-{kind}",
            str(size),
        ]
        actual = json.loads(
            subprocess.check_output(command, env=os.environ | {"PYTHONPATH": str(ROOT)})
        )
        print(
            f"  {kind:<38} {size:>10,} {actual['seconds']:10.2f} {actual['mib']:6.0f} "
            f"{actual['undecided']:12,}",
            flush=True,
        )
        if actual["seconds"] > SECONDS_OF_1000 * size / 1_000:
            slow.append(f"{kind}, {size:,} rules")
    assert not slow, f"more than {SECONDS_OF_1000} s for 1,000 rules: {'; '.join(slow)}"


def bench_studio(runs: int) -> None:
    """Build and read a block of 10,000 rules.

    Raises AssertionError where that takes more than 1.5 s.
    """
    command = [sys.executable, str(HERE / "studio.py"), "10000"]
    path = os.environ | {"PYTHONPATH": str(ROOT)}
    costs = [
        json.loads(subprocess.check_output(command, env=path)) for _ in range(runs)
    ]
    build, read, size = (
        statistics.median(cost[name] for cost in costs)
        for name in ("build", "read", "mib")
    )
    print("block of a Studio script, 10,000 rules           CPU s  (at most 1.5)")
    print(
        f"  build {build:.2f} and read {read:.2f}, {size:.1f} MiB {'':<17} {build + read:6.2f}"
    )
    assert build + read <= 1.5, "building and reading a block took more than 1.5 s"


def bench_editor() -> None:
    """Edit a file of 1,000 rules in an editor.

    Raises AssertionError where the median answer takes more than 100 ms, or the start more than 0.7
    s.
    """
    command = [sys.executable, str(HERE / "editor.py"), "1000"]
    actual = json.loads(
        subprocess.check_output(command, env=os.environ | {"PYTHONPATH": str(ROOT)})
    )
    print("edit of 1,000 rules until the diagnostics, over stdio   ms  (at most 100)")
    print(
        f"  median (slowest of 20: {actual['slowest']:.0f} ms) {'':<17} {actual['median']:8.0f}"
    )
    print("start of the language server until its answer         CPU ms  (at most 700)")
    print(f"  with its end {'':<37} {actual['start']:8.0f}")
    assert actual["median"] <= 100, "an answer to an edit took more than 100 ms"
    assert actual["start"] <= 700, (
        "the start of the language server took more than 0.7 s"
    )


READ = "import csv, sys\nfor row in csv.reader(open(sys.argv[1], newline='')): pass"


def bench_replay(runs: int) -> None:
    """Replay 1,000,000 conversations through two lists of 1,000 rules, beside the module csv
    reading the same file.

    Raises AssertionError where that takes more than 10 s or 150 MiB.
    """
    workload("replay", WORK, 1_000_000)
    calls, remaining, right = (
        str(WORK / name) for name in ("calls.csv", "left.json", "right.json")
    )
    actual = interleaved(
        runs,
        {
            "csv.reader alone": lambda: cost([sys.executable, "-c", READ, calls]),
            "cxroute replay": lambda: cost(
                [*CXROUTE, "replay", calls, remaining, right]
            ),
        },
    )
    print(
        "replay of 1,000,000 rows, 1,000 rules            CPU s   MiB  (at most 10 s, 150 MiB)"
    )
    for name, item in actual.items():
        print(f"  {name:<44} {item.cpu:6.2f} {item.memory:6.0f}")
    own_side = actual["cxroute replay"]
    assert own_side.cpu <= 10, "replaying 1,000,000 rows took more than 10 s"
    assert own_side.memory <= 150, "replaying 1,000,000 rows took more than 150 MiB"


def bench_words(seed: int, show: int) -> None:
    """Count what people read about random edits.

    Raises AssertionError where that is more than a goal.
    """
    command = [
        sys.executable,
        str(HERE / "words.py"),
        "--seed",
        str(seed),
        "--show",
        str(show),
    ]
    ended = subprocess.run(
        command, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert ended.returncode == 0, (
        "people read more words about a change than the goals allow"
    )


def bench_house() -> None:
    """Measure how dense the code is, beside the code of other packages."""
    command = [sys.executable, str(HERE / "house.py"), str(WORK / "house")]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "what",
        nargs="*",
        help="start plan growth transport analysis promises adversarial studio editor replay pace tenants endpoint"
        " decide changes dates sandbox"
        " words house; else all",
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument(
        "--large", action="store_true", help="growth and analysis up to 100,000 rules"
    )
    parser.add_argument("--seed", type=int, default=1, help="words: other edits")
    parser.add_argument(
        "--show",
        type=int,
        default=0,
        metavar="N",
        help="words: print the N longest outputs of a kind",
    )
    options = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    sizes = (1_000, 10_000, 100_000) if options.large else (1_000, 10_000)
    benches: dict[str, Callable[[], None]] = {
        "start": lambda: bench_start(options.runs),
        "plan": lambda: bench_plan(options.runs),
        "growth": lambda: bench_growth(options.runs, sizes),
        "transport": lambda: bench_transport(options.runs),
        "analysis": lambda: bench_analysis(options.runs, sizes),
        "promises": lambda: bench_promises(options.runs),
        "adversarial": lambda: bench_adversarial((1_000, 5_000)),
        "studio": lambda: bench_studio(options.runs),
        "editor": bench_editor,
        "replay": lambda: bench_replay(options.runs),
        "pace": lambda: pace.bench(options.runs, WORK),
        "tenants": lambda: tenants.bench(options.runs, WORK, cost, interleaved),
        "endpoint": lambda: endpoint.bench(options.runs, 5, WORK),
        "decide": lambda: decide.bench(10, WORK),
        "changes": lambda: changes.bench(WORK, lambda words: cost(words, (0, 2)).cpu),
        "dates": lambda: dates.bench(options.runs, WORK, cost, interleaved),
        "sandbox": lambda: sandbox.bench(options.runs, WORK, cost, interleaved),
        "words": lambda: bench_words(options.seed, options.show),
        "house": bench_house,
    }
    for name in options.what or benches:
        benches[name]()
        print(flush=True)
    shutil.rmtree(WORK / "tmp", ignore_errors=True)


if __name__ == "__main__":
    main()
