"""The API itself: a request in, an answer out, at once and whole. All of api-contract is here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from reconciler.simulator.auth import PUBLIC_ROUTES, TokenIssuer
from reconciler.simulator.contacts import merge_context, send_signal, set_custom_fields
from reconciler.simulator.delivery import TokenBucket
from reconciler.simulator.messages import (
    RULES_PATH,
    ApiProblem,
    ApiProblemError,
    Json,
    SimulatorRequest,
    SimulatorResponse,
    error_response,
    json_response,
    parse_json_body,
)
from reconciler.simulator.paging import ListLag, queues_page, rules_page
from reconciler.simulator.platform_queues import routing_queues_page, skills_page
from reconciler.simulator.state import StoredRule, TenantState, format_timestamp, rule_version
from reconciler.simulator.storage import StateError
from reconciler.simulator.validate import rule_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reconciler.simulator.settings import SimulatorSettings

    Handler = Callable[["SimulatorApi", SimulatorRequest], SimulatorResponse]

MAX_BODY_BYTES: Final = 1_048_576
DIVISION: Final = {"id": "00000000-0000-4000-8000-00000000d1f1", "name": "Home"}
_SERVER_FIELDS: Final = ("id", "version", "dateCreated", "dateModified", "selfUri")
_NOT_FOUND: Final = ApiProblem("Rule not found", "not.found")
_NAME_CONFLICT: Final = ApiProblem("A rule with this name may already exist, check for duplicates", "conflict", "name")


class SimulatorApi:
    """A tenant's API over one state."""

    def __init__(self, state: TenantState, settings: SimulatorSettings) -> None:
        self.state = state
        self.settings = settings
        self.tokens = TokenIssuer(settings)
        self._bucket = TokenBucket(settings)
        self._lag = ListLag(settings)
        self._idempotent_responses: dict[str, tuple[bytes, SimulatorResponse]] = {}

    def handle(self, request: SimulatorRequest) -> SimulatorResponse:
        """Do what the request asks, and note on it whether that changed the state."""
        before = self.state.revision
        try:
            return self._dispatch(request)
        except ApiProblemError as refused:
            return refused.response
        except StateError as error:
            return error_response(507, ApiProblem(str(error), "insufficient.storage"))
        finally:
            request.changed_state = request.changed_state or self.state.revision != before

    def list_rules(self, request: SimulatorRequest) -> SimulatorResponse:
        """GET rules."""
        return rules_page(request, self._lag.visible(tuple(self.state.stored_rules.values())), self.settings.page_cap)

    def list_queues(self, request: SimulatorRequest) -> SimulatorResponse:
        """GET queues."""
        return queues_page(request, self.state.queues, self.settings.page_cap)

    def read_rule(self, request: SimulatorRequest) -> SimulatorResponse:
        """GET one rule."""
        return self._rule_response(200, self._find_rule(request))

    def create_rule(self, request: SimulatorRequest) -> SimulatorResponse:
        """POST a rule; the same Idempotency-Key gives the first answer again, where the server has such keys."""
        key = request.headers.get("idempotency-key") if self.settings.idempotency_keys else None
        if key is None:
            return self._create_rule(request)
        body, answer = self._idempotent_responses.get(key) or (request.body, self._create_rule(request))
        if body != request.body:
            return error_response(
                422, ApiProblem("The Idempotency-Key was used with another body", "idempotency.mismatch")
            )
        if answer.status == 201:  # noqa: PLR2004 - created
            self._idempotent_responses[key] = (body, answer)
        return answer

    def replace_rule(self, request: SimulatorRequest) -> SimulatorResponse:
        """PUT a rule: what is left out is lost, what is not known is kept."""
        live = self._find_rule(request).rule
        return self._update_rule(request, live, self._validate_rule(parse_json_body(request)))

    def merge_rule(self, request: SimulatorRequest) -> SimulatorResponse:
        """PATCH a rule: what is left out is kept."""
        live, sent = self._find_rule(request).rule, parse_json_body(request)
        return self._update_rule(
            request, live, self._validate_rule({**live, **sent} if isinstance(sent, dict) else sent)
        )

    def _update_rule(
        self, request: SimulatorRequest, live: Mapping[str, Any], body: dict[str, Any]
    ) -> SimulatorResponse:
        if body.get("id", live["id"]) != live["id"]:
            return error_response(422, ApiProblem("differs from the path's", "invalid.value", "id"))
        self._check_etag(request, live)
        self._check_name_free(body["name"], live["id"])
        now = format_timestamp(self.settings.clock())
        kept: dict[str, Any] = {key: live[key] for key in _SERVER_FIELDS if key in live}
        rule = {**body, **kept, "version": rule_version(live) + 1, "dateModified": now}
        return self._rule_response(200, self.state.put(rule))

    def delete_rule(self, request: SimulatorRequest) -> SimulatorResponse:
        """DELETE a rule."""
        live = self._find_rule(request).rule
        self._check_etag(request, live)
        self.state.remove(live["id"])
        return SimulatorResponse(status=204)

    def _dispatch(self, request: SimulatorRequest) -> SimulatorResponse:
        segments = request.segments
        if segments in PUBLIC_ROUTES:
            method, door = PUBLIC_ROUTES[segments]
            return door(self.tokens, request) if request.method == method else _wrong_method({method: None})
        methods = _methods(segments)
        if methods is None:
            return error_response(404, ApiProblem("Not found", "not.found"))
        unspoken = {"PUT", "PATCH"} - {self.settings.profile.update}
        if request.method not in methods or request.method in unspoken:
            return _wrong_method({name: what for name, what in methods.items() if name not in unspoken})
        scope, handler = methods[request.method]
        return self._check_access(request, scope) or handler(self, request)

    def _check_access(self, request: SimulatorRequest, scope: str) -> SimulatorResponse | None:
        """Refuse who has no token, is too fast, may not do this, or sends too much."""
        if not self.tokens.accepts(request):
            problem = ApiProblem("The token is invalid or has expired", "bad.credentials")
            return error_response(401, problem, headers=(("www-authenticate", "Bearer"),))
        too_fast = self._bucket.take_permit()
        if too_fast is not None:
            return too_fast
        if scope not in self.settings.scopes:
            return error_response(403, ApiProblem(f"Missing scope: {scope}", "missing.scope"))
        return error_response(413) if len(request.body) > MAX_BODY_BYTES else None

    def _find_rule(self, request: SimulatorRequest) -> StoredRule:
        stored = self.state.stored_rules.get(request.segments[-1])
        if stored is None:
            raise ApiProblemError(error_response(404, _NOT_FOUND))
        return stored

    def _validate_rule(self, body: Json) -> dict[str, Any]:
        problems = rule_problems(body, self.state)
        if problems:
            raise ApiProblemError(error_response(422, *problems))
        return dict(body)

    def _create_rule(self, request: SimulatorRequest) -> SimulatorResponse:
        body = self._validate_rule(parse_json_body(request))
        self._check_name_free(body["name"], None)
        identity, now = self.settings.new_id(), format_timestamp(self.settings.clock())
        rule = {"id": identity, **{key: value for key, value in body.items() if key not in _SERVER_FIELDS}}
        rule |= {"version": 1, "dateCreated": now, "dateModified": now, "selfUri": f"{RULES_PATH}/{identity}"}
        rule.setdefault("division", DIVISION)
        stored = self.state.put(rule)
        self._lag.hide(identity)
        return self._rule_response(201, stored)

    def _check_etag(self, request: SimulatorRequest, live: Mapping[str, Any]) -> None:
        wanted = request.headers.get("if-match") if self.settings.etags else None
        if wanted not in (None, "*", _etag(live)):
            problem = ApiProblem("The rule was changed since it was read", "precondition.failed")
            raise ApiProblemError(error_response(412, problem))

    def _check_name_free(self, name: str, own_id: str | None) -> None:
        if self.settings.names_unique and self.state.ids_named(name) - {own_id}:
            raise ApiProblemError(error_response(409, _NAME_CONFLICT))

    def _rule_response(self, status: int, stored: StoredRule) -> SimulatorResponse:
        headers = (("etag", _etag(stored.rule)),) if self.settings.etags else ()
        return json_response(status, stored.text, *headers)


