"""The API itself: a request in, a response out, at once and whole. It implements all of api-contract."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    from reconciler.simulator.settings import SimulatorSettings
Handler = Callable[["SimulatorApi", SimulatorRequest], SimulatorResponse]
Page = Callable[[SimulatorRequest, Sequence[dict[str, Any]], int], SimulatorResponse]

MAX_BODY_BYTES: Final = 1_048_576
DIVISION: Final = {"id": "00000000-0000-4000-8000-00000000d1f1", "name": "Home"}
_READ: Final = "routing:read"
_WRITE: Final = "routing:write"
_INTERACT: Final = "interaction:write"
_SERVER_FIELDS: Final = ("id", "version", "dateCreated", "dateModified", "selfUri")

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
        """Return the response, and note on the request whether it changed the state."""
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
        """POST a rule; a repeated Idempotency-Key gives the first response again, if the server has such keys."""
        key = request.headers.get("idempotency-key") if self.settings.idempotency_keys else None
        if key is None:
            return self._create_rule(request)
        body, response = self._idempotent_responses.get(key) or (request.body, self._create_rule(request))
        if body != request.body:
            problem = ApiProblem("The Idempotency-Key was used with another body", "idempotency.mismatch")
            return error_response(422, problem)
        if response.status == 201:  # noqa: PLR2004 - created
            self._idempotent_responses[key] = (body, response)
        return response

    def replace_rule(self, request: SimulatorRequest) -> SimulatorResponse:
        """PUT a rule: absent fields are removed, unknown ones stored."""
        live = self._find_rule(request).rule
        return self._update_rule(request, live, self._validate_rule(parse_json_body(request)))

    def merge_rule(self, request: SimulatorRequest) -> SimulatorResponse:
        """PATCH a rule: absent fields stay."""
        live, body = self._find_rule(request).rule, parse_json_body(request)
        return self._update_rule(
            request, live, self._validate_rule({**live, **body} if isinstance(body, dict) else body)
        )

    def _update_rule(
        self, request: SimulatorRequest, live: Mapping[str, Any], body: dict[str, Any]
    ) -> SimulatorResponse:
        if body.get("id", live["id"]) != live["id"]:
            return error_response(422, ApiProblem("differs from the path's", "invalid.value", "id"))
        self._check_etag(request, live)
        self._check_name_free(body["name"], live["id"])
        stored: dict[str, Any] = {key: live[key] for key in _SERVER_FIELDS if key in live}
        changed = {"version": rule_version(live) + 1, "dateModified": format_timestamp(self.settings.clock())}
        return self._rule_response(200, self.state.put({**body, **stored, **changed}))

    def delete_rule(self, request: SimulatorRequest) -> SimulatorResponse:
        """DELETE a rule."""
        live = self._find_rule(request).rule
        self._check_etag(request, live)
        self.state.remove(live["id"])
        return SimulatorResponse(status=204)

    def _dispatch(self, request: SimulatorRequest) -> SimulatorResponse:
        segments = request.segments
        if segments in PUBLIC_ROUTES:
            method, public = PUBLIC_ROUTES[segments]
            return public(self.tokens, request) if request.method == method else _wrong_method({method})
        path = "/".join(segment.replace("/", "%2F") for segment in segments)
        methods = next((methods for shape, methods in _PATHS if shape.fullmatch(path)), None)
        if methods is None:
            return error_response(404, ApiProblem("Not found", "not.found"))
        supported = methods.keys() - ({"PUT", "PATCH"} - {self.settings.profile.update})
        if request.method not in supported:
            return _wrong_method(supported)
        scope, handler = methods[request.method]
        return self._check_access(request, scope) or handler(self, request)

    def _check_access(self, request: SimulatorRequest, scope: str) -> SimulatorResponse | None:
        if not self.tokens.accepts(request):
            problem = ApiProblem("The token is invalid or has expired", "bad.credentials")
            return error_response(401, problem, headers=(("www-authenticate", "Bearer"),))
        rate_limited = self._bucket.take_permit()
        if rate_limited is not None:
            return rate_limited
        if scope not in self.settings.scopes:
            return error_response(403, ApiProblem(f"Missing scope: {scope}", "missing.scope"))
        return error_response(413) if len(request.body) > MAX_BODY_BYTES else None

    def _find_rule(self, request: SimulatorRequest) -> StoredRule:
        stored = self.state.stored_rules.get(request.segments[-1])
        if stored is None:
            raise ApiProblemError(error_response(404, ApiProblem("Rule not found", "not.found")))
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
        etag = request.headers.get("if-match") if self.settings.etags else None
        if etag not in (None, "*", _etag(live)):
            problem = ApiProblem("The rule was changed since it was read", "precondition.failed")
            raise ApiProblemError(error_response(412, problem))

    def _check_name_free(self, name: str, own_id: str | None) -> None:
        if self.settings.names_unique and self.state.ids_named(name) - {own_id}:
            raise ApiProblemError(error_response(409, _NAME_CONFLICT))

    def _rule_response(self, status: int, stored: StoredRule) -> SimulatorResponse:
        headers = (("etag", _etag(stored.rule)),) if self.settings.etags else ()
        return json_response(status, stored.text, *headers)


def _wrong_method(methods: Iterable[str]) -> SimulatorResponse:
    problem = ApiProblem("Method not allowed", "method.not.allowed")
    return error_response(405, problem, headers=(("allow", ", ".join(sorted(methods))),))


def _etag(rule: Mapping[str, Any]) -> str:
    return f'"{rule_version(rule)}"'


def _platform(page: Page) -> Handler:
    return lambda api, request: page(request, api.state.queues, api.settings.page_cap)


_ROUTES: Final[Mapping[str, Mapping[str, tuple[str, Handler]]]] = {
    "api/v2/routing/rules": {"GET": (_READ, SimulatorApi.list_rules), "POST": (_WRITE, SimulatorApi.create_rule)},
    "api/v2/routing/rules/[^/]*": {
        "GET": (_READ, SimulatorApi.read_rule),
        "PUT": (_WRITE, SimulatorApi.replace_rule),
        "PATCH": (_WRITE, SimulatorApi.merge_rule),
        "DELETE": (_WRITE, SimulatorApi.delete_rule),
    },
    "api/v2/routing/queues": {"GET": (_READ, SimulatorApi.list_queues)},
    "api/v2/interactions/interactions/[^/]*/context": {
        "POST": (_INTERACT, lambda api, request: merge_context(api.state, request))
    },
    r"inContactAPI/services/v[1-9][0-9]?\.0/skills": {"GET": (_READ, _platform(skills_page))},
    "dfo/3[.]0/routing-queues": {"GET": (_READ, _platform(routing_queues_page))},
    "dfo/3[.]0/contacts/[^/]*/custom-fields": {
        "PUT": (_INTERACT, lambda api, request: set_custom_fields(api.state, api.settings, request))
    },
    r"inContactAPI/services/v[1-9][0-9]?\.0/interactions/[^/]*/signal": {
        "POST": (_INTERACT, lambda api, request: send_signal(api.state, request))
    },
}
"""The scope and the handler of each method, by path."""
_PATHS: Final = tuple((re.compile(path), methods) for path, methods in _ROUTES.items())
