"""`make mutants`: its operators, the excluded code, the sample, and the verdicts."""

from __future__ import annotations

import marshal
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

import pytest

from tests.mutation import run, trial
from tests.mutation.equal import Equal, known
from tests.mutation.modules import (
    CORE,
    GROUP_OF,
    GROUPS,
    MODULES,
    PROCESSES,
    SHARES,
)
from tests.mutation.mutants import Mutant, Source
from tests.mutation.operators import OPERATORS
from tests.support.cases import each_case

ROOT: Final = Path(__file__).parents[2]
_MADE = {
    "comparison": ("a < b", ["a <= b", "a >= b"]),
    "and, or": ("a and b", ["a or b"]),
    "not, minus": ("not a", ["a"]),
    "arithmetic": ("a + b", ["a - b"]),
    "constant": ("f(1, None)", ["f(2, None)", "f(0, None)", "f(1, 0)"]),
    "text": ("f('a')", ["f('XXa')"]),
    "arguments": ("f(a, b, key=c)", ["f(b, a, key=c)", "f(a, b)"]),
    "called function": ("sorted(a, key=f)", ["list(a)"]),
    "slice": ("a[1:2]", ["a[:2]", "a[1:]"]),
    "forced condition": ("a if b else c", ["a if False else c", "a if True else c"]),
}
"""The mutants of an expression by operator."""

_STATEMENTS = {
    "arithmetic": ("a += b", ["a -= b"]),
    "break, continue": ("for a in b:\n    break", ["continue"]),
    "deleted statement": ("a.b = c", ["pass"]),
    "returned value": ("def f() -> bool:\n    return a", ["return not a"]),
}


def _of(text: str, operator: str) -> list[Mutant]:
    return [
        mutant
        for mutant in Source(dedent(text), "x.py").mutants()
        if mutant.operator == operator
    ]


@each_case("operator, text, made", [(key, *value) for key, value in _MADE.items()])
def test_an_operator_changes_one_place_of_an_expression(
    operator: str, text: str, made: list[str]
) -> None:
    """Each mutant is the statement with one change, in the order of the text."""
    assert [f"x = {item}" for item in made] == [
        mutant.new for mutant in _of(f"x = {text}", operator)
    ]
    assert {f"x = {text}"} == {mutant.old for mutant in _of(f"x = {text}", operator)}


@each_case(
    "operator, text, made", [(key, *value) for key, value in _STATEMENTS.items()]
)
def test_an_operator_changes_one_statement(
    operator: str, text: str, made: list[str]
) -> None:
    """Each mutant replaces one statement."""
    assert made == [mutant.new for mutant in _of(text, operator)]


def test_every_operator_is_among_these() -> None:
    """Every operator has an example."""
    assert OPERATORS.keys() == _MADE.keys() | _STATEMENTS.keys()
    assert OPERATORS.keys() == _NOTICED.keys()


@each_case(
    "returns, new",
    [
        ("str", "''"),
        ("list[int]", "[]"),
        ("tuple[int, ...]", "()"),
        ("Mapping[str, int]", "{}"),
        ("Plan", "None"),
    ],
)
def test_a_returned_value_becomes_empty(returns: str, new: str) -> None:
    """The annotation determines the empty value; without a known annotation it is None."""
    assert [f"return {new}"] == [
        mutant.new
        for mutant in _of(f"def f() -> {returns}:\n    return a", "returned value")
    ]


_NOTICED: dict[str, tuple[str, Any]] = {
    "comparison": ("def f():\n    return [n for n in range(5) if n < 3]", [0, 1, 2]),
    "and, or": ("def f():\n    return True and False", False),
    "not, minus": ("def f():\n    return [not True, -3]", [False, -3]),
    "arithmetic": ("def f():\n    a = 7\n    a -= 2\n    return a // 2 + 3 * 3", 11),
    "constant": ("def f():\n    return [True, 3, 0, (None,)]", [True, 3, 0, (None,)]),
    "text": ("def f():\n    return ['a', f'b{1}c', b'd']", ["a", "b1c", b"d"]),
    "break, continue": (
        "def f():\n    for n in range(5):\n        if n == 2:\n            break\n    return n",
        2,
    ),
    "returned value": ("def f() -> int:\n    return 3", 3),
    "deleted statement": (
        "def f():\n    a = []\n    a.append(1)\n    a[0] = 2\n    return a",
        [2],
    ),
    "forced condition": (
        "def f():\n    return [1 if n else 2 for n in range(4) if n != 1]",
        [2, 1, 1],
    ),
    "arguments": ("def f():\n    return [pow(2, 3), int('11', base=2)]", [8, 3]),
    "called function": (
        "def f():\n    return [min(1, 2), any([0, 1]), sorted([2, 1]), 'ab'.startswith('a')]",
        [1, True, [1, 2], True],
    ),
    "slice": ("def f():\n    return 'abcdef'[1:5:2]", "bd"),
}
"""A function and its result: every mutant returns another result."""


