"""What `doctor` cannot look at, because that would be to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.cxone.writers import definition, path_of
from reconciler.diagnosis.line import Line
from reconciler.words import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.cli.session import Session
    from reconciler.manifest.environment import Environment


def untried(session: Session) -> Iterator[Line]:
    """Yield what nobody can know without writing, and what has to be there for `cxroute serve`."""
    environment = session.environment
    path = plain(path_of(environment, session.manifests.profile(environment)))
    yield from _of_writer(environment)
    said = (
        "writing (scopes routing:write, interaction:write), the path of conversations' contexts"
        f" ({path}), and which of two priorities comes first (api.evaluation: {environment.api.evaluation}):"
        " to try these would be to write"
    )
    yield Line("untried", "ok", said)


def _of_writer(environment: Environment) -> Iterator[Line]:
    names = environment.attributes
    match environment.context.writer:
        case "digital-custom-fields":
            needed = plain(definition((names.intent, names.confidence, names.updated_at)))
            said = (
                "cxroute serve sets custom fields of digital contacts; whether they are defined, only a write can tell"
            )
            yield Line("context", "ok", said, needed)
        case "voice-signal":
            by = environment.context.signal
            said = (
                f"cxroute serve signals voice contacts: intent in p{by.intent}, confidence in p{by.confidence}, time in"
                f" p{by.updated_at}; whether their script has an OnSignal that reads them, only a call can tell"
            )
            yield Line("context", "ok", said)
