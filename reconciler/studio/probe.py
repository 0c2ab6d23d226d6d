"""The probe: a snippet that finds the dialect of Studio, and its result."""

import re
from itertools import chain
from typing import Final

from reconciler.studio.dialect import FACTS

_RESULT: Final = re.compile(r"cxr-probe:([0-9])([0-9])([0-9])([0-9])(?![0-9])", re.ASCII)
_ASSIGNMENTS: Final = (
    'cxr_a$ = "Card"',
    'cxr_b = "Card"',
    'cxr_c$ = " card "',
    'cxr_d = " card "',
    'cxr_e = "20"',
    'cxr_f = "abc"',
)
_TESTS: Final = (
    ("case", 3, ('cxr_a$ = "card"', 'cxr_b.contains("card")', 'cxr_b.beginswith("card")')),
    ("trim", 2, ('cxr_c$ = "card"', 'cxr_d.beginswith("card")')),
    ("digits", 1, ("cxr_e > 3",)),
    ("mixed", 1, ("cxr_f < 5",)),
)


def probe_snippet() -> str:
    """Return the snippet. Its last TRACE line has the result: how many tests of each fact are true."""
    lines = ["// cxroute: run this once in the Snippet editor, and copy the last line of its TRACE output."]
    lines += [f"ASSIGN {assignment}" for assignment in _ASSIGNMENTS]
    for name, _, tests in _TESTS:
        lines.append(f"ASSIGN cxr_{name} = 0")
        lines += chain.from_iterable(
            (f"IF ( {test} )", "{", f"  ASSIGN cxr_{name} = ( cxr_{name} + 1 )", "}") for test in tests
        )
    result = "".join(f"{{cxr_{name}}}" for name, _, _ in _TESTS)
    return "\n".join([*lines, f'TRACE "cxr-probe:{result}"', ""])


def parse_probe(line: str) -> dict[str, bool]:
    """Return the facts of the probe's last line; a fact is absent if its tests disagree. Raises ValueError."""
    match = _RESULT.search(line)
    if match is None:
        raise ValueError("this is not a result of the probe; copy its last line, which begins with cxr-probe:")
    facts = {}
    for fact, digit, (name, count, _) in zip(FACTS, match.groups(), _TESTS, strict=True):
        if int(digit) in (0, count):
            facts[fact] = (digit == "0") == (name == "case")
    return facts
