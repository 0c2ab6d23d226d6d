"""Duplicates and temporary copies at tenants that alter names and descriptions: both are recognised
as managed.
"""

from __future__ import annotations

import html
from typing import Final

import pytest

from tests.hostile.command import MANIFEST, Workspace
from tests.hostile.tenant import (
    HostileTenant,
    Quirk,
    alter_description,
    alter_texts,
    serving,
)

QUIRKS: Final[dict[str, Quirk]] = {
    "as sent": dict,
    "lower case": alter_texts(str.lower),
    "name in upper case": lambda rule: {**rule, "name": rule["name"].upper()},
    "name cut at 18": lambda rule: {**rule, "name": rule["name"][:18]},
    "escaped": alter_texts(html.escape),
    "a line end appended": alter_description(lambda text: f"{text}\n"),
}
RULES: Final = """\
  - {{key: a, name: Alpha, intent: {0}, queue: billing, description: Text <A>}}
  - {{key: b, name: Beta, intent: {1}, queue: general, description: Text <B>}}
  - {{key: all, name: All, priority: 900, when: [], targets: [{{queue: billing}}, {{queue: general}}]}}
"""


def swapping(place: Workspace, tenant: HostileTenant, *intents: str) -> None:
    """Write two versions of manifests whose difference needs a temporary copy."""
    place.manifests(tenant.url)
    (place.path / "manifests" / "routing.yaml").write_text(
        MANIFEST + RULES.format(*intents), "utf-8"
    )


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_temporary_copy_is_deleted_by_the_same_run(
    place: Workspace, quirk: str
) -> None:
    """Its name and text are altered, and it is neither an edited copy nor a failure."""
    tenant = HostileTenant(keeps=QUIRKS[quirk])
    with serving(tenant):
        swapping(place, tenant, "x", "y")
        assert 0 == place("apply", "--yes").code
        tenant.asked.clear()
        swapping(place, tenant, "y", "x")
        ended = place("apply", "--yes")
        assert (0, ["POST", "PUT", "PUT", "DELETE"]) == (ended.code, tenant.writes), (
            ended
        )
        assert 0 == place("plan", "--detailed-exitcode").code
    assert 3 == len(tenant.rules)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_copy_of_a_killed_run_is_deleted_by_the_next_run(
    place: Workspace, quirk: str
) -> None:
    """It belongs to the same version of the manifests, or to an older one."""
    tenant = HostileTenant(keeps=QUIRKS[quirk])
    with serving(tenant):
        swapping(place, tenant, "x", "y")
        assert 0 == place("apply", "--yes").code
        for description in ("Text <A>", "an older <Text>"):
            line = f"{description}\n[cxroute:acme/routing/a~next#0123abcd]"
            remaining = {
                **tenant.rules["r1"],
                "id": "r9",
                "name": "(next) acme/routing/a",
                "description": line,
            }
            tenant.rules["r9"] = {**tenant.keeps(remaining), "id": "r9"}
            ended = place("apply", "--yes")
            assert (0, 3) == (ended.code, len(tenant.rules)), ended


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_duplicate_is_deleted_by_the_next_run(place: Workspace, quirk: str) -> None:
    """A delayed request created a rule twice (invariants R5)."""
    tenant = HostileTenant(keeps=QUIRKS[quirk])
    with serving(tenant):
        place.manifests(tenant.url, "one", "two", "three")
        assert 0 == place("apply", "--yes").code
        tenant.rules["r9"] = {**tenant.rules["r1"], "id": "r9"}
        ended = place("apply", "--yes")
    assert (0, ["r1", "r2", "r3"]) == (ended.code, [*tenant.rules]), ended


def test_an_export_does_not_write_altered_texts(place: Workspace) -> None:
    """The texts were not edited: `&lt;` in the manifest would be escaped again by the next
    apply.
    """
    tenant = HostileTenant(keeps=QUIRKS["escaped"])
    with serving(tenant):
        swapping(place, tenant, "x", "y")
        assert 0 == place("apply", "--yes").code
        before = (place.path / "manifests" / "routing.yaml").read_text("utf-8")
        ended = place("export", "--all", "--write")
    assert before == (place.path / "manifests" / "routing.yaml").read_text("utf-8"), (
        ended
    )
