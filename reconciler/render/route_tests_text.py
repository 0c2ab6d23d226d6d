"""What became of the route tests: one line for people, and each test as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.words import counted, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.verify import Tried


def tests_line(tried: Sequence[Tried]) -> str:
    """Return the sum: `75 route tests passed in prod and staging.`, or how many failed where."""
    if not tried:
        return "No route test was tried."
    by_environment: dict[str, list[Tried]] = {}
    for one in tried:
        by_environment.setdefault(one.environment, []).append(one)
    failed = {name: sum(one.failure is not None for one in tests) for name, tests in by_environment.items()}
    each = max(map(len, by_environment.values()))
    wrong = [(name, count) for name, count in failed.items() if count]
    if not wrong:
        return f"{counted(each, 'route test')} passed in {listed(failed)}."
    (first, count), *more = wrong
    said = f"{count:,} of {counted(each, 'route test')} failed in {plain(first)}"
    said += "".join(f", {count:,} in {plain(name)}" for name, count in more)
    passed = [name for name, count in failed.items() if not count]
    return f"{said}; all passed in {listed(passed)}." if passed else f"{said}."


def tests_document(tried: Sequence[Tried]) -> dict[str, Any]:
    """Return the sum and every test as JSON."""
    failed = sum(one.failure is not None for one in tried)
    return {"passed": not failed, "tests": len(tried), "failed": failed, "results": [_document(one) for one in tried]}


def listed(names: Iterable[str]) -> str:
    """Return `prod`, `prod and staging`, `prod, sandbox and staging`."""
    *first, last = map(plain, names)
    return f"{', '.join(first)} and {last}" if first else last


def _document(tried: Tried) -> dict[str, Any]:
    return {
        "environment": tried.environment,
        "document": tried.document,
        "test": tried.number,
        "source": tried.source._asdict(),
        "input": dict(tried.given),
        "winner": tried.winner.name if tried.winner else None,
        "passed": tried.failure is None,
        "message": tried.failure.message if tried.failure else None,
    }
