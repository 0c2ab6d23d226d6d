"""Traffic samples that are refused, and all their errors."""

from __future__ import annotations

_NONE = (
    "the file contains no conversations; write a row for each conversation, or their number in the "
    "column `count`"
)
_TWICE = " (double a quote inside)"
WRONG: dict[str, tuple[bytes, str]] = {
    "empty": (
        b"",
        (
            "1:1: error[CXR230]: the traffic sample is empty; write the names of the columns in the "
            "first row"
        ),
    ),
    "separators": (
        b",,\n\n",
        (
            "1:1: error[CXR230]: the traffic sample is empty; write the names of the columns in the "
            "first row"
        ),
    ),
    "large": (
        b"x" * 5_242_881,
        "1:1: error[CXR230]: the traffic sample is larger than 5 MiB; add equal rows up",
    ),
    "nul": (
        b"intent,count\na\0,1\n",
        (
            "2:2: error[CXR230]: the character U+0000 is not allowed in a traffic sample; is this a "
            "CSV file?"
        ),
    ),
    "latin": (
        b"intent,count\nzur\xfcck,1\n",
        "2:4: error[CXR001]: byte 0xfc is not UTF-8; save the file as UTF-8",
    ),
    "utf-16": (
        "intent,count\na,1\n".encode("utf-16"),
        "1:1: error[CXR001]: the file is UTF-16, not UTF-8; save it as UTF-8",
    ),
    "rows": (
        b"intent,count\n" + b"a,1\n" * 100_001,
        "100002:1: error[CXR230]: more than 100,000 rows; add equal rows up",
    ),
    "open": (
        b'intent,count\na,1\n"b,2\nc,3\n',
        "3:1: error[CXR231]: this row is not CSV: a quote is never closed",
    ),
    "quote": (
        b'intent,count\n"a"b,1\n',
        (
            f"2:1: error[CXR231]: this row is not CSV: a cell continues after its closing "
            f"quote{_TWICE}"
        ),
    ),
    "return": (
        b"intent,count\ra,1\r",
        "1:1: error[CXR231]: this row is not CSV: a carriage return inside a cell",
    ),
    "long": (
        b"x,count\n" + b"a" * 131_073 + b",1\n",
        (
            "2:1: error[CXR231]: this row is not CSV: a cell is longer than 128 KiB (is a quote "
            "missing?)"
        ),
    ),
    "near": (
        b"intent,Count\na,1\n",
        '1:1: error[CXR232]: no column "count"; if "Count" is meant, rename it',
    ),
    "alone": (
        b"count\n1\n",
        "1:1: error[CXR232]: no column for an attribute, such as intent",
    ),
    "names": (
        b"intent,,tier ,cognigyDetectedIntent,count,count\na,1\n",
        """\
1:8: error[CXR232]: column 2 has no name
1:9: error[CXR232]: column 3 has spaces around its name
1:15: error[CXR232]: a second column for "cognigyDetectedIntent"; keep one
1:43: error[CXR232]: a second column for "count"; keep one
""",
    ),
    "columns": (
        b"count" + b"".join(b",%d" % n for n in range(100)),
        "1:294: error[CXR232]: more than 100 columns",
    ),
    "cells": (
        b"intent,count\na,b,1\nc\n",
        """\
2:5: error[CXR233]: this row has more cells than the header, which has 2; put a cell that contains a separator in quotes
3:1: error[CXR233]: this row ends after 1 of 2 cells
""",
    ),
    "zero": (b"intent,count\na,0\n", f"1:1: error[CXR234]: {_NONE}"),
    "no-rows": (b"count,intent\n", f"1:1: error[CXR234]: {_NONE}"),
    "all": (
        b'intent,tier,confidence,count\n"a\nb",gold,high,x\n"c,d", e,,-1\n',
        """\
3:9: error[CXR233]: "confidence" must be empty or a number from 0 to 1, such as 0.85, not "high"
3:14: error[CXR233]: "count" must be a number, 0 or more, not "x"
4:7: error[CXR233]: "tier" has spaces around it: " e"
4:11: error[CXR233]: "count" must be a number, 0 or more, not "-1"
""",
    ),
}
