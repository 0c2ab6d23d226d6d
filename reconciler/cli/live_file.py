"""Live rules from a JSON file in the tenant's place: no access, no credentials, no network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.cli.environments.choose import expected_queues
from reconciler.cxone.rules_file import MAX_FILE_BYTES, RulesFile, read_rules_file
from reconciler.errors import UsageError
from reconciler.model.finding import Finding
from reconciler.model.rule import Queue
from reconciler.plan.plan import LiveState
from reconciler.text.escape import pluralize, sanitize
from reconciler.text.files import read_start

if TYPE_CHECKING:
    import argparse

    from reconciler.cli.session import Session


_UNLISTED: Final = (
    "a rule whose queue the file knows by its id alone looks changed: put `queues`, each with id and name,"
    " beside `rules`"
)


@dataclass(frozen=True, slots=True)
class LiveFile:
    """What a file has of a tenant, and what is to be known of that."""

    name: str
    live: LiveState
    finding: Finding

    @property
    def head(self) -> str:
        """Return what stands above a plan: that no tenant was asked."""
        return f"No tenant was contacted: what is live is what {self.name} says.\n"


def options(parser: argparse.ArgumentParser) -> None:
    """Add the option of plan and export that names such a file."""
    parser.add_argument(
        "--live",
        metavar="FILE",
        help="rules, and queues, of a JSON file in the API's form, in place of the tenant's: needs no access to it",
    )


def check(options: argparse.Namespace) -> None:
    """Refuse a file where several environments are asked for. Raises UsageError."""
    if options.live is not None:
        raise UsageError("--live is one tenant's rules: say -e with the name of one environment")


def with_live(session: Session, path: str | None) -> Session:
    """Return the session with what a file says in the tenant's place, where one is named. Raises UsageError."""
    if path is None:
        return session
    export, name = load(path), sanitize(Path(path).name)
    said = f"what is live is what {name} says, and no tenant was asked; apply reads the tenant itself"
    queues = tuple(Queue(*pair) for pair in sorted(export.queues.items()))
    if not export.lists_queues:
        assumed = _assumed(session, queues)
        queues += assumed
        said += f". It does not list the queues: {pluralize(len(assumed), 'queue')} of the manifests taken to be there"
    hint = "" if export.lists_queues else _UNLISTED
    finding = Finding(code="CXR320", severity="warning", message=said, hint=hint)
    return replace(session, file=LiveFile(name, LiveState(export.rules, queues), finding))


def load(path: str) -> RulesFile:
    """Read a file of rules. Raises UsageError."""
    try:
        data = read_start(path, MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {sanitize(path)}: {error.strerror}") from None
    return read_rules_file(data, sanitize(path))


def _assumed(session: Session, known: tuple[Queue, ...]) -> tuple[Queue, ...]:
    """Return the queues that the manifests name and the file does not, as if they were live. Raises ManifestError."""
    names, ids = ({queue.name for queue in known}, {queue.id for queue in known})
    expected = expected_queues(session.manifests, session.environment.name)
    return tuple(queue for queue in expected if queue.name not in names and queue.id not in ids)
