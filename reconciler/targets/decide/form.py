"""The form of rules in the table of a decision service."""

from dataclasses import dataclass
from typing import Any, ClassVar

from reconciler.core.behaviour.endpoint_stage import EndpointStage, TableSettings
from reconciler.core.behaviour.routing_entry import Evaluation
from reconciler.core.manifest.load import Manifests
from reconciler.core.target import ExactForm, Switches
from reconciler.targets.decide.settings import Served
from reconciler.targets.decide.table import (
    PublishedEndpoint,
    PublishedFallback,
    ServiceSettings,
)


@dataclass(frozen=True, slots=True)
class TableForm(ExactForm):
    """Each rule as it is; a publication replaces all of them, with the settings beside them."""

    answer: str
    variables: tuple[tuple[str, str], ...]
    evaluation: Evaluation
    switches: ClassVar[Switches] = "whole table"
    document: ClassVar[str] = "table"
    editor: ClassVar[str] = "the decision service"
    keeps_settings: ClassVar[bool] = True
    # the service reads texts of the confidence as numbers
    has_typed_numbers: ClassVar[bool] = True

    @classmethod
    def of(cls, served: Served, evaluation: Evaluation) -> "TableForm":
        """Return the form for the settings of an Environment."""
        return cls(served.as_, tuple(sorted(served.variables.items())), evaluation)

    def table_settings(
        self, manifests: Manifests, endpoint: EndpointStage
    ) -> TableSettings:
        """Return the endpoint, and how the service reads and answers a script."""
        stated: dict[str, Any] = endpoint.fallback.settings
        fallback = PublishedFallback(
            intent=stated["intent"],
            min_confidence=stated["minConfidence"],
            known_intents=stated["knownIntents"],
        )
        numbers = {
            name: "number"
            for name, entry in manifests.declared_attributes.items()
            if entry.type == "number"
            and name not in (endpoint.intent, endpoint.confidence)
        }
        published = PublishedEndpoint.model_validate(
            {
                "intent": endpoint.intent,
                "confidence": endpoint.confidence,
                "fallback": fallback,
                "types": numbers,
            }
        )
        settings = ServiceSettings.model_validate(
            {
                "endpoint": published,
                "evaluation": self.evaluation,
                "answer": self.answer,
                "variables": dict(self.variables),
            }
        )
        return settings.table_settings
