"""The harness reads workflows as GitHub does."""

from __future__ import annotations

from typing import Any

from tests.features.forge.github.expressions import condition, filled, standard
from tests.support.cases import each_case

CONTEXTS: dict[str, Any] = {
    "github": {
        "ref_name": "main",
        "event": {"pull_request": {"user": {"login": "Dependabot[bot]"}}},
    },
    "vars": {"LIST": '["prod", "staging"]'},
    "steps": {"plan": {"outputs": {"exit-code": "4"}, "outcome": "failure"}},
}


@each_case(
    "text, after, expected",
    [
        (None, "success", True),
        (None, "failure", False),
        ("github.ref_name == 'main'", "success", True),
        ("github.ref_name == 'main'", "failure", False),
        ("always() && github.ref_name == 'MAIN'", "failure", True),
        ("${{ !cancelled() && vars.MISSING == '' }}", "failure", True),
        ("!cancelled()", "cancelled", False),
        (
            "vars.LIST != '' && (github.ref_name == 'x' || steps.plan.outcome == 'failure')",
            "success",
            True,
        ),
        ("github.event.pull_request.user.login != 'dependabot[bot]'", "success", False),
        ("vars.MISSING", "success", False),
        ("failure() && steps.none.outputs.x != ''", "failure", False),
    ],
)
def test_conditions(text: str | None, after: str, expected: object) -> None:
    """A condition without a status function holds only after a success."""
    assert expected is condition(text, CONTEXTS, standard(after))


@each_case(
    "text, expected",
    [
        ("${{ fromJSON(vars.LIST || '[\"none\"]') }}", ["prod", "staging"]),
        ("${{ fromJSON(vars.MISSING || '[\"none\"]') }}", ["none"]),
        ("cxone-${{ github.ref_name }}-plan", "cxone-main-plan"),
        ("${{ steps.plan.outputs.exit-code }}", "4"),
        ("it''s ${{ 'it''s' }}", "it''s it's"),
        ("${{ vars.MISSING }}x", "x"),
        (15, 15),
    ],
)
def test_values(text: object, expected: object) -> None:
    """A single expression keeps its type; a missing value is empty."""
    assert expected == filled(text, CONTEXTS, standard("success"))
