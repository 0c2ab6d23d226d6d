"""`cxroute cognigy intents`: reads the bot, and writes its Intents document or compares it with the manifests."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from reconciler.cli.clients import read_secret
from reconciler.cli.command_line import runs_route_tests, test_environments, utc_now
from reconciler.cli.commands.cognigy import API
from reconciler.cli.files import write_text
from reconciler.cli.output import Output
from reconciler.cli.rest_http import open_rest_http
from reconciler.cognigy.api import DIALECT, KEY_VARIABLE, read_project
from reconciler.cognigy.bot import Bot
from reconciler.cognigy.check import check_bot, check_lines, check_to_json
from reconciler.cognigy.document import NameChanges, head_line, new_document, update_document
from reconciler.cognigy.files import read_bot
from reconciler.errors import CredentialsError, CxrouteError, UsageError
from reconciler.manifest.load import load_contents, load_manifests
from reconciler.manifest.yaml_reader import MAX_FILE_BYTES
from reconciler.rest.client import RestClient
from reconciler.text.escape import join_first, pluralize, quote_name, sanitize
from reconciler.text.files import read_file
from reconciler.text.hosts import request_url
from reconciler.text.redact import REDACTOR

_WAIT_BUDGET: Final = 600.0  # seconds: the API allows 1,000 requests in five minutes
_MAX_LISTED: Final = 20
_CHANGES_PENDING: Final = 2


def run_intents(options: argparse.Namespace, output: Output) -> int:
    """Run the task and return its exit code. Raises CxrouteError."""
    if (options.source is None) == (options.project is None):
        raise UsageError("cognigy intents needs --from PATH or --project ID, one of them")
    if options.source is not None and options.url is not None:
        raise UsageError("--url goes with --project ID: a folder or a file is read without a network")
    if options.format and not options.check:
        raise UsageError("--format goes with --check")
    if options.source is not None:
        bot, origin = read_bot(Path(options.source), options.locale), options.source
    else:
        bot, origin = _read_api(options)
    _print_summary(bot, origin, output)
    if options.check:
        return _check(bot, options, output)
    head = head_line(origin, _format_time(utc_now()))
    if options.into is None:
        output.file_text(new_document(bot, head))
    else:
        _write(bot, head, options, output)
    return 0


def _read_api(options: argparse.Namespace) -> tuple[Bot, str]:
    """Return the bot of a project, and where it came from."""
    base = (options.url or API).rstrip("/")
    parts = request_url(base)
    if parts is None or parts.query or parts.fragment:
        raise UsageError("--url must be an https:// address without a query (http:// only for this machine)")
    key = read_secret(KEY_VARIABLE, "API key of Cognigy")
    REDACTOR.add(key)
    if not key.isascii() or not key.isprintable() or " " in key:
        raise CredentialsError(f"{KEY_VARIABLE} is not an API key: it has characters that a header cannot hold")
    with open_rest_http() as http:
        client = RestClient(
            dialect=DIALECT,
            http=http,
            base=base if parts.path else f"{base}/v2.0",
            authorization={"X-API-Key": key},
            wait_budget=_WAIT_BUDGET,
        )
        return read_project(client, options.project, options.locale), f"project {options.project} at {parts.netloc}"


def _format_time(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC")


def _print_summary(bot: Bot, origin: str, output: Output) -> None:
    output.note(f"{pluralize(len(bot.intents), 'intent')} from {sanitize(origin)}")
    if bot.excluded:
        named = [f"{quote_name(each.name)} ({each.exclusion})" for each in bot.excluded]
        output.note(f"{pluralize(len(named), 'intent')} left out: {_list(named, output)}")
    if bot.relabelled:
        several = _list(list(map(quote_name, bot.relabelled)), output)
        output.note(f"the first of several descriptions is the label: {several}")


def _list(items: Sequence[str], output: Output) -> str:
    return join_first(items, len(items) if output.loudness == "verbose" else _MAX_LISTED)


def _write(bot: Bot, head: str, options: argparse.Namespace, output: Output) -> None:
    """Write or edit the document, after its removed intents are named."""
    path, place = Path(options.into), sanitize(options.into)
    if not path.exists():
        write_text(path, new_document(bot, head))
        output.note(f"wrote {place}")
        return
    before = _read(path)
    after, changes = update_document(before, place, bot, head, {options.none})
    _print_changes(changes, output)
    if after == before:
        output.note(f"{place} is up to date")
        return
    write_text(path, after)
    output.note(f"edited {place}")


def _read(path: Path) -> bytes:
    try:
        return read_file(path, MAX_FILE_BYTES)
    except OSError as error:
        raise CxrouteError(f"cannot read {sanitize(str(path))}: {error.strerror}") from None


def _print_changes(changes: NameChanges, output: Output) -> None:
    if changes.removed:
        output.warn(f"removed, because the bot does not have them: {', '.join(map(quote_name, changes.removed))}")
    for old, new in changes.renamed.items():
        output.note(f"renamed: {quote_name(old)} is now {quote_name(new)}")
    if changes.added:
        output.note(f"added: {_list(list(map(quote_name, changes.added)), output)}")


def _check(bot: Bot, options: argparse.Namespace, output: Output) -> int:
    """Print the differences from the manifests, and return the exit code."""
    manifests = load_manifests(Path(options.manifests))
    documents = manifests.intents
    if options.into is not None:
        path = Path(options.into)
        documents = load_contents([(options.into, _read(path))]).intents if path.exists() else ()
    names = test_environments(manifests, options.environment)
    chosen = [name for name in names if runs_route_tests(manifests, options.environment, name)]
    # The texts of findings name intents, not labels.
    plain, environments = replace(manifests, labelled=False), [manifests.environment(name) for name in chosen]
    check = check_bot(bot, plain, environments, documents, {options.none})
    if output.form == "json":
        output.document(check_to_json(check))
    else:
        limit = len(bot.intents) + _MAX_LISTED if output.loudness == "verbose" else _MAX_LISTED
        output.result("".join(f"{line}\n" for line in check_lines(check, limit)))
    return _CHANGES_PENDING if check.differs else 0
