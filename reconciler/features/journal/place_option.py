"""The journal of a command: that of --journal, then $CXROUTE_JOURNAL, then the Environment's, then
a file here.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from reconciler.cli.files import JOURNAL, ignored_by_git
from reconciler.cli.hooks import journal_copies
from reconciler.core.errors import ManifestError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import load_environment, load_manifests
from reconciler.features.journal.places import (
    JournalFile,
    JournalPlace,
    parse_place,
    parse_shared_place,
)

VARIABLE: Final = "CXROUTE_JOURNAL"
DEFAULT_VARIABLE: Final = (
    "CXROUTE_JOURNAL_DEFAULT"  # in place of .cxroute/journal.jsonl, for pipelines
)


def journal_place(
    option: str | None, environment: Environment | None = None
) -> JournalPlace:
    """Return the journal of an environment.

    Raises UsageError for an address that cannot be used.
    """
    if chosen := option or os.environ.get(VARIABLE):
        return parse_place(chosen)
    if environment is not None and environment.journal is not None:
        return parse_shared_place(environment.journal)
    return JournalFile(Path(os.environ.get(DEFAULT_VARIABLE) or JOURNAL))


def prepared_place(environment: Environment) -> JournalPlace:
    """Return the journal for a new run; the folder `.cxroute` is hidden from git."""
    place = journal_place(None, environment)
    if isinstance(place, JournalFile):
        ignored_by_git(place.path)
    return place


def list_places(
    option: str | None,
    directory: str,
    name: str | None,
) -> list[JournalPlace]:
    """Return the journals of one environment, or without a name those of all. Raises UsageError."""
    places = [
        journal_place(option, environment)
        for environment in _environments(directory, name)
    ]
    places.append(journal_place(option))
    return list(dict.fromkeys(places))


def _environments(directory: str, name: str | None) -> Iterator[Environment]:
    """Yield the environments whose journals count; invalid manifests have none, and do not hide the
    journal here.
    """
    with suppress(ManifestError):
        path = Path(directory)
        manifests = load_environment(path, name) if name else load_manifests(path)
        for loaded in manifests.environments.values():
            if name in (None, loaded.document.name):
                yield loaded.document


def remote_advice(places: Iterable[JournalPlace]) -> str:
    """Return how to get the runs that are not in a journal of this machine, for the forge of this
    repository.
    """
    if any(not isinstance(place, JournalFile) for place in places):
        return ""
    copies = journal_copies()
    if not copies:
        advice = (
            "Runs of another machine are in its journal: copy that file, and set --journal "
            "FILE"
        )
        return f"{advice}; `journal:` in the Environment lets all machines share one."
    texts = " or ".join(copies)
    return f"A run of a pipeline is in its artifact: {texts}. Then set --journal FILE."
