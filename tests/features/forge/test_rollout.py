"""Pipelines apply to production last: a change that fails elsewhere does not reach it."""

from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path

import pytest

from reconciler.features.forge.pipeline_files import PIPELINES
from reconciler.features.forge.rollout import order_environments
from tests.support.cases import each_case
from tests.support.program import Program

ENVIRONMENT = (
    "apiVersion: routing/v1\nkind: Environment\nname: {name}\nowner: acme-{name}\ntenant: "
    "acme-{name}\n"
)
APPLIES = {
    "gitlab": (".gitlab/cxroute.yml", r"ENVIRONMENT: (\[.*\])"),
    "azure": (
        ".azure-pipelines/routing-apply.yml",
        r"displayName: Apply to ([a-z-]+)\n    condition",
    ),
    "bitbucket": ("bitbucket-pipelines.yml", r"name: Apply to ([a-z-]+)\n"),
}
"""Where each forge's file has the order of its applies; on GitHub it is a variable."""


@each_case(
    "ordered",
    [
        ["dev", "test", "staging", "prod"],
        ["development", "qa", "uat", "stage", "production"],
        ["local", "preprod", "emea", "live"],
        ["nonprod", "prod-eu"],
        ["pre-prod", "prd"],
        ["prod-test", "prod-staging", "acme", "prod2"],
        ["eu-test", "eu", "eu-prod"],
    ],
)
def test_production_is_last_whatever_the_order_of_the_files_is(
    ordered: list[str],
) -> None:
    """By the words of the names; other names come before production, after the stages."""
    for names in permutations(ordered):
        assert ordered == order_environments(names)


def test_names_of_one_stage_keep_their_order() -> None:
    """Nothing is known about which of them is safer."""
    assert ["bank", "airline", "prod-us", "prod-eu"] == order_environments(
        ["prod-us", "bank", "prod-eu", "airline"]
    )


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("forge", PIPELINES)
def test_init_prints_and_writes_that_order(cxroute: Program, forge: str) -> None:
    """With what the order means."""
    for name in ("prod", "prod-us", "staging", "dev"):
        path = Path("manifests/environments", f"{name}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ENVIRONMENT.format(name=name), encoding="utf-8")
    Path("manifests/queues.yaml").write_text(
        "apiVersion: routing/v1\nkind: Queues\nname: queues\nqueues: {cards: Cards}\n",
        encoding="utf-8",
    )
    assert 0 == cxroute("init", f"--{forge}")
    listed = '["dev", "staging", "prod-us", "prod"]'
    printed = " ".join(cxroute.out.split())
    assert listed in printed
    assert "order" in printed
    assert "production last" in printed
    if forge == "github":
        assert "stops at the first failure" in printed
        return
    path_of_file, pattern = APPLIES[forge]
    text = Path(path_of_file).read_text(encoding="utf-8")
    assert "production last" in text
    actual = re.findall(pattern, text)
    assert actual
    assert (
        {listed} == set(actual)
        if forge == "gitlab"
        else ["dev", "staging", "prod-us", "prod"] == actual[:4]
    )
