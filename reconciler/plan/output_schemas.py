"""The JSON Schema of `--format json` of each command, for programs that read it."""

from collections.abc import Callable, Mapping
from typing import Final

from reconciler.plan.json_schema import (
    COUNT,
    DRAFT,
    FLAG,
    NUMBER,
    TEXT,
    Schema,
    definitions,
    finding_schema,
    list_schema,
    object_schema,
    or_null,
    plan_schema,
)

_FINDING: Final[Schema] = {"$ref": "#/$defs/finding"}
_SOURCE: Final[Schema] = {"$ref": "#/$defs/source"}
_DESTINATION: Final[Schema] = {"$ref": "#/$defs/destination"}
_ATTRIBUTES: Final[Schema] = {"type": "object", "description": "attribute -> value"}
_CONDITIONS: Final[Schema] = list_schema({"type": "object"})


def output_schema(command: str) -> Schema:
    """Return the schema of a command's document, or of its error. Raises KeyError for another command."""
    build = OUTPUTS[command]
    document = build()
    forms = [document, _failure()]
    if command in _OF_SEVERAL:
        entry = object_schema({"environment": TEXT, "error": {"$ref": "#/$defs/error"}})
        several = {"environments": list_schema({"anyOf": [document, entry]}), "error": {"$ref": "#/$defs/error"}}
        forms.append(_closed(several, optional=("error",)))
    shared = definitions() | {"error": _error(), "finding": finding_schema()}
    return {"$schema": DRAFT, "title": f"cxroute {command} --format json", "anyOf": forms, "$defs": shared}


def _closed(fields: Schema, optional: tuple[str, ...] = ()) -> Schema:
    return {**object_schema(fields, optional), "additionalProperties": False}


def _failure() -> Schema:
    return _closed({"error": {"$ref": "#/$defs/error"}})


def _error() -> Schema:
    fields = {"kind": TEXT, "message": TEXT, "exitCode": COUNT, "findings": list_schema(_FINDING)}
    return _closed(fields, optional=("findings",))


def _validate() -> Schema:
    strict = {**FLAG, "description": "false if an error, or a warning that counts as one, makes the exit code 3"}
    fields = {
        "valid": FLAG,
        "strict": strict,
        "findings": list_schema(_FINDING),
        "acknowledged": list_schema(_FINDING),
        "routeTests": _closed({"tests": COUNT, "failed": COUNT}),
        "leftToCatchAll": list_schema(TEXT),
    }
    return _closed(fields)


def _test() -> Schema:
    test = {
        "environment": TEXT,
        "document": TEXT,
        "test": COUNT,
        "source": _SOURCE,
        "input": _ATTRIBUTES,
        "winner": or_null(TEXT),
        "passed": FLAG,
        "message": or_null(TEXT),
    }
    fields = {
        "passed": FLAG,
        "tests": COUNT,
        "failed": COUNT,
        "results": list_schema(_closed(test)),
        "promises": list_schema(_promise()),
        "adequacy": _adequacy(),
    }
    return _closed(fields, optional=("adequacy",))


def _promise() -> Schema:
    assumed = list_schema(_closed({"condition": {"type": "object"}, "holds": FLAG}))
    violation = {
        "where": _CONDITIONS,
        "except": list_schema(_CONDITIONS),
        "destination": _DESTINATION,
        "witness": _ATTRIBUTES,
        "rule": or_null(TEXT),
        "assumed": assumed,
    }
    fields = {
        "environment": TEXT,
        "document": TEXT,
        "name": TEXT,
        "severity": {"enum": ["error", "warning"]},
        "holds": or_null(FLAG),
        "violations": list_schema(_closed(violation, optional=("assumed",))),
    }
    return _closed(fields)


def _adequacy() -> Schema:
    example = {
        "environment": TEXT,
        "edit": TEXT,
        "address": TEXT,
        "witness": _ATTRIBUTES,
        "before": _DESTINATION,
        "after": _DESTINATION,
        "rules": list_schema({"$ref": "#/$defs/rule"}),
    }
    fields = {
        "edits": COUNT,
        "unnoticed": COUNT,
        "percent": NUMBER,
        "undecided": COUNT,
        "examples": list_schema(_closed(example)),
        "added": _closed({"file": TEXT, "tests": COUNT}),
    }
    return _closed(fields, optional=("added",))


def _explain() -> Schema:
    code = _closed({"code": TEXT, "title": TEXT, "text": TEXT})
    non_match = _closed({"rule": TEXT, "condition": {"type": "object"}, "source": or_null(_SOURCE)})
    winner = {"winner": or_null(TEXT), "destination": or_null(_DESTINATION)}
    fields = {
        "environment": TEXT,
        "rules": {"enum": ["live", "manifests"]},
        "input": _ATTRIBUTES,
        "context": _ATTRIBUTES,
        "fallback": or_null({"enum": ["unknown", "unsure"]}),
        **winner,
        "otherwise": _closed(winner),
        "undecided": list_schema(non_match),
        "passed": list_schema(non_match),
        "winnerSource": or_null(_SOURCE),
        "next": _closed({"rule": or_null(TEXT), "destination": _DESTINATION}),
        "tied": list_schema(TEXT),
        "switchedOff": list_schema(TEXT),
    }
    return {"anyOf": [code, _closed(fields, optional=("otherwise",))]}


def _diff() -> Schema:
    return {"$ref": "#/$defs/behaviour"}


def _replay() -> Schema:
    return {"$ref": "#/$defs/replay"}


def _history() -> Schema:
    entry = {"type": "object", "description": "an entry of the journal, as it was written"}
    run = _closed({"run": TEXT, "start": entry, "changes": list_schema(entry), "end": or_null(entry)})
    return {"anyOf": [run, _closed({"runs": list_schema(run)})]}


def _doctor() -> Schema:
    status = {"enum": ["ok", "warn", "fail"]}
    check = _closed({"name": TEXT, "status": status, "message": TEXT, "advice": or_null(TEXT)})
    return _closed({"environment": TEXT, "ok": FLAG, "checks": list_schema(check), "simulated": FLAG})


def _plan() -> Schema:
    """Return the schema of a plan. Fields may be added within format version 1, so it stays open."""
    schema = plan_schema()
    return {name: part for name, part in schema.items() if name in ("type", "properties", "required")}


def _apply() -> Schema:
    outcome = {
        "address": TEXT,
        "action": {"enum": ["create", "update", "adopt", "delete"]},
        "status": {"enum": ["applied", "failed", "skipped", "unknown"]},
        "error": or_null(TEXT),
        "attempts": COUNT,
    }
    further = {
        "outcomes": list_schema(_closed(outcome)),
        "converged": FLAG,
        "run": TEXT,
        "notes": list_schema(TEXT),
        "error": {"$ref": "#/$defs/error"},
    }
    plan = _plan()
    required = [*plan["required"], "outcomes", "converged"]
    return {"type": "object", "properties": {**plan["properties"], **further}, "required": required}


OUTPUTS: Final[Mapping[str, Callable[[], Schema]]] = {
    "validate": _validate,
    "test": _test,
    "plan": _plan,
    "apply": _apply,
    "drift": _plan,
    "explain": _explain,
    "diff": _diff,
    "replay": _replay,
    "history": _history,
    "doctor": _doctor,
}
"""The commands with `--format json`, each with the schema of its document."""

_OF_SEVERAL: Final = ("plan", "apply", "drift")  # one document for each environment