_RULES: Final = {"GET": ("routing:read", SimulatorApi.list_rules), "POST": ("routing:write", SimulatorApi.create_rule)}
_RULE: Final = {
    "GET": ("routing:read", SimulatorApi.read_rule),
    "PUT": ("routing:write", SimulatorApi.replace_rule),
    "PATCH": ("routing:write", SimulatorApi.merge_rule),
    "DELETE": ("routing:write", SimulatorApi.delete_rule),
}
_QUEUES: Final = {"GET": ("routing:read", SimulatorApi.list_queues)}
_CONTEXT: Final[Mapping[str, tuple[str, Handler]]] = {
    "POST": ("interaction:write", lambda api, asked: merge_context(api.state, asked))
}
_CUSTOM_FIELDS: Final[Mapping[str, tuple[str, Handler]]] = {
    "PUT": ("interaction:write", lambda api, asked: set_custom_fields(api.state, api.settings, asked))
}
_SIGNAL: Final[Mapping[str, tuple[str, Handler]]] = {
    "POST": ("interaction:write", lambda api, asked: send_signal(api.state, asked))
}


def _platform_methods(
    page: Callable[[SimulatorRequest, Sequence[dict[str, Any]], int], SimulatorResponse],
) -> Mapping[str, tuple[str, Handler]]:
    return {"GET": ("routing:read", lambda api, asked: page(asked, api.state.queues, api.settings.page_cap))}


_PATHS: Final[tuple[tuple[re.Pattern[str], Mapping[str, tuple[str, Handler]]], ...]] = (
    (re.compile("api/v2/routing/rules"), _RULES),
    (re.compile("api/v2/routing/rules/[^/]*"), _RULE),
    (re.compile("api/v2/routing/queues"), _QUEUES),
    (re.compile("api/v2/interactions/interactions/[^/]*/context"), _CONTEXT),
    (re.compile(r"inContactAPI/services/v[1-9][0-9]?\.0/skills"), _platform_methods(skills_page)),
    (re.compile("dfo/3[.]0/routing-queues"), _platform_methods(routing_queues_page)),
    (re.compile("dfo/3[.]0/contacts/[^/]*/custom-fields"), _CUSTOM_FIELDS),
    (re.compile(r"inContactAPI/services/v[1-9][0-9]?\.0/interactions/[^/]*/signal"), _SIGNAL),
)
"""What can be done at a path: for each method the scope that it needs and who answers."""


def _methods(segments: tuple[str, ...]) -> Mapping[str, tuple[str, Handler]] | None:
    path = "/".join(segment.replace("/", "%2F") for segment in segments)
    return next((methods for shape, methods in _PATHS if shape.fullmatch(path)), None)


def _wrong_method(methods: Mapping[str, object]) -> SimulatorResponse:
    problem = ApiProblem("Method not allowed", "method.not.allowed")
    return error_response(405, problem, headers=(("allow", ", ".join(sorted(methods))),))


def _etag(rule: Mapping[str, Any]) -> str:
    return f'"{rule_version(rule)}"'
