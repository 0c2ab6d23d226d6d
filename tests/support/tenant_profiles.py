"""Parts of tenant profiles: styles of paging and errors, and field names."""

from __future__ import annotations

from typing import Any

PAGING: dict[str, dict[str, Any]] = {
    "page-number": {"paging": {"style": "page-number", "page": "p", "first": 0, "size": "n", "total": "meta.count"}},
    "skip-top": {"list": "rules", "paging": {"style": "skip-top"}, "noContent": True},
    "next-link": {"list": "data.rules", "paging": {"style": "next-link", "size": "limit"}},
    "next-link-counted": {"list": "items", "paging": {"style": "next-link", "total": "total", "next": "next"}},
    "scroll-token": {"list": "data", "paging": {"style": "scroll-token", "total": "hits", "size": "size"}},
    "scroll-token-uncounted": {"list": "data", "paging": {"style": "scroll-token", "token": "cursor"}},
    "all-at-once": {"list": ".", "paging": {"style": "all-at-once"}},
}
ERRORS: dict[str, dict[str, Any]] = {
    "a list": {"messages": ["errors[].message"]},
    "one text": {"messages": ["message"]},
    "OAuth's": {"messages": ["error_description"]},
    "a header": {"messages": [], "header": "icStatusDescription"},
    "a success that refuses": {"messages": ["results[].error"], "refused": ["results[].success"]},
}
OTHER_NAMES: dict[str, Any] = {
    "rules": {"path": "/acd/rules", "id": "ruleId", "single": "rule"},
    "rule": {"name": "ruleName", "priority": "order", "enabled": "isActive", "conditions": "when", "targets": "then"},
    "condition": {"type": "kind", "attributeName": "field", "operator": "op", "value": "is", "attribute": "FIELD"},
    "target": {"queueId": "skillId", "weight": "share", "queue": "SKILL"},
    "operators": {"equals": "EQ", "in": "equals", "greaterThanOrEqual": ">="},
}
