"""The cases that catch each deliberate bug, and the invariants that they report."""

from __future__ import annotations

from typing import Final

CAUGHT: Final = {
    "delete before create": {
        "key-renamed | A | 1": "R3",
        "intents-swapped | C | 1": "R4",
    },
    "ownership by prefix": {
        "other-owners | C | 1": "R1",
    },
    "ownership by display name": {"as-it-is | A | 1 | human-unmark@#1": "R1"},
    "blind POST retry": {
        "first-rules | C | 1 | POST rules:500-applied@#1": "R5 R6",
        "first-rules | C | 1 | POST rules:late=2": "R6",
    },
    "first page only": {"page-and-one | C | 1": "R5 R11 R15"},
    "single unverified listing": {"key-renamed | C | 1": "R11"},
    "no count/unique check while paging": {
        "page-and-one | C | 1 | GET rules:missing@#3": "R11",
        "page-and-one | C | 1 | GET rules:missing": "R5 R11",
    },
    "trusts its own writes": {
        "key-renamed | A | 1": "R7",
        "first-rules | C | 1 | POST rules:reset-applied": "R5 R6",
    },
    "never heals duplicates": {
        "duplicates-left | C | 1": "R15 R18",
        "first-rules | C | 1 | POST rules:late=4": "R5 R15",
    },
    "PUT although equal": {"as-it-is | A | 1": "R16"},
    "deletes although a create failed": {
        "key-renamed | C | 1 | POST rules:422": "R3 R7"
    },
    "delete in the same round, unconfirmed": {"key-renamed | C | 1": "R7"},
    "no If-Match": {"key-renamed | A | 1": "R9"},
    "writes the listed version": {"key-renamed | C | 1": "R9"},
    "blind PUT retry": {"queue-changed | C | 1 | PUT rule:500@#1": "R6"},
    "loses unknown fields": {
        "unknown-fields | C | 1": "R2",
        "unknown-fields-in-parts | C | 1": "R2",
    },
    "any marker is managed": {"other-owners | C | 1": "R1"},
    "retries invalid requests": {"key-renamed | C | 1 | POST rules:422": "R21"},
    "a token for each call": {"key-renamed | C | 1": "R20"},
    "always says that all is well": {"key-renamed | C | 1 | POST rules:422": "R18"},
    "age alone decides": {
        "clone-edited-with-equal-age | A | 1": "R1",
        "clone-edited-with-dates-in-milliseconds | C | 1": "R1",
        "original-edited-and-a-copy-kept | C | 1": "R1",
    },
    "any twin is a duplicate": {
        "copy-in-another-division | C | 1": "R1",
        "copy-with-another-hint-in-a-target | C | 1": "R1",
    },
    "no canary": {
        "first-rules | C | 1 | POST rules:altered=description": "R1",
        "first-rules | C | 1 | POST rules:altered=description@#1": "R1",
        "adopt-all-at-first | A | 1 | PUT rule:altered=description": "R1",
    },
    "canary not undone": {
        "first-rules | C | 1 | POST rules:altered=description": "R1",
        "adopt-all-at-first | A | 1 | PUT rule:altered=description": "R1",
    },
    "a user's text is the tenant's": {"drift | C | 1": "R18"},
    "no weight is routed": {
        "no-weight-refused | A | 1": "R8",
        "no-weight-refused | C | 1": "R8",
    },
    "a reviewed plan never stops": {
        "reviewed-hidden | A | 1 | human-foreign@#9": "R9",
        "reviewed-hidden | C | 1 | human-foreign@#9": "R9",
    },
    "the digest leaves out the switch": {"clone-switched-off | C | 1": "R1"},
    "every rule is read as switched on": {"clone-switched-off | C | 1": "R1"},
    "switching off is not counted": {
        "switched-off-refused | A | 1": "R8",
        "switched-off-refused | C | 1": "R8",
    },
}
"""Each bug, the cases that catch it, and the promises that each finds broken at least."""
