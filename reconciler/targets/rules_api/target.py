"""The target `rules-api`: rules behind a REST API, by default the one that the tutorial assumes."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from reconciler.core.plugins import QueueSources

if (
    TYPE_CHECKING
):  # loads the analysis and the network, which an Environment alone does not need
    from reconciler.core.manifest.kinds.environment import Environment
    from reconciler.core.model.check import CheckResult
    from reconciler.core.rule_json import RulesFile
    from reconciler.core.target import (
        Access,
        ExactForm,
        SimulatedTenant,
        Surroundings,
    )
    from reconciler.targets.rules_api.client import ReadingClient, WritingClient


class RulesApiTarget:
    """Each rule is an object of the API. The Environment's Profile names its paths and fields."""

    name: Final = "rules-api"
    settings: Final = None
    settings_help: Final = ""
    settings_example: Final = None
    uses_platform: Final = True
    file_hint: Final = (
        "a rule looks changed if the file has only the id of its queue: add `queues`, each with "
        "id and name, next to `rules`"
    )

    def queue_sources(self, own: object) -> QueueSources:
        """Return no limit."""
        del own
        return QueueSources()

    def form(self, environment: "Environment") -> "ExactForm":
        """Return the form that keeps each rule as it is."""
        from reconciler.core.target import ExactForm  # noqa: PLC0415 - loads the analysis

        del environment
        return ExactForm()

    def read_file(self, path: str, environment: "Environment") -> "RulesFile":
        """Return the rules of a JSON file in the API's format. Raises UsageError."""
        from reconciler.core.rule_json import read_rules_file  # noqa: PLC0415 - see above

        del environment
        return read_rules_file(path)

    @asynccontextmanager
    async def open(
        self,
        surroundings: "Surroundings",
        access: "Access",
    ) -> "AsyncIterator[ReadingClient | WritingClient]":
        """Open the API: the source is a RuleStore with "write"."""
        from reconciler.targets.rules_api.client import (  # noqa: PLC0415 - loads the network
            ReadingClient,
            WritingClient,
        )

        client = WritingClient if access == "write" else ReadingClient
        async with surroundings.connect(access) as connection:
            yield client(*connection)

    async def examine(
        self,
        surroundings: "Surroundings",
        lines: "list[CheckResult]",
        expected: "Callable[[], Sequence[str]]",
    ) -> None:
        """Check the login, a page of rules and one of them, and the queues."""
        from reconciler.targets.platform.diagnosis.probe import Probe  # noqa: PLC0415 - see above
        from reconciler.targets.rules_api.examination import RulesApiExamination  # noqa: PLC0415 - see above

        async with surroundings.connect("read") as connection:
            examination = RulesApiExamination(
                environment=surroundings.environment,
                tenant=connection.tenant,
                variables=connection.credentials.variables,
                lines=lines,
            )
            await examination.answers(Probe(*connection[:4]), expected)

    def untried(self, environment: "Environment") -> "Sequence[str]":
        """Return what only a write can check."""
        order = environment.api.evaluation
        return (
            "the scopes routing:write and interaction:write",
            f"and which of two priorities comes first (api.evaluation: {order})",
        )

    def prepare(self, environment: "Environment", tenant: "SimulatedTenant") -> None:
        """Do nothing: the simulated API has no rule yet, and needs none."""
        del environment, tenant


TARGET: Final = RulesApiTarget()
