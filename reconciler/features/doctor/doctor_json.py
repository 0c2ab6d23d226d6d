"""The JSON that `cxroute doctor` prints."""

from reconciler.core.model.check import CheckStatus
from reconciler.core.plan.plan_json import ClosedPart


class CheckJson(ClosedPart):
    """The result of one check, and what to do."""

    name: str
    status: CheckStatus
    message: str
    advice: str | None


class DoctorJson(ClosedPart):
    """The results of `cxroute doctor`."""

    environment: str
    ok: bool
    checks: list[CheckJson]
    simulated: bool
