"""The rules of an Environment as a list: those of its manifests, of a file, or live ones that were
read before. Nothing here contacts a tenant.
"""

from collections.abc import Iterable
from typing import NamedTuple

from reconciler.cli.command_line import expected_queues
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.desired.desired import desire_offline, endpoint_stage
from reconciler.core.errors import RefusedError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.rule import Queue
from reconciler.core.plan.routing_table import desired_entries, live_entries
from reconciler.core.plan.stages import LiveState
from reconciler.core.rule_json import RulesFile
from reconciler.core.target import form_of, target_of
from reconciler.render.text.explain import DisplayNames


def rules_of(
    manifests: Manifests, environment: Environment, live: LiveState | None = None
) -> tuple[tuple[RoutingEntry, ...], DisplayNames]:
    """Return the rules of the manifests, or all live rules, and the names to show.

    Raises ManifestError.
    """
    name = environment.name
    desired, queues = desire_offline(manifests, environment)
    if live is None:
        title = f"the manifests of {name}"
        names = DisplayNames(title, queues.names, desired.labels)
        return desired_entries(desired), names
    queue_names = {queue.id: queue.name for queue in live.queues}
    names = DisplayNames(f"the live rules of {name}", queue_names, desired.labels)
    return live_entries(live.rules, desired), names


class FileState(NamedTuple):
    """The rules and queues of a file in place of the tenant.

    `assumed` are the queues of `live` that the file does not list and the manifests name; None for
    a file that lists its queues.
    """

    live: LiveState
    assumed: tuple[Queue, ...] | None


def read_file_state(
    path: str, manifests: Manifests, environment: Environment
) -> FileState:
    """Return what a file has in place of the tenant.

    Raises UsageError for a file that cannot be read, and RefusedError for rules that are read in
    another way than the manifests say.
    """
    export = target_of(environment).read_file(path, environment)
    state = file_state(export, manifests, environment)
    refuse_other_reading(manifests, environment, state.live)
    return state


def file_state(
    export: RulesFile, manifests: Manifests, environment: Environment
) -> FileState:
    """Return the rules and queues of a file that was read. Raises ManifestError."""
    listed = tuple(Queue(*pair) for pair in sorted(export.queues.items()))
    assumed = None
    if not export.lists_queues:
        assumed = tuple(unlisted_queues(manifests, environment, listed))
    queues = (*listed, *(assumed or ()))
    live = LiveState(export.rules, queues, settings=export.settings)
    return FileState(live, assumed)


def unlisted_queues(
    manifests: Manifests, environment: Environment, queues: Iterable[Queue]
) -> list[Queue]:
    """Return the queues of the manifests whose name and id none of these queues has.

    Raises ManifestError.
    """
    listed = tuple(queues)
    names = {queue.name for queue in listed}
    ids = {queue.id for queue in listed}
    return [
        queue
        for queue in expected_queues(manifests, environment.name)
        if queue.name not in names and queue.id not in ids
    ]


def refuse_other_reading(
    manifests: Manifests, environment: Environment, live: LiveState
) -> None:
    """Raise RefusedError if live rules are read in another way than the manifests say: what they
    do to a conversation is then not known here.
    """
    stage = endpoint_stage(manifests, environment)
    desired = form_of(environment).table_settings(manifests, stage)
    if not live.is_read_like(desired):
        name = environment.name
        raise RefusedError(
            f"the live rules of {name} read other attributes of the bot, or are tried in another "
            f"order, than the manifests say. See `cxroute drift -e {name}`"
        )
