"""`cxroute cognigy intents`: reads the bot, and writes its Intents document or compares it with the
manifests.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from reconciler.cli.clients import open_rest_client, read_secret
from reconciler.cli.command_line import run_time, tested_environments, utc_now
from reconciler.cli.files import write_text
from reconciler.cli.output import Output
from reconciler.core.errors import CxrouteError, UsageError
from reconciler.core.manifest.load import load_contents, load_manifests
from reconciler.core.manifest.yaml_reader import MAX_FILE_BYTES
from reconciler.core.text.escape import join_first, pluralize, quote_name, sanitize
from reconciler.core.text.hosts import request_url
from reconciler.core.text.redact import REDACTOR
from reconciler.features.cognigy import API
from reconciler.features.cognigy.bot import Bot
from reconciler.features.cognigy.check import check_bot, check_lines
from reconciler.features.cognigy.document import (
    NameChanges,
    head_line,
    new_document,
    update_document,
)
from reconciler.features.cognigy.options import CognigyOptions
from reconciler.features.cognigy.sources import (
    DIALECT,
    read_bot,
    read_limited,
    read_project,
)

_WAIT_BUDGET: Final = 600.0  # seconds: the API allows 1,000 requests in five minutes
_MAX_LISTED: Final = 20
_DIFFERENT: Final = 2


def run_intents(options: CognigyOptions, output: Output) -> int:
    """Run the task and return its exit code. Raises CxrouteError."""
    if (options.source is None) == (options.project is None):
        raise UsageError("cognigy intents needs one of --from PATH and --project ID")
    if options.source is not None and options.url is not None:
        raise UsageError(
            "--url goes with --project ID: a folder or a file is read without a network"
        )
    if options.format and not options.check:
        raise UsageError("--format goes with --check")
    bot, origin = _read_bot(options)
    output.note(f"{pluralize(len(bot.intents), 'intent')} from {sanitize(origin)}")
    excluded = [f"{quote_name(each.name)} ({each.exclusion})" for each in bot.excluded]
    _note_list("left out", excluded, output)
    if options.check:
        return _check(bot, options, output)
    head = head_line(origin, f"{utc_now():%Y-%m-%d %H:%M} UTC")
    _write(bot, head, options, output)
    return 0


def _read_bot(options: CognigyOptions) -> tuple[Bot, str]:
    """Return the bot, and where it came from."""
    if options.project is not None:
        return _fetch_bot(options.project, options.url or API)
    source = options.source or ""
    return read_bot(Path(source)), source


def _fetch_bot(project: str, url: str) -> tuple[Bot, str]:
    """Return the bot of a project, and where it came from."""
    parts = request_url(url)
    base = f"{url.rstrip('/')}/v2.0" if parts and not parts.path.strip("/") else url
    read_key = partial(read_secret, purpose="API key of Cognigy")
    with open_rest_client(DIALECT, "--url", base, read_key) as client:
        client.wait_budget = _WAIT_BUDGET
        bot = read_project(client, project)
        return bot, f"project {project} at {client.base}"


def _note_list(title: str, intents: Sequence[str], output: Output) -> None:
    if not intents:
        return
    limit = len(intents) if output.loudness == "verbose" else _MAX_LISTED
    names = join_first(intents, limit)
    output.note(f"{pluralize(len(intents), 'intent')} {title}: {names}")


def _write(bot: Bot, head: str, options: CognigyOptions, output: Output) -> None:
    """Print, write or edit the document; removed intents are named before."""
    if options.into is None:
        output.file_text(new_document(bot, head))
        return
    path = Path(options.into)
    place = sanitize(options.into)
    if path.exists():
        before = read_limited(path, MAX_FILE_BYTES)
    else:
        before = new_document(bot, head).encode()
    after, changes = update_document(before, place, bot, head, {options.none})
    _note_changes(changes, output)
    if path.exists() and after == before:
        output.note(f"{place} is up to date")
        return
    if REDACTOR.redact(after.decode()) != after.decode():
        raise CxrouteError(
            "nothing was written: a text of the bot contains a secret, such as the API key"
        )
    write_text(path, after)
    output.note(f"wrote {place}")


def _note_changes(changes: NameChanges, output: Output) -> None:
    if changes.removed:
        removed = ", ".join(map(quote_name, changes.removed))
        output.warn(f"removed, because the bot does not have them: {removed}")
    renamed = [
        f"{quote_name(old)} to {quote_name(new)}"
        for old, new in changes.renamed.items()
    ]
    _note_list("renamed", renamed, output)
    _note_list("added", list(map(quote_name, changes.added)), output)


def _check(bot: Bot, options: CognigyOptions, output: Output) -> int:
    """Print the differences from the manifests, and return the exit code."""
    manifests = load_manifests(Path(options.manifests), run_time(options))
    documents = manifests.intents
    into = options.into
    if into is not None:
        contents = []
        if Path(into).exists():
            contents.append((into, read_limited(Path(into), MAX_FILE_BYTES)))
        documents = load_contents(contents).intents
    chosen = tested_environments(manifests, options.environment)
    check = check_bot(bot, manifests, chosen, documents, {options.none})
    if output.form == "json":
        excluded = [
            {"name": each.name, "reason": each.exclusion} for each in bot.excluded
        ]
        output.document({"intents": len(bot.intents), "excluded": excluded, **check})
    else:
        limit = sys.maxsize if output.loudness == "verbose" else _MAX_LISTED
        lines = check_lines(check, limit)
        output.result("".join(f"{line}\n" for line in lines))
    return _DIFFERENT if check["differs"] else 0
