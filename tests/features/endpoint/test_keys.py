"""Authentication: keys in each of their headers, and signatures with every possible error."""

from __future__ import annotations

import asyncio
import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime
from random import Random

import pytest

from reconciler.features.endpoint.auth import ApiKeys, SecretError, SignatureVerifier
from tests.features.endpoint.in_process_endpoint import Endpoint, event
from tests.support.cases import each_case

KEYS = ApiKeys(["old-key", "new-key"])
OLD = b"the old secret of 32 bytes ......"
NEW = b"the new secret of 32 bytes ......"
SIGNATURES = SignatureVerifier(
    f"whsec_{b64encode(item).decode()}" for item in (OLD, NEW)
)
NOW = 1_769_936_400.0
ID = b"msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"
TIME = str(int(NOW)).encode()
BODY = b'{"conversationId": "c-1"}'


def basic(text: bytes) -> bytes:
    return b"Basic " + b64encode(text)


@each_case(
    "name, value",
    [
        (b"x-api-key", b"old-key"),
        (b"x-api-key", b" new-key "),
        (b"authorization", b"ApiKey old-key"),
        (b"authorization", b"apikey new-key"),
        (b"authorization", b"Bearer  new-key"),
        (b"authorization", basic(b"bot:old-key")),
        (b"authorization", basic(b"old-key:")),
    ],
)
def test_each_key_is_accepted_in_each_header(name: bytes, value: bytes) -> None:
    """Both keys are, during the replacement of one."""
    assert KEYS.accepts([(b"host", b"x"), (name, value)])


@each_case(
    "name, value",
    [
        *(
            (b"x-api-key", item)
            for item in (
                b"",
                b"old-ke",
                b"old-keyx",
                b"OLD-KEY",
                b"old-key,new-key",
                b"old-key\x00",
            )
        ),
        (b"authorization", b"old-key"),
        (b"authorization", b"Bearer"),
        (b"authorization", b"Bearer old-key new-key"),
        (b"authorization", b"Digest old-key"),
        (b"authorization", b"Basic old-key"),
        (b"authorization", b"Basic %%%"),
        (b"authorization", b"Basic \xff"),
        (b"authorization", basic(b"old-key")),
        (b"authorization", basic(b"old-key:bot")),
        (b"authorization", basic(b":")),
        (b"x-api-key", b"x" * 100_000),
        (b"x-other", b"old-key"),
    ],
)
def test_other_headers_and_partial_keys_are_refused(name: bytes, value: bytes) -> None:
    """Neither a part of a key, nor a key in another header."""
    assert not KEYS.accepts([(name, value)])


def test_a_repeated_header_is_refused() -> None:
    """Two servers on the way could each use another value."""
    assert not KEYS.accepts([(b"x-api-key", b"old-key"), (b"x-api-key", b"old-key")])
    assert not KEYS.accepts([])


def test_keys_are_not_stored() -> None:
    """None of the object's fields contains a key."""
    assert "old-key" not in repr(vars(KEYS))


def signature(
    secret: bytes = NEW, name: bytes = ID, time: bytes = TIME, body: bytes = BODY
) -> bytes:
    return b"v1," + b64encode(
        hmac.digest(secret, b"%b.%b.%b" % (name, time, body), "sha256")
    )


def headers(
    signed: bytes, name: bytes = ID, time: bytes = TIME
) -> list[tuple[bytes, bytes]]:
    return [
        (b"webhook-id", name),
        (b"webhook-timestamp", time),
        (b"webhook-signature", signed),
    ]


@each_case(
    "signed",
    [
        signature(),
        signature(OLD),
        signature(b"another") + b" " + signature(),
        b"v2,xyz " + signature(),
        signature() + b" v1a,abc",
        b" " + signature(),
    ],
)
def test_each_secret_signs(signed: bytes) -> None:
    """Alone, or among signatures with other secrets and versions."""
    assert ID.decode() == SIGNATURES.verify(headers(signed), BODY, NOW)


@each_case(
    "seconds, good",
    [(-301, 0), (-300, 1), (-299, 1), (0, 1), (299, 1), (300, 1), (301, 0)],
)
def test_the_window_ends_to_the_second(seconds: int, good: int) -> None:
    """A message from 300 seconds ago or ahead is accepted, and none beyond."""
    time = str(int(NOW) + seconds).encode()
    assert bool(good) == (
        SIGNATURES.verify(headers(signature(time=time), time=time), BODY, NOW)
        is not None
    )


