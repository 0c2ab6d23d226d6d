"""The measures of density count what small sources contain, and a dense function stands out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import each_case
from tests.support.density import Density, Function, measure_density, python_sources
from tests.tiers import size

PLAIN = '''\
"""A docstring, 1 + 1."""

import os  # a comment

TOTAL = 1
"""A text below a value
is a docstring, too."""


class Account:
    balance: int = 0

    def pay(self, amount: int) -> None:
        """Pay."""
        # a comment
        self.balance -= amount
'''
"""Code lines with 2, 3, 3, 5, 12 and 5 tokens."""
DENSE = """\
def dense(first, second): return [x + y for x in first for y in second if x for _ in y]
"""


def density(source: str) -> Density:
    return measure_density({"module.py": dedent(source)})


OPERANDS = st.lists(
    st.sampled_from(["total", "7", "'two words'", 'f"{total + 1} of {len(names)}"']),
    min_size=1,
    max_size=9,
)
UNCOUNTED = st.lists(
    st.sampled_from(["", "    ", "# a = comment", '"""A text,\nof 2 lines."""', '"x"']),
    max_size=3,
)


@pytest.mark.generated
@settings(max_examples=size(fast=30, slow=100))
@given(
    lines=st.lists(st.tuples(UNCOUNTED, OPERANDS), min_size=1, max_size=12),
)
def test_tokens_per_line_are_those_of_the_text(
    lines: list[tuple[list[str], list[str]]],
) -> None:
    """A sum of n operands is n values, n - 1 operators, a name and an equals sign.

    Blank lines, comments, docstrings, and the parts of a string add nothing.
    """
    texts = [
        text
        for uncounted, operands in lines
        for text in (*uncounted, "total = " + " + ".join(operands))
    ]
    tokens = sum(2 * len(operands) + 1 for _, operands in lines)
    measured = density("\n".join(texts))
    assert (len(lines), tokens) == (measured.code_lines, measured.tokens)
    assert tokens / len(lines) == measured.tokens_per_line


def test_docstrings_and_comments_are_not_code() -> None:
    """Only six lines of a small module count."""
    measured = density(PLAIN)
    assert (6, 30) == (measured.code_lines, measured.tokens)
    assert measured.tokens_per_line == 5


@each_case(
    "statement, count",
    [
        ("a, b = x, y", 1),
        ("a, b = c, d = x, y", 1),
        ("a, b = pair", 0),
        ("pair = x, y", 0),
        ("a = b = x", 0),
        ("for a, b in pairs: pass", 0),
    ],
)
def test_a_parallel_assignment_divides_a_written_tuple(
    statement: str, count: int
) -> None:
    """It assigns the values of a tuple in the same line to more than one target."""
    measured = density(f"{statement}\nresult = 1\n")
    assert count == measured.parallel_assignments
    assert 500 * count == measured.parallel_per_thousand


def test_lines_over_100_columns_are_long() -> None:
    """A line of 100 columns is not long, one of 101 is; comments and docstrings do not count."""
    lengths = [99, 100, 101, 150]
    lines = [f"a = '{'x' * (length - 6)}'" for length in lengths]
    assert lengths == [len(line) for line in lines]
    texts = [f"# {'x' * 120}", f'"""{"x" * 120}"""']
    measured = density("\n".join([*lines, *texts]))
    assert (4, 2) == (measured.code_lines, measured.long_lines)
    assert measured.long_line_percent == 50


def test_names_count_where_they_are_bound() -> None:
    """Assignments, loops and parameters bind names; a use, an attribute or an import does not.

    A leading underscore does not make a name a better one.
    """
    measured = density(
        """
        import other
        def pay(account, *, said):
            for _found in account.more:
                total = said + _found
            account.whole = total
            return [made for made in other]
        """
    )
    assert {"account", "said", "found", "total", "made"} == set(measured.names)
    assert Counter({"said": 1, "found": 1, "made": 1}) == measured.fillers
    assert measured.filler_percent == 60


def test_a_function_has_the_nodes_of_its_tree() -> None:
    """Function, arguments, argument, return, name and its context are six nodes in two lines.

    A method counts as a function, and a nested function counts in the outer one as well.
    """
    measured = density(
        """
        def same(value):
            return value
        class Box:
            async def outer(self):
                def inner(): pass
        """
    )
    assert (
        Function("module.py:2 same", nodes=6, lines=2),
        Function("module.py:5 outer", nodes=6, lines=2),
        Function("module.py:6 inner", nodes=3, lines=1),
    ) == measured.functions
    assert [3, 3, 3] == [function.nodes_per_line for function in measured.functions]


def test_one_dense_function_of_ten_is_at_the_90th_percentile() -> None:
    """Nine plain functions do not hide it; nineteen do, though it is still the largest."""
    plain = "def plain(value):\n    return value\n"
    few = density(plain * 9 + DENSE)
    assert ("module.py:19 dense", 1) == (
        few.dense_function.place,
        few.dense_function.lines,
    )
    assert few.dense_function.nodes_per_line == 29
    many = density(plain * 19 + DENSE)
    assert many.dense_function.nodes_per_line == 3
    assert many.largest_function.place == "module.py:39 dense"


def test_figures_of_files_are_added(tmp_path: Path) -> None:
    """Two files have twice the sums of one and the same ratios; Node's packages do not count."""
    for name in ("one.py", "below/two.py", "node_modules/gyp.py"):
        path = tmp_path / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PLAIN, encoding="utf-8")
    sources = python_sources(tmp_path / "code")
    assert ["code/below/two.py", "code/one.py"] == list(sources)
    measured = measure_density(sources)
    single = density(PLAIN)
    assert (12, 60) == (measured.code_lines, measured.tokens)
    assert single.names + single.names == measured.names
    assert single.tokens_per_line == measured.tokens_per_line
    assert ["code/below/two.py:13 pay", "code/one.py:13 pay"] == [
        function.place for function in measured.functions
    ]
