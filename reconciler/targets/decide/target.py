"""The target `served`: rules as the published table of a decision service."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from reconciler.core.plugins import QueueSources
from reconciler.targets.decide.settings import Served

if (
    TYPE_CHECKING
):  # loads the analysis and the network, which an Environment alone does not need
    from reconciler.core.manifest.kinds.environment import Environment
    from reconciler.core.model.check import CheckResult
    from reconciler.core.model.rule import Queue
    from reconciler.core.rule_json import RulesFile
    from reconciler.core.target import Access, SimulatedTenant, Surroundings
    from reconciler.targets.decide.client import (
        ListQueues,
        ServicePublisher,
        ServiceReader,
    )
    from reconciler.targets.decide.form import TableForm


class ServedTarget:
    """The rules of an Environment are the table that its decision service decides by."""

    name: Final = "served"
    settings: Final = Served
    settings_help: Final = "The decision service of `rules: served`."
    settings_example: Final = {"url": "https://routing.acme.example"}
    uses_platform: Final = False
    file_hint: Final = (
        "save the response to GET /rules of the service, which has `queues`"
    )

    def queue_sources(self, own: object) -> QueueSources:
        """Return no limit."""
        del own
        return QueueSources()

    def form(self, environment: "Environment") -> "TableForm":
        """Return the form of the table of an Environment."""
        from reconciler.targets.decide.form import TableForm  # noqa: PLC0415 - loads the analysis

        return TableForm.of(served_settings(environment), environment.api.evaluation)

    def read_file(self, path: str, environment: "Environment") -> "RulesFile":
        """Return the rules of a saved response to GET /rules, or of a list of rules. Raises
        UsageError.
        """
        from reconciler.targets.decide.table_file import read_table_file  # noqa: PLC0415 - see above

        del environment
        return read_table_file(path)

    @asynccontextmanager
    async def open(
        self, surroundings: "Surroundings", access: "Access"
    ) -> "AsyncIterator[ServiceReader | ServicePublisher]":
        """Open the service: the source is a RuleTable with "write"."""
        from reconciler.targets.decide.client import (  # noqa: PLC0415 - loads the network
            ServicePublisher,
            ServiceReader,
        )

        served = served_settings(surroundings.environment)
        async with AsyncExitStack() as stack:
            list_queues = await _queue_source(surroundings, stack)
            connection = await stack.enter_async_context(
                surroundings.connect_service(served.url, served.key_env, access)
            )
            if access == "write":
                author = surroundings.author()
                yield ServicePublisher(connection, list_queues, author)
            else:
                yield ServiceReader(connection, list_queues)

    async def examine(
        self,
        surroundings: "Surroundings",
        lines: "list[CheckResult]",
        expected: "Callable[[], Sequence[str]]",
    ) -> None:
        """Check the service, its table and its key, and the queues."""
        from reconciler.targets.decide.examination import examine_service  # noqa: PLC0415 - see above

        async with self.open(surroundings, "read") as source:
            await examine_service(source, lines, expected)

    def untried(self, environment: "Environment") -> "Sequence[str]":
        """Return what only a publication can check."""
        del environment
        return ("whether the key may publish", "and the tenant's script")

    def prepare(self, environment: "Environment", tenant: "SimulatedTenant") -> None:
        """Do nothing: the first publication needs no table."""
        del environment, tenant


async def _queue_source(
    surroundings: "Surroundings", stack: AsyncExitStack
) -> "ListQueues":
    """Return the function that lists the queues: the tenant's, or those of the manifests."""
    if surroundings.has_tenant:
        from reconciler.targets.platform.client import PlatformClient  # noqa: PLC0415 - see above

        connection = await stack.enter_async_context(surroundings.connect("read"))
        client = PlatformClient(*connection)

        async def tenant_queues(published: "Mapping[str, str]") -> "tuple[Queue, ...]":
            del published  # what the tenant does not list does not exist
            return await client.queues()

        return tenant_queues

    async def stated_queues(published: "Mapping[str, str]") -> "tuple[Queue, ...]":
        from reconciler.core.model.rule import Queue  # noqa: PLC0415 - see above

        stated = surroundings.expected_queues()
        ids = {queue.id for queue in stated}
        further = (Queue(*pair) for pair in published.items() if pair[0] not in ids)
        return (*stated, *further)

    return stated_queues


def served_settings(environment: "Environment") -> Served:
    """Return the settings of an Environment with `rules: served`."""
    served = environment.api.target_settings
    assert isinstance(served, Served)  # noqa: S101 - the Environment's model requires it
    return served


TARGET: Final = ServedTarget()
