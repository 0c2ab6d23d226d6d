"""The endpoint's OpenAPI document matches the code, and a tester that knows only the document finds
no fault.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import http_server as connection
from reconciler.core.text import trace_context
from reconciler.features.endpoint import event, messages
from reconciler.features.endpoint import messages as answer
from reconciler.features.endpoint.auth import _SIGNATURE_HEADERS
from reconciler.features.endpoint.event import InvalidEventError
from reconciler.features.endpoint.metrics import _REFUSAL_STATUSES as _EARLY
from tests.features.endpoint.in_process_endpoint import EVENT
from tests.features.endpoint.openapi_document import DOCUMENT, FILE, STATUSES
from tests.features.endpoint.process_memory import MIB, resident
from tests.features.endpoint.processes import ROOT, log, served
from tests.support.server_process import KEY
from tests.tiers import FULL

pytestmark = pytest.mark.slow

SERVER = [ROOT / f"reconciler/cli/{name}.py" for name in ("http_server", "http_chunks")]
SOURCES = [*sorted((ROOT / "reconciler/features/endpoint").rglob("*.py")), *SERVER]
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
FIELDS: dict[str, Any] = SCHEMAS["Event"]["properties"]


def test_the_document_has_every_status_of_the_code_and_no_other() -> None:
    """The statuses in the package's sources, by number or by name; 200 is that of a success."""
    source = "".join(path.read_text("utf-8") for path in SOURCES)
    numbers = set(map(int, re.findall(r'\(\s*(\d{3}),\s*"', source)))
    names = {
        HTTPStatus[name].value for name in re.findall(r"HTTPStatus\.([A-Z_]+)", source)
    }
    assert numbers | names == STATUSES


EARLY_STATUSES = {"400", "408", "431", "503"}
"""What the connection answers before it knows the operation."""
OPERATIONS = [
    (path, method) for path, methods in DOCUMENT["paths"].items() for method in methods
]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_each_operation_has_the_statuses_of_the_connection(
    path: str, method: str
) -> None:
    """Unreadable, late or too long headers, and too many connections."""
    assert {status for status in _EARLY if status != "none"} == EARLY_STATUSES
    assert EARLY_STATUSES <= set(DOCUMENT["paths"][path][method]["responses"])


def test_the_document_names_the_headers_that_the_endpoint_reads() -> None:
    """The trace as parameters, and each header of a key or a signature in a security scheme of the
    operation.
    """
    route = DOCUMENT["paths"]["/api/route"]["post"]
    parts = [
        reference["$ref"].removeprefix("#/components/parameters/")
        for reference in route["parameters"]
    ]
    named = [
        DOCUMENT["components"]["parameters"][part]["name"].encode() for part in parts
    ]
    assert [trace_context._PARENT_NAME, trace_context._STATE_NAME] == named
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert {name for way in route["security"] for name in way} == set(schemes)
    text = json.dumps(schemes).lower()
    assert [
        name
        for name in (b"x-api-key", *_SIGNATURE_HEADERS)
        if name.decode() not in text
    ] == []


def test_the_document_says_the_limits_of_the_code() -> None:
    """Of body, headers, texts, and how long to wait."""
    text = DOCUMENT["info"]["description"]
    limits = (
        messages.MAX_BODY_BYTES,
        connection._MAX_HEAD_BYTES,
        connection._MAX_HEADERS,
    )
    assert [str(limit) for limit in limits] == re.findall(r"\d+", text)[:3]
    assert event._CONVERSATION.pattern == FIELDS["conversationId"][
        "pattern"
    ].removeprefix("^(?!\\.+$)").rstrip("$")
    assert event._MAX_INTENT == FIELDS["intent"]["maxLength"]
    assert f"no more than {event._MAX_LEVELS} levels" in SCHEMAS["Event"]["description"]
    waits = [
        dict(answer.retry_later(503, "", "", seconds).headers)[b"retry-after"]
        for seconds in (0, 1e9)
    ]
    assert [b"%d" % SCHEMAS["Seconds"][end] for end in ("minimum", "maximum")] == waits


def test_the_document_has_the_fields_of_the_code() -> None:
    """The required fields and the optional ones."""
    assert set(EVENT) == set(FIELDS)
    for name in FIELDS:
        body = json.dumps(
            {field: value for field, value in EVENT.items() if field != name}
        ).encode()
        if name in SCHEMAS["Event"]["required"]:
            with pytest.raises(InvalidEventError):
                event.parse_event(body)
        else:
            event.parse_event(body)


def test_a_tester_with_only_the_document_finds_no_fault(tmp_path: Path) -> None:
    """Schemathesis at the real process: matching requests are accepted, others refused, each
    response as documented.
    """
    with served(tmp_path) as (server, url):
        before = resident(server.pid)
        tester = [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            str(FILE),
            "--url",
            url,
            "--no-color",
        ]
        limits = [
            "--max-examples",
            "2500" if FULL else "20",
            "--seed",
            "1",
            "--generation-database",
            "none",
        ]
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("PYTEST")
        }
        hooks = {
            "SCHEMATHESIS_HOOKS": "tests.features.endpoint.document_hooks",
            "PYTHONPATH": str(ROOT),
        }
        actual = subprocess.run(
            [*tester, *limits, "--header", f"X-API-Key: {KEY}"],
            cwd=tmp_path,
            env={**environment, **hooks},
            capture_output=True,
            text=True,
            check=False,
        )
        growth = resident(server.pid) - before
    assert 0 == actual.returncode, actual.stdout + actual.stderr
    assert "4 selected / 4 total" in actual.stdout
    assert {line["event"] for line in log(tmp_path)} <= {"request", "refused"}
    assert growth <= 20 * MIB
