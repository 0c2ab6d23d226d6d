"""The JSON Schema of a plan document (plan-json), for its readers."""

from typing import Any, Final

Schema = dict[str, Any]

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_NUMBER: Final[Schema] = {"type": "number"}
_ADDRESS: Final = "^[a-z0-9][a-z0-9-]{0,63}/[a-z0-9][a-z0-9-]{0,63}$"
_FLAG: Final[Schema] = {"type": "boolean"}


def plan_schema() -> Schema:
    """Return the schema, draft 2020-12. Fields may be added within format version 1; none is removed."""
    text, sample = _or_null(_TEXT), _or_null(_object({"file": _TEXT, "digest": _hex(64)}))
    options = {"only": _list(_TEXT), "adopt": _FLAG, "keepDrift": _FLAG, "undo": text, "traffic": sample, "base": text}
    fallback = _object({"intent": text, "minConfidence": _NUMBER, "knownIntents": _list(_TEXT)})
    guard = {"name": _TEXT, "value": _NUMBER, "limit": _NUMBER, "ok": _FLAG, "message": _TEXT, "allowed": text}
    queues = _list(_object({"queueId": _TEXT, "queueName": text, "share": _NUMBER}))
    fields = {
        "formatVersion": {"const": "1.0"},
        "tool": _object({"name": {"const": "cxroute"}, "version": _TEXT}),
        **dict.fromkeys(("environment", "owner"), _TEXT),
        "generatedAt": {"type": "string", "format": "date-time"},
        **dict.fromkeys(("manifestDigest", "liveDigest"), _hex(64)),
        "planId": _hex(12),
        "options": _object(options),
        "endpoint": _or_null(_object({"before": fallback, "after": fallback})),
        "summary": _object(dict.fromkeys((*_COUNTS, *_FURTHER_COUNTS), _COUNT), optional=_FURTHER_COUNTS),
        "changes": _list({"$ref": "#/$defs/change"}),
        "held": _list({"allOf": [{"$ref": "#/$defs/change"}, _object({"reason": _TEXT})]}),
        "behaviour": _or_null({"$ref": "#/$defs/behaviour"}),
        "findings": _list(_finding()),
        "acknowledged": _list(_finding()) | {"description": "findings that `accept:` accepts, each with the reason"},
        "guards": _list(_object(guard)),
        "replay": {"$ref": "#/$defs/replay"},
        "consent": _list(_consent()) | {"description": "only if a queue has owners: whose consent it needs"},
        "report": {"const": "drift", "description": "only in a report of `cxroute drift`: the current differences"},
    }
    objects = _list({"type": "object"})
    rule = {"id": _TEXT, "name": _TEXT, "description": _TEXT, "priority": _NUMBER, "enabled": _FLAG}
    definitions = {
        "change": _change(),
        "rule": _object({**rule, "conditions": objects, "targets": objects}, optional=("id",)),
        "source": _object({"file": _TEXT, "line": _COUNT, "column": _COUNT}),
        "behaviour": behaviour_schema(),
        "replay": _replay(),
        "destination": {"anyOf": [_object({"queues": queues}), _object({"default": {"const": True}})]},
    }
    document = _object(fields, optional=("replay", "consent", "report"))
    return {"$schema": _DRAFT, "title": "cxroute plan", **document, "$defs": definitions}


_COUNTS: Final = ("create", "update", "adopt", "delete", "unchanged", "held", "unmanaged")
_DRIFT_COUNTS: Final = ("changed", "missing", "inTheWay", "notApplied", "accepted")
_FURTHER_COUNTS: Final = (*_DRIFT_COUNTS, "unwatched", "undecidedWatch")  # of some plans


def _object(fields: Schema, optional: tuple[str, ...] = ()) -> Schema:
    return {"type": "object", "properties": fields, "required": [name for name in fields if name not in optional]}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _hex(digits: int) -> Schema:
    return {"type": "string", "pattern": f"^[0-9a-f]{{{digits}}}$"}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _change() -> Schema:
    about_copy = {"type": "boolean", "description": "the call is about a temporary copy of the rule"}
    calls = {"enum": ["create", "update", "delete"]}
    step = {"wave": {"type": "integer", "minimum": 1}, "call": calls, "copy": about_copy}
    rule = _or_null({"$ref": "#/$defs/rule"})
    fields = {
        "action": {"enum": ["create", "update", "adopt", "delete", "none"]},
        "address": _or_null({"type": "string", "pattern": _ADDRESS}),
        "id": _or_null(_TEXT),
        "name": _TEXT,
        "cause": {"enum": ["manifest", "drift", "both", "duplicate", "missing", "unmanaged"]},
        "steps": _list(_object(step)),
        "before": rule,
        "after": rule,
        "fields": _list(_object({"path": _TEXT, "before": {}, "after": {}})),
        "source": _or_null({"$ref": "#/$defs/source"}),
        "since": _or_null({**_TEXT, "description": "of drift: the run that last wrote the missing rule"}),
        "accept": _object({"name": _TEXT, "digest": _hex(8)}),
    }
    return _object(fields, optional=("since", "accept"))


