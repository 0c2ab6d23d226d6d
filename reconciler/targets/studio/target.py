"""The target `studio`: rules in a managed block of a Studio script."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from reconciler.core.plugins import QueueSources
from reconciler.core.text.json_values import find_member
from reconciler.targets.studio.settings import Studio

if (
    TYPE_CHECKING
):  # loads the analysis and the network, which an Environment alone does not need
    from reconciler.core.manifest.kinds.environment import Environment
    from reconciler.core.model.check import CheckResult
    from reconciler.core.rule_json import RulesFile
    from reconciler.core.target import Access, SimulatedTenant, Surroundings
    from reconciler.targets.studio.client import StudioClient, StudioReadingClient
    from reconciler.targets.studio.form import BlockForm


_SOURCES: Final = {
    "id": QueueSources(
        ("acd-skills",), "the script assigns the number of a skill (`result.as: id`)"
    ),
    "name": QueueSources(
        ("acd-skills", "digital"),
        "a script sends conversations to skills, or to digital routing queues",
    ),
    "routing-queue": QueueSources(
        ("digital",),
        "the script assigns the id of a digital routing queue (`result.as: routing-queue`)",
    ),
}
"""By the form in which the script's variable holds a skill."""


class StudioTarget:
    """The rules of an Environment are the cases of a block in one action of a Studio script."""

    name: Final = "studio"
    settings: Final = Studio
    settings_help: Final = "The script of `rules: studio`."
    settings_example: Final = {"script": "Bot\\Hand-over"}
    uses_platform: Final = True
    file_hint: Final = "a rule looks changed if the file has only the id of its queue"

    def queue_sources(self, own: object) -> QueueSources:
        """Return the lists of queues whose ids, or names, the script can assign."""
        if own is None:
            return _SOURCES["name"]
        form = find_member(own, "result.as")
        return _SOURCES.get(str(form or "id"), _SOURCES["name"])

    def form(self, environment: "Environment") -> "BlockForm":
        """Return the form of the block of an Environment."""
        from reconciler.targets.studio.form import BlockForm  # noqa: PLC0415 - see above
        from reconciler.targets.studio.place import block_layout  # noqa: PLC0415 - see above

        return BlockForm(block_layout(environment))

    def read_file(self, path: str, environment: "Environment") -> "RulesFile":
        """Return the rules of a script's JSON or XML, or of a snippet. Raises UsageError."""
        from reconciler.targets.studio.block_rules import read_block_file  # noqa: PLC0415 - see above
        from reconciler.targets.studio.place import block_layout  # noqa: PLC0415 - see above

        return read_block_file(path, block_layout(environment))

    @asynccontextmanager
    async def open(
        self,
        surroundings: "Surroundings",
        access: "Access",
    ) -> "AsyncIterator[StudioReadingClient | StudioClient]":
        """Open the script: the source is a RuleTable with "write"."""
        from reconciler.targets.studio.client import (  # noqa: PLC0415 - loads the network
            StudioClient,
            StudioReadingClient,
        )
        from reconciler.targets.studio.place import studio_script  # noqa: PLC0415 - see above

        client = StudioClient if access == "write" else StudioReadingClient
        script = studio_script(surroundings.environment)
        async with surroundings.connect(access) as connection:
            yield client(*connection, script=script)

    async def examine(
        self,
        surroundings: "Surroundings",
        lines: "list[CheckResult]",
        expected: "Callable[[], Sequence[str]]",
    ) -> None:
        """Check the login, the script and its block, and the skills."""
        from reconciler.targets.platform.diagnosis.probe import Probe  # noqa: PLC0415 - see above
        from reconciler.targets.studio.examination import StudioExamination  # noqa: PLC0415 - see above
        from reconciler.targets.studio.place import studio_script  # noqa: PLC0415 - see above

        environment = surroundings.environment
        async with surroundings.connect("read") as connection:
            examination = StudioExamination(
                environment=environment,
                tenant=connection.tenant,
                variables=connection.credentials.variables,
                lines=lines,
                script=studio_script(environment),
            )
            await examination.answers(Probe(*connection[:4]), expected)

    def untried(self, environment: "Environment") -> "Sequence[str]":
        """Return what only a save can check."""
        del environment
        return ("locking and saving the script",)

    def prepare(self, environment: "Environment", tenant: "SimulatedTenant") -> None:
        """Add the script with an empty block, if it is missing."""
        from reconciler.targets.studio.place import studio_settings  # noqa: PLC0415 - see above

        settings = studio_settings(environment)
        if not tenant.current_script(settings.script):
            block = f"{environment.owner}/{settings.block}"
            tenant.add_script(settings.script, block=block)


TARGET: Final = StudioTarget()
