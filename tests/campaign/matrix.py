"""The fault matrix as data (invariants "The fault matrix"): faults, operations, the expected
outcome, how to cause it.

A row's codes are in the order of OPERATIONS: R retry, Q read again before any further write on the
key, S stop, K skip the key, U undo the write and stop, T one new token and one repeat, C crash and
run again, OK tolerated; `R>S` is R for one fault and S for a lasting one, `Q>K` both, `K>S` one
after the other, `-` not applicable. matrix_checks.py has their behaviour.
"""

from __future__ import annotations

from typing import Final

from tests.campaign.matrix_vocabulary import (
    ALL,
    READS,
    WRITES,
    MatrixRow,
    Way,
    each,
    few,
    retried,
    unknown,
)

_AFTER: Final = (
    "429=2",
    "429=date",
    "429=none",
    "429=1000000000",
    "429=-1",
    "429=soon",
)
_READ_LOSES: Final = "R R Q Q Q R"

KNOWN: Final = "the rules known before are read one by one, and exist"
UNSEEN: Final = (
    "a tenant that never showed a rule cannot be distinguished from an empty one"
)
CLONED: Final = (
    "the clone is now the only rule with that marker; the next run deletes it as "
    "managed"
)
FIRST: Final = (
    "no managed rule was stored here before: the first write is undone, and the run "
    "stops"
)

