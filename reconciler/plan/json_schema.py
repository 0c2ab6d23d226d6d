"""The JSON Schema of a plan document (plan-json), for its readers."""

from typing import Any, Final

Schema = dict[str, Any]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
TEXT: Final[Schema] = {"type": "string"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
NUMBER: Final[Schema] = {"type": "number"}
_ADDRESS: Final = "^[a-z0-9][a-z0-9-]{0,63}/[a-z0-9][a-z0-9-]{0,63}$"
FLAG: Final[Schema] = {"type": "boolean"}


def plan_schema() -> Schema:
    """Return the schema, draft 2020-12. Fields may be added within format version 1; none is removed."""
    text, sample = or_null(TEXT), or_null(object_schema({"file": TEXT, "digest": _hex(64)}))
    options = {
        "only": list_schema(TEXT),
        "adopt": FLAG,
        "keepDrift": FLAG,
        "undo": text,
        "traffic": sample,
        "base": text,
    }
    fallback = object_schema({"intent": text, "minConfidence": NUMBER, "knownIntents": list_schema(TEXT)})
    guard = {"name": TEXT, "value": NUMBER, "limit": NUMBER, "ok": FLAG, "message": TEXT, "allowed": text}
    fields = {
        "formatVersion": {"const": "1.0"},
        "tool": object_schema({"name": {"const": "cxroute"}, "version": TEXT}),
        **dict.fromkeys(("environment", "owner"), TEXT),
        "generatedAt": {"type": "string", "format": "date-time"},
        **dict.fromkeys(("manifestDigest", "liveDigest"), _hex(64)),
        "planId": _hex(12),
        "options": object_schema(options),
        "endpoint": or_null(object_schema({"before": fallback, "after": fallback})),
        "summary": object_schema(dict.fromkeys((*_COUNTS, *_FURTHER_COUNTS), COUNT), optional=_FURTHER_COUNTS),
        "changes": list_schema({"$ref": "#/$defs/change"}),
        "held": list_schema({"allOf": [{"$ref": "#/$defs/change"}, object_schema({"reason": TEXT})]}),
        "behaviour": or_null({"$ref": "#/$defs/behaviour"}),
        "findings": list_schema(finding_schema()),
        "acknowledged": list_schema(finding_schema())
        | {"description": "findings that `accept:` accepts, each with the reason"},
        "guards": list_schema(object_schema(guard)),
        "replay": {"$ref": "#/$defs/replay"},
        "view": {"type": "object", "description": "only in a saved plan: the texts that `cxroute show` prints"},
        "consent": list_schema(_consent()) | {"description": "only if a queue has owners: whose consent it needs"},
        "lastSave": object_schema({"by": TEXT, "at": TEXT}) | {"description": "only of `drift` with Studio"},
        "report": {"const": "drift", "description": "only in a report of `cxroute drift`: the current differences"},
    }
    optional = ("replay", "consent", "report", "lastSave", "view")
    document = object_schema(fields, optional=optional)
    return {"$schema": DRAFT, "title": "cxroute plan", **document, "$defs": definitions()}


def definitions() -> Schema:
    """Return the definitions that the schemas share: `#/$defs/change` and others."""
    queues = list_schema(object_schema({"queueId": or_null(TEXT), "queueName": or_null(TEXT), "share": NUMBER}))
    objects = list_schema({"type": "object"})
    rule = {"id": TEXT, "name": TEXT, "description": TEXT, "priority": NUMBER, "enabled": FLAG}
    return {
        "change": _change(),
        "rule": object_schema({**rule, "conditions": objects, "targets": objects}, optional=("id",)),
        "source": object_schema({"file": TEXT, "line": COUNT, "column": COUNT}),
        "behaviour": behaviour_schema(),
        "replay": replay_schema(),
        "destination": {"anyOf": [object_schema({"queues": queues}), object_schema({"default": {"const": True}})]},
    }


_COUNTS: Final = ("create", "update", "adopt", "delete", "unchanged", "held", "unmanaged")
_DRIFT_COUNTS: Final = ("changed", "missing", "inTheWay", "notApplied", "accepted")
_FURTHER_COUNTS: Final = (*_DRIFT_COUNTS, "unwatched", "undecidedWatch")  # of some plans


def object_schema(fields: Schema, optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object in which all fields but the optional ones are required."""
    return {"type": "object", "properties": fields, "required": [name for name in fields if name not in optional]}


def list_schema(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def _hex(digits: int) -> Schema:
    return {"type": "string", "pattern": f"^[0-9a-f]{{{digits}}}$"}


def or_null(schema: Schema) -> Schema:
    """Return the schema of a value that may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


_CLAUSES: Final = list_schema({"type": "object"})
_DESTINATION: Final = {"$ref": "#/$defs/destination"}
_EXAMPLE: Final = {"type": "object", "description": "attribute -> value"}
_SHARE: Final = object_schema({"least": NUMBER, "most": NUMBER})
_ASSUMED: Final = list_schema(object_schema({"condition": {"type": "object"}, "holds": FLAG}))


def _change() -> Schema:
    about_copy = {"type": "boolean", "description": "the call is about a temporary copy of the rule"}
    calls = {"enum": ["create", "update", "delete"]}
    step = {"wave": {"type": "integer", "minimum": 1}, "call": calls, "copy": about_copy}
    rule = or_null({"$ref": "#/$defs/rule"})
    fields = {
        "action": {"enum": ["create", "update", "adopt", "delete", "none"]},
        "address": or_null({"type": "string", "pattern": _ADDRESS}),
        "id": or_null(TEXT),
        "name": TEXT,
        "cause": {"enum": ["manifest", "drift", "both", "duplicate", "missing", "unmanaged"]},
        "steps": list_schema(object_schema(step)),
        "before": rule,
        "after": rule,
        "fields": list_schema(object_schema({"path": TEXT, "before": {}, "after": {}})),
        "source": or_null({"$ref": "#/$defs/source"}),
        "since": or_null({**TEXT, "description": "of drift: the run that last wrote the missing rule"}),
        "accept": object_schema({"name": TEXT, "digest": _hex(8)}),
    }
    return object_schema(fields, optional=("since", "accept"))


def behaviour_schema() -> Schema:
    """Return the schema of an impact on conversations, in a plan and in `cxroute diff`."""
    known = {"attributeName": TEXT, "type": {"enum": ["text", "number"]}, "least": NUMBER, "most": NUMBER}
    fields = {
        "changed": FLAG,
        "complete": FLAG,
        "headline": {"type": "string", "description": "one sentence about the most important move"},
        "effects": list_schema(_effect()),
        "rules": {"type": "object", "additionalProperties": _named_rule()},
        "summary": object_schema({"balance": list_schema(_balance())}),
        "regions": list_schema(_region()),
        "unknown": list_schema(object_schema({"where": _CLAUSES})),
        "restsOn": list_schema(object_schema(known, optional=("least", "most"))),
    }
    return object_schema(fields, optional=("unknown", "restsOn"))


def _effect() -> Schema:
    names = list_schema({"type": "string", "description": "a name of `rules`"})
    counterparts = list_schema(or_null({"type": "string", "description": "a name of `rules`; null: default routing"}))
    of_other_type = list_schema(
        {"type": "string", "description": "has another type, text or number, than the rules expect"}
    )
    row = {
        "kind": {"enum": ["redirects", "takes", "releases", "fallback"]},
        "where": _CLAUSES,
        "earlier": names,
        "counterpart": counterparts,
        "before": _DESTINATION,
        "after": _DESTINATION,
        "example": _EXAMPLE,
        "share": or_null(_SHARE),
        "otherType": of_other_type,
        "assumed": _ASSUMED,
    }
    rows = list_schema(object_schema(row, optional=("otherType", "assumed")))
    return object_schema({"causes": list_schema(_cause()), "share": or_null(_SHARE), "rows": rows})


def _cause() -> Schema:
    actions = ["create", "update", "delete", "adopt", "changed", "disabled", "deleted", "added"]
    rule = {
        "address": TEXT,
        "action": {"enum": actions},
        "fields": list_schema(TEXT),
        "source": or_null({"type": "string", "description": "file:line"}),
    }
    unmanaged = {"action": {"const": "unmanaged"}, "name": TEXT, "id": TEXT}
    fallback = {"action": {"const": "fallback"}}
    return {"anyOf": [object_schema(rule), object_schema(unmanaged), object_schema(fallback)]}


def _named_rule() -> Schema:
    rule = {
        "address": or_null(TEXT),
        "name": TEXT,
        "id": or_null(TEXT),
        "when": {"enum": ["before", "after", "both"]},
        "conditions": _CLAUSES,
        "priority": NUMBER,
    }
    return object_schema(rule)


def _region() -> Schema:
    names = list_schema(or_null(TEXT))
    region = {
        "where": _CLAUSES,
        "except": list_schema(_CLAUSES),
        "before": _DESTINATION,
        "after": _DESTINATION,
        "witness": _EXAMPLE,
        "beforeRule": or_null(TEXT),
        "afterRule": or_null(TEXT),
        "beforeRules": names,
        "afterRules": names,
        "trafficPercent": or_null(NUMBER),
        "trafficPercentLeast": NUMBER,
        "assumed": _ASSUMED,
    }
    return object_schema(region, optional=("assumed", "trafficPercentLeast"))


def replay_schema() -> Schema:
    """Return the schema of recorded conversations that go elsewhere, in a plan and in `cxroute replay`."""
    destination, name = {"$ref": "#/$defs/destination"}, or_null(TEXT)
    pair = {
        "before": destination,
        "after": destination,
        "moved": NUMBER,
        "rules": list_schema(object_schema({"before": name, "after": name})),
        "examples": list_schema(object_schema({"line": COUNT, "attributes": {"type": "object"}})),
    }
    fields: dict[str, Schema] = {"file": TEXT, "pairs": list_schema(object_schema(pair))}
    fields |= dict.fromkeys(("total", "moved", "movedPercent", "unknown", "unlisted"), NUMBER)
    return object_schema(fields | dict.fromkeys(("unrecorded", "unseen"), list_schema(TEXT)))


def _balance() -> Schema:
    """Return the schema of a queue's share of the sample in percent: the maximum, and the minimum if it is lower."""
    no_queue = {"type": "boolean", "description": "where no queue is named: the default routing, or no queue"}
    fields = {"queueId": or_null(TEXT), "queueName": or_null(TEXT), "default": no_queue}
    fields |= dict.fromkeys(("before", "beforeLeast", "after", "afterLeast"), NUMBER)
    fields["change"] = {"type": "number", "description": "how much more the queue gets; less than 0: how much less"}
    fields["changeLeast"] = NUMBER
    return object_schema(fields, optional=("default", "beforeLeast", "afterLeast", "changeLeast"))


def _consent() -> Schema:
    change = {"enum": ["gains", "loses", "both", "unknown"]}
    return object_schema({"queueId": or_null(TEXT), "queueName": TEXT, "owners": list_schema(TEXT), "change": change})


def finding_schema() -> Schema:
    """Return the schema of a finding."""
    source = or_null({"$ref": "#/$defs/source"})
    several = "of a finding about several rules or places: one for each, in the order of `addresses`"
    fields = {
        "code": {"type": "string", "pattern": "^CXR[0-9]{3}$"},
        "severity": {"enum": ["error", "warning", "info"]},
        "message": TEXT,
        "address": or_null(TEXT),
        "source": source,
        "addresses": list_schema(TEXT),
        "sources": {**list_schema(source), "description": several},
        "acknowledged": object_schema({"reason": TEXT}),
    }
    return object_schema(fields, optional=("addresses", "sources", "acknowledged"))
