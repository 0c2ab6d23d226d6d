"""Each test is in the tier that its markers name (tests/tiers.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cases import each_case
from tests.tiers import (
    FAST,
    FULL,
    REST,
    TRIED,
    drop_further_cases,
    has_no_case,
    has_no_test,
    mark_slow,
)

TESTS = """
import pytest

@pytest.mark.parametrize("case", range(20))
@pytest.mark.fast_cases(2)
def test_many(case): ...

@pytest.mark.slow
def test_slow(): ...

@pytest.mark.campaign
def test_campaign(): ...

def test_fast(): ...
"""


@pytest.fixture
def items(request: pytest.FixtureRequest, tmp_path: Path) -> list[pytest.Item]:
    return collect(request.session, tmp_path)


def collect(session: pytest.Session, folder: Path) -> list[pytest.Item]:
    """Return the items of TESTS, as pytest makes them."""
    path = folder / "test_tried.py"
    path.write_text(TESTS, encoding="utf-8")
    module = pytest.Module.from_parent(session, path=path)
    return list(session.genitems(module))


class FastTier:
    """The hooks of tests/conftest.py, which apply to files below tests/ alone, for the fast tier."""

    def pytest_pycollect_makeitem(self, obj: object) -> list[pytest.Item] | None:
        """Make no item of a test without a case."""
        return [] if has_no_case(obj, FAST) else None

    @pytest.hookimpl(trylast=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Drop the cases of other tiers."""
        drop_further_cases(metafunc, FAST)


def slow_names(items: list[pytest.Item]) -> list[str]:
    return [item.name for item in items if item.get_closest_marker("slow")]


@pytest.mark.skipif(FULL, reason="the campaign runs all cases")
def test_the_slow_tier_has_a_few_cases_of_all(items: list[pytest.Item]) -> None:
    """They are spread evenly; the first ones are fast, and the campaign alone has the others."""
    remaining = mark_slow((Path("core/test_tried.py"), item) for item in items)
    further = [f"test_many[{case}]" for case in range(2, 20)]
    assert [*further, "test_slow", "test_campaign"] == slow_names(items)
    tried = [name for name in further if name not in {item.name for item in remaining}]
    assert [2, 5, 9, 12, 16] == [int(name[10:-1]) for name in tried]
    assert TRIED == len(tried)
    assert "test_campaign" in {item.name for item in remaining}


def test_only_items_of_the_fast_tier_are_made_for_it(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Those that `mark_slow` does not mark: the first cases, and tests without a marker."""
    manager = request.config.pluginmanager
    plugin = FastTier()
    manager.register(plugin)
    try:
        items = collect(request.session, tmp_path)
    finally:
        manager.unregister(plugin)
    names = ["test_many[0]", "test_many[1]", "test_fast"]
    assert names == [item.name for item in items]
    mark_slow((Path("core/test_tried.py"), item) for item in items)
    assert [] == slow_names(items)


@pytest.mark.skipif(FULL, reason="the campaign runs all cases")
def test_each_case_of_a_distinct_folder_is_tried(items: list[pytest.Item]) -> None:
    """An alert is not like another one."""
    remaining = mark_slow((Path("deploy/test_tried.py"), item) for item in items)
    assert ["test_campaign"] == [item.name for item in remaining]


def test_all_tests_of_a_slow_folder_are_slow(items: list[pytest.Item]) -> None:
    mark_slow((Path("browser/test_tried.py"), item) for item in items)
    assert [item.name for item in items] == slow_names(items)


@each_case(
    "path, tiers",
    [
        ("browser/test_report.py", [REST]),
        ("features/endpoint/test_proof.py", [REST]),
        ("core/model/test_marker.py", [FAST]),
        ("campaign/test_matrix.py", [FAST, REST]),
        ("core/conftest.py", [FAST, REST]),
    ],
)
def test_a_tier_leaves_alone_the_files_without_its_tests(
    path: str, tiers: list[str]
) -> None:
    """To import a file takes time in each worker."""
    assert tiers == [tier for tier in (FAST, REST) if not has_no_test(Path(path), tier)]
    assert not has_no_test(Path(path), "")
