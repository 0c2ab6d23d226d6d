"""The fields in which two live rules differ and that cxroute does not know: a duplicate differs in
none.
"""

from __future__ import annotations

from typing import Any

from reconciler.core.manifest.kinds.profile import Profile
from reconciler.core.plan.ownership import differing_fields, fields_phrase
from reconciler.core.rule_json import parse_live_rule
from reconciler.targets.platform.profile_mapping import ProfileMapper
from tests.support.cases import each_case

RULE: dict[str, Any] = {
    "id": "1",
    "name": "vip",
    "description": "Routes vip",
    "priority": 100,
    "enabled": True,
    "conditions": [
        {
            "type": "attribute",
            "attributeName": "intent",
            "operator": "in",
            "value": ["a", "b"],
        }
    ],
    "targets": [{"type": "queue", "queueId": "q-cards", "weight": 1}],
}
CONDITION = RULE["conditions"][0]
TARGET = RULE["targets"][0]
OTHER_CONDITION = {**CONDITION, "value": ["c"]}


def compared(ours: dict[str, Any], other: dict[str, Any]) -> tuple[str, ...]:
    return differing_fields(
        parse_live_rule({**RULE, **ours}), parse_live_rule({**RULE, "id": "2", **other})
    )


@each_case(
    "name",
    [
        *(
            "version",
            "revision",
            "etag",
            "_etag",
            "@odata.etag",
            "selfUri",
            "self",
            "href",
            "links",
            "_links",
        ),
        *(
            "dateCreated",
            "dateModified",
            "createdDate",
            "createdAt",
            "created_at",
            "created",
            "creationTime",
        ),
        *(
            "lastModified",
            "lastModifiedDate",
            "modifiedOn",
            "updatedAt",
            "lastUpdated",
            "lastUpdateTime",
            "createTime",
        ),
    ],
)
def test_fields_of_the_server_are_not_a_difference(name: str) -> None:
    """Its id, version, links, ETag, and the dates of creation and last change: in the rule and in
    its parts.
    """
    assert () == compared({name: "x"}, {name: "y"}) == compared({}, {name: "y"})
    assert () == compared({}, {"targets": [{**TARGET, name: "y"}]})


@each_case(
    "name",
    [
        *(
            "division",
            "schedule",
            "scheduleId",
            "divisionId",
            "createdBy",
            "startDate",
            "effectiveDate",
            "validUntil",
        ),
        *(
            "version2",
            "url",
            "uuid",
            "ids",
            "idé",
            "updatedBy",
            "dateOfBirth",
            "~id",
            "ID",
            "NAME",
            "",
        ),
    ],
)
def test_any_other_field_is_a_difference(name: str) -> None:
    """Another value, or a field of one side only."""
    assert (
        (name,)
        == compared({name: "x"}, {name: "y"})
        == compared({}, {name: None})
        == compared({name: 1}, {})
    )
    assert (
        (name,)
        == compared({name: True}, {name: 1})
        == compared({name: {"id": 1}}, {name: {"id": 2}})
    )
    assert () == compared({name: [{"b": 1, "a": 2}]}, {name: [{"a": 2, "b": 1}]})


@each_case(
    "ours, other, names",
    [
        ({}, {"targets": [{**TARGET, "hint": 1}]}, ("targets[].hint",)),
        ({"targets": [{**TARGET, "hint": 1}]}, {}, ("targets[].hint",)),
        ({}, {"conditions": [{**CONDITION, "negate": True}]}, ("conditions[].negate",)),
        (
            {"conditions": [{**CONDITION, "value": ["b", "a"], "n": 1}]},
            {"conditions": [{**CONDITION, "n": 1}]},
            (),
        ),
        (
            {"conditions": [{**CONDITION, "n": False}]},
            {"conditions": [{**OTHER_CONDITION, "n": False}]},
            (),
        ),
        ({}, {"conditions": [{**OTHER_CONDITION, "n": True}]}, ("conditions[].n",)),
        (
            {"conditions": [{**CONDITION, "n": True}, {**OTHER_CONDITION, "n": False}]},
            {"conditions": [{**CONDITION, "n": False}, {**OTHER_CONDITION, "n": True}]},
            ("conditions[].n",),
        ),
        ({"conditions": None}, {"conditions": []}, ()),
        (
            {"conditions": [{"type": "time", "n": 1}]},
            {"conditions": [{"type": "time", "n": 2}]},
            (),
        ),
    ],
)
def test_fields_of_conditions_and_targets_count(
    ours: dict[str, Any], other: dict[str, Any], names: tuple[str, ...]
) -> None:
    """By part; in a part that only an older version has, a value of another part of the original is
    allowed.
    """
    assert names == compared(ours, other)


def test_the_id_and_the_date_are_those_of_the_profile() -> None:
    """Another field that is called `id` there is an ordinary field."""
    dialect = ProfileMapper(
        Profile.model_validate(
            {
                "name": "acd",
                "rules": {"id": "ruleId"},
                "rule": {"dateCreated": "madeOn"},
            }
        )
    )
    first, second = (
        parse_live_rule(
            dialect.canonical_rule(
                {**RULE, "ruleId": str(n), "id": n, "madeOn": f"2026-01-0{n}T00:00:00Z"}
            )
        )
        for n in (1, 2)
    )
    assert ("~id",) == differing_fields(first, second)
    assert "2026-01-02T00:00:00Z" == second.created


def test_names_of_fields_are_escaped_and_bounded() -> None:
    """They come from the tenant: a few, each cut, without invisible characters."""
    text = fields_phrase(["~a\u202eb\n\x1b[31m", "x" * 10_000, "c", "d", "e", "f", "g"])
    assert text.startswith("a\\u202eb")
    assert ", " + "x" * 60 + "..., c, d, e and 2 more" == text[text.index(", x") :]
    assert len(text) < 400
    assert text.isprintable()
