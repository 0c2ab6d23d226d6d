"""Every citation of a reference page has an anchor there, and every item of the pages is cited."""

from __future__ import annotations

import re

from tests.docs.citations import (
    CITED,
    HOMES,
    Citation,
    anchors,
    citations,
    expanded,
    files,
    found_in,
    ids,
    prose,
    slug,
)
from tests.docs.page import ROOT

ELSEWHERE = (
    "spec",
    "behaviour",
    "behaviour_algorithms",
    "reliability",
    "contract",
    "house",
    "ux",
)
"""Documents that are not in the repository."""
UNCITED = {
    "W14": "the tests of the log, the headers and the metrics each state a part of it",
}
"""Items of S, R and W that no module and no test cites, each with the reason."""


def test_every_citation_resolves() -> None:
    """In code, tests, documentation and benchmarks: the page exists and has the anchor."""
    actual = [citation for path in files() for citation in citations(path)]
    assert len(actual) > 200
    broken = [
        item
        for item in actual
        if not (ROOT / item.page).is_file() or not _is_there(item)
    ]
    assert [] == broken


def _is_there(one: Citation) -> bool:
    return not one.anchor or one.anchor in anchors(ROOT / one.page)


def test_nothing_cites_a_document_outside_the_repository() -> None:
    """A reader could not follow such a citation."""
    cited = re.compile(
        rf"(?<![\w-])(?:{'|'.join([*ELSEWHERE, 'cognigy_real', 'cxone_real'])})\.md\b",
        re.IGNORECASE,
    )
    texts = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in files()
    }
    assert [] == [name for name, text in texts.items() if cited.search(text)]
    # Code names the page with its folder or by `page`; pages link to it.
    candidate = re.compile(r"(?<!docs/)(?<!page\(')(?<![\w-])studio\.md\b")
    assert [] == [
        name
        for name, text in texts.items()
        if not name.endswith(".md") and candidate.search(text)
    ]


def test_every_anchor_is_unique() -> None:
    """Within its page and among all reference pages, headings included."""
    explicit = [name for page in CITED.values() for name in ids(page)]
    assert sorted(set(explicit)) == sorted(explicit)
    for page in CITED.values():
        headings = [
            slug(heading)
            for heading in re.findall(
                r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE
            )
        ]
        assert sorted(set(headings)) == sorted(headings), page.name
        assert set() == set(headings) & set(ids(page)), page.name


def test_the_items_are_numbered_without_a_gap() -> None:
    """S1 to S11, R1 to R22, W1 to W15 and F1 to F45, each on its page and followed by its name."""
    counts = {"S": 11, "R": 22, "W": 15, "F": 45}
    for letter, page in HOMES.items():
        text = CITED[page].read_text(encoding="utf-8")
        named = re.findall(rf'<a id="({letter.lower()}\d+)"></a>({letter}\d+)\b', text)
        assert [
            (f"{letter}{number}".lower(), f"{letter}{number}")
            for number in range(1, counts[letter] + 1)
        ] == named


def test_every_item_is_cited_by_a_module_or_a_test() -> None:
    """An uncited item is either unused or untested; each exception has a reason."""
    code = [
        path
        for path in files()
        if path.suffix == ".py" and path.parent != ROOT / "tests/docs"
    ]
    cited = set().union(
        *(
            expanded(path.read_text(encoding="utf-8")) | expanded(prose(path))
            for path in code
        )
    )
    items = {
        name.upper() for page in CITED.values() for name in ids(page) if "-" not in name
    }
    assert set(UNCITED) == items - cited


def test_citations_are_found_in_each_form() -> None:
    """Items, ranges, headings, paths and bare items, also across line breaks."""
    assert {"R5", "R6", "R7", "F31", "F33"} == expanded(
        "(invariants R5 to R7) and F31,\nF33"
    )
    assert set() == expanded("S101, RFC 9438, 2026-W52-1, R6-4adc.json")
    assert "safe-order" == slug("Safe order")
    text = 'As (semantics "Safe order"), invariants W2, W3 and docs/watch.md#alerts say; see S99.'
    assert {
        ("semantics", "safe-order"),
        ("invariants", "w2"),
        ("invariants", "w3"),
        ("watch", "alerts"),
        ("semantics", "s99"),
    } == {
        (item.page.rpartition("/")[2].removesuffix(".md"), item.anchor)
        for item in found_in(text, "a.py")
    }
    assert not _is_there(Citation("a.py", "docs/reference/semantics.md", "s99"))
