"""The Scripts API of Studio, as far as third-party clients know it, and contacts that run a script."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs

from reconciler.simulator import messages as http
from reconciler.simulator.script_content import find_snippets
from reconciler.simulator.settings import SimulatorSettings
from reconciler.simulator.snippet import SimDialect, SimSnippet, script_text, script_value
from reconciler.simulator.state import JsonObject, TenantState

_PARTS: Final = ("header", "actions", "properties", "branches")
_SKILL: Final = re.compile(r"(?im)^[ \t]*(?:ASSIGN[ \t]+)?\w*skill[ \t]*=[ \t]*([1-9][0-9]*)[ \t\r]*$")


class ScriptsApi:
    """The API's calls by one user. Each raises ApiProblemError."""

    def __init__(self, state: TenantState, settings: SimulatorSettings, user: str) -> None:
        self._state, self._settings, self._user = state, settings, user

    def read(self, request: http.SimRequest) -> http.SimResponse:
        """GET the script with a path, as JSON."""
        identity, version = self._find(request)
        content, lock = version["content"], version["lock"] or {"lockedName": "", "lockedId": "", "lockedDate": ""}
        if isinstance(content, str):
            raise http.ApiProblemError(500, http.ApiProblem("A script of Desktop Studio has no JSON"))
        header = content["header"] | {"masterId": identity, "lockInfo": lock}
        return http.json_response(200, content | {"header": header})

    def save(self, request: http.SimRequest) -> http.SimResponse:
        """POST a script; it replaces the script with its name, whatever version it was made from."""
        body = http.parse_json_body(request)
        content = body.get("scriptContent") if isinstance(body, dict) else None
        if not isinstance(content, dict) or not all(isinstance(content.get(part), dict) for part in _PARTS):
            raise http.ApiProblemError(400, http.ApiProblem("is not a script", "invalid.script", "scriptContent"))
        path = content["header"].get("scriptName")
        if not isinstance(path, str) or not path:
            raise http.ApiProblemError(400, http.ApiProblem("scriptName is required", "missing.field", "scriptName"))
        actions, identity, now = self._actions(path, content), "", self._settings.clock()
        errors, warnings = (sum(len(action[part]) for action in actions.values()) for part in ("errors", "warnings"))
        if not errors:
            identity = self._state.save_script(path, content, self._user, now, self._settings.new_id())
        details = {"totalErrors": errors, "totalWarnings": warnings, "actions": actions}
        result = {"success": not errors, "masterId": identity, "error_code": {"details": details}}
        return http.json_response(409 if errors else 206 if warnings else 200, {"results": [result]})

    def lock(self, request: http.SimRequest) -> http.SimResponse:
        """PUT a lock, or take it away; the lock of another user stays."""
        version = self._find(request)[1]
        holder, command = self._holder(version), parse_qs(request.query).get("lockScript", [""])[-1]
        user, result = {"true": (self._user, "Locked"), "false": ("", "Unlocked")}.get(command, ("", ""))
        if not result:
            raise http.ApiProblemError(400, http.ApiProblem("must be true or false", "invalid.query", "lockScript"))
        message = f"The script is locked by {holder}" if holder else ""
        if not holder:
            self._state.lock_script(version["path"], user, self._settings.clock())
        form = {"errorState": bool(holder), "errorMessage": message, "lockUnlockResult": "" if holder else result}
        return http.json_response(200, form)

    def read_version(self, request: http.SimRequest) -> http.SimResponse:
        """GET a version by its id: JSON, or the XML of a Desktop script."""
        identity = request.segments[-1]
        if identity not in self._state.scripts:
            raise http.ApiProblemError(404, http.ApiProblem("Script not found", "not.found"))
        path, content = (self._state.scripts[identity][name] for name in ("path", "content"))
        form = {"name": re.split(r"[/\\]", path)[-1], "filePath": path, "scriptId": identity}
        return http.json_response(200, {**form, "status": self._status(path, identity), "scriptContent": content})

    def history(self, request: http.SimRequest) -> http.SimResponse:
        """GET the versions of a script, newest first."""
        path, versions = self._find(request)[1]["path"], []
        for identity, version in reversed(self._state.scripts.items()):
            date = datetime.fromtimestamp(version["date"], UTC).strftime("%m/%d/%Y %I:%M:%S %p")
            form = {"scriptId": identity, "modifyDate": date, "modifyUser": version["user"]}
            versions += [{**form, "status": self._status(path, identity)}] if version["path"] == path else []
        return http.json_response(200, {"name": path, "versions": versions})

    def _find(self, request: http.SimRequest) -> tuple[str, JsonObject]:
        identity = self._state.current_script(parse_qs(request.query).get("scriptPath", [""])[-1])
        if not identity:
            raise http.ApiProblemError(404, http.ApiProblem("Script not found", "not.found", "scriptPath"))
        return identity, self._state.scripts[identity]

    def _holder(self, version: JsonObject) -> str:
        name: str = version["lock"].get("lockedName", "")
        return "" if name == self._user else name

    def _status(self, path: str, identity: str) -> str:
        return "CURR" if self._state.current_script(path) == identity else "PREV"

    def _actions(self, path: str, content: JsonObject) -> JsonObject:
        # Returns the actions with errors or warnings.
        actions: JsonObject = {}
        skills = {str(queue["id"]) for queue in self._state.queues}
        for identity, item in find_snippets(content):
            problem = SimSnippet(item["value"], {}, self._settings.studio_dialect, is_active=False).run()
            unknown = sorted(set(_SKILL.findall(item["value"])) - skills)
            if problem or unknown:
                action = actions.setdefault(identity, {"actionType": "SNIPPET", "errors": [], "warnings": []})
                action["errors"] += [{"key": f"InvalidSnippet ({problem})"}] if problem else []
                action["warnings"] += [{"key": f"UnknownSkill ({skill})"} for skill in unknown]
        current = self._state.scripts.get(self._state.current_script(path))
        if self._settings.locks_bind and current and self._holder(current):
            actions["0"] = {"actionType": "BEGIN", "errors": [{"key": "ScriptLocked"}], "warnings": []}
        return actions


def run_script(
    state: TenantState, path: str, variables: Mapping[str, Any], contact_id: int, dialect: SimDialect | None = None
) -> dict[str, str]:
    """Return the variables as texts, by lower-case name, after a contact has run the script. Raises KeyError."""
    values = {name.lower(): script_value(value) for name, value in {**variables, "ContactID": contact_id}.items()}
    for _, item in find_snippets(state.scripts[state.current_script(path)]["content"]):
        SimSnippet(item["value"], values, dialect or SimDialect(), is_active=True).run()
    return {name: script_text(value) for name, value in values.items() if value is not None}


def studio_start(state: TenantState, script_path: str, owner: str, block: str) -> None:
    """Add a script with an empty block OWNER/BLOCK, unless the tenant has the script. The queues must be known."""
    if not state.current_script(script_path):
        state.add_script(script_path, block=f"{owner}/{block}")