ROWS: Final = {
    "F1": MatrixRow(
        "connection refused, unknown host",
        "R R R R R R",
        retried("refuse", "!no-name", on=ALL),
    ),
    "F2": MatrixRow(
        "connection not made in time",
        "R R R R R R",
        retried("!connect-timeout", on=ALL),
    ),
    "F3": MatrixRow(
        "reset before the server read it",
        _READ_LOSES,
        (*retried("reset"), *unknown("reset"), Way(WRITES, "reset", "Q", "always")),
    ),
    "F4": MatrixRow(
        "reset after commit",
        _READ_LOSES,
        (*retried("reset-applied"), *unknown("reset-applied")),
    ),
    "F5": MatrixRow(
        "no answer in time, the request lands late",
        _READ_LOSES,
        (
            *retried("timeout"),
            *unknown(
                "late=1", "late=2", "late=3", "late=4", "late=5", "late=6", extra="CD"
            ),
        ),
    ),
    "F6": MatrixRow(
        "a byte a second",
        _READ_LOSES,
        (*retried("!slow", "drip=0.05"), *unknown("!slow", "drip=0.05")),
    ),
    "F7": MatrixRow(
        "body cut under its Content-Length",
        _READ_LOSES,
        (*retried("cut"), *unknown("cut")),
    ),
    "F8": MatrixRow(
        "half a JSON document", _READ_LOSES, (*retried("half"), *unknown("half"))
    ),
    "F9": MatrixRow(
        "200 with a web page",
        "R>S R>S Q Q Q S",
        (
            Way("LIST GET", "html", "R"),
            Way("LIST GET", "html", "S", "always", says="HTML"),
            *unknown("html", "html-applied"),
            Way("TOKEN", "html", "S", says="HTML"),
        ),
    ),
    "F10": MatrixRow(
        "JSON of another shape",
        "S S Q Q Q S",
        (
            *each("LIST GET", "S", "shape", "no-id"),
            *unknown("shape", "no-id", "shape-applied"),
            Way("TOKEN", "shape", "S", says="access_token"),
        ),
    ),
    "F11": MatrixRow(
        "other values returned, other values stored",
        "- - Q>K Q>K - -",
        (
            Way("POST PUT", "other", "Q"),
            *each("POST PUT", "K", "altered=name", "altered=priority", when="always"),
            Way("POST", "altered=enabled", "K", "always", "AC"),
            Way(
                "POST",
                "!first-contact+altered=description",
                "U",
                "always",
                says="into one",
                apart=FIRST,
            ),
            Way(
                "POST",
                "!first-contact+altered=priority",
                "U",
                "always",
                "AC",
                says="other values",
                apart=FIRST,
            ),
        ),
    ),
    "F12": MatrixRow(
        "nothing where JSON is expected",
        "R>S R>S Q OK OK S",
        (
            Way("LIST GET", "empty", "R"),
            Way("LIST GET", "empty", "S", "always", says="nothing"),
            *each("POST", "Q", "empty", "empty-applied", "empty-applied=204"),
            *each("PUT DELETE", "OK", "empty-applied", "empty-applied=204", "empty"),
            Way("TOKEN", "empty", "S", says="nothing"),
        ),
    ),
    "F13": MatrixRow(
        "redirect to another host",
        "S S S S S S",
        each(
            ALL,
            "S",
            *(f"redirect={status}" for status in (302, 301, 303, 307, 308)),
            says="redirect",
        ),
    ),
    "F14": MatrixRow(
        "400, 422",
        "S S K K K S",
        (*each("LIST GET TOKEN", "S", "422", "400"), *each(WRITES, "K", "422", "400")),
    ),
    "F15": MatrixRow(
        "401 once",
        "T T T T T S",
        (
            *each("LIST GET POST PUT DELETE", "T", "401", "revoke"),
            Way("TOKEN", "401", "S"),
        ),
    ),
    "F16": MatrixRow(
        "401 always", "S S S S S S", (Way(ALL, "401", "S", "always", says="refuses"),)
    ),
    "F17": MatrixRow(
        "403 on this operation",
        "S S K>S K>S K>S S",
        (
            Way("LIST GET", "403", "S", says="routing:read"),
            Way(WRITES, "403", "K>S", says="routing:write"),
            Way("TOKEN", "403", "S", says="refuses"),
        ),
    ),
    "F18": MatrixRow(
        "404",
        "S OK S Q OK S",
        (
            Way("LIST POST TOKEN", "404", "S", says="404"),
            *each("GET", "OK", "404", "remove"),
            *each("PUT", "Q", "404", "remove"),
            *each("DELETE", "OK", "404", "404-applied", "remove"),
        ),
    ),
    "F19": MatrixRow(
        "405, 501, 410",
        "S OK S S S S",
        (
            *each("LIST POST PUT TOKEN", "S", "405", "501", "410"),
            Way("GET", "410", "OK"),
            *(
                Way(
                    "GET",
                    fault,
                    "S",
                    says=fault,
                    apart="405 and 501 do not mean that the rule is deleted",
                )
                for fault in ("405", "501")
            ),
            *each("DELETE", "S", "405", "501"),
            Way(
                "DELETE",
                "410",
                "OK",
                apart="410 means that the rule is deleted, as intended",
            ),
        ),
    ),
    "F20": MatrixRow(
        "409",
        "S - Q>K Q Q -",
        (
            Way("LIST", "409", "S"),
            *unknown("409", "409-applied"),
            Way("POST", "!foreign-name", "K", profiles="ABE"),
        ),
    ),
    "F21": MatrixRow(
        "412",
        "- - - Q Q -",
        (
            Way("PUT DELETE", "412", "Q", profiles="AE"),
            Way("PUT DELETE", "edit", "Q", profiles="AE"),
        ),
    ),
    "F22": MatrixRow(
        "413, 414, 431",
        "S S K K S S",
        (
            *each("LIST GET DELETE TOKEN", "S", "413", "414", "431"),
            *each("POST PUT", "K", "413", "414", "431"),
        ),
    ),
    "F23": MatrixRow(
        "429, with any Retry-After", "R R R R R R", retried(*_AFTER, on=ALL)
    ),
    "F24": MatrixRow(
        "500, not done",
        _READ_LOSES,
        (*retried("500"), *unknown("500"), Way(WRITES, "500", "Q", "always")),
    ),
    "F25": MatrixRow(
        "500, 502, 504, and done",
        _READ_LOSES,
        (
            *retried("500-applied", "502", "504"),
            *unknown("500-applied", "502-applied", "504-applied"),
        ),
    ),
    "F26": MatrixRow(
        "503 for 60 s",
        _READ_LOSES,
        (
            *each(READS, "R", "!down-for-a-minute"),
            *each(WRITES, "Q", "!down-for-a-minute"),
            Way(READS, "503", "R", "0s-60s", "C"),
            Way(WRITES, "503", "Q", "0s-60s", "C"),
        ),
    ),
    "F27": MatrixRow(
        "nothing answers any more",
        "S S S S S S",
        each(ALL, "S", "!outage-refuse", "!outage-503", "!outage-timeout"),
    ),
    "F28": MatrixRow(
        "an item twice",
        "R - - - - -",
        (Way("LIST", "duplicate", "R"), Way("LIST", "duplicate", "R", "#2")),
    ),
    "F29": MatrixRow(
        "an item left out",
        "R - - - - -",
        (Way("LIST", "missing", "R"), Way("LIST", "missing", "R", "#2")),
    ),
    "F30": MatrixRow(
        "pages shift under the reader",
        "R - - - - -",
        (
            Way("LIST", "!listed-anew", "R", "#2"),
            Way("LIST", "!unlisted", "R", "#2"),
            *each("LIST", "R", "shift", "shift=-1", "shift=2", when="#2"),
        ),
    ),
    "F31": MatrixRow(
        "no rules, total 0",
        "R>S - - - - -",
        (
            Way("LIST", "empty-list", "R"),
            Way("LIST", "empty-list", "OK", "later-", later="", apart=KNOWN),
            Way(
                "LIST", "empty-list", "?", "always", later="", extra="CD", apart=UNSEEN
            ),
        ),
    ),
    "F32": MatrixRow(
        "a cursor that leads in a circle, or to another host",
        "S - - - - -",
        (
            Way("LIST", "cycle", "S"),
            Way("LIST", "other-host", "S", says="another host"),
        ),
    ),
    "F33": MatrixRow(
        "a stale replica",
        "R R - - - -",
        (
            *(Way("LIST", f"stale={far}", "R", "later", "ACD") for far in (1, 2, 3, 4)),
            *(
                Way("LIST", f"stale={far}", "R", "last", few(far - 1))
                for far in (1, 2, 3, 4)
            ),
            *each("GET", "R", "stale=1", "stale=2", "stale=3", "stale=4"),
        ),
    ),
    "F34": MatrixRow(
        "a list that lags",
        "R R Q Q Q -",
        (
            Way("LIST GET", "", "R", profiles="D", later=""),
            *(
                Way("POST", fault, "Q", profiles="D")
                for fault in ("reset-applied", "500-applied", "late=1", "409")
            ),
            Way("PUT DELETE", "!lagging", "Q"),
        ),
    ),
    "F35": MatrixRow(
        "unknown parts and fields", "OK OK OK OK OK OK", (Way(ALL, "!odd", "OK"),)
    ),
    "F36": MatrixRow(
        "a bomb: gzip, size, depth, NaN",
        "S S Q Q Q S",
        (
            *each(
                "LIST GET TOKEN",
                "S",
                "gzip=17",
                "deep",
                "nan",
                "huge=17",
                when="always",
            ),
            *unknown("gzip=17", "deep", "nan", "gzip-applied=17"),
        ),
    ),
    "F37": MatrixRow(
        "an invalid certificate",
        "S S S S S S",
        each(ALL, "S", "!bad-certificate"),
        "tests/hostile",
    ),
    "F38": MatrixRow(
        "the time of day jumps",
        "OK OK OK OK OK OK",
        each(ALL, "OK", "!day-later+429=date", "!day-earlier+429=date"),
    ),
    "F39": MatrixRow(
        "SIGKILL before it is sent",
        "C C C C C C",
        each(ALL, "C", "!killed-before"),
        "tests/crash",
    ),
    "F40": MatrixRow(
        "SIGKILL after commit",
        "C C C C C C",
        each(ALL, "C", "!killed-after"),
        "tests/crash",
    ),
    "F41": MatrixRow(
        "SIGINT, SIGTERM",
        "OK OK OK OK OK OK",
        each(ALL, "OK", "!stopped"),
        "tests/crash",
    ),
    "F42": MatrixRow(
        "a user edits, deletes, clones during the run",
        "R R Q Q Q -",
        (
            *each("LIST", "R", "!edits", "!deletes", "!clones"),
            *each("GET", "R", "edit", "remove", "clone"),
            *each("POST", "Q", "!edits", "!deletes", "!clones"),
            *each("PUT", "Q", "edit", "remove", "clone"),
            *each("DELETE", "Q", "edit", "remove"),
            Way("DELETE", "clone", "Q", profiles="ACE", apart=CLONED),
        ),
    ),
    "F43": MatrixRow(
        "a second applier in between",
        "OK OK Q Q Q OK",
        (
            Way("LIST GET TOKEN", "!second", "OK", extra="CD"),
            Way(WRITES, "!second", "Q", extra="CD"),
        ),
    ),
    "F44": MatrixRow(
        "disk full, read-only, journal broken",
        "OK OK OK OK OK OK",
        elsewhere="tests/crash",
    ),
    "F45": MatrixRow(
        "stdout closed, a flood of log, another locale",
        "OK OK OK OK OK OK",
        elsewhere="tests/crash",
    ),
}
"""All 45 rows."""