@each_case("operator", list(OPERATORS))
def test_each_operator_can_be_caught(operator: str) -> None:
    """Each mutant of these functions returns another value than the original, or fails."""
    text, expected = _NOTICED[operator]
    source = Source(text, "x.py")
    mutants = [mutant for mutant in source.mutants() if mutant.operator == operator]
    assert mutants
    assert [repr(expected)] == list({_returned(compile(text, "x.py", "exec"))})
    for mutant in mutants:
        assert repr(expected) != _returned(source.compiled(mutant)), mutant.new
    assert repr(expected) == _returned(compile(text, "x.py", "exec"))


def _returned(code: Any) -> str:
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102, a mutant of the text above
    try:
        return repr(names["f"]())
    except Exception as error:  # noqa: BLE001, however it fails, that is noticed
        return repr(error)


def test_code_without_behaviour_has_no_mutant() -> None:
    """Annotations, decorators, docstrings, imports, code for type checkers, and impossible
    assertions.
    """
    text = '''
        """A docstring."""
        from a import b
        if TYPE_CHECKING:
            c = 1
        Kind = Literal["a"]
        @dataclass(frozen=True)
        class D:
            """Another."""
            e: Final[Literal["f"]]
            """And another."""
            def g(self, h: "i") -> "j":
                assert h == 1
                raise AssertionError(h)
    '''
    assert [] == Source(dedent(text), "x.py").mutants()


def test_a_mutant_names_its_function_and_the_head_of_its_statement() -> None:
    """The body of a compound statement is not in its text; code that runs at import is marked."""
    text = """
        class A:
            b = 1
            def c(self):
                if d:
                    e()
    """
    actual = [
        (mutant.function, mutant.old, mutant.new, mutant.lines, mutant.called)
        for mutant in Source(dedent(text), "x.py").mutants()
    ]
    assert [
        ("A", "b = 1", "b = 2", range(3, 4), False),
        ("A", "b = 1", "b = 0", range(3, 4), False),
        ("A.c", "if d:", "if False:", range(5, 6), True),
        ("A.c", "if d:", "if True:", range(5, 6), True),
        ("A.c", "e()", "pass", range(6, 7), True),
    ] == actual


def test_a_sample_is_the_same_each_time_and_after_a_change_elsewhere() -> None:
    """Only the seed selects mutants; a new function adds its own and does not change others."""
    text = "def f(a):\n    return a + 1 < 3 and not a\n"
    first = [("m", mutant) for mutant in Source(text, "x.py").mutants()]
    longer = [
        ("m", mutant)
        for mutant in Source("def g():\n    h()\n" + text, "x.py").mutants()
    ]
    assert _texts(run.sample(first, 1, 5)) == _texts(run.sample(first, 1, 5))
    assert _texts(run.sample(first, 1, 5)) != _texts(run.sample(first, 2, 5))
    assert _texts(run.sample(first, 1, 99)) == [
        text for text in _texts(run.sample(longer, 1, 99)) if text != "pass"
    ]


@pytest.mark.slow
def test_a_sample_has_mutants_of_every_package_by_its_share() -> None:
    """The core has two thirds, and each package around it some, whatever the seed; a seed gives the
    same each time.
    """
    texts = "\n".join(f"def f{number}():\n    a({number})\n" for number in range(60))
    mutants = [
        (name, mutant)
        for name in GROUP_OF
        for mutant in Source(texts, "x.py").mutants()
    ]
    for seed in range(3):
        drawn = run.sample_groups(mutants, seed, 300)
        counts = Counter(GROUP_OF[name] for name, _ in drawn)
        expected = {
            "cli": 30,
            "render": 20,
            "targets/studio": 20,
            "core/export": 10,
            "features/journal": 10,
            "features/watch": 10,
            CORE: 200,
        }
        assert expected == counts
        assert _places(drawn) == _places(run.sample_groups(mutants, seed, 300))
    assert _places(run.sample_groups(mutants, 1, 300)) != _places(
        run.sample_groups(mutants, 2, 300)
    )


def _places(mutants: list[tuple[str, Mutant]]) -> list[tuple[str, str]]:
    return [(name, mutant.function) for name, mutant in mutants]


def test_every_module_of_the_packages_around_the_core_is_in_one_group() -> None:
    """A new module of a package is drawn from as well, unless it is named as one that runs as a
    process.
    """
    for package in SHARES.keys() - {CORE}:
        folder = ROOT / "reconciler" / package
        files = {path for path in folder.rglob("*.py") if path.stem != "__init__"}
        missing = {
            path.relative_to(ROOT / "reconciler").with_suffix("").as_posix()
            for path in files
        } - MODULES.keys()
        assert missing <= set(PROCESSES)
    assert len(MODULES) == sum(map(len, GROUPS.values()))
    assert all(path.is_file() for path in MODULES.values())


