"""POST /exchange keeps NICE's contract, and never guesses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest

from reconciler.features.endpoint.decide.exchange import PayloadNames, parse_exchange
from reconciler.features.endpoint.event import InvalidEventError
from tests.features.endpoint.decide.decision_endpoint import in_folder
from tests.features.endpoint.decide.exchange_contract import (
    REQUEST,
    RESPONSE,
    a_request,
)
from tests.support.cases import each_case
from tests.support.served_tables import ENDPOINT, a_table, rule_json
from tests.tiers import size

FALLBACK = {"intent": "lost", "minConfidence": 0.5, "knownIntents": []}
TABLE = a_table(
    rule_json("lost"),
    rule_json("nowhere", targets=[]),
    endpoint={**ENDPOINT, "fallback": FALLBACK},
)
NAMES = PayloadNames(
    a_table(
        variables={"intent": "bot_intent", "accountType": "acct_type"},
        endpoint={
            **ENDPOINT,
            "intent": "cognigyDetectedIntent",
            "types": {"age": "number"},
        },
    ).settings
)


def read(payload: Any, **fields: Any) -> Any:
    """Return the question in a request with a payload."""
    form = {"customPayload": payload, **fields}
    return parse_exchange(json.dumps(form).encode(), NAMES).question


def test_each_response_keeps_the_contract(tmp_path: Path) -> None:
    """For valid, partial, null and hostile requests: 200, valid by the schema, no end of a contact,
    and nothing of the request but the intent, its confidence and names of the table.
    """
    random = Random(9)
    validator = jsonschema.Draft202012Validator(RESPONSE)

    async def answer_all() -> set[str]:
        service = in_folder(tmp_path)
        await service.publish(TABLE)
        branches = set()
        for _ in range(size(fast=500, slow=5000)):
            answer = await service.exchange(a_request(random))
            validator.validate(answer)
            branches.add(answer["branchName"])
            assert ": null" not in json.dumps(answer)
            if answer["branchName"] == "ReturnControlToScript":
                assert isinstance(answer["customPayload"]["cxr_rule"], str)
        return branches

    assert asyncio.run(answer_all()) == {"ReturnControlToScript", "Error"}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (
            {"intent": "lost", "confidence": "0.9"},
            {"cxr_rule": "cards/lost", "cxr_skill": "4001", "cxr_queue": "Fraud Desk"},
        ),
        (
            {"intent": "other", "confidence": 0.1},
            {
                "cxr_rule": "cards/lost",
                "cxr_skill": "4001",
                "cxr_queue": "Fraud Desk",
                "cxr_fallback": "unsure",
            },
        ),
        ({"intent": "nowhere", "confidence": 1}, {"cxr_rule": "cards/nowhere"}),
        ({"intent": "", "confidence": ""}, {"cxr_rule": ""}),
    ],
)
def test_a_script_gets_the_decision(
    tmp_path: Path, payload: dict[str, Any], expected: dict[str, Any]
) -> None:
    """A rule, a fallback, a rule without a queue, the default routing; absent where there is none."""

    async def answer() -> Any:
        service = in_folder(tmp_path)
        await service.publish(TABLE)
        return await service.exchange({**REQUEST, "customPayload": payload})

    response = asyncio.run(answer())
    digest = {"cxr_digest": TABLE.digest}
    assert response["branchName"] == "ReturnControlToScript"
    assert response["customPayload"] == {**expected, **digest}
    if payload["intent"]:
        said = {"intent": payload["intent"]}
        said["intentConfidence"] = float(payload["confidence"])
        assert response["intentInfo"] == said
    else:
        assert "intentInfo" not in response


def test_the_skill_is_the_name_where_the_table_says_so(tmp_path: Path) -> None:
    """By `as: name`."""

    async def answer() -> Any:
        service = in_folder(tmp_path)
        await service.publish(a_table(rule_json("lost"), answer="name"))
        return await service.exchange({"customPayload": {"intent": "lost"}})

    assert asyncio.run(answer())["customPayload"]["cxr_skill"] == "Fraud Desk"


@each_case(
    "contact, expected",
    [
        (4711, "4711"),
        ("4711", "4711"),
        (0, None),
        ("0", None),
        ("", None),
        (None, None),
        (-5, "-5"),
    ],
)
def test_the_contact_is_the_conversation(contact: Any, expected: str | None) -> None:
    """As text; none for zero, null and an empty text."""
    question = read({}, executionInfo={"contactId": contact})
    assert question.conversation == expected


def test_attributes_come_by_their_names() -> None:
    """Renamed ones by the name in the payload, not by their own; numbers where they are declared;
    nested values are none.
    """
    payload = {
        "bot_intent": "lost",
        "confidence": "1e-1",
        "acct_type": "gold",
        "accountType": "ignored",
        "age": "42",
        "zip": "01234",
        "vip": True,
        "gone": None,
        "nested": {"a": 1},
        "list": [1],
        "script_skill": 4001,
    }
    question = read(payload)
    assert question.attributes == {
        "cognigyDetectedIntent": "lost",
        "confidence": 0.1,
        "accountType": "gold",
        "acct_type": "gold",
        "age": 42,
        "zip": "01234",
        "vip": True,
        "gone": None,
    }
    assert question.chosen == "4001"


def test_the_intent_may_have_the_name_of_its_attribute() -> None:
    """But not both names: which one counts would be a guess."""
    assert read({"cognigyDetectedIntent": "lost", "bot_intent": ""}).attributes[
        "cognigyDetectedIntent"
    ] == ("lost")
    with pytest.raises(InvalidEventError, match="two names"):
        read({"cognigyDetectedIntent": "lost", "bot_intent": "lost"})


@each_case(
    "payload, field",
    [
        ({"confidence": "0,9"}, "customPayload.confidence"),
        ({"confidence": " 0.9"}, "customPayload.confidence"),
        ({"confidence": "NaN"}, "customPayload.confidence"),
        ({"confidence": 1.01}, "customPayload.confidence"),
        ({"confidence": "-0.1"}, "customPayload.confidence"),
        ({"confidence": True}, "customPayload.confidence"),
        ({"confidence": [1]}, "customPayload.confidence"),
        ({"bot_intent": 5}, "customPayload.bot_intent"),
        ({"bot_intent": "  "}, "customPayload.bot_intent"),
        ({"bot_intent": "a\x00"}, "customPayload.bot_intent"),
        ({"bot_intent": {"a": 1}}, "customPayload.bot_intent"),
        ({"script_skill": ["secret"]}, "customPayload.script_skill"),
        ("secret", "customPayload"),
    ],
)
def test_what_is_not_understood_names_its_field(payload: Any, field: str) -> None:
    """And repeats nothing of the body."""
    with pytest.raises(InvalidEventError, match=f"^{field}: ") as raised:
        read(payload)
    assert "secret" not in str(raised.value)


@each_case(
    "media, status",
    [
        (b"application/json", 200),
        (b"text/json", 200),
        (b"Application/vnd.nice+json; charset=utf-8", 200),
        (b"text/plain", 415),
        (b"application/+json", 415),
        (b"application/json+xml", 415),
    ],
)
def test_the_media_types_of_the_contract(
    tmp_path: Path, media: bytes, status: int
) -> None:
    """Each kind of JSON, and nothing else."""
    headers = ((b"content-type", media),)
    service = in_folder(tmp_path)
    reply = asyncio.run(service.post("/exchange", {}, headers))
    assert reply.status == status


def test_audio_fits_up_to_one_mebibyte(tmp_path: Path) -> None:
    """One byte more is refused."""
    empty = len(json.dumps({"base64wavFile": ""}))
    longest = {"base64wavFile": "x" * (1024 * 1024 - empty)}
    longer = {"base64wavFile": longest["base64wavFile"] + "x"}

    async def statuses() -> list[int]:
        service = in_folder(tmp_path)
        replies = [await service.post("/exchange", form) for form in (longest, longer)]
        return [reply.status for reply in replies]

    assert asyncio.run(statuses()) == [200, 413]
