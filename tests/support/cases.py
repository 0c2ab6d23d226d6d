"""Families of quick cases as one test: to collect and to report each of them costs more than to run
it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

Test = Callable[..., None]


def each_case(names: str, cases: Iterable[Any]) -> Callable[[Test], Test]:
    """Return a decorator: the test runs for each case, and a failure names its case.

    `names` are those of the arguments, separated by commas. Only for tests that leave nothing behind:
    the cases share their fixtures.
    """
    arguments = [name.strip() for name in names.split(",")]
    rows = [case if len(arguments) > 1 else (case,) for case in cases]
    assert rows, "no case"

    def decorate(test: Test) -> Test:
        signature = inspect.signature(test)
        fixtures = [
            parameter
            for name, parameter in signature.parameters.items()
            if name not in arguments
        ]

        @wraps(test)
        def run(**provided: Any) -> None:
            for row in rows:
                case = dict(zip(arguments, row, strict=True))
                try:
                    test(**provided, **case)
                except BaseException as error:
                    error.add_note(f"The case: {case!r}")
                    raise

        run.__signature__ = signature.replace(parameters=fixtures)  # type: ignore[attr-defined]
        return run

    return decorate
