"""The published schema of a plan, against which tests validate plans."""

from __future__ import annotations

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from reconciler.core.plan.plan_json import plan_schema


def validate_plan(document: object) -> None:
    """Raise `jsonschema.ValidationError` unless a document is a plan."""
    _validator().validate(document)


@cache
def _validator() -> Any:
    return Draft202012Validator(plan_schema())
