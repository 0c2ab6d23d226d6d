"""A table is encoded in pieces, with the same result as in one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from reconciler.core.model.rule import CANONICAL_JSON
from reconciler.core.target import Author
from reconciler.targets.decide.publication import (
    decode_facts,
    decoding_steps,
    encode_publication,
    next_publication,
    table_text_steps,
)
from reconciler.targets.decide.slices import finish
from reconciler.targets.decide.table import TableError
from tests.support.cases import each_case
from tests.support.served_tables import a_table, rule_json

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
ODD = [
    {"id": "4001", "name": '"rules":[],"é\u2028'},
    {"id": "4002", "name": "rules"},
]


@each_case("count", [0, 1, 99, 100, 101, 250])
def test_pieces_are_the_canonical_json(count: int) -> None:
    """For each number of rules around the size of a piece, and names that look like the frame."""
    rules = [rule_json(f"r{number}") for number in range(count)]
    table = a_table(*rules, queues=ODD, variables={"a": '"rules":[', "rules": "[]"})
    whole = CANONICAL_JSON.encode(table.to_json())
    assert table.digest == sha256(whole.encode()).hexdigest()
    publication = next_publication(None, table, None, Author('"rules":['), NOW)
    table_text = finish(table_text_steps(table))
    content = encode_publication(publication.facts, table_text)
    assert json.loads(content) == publication.to_json()
    assert finish(decoding_steps(content)) == publication
    assert decode_facts(content.splitlines()[0]) == publication.facts


def test_half_a_character_cannot_be_stored() -> None:
    """In a rule or in the name of a queue: UTF-8 has no form for it."""
    for table in (
        a_table(rule_json("lost", note="\ud800")),
        a_table(queues=[{"id": "1", "name": "\udfff"}]),
    ):
        publication = next_publication(None, table, None, Author(), NOW)
        table_text = finish(table_text_steps(table))
        with pytest.raises(TableError, match="half a character"):
            encode_publication(publication.facts, table_text)
