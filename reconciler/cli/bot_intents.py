"""`cxroute cognigy intents`: reads the bot, and writes its Intents document or compares it with the manifests."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from reconciler.cli.clients import open_rest_http, read_secret
from reconciler.cli.command_line import runs_route_tests, test_environments, utc_now
from reconciler.cli.files import write_text
from reconciler.cli.output import Output
from reconciler.cognigy import API
from reconciler.cognigy.bot import Bot
from reconciler.cognigy.check import check_bot, check_lines
from reconciler.cognigy.document import head_line, new_document, update_document
from reconciler.cognigy.sources import DIALECT, read_bot, read_limited, read_project
from reconciler.errors import CredentialsError, CxrouteError, UsageError
from reconciler.manifest.load import load_contents, load_manifests
from reconciler.manifest.yaml_reader import MAX_FILE_BYTES
from reconciler.rest.client import RestClient
from reconciler.text.escape import join_first, pluralize, quote_name, sanitize
from reconciler.text.hosts import request_url
from reconciler.text.redact import REDACTOR

_WAIT_BUDGET: Final = 600.0  # seconds: the API allows 1,000 requests in five minutes
_MAX_LISTED: Final = 20
_DIFFERENT: Final = 2


def run_intents(options: argparse.Namespace, output: Output) -> int:
    """Run the task and return its exit code. Raises CxrouteError."""
    if (options.source is None) == (options.project is None):
        raise UsageError("cognigy intents needs one of --from PATH and --project ID")
    if options.source is not None and options.url is not None:
        raise UsageError("--url goes with --project ID: a folder or a file is read without a network")
    if options.format and not options.check:
        raise UsageError("--format goes with --check")
    if options.project is not None:
        bot, origin = _read_api(options)
    else:
        bot, origin = read_bot(Path(options.source)), options.source
    output.note(f"{pluralize(len(bot.intents), 'intent')} from {sanitize(origin)}")
    _note_list("left out", (f"{quote_name(each.name)} ({each.exclusion})" for each in bot.excluded), output)
    if options.check:
        return _check(bot, options, output)
    _write(bot, head_line(origin, f"{utc_now():%Y-%m-%d %H:%M} UTC"), options, output)
    return 0


def _read_api(options: argparse.Namespace) -> tuple[Bot, str]:
    """Return the bot of a project, and its origin."""
    base = (API if options.url is None else options.url).rstrip("/")
    parts = request_url(base)
    if parts is None or parts.query or parts.fragment:
        raise UsageError("--url must be an https:// address without a query (http:// only for this machine)")
    key = read_secret(DIALECT.token_variable, "API key of Cognigy")
    REDACTOR.add(key)
    if not key.isascii() or not key.isprintable():
        raise CredentialsError(f"{DIALECT.token_variable} has characters that no API key has; copy the key again")
    base = base if parts.path else f"{base}/v2.0"
    with open_rest_http() as http:
        client = RestClient(dialect=DIALECT, http=http, base=base, token=key, wait_budget=_WAIT_BUDGET)
        return read_project(client, options.project), f"project {options.project} at {parts.netloc}"


def _note_list(title: str, items: Iterable[str], output: Output) -> None:
    if listed := list(items):
        limit = len(listed) if output.loudness == "verbose" else _MAX_LISTED
        output.note(f"{pluralize(len(listed), 'intent')} {title}: {join_first(listed, limit)}")


def _write(bot: Bot, head: str, options: argparse.Namespace, output: Output) -> None:
    """Print, write or edit the document; removed intents are named before."""
    if options.into is None:
        output.file_text(new_document(bot, head))
        return
    path, place = Path(options.into), sanitize(options.into)
    before = read_limited(path, MAX_FILE_BYTES) if path.exists() else new_document(bot, head).encode()
    after, changes = update_document(before, place, bot, head, {options.none})
    if changes.removed:
        output.warn(f"removed, because the bot does not have them: {', '.join(map(quote_name, changes.removed))}")
    _note_list("renamed", (f"{quote_name(old)} to {quote_name(new)}" for old, new in changes.renamed.items()), output)
    _note_list("added", map(quote_name, changes.added), output)
    if path.exists() and after == before:
        output.note(f"{place} is up to date")
        return
    if REDACTOR.redact(after.decode()) != after.decode():
        raise CxrouteError("nothing was written: a text of the bot contains a secret, such as the API key")
    write_text(path, after)
    output.note(f"wrote {place}")


def _check(bot: Bot, options: argparse.Namespace, output: Output) -> int:
    """Print the differences from the manifests, and return the exit code."""
    manifests, into = load_manifests(Path(options.manifests)), options.into
    documents = manifests.intents
    if into is not None:
        contents = [(into, read_limited(Path(into), MAX_FILE_BYTES))] if Path(into).exists() else []
        documents = load_contents(contents).intents
    names = test_environments(manifests, options.environment)
    chosen = [manifests.environment(name) for name in names if runs_route_tests(manifests, options.environment, name)]
    check = check_bot(bot, manifests, chosen, documents, {options.none})
    if output.form == "json":
        excluded = [{"name": each.name, "reason": each.exclusion} for each in bot.excluded]
        output.document({"intents": len(bot.intents), "excluded": excluded, **check})
    else:
        lines = check_lines(check, sys.maxsize if output.loudness == "verbose" else _MAX_LISTED)
        output.result("".join(f"{line}\n" for line in lines))
    return _DIFFERENT if check["differs"] else 0
