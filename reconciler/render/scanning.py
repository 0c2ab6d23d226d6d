"""Findings for other programs: as SARIF 2.1.0, and as the code quality report that GitLab shows in
a merge request.
"""

import re
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Final
from urllib.parse import quote

from reconciler.core.model.finding import CODES, Document, Finding
from reconciler.core.text.escape import (
    escape_invisible,
    pluralize,
    sanitize,
    sanitize_message,
)
from reconciler.version import __version__

MAX_RESULTS: Final = 5000  # GitHub shows at most 5,000 results of one run
_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS: Final = {"error": "error", "warning": "warning", "info": "note"}
_QUALITY_SEVERITIES: Final = {"error": "critical", "warning": "minor", "info": "info"}
_INDEXES: Final = {code: index for index, code in enumerate(CODES)}
_BRACES: Final = str.maketrans({"{": "{{", "}": "}}"})
_LINKS: Final = str.maketrans({"\\": "\\\\", "[": "\\[", "]": "\\]"})


def findings_to_sarif(findings: Sequence[Finding]) -> Document:
    """Return the log of a complete run, worst results first.

    Files are paths from the repository's root.
    """
    pairs = _fingerprint_findings(findings)
    results = [
        _result(finding, fingerprint) for finding, fingerprint in pairs[:MAX_RESULTS]
    ]
    invocation: Document = {"executionSuccessful": True}
    if len(pairs) > MAX_RESULTS:
        cut = f"Only the worst {MAX_RESULTS:,} of {pluralize(len(pairs), 'finding')} are here."
        invocation["toolExecutionNotifications"] = [_notification("warning", cut)]
    return _log(results, invocation)


def code_quality_report(findings: Sequence[Finding], folder: str) -> list[Document]:
    """Return the entries, worst findings first.

    Files are paths from the root; `folder` is for others.
    """
    pairs = _fingerprint_findings(findings)[:MAX_RESULTS]
    return [
        _quality_entry(finding, fingerprint, folder) for finding, fingerprint in pairs
    ]


def _quality_entry(finding: Finding, fingerprint: str, folder: str) -> Document:
    title = f"{CODES[finding.code].title}: " if finding.code in CODES else ""
    hint = f" ({sanitize_message(finding.hint)})" if finding.hint else ""
    path, line = (
        (finding.source.file, finding.source.line) if finding.source else (folder, 1)
    )
    return {
        "description": f"{title}{sanitize_message(finding.message)}{hint}",
        "check_name": finding.code,
        "fingerprint": fingerprint,
        "severity": _QUALITY_SEVERITIES[finding.severity],
        "location": {"path": escape_invisible(path), "lines": {"begin": line}},
    }


def _fingerprint_findings(findings: Sequence[Finding]) -> list[tuple[Finding, str]]:
    """Return each single finding with its fingerprint, worst first; no two fingerprints are
    equal.
    """
    pairs = []
    counts = Counter[str]()
    for finding in (occurrence for each in findings for occurrence in each.occurrences):
        # The fingerprint is stable when lines are added: it has no line number; equal findings are
        # counted.
        source = finding.source
        marked = finding.excerpt[source.column - 1 :][: finding.span] if source else ""
        line = (source.file if source else "", finding.excerpt.strip())
        identity = (
            finding.code,
            *((str(finding.address),) if finding.address else line),
            marked,
        )
        digest = sha256(
            "\0".join(identity).encode("utf-8", "surrogatepass")
        ).hexdigest()[:32]
        counts[digest] += 1
        pairs.append((finding, f"{digest}:{counts[digest]}"))
    return sorted(pairs, key=lambda pair: list(_LEVELS).index(pair[0].severity))


def failure_to_sarif(message: str) -> Document:
    """Return the log of a failed run, with the reason."""
    return _log(
        [],
        {
            "executionSuccessful": False,
            "toolExecutionNotifications": [_notification("error", message)],
        },
    )


def _log(results: list[Document], invocation: Document) -> Document:
    rules = [
        {
            "id": name,
            "shortDescription": {"text": _text(code.title)},
            "fullDescription": {"text": _text(code.text)},
            "help": {
                "text": _text(f"{code.text}\n`cxroute explain {name}` says this too.")
            },
        }
        for name, code in CODES.items()
    ]
    driver = {
        "name": "cxroute",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": rules,
    }
    # Columns count characters; SARIF's default is UTF-16.
    tool = {
        "tool": {"driver": driver},
        "invocations": [invocation],
        "columnKind": "unicodeCodePoints",
    }
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [{**tool, "results": results}],
    }


def _result(finding: Finding, fingerprint: str) -> Document:
    message = sanitize_message(finding.message)
    if finding.hint:
        message = f"{message} ({sanitize_message(finding.hint)})"
    location = _location(finding)
    result: Document = {
        "ruleId": finding.code,
        "level": _LEVELS[finding.severity],
        "message": {"text": _text(message)},
        "locations": [location] if location else [],
        # Not `primaryLocationLineHash`: GitHub's upload computes that one, and warns about a
        # different value.
        "partialFingerprints": {"cxroute/v1": fingerprint},
    }
    if finding.code in _INDEXES:
        result["ruleIndex"] = _INDEXES[finding.code]
    if finding.acknowledged:
        result["suppressions"] = [
            {"kind": "inSource", "justification": sanitize(finding.acknowledged)}
        ]
    return result


def _location(finding: Finding) -> Document:
    location: Document = {}
    source = finding.source
    if source:
        region = {
            "startLine": source.line,
            "startColumn": source.column,
            "endLine": source.line,
            "endColumn": source.column + finding.span,
        }
        # A colon is encoded too: in a first step it would end a scheme. A URI cannot contain what
        # is not Unicode.
        uri = quote(source.file, safe="/", errors="replace")
        artifact = {"uri": f"file://{uri}" if uri.startswith("/") else uri}
        location["physicalLocation"] = {"artifactLocation": artifact, "region": region}
    if finding.address:
        location["logicalLocations"] = [{"fullyQualifiedName": str(finding.address)}]
    return location


def _notification(level: str, text: str) -> Document:
    message = {"text": _text(sanitize(text))}
    return {"level": level, "message": message}


def _text(text: str) -> str:
    """Return a text for a SARIF message: braces would be placeholders, `[a](b)` a link (sections
    3.11.5, 6).
    """
    return (text.translate(_LINKS) if re.search(r"\]\(", text) else text).translate(
        _BRACES
    )