def test_words_of_a_sentence_are_not_changed_outside_of_the_core() -> None:
    """A key or an operator is; so is everything else in a statement with a sentence."""
    text = "def f(a):\n    return g(a + 1, 'key', 'a whole sentence')\n"
    changed = [
        mutant.new
        for mutant in Source(text, "x.py").mutants()
        if not run.is_wording(mutant)
    ]
    assert any("'XXkey'" in new for new in changed)
    assert not any("XXa whole" in new for new in changed)
    assert any("a - 1" in new for new in changed)


def _texts(mutants: list[tuple[str, Mutant]]) -> list[str]:
    return [mutant.new for _, mutant in mutants]


def test_survivors_and_mutants_that_no_test_runs_count_against_the_share() -> None:
    """Equal mutants are not counted; a table lists each module, and survivors are printed in
    full.
    """
    mutants = Source("def f():\n    a(1, 'b')\n", "x.py").mutants()
    statuses = ["caught", "endless", "survived", "not run", "equal"]
    results = [
        run.MutantResult("m", mutant, status, "why")
        for mutant, status in zip(mutants, statuses, strict=True)
    ]
    text = run.told(results, [])
    assert 0.5 == run.share(results)
    assert 1.0 == run.share(results[4:])
    assert "survived: m.py:2 f (" in text
    assert f"- a(1, 'b')\n+ {mutants[2].new}\n" in text
    assert "        1        1        1        1        1  m\n" in text
    assert "around: 50.0 % of 4 caught, without equal ones; required: 75 %" in text
    assert "core: 100.0 % of 0 caught, without equal ones; required: 95 %" in text


def test_the_tests_of_two_files_come_first() -> None:
    """Those of the files with the most tests, the fastest first; tests beyond the time limit are
    omitted.
    """
    tests = {
        "c::1": 0.1,
        "a::1": 0.2,
        "a::2": 0.3,
        "b::1": 0.4,
        "b::2": 50.0,
        "d::1": 59.0,
        "d::2": 61.0,
    }
    assert [["a::1", "a::2", "b::1"], ["c::1", "b::2"]] == [
        list(portion) for portion in trial.portions(tests)
    ]


@pytest.mark.slow
def test_each_known_equal_mutant_still_exists() -> None:
    """Each entry of equal.toml occurs exactly once in the code, and has a reason."""
    entries = known()
    created = {
        name: Source(MODULES[name].read_text("utf-8"), name).mutants()
        for name in {entry.module for entry in entries}
    }
    assert [] == [
        entry
        for entry in entries
        if not any(
            entry.is_of(entry.module, mutant) for mutant in created[entry.module]
        )
    ]
    assert len(entries) == len(
        {(entry.module, entry.function, entry.old, entry.new) for entry in entries}
    )
    assert all(entry.reason for entry in entries)


def test_an_outdated_entry_is_reported() -> None:
    """With its content."""
    entry = Equal(module="m", function="f", old="a = 1", new="a = 2", reason="why")
    assert "out of date" in run.told([], [entry])
    assert "m.py f\n- a = 1\n" in run.told([], [entry])


_OF_MARKERS = (
    "test_the_last_of_two_markers_counts",
    "test_the_digest_covers_the_written_fields_without_the_marker",
)


@pytest.mark.campaign
def test_a_mutant_is_tried_in_a_separate_process() -> None:
    """A test passes without a mutant, catches a mutant of its subject, and ends a mutant that never
    ends.

    A test that always fails proves nothing.
    """
    text = MODULES["core/model/live"].read_text("utf-8")
    tests = {f"tests/core/model/test_marker.py::{name}": 0.1 for name in _OF_MARKERS}
    wrong = text.replace("match.start()]", "match.start() - 1]")
    endless = text.replace("return fingerprint(rule)[:8]", "while True: pass")
    codes = [
        marshal.dumps(compile(code, "live.py", "exec"))
        for code in (text, wrong, endless)
    ]
    with ProcessPoolExecutor(1, get_context("spawn"), trial.preload) as pool:
        tried = [
            pool.submit(
                trial.tried, "reconciler.core.model.live", code, tests
            ).result()[0]
            for code in codes
        ]
        with pytest.raises(
            AssertionError, match=r"test_gone\.py::test_x fails without a mutant"
        ):
            pool.submit(
                trial.tried,
                "reconciler.core.model.live",
                codes[0],
                {"tests/test_gone.py::test_x": 0.1},
            ).result()
    assert ["survived", "caught", "endless"] == tried
