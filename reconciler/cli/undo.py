"""The run that `--undo` names, as the commands see it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from reconciler.core.desired.desired import DesiredState
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.finding import Finding
from reconciler.core.plan.stages import Changes, LiveState, PlanOptions


class Undo(Protocol):
    """A recorded run to undo: its rules replace those of the manifests.

    The hook `journal` finds it for `plan --undo` and `apply --undo`, and when a saved plan undoes
    a run.
    """

    @property
    def run_id(self) -> str:
        """Return the name of the run."""

    @property
    def journal(self) -> str | None:
        """Return the value of `--journal`, which a further command repeats."""

    def target(
        self,
        manifests: Manifests,
        environment: Environment,
        options: PlanOptions,
        live: LiveState,
    ) -> tuple[DesiredState, Callable[[Changes], Sequence[Finding]]]:
        """Return the rules that undo the run, and a function that returns a plan's warnings.

        Raises RefusedError and UsageError.
        """

    def hints(self, plan: Changes) -> Iterator[str]:
        """Yield the sentences below the report of an apply: what reverts the undo."""
