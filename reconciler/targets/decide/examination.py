"""The checks of a decision service, for `cxroute doctor`."""

from collections.abc import Callable, Sequence

from reconciler.core.errors import ApiError
from reconciler.core.model.check import CheckResult
from reconciler.core.text.escape import join_first, pluralize
from reconciler.targets.decide.client import ServiceReader

_MAX_NAMES = 5


async def examine_service(
    source: ServiceReader,
    lines: list[CheckResult],
    expected: Callable[[], Sequence[str]],
) -> None:
    """Add a line on the published table and one on the queues."""
    try:
        rules = await source.rules()
    except ApiError as error:
        lines.append(
            CheckResult(
                "service",
                "fail",
                str(error),
                "Start it with `cxroute serve --decide`, or correct `served` of the Environment",
            )
        )
        return
    save = await source.last_save()
    message = "it has no table yet: `cxroute apply` publishes the first one"
    if save is not None:
        by = f" by {save.by}" if save.by else ""
        message = f"{pluralize(len(rules), 'rule')}, published {save.at}{by}"
    lines.append(CheckResult("service", "ok", message))

    names = {queue.name for queue in await source.queues()}
    missing = [name for name in expected() if name not in names]
    if missing:
        text = f"not found: {join_first(missing, _MAX_NAMES)}"
        advice = (
            "Correct the names in the manifests, or the aliases in a Queues document"
        )
        lines.append(CheckResult("queues", "fail", text, advice))
        return
    lines.append(CheckResult("queues", "ok", pluralize(len(names), "queue")))
