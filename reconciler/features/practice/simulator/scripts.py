"""The Scripts API of Studio, as far as third-party clients know it, and contacts that run a
script.
"""

import re
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs
from zlib import crc32

from reconciler.features.practice.simulator import messages as http
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.snippet import (
    SimSnippet,
    script_text,
    script_value,
)
from reconciler.features.practice.simulator.state import (
    JsonObject,
    TenantState,
    find_snippets,
)

_SIGNAL_VARIABLES: Final = {
    "p7": "cognigyDetectedIntent",
    "p8": "cognigyConfidence",
    "p9": "routedAt",
}
_PARTS: Final = ("header", "actions", "properties", "branches")
_SKILL: Final = re.compile(
    r"(?im)^[ \t]*(?:ASSIGN[ \t]+)?\w*skill[ \t]*=[ \t]*([1-9][0-9]*)[ \t\r]*$"
)


def read_script(
    state: TenantState,
    _settings: SimulatorSettings,
    request: http.SimRequest,
) -> http.SimResponse:
    """GET the script with a path, as JSON."""
    identity, version = _find(state, request)
    content = version["content"]
    lock = version["lock"] or {"lockedName": "", "lockedId": "", "lockedDate": ""}
    if isinstance(content, str):
        problem = http.ApiProblem("A script of Desktop Studio has no JSON")
        raise http.ApiProblemError(500, problem)
    header = content["header"] | {"masterId": identity, "lockInfo": lock}
    return http.json_response(200, content | {"header": header})


def save_script(
    state: TenantState,
    settings: SimulatorSettings,
    request: http.SimRequest,
) -> http.SimResponse:
    """POST a script; it replaces the script with its name, whatever version it was made from."""
    body = http.parse_json_body(request)
    content: Any = body.get("scriptContent") if isinstance(body, dict) else None
    path = _path_of(content)

    actions = _find_problems(state, settings, content)
    current = state.scripts.get(state.current_script(path), {})
    if settings.locks_bind and _other_holder(current, request):
        locked = [{"key": "ScriptLocked"}]
        actions["0"] = {"actionType": "BEGIN", "errors": locked, "warnings": []}
    details = _save_details(actions)
    has_errors = details["totalErrors"] > 0
    identity = ""
    status = 409
    if not has_errors:
        status = 206 if details["totalWarnings"] else 200
        identity = settings.new_id()
        state.save_script(path, content, _user(request), settings.clock(), identity)
    result = {
        "success": not has_errors,
        "masterId": identity,
        "error_code": {"details": details},
    }
    return http.json_response(status, {"results": [result]})


def _save_details(actions: JsonObject) -> JsonObject:
    errors = [len(action["errors"]) for action in actions.values()]
    warnings = [len(action["warnings"]) for action in actions.values()]
    return {
        "totalErrors": sum(errors),
        "totalWarnings": sum(warnings),
        "actions": actions,
    }


def _path_of(content: Any) -> str:  # noqa: ANN401 - any JSON
    """Return the path in a script's header. Raises ApiProblemError for other JSON."""
    is_script = isinstance(content, dict) and all(
        isinstance(content.get(part), dict) for part in _PARTS
    )
    if is_script:
        path = content["header"].get("scriptName")
        if isinstance(path, str) and path:
            return path
    problem = http.ApiProblem("is not a script", "invalid.script", "scriptContent")
    raise http.ApiProblemError(400, problem)


def lock_script(
    state: TenantState,
    settings: SimulatorSettings,
    request: http.SimRequest,
) -> http.SimResponse:
    """PUT a lock, or take it away; the lock of another user stays."""
    _, version = _find(state, request)
    command = parse_qs(request.query).get("lockScript", [""])[-1]
    results = {"true": "Locked", "false": "Unlocked"}
    if command not in results:
        message = "must be true or false"
        problem = http.ApiProblem(message, "invalid.query", "lockScript")
        raise http.ApiProblemError(400, problem)

    holder = _other_holder(version, request)
    if holder:
        form = {
            "errorState": True,
            "errorMessage": f"The script is locked by {holder}",
            "lockUnlockResult": "",
        }
    else:
        user = _user(request) if command == "true" else ""
        state.lock_script(version["path"], user, settings.clock())
        form = {
            "errorState": False,
            "errorMessage": "",
            "lockUnlockResult": results[command],
        }
    return http.json_response(200, form)


