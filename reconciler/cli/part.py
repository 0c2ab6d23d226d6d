"""Where one environment among several prints: results are kept for the report, and stderr is told whose it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reconciler.cli.discretion import DISCRETION
from reconciler.cli.output import Output, error_document
from reconciler.errors import ManifestError

if TYPE_CHECKING:
    from reconciler.errors import CxrouteError


@dataclass(frozen=True, slots=True)
class Part(Output):
    """The output of one environment; `kept` is what it would have printed by itself."""

    environment: str
    kept: list[str] = field(default_factory=list)

    @classmethod
    def of_environment(cls, output: Output, environment: str) -> Part:
        """Return an environment's part of what is printed elsewhere."""
        return cls(output.colour, output.loudness, output.log_format, output.form, asks=False, environment=environment)

    def result(self, text: str) -> None:
        """Keep the result, or a part of it; secrets are taken out where it is printed."""
        self.kept.append(text)

    def document(self, form: Any) -> None:  # noqa: ANN401 - any JSON
        """Keep the environment's JSON document."""
        self.kept.append(DISCRETION.dumped(form))

    def flush(self) -> None:
        """Do nothing: nothing is printed yet."""

    def failed(self, error: CxrouteError) -> None:
        """Say why this environment failed, and keep it under `--format json`."""
        if self.form == "json":
            self.kept.clear()  # one document for each environment
            self.document({"environment": self.environment, "error": error_document(error)})
        elif isinstance(error, ManifestError):
            self._log("error", f"{error}:")
            Output.failed(self, error)
        else:
            self._log("error", str(error))

    def _log(self, level: str, text: str) -> None:
        Output._log(self, level, f"{self.environment}: {text}")  # noqa: SLF001 - no super() in a class with slots
