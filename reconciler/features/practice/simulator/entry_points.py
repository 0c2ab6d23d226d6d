"""Where contacts begin, the tenant's limits and its custom fields, as third-party clients know them.

Only the names of the fields are known; the shape around them is a guess in the form of the other
lists.
"""

from reconciler.features.practice.simulator import messages as http
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import JsonObject, TenantState


def points_of_contact(
    state: TenantState, settings: SimulatorSettings, _request: http.SimRequest
) -> http.SimResponse:
    """GET the phone numbers; without any in the settings, one for each script."""
    points = settings.points_of_contact
    if points is None:
        paths = sorted({path for path in map(_path_of, state.scripts.values()) if path})
        points = [_point(number, path) for number, path in enumerate(paths)]
    return http.json_response(200, {"pointsOfContact": list(points)})


def _path_of(version: JsonObject) -> str:
    return str(version.get("path", ""))


def _point(number: int, path: str) -> JsonObject:
    return {
        "contactAddress": f"+1555010{number:04}",
        "scriptName": path,
        "defaultSkillId": None,
        "isActive": True,
    }


def channels(
    _state: TenantState, settings: SimulatorSettings, _request: http.SimRequest
) -> http.SimResponse:
    """GET the digital channels."""
    data = list(settings.channels)
    return http.json_response(200, {"hits": len(data), "data": data})


def business_unit(
    _state: TenantState, settings: SimulatorSettings, _request: http.SimRequest
) -> http.SimResponse:
    """GET the tenant's limits."""
    unit = {"businessUnitName": "simulated", **settings.business_unit}
    return http.json_response(200, {"businessUnits": [unit]})


def custom_field_definitions(
    _state: TenantState, settings: SimulatorSettings, _request: http.SimRequest
) -> http.SimResponse:
    """GET the definitions of custom fields."""
    data = [
        {"ident": name, "label": name, "type": "text"}
        for name in settings.custom_fields
    ]
    return http.json_response(200, {"hits": len(data), "data": data})