def read_version(
    state: TenantState,
    _settings: SimulatorSettings,
    request: http.SimRequest,
) -> http.SimResponse:
    """GET a version by its id: JSON, or the XML of a Desktop script."""
    identity = request.segments[-1]
    if identity not in state.scripts:
        problem = http.ApiProblem("Script not found", "not.found")
        raise http.ApiProblemError(404, problem)
    version = state.scripts[identity]
    path = version["path"]
    status = "CURR" if state.current_script(path) == identity else "PREV"
    form = {
        "name": re.split(r"[/\\]", path)[-1],
        "filePath": path,
        "scriptId": identity,
        "status": status,
        "scriptContent": version["content"],
    }
    return http.json_response(200, form)


def read_history(
    state: TenantState,
    _settings: SimulatorSettings,
    request: http.SimRequest,
) -> http.SimResponse:
    """GET the versions of a script, newest first."""
    path = _find(state, request)[1]["path"]
    versions: list[JsonObject] = []
    for identity, version in reversed(state.scripts.items()):
        if version["path"] != path:
            continue
        date = datetime.fromtimestamp(version["date"], UTC)
        form = {
            "scriptId": identity,
            "modifyDate": date.strftime("%m/%d/%Y %I:%M:%S %p"),
            "modifyUser": version["user"],
            "status": "PREV" if versions else "CURR",
        }
        versions.append(form)
    return http.json_response(200, {"name": path, "versions": versions})


def _find(state: TenantState, request: http.SimRequest) -> tuple[str, JsonObject]:
    parameters = parse_qs(request.query)
    path = parameters.get("scriptPath", [""])[-1]
    identity = state.current_script(path)
    if not identity:
        problem = http.ApiProblem("Script not found", "not.found", "scriptPath")
        raise http.ApiProblemError(404, problem)
    return identity, state.scripts[identity]


def _user(request: http.SimRequest) -> str:
    # Each client and each access key is another user: the end of a token stands for its owner
    # (auth.py).
    return f"API user {request.headers['authorization'].strip()[-8:]}"


def _other_holder(version: JsonObject, request: http.SimRequest) -> str:
    lock = version.get("lock", {})
    name: str = lock.get("lockedName", "")
    if name == _user(request):
        return ""
    return name


def _find_problems(
    state: TenantState,
    settings: SimulatorSettings,
    content: JsonObject,
) -> JsonObject:
    # Returns the actions with errors or warnings.
    actions: JsonObject = {}
    skills = {str(queue["id"]) for queue in state.queues}
    for identity, item in find_snippets(content):
        code = item["value"]
        snippet = SimSnippet(code, {}, settings.studio_dialect, is_active=False)
        problem = snippet.run()
        unknown_skills = sorted(set(_SKILL.findall(code)) - skills)
        if problem or unknown_skills:
            action = actions.setdefault(
                identity, {"actionType": "SNIPPET", "errors": [], "warnings": []}
            )
            if problem:
                action["errors"].append({"key": f"InvalidSnippet ({problem})"})
            for skill in unknown_skills:
                action["warnings"].append({"key": f"UnknownSkill ({skill})"})
    return actions


def run_script(
    state: TenantState,
    settings: SimulatorSettings,
    contact: str,
    context: JsonObject,
) -> JsonObject:
    """Return the skill and the rule that the newest script chooses for a contact; nothing without
    JSON.
    """
    content = next(
        (version["content"] for version in reversed(state.scripts.values())), ""
    )
    if isinstance(content, str):
        return {}
    values = {
        _SIGNAL_VARIABLES.get(name, name).lower(): script_value(context[name])
        for name in context
    }
    contact_id = int(contact) if contact.isdigit() else crc32(contact.encode())
    values["contactid"] = script_value(contact_id)
    for _, item in find_snippets(content):
        code = item["value"]
        snippet = SimSnippet(code, values, settings.studio_dialect, is_active=True)
        snippet.run()
    return {
        "skillId": script_text(values.get("cxr_skill")),
        "cxrRule": script_text(values.get("cxr_rule")),
    }