SIGNED = signature()
WRONG = [
    *(
        headers(item)
        for item in (
            b"",
            b"v1",
            b"v1,",
            b",",
            SIGNED[3:],
            b"v2" + SIGNED[2:],
            b"V1" + SIGNED[2:],
            b"\xff",
        )
    ),
    *(
        headers(item)
        for item in (
            SIGNED[:-1],
            SIGNED[:-2] + b"Q=",
            SIGNED + b"=",
            SIGNED.replace(b",", b", "),
            SIGNED[:-1] + b"!",
        )
    ),
    *(
        headers(item)
        for item in (
            b"v1," + SIGNED[3:].lower(),
            b"v1=" + SIGNED[3:],
            SIGNED.replace(b"v1,", b"v1,,"),
        )
    ),
    *(
        headers(item)
        for item in (
            b"v1,x " * 16 + SIGNED,
            SIGNED + b"x" * 5000,
            b"v1," + b"A" * 43 + b"=",
        )
    ),
    headers(signature(b"another")),
    [],
    *(
        headers(signature(name=item), name=item)
        for item in (b"", b"a.b", b"a b", b"\xff", b"x" * 257, b"a\tb")
    ),
    *(
        headers(signature(time=item), time=item)
        for item in (
            b"",
            b"x",
            b"-1",
            b"+" + TIME,
            b" " + TIME,
            TIME + b".0",
            b"9" * 13,
        )
    ),
    *(
        headers(signature(time=item), time=item)
        for item in (b"0", b"1e9", "١".encode(), b"0x6", TIME + b"000")
    ),
    headers(signature(body=BODY + b" ")),
    headers(signature(name=b"msg_other")),
    headers(signature(time=str(int(NOW) + 1).encode())),
    headers(SIGNED)[:2],
    headers(SIGNED)[1:],
    [headers(SIGNED)[0], headers(SIGNED)[2]],
    *([*headers(SIGNED), header] for header in headers(SIGNED)),
    *(headers(SIGNED[:length]) for length in (1, 2, 4, 10, 20, 30, 40, 46)),
    *(headers(SIGNED, name=ID[:length]) for length in (1, 10, 30)),
    *(headers(SIGNED, time=TIME[:length]) for length in (1, 5, 9)),
    headers(ID, name=SIGNED),
    headers(TIME, time=SIGNED),
    headers(SIGNED, name=TIME, time=ID),
    *(headers(item + SIGNED) for item in (b"\x00", b",", b"v1,,")),
]


@each_case("wrong", WRONG)
def test_every_malformed_header_is_refused_without_an_error(
    wrong: list[tuple[bytes, bytes]],
) -> None:
    """Truncated, swapped, twice, not base64, of another version, secret, id or time: simply not
    signed.
    """
    assert SIGNATURES.verify(wrong, BODY, NOW) is None


def test_no_bit_of_the_body_may_change() -> None:
    """A thousand bodies, with one changed bit each."""
    chance = Random(6)
    for _ in range(1000):
        body = bytearray(chance.randbytes(chance.randint(1, 60)))
        signed = headers(signature(body=bytes(body)))
        assert SIGNATURES.verify(signed, bytes(body), NOW)
        body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        assert SIGNATURES.verify(signed, bytes(body), NOW) is None


def test_each_case_of_the_corpus_has_its_exact_status() -> None:
    """Through the endpoint: 401 for each malformed header and each body with a changed bit, 200 for
    the body itself.
    """
    endpoint = Endpoint(
        keys=(),
        secrets=[f"whsec_{b64encode(NEW).decode()}"],
        now=lambda: datetime.fromtimestamp(NOW, UTC),
    )
    chance = Random(7)
    kind = (b"content-type", b"application/json")
    form = json.dumps(event()).encode()

    async def statuses() -> tuple[set[int], set[int], set[int]]:
        wrong = {(await endpoint.post(BODY, [kind, *item])).status for item in WRONG}
        good = set()
        flipped = set()
        for number in range(200):
            name = b"m-%d" % number
            body = bytearray(form)
            signed = [kind, *headers(signature(name=name, body=form), name)]
            body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
            flipped.add((await endpoint.post(bytes(body), signed)).status)
            good.add((await endpoint.post(form, signed)).status)
        return wrong, flipped, good

    assert len(WRONG) >= 60
    assert ({401}, {401}, {200}) == asyncio.run(statuses())


def test_no_byte_may_move_between_id_time_and_body() -> None:
    """Parts of one signed message cannot form another one."""
    time = TIME + b"." + BODY
    assert (
        SIGNATURES.verify(headers(signature(), ID + b"." + TIME, b"1"), BODY, NOW)
        is None
    )
    assert SIGNATURES.verify(headers(signature(), time=time), b"", NOW) is None


@each_case("secret", ["", "whsec_", "whsec_!", "whsec_c2hvcnQ=", "a plain word"])
def test_an_invalid_secret_is_reported(secret: str) -> None:
    """At the start, not at the first request; without the secret in the text."""
    with pytest.raises(SecretError) as caught:
        SignatureVerifier([secret])
    assert len(secret) < 8 or secret not in str(caught.value)