def behaviour_schema() -> Schema:
    """Return the schema of an impact on conversations, in a plan and in `cxroute diff`."""
    clauses, names = _list({"type": "object"}), _list(_or_null(_TEXT))
    destination, example = {"$ref": "#/$defs/destination"}, {"type": "object", "description": "attribute -> value"}
    shared = {
        "where": clauses,
        "except": _list(clauses),
        "before": destination,
        "after": destination,
        "beforeRules": names,
        "afterRules": names,
        "trafficPercent": _or_null(_NUMBER),
        "trafficPercentLeast": _NUMBER,
        "assumed": _list(_object({"condition": {"type": "object"}, "holds": _FLAG})),
    }
    optional = ("assumed", "trafficPercentLeast", "otherType")
    of_region = {"witness": example, "beforeRule": _or_null(_TEXT), "afterRule": _or_null(_TEXT)}
    of_other_type = _list({"type": "string", "description": "has another type, text or number, than the rules expect"})
    of_row = {"before": _list(destination), "example": example, "otherType": of_other_type}
    known = {"attributeName": _TEXT, "type": {"enum": ["text", "number"]}, "least": _NUMBER, "most": _NUMBER}
    rows = _list(_object({**shared, **of_row}, optional))
    fields = {
        "changed": _FLAG,
        "complete": _FLAG,
        "summary": _object({"rows": rows, "balance": _list(_balance())}),
        "regions": _list(_object({**shared, **of_region}, optional)),
        "unknown": _list(_object({"where": clauses})),
        "restsOn": _list(_object(known, optional=("least", "most"))),
    }
    return _object(fields, optional=("unknown", "restsOn"))


def _replay() -> Schema:
    """Return the schema of recorded conversations that go elsewhere, in a plan and in `cxroute replay`."""
    destination, name = {"$ref": "#/$defs/destination"}, _or_null(_TEXT)
    pair = {
        "before": destination,
        "after": destination,
        "moved": _NUMBER,
        "rules": _list(_object({"before": name, "after": name})),
        "examples": _list(_object({"line": _COUNT, "attributes": {"type": "object"}})),
    }
    fields: dict[str, Schema] = {"file": _TEXT, "pairs": _list(_object(pair))}
    fields |= dict.fromkeys(("total", "moved", "movedPercent", "unknown", "unlisted"), _NUMBER)
    return _object(fields | dict.fromkeys(("unrecorded", "unseen"), _list(_TEXT)))


def _balance() -> Schema:
    """Return the schema of a queue's share of the sample in percent: the maximum, and the minimum if it is lower."""
    no_queue = {"type": "boolean", "description": "where no queue is named: the default routing, or no queue"}
    fields = {"queueId": _or_null(_TEXT), "queueName": _or_null(_TEXT), "default": no_queue}
    fields |= dict.fromkeys(("before", "beforeLeast", "after", "afterLeast"), _NUMBER)
    fields["change"] = {"type": "number", "description": "how much more the queue gets; less than 0: how much less"}
    fields["changeLeast"] = _NUMBER
    return _object(fields, optional=("default", "beforeLeast", "afterLeast", "changeLeast"))


def _consent() -> Schema:
    change = {"enum": ["gains", "loses", "both", "unknown"]}
    return _object({"queueId": _or_null(_TEXT), "queueName": _TEXT, "owners": _list(_TEXT), "change": change})


def _finding() -> Schema:
    source = _or_null({"$ref": "#/$defs/source"})
    several = "of a finding about several rules or places: one for each, in the order of `addresses`"
    fields = {
        "code": {"type": "string", "pattern": "^CXR[0-9]{3}$"},
        "severity": {"enum": ["error", "warning", "info"]},
        "message": _TEXT,
        "address": _or_null(_TEXT),
        "source": source,
        "addresses": _list(_TEXT),
        "sources": {**_list(source), "description": several},
        "acknowledged": _object({"reason": _TEXT}),
    }
    return _object(fields, optional=("addresses", "sources", "acknowledged"))
